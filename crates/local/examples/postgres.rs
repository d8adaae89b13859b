//! Runs PostgreSQL over a data folder until its input ends:
//! `cargo run -p freehold-local --example postgres -- DATA [CACHE [throwaway]]`.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use freehold_local::{Error, Event, Major, Options, Server, default_cache_dir};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let data_dir = arguments.next().unwrap_or_else(|| ".freehold/example".into());
    let cache_dir = arguments.next().unwrap_or_else(default_cache_dir);
    let durable = arguments.next().is_none_or(|word| word.as_os_str() != "throwaway");
    let options = Options { data_dir, cache_dir, major: Major::V18, durable, settings: Vec::new() };
    let mut last = String::new();
    let server = Server::start(&options, &mut |event| {
        let step = format!("{event:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
        if !matches!(event, Event::Ready { .. }) && step != last {
            eprintln!("{step}");
            last = step;
        }
    })?;
    println!("{}", server.admin_url("postgres"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    server.stop()?;
    Ok(())
}
