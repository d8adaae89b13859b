//! Who may come in, and what the server says of itself.

use crate::harness::{House, is_ours};

const ROUTES: [&str; 7] = [
    "GET /rest/v1/note",
    "HEAD /rest/v1/note",
    "POST /rest/v1/note",
    "PATCH /rest/v1/note?number=eq.1",
    "DELETE /rest/v1/note?number=eq.1",
    "POST /query/note",
    "POST /transaction",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_route_opens_without_a_good_key() {
    let house = House::new().await;
    let server = house.serve();
    let (old, gone) = (house.key("a"), house.key("a"));
    house.fine(&["key", "revoke", &gone[..11]]);
    let client = house.db.client().await;
    let expire =
        "update freehold.api_key set expires_at = now() - interval '1 s' where prefix = $1";
    assert_eq!(client.execute(expire, &[&&old[..11]]).await.unwrap(), 1);
    let wrong = format!("{}0000", &old[..old.len() - 4]);
    for route in ROUTES {
        for key in ["", "x", "fh_", &wrong, &old, &gone] {
            for header in [format!("apikey: {key}"), format!("authorization: Bearer {key}")] {
                let answer = server.ask(route, &[&header], b"{}");
                assert_eq!(answer.status, 401, "{route} {header}: {answer:?}");
                assert!(answer.header("www-authenticate").is_some());
                assert!(route.starts_with("HEAD") || answer.json()["code"] == "PGRST301");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_a_suspended_tenant_are_refused_at_once() {
    let house = House::new().await;
    let (server, key, other) = (house.serve(), house.key("a"), house.key("b"));
    assert_eq!(server.as_tenant(&key, ROUTES[0], "").status, 200);
    house.fine(&["tenant", "suspend", "a"]);
    let answer = server.as_tenant(&key, ROUTES[0], "");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("FH002")), "{answer:?}");
    house.fine(&["tenant", "resume", "a"]);
    assert_eq!(server.as_tenant(&key, ROUTES[0], "").status, 200);
    house.fine(&["key", "revoke", &key[..11]]);
    assert_eq!(server.as_tenant(&key, ROUTES[0], "").status, 401);
    assert_eq!(server.as_tenant(&other, ROUTES[0], "").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_key_and_every_answer_has_an_id() {
    let house = House::new().await;
    let server = house.serve();
    for path in ["GET /health/live", "GET /health/ready", "GET /nowhere", "PUT /rest/v1/note"] {
        let answer = server.ask(path, &[], b"");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(32), "{answer:?}");
        is_ours(&answer.body);
    }
    assert_eq!(server.ask("GET /health/ready", &[], b"").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_no_path_has_is_refused_before_rights_are_asked_for() {
    let house = House::new().await;
    let server = house.serve();
    let reader = house.fine(&["key", "create", "--tenant", "a", "--role", "reader"]);
    for (path, allow) in [
        ("/rest/v1/note", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE,QUERY"),
        ("/transaction", "POST"),
        ("/admin/v1/keys", "GET,HEAD,POST"),
    ] {
        let answer = server.as_tenant(reader.trim(), &format!("PROPFIND {path}"), "");
        let code = answer.json()["code"].clone();
        assert_eq!((answer.status, code), (405, "PGRST117".into()), "{path}: {answer:?}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    // One that it has is asked for with its role.
    assert_eq!(server.as_tenant(reader.trim(), "DELETE /rest/v1/note?number=eq.1", "").status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_served_with_and_without_its_slash() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    let with = server.as_tenant(&key, "GET /rest/v1/", "");
    let without = server.as_tenant(&key, "GET /rest/v1", "");
    assert_eq!((with.status, without.status), (200, 200), "{without:?}");
    assert_eq!(with.body, without.body);
    assert_eq!(server.ask("GET /rest/v1", &[], b"").status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_wall_is_told_as_a_fault_of_ours() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    assert_eq!(server.as_tenant(&key, ROUTES[0], "").status, 200);
    let admin = house.db.client().await;
    let (off, on) = ("no force", "force");
    let force = |how: &str| format!("alter table app.note {how} row level security");
    admin.batch_execute(&force(off)).await.unwrap();
    crate::harness::until("the wall is examined", async || {
        server.ask("GET /ready", &[], b"").status == 503
    })
    .await;
    for path in ["GET /ready", ROUTES[0], "GET /rest/v1/person?select=id"] {
        let answer = server.as_tenant(&key, path, "");
        is_ours(&answer.body);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (503, &"PGRSTX00".into()),
            "{answer:?}"
        );
        assert!(!answer.body.contains("note"), "{answer:?}");
    }
    admin.batch_execute(&force(on)).await.unwrap();
    crate::harness::until("it is examined again", async || {
        server.as_tenant(&key, ROUTES[0], "").status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_die_cost_no_request_after_the_next() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    assert_eq!(server.as_tenant(&key, ROUTES[0], "").status, 200);
    house.number("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()").await;
    crate::harness::until("the server recovers", async || {
        let answer = server.as_tenant(&key, ROUTES[0], "");
        is_ours(&answer.body);
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200
    })
    .await;
}
