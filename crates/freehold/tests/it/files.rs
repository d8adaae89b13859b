//! Files that commands write: whole or not there, and never at the cost of what was there before.

use std::{io::Read as _, process::Command};

use serde_json::Value;

use crate::harness::{House, ended, until};

/// What is in the house's folder beside what it began with.
fn made(house: &House) -> Vec<String> {
    let names = std::fs::read_dir(house.dir.path()).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !["freehold.toml", "root.key", ".freehold"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_refused_leaves_what_was_there() {
    let house = House::new().await;
    house.fine(&["insert", "note", r#"[{"number":1,"title":"x"}]"#, "--tenant", "a"]);
    house.write("notes.jsonl", "before");
    let vectors = "--vectors=mark=marks.f32";
    for (arguments, code) in [
        (&["export", "nope", "notes.jsonl"][..], 1),
        (&["export", "note", "notes.txt"], 1),
        // The one row has no mark.
        (&["export", "note", "notes.jsonl", vectors], 1),
    ] {
        let ended = house.run(&[arguments, &["--tenant", "a"]].concat());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert_eq!(made(&house), ["notes.jsonl"], "{arguments:?}");
        assert_eq!(std::fs::read_to_string(house.path("notes.jsonl")).unwrap(), "before");
    }
    let nowhere = house.run(&["export", "note", "nowhere/notes.jsonl", "--tenant", "a"]);
    assert!(nowhere.err.contains("nowhere/notes.jsonl cannot be made"), "{nowhere:?}");
    assert!(!nowhere.err.contains(".part"), "{nowhere:?}");
    let told = house.run(&["export", "note", "notes.jsonl", "--tenant", "a"]);
    assert_eq!((told.code, told.err.trim()), (Some(0), "1 row of note"), "{told:?}");
    assert_eq!(made(&house), ["notes.jsonl"]);
    let line = std::fs::read_to_string(house.path("notes.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["number"], 1, "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_half_a_file_and_what_was_there() {
    let house = House::new().await;
    house.fine(&["insert", "note", r#"[{"number":1,"title":"x"}]"#, "--tenant", "a"]);
    house.write("notes.jsonl", "before");
    // Nobody reads the pipe, so the export waits there.
    assert!(Command::new("mkfifo").arg(house.path("marks.f32")).status().unwrap().success());
    for signal in ["-INT", "-TERM"] {
        let exporting = ["export", "note", "notes.jsonl", "--vectors=mark=marks.f32", "--tenant=a"];
        let child = house.command(&exporting).spawn().unwrap();
        until("the export has begun its file", async || made(&house).len() == 3).await;
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let ended = ended(child);
        assert_eq!((ended.code, ended.err.trim()), (Some(130), "stopping"), "{ended:?}");
        assert_eq!(made(&house), ["marks.f32", "notes.jsonl"]);
        assert_eq!(std::fs::read_to_string(house.path("notes.jsonl")).unwrap(), "before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_what_waits_for_somebody_to_read() {
    let house = House::new().await;
    let rows: Vec<_> = (0..500)
        .map(|number| serde_json::json!({ "number": number, "title": "x".repeat(1_000) }))
        .collect();
    house.write("rows.json", serde_json::to_string(&rows).unwrap());
    house.fine(&["insert", "note", "@rows.json", "--tenant", "a"]);
    let mut child = house.command(&["export", "note", "--tenant", "a"]).spawn().unwrap();
    // Some of the answer is there, and more than a pipe holds comes after it.
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_goes_on_keeps_the_rejects_of_before() {
    let house = House::new().await;
    house.write("notes.jsonl", "{\"number\":1,\"title\":\"x\"}\n{\"number\":2}\n{\"number\":3}\n");
    let import = ["import", "note", "notes.jsonl", "--tenant", "a"];
    assert_eq!(house.run(&import).code, Some(1));
    house.write("bad.jsonl", "of before\n");
    let rejects = || std::fs::read_to_string(house.path("bad.jsonl")).unwrap();
    let skipping = [&import[..], &["--skip-bad", "--rejects", "bad.jsonl"]].concat();
    let resumed = house.run(&skipping);
    assert!(resumed.err.contains("going on after 1 row loaded before"), "{resumed:?}");
    assert_eq!((resumed.code, rejects().lines().count()), (Some(4), 3), "{}", rejects());
    assert!(rejects().starts_with("of before\n"), "{}", rejects());
    // A new import of the same file begins anew: now its first row is there already.
    assert_eq!(house.run(&skipping).code, Some(4));
    assert_eq!(rejects().lines().count(), 3, "{}", rejects());
    assert!(!rejects().contains("of before"), "{}", rejects());
    // So does one without a bad row.
    house.write("notes.jsonl", "{\"number\":4,\"title\":\"x\"}\n");
    assert_eq!(house.run(&skipping).code, Some(0));
    assert_eq!(rejects(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_quotes_come_out_of_an_export_as_json() {
    let house = House::empty().await;
    let name = r#"a "b\c""#;
    house.write(
        "freehold.toml",
        format!("[model]\nname = \"q\"\n[entity.q.field]\n'{name}' = {{ type = \"text\" }}\nv = {{ vector = 2 }}\n"),
    );
    house.fine(&["apply"]);
    house.fine(&["tenant", "create", "a"]);
    house.fine(&["tenant", "create", "b"]);
    let row = serde_json::json!({ name: "x", "v": [1, 2] }).to_string();
    house.fine(&["insert", "q", &row, "--tenant", "a"]);
    let lines = house.fine(&["export", "q", "--tenant", "a", "--vectors", "v=v.f32"]);
    let row: Value = serde_json::from_str(lines.trim()).unwrap_or_else(|_| panic!("{lines}"));
    assert_eq!(row[name], "x", "{lines}");
}
