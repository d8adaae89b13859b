//! Databases that tests have left behind.

use std::fs;

use tokio_postgres::Client;

use crate::template::{cause, outdated};

/// How long templates, and databases of failed tests, are kept.
const KEPT: &str = "1 day";

/// The name of the `n`th database of this process: who made it is in it.
pub(crate) fn name(n: u32) -> String {
    let pid = std::process::id();
    format!("t_{pid}_{}_{n}", started(pid).unwrap_or_default())
}

/// Drops the databases of test programs that are gone, unless their test failed; templates of test programs
/// that have been made anew; and all that are older than a day. One that somebody is connected to stays. Only on a server of our
/// own do we know about programs and processes.
pub(crate) async fn leftovers(admin: &Client, ours: bool) {
    let sql = format!(
        "select datname, coalesce((pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification < now() - interval '{KEPT}', false),
                shobj_description(oid, 'pg_database')
         from pg_database where datname ~ '^(t_[0-9]+_[0-9]+_[0-9]+|(rough_)?tmpl_[0-9a-f]{{16}})$'"
    );
    for row in admin.query(&sql, &[]).await.expect("the catalogue answers") {
        let (name, old, note): (&str, bool, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        let useless = note
            .map_or_else(|| abandoned(name), |note| name.starts_with("tmpl_") && outdated(note));
        if old || (ours && useless) {
            drop_idle(admin, name).await;
        }
    }
}

async fn drop_idle(admin: &Client, name: &str) {
    let sql = format!("alter database {name} with is_template false");
    let made = admin.batch_execute(&sql).await;
    let dropped = match made {
        Ok(()) => admin.batch_execute(&format!("drop database if exists {name}")).await,
        failed => failed,
    };
    // Another test program may be sweeping, too, or somebody may be looking at it.
    if let Err(error) = dropped.as_ref().map_err(cause) {
        crate::server::say(&format!("{name} stays: {error}"));
    }
}

/// Whether it is a test's and its process is gone. A process id is used again; together with the start time it is not.
fn abandoned(name: &str) -> bool {
    let parts: Vec<_> = name.split('_').collect();
    let &["t", pid, start, _] = parts.as_slice() else { return false };
    pid.parse().is_ok_and(|pid| started(pid).is_none_or(|found| found.to_string() != start))
}

/// When a process started, in ticks since the machine did; none if it is gone.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, may have spaces and parentheses in it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_left_is_abandoned() {
        assert!(!abandoned(&name(7)));
        let pid = std::process::id();
        assert!(abandoned(&format!("t_{pid}_1_7")), "the same process id, another process");
        assert!(abandoned("t_4194305_1_7"), "beyond the greatest process id");
        assert!(!abandoned("tmpl_0123456789abcdef"));
    }
}
