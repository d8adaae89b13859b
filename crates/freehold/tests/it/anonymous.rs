//! Requests without a key: what the model opens of the tenant that the server's configuration names, and nothing else.

use serde_json::{Value, json};

use crate::{
    access::{SECRET, token},
    harness::{House, Served, is_ours, until},
};

const MODEL: &str = "
[model]
name = \"site\"
[entity.author.field]
name = { type = \"text\" }
[entity.page]
anonymous = \"read\"
[entity.page.field]
author = { ref = \"author\" }
title = { type = \"text\", unique = true, search = \"english\" }
meaning = { vector = 64, of = [\"title\"] }
[entity.image]
anonymous = \"read\"
[entity.image.field]
path = { type = \"text\", unique = true }
file = { type = \"blob\", max = \"1 MB\", path = \"path\" }
[entity.draft.field]
page = { ref = \"page\" }
text = { type = \"text\" }
file = { type = \"blob\", max = \"1 MB\", optional = true }
[read.titles]
anonymous = \"read\"
key = [\"author\"]
sql = \"select author, count(*) as pages from page group by author\"
[read.drafts]
key = [\"page\"]
sql = \"select page, count(*) as drafts from draft group by page\"
";

const BESIDE: &str = "
set role freehold_owner;
create view app.shown with (security_invoker) as select tenant_id, id, title from app.page;
create view app.hidden with (security_invoker) as select tenant_id, id, text from app.draft;
grant select on app.shown, app.hidden to freehold_app, freehold_anonymous;
create function app.pages_like(word text) returns setof app.page language sql stable
  as 'select * from app.page where title like word';
create function app.drafts_like(word text) returns setof app.draft language sql stable
  as 'select * from app.draft where text like word';
create function app.own(word text) returns text language sql immutable as 'select word';
grant execute on function app.pages_like(text), app.drafts_like(text), app.own(text) to freehold_app;
grant execute on function app.pages_like(text), app.drafts_like(text) to freehold_anonymous;
";

const CONFIG: &str = "[auth.anonymous]\ntenant = \"a\"\nhosts = { \"b.example\" = \"b\", \"none.example\" = \"nobody\" }\n";

async fn house() -> (House, Served) {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.write("freehold.server.toml", CONFIG);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    house.db.client().await.batch_execute(BESIDE).await.unwrap();
    let blobs = format!("file://{}", house.path("blobs").display());
    let server = house.serve_with(&["--config", "freehold.server.toml", "--blobs", &blobs]);
    for tenant in ["a", "b"] {
        let key = house.key(tenant);
        let made = |line: &str, body: serde_json::Value| {
            let made = server.as_tenant(&key, line, &body.to_string());
            assert_eq!(made.status, 201, "{made:?}");
            made.json()[0]["id"].clone()
        };
        let author =
            made("POST /rest/v1/author", json!({ "name": format!("an author of {tenant}") }));
        let page = json!({ "author": author, "title": format!("of {tenant}") });
        let page = made("POST /rest/v1/page", page);
        made("POST /rest/v1/draft", json!({ "page": page, "text": "secret" }));
        let line = format!("POST /storage/v1/object/image/of%20{tenant}");
        let headers = [&*format!("apikey: {key}"), "content-type: image/png"];
        assert_eq!(server.ask(&line, &headers, b"bytes").status, 200);
    }
    (house, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_what_the_model_opens_is_read() {
    let (house, server) = house().await;
    let ask = |line: &str| server.ask(line, &[], b"");
    for (line, titles) in [
        ("GET /rest/v1/page?select=title", json!([{ "title": "of a" }])),
        ("GET /rest/v1/page?select=title&title=fts.of", json!([])),
        (
            "GET /rest/v1/page?select=title&meaning=nearest.text:of%20a",
            json!([{ "title": "of a" }]),
        ),
        ("GET /rest/v1/shown?select=title", json!([{ "title": "of a" }])),
        ("GET /rest/v1/rpc/pages_like?word=of%25&select=title", json!([{ "title": "of a" }])),
    ] {
        let answer = ask(line);
        assert_eq!((answer.status, answer.json()), (200, titles), "{line}: {answer:?}");
    }
    let query = server.ask("QUERY /rest/v1/page", &[], b"select=title");
    assert_eq!(query.json(), json!([{ "title": "of a" }]), "{query:?}");
    let whole = ask("GET /rest/v1/image");
    assert_eq!(whole.status, 200, "{whole:?}");
    assert_eq!(whole.json()[0]["file"]["type"], "image/png", "{whole:?}");
    until("the read model is there", async || {
        ask("GET /rest/v1/titles?select=pages").json() == json!([{ "pages": 1 }])
    })
    .await;
    assert_eq!(ask("HEAD /rest/v1/page").status, 200);

    for line in [
        "GET /rest/v1/draft",
        "HEAD /rest/v1/draft",
        "OPTIONS /rest/v1/draft",
        "OPTIONS /rest/v1/rpc/own",
        "QUERY /rest/v1/draft",
        "POST /query/draft",
        "GET /rest/v1/author?name=like.*",
        "GET /rest/v1/drafts",
        "GET /rest/v1/nothing",
        "GET /rest/v1/page?select=title,draft(text)",
        "GET /rest/v1/page?select=title,author!inner(name)",
        "GET /rest/v1/page?select=title,draft!left()&draft=is.null",
        "GET /rest/v1/page?select=title,nothing(x)",
        "GET /rest/v1/hidden",
        "GET /rest/v1/rpc/own?word=x",
        "GET /rest/v1/rpc/drafts_like?word=x",
        "GET /rest/v1/rpc/pages_like?word=x&select=title,author(name)",
        "POST /rest/v1/page",
        "PUT /rest/v1/page?title=eq.x",
        "PATCH /rest/v1/page?title=eq.x",
        "DELETE /rest/v1/page?title=eq.x",
        "POST /transaction",
        "GET /admin/v1/keys",
        "POST /admin/v1/keys",
        "GET /storage/v1/object/draft.file/x",
        "GET /storage/v1/object/public/draft.file/x",
        "POST /storage/v1/object/list/draft.file",
        "POST /storage/v1/object/sign/image/of%20a",
        "PUT /storage/v1/object/image/of%20a",
        "DELETE /storage/v1/object/image/of%20a",
    ] {
        let answer = server.ask(line, &[], b"{}");
        assert_eq!(answer.status, 401, "{line}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{line}");
        is_ours(&answer.body);
    }
    assert_eq!(house.number("select count(*) from app.page").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_who_they_are_in_another_way_is_not_nobody() {
    let (_house, server) = house().await;
    assert_eq!(server.ask("GET /rest/v1/page", &[], b"").status, 200);
    for header in ["authorization: Basic YTpi", "authorization: Bearer ", "apikey:"] {
        let answer = server.ask("GET /rest/v1/page", &[header], b"");
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (401, Some("PGRST301")),
            "{header}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_open_rows_are_public_and_the_document_shows_what_is_open() {
    let (_house, server) = house().await;
    let ask = |line: &str| server.ask(line, &[], b"");
    for line in [
        "GET /storage/v1/object/image/of%20a",
        "GET /storage/v1/object/public/image/of%20a",
        "HEAD /storage/v1/object/public/image/of%20a",
        "GET /storage/v1/object/info/image/of%20a",
        "POST /storage/v1/object/list/image",
    ] {
        assert_eq!(server.ask(line, &[], b"{}").status, 200, "{line}");
    }
    assert_eq!(ask("GET /storage/v1/object/public/image/of%20a").body, "bytes");
    assert_eq!(ask("GET /storage/v1/object/public/image/of%20b").status, 404);
    let buckets = ask("GET /storage/v1/bucket").json();
    assert_eq!(
        (buckets[0]["id"].clone(), buckets[0]["public"].clone()),
        (json!("image"), json!(true))
    );
    assert_eq!(buckets.as_array().unwrap().len(), 1, "{buckets}");

    let described = ask("GET /rest/v1/").json();
    let mut paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    paths.sort();
    assert_eq!(
        paths,
        ["/hidden", "/image", "/page", "/rpc/drafts_like", "/rpc/pages_like", "/shown", "/titles"],
        "{described}"
    );
    assert!(described["paths"]["/page"].get("post").is_none(), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_says_whose_rows_they_are_and_apply_opens_and_shuts() {
    let (house, server) = house().await;
    let ask_as = |host: &str, line: &str| {
        use std::io::Write as _;
        let mut stream = server.connect();
        let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        crate::harness::answer(&mut stream)
    };
    let titles = "GET /rest/v1/page?select=title";
    assert_eq!(ask_as("b.example:80", titles).json(), json!([{ "title": "of b" }]));
    assert_eq!(ask_as("B.EXAMPLE", titles).json(), json!([{ "title": "of b" }]));
    assert_eq!(ask_as("c.example", titles).json(), json!([{ "title": "of a" }]));
    assert_eq!(ask_as("none.example", titles).status, 401);
    // A key counts, wherever it comes; a wrong one is not nobody's.
    let b = house.key("b");
    assert_eq!(server.as_tenant(&b, titles, "").json(), json!([{ "title": "of b" }]));
    assert_eq!(server.as_tenant("fh_wrong", titles, "").status, 401);
    assert_eq!(
        server.as_tenant(&b, "GET /storage/v1/object/public/image/of%20b", "").body,
        "bytes"
    );

    let found = || {
        let report: Value = serde_json::from_str(&house.run(&["audit", "--json"]).out).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = found();
    for check in ["FH-G19", "FH-G20", "FH-W03", "FH-G06", "FH-F01", "FH-F02"] {
        assert!(!before.iter().any(|id| id == check), "{before:?}");
    }
    let loose = "grant select (id) on app.draft to freehold_anonymous; grant insert (id) on app.page to freehold_anonymous";
    let tight = "revoke all on app.draft from freehold_anonymous; revoke insert on app.page from freehold_anonymous";
    let admin = house.db.client().await;
    admin.batch_execute(loose).await.unwrap();
    let after = found();
    for check in ["FH-G19", "FH-G20"] {
        assert!(after.iter().any(|id| id == check), "{after:?}");
    }
    admin.batch_execute(tight).await.unwrap();

    house.write(
        "freehold.toml",
        MODEL.replace("anonymous = \"read\"\n", "").replace(
            "[entity.draft.field]",
            "[entity.draft]\nanonymous = \"read\"\n[entity.draft.field]",
        ),
    );
    let planned = house.fine(&["plan"]);
    assert!(planned.contains("open draft to anybody"), "{planned}");
    assert!(planned.contains("open page to anybody no more"), "{planned}");
    house.fine(&["apply"]);
    until("the server has the new model", async || {
        server.ask("GET /rest/v1/draft?select=text", &[], b"").json()
            == json!([{ "text": "secret" }])
    })
    .await;
    for line in [titles, "GET /storage/v1/object/public/image/of%20a", "GET /rest/v1/shown"] {
        assert_eq!(server.ask(line, &[], b"").status, 401, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_open_unless_the_server_is_told_whose() {
    let (house, server) = house().await;
    drop(server);
    let server = house.serve();
    let answer = server.ask("GET /rest/v1/page", &[], b"");
    assert_eq!((answer.status, answer.json()["code"].clone()), (401, json!("PGRST301")));
    drop(server);

    // A token may be as weak as none.
    house.write("jwt.secret", SECRET);
    let config = "[auth.jwt]\nsecret_file = \"jwt.secret\"\ntenant_claim = \"tenant\"\ndefault_role = \"anonymous\"\n";
    house.write("freehold.server.toml", config);
    let server = house.serve_with(&["--config", "freehold.server.toml"]);
    let bearer = format!("authorization: Bearer {}", token("b", "admin", 600));
    let ask = |line: &str| server.ask(line, &[&bearer], b"{}");
    assert_eq!(ask("GET /rest/v1/page?select=title").json(), json!([{ "title": "of b" }]));
    for line in ["GET /rest/v1/draft", "POST /rest/v1/page", "GET /admin/v1/keys"] {
        assert_eq!(ask(line).status, 401, "{line}");
    }
}
