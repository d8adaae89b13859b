//! Views and functions that the operator put beside the model, over HTTP; and the API's own description.

use serde_json::json;

use crate::harness::{House, Served, until};

const MADE: &str = "
set role freehold_owner;
create view app.titled with (security_invoker) as select tenant_id, id, title, author as writer, number from app.note;
create view app.authors with (security_invoker) as select handle, (select count(*) from app.note n where n.author = p.id) as notes from app.person p;
create view app.loose with (security_invoker) as select t.name from freehold.tenant t;
grant select on app.titled, app.authors, app.loose to freehold_app;
create function app.notes_from(low integer, high integer default 100) returns setof app.note language sql stable
  as 'select * from app.note where number between low and high order by number';
create function app.astray() returns setof app.note language sql stable
  as 'select (jsonb_populate_record(n, jsonb_build_object(''author'', n.id))).* from app.note n where number = 1';
create function app.whole(low integer) returns setof jsonb language sql stable
  as 'select to_jsonb(n) from app.note n where number >= low order by number';
create function app.folded() returns json language sql stable as 'select json_agg(n order by number) from app.note n';
create function app.totals() returns table (handle text, notes bigint) language sql stable
  as 'select p.handle, count(n.id) from app.person p left join app.note n on n.author = p.id group by p.handle';
create function app.add(a integer, b integer) returns integer language sql immutable as 'select a + b';
create function app.longest(variadic words text[]) returns text language sql immutable
  as 'select w from unnest(words) w order by length(w) desc limit 1';
create function app.rename(old text, new text) returns void language sql as 'update app.person set handle = new where handle = old';
create function app.writes_anyway() returns integer language plpgsql stable as 'begin perform app.rename(''ada'', ''eve''); return 1; end';
create function app.echo(jsonb) returns jsonb language sql immutable as 'select $1';
create function app.twice(n integer) returns integer language sql immutable as 'select n * 2';
create function app.twice(n text) returns text language sql immutable as 'select n || n';
create function app.refuses() returns integer language plpgsql as 'begin raise exception ''not on Sundays'' using hint = ''wait''; end';
create function app.shout(low integer) returns setof app.note language sql as 'update app.note set title = upper(title) where number >= low returning *';
create function app.pay() returns integer language plpgsql as 'begin raise sqlstate ''PT402'' using message = ''not paid''; end';
create function app.first() returns text language plpgsql as 'declare t text; begin select title into strict t from app.note; return t; end';
create function app.mighty() returns bigint language sql security definer set search_path = pg_catalog, pg_temp as 'select count(*) from app.note';
create function app.match_documents(query_embedding freehold_ext.vector, match_count integer default 5, filter jsonb default '{}')
  returns table (id uuid, content text, metadata jsonb, similarity double precision) language sql stable as $$
    select n.id, n.title, jsonb_build_object('number', n.number), 1 - (n.mark operator(freehold_ext.<=>) query_embedding)
    from app.note n where n.mark is not null and jsonb_build_object('number', n.number) @> filter
    order by n.mark operator(freehold_ext.<=>) query_embedding limit match_count $$;
grant execute on all functions in schema app to freehold_app;
-- Granted, it would break the wall, and nobody would be served.
revoke execute on function app.mighty() from freehold_app;
reset role;
";

