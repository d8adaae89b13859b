//! Templates: built once, by whoever comes first, for all test programs.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::{server, url};

/// Held while any template is built. One lock for all, since building makes roles, which belong to the server.
const BUILDING: i64 = 0x6672_6565_686f_6c64;

/// The template for that key, built if there is none.
pub(crate) async fn ensure(admin: &Client, key: &str, build: impl AsyncFnOnce(&str)) -> String {
    let name = name(key);
    if exists(admin, &name).await {
        return name;
    }
    admin.execute("select pg_advisory_lock($1)", &[&BUILDING]).await.expect("locked");
    if !exists(admin, &name).await {
        make(admin, &name, build).await;
    }
    admin.execute("select pg_advisory_unlock($1)", &[&BUILDING]).await.expect("unlocked");
    name
}

/// Under another name first: what has the right name is whole. A template that anybody is connected to cannot be cloned, so in the
/// end nobody may connect.
async fn make(admin: &Client, name: &str, build: impl AsyncFnOnce(&str)) {
    let rough = format!("rough_{name}");
    run(admin, &format!("drop database if exists {rough} with (force)")).await;
    run(admin, &format!("create database {rough} template template0 strategy file_copy")).await;
    build(&url::with_database(&server::admin_url().await, &rough)).await;
    run(admin, &format!("alter database {rough} with is_template true allow_connections false"))
        .await;
    run(admin, &format!("comment on database {rough} is '{}'", program().replace('\'', "''")))
        .await;
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
    admin.execute(end, &[&rough]).await.expect("nobody is connected");
    run(admin, &format!("alter database {rough} rename to {name}")).await;
}

/// A copy of the template under that name. What is kept beside a database is copied, too: its settings, and who may connect.
pub(crate) async fn clone(admin: &Client, template: &str, name: &str) {
    run(admin, &format!("create database {name} template {template} strategy file_copy")).await;
    run(
        admin,
        &format!(
            "begin;
             update pg_database as c set datacl = t.datacl, datdba = t.datdba
             from pg_database as t where c.datname = '{name}' and t.datname = '{template}';
             insert into pg_db_role_setting
             select c.oid, s.setrole, s.setconfig from pg_db_role_setting as s
             join pg_database as t on t.oid = s.setdatabase and t.datname = '{template}', pg_database as c
             where c.datname = '{name}';
             commit"
        ),
    )
    .await;
}

pub(crate) async fn run(admin: &Client, sql: &str) {
    admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", cause(&error)));
}

/// The server's message, which `Display` of the error leaves out.
pub(crate) fn cause(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |found| found.message().to_owned())
}

async fn exists(admin: &Client, name: &str) -> bool {
    let sql = "select exists (select from pg_database where datname = $1)";
    admin.query_one(sql, &[&name]).await.expect("the catalogue answers").get(0)
}

fn name(key: &str) -> String {
    let digest = Sha256::digest(format!("{key}\0{}", program()));
    let short: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("tmpl_{short}")
}

/// The test program and when it was made. A key alone does not tell when the code that builds has changed.
fn program() -> String {
    let path = std::env::current_exe().expect("a test is a program");
    made(&path).expect("a program is a file")
}

fn made(program: &Path) -> Option<String> {
    let since = fs::metadata(program).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {}", since.as_nanos(), program.display()))
}

/// Whether a template with that note is of a test program that is gone or has been made anew.
pub(crate) fn outdated(note: &str) -> bool {
    note.split_once(' ').is_some_and(|(_, path)| made(Path::new(path)).as_deref() != Some(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_outdated_with_its_program() {
        let now = program();
        assert!(!outdated(&now));
        assert!(outdated(&now.replacen('1', "2", 1)), "made at another time");
        assert!(outdated("17 /no/such/program"));
    }
}
