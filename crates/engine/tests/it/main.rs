//! The ways through the engine against a real PostgreSQL, always with two tenants.

mod changes;
mod embedded;
mod ground;
mod later;
mod moved;
mod nearest;
mod writes;