pub(crate) async fn house() -> (House, Served, String, String) {
    let house = House::new().await;
    let (a, b) = (house.key("a"), house.key("b"));
    house.db.client().await.batch_execute(MADE).await.unwrap();
    let server = house.serve();
    for (key, handle) in [(&a, "ada"), (&b, "bob")] {
        let made =
            server.as_tenant(key, "POST /rest/v1/person", &json!({ "handle": handle }).to_string());
        assert_eq!(made.status, 201, "{made:?}");
        let author = made.json()[0]["id"].clone();
        let notes: Vec<_> = (1..=3)
            .map(|n| json!({ "author": author, "number": n, "title": format!("{handle} {n}"), "mark": [n, 1, 0] }))
            .collect();
        let made = server.as_tenant(key, "POST /rest/v1/note", &json!(notes).to_string());
        assert_eq!(made.status, 201, "{made:?}");
    }
    (house, server, a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_read_like_entities_and_never_written() {
    let (_house, server, a, _) = house().await;
    let ask = |line: &str| server.as_tenant(&a, line, "");
    let read =
        ask("GET /rest/v1/titled?select=title,writer(handle)&number=gte.2&order=number.desc");
    assert_eq!(
        read.json(),
        json!([
            { "title": "ada 3", "writer": { "handle": "ada" } }, { "title": "ada 2", "writer": { "handle": "ada" } }
        ])
    );
    let read = ask(
        "GET /rest/v1/person?select=handle,titled!writer(number)&titled.order=number&titled.limit=1",
    );
    assert_eq!(read.json(), json!([{ "handle": "ada", "titled": [{ "number": 1 }] }]));
    assert_eq!(ask("GET /rest/v1/authors").json(), json!([{ "handle": "ada", "notes": 3 }]));
    let whole = ask("GET /rest/v1/titled?limit=1");
    assert!(!whole.body.contains("tenant_id"), "{whole:?}");
    assert_eq!(ask("GET /rest/v1/authors?select=handle,note(id)").json()["code"], "PGRST200");
    assert_eq!(ask("GET /rest/v1/titled?tenant_id=is.null").json()["code"], "PGRST204");
    assert_eq!(ask("GET /rest/v1/titled?title=fts.a%20b").json()["code"], "22P02");
    assert_eq!(
        ask("GET /rest/v1/titled?title=fts.ada%20%26%203&select=title").json(),
        json!([{ "title": "ada 3" }])
    );
    assert_eq!(ask("GET /rest/v1/loose").json()["code"], "PGRST205");
    assert_eq!(ask("DELETE /rest/v1/titled?number=eq.1").json()["code"], "PGRST117");
    assert_eq!(ask("GET /rest/v1/rpc%2Ftotals").json()["code"], "PGRST205");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_found_by_the_names_of_their_arguments() {
    let (house, server, a, b) = house().await;
    let post =
        |name: &str, body: &str| server.as_tenant(&a, &format!("POST /rest/v1/rpc/{name}"), body);
    let get = |name: &str| server.as_tenant(&a, &format!("GET /rest/v1/rpc/{name}"), "");
    assert_eq!(post("add", r#"{"a": 1, "b": 2}"#).json(), json!(3));
    assert_eq!(get("add?a=1&b=2").json(), json!(3));
    assert_eq!(post("longest", r#"{"words": ["a", "bcd"]}"#).json(), json!("bcd"));
    assert_eq!(get("longest?words=xy&words=z").json(), json!("xy"));
    assert_eq!(get("longest?words={a,bb}").json(), json!("bb"));
    assert_eq!(post("echo", r#"{"x": [1]}"#).json(), json!({ "x": [1] }));
    let rows = get("notes_from?low=2&select=number,author(handle)&order=number.desc&number=lt.3");
    assert_eq!(rows.json(), json!([{ "number": 2, "author": { "handle": "ada" } }]));
    assert_eq!(rows.header("content-range"), Some("0-0/1"));
    assert!(!post("notes_from", r#"{"low": 1}"#).body.contains("tenant_id"));
    // No key keeps what a function's rows refer to.
    assert_eq!(
        get("astray?select=number,author(handle)").json(),
        json!([{ "number": 1, "author": null }])
    );
    assert_eq!(get("astray?select=number,author!inner(handle)").json(), json!([]));
    // Only what was done is said to be.
    let prefer = "prefer: purpose=support, timezone=Europe/Vienna, recall=exact";
    let answer = server.ask("GET /rest/v1/rpc/totals", &[&format!("apikey: {a}"), prefer], b"");
    assert_eq!(
        answer.header("preference-applied"),
        Some("timezone=Europe/Vienna, purpose=support")
    );
    assert_eq!(post("totals?notes=gt.1", "").json(), json!([{ "handle": "ada", "notes": 3 }]));
    assert_eq!(
        server.as_tenant(&b, "GET /rest/v1/rpc/totals", "").json(),
        json!([{ "handle": "bob", "notes": 3 }])
    );
    let near = post(
        "match_documents",
        r#"{"query_embedding": [1, 1, 0], "match_count": 1, "filter": {}}"#,
    );
    assert_eq!(near.json()[0]["content"], "ada 1");
    for (answer, status, code) in [
        (post("ad", "{}"), 404, "PGRST202"),
        (post("add", r#"{"a": 1}"#), 404, "PGRST202"),
        (post("twice", r#"{"n": 1}"#), 300, "PGRST203"),
        (post("mighty", "{}"), 404, "PGRST202"),
        (post("add", r#"{"a": "x", "b": 2}"#), 400, "22P02"),
        (get("rename?old=ada&new=eve"), 405, "25006"),
        (post("writes_anyway", "{}"), 405, "25006"),
        (post("refuses", "{}"), 400, "P0001"),
        (post("pay", "{}"), 400, "P0001"),
        (post("first", "{}"), 400, "P0001"),
    ] {
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(code)),
            "{answer:?}"
        );
    }
    assert_eq!(post("refuses", "{}").json()["message"], "not on Sundays");
    assert_eq!(post("rename", r#"{"old": "ada", "new": "eve"}"#).status, 204);
    assert_eq!(
        house.number("select count(*) from app.person where handle in ('eve', 'bob')").await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_changed_stands_only_on_its_callers_terms() {
    let (house, server, a, _) = house().await;
    let key = format!("apikey: {a}");
    let call = |name: &str, header: &str, body: &str| {
        let line = format!("POST /rest/v1/rpc/{name}");
        server.ask(&line, &[&key, "content-type: application/json", header], body.as_bytes())
    };
    let shouted = "select count(*) from app.note where title = upper(title)";
    let all = r#"{"low": 1}"#;
    for (name, header, body, status) in [
        ("shout", "prefer: tx=rollback", all, 200),
        ("shout", "prefer: handling=strict, max-affected=2", all, 400),
        ("shout", "accept: application/vnd.pgrst.object+json", all, 406),
        ("shout?offset=9", "prefer: count=exact", all, 416),
        ("rename", "prefer: tx=rollback", r#"{"old": "ada", "new": "eve"}"#, 204),
        (
            "rename",
            "prefer: handling=strict, max-affected=9",
            r#"{"old": "ada", "new": "eve"}"#,
            400,
        ),
    ] {
        let answer = call(name, header, body);
        assert_eq!(answer.status, status, "{name} {header}: {answer:?}");
        assert_eq!(answer.header("consistency-token"), None, "{name} {header}");
        assert_eq!(house.number(shouted).await, 0, "{name} {header}");
    }
    let tried = call("rename", "prefer: tx=rollback", r#"{"old": "ada", "new": "eve"}"#);
    assert_eq!(tried.header("preference-applied"), Some("tx=rollback"));
    assert_eq!(house.number("select count(*) from app.person where handle = 'eve'").await, 0);
    let one = call("shout", "accept: application/vnd.pgrst.object+json", r#"{"low": 3}"#);
    assert_eq!((one.status, one.json()["title"].as_str()), (200, Some("ADA 3")), "{one:?}");
    assert!(one.header("consistency-token").is_some(), "{one:?}");
    let few = call("shout", "prefer: handling=strict, max-affected=2", r#"{"low": 2}"#);
    assert_eq!((few.status, house.number(shouted).await), (200, 2), "{few:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_while_a_server_runs_is_served_soon() {
    let (house, server, a, _) = house().await;
    house.db.client().await.batch_execute("set role freehold_owner; create function app.late() returns integer language sql immutable as 'select 7'; grant execute on function app.late() to freehold_app").await.unwrap();
    until("the function is served", async || {
        server.as_tenant(&a, "GET /rest/v1/rpc/late", "").status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_functions_make_of_rows_has_no_tenant() {
    let (_house, server, a, _) = house().await;
    for (line, rows) in [
        ("GET /rest/v1/rpc/whole?low=2", 2),
        ("GET /rest/v1/rpc/folded", 3),
        ("POST /rest/v1/rpc/folded", 3),
    ] {
        let answer = server.as_tenant(&a, line, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.contains("tenant_id"), "{answer:?}");
        let made = answer.json();
        assert_eq!(made.as_array().map(Vec::len), Some(rows), "{answer:?}");
        assert_eq!(made[rows - 1]["title"], "ada 3", "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_describes_itself() {
    let (_house, server, a, _) = house().await;
    let root = server.as_tenant(&a, "GET /rest/v1/", "");
    let document = root.json();
    assert_eq!(document["swagger"], "2.0");
    assert!(!root.body.contains("tenant_id"));
    let author = &document["definitions"]["note"]["properties"]["author"]["description"];
    assert!(author.as_str().unwrap().contains("<fk table='person' column='id'/>"));
    for path in ["/note", "/titled", "/rpc/add"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(document["paths"]["/rpc/rename"]["get"].is_null());
    for (path, allow) in [
        ("/rest/v1/note", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE,QUERY"),
        ("/rest/v1/titled", "OPTIONS,GET,HEAD,QUERY"),
        ("/rest/v1/rpc/rename", "OPTIONS,POST"),
        ("/rest/v1/rpc/add", "OPTIONS,GET,HEAD,POST"),
    ] {
        let answer = server.as_tenant(&a, &format!("OPTIONS {path}"), "");
        assert_eq!((answer.status, answer.header("allow")), (200, Some(allow)), "{answer:?}");
    }
    let key = format!("apikey: {a}");
    for line in ["QUERY /rest/v1/note?number=eq.1", "POST /query/note?number=eq.1"] {
        let both = server.ask(line, &[&key], b"select=number");
        assert_eq!(
            (both.status, both.json()["code"].as_str()),
            (400, Some("PGRST100")),
            "{both:?}"
        );
    }
    let query = server.ask("QUERY /rest/v1/note", &[&key], b"select=number&number=eq.2");
    assert_eq!(query.json(), json!([{ "number": 2 }]), "{query:?}");
    let query = server.ask("POST /rest/v1/query/note", &[&key], b"select=number&number=eq.2");
    assert_eq!(query.json(), json!([{ "number": 2 }]), "{query:?}");
    for (profile, status) in [("public", 200), ("app", 200), ("secret", 406)] {
        let header = format!("accept-profile: {profile}");
        assert_eq!(server.ask("GET /rest/v1/note", &[&key, &header], b"").status, status);
    }
}
