//! The attacks, by what they go for.

mod anonymous;
mod context;
mod effects;
mod grants;
mod oracle;
mod platform;
mod roles;
mod schema;
mod session;
mod statistics;
mod tokens;
mod vectors;

use super::Attack;

/// Every attack, in the order of reports.
pub fn catalogue() -> impl Iterator<Item = &'static Attack> {
    let all: [&'static [Attack]; 12] = [
        tokens::ATTACKS,
        context::ATTACKS,
        roles::ATTACKS,
        session::ATTACKS,
        schema::ATTACKS,
        grants::ATTACKS,
        anonymous::ATTACKS,
        oracle::ATTACKS,
        statistics::ATTACKS,
        effects::ATTACKS,
        vectors::ATTACKS,
        platform::ATTACKS,
    ];
    all.into_iter().flatten()
}
