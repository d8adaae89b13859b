//! PostgreSQL from the real cache folder, started, killed, joined and stopped; and what is said when it cannot be fetched.

mod cache;
mod place;
mod server;
