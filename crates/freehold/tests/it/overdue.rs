//! How far expiry is behind, as `status` and the metrics tell it; and that the server's own log says nothing of anybody.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use serde_json::{Value, json};

use crate::harness::{House, answer, until};

const MODEL: &str = "
[model]
name = \"overdue\"
[personal.contact]
purpose = \"account\"
basis = \"contract\"
retention = \"30 days\"
[entity.visit.field]
at = { type = \"timestamptz\", optional = true, not_personal = \"a time\" }
mail = { type = \"text\", personal = \"contact\", lookup = \"email\", unique = true, optional = true }
[[entity.visit.expire]]
delete = \"1 day after at\"
";

const MARK: &str = "q7zsealedmark";

async fn house() -> House {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
        let row = json!({ "at": "2020-01-01T00:00:00Z", "mail": format!("{tenant}@example.org") });
        house.fine(&["insert", "visit", &row.to_string(), "--tenant", tenant]);
    }
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_tell_how_far_expiry_is_behind() {
    let house = house().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = house.serve_with(&["--no-workers", "--metrics", &port.to_string()]);
    let metrics = || {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        answer(&mut stream).body
    };
    let gauge = |text: &str, name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let status = || -> Value { serde_json::from_str(&house.fine(&["status", "--json"])).unwrap() };

    // Nobody has been looked at yet, and nobody is overdue.
    assert_eq!(status()["expiry"], json!({ "lag_ms": 0, "tenants": 0 }));
    assert!(!house.fine(&["status"]).contains("expiry:"));
    let text = metrics();
    assert_eq!(gauge(&text, "freehold_expiry_lag_seconds"), 0.0);
    assert_eq!(gauge(&text, "freehold_expiry_tenants"), 0.0);

    // One was to be looked at two minutes ago, the other will be in an hour.
    let due = "insert into freehold.expiry (tenant_id, model, next_at) \
               select id, 1, now() + case name when 'a' then interval '-2 minutes' else interval '1 hour' end from freehold.tenant";
    house.db.client().await.batch_execute(due).await.unwrap();
    let told = status();
    assert_eq!(told["expiry"]["tenants"], 1);
    let late = told["expiry"]["lag_ms"].as_u64().unwrap();
    assert!((120_000..600_000).contains(&late), "{told}");
    let shown = house.fine(&["status"]);
    assert!(shown.contains("expiry: 1 tenant to be looked at"), "{shown}");
    let text = metrics();
    assert!((120.0..600.0).contains(&gauge(&text, "freehold_expiry_lag_seconds")), "{text}");
    assert_eq!(gauge(&text, "freehold_expiry_tenants"), 1.0);
    drop(server);

    // Workers look, and it is over.
    let mut server = house.serve_with(&[]);
    let lag = "select count(*) from freehold.expiry where next_at <= now()";
    until("workers have looked", async || house.number(lag).await == 0).await;
    assert_eq!(status()["expiry"], json!({ "lag_ms": 0, "tenants": 0 }));
    assert_eq!(house.number("select count(*) from app.visit").await, 1, "the one that was due");
    server.child.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_tell_of_what_has_no_receipt() {
    let house = house().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _server = house.serve_with(&["--no-workers", "--metrics", &port.to_string()]);
    let gauge = || {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let name = "freehold_expiry_rows_without_receipt ";
        let text = answer(&mut stream).body;
        text.lines().find_map(|line| line.strip_prefix(name)).expect("it is there").to_owned()
    };
    let status = || -> Value {
        serde_json::from_str::<Value>(&house.fine(&["status", "--json"])).unwrap()["receipts"]
            .clone()
    };
    let told: Value = serde_json::from_str(&house.fine(&["expire", "--once", "--json"])).unwrap();
    assert_eq!(told["receipts"], json!({ "written": 0, "rows_without": 2 }));
    assert_eq!(status(), json!({ "rows_without": 2, "rows_overdue": 0 }));
    assert_eq!(gauge(), "0");
    assert!(house.run(&["erase", "receipts"]).err.contains("no receipt yet of 2 expired rows"));

    let yesterday = "update freehold.rows_gone set at = at - interval '1 day'";
    house.db.client().await.batch_execute(yesterday).await.unwrap();
    assert_eq!(status(), json!({ "rows_without": 2, "rows_overdue": 2 }));
    assert!(
        house.fine(&["status"]).contains("receipts: 2 rows that expired on days that are over")
    );
    assert_eq!(gauge(), "2");
    // What was removed is told, and what cannot be receipted is an error.
    let may = |words: [&str; 2]| {
        format!(
            "{} execute on function freehold.rows_receipted(bigint[], uuid, bigint, text, text, text) {} freehold_control",
            words[0], words[1]
        )
    };
    house.db.client().await.batch_execute(&may(["revoke", "from"])).await.unwrap();
    let row = json!({ "at": "2020-01-01T00:00:00Z" });
    house.fine(&["insert", "visit", &row.to_string(), "--tenant", "a"]);
    let failed = house.run(&["expire", "--once"]);
    assert!(failed.code != Some(0) && failed.out.contains("delete 1 day after at"), "{failed:?}");
    house.db.client().await.batch_execute(&may(["grant", "to"])).await.unwrap();

    let told: Value =
        serde_json::from_str(&house.fine(&["expire", "--once", "--receipts", "--json"])).unwrap();
    assert_eq!(told["receipts"], json!({ "written": 3, "rows_without": 0 }));
    assert_eq!(status(), json!({ "rows_without": 0, "rows_overdue": 0 }));
    assert_eq!(gauge(), "0");
    assert_eq!(house.fine(&["erase", "receipts"]).lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_log_says_nothing_of_anybody() {
    let mut house = house().await;
    house.environment.push(("FREEHOLD_LOG", "trace".into()));
    let key = house.key("a");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let arguments = ["serve", "--listen", &port.to_string()];
    let mut child = house.command(&arguments).spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        log.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    until("it listens", async || TcpStream::connect(port).is_ok()).await;
    let ask = |line: &str, body: &str| {
        let mut stream = TcpStream::connect(port).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napikey: {key}\r\nx-planted: control\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        answer(&mut stream).status
    };
    let row = json!({ "mail": format!("{MARK}@example.org") }).to_string();
    assert_eq!(ask("POST /rest/v1/visit", &row), 201);
    assert_eq!(ask("POST /rest/v1/visit", &row), 409);
    assert_eq!(ask(&format!("GET /rest/v1/visit?mail=eq.{MARK}@example.org"), ""), 200);
    assert_eq!(ask(&format!("GET /rest/v1/visit?mail=gt.{MARK}"), ""), 400);
    assert_eq!(ask(&format!("GET /rest/v1/{MARK}"), ""), 404);
    assert_eq!(ask("POST /rest/v1/visit", &format!("{{\"mail\": \"{MARK}")), 400);
    child.kill().unwrap();
    child.wait().unwrap();
    let log = reader.join().unwrap();
    // The control: each of the requests is in it.
    assert!(log.matches("/rest/v1/{entity}").count() >= 5, "{log}");
    let said: Vec<&str> = log.lines().filter(|line| line.contains(MARK)).collect();
    assert!(said.is_empty(), "{said:#?}");
}
