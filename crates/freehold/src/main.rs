//! Freehold: one PostgreSQL as a multi-tenant data platform. This is the one binary and all its faces.

mod bench;
mod cli;
mod command;
mod config;
mod demo;
mod http;
mod output;
mod services;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::start_log(cli.global.verbose, cli.global.json);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command::run(cli)),
        Err(error) => output::failure(&error.into(), false),
    }
}
