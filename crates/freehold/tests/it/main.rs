//! The real binary, over its command line and HTTP, on a database of the test's own, always with two tenants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod anonymous;
mod audit;
mod bad_input;
mod beside;
mod bodies;
mod cached;
mod chaos;
mod cli;
mod clients;
mod crash;
mod demo;
mod described;
mod digits;
mod documents;
mod files;
mod handed;
mod harness;
mod http;
mod keys;
mod opened;
mod overdue;
mod prove;
mod purposes;
mod reads;
mod registry;
mod root_key;
mod routes;
mod rows;
mod scoped;
mod searched;
mod slices;
mod sql;
mod sql_drivers;
mod sql_prompt;
mod storage;
mod unreadable;
