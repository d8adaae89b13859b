//! Kept answers over HTTP, between two servers.

use crate::harness::{House, until};

const READ: &str = "GET /rest/v1/note?select=number,title&order=number";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_how_it_was_kept_and_who_has_it_gets_no_rows() {
    let house = House::new().await;
    let (server, other) = (house.serve(), house.serve());
    let key = format!("apikey: {}", house.key("a"));
    let theirs = format!("apikey: {}", house.key("b"));
    let post = |number: u32| {
        let body = format!("{{\"number\":{number},\"title\":\"x\"}}");
        let answer = server.ask("POST /rest/v1/note", &[&key], body.as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.header("consistency-token").unwrap().to_owned()
    };
    post(1);
    calm(&house).await;
    let first = server.ask(READ, &[&key], b"");
    assert_eq!(first.header("cache-status"), Some("Freehold; fwd=uri-miss; stored"), "{first:?}");
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    assert!(first.header("vary").unwrap().contains("Apikey"));
    let etag = first.header("etag").unwrap().to_owned();

    let again = server.ask(READ, &[&key], b"");
    assert_eq!(again.header("cache-status"), Some("Freehold; hit"));
    assert_eq!((again.header("etag"), &again.body), (Some(&*etag), &first.body));
    assert_eq!(again.header("content-range"), first.header("content-range"));
    assert!(again.header("age").is_some() && again.header("consistency-token").is_some());

    let has = format!("if-none-match: {etag}");
    let unchanged = server.ask(READ, &[&key, &has], b"");
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{unchanged:?}");
    assert_eq!(unchanged.header("etag"), Some(&*etag));
    // In another form it is another answer, and to another tenant.
    let one = server.ask(READ, &[&key, "accept: application/vnd.pgrst.object+json", &has], b"");
    assert_eq!(one.status, 200, "{one:?}");
    let csv = server.ask(READ, &[&key, "accept: text/csv", &has], b"");
    assert_eq!(
        (csv.status, csv.header("cache-status")),
        (200, Some("Freehold; fwd=uri-miss; stored"))
    );
    let foreign = server.ask(READ, &[&theirs, &has], b"");
    assert_eq!((foreign.status, &*foreign.body), (200, "[]"));

    let token = format!("consistency-token: {}", post(2));
    calm(&house).await;
    let changed = server.ask(READ, &[&key, &has], b"");
    assert_eq!(
        (changed.status, changed.header("cache-status")),
        (200, Some("Freehold; fwd=stale; stored"))
    );
    for server in [&server, &other] {
        let read = server.ask(READ, &[&key, &token], b"");
        assert_eq!(read.body, changed.body, "a session sees what it wrote, on whichever server");
        let token = format!("consistency-token: {}", read.header("consistency-token").unwrap());
        assert_eq!(other.ask(READ, &[&key, &token], b"").body, changed.body);
    }
    let bounded = server.ask(READ, &[&key, "consistency: bounded; max-age=60"], b"");
    assert_eq!(bounded.header("cache-status"), Some("Freehold; hit"));
    let strong = other.ask(READ, &[&key, "consistency: strong"], b"");
    assert_eq!(strong.body, changed.body);
    let wrong = server.ask(READ, &[&key, "consistency: weak"], b"");
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (400, Some("PGRST122")), "{wrong:?}");
    let vector = server.ask("GET /rest/v1/note?day=eq.today", &[&key], b"");
    assert_eq!(vector.header("cache-status"), Some("Freehold; fwd=bypass; detail=time"));
}

/// Until what was begun before the last write has ended, in whichever test, stamps may change although nothing does.
async fn calm(house: &House) {
    let client = house.db.client().await;
    let text = "select not exists (select from pg_snapshot_xip(pg_current_snapshot()) x \
                where x < (select v.xid from freehold.version_note v order by v.xid desc limit 1))";
    until("no transaction is older than the last write", async || {
        client.query_one(text, &[]).await.unwrap().get(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_to_keep_nothing_reads_each_time() {
    let house = House::new().await;
    house.write("freehold.server.toml", "[cache]\nmemory_mib = 0\n");
    let server = house.serve_with(&["--config", "freehold.server.toml"]);
    for tenant in ["a", "b"] {
        let key = format!("apikey: {}", house.key(tenant));
        for _ in 0..2 {
            let read = server.ask(READ, &[&key], b"");
            let status = read.header("cache-status");
            assert_eq!((read.status, status), (200, Some("Freehold; fwd=bypass; detail=off")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_servers_keep() {
    let house = House::new().await;
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ports = [port(), port()].map(|port| port.to_string());
    let servers = ports.each_ref().map(|port| house.serve_with(&["--metrics", port]));
    let key = format!("apikey: {}", house.key("a"));
    calm(&house).await;
    for server in &servers {
        for _ in 0..3 {
            assert_eq!(server.ask(READ, &[&key], b"").status, 200);
        }
    }
    let urls = ports.map(|port| format!("http://{port}"));
    let told = house.fine(&["status", "--json", "--metrics", &urls[0], "--metrics", &urls[1]]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let notes = &told["cache"]["relations"][0];
    assert_eq!(notes["relation"], "note", "{told}");
    assert_eq!(
        (&notes["reads"], &notes["missed"], &notes["hits"]),
        (&6.into(), &2.into(), &4.into())
    );
    assert_eq!(told["cache"]["entries"], 2, "{told}");
    let shown = house.fine(&["status", "--metrics", &urls[0][7..]]);
    assert!(shown.contains("66.7 %") && shown.contains("not kept"), "{shown}");
    let nowhere = house.run(&["status", "--metrics", &servers[0].url()]);
    assert!(nowhere.code == Some(1) && nowhere.err.contains("--metrics"), "{nowhere:?}");
}
