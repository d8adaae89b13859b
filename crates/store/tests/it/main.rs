//! The store against a real PostgreSQL, as the application's role and always with two tenants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apply;
mod fixture;
mod hygiene;
mod isolation;
mod operator;
mod requests;
mod server;
mod wall;
