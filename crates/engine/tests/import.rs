//! Import against a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "import/house.rs"]
mod house;
#[path = "import/loading.rs"]
mod loading;
#[path = "import/vectors.rs"]
mod vectors;
