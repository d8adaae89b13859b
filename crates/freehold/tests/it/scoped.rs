//! Keys for some relations and functions only, and what one request may take.

use serde_json::{Value, json};

use crate::harness::{House, Served};

const MODEL: &str = "
[model]
name = \"films\"
[entity.person.field]
name = { type = \"text\", unique = true }
face = { type = \"blob\", max = \"1 MB\", optional = true }
[entity.film.field]
director = { ref = \"person\", optional = true }
title = { type = \"text\", unique = true }
[entity.part]
unique = [[\"person\", \"film\"]]
[entity.part.field]
person = { ref = \"person\" }
film = { ref = \"film\" }
";

const FUNCTIONS: &str = "
set role freehold_owner;
create function app.films_like(word text) returns setof app.film language sql stable as 'select * from app.film where title like word';
create function app.rest_a_while(seconds double precision) returns text language sql stable
  as 'select count(*)::text from generate_series(1, (seconds * 100000000)::bigint)';
grant execute on all functions in schema app to freehold_app;
";

async fn house(config: &str) -> (House, Served) {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.write("freehold.server.toml", config);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    house.db.client().await.batch_execute(FUNCTIONS).await.unwrap();
    let blobs = format!("file://{}", house.path("blobs").display());
    let server = house.serve_with(&["--config", "freehold.server.toml", "--blobs", &blobs]);
    let key = house.key("a");
    for (line, body) in [
        ("POST /rest/v1/person", json!([{ "name": "ada" }, { "name": "eve" }])),
        ("POST /rest/v1/person", json!([{ "name": "joe" }])),
        ("POST /rest/v1/film", json!([{ "title": "one" }, { "title": "two" }])),
    ] {
        let made = server.as_tenant(&key, line, &body.to_string());
        assert_eq!(made.status, 201, "{made:?}");
    }
    (house, server)
}

fn scoped(house: &House, only: &str) -> String {
    house.fine(&["key", "create", "--tenant", "a", "--only", only]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_what_it_is_for_and_no_more() {
    let (house, server) = house("").await;
    let key = scoped(&house, "film,person:read,rpc/films_like");
    let some = r#"{"changes": [{"insert": "film", "rows": [{"title": "three"}]}]}"#;
    for (line, body) in [
        ("GET /rest/v1/film?select=title,director(name)", ""),
        ("GET /rest/v1/person?select=name,film(title)", ""),
        ("QUERY /rest/v1/film", "select=title"),
        ("GET /rest/v1/rpc/films_like?word=o%25&select=title,director(name)", ""),
        ("POST /rest/v1/film?select=title,director(name)", r#"{"title": "four"}"#),
        ("PATCH /rest/v1/film?title=eq.four", r#"{"title": "4"}"#),
        ("DELETE /rest/v1/film?title=eq.4", ""),
        ("POST /transaction", some),
        ("GET /storage/v1/bucket/person.face", ""),
    ] {
        let answer = server.as_tenant(&key, line, body);
        assert!(answer.status < 300, "{line}: {answer:?}");
    }
    let other = r#"{"changes": [{"insert": "film", "rows": [{"title": "five"}]}, {"delete": "person", "query": "name=eq.ada"}]}"#;
    for (line, body) in [
        ("GET /rest/v1/part", ""),
        // Between the two ends stands `part`.
        ("GET /rest/v1/film?select=title,person!part(name)", ""),
        ("GET /rest/v1/person?select=name,part(id)", ""),
        ("GET /rest/v1/person?select=name,film(title,part(id))", ""),
        ("GET /rest/v1/film?select=title,part!inner()", ""),
        ("GET /rest/v1/film?select=title,nothing(x)", ""),
        ("PATCH /rest/v1/film?title=eq.one&select=nothing(x)", r#"{"title": "1"}"#),
        ("QUERY /rest/v1/part", "select=id"),
        ("POST /query/part", "select=id"),
        ("POST /rest/v1/person", r#"{"name": "mia"}"#),
        ("PUT /rest/v1/person?name=eq.ada", r#"{"name": "ada"}"#),
        ("PATCH /rest/v1/person?name=eq.ada", r#"{"name": "mia"}"#),
        ("DELETE /rest/v1/person?name=eq.ada", ""),
        ("POST /rest/v1/film?select=title,part(id)", r#"{"title": "six"}"#),
        ("POST /transaction", other),
        ("GET /rest/v1/rpc/rest_a_while?seconds=0", ""),
        ("POST /rest/v1/rpc/rest_a_while", r#"{"seconds": 0}"#),
        ("GET /rest/v1/rpc/films_like?word=o%25&select=title,part(id)", ""),
        ("PUT /storage/v1/object/person.face/00000000-0000-7000-8000-000000000001", "x"),
        ("GET /admin/v1/keys", ""),
    ] {
        let answer = server.as_tenant(&key, line, body);
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (403, json!("42501")),
            "{line}: {answer:?}"
        );
    }
    assert_eq!(house.number("select count(*) from app.film").await, 3);
    assert_eq!(house.number("select count(*) from app.person").await, 3);
    let described = server.as_tenant(&key, "GET /rest/v1/", "").json();
    let mut paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    paths.sort();
    assert_eq!(paths, ["/film", "/person", "/rpc/films_like"]);
    assert!(described["paths"]["/person"].get("post").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_make_such_keys_and_no_such_admin_is_made() {
    let (house, server) = house("").await;
    let admin = house.fine(&["key", "create", "--tenant", "a", "--role", "admin"]);
    let ask =
        |body: Value| server.as_tenant(admin.trim(), "POST /admin/v1/keys", &body.to_string());
    let made = ask(json!({ "name": "ci", "role": "reader", "only": ["film:read"] }));
    assert_eq!((made.status, made.json()["only"].clone()), (201, json!(["film:read"])), "{made:?}");
    let key = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(server.as_tenant(&key, "GET /rest/v1/film", "").status, 200);
    assert_eq!(server.as_tenant(&key, "GET /rest/v1/person", "").status, 403);
    for wrong in [json!([]), json!(["a,b"]), json!([""]), json!(["rpc/"]), json!("film")] {
        let wanted = json!({ "name": "x", "role": "reader", "only": wrong });
        assert_eq!(ask(wanted).status, 400, "{wrong}");
    }
    assert_eq!(ask(json!({ "name": "x", "role": "admin", "only": ["film"] })).status, 400);
    let listed = server.as_tenant(admin.trim(), "GET /admin/v1/keys", "").json();
    assert_eq!(listed[2]["only"], json!(["film:read"]), "{listed}");
    let refused =
        house.run(&["key", "create", "--tenant", "a", "--role", "admin", "--only", "film"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(house.fine(&["key", "list", "--tenant", "a"]).contains("film:read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_takes_no_more_than_its_tenant_and_key_may() {
    let config = "[tenants]\nrows_max = 3\nstatement_seconds = 20\n[keys]\nrows_max = 2\nstatement_seconds = 0.2\n";
    let (house, server) = house(config).await;
    let key = house.key("a");
    let ask = |line: &str, body: &str| server.as_tenant(&key, line, body);
    // The smallest counts; what says no limit gets as many rows as it may.
    let two = ask("GET /rest/v1/person?select=name", "");
    assert_eq!((two.status, two.json().as_array().unwrap().len()), (206, 2), "{two:?}");
    for (line, body) in [
        ("GET /rest/v1/person?limit=3", ""),
        ("GET /rest/v1/film?select=title,part(id)&part.limit=3", ""),
        ("POST /rest/v1/person", r#"[{"name": "x"}, {"name": "y"}, {"name": "z"}]"#),
    ] {
        let answer = ask(line, body);
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (413, json!("FH004")),
            "{line}: {answer:?}"
        );
    }
    let slow = ask("GET /rest/v1/rpc/rest_a_while?seconds=100", "");
    assert_eq!((slow.status, slow.json()["code"].clone()), (504, json!("57014")), "{slow:?}");
    // The connection is as good as before.
    assert_eq!(ask("GET /rest/v1/rpc/rest_a_while?seconds=0", "").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_of_a_transaction_are_about_all_its_changes() {
    let (house, server) = house("").await;
    let apikey = format!("apikey: {}", house.key("a"));
    let body = r#"{"changes": [{"insert": "person", "rows": [{"name": "x"}]}, {"update": "film", "query": "title=eq.one", "values": {"title": "1"}}]}"#;
    let ask = |prefer: &str| {
        server.ask("POST /transaction", &[&apikey, &format!("prefer: {prefer}")], body.as_bytes())
    };
    let tried = ask("tx=rollback, return=representation, recall=exact");
    assert_eq!(tried.status, 200, "{tried:?}");
    assert_eq!(tried.json()[0]["body"][0]["name"], "x");
    assert_eq!(tried.header("preference-applied"), Some("return=representation, tx=rollback"));
    assert_eq!(tried.header("consistency-token"), None);
    let many = ask("handling=strict, max-affected=1");
    assert_eq!((many.status, many.json()["code"].clone()), (400, json!("PGRST124")), "{many:?}");
    assert_eq!(house.number("select count(*) from app.person where name = 'x'").await, 0);
    assert_eq!(ask("handling=strict, nonsense=1").status, 400);
    let done = ask("handling=strict, max-affected=2");
    assert_eq!((done.status, done.json()[0]["body"].clone()), (200, json!([])), "{done:?}");
    assert!(done.header("consistency-token").is_some());
    assert_eq!(house.number("select count(*) from app.person where name = 'x'").await, 1);
    let made = server.ask(
        "POST /rest/v1/person",
        &[&apikey, "prefer: recall=exact, return=minimal"],
        br#"{"name": "y"}"#,
    );
    assert_eq!((made.status, made.header("preference-applied")), (201, Some("return=minimal")));
}
