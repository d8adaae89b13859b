//! A server of its own, a model with one read model of each kind, and worker processes.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
};

use freehold_engine::RootKey;
use freehold_testkit::OwnServer;
use serde_json::Value;

use crate::harness::{Ended, ended};

pub(super) const TENANTS: [&str; 4] = ["a", "b", "c", "d"];

pub(super) const READS: [&str; 5] = ["team_marks", "best", "label", "effort", "card"];

const ROOT: [u8; 32] = [9; 32];

const MODEL: &str = r#"
[model]
name = "chaos"

[entity.team.field]
name = { type = "text", unique = true }

[entity.person.field]
handle = { type = "text", unique = true }
team   = { ref = "team", optional = true, on_delete = "unlink" }

[entity.task.field]
number = { type = "integer", unique = true }
person = { ref = "person", on_delete = "cascade" }
label  = { type = "text" }
points = { type = "integer" }

[entity.mark.field]
task   = { ref = "task", on_delete = "cascade" }
weight = { type = "integer" }

[read.team_marks]
key = ["team"]
sql = """
select g.id as team, g.name, count(*) as marks, sum(m.weight) as weight, sum(m.weight * t.points) as score
from mark m join task t on t.id = m.task join person p on p.id = t.person join team g on g.id = p.team
group by g.id, g.name
"""

[read.best]
key = ["person", "task"]
sql = """
select p.id as person, x.id as task, p.handle, x.points
from person p cross join lateral
  (select t.id, t.points from task t where t.person = p.id order by t.points desc, t.id limit 3) x
"""

[read.label]
key = ["label"]
sql = "select label, count(distinct person) as people, count(*) as tasks, sum(points) as points from task group by label"

[read.effort]
key = ["person"]
sql = """
select p.id as person, p.handle, count(m.id) as marks, coalesce(sum(m.weight), 0) as weight
from person p left join task t on t.person = p.id left join mark m on m.task = t.id
group by p.id, p.handle
"""

[read.card]
key = ["task"]
sql = """
select t.id as task, t.number, p.handle, g.name as team
from task t join person p on p.id = t.person left join team g on g.id = p.team
"""
"#;

pub(super) fn root_key() -> RootKey {
    RootKey::new(ROOT)
}

pub(super) struct House {
    server: OwnServer,
    dir: tempfile::TempDir,
}

impl House {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("freehold.toml"), MODEL).unwrap();
        let key = dir.path().join("root.key");
        std::fs::write(&key, "09".repeat(32) + "\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, mode).unwrap();
        let house = Self { server: OwnServer::start().await, dir };
        house.fine(&["apply"]);
        for tenant in TENANTS {
            house.fine(&["tenant", "create", tenant]);
        }
        house
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) async fn crash(&mut self) {
        self.server.crash().await;
    }

    /// Ends one that serves tenants, workers or a server; says whether there was one.
    pub(super) async fn end_a_backend(&self) -> bool {
        let text = "select pg_terminate_backend(pid) from (select pid from pg_stat_activity
            where usename in ('freehold_app', 'freehold_project', 'freehold_control') order by random() limit 1) one";
        self.server.client().await.query_opt(text, &[]).await.unwrap().is_some()
    }

    /// Has the model's `label` carry one more column, or not.
    pub(super) fn define(&self, wider: bool) {
        let more = if wider { ", max(points) as most from" } else { " from" };
        let text =
            MODEL.replace(" from task group by label", &format!("{more} task group by label"));
        std::fs::write(self.dir.path().join("freehold.toml"), text).unwrap();
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.current_dir(self.dir.path()).args(arguments);
        command.args(["--database-url", &self.url(), "--key-file", "root.key"]);
        command.env_remove("DATABASE_URL").env_remove("FREEHOLD_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).spawn().unwrap())
    }

    pub(super) fn fine(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        let log = std::fs::read_to_string(self.dir.path().join("workers.log")).unwrap_or_default();
        let log: Vec<&str> = log.lines().rev().take(20).collect();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}, workers: {log:#?}");
        ended.out
    }

    pub(super) fn status(&self) -> Value {
        serde_json::from_str(&self.fine(&["status", "--json"])).unwrap()
    }

    /// How far behind the read models are, in a line.
    pub(super) fn lag(&self) -> String {
        let status = self.status();
        let reads = status["read_models"].as_array().unwrap().iter();
        let lag = reads.map(|read| {
            format!(
                "{} {} ms, {} behind, {} parked, {} followed",
                read["read"],
                read["lag_ms"],
                read["changes_behind"],
                read["parked"],
                read["changes_followed"]
            )
        });
        lag.collect::<Vec<_>>().join("; ")
    }

    /// Rows of all entities, past the wall.
    pub(super) async fn rows(&self) -> i64 {
        let text = "select (select count(*) from app.team) + (select count(*) from app.person)
            + (select count(*) from app.task) + (select count(*) from app.mark)";
        self.server.client().await.query_one(text, &[]).await.unwrap().get(0)
    }
}

/// Processes that keep read models up to date. They end with the value.
pub(super) struct Workers(Vec<Child>);

impl Workers {
    pub(super) fn start(house: &House, count: usize) -> Self {
        Self((0..count).map(|_| work(house)).collect())
    }

    /// Kills one, and starts another in its place. Says whether it was dead already.
    pub(super) fn kill_one(&mut self, house: &House, which: u64) -> bool {
        let worker = &mut self.0[usize::try_from(which).unwrap()];
        let gone = worker.try_wait().unwrap().is_some();
        worker.kill().unwrap();
        worker.wait().unwrap();
        *worker = work(house);
        gone
    }

    /// Starts those again that ended by themselves, as those may that met a server that was down when they began.
    pub(super) fn start_again(&mut self, house: &House) {
        for worker in &mut self.0 {
            if worker.try_wait().unwrap().is_some() {
                *worker = work(house);
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn work(house: &House) -> Child {
    let log = File::options().create(true).append(true).open(house.dir.path().join("workers.log"));
    let mut command = house.command(&["work"]);
    command.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap()
}
