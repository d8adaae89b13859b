//! Fetches PostgreSQL and runs it on this machine: for `dev`, `demo` and the tests.
//!
//! [`Binaries`] are the programs in the user's cache folder, [`Server`] is a server over a data folder. Everything here
//! blocks, and everything that takes long says so through an [`Event`].

mod account;
mod binaries;
mod error;
mod fetch;
mod folder;
mod postmaster;
mod process;
mod progress;
mod server;
mod wheel;

pub use account::{default_cache_dir, default_data_dir};
pub use binaries::Binaries;
pub use error::Error;
pub use progress::{Event, Progress};
pub use server::{Options, Server, stop};
pub use wheel::Major;
