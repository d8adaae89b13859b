//! Rows over HTTP, and the wall between two tenants on every route.

use serde_json::json;

use crate::harness::House;

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_read_changed_and_deleted() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    let ask = |line: &str, body: &str| server.as_tenant(&key, line, body);
    let ada = ask("POST /rest/v1/person", r#"{"handle":"ada"}"#);
    assert_eq!((ada.status, ada.header("content-range")), (201, Some("*/1")), "{ada:?}");
    let id = ada.json()[0]["id"].as_str().unwrap().to_owned();
    let rows = json!([
        {"number": 1, "title": "leases keep a cache right", "author": id, "mark": "[1,0,0]"},
        {"number": 2, "title": "roses want sun", "author": id, "mark": "[0,1,0]"},
        {"number": 3, "title": "caches and leases", "author": null, "mark": "[1,1,0]"},
    ]);
    assert_eq!(ask("POST /rest/v1/note", &rows.to_string()).status, 201);
    let found = ask(
        "GET /rest/v1/note?select=number,author(handle)&embedding=nearest.text:lease%20cache&author=not.is.null&limit=1",
        "",
    );
    assert_eq!(found.json(), json!([{"number": 1, "author": {"handle": "ada"}}]), "{found:?}");
    let near = ask("GET /rest/v1/note?select=number&mark=nearest.[0,1,0]&limit=2", "");
    assert_eq!(near.json(), json!([{"number": 2}, {"number": 3}]), "{near:?}");
    let page = ask("GET /rest/v1/note?select=number&order=number&limit=1&offset=1", "");
    assert_eq!((page.status, page.header("content-range")), (206, Some("1-1/3")), "{page:?}");
    assert_eq!(ask("GET /rest/v1/note?offset=9", "").status, 416);
    let merged = server.ask(
        "POST /rest/v1/note?on_conflict=number",
        &[
            &format!("authorization: Bearer {key}"),
            "prefer: resolution=merge-duplicates, return=representation",
        ],
        br#"{"number":2,"title":"roses want water"}"#,
    );
    assert_eq!((merged.status, &merged.json()[0]["title"]), (200, &json!("roses want water")));
    let changed = ask("PATCH /rest/v1/note?number=eq.3", r#"{"title":"moss"}"#);
    assert_eq!((changed.status, changed.header("content-range")), (200, Some("0-0/1")));
    let like = changed.json()[0]["id"].as_str().unwrap().to_owned();
    let row = ask(&format!("GET /rest/v1/note?select=number&mark=nearest.row:{like}&limit=5"), "");
    assert_eq!(row.json().as_array().map(Vec::len), Some(2), "{row:?}");
    let single = ["accept: application/vnd.pgrst.object+json", &format!("apikey: {key}")];
    let one = server.ask("GET /rest/v1/note?select=number&number=eq.1", &single, b"");
    assert_eq!(one.json(), json!({"number": 1}));
    assert_eq!(server.ask("GET /rest/v1/note?number=eq.77", &single, b"").status, 406);
    let head = server.ask("HEAD /rest/v1/note", &[&format!("apikey: {key}")], b"");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let gone = server.ask("DELETE /rest/v1/note?number=eq.1", &[&format!("apikey: {key}")], b"");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let long = ask("POST /query/note", "select=number&order=number");
    assert_eq!(long.json(), json!([{"number": 2}, {"number": 3}]), "{long:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    let send = |rows: serde_json::Value| {
        let body = json!({"changes": [
            {"insert": "person", "rows": [{"handle": "ada"}], "returning": true},
            {"insert": "note", "rows": rows},
        ]});
        server.as_tenant(&key, "POST /transaction", &body.to_string())
    };
    let refused = send(json!([{"number": 1, "title": "x"}, {"number": 1, "title": "y"}]));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("23505")), "{refused:?}");
    assert!(refused.body.contains("change 2"), "{refused:?}");
    assert_eq!(house.number("select count(*) from app.person").await, 0);
    let done = send(json!([{"number": 1, "title": "x"}]));
    assert_eq!((done.status, &done.json()[0]["rows"]), (200, &json!(1)), "{done:?}");
    assert_eq!(house.number("select count(*) from app.note").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_and_touches_nothing_through_any_route() {
    let house = House::new().await;
    let (server, a, b) = (house.serve(), house.key("a"), house.key("b"));
    let made = server.as_tenant(
        &a,
        "POST /rest/v1/note",
        r#"{"number":1,"title":"secret","mark":"[1,0,0]"}"#,
    );
    let id = made.json()[0]["id"].as_str().unwrap().to_owned();
    for line in [
        "GET /rest/v1/note".to_owned(),
        format!("GET /rest/v1/note?id=eq.{id}"),
        "GET /rest/v1/note?mark=nearest.[1,0,0]".into(),
        format!("GET /rest/v1/note?mark=nearest.row:{id}"),
        "GET /rest/v1/note?embedding=nearest.text:secret".into(),
        "GET /rest/v1/person?select=*,note(*)".into(),
        "POST /query/note".into(),
        format!("DELETE /rest/v1/note?id=eq.{id}"),
    ] {
        let answer = server.as_tenant(&b, &line, "");
        assert!(!answer.body.contains("secret"), "{line}: {answer:?}");
    }
    let changed =
        server.as_tenant(&b, &format!("PATCH /rest/v1/note?id=eq.{id}"), r#"{"title":"x"}"#);
    assert_eq!(changed.json(), json!([]));
    let taken = server.as_tenant(
        &b,
        "POST /rest/v1/note",
        &json!({"id": id, "number": 1, "title": "mine"}).to_string(),
    );
    assert_eq!(taken.status, 201, "a key of one tenant is free for another: {taken:?}");
    assert_eq!(
        house.fine(&["query", "note?select=title", "--tenant", "b", "--json"]),
        "[{\"title\":\"mine\"}]\n"
    );
    assert!(!house.fine(&["export", "note", "--tenant", "b"]).contains("secret"));
    assert!(
        !house.fine(&["sql", "--tenant", "b", "-c", "select * from app.note"]).contains("secret")
    );
    assert_eq!(house.number("select count(*) from app.note where title = 'secret'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_say_how_rows_are_given_and_written() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    let ask = |line: &str, headers: &[&str], body: &str| {
        let own = format!("apikey: {key}");
        server.ask(line, &[&[own.as_str()], headers].concat(), body.as_bytes())
    };
    let made = ask(
        "POST /rest/v1/note",
        &["prefer: return=headers-only, tx=commit"],
        r#"{"number":1,"title":"one"}"#,
    );
    let place = made.header("location").unwrap().to_owned();
    assert_eq!((made.status, made.body.as_str()), (201, ""), "{made:?}");
    assert!(place.starts_with("/rest/v1/note?id=eq."), "{place}");
    assert_eq!(made.header("preference-applied"), Some("return=headers-only, tx=commit"));

    let tried = ["prefer: tx=rollback, return=representation"];
    let tried = ask("POST /rest/v1/note?select=number", &tried, r#"{"number":2,"title":"two"}"#);
    assert_eq!((tried.status, tried.json()), (201, json!([{"number": 2}])), "{tried:?}");
    let title = |title: &str| json!({ "number": 1, "title": title }).to_string();
    assert_eq!(ask("PUT /rest/v1/note?number=eq.1", &[], &title("put")).status, 204);
    assert_eq!(ask("PUT /rest/v1/note?number=gt.0", &[], &title("x")).status, 405);
    assert_eq!(ask("PUT /rest/v1/note?number=eq.2", &[], &title("x")).json()["code"], "PGRST115");
    let rows = json!([{"number": 2, "title": "b,\"c\""}, {"number": 3, "title": "d"}]);
    let single = ["accept: application/vnd.pgrst.object+json", "prefer: return=representation"];
    assert_eq!(ask("POST /rest/v1/note", &single, &rows.to_string()).json()["code"], "PGRST116");
    assert_eq!(ask("POST /rest/v1/note", &[], &rows.to_string()).status, 201);

    let csv = ask("GET /rest/v1/note?select=number,title&order=number", &["accept: text/csv"], "");
    assert_eq!(csv.body, "number,title\n1,put\n2,\"b,\"\"c\"\"\"\n3,d", "{csv:?}");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let some = ask(
        "GET /rest/v1/note?select=number&order=number",
        &["range: 1-1", "prefer: count=planned"],
        "",
    );
    assert_eq!((some.status, some.header("content-range")), (206, Some("1-1/3")), "{some:?}");
    assert_eq!(some.header("content-location"), Some("/rest/v1/note?order=number&select=number"));
    assert_eq!(ask("GET /rest/v1/note", &["range: 2-1"], "").status, 416);
    let stripped = ["accept: application/vnd.pgrst.object+json;nulls=stripped"];
    let one = ask("GET /rest/v1/note?select=number,author&number=eq.1", &stripped, "");
    assert_eq!(one.json(), json!({"number": 1}), "{one:?}");

    let few = ["prefer: handling=strict, max-affected=2"];
    let refused = ask("DELETE /rest/v1/note?number=gt.0", &few, "");
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("PGRST124")));
    let refused = ask("PATCH /rest/v1/note?number=gt.0", &single, r#"{"title":"z"}"#);
    assert_eq!((refused.status, &refused.json()["code"]), (406, &json!("PGRST116")));
    assert_eq!(house.number("select count(*) from app.note where title = 'z'").await, 0);
    let strict = ask("GET /rest/v1/note", &["prefer: handling=strict, nonsense"], "");
    assert_eq!((strict.status, &strict.json()["code"]), (400, &json!("PGRST122")));
    let zone = ask("GET /rest/v1/note", &["prefer: timezone=Nowhere/At_All"], "");
    assert_eq!((zone.status, zone.header("preference-applied")), (200, None), "{zone:?}");
    for line in ["GET /rest/v1/note", "DELETE /rest/v1/note?number=eq.99"] {
        // The second is an abbreviation, which PostgreSQL reads in a value and does not take for a zone.
        for name in ["No where", "CEST", "Nope", "Nope"] {
            let said = ask(line, &[&format!("prefer: timezone={name}")], "");
            assert!(said.status < 300 && said.header("preference-applied").is_none(), "{said:?}");
            let strict = ask(line, &[&format!("prefer: handling=strict, timezone={name}")], "");
            assert_eq!((strict.status, &strict.json()["code"]), (400, &json!("PGRST122")));
        }
    }
    assert_eq!(ask("GET /rest/v1/note", &["prefer: timezone=Europe/Vienna"], "").status, 200);
    let count = ask("GET /rest/v1/note?select=count(),number.sum()", &[], "");
    assert_eq!(count.json(), json!([{"count": 3, "sum": 6}]), "{count:?}");
}
