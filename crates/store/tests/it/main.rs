//! The store against a real PostgreSQL, as the application's role and always with two tenants.

#![expect(clippy::unwrap_used, reason = "a test that panics points at its line")]

mod apply;
mod attacks;
mod audit;
mod changes;
mod drivers;
mod fixture;
mod hygiene;
mod isolation;
mod jobs;
mod operator;
mod placement;
mod requests;
mod server;
mod soak;
mod stamps;
mod upgraded;
mod wall;
mod watch;
