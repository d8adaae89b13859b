//! (being built)

pub mod embed;
