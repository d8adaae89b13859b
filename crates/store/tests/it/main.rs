//! The store against a real PostgreSQL, as the application's role and always with two tenants.

mod apply;
mod fixture;
mod hygiene;
mod isolation;
mod operator;
mod requests;
mod server;
mod wall;
