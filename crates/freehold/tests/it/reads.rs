//! Read models from the command line: how far they are, whether they are right, what could not be done.

use std::io::Write as _;

use serde_json::Value;

use crate::harness::House;

const MODEL: &str = r#"
[model]
name = "notes"

[entity.note.field]
author = { type = "text" }
number = { type = "integer", unique = true }

[read.by_author]
key = ["author"]
sql = "select author, count(*) as notes, 100 / (10 - max(number)) as share from note group by author"
"#;

async fn house() -> House {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    for arguments in [&["apply"][..], &["tenant", "create", "a"], &["tenant", "create", "b"]] {
        house.fine(arguments);
    }
    for (tenant, author) in [("a", "ann"), ("b", "bob")] {
        insert(&house, tenant, author, 1);
    }
    house.fine(&["work", "--once"]);
    house
}

fn insert(house: &House, tenant: &str, author: &str, number: i32) {
    let row = format!(r#"{{"author":"{author}","number":{number}}}"#);
    house.fine(&["insert", "note", &row, "--tenant", tenant]);
}

fn status(house: &House) -> Value {
    serde_json::from_str(&house.fine(&["status", "--json"])).unwrap()
}

#[tokio::test]
async fn status_says_how_far_read_models_are() {
    let house = house().await;
    let now = status(&house);
    let read = &now["read_models"][0];
    assert_eq!((&now["model_version"], &now["wall"]), (&1.into(), &"whole".into()), "{now}");
    assert_eq!((&read["filled"], &read["tenants"]), (&2.into(), &2.into()), "{now}");
    assert_eq!((&read["changes_behind"], &read["lag_ms"]), (&0.into(), &0.into()), "{now}");
    assert_eq!(now["behind"].as_array().unwrap().len(), 0, "{now}");

    insert(&house, "a", "ann", 2);
    insert(&house, "a", "eve", 3);
    let now = status(&house);
    assert_eq!(now["read_models"][0]["changes_behind"], 2, "{now}");
    assert!(now["read_models"][0]["lag_ms"].as_u64().unwrap() > 0, "{now}");
    let behind = now["behind"].as_array().unwrap();
    assert_eq!(behind.len(), 1, "{now}");
    assert_eq!((&behind[0]["tenant"], &behind[0]["changes_behind"]), (&"a".into(), &2.into()));
    let shown = house.fine(&["status", "--limit", "1"]);
    for part in ["model version 1, the wall is whole", "2 of 2", "furthest behind"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    let before = now["read_models"][0]["changes_followed"].as_u64().unwrap();
    assert_eq!(house.fine(&["work", "--once"]), "by_author is up to date, 2 of 2 tenants\n");
    let now = status(&house);
    assert_eq!(now["read_models"][0]["changes_behind"], 0, "{now}");
    assert_eq!(now["read_models"][0]["changes_followed"], before + 2, "{now}");
}

#[tokio::test]
async fn a_read_model_is_compared_with_its_definition() {
    let house = house().await;
    let right = house.fine(&["check", "read", "by_author"]);
    assert_eq!(right, "by_author is what its definition says, in 2 tenants\n");

    insert(&house, "a", "eve", 3);
    let wrong = house.run(&["check", "read", "by_author"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    for part in ["a: 1 missing, 0 too many, 0 different", "eve", "differs", "1 of 2 tenants"] {
        assert!(wrong.out.contains(part), "{part}: {wrong:?}");
    }
    assert!(!wrong.out.contains("b: "), "{wrong:?}");
    house.fine(&["check", "read", "by_author", "--tenant", "b"]);
    let wrong = house.run(&["check", "read", "by_author", "--tenant", "a", "--json"]);
    let told: Value = serde_json::from_str(&wrong.out).unwrap();
    assert_eq!((wrong.code, &told["right"]), (Some(1), &false.into()), "{told}");
    assert_eq!(told["tenants"][0]["missing"], 1, "{told}");
    assert!(told["tenants"][0]["sample"].to_string().contains("eve"), "{told}");

    house.fine(&["work", "--once"]);
    house.fine(&["check", "read", "by_author"]);
    let unknown = house.run(&["check", "read", "by_autor"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("no such read model"), "{unknown:?}");
    assert_eq!(house.run(&["check", "read", "by_author", "--tenant", "c"]).code, Some(1));
    assert!(house.fine(&["check"]).contains("is right"));
}

#[tokio::test]
async fn what_is_parked_is_shown_and_tried_again() {
    let house = house().await;
    insert(&house, "a", "eve", 10);
    insert(&house, "a", "ann", 2);
    house.fine(&["work", "--once"]);
    let shown = house.fine(&["status"]);
    for part in ["parked", "by_author of a: eve [", "tried 1 time,"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let now = status(&house);
    assert_eq!(
        (&now["parked"][0]["tenant"], &now["parked"][0]["unit"][0]),
        (&"a".into(), &"eve".into())
    );
    assert_eq!(now["read_models"][0]["parked"], 1, "{now}");
    // The others went on.
    assert!(
        house.fine(&["query", "by_author?author=eq.ann", "--tenant", "a"]).contains(r#""notes":2"#)
    );

    house.fine(&["update", "note?author=eq.eve", r#"{"number":9}"#, "--tenant", "a"]);
    assert_eq!(
        house.fine(&["replay", "by_author"]),
        "1 parked unit to be tried again by the workers\n"
    );
    assert_eq!(house.run(&["replay", "by_autor"]).code, Some(1));
    house.fine(&["work", "--once"]);
    assert_eq!(status(&house)["parked"].as_array().unwrap().len(), 0);
    house.fine(&["check", "read", "by_author"]);
    assert_eq!(house.fine(&["replay"]), "0 parked units to be tried again by the workers\n");
}

#[tokio::test]
async fn status_says_what_breaks_the_wall() {
    let house = house().await;
    let admin = house.db.client().await;
    admin.batch_execute("alter table app.note no force row level security").await.unwrap();
    let told = house.run(&["status"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("wall between tenants is broken") && told.err.contains("app.note"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_all_tenants_together_on_a_port_of_their_own() {
    let house = house().await;
    insert(&house, "a", "ann", 2);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--no-workers", "--metrics"];
    let mut child =
        house.command(&[&arguments[..], &[&port.to_string()]].concat()).spawn().unwrap();
    crate::harness::until("the metrics are served", async || {
        std::net::TcpStream::connect(port).is_ok()
    })
    .await;
    let mut stream = std::net::TcpStream::connect(port).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let answer = crate::harness::answer(&mut stream);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(answer.status, 200, "{answer:?}");
    for line in [
        "# TYPE freehold_read_model_lag_seconds gauge",
        r#"freehold_read_model_lag_changes{read="by_author",definition="1"} 1"#,
        r#"freehold_read_model_filled_tenants{read="by_author",definition="1"} 2"#,
        r#"freehold_read_model_parked_units{read="by_author",definition="1"} 0"#,
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line}: {}", answer.body);
    }
    assert_eq!(house.serve().ask("GET /metrics", &[], b"").status, 404);
}
