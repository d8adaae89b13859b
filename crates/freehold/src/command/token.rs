//! `token` and `login`: what a driver of one's own needs to come inside the wall.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use freehold_engine::{Error, Login, Store};
use serde_json::json;

use super::Site;
use crate::{
    cli::Token,
    config::Config,
    output::{self, Failure},
};

/// Prints the token for one backend, or answers each line `BACKEND TENANT` with one.
pub(super) async fn token(config: &Config, what: &Token) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let store = site.store().await?;
    if let (Some(tenant), Some(backend)) = (&what.tenant, what.backend) {
        output::say(shown(config, what, &signed(&store, what, tenant, backend).await?));
        return Ok(());
    }
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.trim().split_once(' ').map(|(pid, name)| (pid.parse(), name)) {
            Some((Ok(backend), tenant)) => signed(&store, what, tenant, backend).await,
            _ => Err(unreadable(&line)),
        };
        let answer = match answer {
            Ok(token) => shown(config, what, &token),
            Err(Error::Refused(refusal)) if config.json => {
                output::refusal_json(&refusal).to_string()
            }
            Err(Error::Refused(refusal)) => {
                format!("refused {} {}", refusal.code.as_str(), refusal.message)
            }
            Err(error) => return Err(error.into()),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// Shows how to log in as `freehold_app`; the password goes into a file and nowhere else.
pub(super) async fn login(config: &Config, passfile: Option<&Path>) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let login = Login::of(site.database.url(), &site.root_key().await?)?;
    if let Some(file) = passfile {
        write(file, login.pass_line().as_bytes())
            .map_err(|error| output::at("written", file, &error))?;
    }
    if config.json {
        output::say(json!({
            "url": login.url(), "host": login.host, "port": login.port, "database": login.database,
            "user": login.user(),
        }));
    } else {
        output::say(login.url());
    }
    if let Some(file) = passfile {
        output::note(format!("the password is in {}: PGPASSFILE for libpq", file.display()));
    }
    Ok(())
}

async fn signed(store: &Store, what: &Token, tenant: &str, backend: i32) -> Result<String, Error> {
    Ok(store.token_for(
        &store.tenant_named(tenant).await?.limited_to(what.role.role()),
        backend,
        what.life,
    ))
}

fn shown(config: &Config, what: &Token, token: &str) -> String {
    match config.json {
        true => json!({ "token": token, "seconds": what.life.as_secs() }).to_string(),
        false => token.to_owned(),
    }
}

fn unreadable(line: &str) -> Error {
    use freehold_engine::{Code, Refusal};
    Refusal::new(Code::Usage, "not a backend's process id, a space and a tenant's name")
        .detail(line)
        .into()
}

// A file that is there keeps its rights, so it is made anew.
fn write(file: &Path, line: &[u8]) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(line)
}
