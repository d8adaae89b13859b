//! The keystore from the command line: a change of keys that is killed, and the drill of a restore.

use std::{fmt::Write as _, process::Command};

use freehold_testkit::OwnServer;
use serde_json::{Value, json};

use crate::harness::{Ended, House, ended, is_ours, until};

const MODEL: &str = "
[model]
name = \"people\"
[personal.contact]
purpose = \"account\"
basis = \"contract\"
retention = \"3 years\"
[entity.person]
subject = true
[entity.person.field]
handle = { type = \"text\", unique = true, not_personal = \"a number\" }
email = { type = \"text\", personal = \"contact\", lookup = \"email\", optional = true }
";

const ALL: [&str; 2] = ["query", "person?select=handle,email&order=handle"];

async fn house() -> House {
    let mut house = House::empty().await;
    house.write("freehold.toml", MODEL);
    let keystore = house.path("keystore").display().to_string();
    house.environment.push(("FREEHOLD_KEYSTORE", keystore));
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    house
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn people(house: &House, tenant: &str) -> Value {
    json_of(&house.fine(&[&ALL[..], &["--tenant", tenant, "--json"]].concat()))
}

fn person(name: &str) -> Value {
    json!({ "handle": name, "email": format!("{name}@example.org") })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_served_when_it_knows_whom_to_forget() {
    let house = house().await;
    assert!(house.fine(&["keys", "status"]).contains("no keystore"));
    house.fine(&["keys", "init"]);
    for tenant in ["a", "b"] {
        let both = json!([person("ada"), person("bob")]).to_string();
        house.fine(&["insert", "person", &both, "--tenant", tenant]);
    }
    house.fine(&["tenant", "create", "gone"]);
    house.fine(&["insert", "person", &person("eve").to_string(), "--tenant", "gone"]);
    let backup = house.db.copy().await;
    house.fine(&["tenant", "delete", "gone", "--confirm", "gone"]);
    let query = ["query", "person?handle=eq.ada&select=id", "--tenant", "a", "--json"];
    let id = json_of(&house.fine(&query))[0]["id"].as_str().unwrap().to_owned();
    house.fine(&["erase", "person", &id, "--tenant", "a"]);
    assert!(house.fine(&["keys", "status"]).contains("opens from backups"));
    let rotated = json_of(&house.fine(&["keys", "rotate", "epoch", "--json"]));
    assert_eq!(rotated["epoch"], 2);
    assert_eq!(people(&house, "a"), json!([person("bob")]));
    let listed = json_of(&house.fine(&["erase", "list", "--json"]));
    assert!(listed[0]["unreadable"].is_string(), "{listed}");

    let House { db, dir, environment } = house;
    let restored = House { db: backup, dir, environment };
    for command in [&ALL[..], &["erase", "list"], &["keys", "rotate", "epoch"]] {
        let mut command = command.to_vec();
        if command[0] == "query" {
            command.extend(["--tenant", "b"]);
        }
        let refused = restored.run(&command);
        is_ours(&refused.err);
        assert!(refused.code == Some(1) && refused.err.contains("keys replay"), "{refused:?}");
    }
    let status = json_of(&restored.fine(&["keys", "status", "--json"]));
    let told = (&status["behind"], &status["unknown"], &status["tenants"]);
    assert_eq!(told, (&json!(true), &json!(2), &json!(1)), "{status}");
    let imported = json_of(&restored.fine(&["keys", "import", "--json"]));
    assert_eq!((&imported["taken"], &imported["dropped"]), (&json!(2), &json!(1)), "{imported}");

    let server = restored.serve();
    let there = "select count(*) from app.person p join freehold.tenant t on t.id = p.tenant_id where t.state = 'active'";
    assert_eq!(restored.number(there).await, 3, "before anybody asks");
    let closed = restored.run(&[&ALL[..], &["--tenant", "gone"]].concat());
    assert_eq!(closed.code, Some(1), "{closed:?}");
    let key = restored.key("a");
    let answer = server.as_tenant(&key, "GET /rest/v1/person?select=handle,email", "");
    assert_eq!(answer.json(), json!([person("bob")]));
    drop(server);
    assert_eq!(people(&restored, "b"), json!([person("ada"), person("bob")]));
    assert!(restored.fine(&["erase", "receipts"]).lines().count() >= 3);
    let replayed = json_of(&restored.fine(&["keys", "replay", "--json"]));
    assert_eq!(replayed, json!({ "erasures": 0, "receipts": 0, "tenants": 1 }));
    assert_eq!(restored.number("select count(*) from app.person").await, 3);

    let bob = json_of(&restored.fine(&[
        "query",
        "person?handle=eq.bob&select=id",
        "--tenant",
        "a",
        "--json",
    ]));
    let id = bob[0]["id"].as_str().unwrap();
    let rotate = ["keys", "rotate", "person", "person", id, "--tenant", "a", "--reseal", "--json"];
    assert_eq!(json_of(&restored.fine(&rotate)), json!({ "keys": 1, "values": 1 }));
    assert_eq!(people(&restored, "a"), json!([person("bob")]));
    drop(db);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_that_is_killed_goes_on() {
    let house = house().await;
    let mut lines = String::new();
    for number in 0..6_000 {
        let _ = writeln!(lines, "{}", person(&format!("p{number:05}")));
    }
    house.write("people.jsonl", lines);
    for tenant in ["a", "b"] {
        house.fine(&["import", "person", "people.jsonl", "--tenant", tenant]);
    }
    house.fine(&["keys", "init"]);
    // Before there was an epoch the tenants' keys were under the root key: both get others.
    let rotate = ["keys", "rotate", "epoch"];
    for moved in [1, 5_001, 6_001] {
        let mut child = house.command(&rotate).spawn().unwrap();
        let sql = format!(
            "select (count(*) >= {moved})::int::bigint from freehold.subject_key s join freehold.tenant_key k using (tenant_id) where s.wrap_gen = 1"
        );
        until("keys are moved", async || house.number(&sql).await == 1).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for tenant in ["a", "b"] {
            let some = people(&house, tenant);
            let some = some.as_array().unwrap();
            assert!(some.len() > 10 && some.iter().all(|person| person["email"].is_string()));
        }
    }
    house.fine(&rotate);
    let left = "select count(*) from freehold.subject_key s join freehold.tenant_key k using (tenant_id) \
                where s.wrap_gen <> 1 or k.gen <> 1 or k.old_wrapped is not null or k.epoch <> 2";
    assert_eq!(house.number(left).await, 0);
    let status = json_of(&house.fine(&["keys", "status", "--json"]));
    assert_eq!((&status["epoch"], &status["epochs"]), (&json!(2), &json!([2])), "{status}");
    for tenant in ["a", "b"] {
        let file = house.path(&format!("{tenant}.jsonl")).display().to_string();
        house.fine(&["export", "person", &file, "--tenant", tenant]);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches("@example.org").count(), 6_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_key_and_its_file_are_replaced() {
    let server = OwnServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("freehold.toml"), MODEL).unwrap();
    let key = dir.path().join("root.key");
    std::fs::write(&key, "07".repeat(32)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    let run = |arguments: &[&str]| -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.current_dir(dir.path()).args(arguments).env("DATABASE_URL", server.url());
        command.args(["--key-file", "root.key", "--json"]).env_remove("FREEHOLD_KEYSTORE");
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        ended(command.spawn().unwrap())
    };
    let fine = |arguments: &[&str]| {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    };
    fine(&["apply"]);
    for tenant in ["a", "b"] {
        fine(&["tenant", "create", tenant]);
        fine(&["insert", "person", &person("ada").to_string(), "--tenant", tenant]);
    }
    let early = run(&["keys", "rotate", "root"]);
    assert!(early.code == Some(1) && std::fs::read_to_string(&key).unwrap() == "07".repeat(32));
    fine(&["keys", "init"]);
    fine(&["keys", "rotate", "epoch"]);
    fine(&["keys", "rotate", "root"]);
    assert_ne!(std::fs::read_to_string(&key).unwrap().trim(), "07".repeat(32));
    assert!(!dir.path().join("root.next").exists());
    for tenant in ["a", "b"] {
        let all = fine(&[&ALL[..], &["--tenant", tenant]].concat());
        assert_eq!(json_of(&all), json!([person("ada")]));
    }
    // By hand: the new one is elsewhere, and the old one is not this server's any more.
    fine(&["keys", "rotate", "root", "--to", "other.key"]);
    assert_ne!(run(&[&ALL[..], &["--tenant", "a"]].concat()).code, Some(0));
    std::fs::rename(dir.path().join("other.key"), &key).unwrap();
    assert_eq!(json_of(&fine(&[&ALL[..], &["--tenant", "a"]].concat())), json!([person("ada")]));
}
