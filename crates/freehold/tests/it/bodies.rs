//! Bodies of writes and calls that are not JSON, the columns they name, and answers that are CSV.

use serde_json::json;

use crate::{
    beside,
    harness::{Answer, House, Served},
};

const MODEL: &str = "
[model]
name = \"bodies\"
[entity.item.field]
name = { type = \"text\", unique = true }
number = { type = \"integer\", default = 7 }
price = { type = \"numeric(10,2)\", optional = true }
tags = { type = \"text[]\", default = [] }
extra = { type = \"jsonb\", default = {} }
at = { type = \"timestamptz\", default = \"now()\" }
mark = { vector = 3, optional = true }
";

const CSV: &str = "content-type: text/csv; charset=utf-8";
const FORM: &str = "content-type: application/x-www-form-urlencoded";
const ALL: &str = "prefer: return=representation";

struct Room {
    server: Served,
    key: String,
    house: House,
}

impl Room {
    async fn new() -> Self {
        let house = House::empty().await;
        house.write("freehold.toml", MODEL);
        house.fine(&["apply"]);
        for tenant in ["a", "b"] {
            house.fine(&["tenant", "create", tenant]);
        }
        let key = format!("apikey: {}", house.key("a"));
        Self { server: house.serve(), key, house }
    }

    fn send(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.server.ask(line, &[&[self.key.as_str()], headers].concat(), body.as_bytes())
    }

    /// What the write is refused with.
    fn refused(&self, line: &str, header: &str, body: &str) -> (u16, String) {
        let answer = self.send(line, &[header], body);
        crate::harness::is_ours(&answer.body);
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_csv() {
    let room = Room::new().await;
    let body = "name,number,price,tags,extra,mark\r\n\"a, \"\"b\"\"\",1,NULL,\"{x,y}\",\"{\"\"k\"\": [1]}\",\"[1,2,3]\"\nplain,2,1.50,{},[],NULL\n";
    let path = "POST /rest/v1/item?select=name,number,price,tags,extra,mark";
    let made = room.send(path, &[CSV, ALL], body);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.json(),
        json!([
            { "name": "a, \"b\"", "number": 1, "price": null, "tags": ["x", "y"], "extra": { "k": [1] }, "mark": [1, 2, 3] },
            { "name": "plain", "number": 2, "price": 1.5, "tags": [], "extra": [], "mark": null },
        ])
    );
    // An upsert, and the change of one row.
    let merge = "prefer: resolution=merge-duplicates";
    let path = "POST /rest/v1/item?on_conflict=name&select=name,number";
    let merged = room.send(path, &[CSV, merge, ALL], "name,number\nplain,3\n");
    assert_eq!((merged.status, merged.json()), (200, json!([{ "name": "plain", "number": 3 }])));
    let path = "PATCH /rest/v1/item?name=eq.plain&select=number";
    let changed = room.send(path, &[CSV, ALL], "number\n4\n");
    assert_eq!(changed.json(), json!([{ "number": 4 }]), "{changed:?}");
    // What comes back may be CSV, too.
    let got = room.send("GET /rest/v1/item?select=name,tags&order=name", &["accept: text/csv"], "");
    assert_eq!(got.body, "name,tags\n\"a, \"\"b\"\"\",\"{x,y}\"\nplain,{}");
    for (body, status, code) in [
        ("", 400, "PGRST102"),
        ("name,number\n", 201, ""),
        ("name,number\nx\n", 400, "PGRST102"),
        ("name,number\nx,1,2\n", 400, "PGRST102"),
        ("name,name\nx,y\n", 400, "PGRST102"),
        ("nothing\nx\n", 400, "PGRST204"),
        ("name,number\nx,soon\n", 400, "22P02"),
        ("name,number\nx,\n", 400, "22P02"),
        ("name,number\nx,NULL\n", 400, "23502"),
        ("name,extra\nx,{\n", 400, "22P02"),
        ("number\n1\n", 400, "23502"),
        ("name\nplain\n", 409, "23505"),
    ] {
        let answer = room.send("POST /rest/v1/item", &[CSV], body);
        let given = if answer.body.is_empty() { json!("") } else { answer.json()["code"].clone() };
        assert_eq!((answer.status, given), (status, json!(code)), "{body:?}: {answer:?}");
    }
    let raw = room.server.ask("POST /rest/v1/item", &[&room.key, CSV], b"name\n\xff\n");
    assert_eq!((raw.status, &raw.json()["code"]), (400, &json!("PGRST102")));
    assert_eq!(room.refused("POST /rest/v1/item", "content-type: text/xml", "<a/>").1, "PGRST102");
    assert_eq!(room.house.number("select count(*) from app.item").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_of_csv_that_do_not_fit_are_refused_with_their_line() {
    let room = Room::new().await;
    for (body, line) in [
        ("name,number\nx,1\n\"unclosed,2\ny,3\n", "line 3"),
        ("name,number\nx,1\n\"a\"b,2\n", "line 3"),
        ("name,number\r\n\"a\r\nb\",1\r\nc \"d\",2\r\n", "line 4"),
    ] {
        let answer = room.send("POST /rest/v1/item", &[CSV], body);
        let said = answer.json();
        assert_eq!((answer.status, &said["code"]), (400, &json!("PGRST102")), "{body:?}");
        assert_eq!(said["details"], json!(line), "{body:?}: {said}");
        assert!(
            said["hint"]
                .as_str()
                .is_some_and(|hint| hint.contains("twice") || hint.contains("close"))
        );
    }
    assert_eq!(room.house.number("select count(*) from app.item").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_value_is_said_with_its_field() {
    let room = Room::new().await;
    let item = "POST /rest/v1/item";
    assert_eq!(room.send(item, &[], r#"{"name":"old"}"#).status, 201);
    for (line, body, code, field) in [
        (item, r#"{"name":"x","at":"2026-02-30T10:00:00Z"}"#, "22007", "at"),
        (item, r#"{"name":"x","at":"2026-02-28T27:00:00Z"}"#, "22007", "at"),
        (item, r#"{"name":"x","at":"1 Blub 2026"}"#, "22007", "at"),
        (item, r#"{"name":"x","price":123456789.5}"#, "22003", "price"),
        (item, r#"{"name":"x","price":99999999.999}"#, "22003", "price"),
        (item, r#"{"name":"x","number":"0x1FFFFFFFFF"}"#, "22003", "number"),
        (item, r#"{"name":"x","tags":"{a,\"b}"}"#, "22P02", "tags"),
        ("GET /rest/v1/item?at=gt.2026-02-30", "", "22007", "at"),
        ("GET /rest/v1/item?at=gt.2026-02-28T27:00", "", "22007", "at"),
        ("GET /rest/v1/item?or=(number.eq.1,extra.cs.{a})", "", "22P02", "extra"),
        ("GET /rest/v1/item?name=match.(", "", "22P02", "name"),
        ("GET /rest/v1/item?tags=cs.{a,%22b}", "", "22P02", "tags"),
        ("PATCH /rest/v1/item?extra=eq.{", r#"{"number":1}"#, "22P02", "extra"),
        ("DELETE /rest/v1/item?at=lt.2026-02-28T27:00", "", "22007", "at"),
    ] {
        let answer = room.send(line, &[], body);
        crate::harness::is_ours(&answer.body);
        let said = answer.json();
        assert_eq!((answer.status, &said["code"]), (400, &json!(code)), "{line} {body}: {said}");
        let named = format!("a value of {field}");
        let says = |part: &str| said[part].as_str().is_some_and(|text| text.contains(&named));
        assert!(says("message") || says("details"), "{line} {body}: {said}");
    }
    // A cast of what is in a row may be what failed, so it is named beside the filter.
    let made = room.send(item, &[], r#"{"name":"x","number":1,"extra":{"k":1}}"#);
    assert_eq!(made.status, 201, "{made:?}");
    let said = room.send("GET /rest/v1/item?select=n:name::integer&number=eq.1", &[], "").json();
    assert_eq!(said["details"], json!("a value of n or number"), "{said}");
    let changes = r#"{"changes":[{"insert":"item","rows":[{"name":"y","price":99999999.999}]}]}"#;
    let said = room.send("POST /transaction", &[], changes).json();
    assert_eq!(said["details"], json!("change 1: a value of price"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distance_that_is_no_number_is_null() {
    let room = Room::new().await;
    let rows = r#"[{"name":"east","mark":[1,0,0]},{"name":"nowhere","mark":[0,0,0]}]"#;
    assert_eq!(room.send("POST /rest/v1/item", &[], rows).status, 201);
    let path = "GET /rest/v1/item?select=name,d:mark.distance(),s:mark.similarity(),t:mark.distance()::text&mark=nearest(cosine).[1,0,0]";
    let got = room.send(path, &[], "");
    assert_eq!(
        got.json(),
        json!([
            { "name": "east", "d": 0, "s": 1, "t": "0" },
            { "name": "nowhere", "d": null, "s": null, "t": null },
        ]),
        "{got:?}"
    );
    let csv = room.send(path, &["accept: text/csv"], "");
    assert_eq!(csv.body, "name,d,s,t\neast,0,1,0\nnowhere,,,", "{csv:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_compressed_is_refused() {
    let room = Room::new().await;
    let answer = room.send("POST /rest/v1/item", &["content-encoding: gzip"], "\u{1f}x");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (415, Some("FH075")), "{answer:?}");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    for (line, said) in [("POST /query/item", "br"), ("POST /transaction", "identity, deflate")] {
        let header = format!("content-encoding: {said}");
        assert_eq!(room.send(line, &[&header], "x").status, 415, "{line}");
    }
    let plain = room.send("POST /rest/v1/item", &["content-encoding: identity"], r#"{"name":"x"}"#);
    assert_eq!(plain.status, 201, "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_comes_as_a_form() {
    let room = Room::new().await;
    let path = "POST /rest/v1/item?select=name,number,extra";
    let made = room.send(path, &[FORM, ALL], "name=a+%26+b&number=3&extra=%7B%22k%22%3A1%7D");
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json(), json!([{ "name": "a & b", "number": 3, "extra": { "k": 1 } }]));
    let path = "PATCH /rest/v1/item?number=eq.3&select=name";
    assert_eq!(room.send(path, &[FORM, ALL], "name=c").json(), json!([{ "name": "c" }]));
    for (body, code) in [
        ("name=x&name=y", "PGRST102"),
        ("name", "PGRST102"),
        ("name=%f", "PGRST102"),
        ("number=1", "23502"),
        ("name=x&number=soon", "22P02"),
        ("nothing=x", "PGRST204"),
    ] {
        assert_eq!(room.refused("POST /rest/v1/item", FORM, body), (400, code.into()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_missing_say_what_a_body_means() {
    let room = Room::new().await;
    let rows = r#"[{"name": "a", "number": 1, "other": true}, {"name": "b", "extra": {"k": 2}}]"#;
    let path = "POST /rest/v1/item?columns=%22name%22,%22number%22,%22extra%22&select=name,number,extra,tags";
    // What a row lacks of the columns is null, and null is not a number here.
    assert_eq!(room.send(path, &[ALL], rows).json()["code"], "23502");
    let made = room.send(path, &[ALL, "prefer: missing=default"], rows);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.header("preference-applied"), Some("missing=default, return=representation"));
    assert_eq!(
        made.json(),
        json!([
            { "name": "a", "number": 1, "extra": {}, "tags": [] },
            { "name": "b", "number": 7, "extra": { "k": 2 }, "tags": [] },
        ])
    );
    // Without `columns` the keys have to match.
    let uneven = r#"[{"name": "a", "number": 1}, {"name": "b"}]"#;
    assert_eq!(room.send("POST /rest/v1/item", &[], uneven).json()["code"], "PGRST102");
    let path = "POST /rest/v1/item?columns=name,number&select=name,number";
    let csv = room.send(path, &[CSV, ALL], "name,number,comment\nc,3,left out\n");
    assert_eq!(csv.json(), json!([{ "name": "c", "number": 3 }]));
    assert_eq!(
        room.send("POST /rest/v1/item?columns=nothing", &[], rows).json()["code"],
        "PGRST204"
    );
    let path = "PATCH /rest/v1/item?name=eq.c&columns=number&select=name,number";
    let changed = room.send(path, &[ALL], r#"{"number": 9, "name": "not meant"}"#);
    assert_eq!(changed.json(), json!([{ "name": "c", "number": 9 }]), "{changed:?}");
    for (body, status) in [("[]", 201), ("{}", 400)] {
        assert_eq!(room.send("POST /rest/v1/item", &[], body).status, status, "{body}");
    }
    let times =
        room.house.number("select count(*) from app.item where at > now() - interval '1 h'");
    assert_eq!(times.await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_answer_in_csv_and_take_forms() {
    let (_house, server, a, _) = beside::house().await;
    let key = format!("apikey: {a}");
    let csv = |line: &str| server.ask(line, &[&key, "accept: text/csv"], b"");
    let rows = csv("GET /rest/v1/rpc/notes_from?low=2&select=number,title&order=number");
    assert_eq!(rows.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(rows.body, "number,title\n2,\"ada 2\"\n3,\"ada 3\"");
    assert_eq!(csv("GET /rest/v1/rpc/add?a=1&b=2").body, "add\n3");
    assert_eq!(csv("POST /rest/v1/rpc/totals").body, "handle,notes\nada,3");
    let stripped = "accept: application/vnd.pgrst.array+json;nulls=stripped";
    let line = "GET /rest/v1/rpc/notes_from?low=3&select=number,day";
    assert_eq!(server.ask(line, &[&key, stripped], b"").json(), json!([{ "number": 3 }]));
    let form = |name: &str, body: &str| {
        server.ask(&format!("POST /rest/v1/rpc/{name}"), &[&key, FORM], body.as_bytes())
    };
    assert_eq!(form("add", "a=1&b=41").json(), json!(42));
    assert_eq!(form("longest", "words=a&words=long+one").json(), json!("long one"));
    assert_eq!(form("add", "a=1&b").json()["code"], "PGRST102");
    assert_eq!(form("add", "a=1&b=x").json()["code"], "22P02");
    let sent = server.ask("POST /rest/v1/rpc/add", &[&key, CSV], b"a,b\n1,2\n");
    assert_eq!((sent.status, &sent.json()["code"]), (400, &json!("PGRST102")));
    // HEAD is GET without the body: it calls what only reads.
    let head = |line: &str| server.ask(line, &[&key, "prefer: count=exact"], b"");
    let counted = head("HEAD /rest/v1/rpc/notes_from?low=2");
    assert_eq!((counted.status, counted.body.as_str()), (200, ""));
    assert_eq!(counted.header("content-range"), Some("0-1/2"));
    let refused = head("HEAD /rest/v1/rpc/rename?old=ada&new=eve");
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("proxy-status"), Some("PostgREST; error=25006"));
}
