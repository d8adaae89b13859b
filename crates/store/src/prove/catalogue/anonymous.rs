//! Whoever has no key, and SQL of their own: its login reads what the model opens, and nothing else.

use crate::{
    error::Error,
    platform::ANONYMOUS,
    prove::{
        Attack, Class, Found,
        arena::Arena,
        eve::Eve,
        forge::{Forge, Token},
    },
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["G14", "without a key", "Logs in as those who have no key, opens A and reads and writes what the model does not open, also by a token of a stronger role."],
        "kernel",
        |arena| Box::pin(beyond(arena)),
    ),
    CLASS.run(
        ["G15", "a token of another login", "Uses tokens of the servers' login in a session of those who have no key, and the other way round."],
        "gate",
        |arena| Box::pin(exchanged(arena)),
    ),
];

const CLASS: Class = Class::Grants;

/// Of the platform, what a session without a key could go for.
const PLATFORM: &[&str] = &[
    "select * from freehold.tenant",
    "select * from freehold.api_key",
    "select * from freehold.mac_key",
    "select * from freehold.change_log",
    "select tenant_id from freehold.embedding_due",
    "select object from freehold.blob",
    "select freehold.uuidv7()",
    "select freehold.position()",
    "select freehold.key_holder('00')",
];

async fn beyond(arena: &Arena) -> Result<Found, Error> {
    let eve = Eve::connect(arena.anonymous(), Some(arena)).await?;
    let mut leaks = Vec::new();
    for role in [1, 2, 3] {
        let genuine =
            Forge { login: ANONYMOUS, role, ..Forge::none(arena.a().tenant.id(), eve.pid) };
        for (table, is_open) in arena.tables() {
            let reads = format!("select * from {table}");
            let writes = [
                format!("insert into {table} default values"),
                format!("delete from {table}"),
                format!("truncate {table}"),
                format!("lock table {table}"),
            ];
            let reads = (!is_open).then_some(reads);
            for sql in reads.into_iter().chain(writes) {
                leaks.extend(reached(&eve, &arena.token(&genuine), &sql).await);
            }
        }
        for sql in PLATFORM {
            leaks.extend(reached(&eve, &arena.token(&genuine), sql).await);
        }
    }
    Ok(Found::of(&leaks))
}

async fn exchanged(arena: &Arena) -> Result<Found, Error> {
    let anybody = Eve::connect(arena.anonymous(), Some(arena)).await?;
    let servers = arena.eve().await?;
    let mut leaks = Vec::new();
    let of_servers = Forge::none(arena.a().tenant.id(), anybody.pid);
    let of_anybody = Forge { login: ANONYMOUS, ..Forge::none(arena.a().tenant.id(), servers.pid) };
    for (eve, forge) in [(&anybody, of_servers), (&servers, of_anybody)] {
        leaks.extend(reached(eve, &arena.token(&forge), "select 1").await);
    }
    Ok(Found::of(&leaks))
}

async fn reached(eve: &Eve<'_>, token: &Token, sql: &str) -> Option<String> {
    let opened = eve.say(&format!("begin; {}", token.typed())).await;
    let said = if opened.is_yes() { Some(eve.say(sql).await) } else { None };
    eve.end().await;
    said.filter(|said| !said.is_refusal())
        .map(|said| format!("{sql}: {} {}", said.count(), said.state()))
}
