//! Rendered statements on a real PostgreSQL: what they answer, to the role and under the wall they are made for.
//!
//! They need a database that `setup.sql` was run in, and psql (16 or newer): build with `FREEHOLD_TEST_DATABASE_URL`
//! (of the role `freehold_app`) and `FREEHOLD_TEST_PSQL` set and run `cargo test -p freehold-model -- --ignored`.
//! Each test is one transaction that is rolled back.

mod answers;
mod oracle;
mod session;
