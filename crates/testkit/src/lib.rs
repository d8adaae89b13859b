//! A database per test, cloned from a template in one shared PostgreSQL.
//!
//! The server is started by the first test that needs it and **left running** for the next test program; `cargo xtask stop` stops it. It
//! keeps nothing on purpose: without fsync, under the cache folder, to be removed at will.
//!
//! | variable | means |
//! |---|---|
//! | `FREEHOLD_TEST_PG` | the major version: `18` (default) or `16` |
//! | `FREEHOLD_TEST_DATABASE_URL` | a server of your own instead, as a superuser's URL |
//! | `FREEHOLD_CACHE` | the cache folder, if not the user's |
//!
//! A Redis is for one test alone ([`OwnRedis`]): the `redis-server` on the PATH, or the one that `cargo xtask redis` fetched.
//!
//! Two things that are easy to forget: superusers and owners pass row-level security, so a test of the wall must connect as the
//! application's role ([`TestDb::url_as`]); and roles belong to the server, not to the database, so all tests share them.

mod chance;
mod database;
pub mod random_model;
mod redis;
mod server;
mod sweep;
mod template;
mod url;

pub use chance::{Chance, seed, switch};
pub use database::TestDb;
pub use redis::OwnRedis;
pub use server::{OwnServer, admin_url};

/// A query for everything PostgreSQL keeps about the tables of a model, as sorted lines of text: two databases whose lines are the same
/// have the same tables.
pub const CATALOGUE: &str = include_str!("catalogue.sql");
