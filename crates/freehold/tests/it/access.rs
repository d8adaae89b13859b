//! Who may come in, and how much: every route with every kind of caller, roles, tokens, limits, and the end of a server.
//! The list is `expect/access.txt`; its routes are read from `http.rs`, so that a new one fails until it is recorded with
//! `UPDATE_EXPECT=1`.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::{House, Served, answer};

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";
const JWT: &str =
    "[auth.jwt]\nsecret_file = \"jwt.secret\"\ntenant_claim = \"tenant\"\nrole_claim = \"role\"\n";
const VERBS: [&str; 7] = ["get", "head", "post", "patch", "put", "delete", "any"];

/// Method and path of every route.
fn routes() -> Vec<(String, String)> {
    let source = include_str!("../../src/http.rs");
    let mut routes = Vec::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap().to_owned();
        let methods = route.split_once(',').unwrap().1.split(".route").next().unwrap();
        for verb in VERBS {
            let called = |text: &str| {
                methods.match_indices(text).any(|(at, _)| {
                    !methods[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || before == '_')
                })
            };
            if called(&format!("{verb}(")) {
                routes.push((verb.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(routes.len() >= 12, "{routes:?}");
    routes
}

pub(crate) fn token(tenant: &str, role: &str, life: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let exp = i64::try_from(now).unwrap() + life;
    let claims = json!({"tenant": tenant, "role": role, "exp": exp});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn key(house: &House, tenant: &str, role: &str) -> String {
    house.fine(&["key", "create", "--tenant", tenant, "--role", role]).trim().to_owned()
}

fn configured(house: &House, text: &str) -> Served {
    house.write("jwt.secret", SECRET);
    house.write("freehold.server.toml", text);
    house.serve_with(&["--config", "freehold.server.toml"])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_whom_the_list_says() {
    let house = House::new().await;
    house.fine(&["tenant", "create", "closed"]);
    let (expired, revoked) = (key(&house, "a", "admin"), key(&house, "a", "admin"));
    let suspended = key(&house, "closed", "admin");
    let server = configured(&house, JWT);
    let admin = key(&house, "a", "admin");
    let secret = r#"{"number": 1, "title": "a secret of a"}"#;
    assert_eq!(server.as_tenant(&admin, "POST /rest/v1/note", secret).status, 201);
    house.fine(&["key", "revoke", &revoked[..11]]);
    house.fine(&["tenant", "suspend", "closed"]);
    let expire =
        "update freehold.api_key set expires_at = now() - interval '1 s' where prefix = $1";
    house.db.client().await.execute(expire, &[&&expired[..11]]).await.unwrap();
    let callers = [
        ("no key", String::new()),
        ("wrong key", format!("{}0000", &admin[..admin.len() - 4])),
        ("expired", expired),
        ("revoked", revoked),
        ("suspended", suspended),
        ("old token", token("a", "admin", -3_600)),
        ("bad token", token("a", "admin", 60) + "x"),
        ("no tenant", token("nobody", "admin", 60)),
        ("closed", token("closed", "admin", 60)),
        ("reader", key(&house, "a", "reader")),
        ("r. token", token("a", "reader", 60)),
        ("writer", key(&house, "a", "writer")),
        ("b's admin", key(&house, "b", "admin")),
        ("admin", admin),
    ];
    let mut text = "Each route and caller: the status of a refusal, or `in`.\n\n".to_owned();
    let _ = write!(text, "{:<32}", "");
    callers.iter().for_each(|(name, _)| text += &format!("{name:<11}"));
    for (method, path) in routes() {
        let _ = write!(text, "\n{:<32}", format!("{method} {path}"));
        let path = path.replace("{entity}", "note").replace("{id}", "fh_none");
        for (name, key) in &callers {
            let header = format!("authorization: Bearer {key}");
            let headers: &[&str] = if key.is_empty() { &[] } else { &[&header] };
            let answer = server.ask(&format!("{method} {path}"), headers, b"{}");
            assert!(
                answer.status != 0 && answer.status < 500,
                "{method} {path} {name}: {answer:?}"
            );
            assert!(
                *name == "admin"
                    || *name == "reader"
                    || *name == "writer"
                    || *name == "r. token"
                    || !answer.body.contains("a secret of a"),
                "{method} {path} {name}"
            );
            let shown = match answer.status {
                401 | 403 | 429 => answer.status.to_string(),
                _ => "in".to_owned(),
            };
            text += &format!("{shown:<11}");
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/expect/access.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_manages_the_keys_of_one_tenant() {
    let house = House::new().await;
    let server = configured(&house, JWT);
    let (a, b) = (key(&house, "a", "admin"), key(&house, "b", "admin"));
    let wanted = r#"{"name": "ci", "role": "reader", "expires": 30}"#;
    let made = server.as_tenant(&a, "POST /admin/v1/keys", wanted);
    assert_eq!(made.status, 201, "{made:?}");
    let reader = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(server.as_tenant(&reader, "GET /rest/v1/note", "").status, 200);
    let write = server.as_tenant(&reader, "POST /rest/v1/note", r#"{"number": 1, "title": "x"}"#);
    assert_eq!((write.status, &write.json()["code"]), (403, &json!("42501")));
    let listed = server.as_tenant(&a, "GET /admin/v1/keys", "").json();
    let of =
        |name: &str| listed.as_array().unwrap().iter().filter(|key| key["name"] == name).count();
    assert_eq!((of("ci"), of("default")), (1, 1), "{listed}");
    assert!(!listed.to_string().contains(&reader));
    let path = format!("DELETE /admin/v1/keys/{}", &reader[..11]);
    assert_eq!(server.as_tenant(&b, &path, "").status, 404);
    assert_eq!(server.as_tenant(&a, &path, "").status, 204);
    assert_eq!(server.as_tenant(&reader, "GET /rest/v1/note", "").status, 401);
    for wrong in ["{}", r#"{"name": "", "role": "reader"}"#, r#"{"name": "x", "role": "root"}"#] {
        assert_eq!(server.as_tenant(&a, "POST /admin/v1/keys", wrong).status, 400, "{wrong}");
    }
    // Revoked a moment ago, and still recognised: the database is asked.
    house.fine(&["key", "revoke", &a[..11]]);
    assert_eq!(server.as_tenant(&a, "GET /admin/v1/keys", "").status, 401);
    assert_eq!(server.as_tenant(&a, "POST /admin/v1/keys", wanted).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readers_sql_does_not_write() {
    let house = House::new().await;
    for text in [
        "delete from app.note",
        "begin; set transaction read write; delete from app.note",
        "set session characteristics as transaction read write; delete from app.note",
    ] {
        let ended = house.run(&["sql", "--tenant", "a", "--role", "reader", text]);
        assert!(ended.code != Some(0) && ended.err.contains("read"), "{text}: {ended:?}");
    }
    house.fine(&["sql", "--tenant", "a", "--role", "reader", "select count(*) from app.note"]);
    house.fine(&["sql", "--tenant", "a", "delete from app.note"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_sizes_and_slow_clients_are_limited() {
    let house = House::new().await;
    let text = "[keys]\nrate = 1\nburst = 3\n[limits]\nheader_seconds = 1\nbody_seconds = 1\nurl_bytes = 300\nbody_bytes = 1000\n\
                [cors]\norigins = [\"https://app.example\"]\n";
    let server = configured(&house, text);
    let (a, b) = (house.key("a"), house.key("b"));
    let first: Vec<u16> =
        (0..5).map(|_| server.as_tenant(&a, "GET /rest/v1/note?limit=1", "").status).collect();
    assert_eq!(first[..3], [200, 200, 200], "{first:?}");
    assert!(first[3..].contains(&429), "{first:?}");
    let late = server.as_tenant(&a, "GET /rest/v1/note?limit=1", "");
    if late.status == 429 {
        assert!(late.header("retry-after").is_some() && late.json()["code"] == "FH005", "{late:?}");
    }
    assert_eq!(
        server.as_tenant(&b, &format!("GET /rest/v1/note?title=eq.{}", "x".repeat(400)), "").status,
        413
    );
    assert_eq!(server.as_tenant(&b, "POST /rest/v1/note", &" ".repeat(1_001)).status, 413);

    let preflight = [
        "origin: https://app.example",
        "access-control-request-method: PATCH",
        "access-control-request-headers: prefer",
    ];
    let answer = server.ask("OPTIONS /rest/v1/note", &preflight, b"");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some("https://app.example")),
        "{answer:?}"
    );
    let other =
        server.ask("GET /live", &["origin: https://other.example", "x-request-id: mine-1"], b"");
    assert_eq!(
        (other.header("access-control-allow-origin"), other.header("x-request-id")),
        (None, Some("mine-1"))
    );

    // Headers that never end, and a body that never comes.
    let begun = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n").unwrap();
    answer_of(&mut slow);
    let mut slow = server.connect();
    let head = format!(
        "POST /rest/v1/note HTTP/1.1\r\nhost: x\r\napikey: {b}\r\nconnection: close\r\ncontent-length: 10\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(answer_of(&mut slow), 400);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

fn answer_of(stream: &mut std::net::TcpStream) -> u16 {
    answer(stream).status
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_flood_does_not_starve_another() {
    let house = House::new().await;
    let server = configured(&house, "[limits]\nrunning = 4\n[tenants]\nrunning = 4\n");
    let (a, b) = (house.key("a"), house.key("b"));
    let line = "GET /rest/v1/note?select=title";
    let median = |count: usize| {
        let mut took: Vec<Duration> = (0..count)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(server.as_tenant(&b, line, "").status, 200);
                begun.elapsed()
            })
            .collect();
        took.sort_unstable();
        took[count / 2]
    };
    let quiet = median(40);
    let stop = AtomicBool::new(false);
    let (flooded, floods) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..48)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        done += u32::from(server.as_tenant(&a, line, "").status == 200);
                    }
                    done
                })
            })
            .collect();
        let flooded = median(40);
        stop.store(true, Ordering::Relaxed);
        (flooded, threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>())
    });
    println!("b alone {quiet:?}, beside 48 clients of a with {floods} answers {flooded:?}");
    assert!(floods > 40, "{floods}");
    // In one line behind 48 others it would take some twelve times of a request and more.
    assert!(flooded < quiet * 100 + Duration::from_millis(500), "{quiet:?} {flooded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_finishes_what_it_has_begun() {
    let house = House::new().await;
    let mut server = configured(&house, "");
    let key = house.key("a");
    let body = r#"{"number": 7, "title": "the last"}"#;
    let head = format!(
        "POST /rest/v1/note HTTP/1.1\r\nhost: x\r\napikey: {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut begun = server.connect();
    begun.write_all(head.as_bytes()).unwrap();
    begun.write_all(&body.as_bytes()[..10]).unwrap();
    crate::harness::until("the request has begun", async || {
        server.ask("GET /live", &[], b"").status == 200
    })
    .await;
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    crate::harness::until("no connection is taken any more", async || {
        std::net::TcpStream::connect(server.address()).is_err()
    })
    .await;
    begun.write_all(&body.as_bytes()[10..]).unwrap();
    let last = answer(&mut begun);
    assert_eq!(last.status, 201, "{last:?}");
    assert!(server.child.wait().unwrap().success());
    assert_eq!(house.number("select count(*) from app.note where number = 7").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_by_route_and_never_show_values() {
    let house = House::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = house.serve_with(&["--metrics", &port.to_string()]);
    let key = house.key("a");
    server.as_tenant(&key, "GET /rest/v1/note?title=eq.hidden", "");
    server.as_tenant("fh_wrong", "GET /rest/v1/note", "");
    let mut stream = std::net::TcpStream::connect(port).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let text = answer(&mut stream).body;
    for line in [
        "freehold_requests_total{route=\"/rest/v1/{entity}\",method=\"GET\",status=\"200\"} 1",
        "freehold_refusals_total{code=\"PGRST301\"} 1",
        "freehold_request_seconds_count{route=\"/rest/v1/{entity}\"} 2",
        "freehold_requests_waiting 0",
        "freehold_ready 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("hidden"));
    let _: Value = server.ask("GET /nowhere", &[], b"").json();
}
