//! Freehold: one PostgreSQL as a multi-tenant data platform. This is the one binary and all its faces.

mod bench;
mod cli;
mod command;
mod config;
mod demo;
mod http;
mod output;
mod services;
mod stop;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

/// An answer takes some dozen small pieces of memory, and often other threads give them back: the allocator of the C library
/// spent a sixth of the time of a kept answer on that. This one takes address space in small steps, so that a server whose
/// memory is bounded by `ulimit -d` or a service manager still starts.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long threads may take that cannot be told to stop: one that starts PostgreSQL, or waits for standard input.
const LEFT_OVER: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::start_log(cli.global.verbose, cli.global.json);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(command::run(cli));
            runtime.shutdown_timeout(LEFT_OVER);
            ended
        }
        Err(error) => output::failure(&error.into(), false),
    }
}
