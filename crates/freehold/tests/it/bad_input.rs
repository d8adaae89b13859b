//! Bad input of each kind: a clear refusal in one shape, and nothing changed.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::harness::{House, answer, is_ours, peak_kib};

const NOTE: &str = "POST /rest/v1/note";

/// Request, further headers, body; the status and the code it must be answered with.
type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], u16, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn http_refuses_each_kind_in_the_same_shape() {
    let house = House::new().await;
    let (server, key) = (house.serve(), format!("apikey: {}", house.key("a")));
    let cases: [Case<'_>; 28] = [
        (NOTE, &[], b"{\"number\":", 400, "PGRST102"),
        (NOTE, &[], b"", 400, "PGRST102"),
        (NOTE, &[], b"7", 400, "PGRST102"),
        (NOTE, &[], b"{\"number\":1,\"title\":\"\xff\"}", 400, "PGRST102"),
        (NOTE, &[], br#"{"number":1,"title":"a\u0000b"}"#, 400, "22021"),
        (NOTE, &[], br#"{"number":1,"title":"x","nope":1}"#, 400, "PGRST204"),
        (NOTE, &[], br#"{"number":1}"#, 400, "23502"),
        (NOTE, &[], br#"{"number":1,"title":null}"#, 400, "23502"),
        (NOTE, &[], br#"{"number":99999999999,"title":"x"}"#, 400, "22003"),
        (NOTE, &[], br#"{"number":"one","title":"x"}"#, 400, "22P02"),
        (NOTE, &[], br#"{"number":1,"title":"x","day":"2026-02-30"}"#, 400, "22007"),
        (NOTE, &[], br#"{"number":1,"title":"x","mark":"[1,2]"}"#, 400, "FH010"),
        (NOTE, &[], br#"{"number":1,"title":"x","mark":"[NaN,0,0]"}"#, 400, "FH010"),
        (NOTE, &[], br#"{"number":1,"title":"x","mark":[1,2,1e999]}"#, 400, "PGRST102"),
        (
            NOTE,
            &[],
            br#"{"number":1,"title":"x","author":"00000000-0000-0000-0000-000000000000"}"#,
            409,
            "23503",
        ),
        (NOTE, &["content-type: text/csv"], b"number,title\n1,x,y", 400, "PGRST102"),
        ("POST /rest/v1/nope", &[], b"{}", 404, "PGRST205"),
        ("GET /rest/v1/%ff", &[], b"", 404, "PGRST125"),
        ("GET /rest/v1/note?title=eq.%ff", &[], b"", 400, "22021"),
        ("GET /rest/v1/note?title=eq.%zz", &[], b"", 400, "PGRST100"),
        ("GET /rest/v1/note?titel=eq.x", &[], b"", 400, "PGRST204"),
        ("GET /rest/v1/note?number=eq.one", &[], b"", 400, "22P02"),
        ("GET /rest/v1/note?mark=nearest.[1,2]", &[], b"", 400, "FH010"),
        ("GET /rest/v1/note", &["accept: text/html"], b"", 406, "PGRST107"),
        ("DELETE /rest/v1/note", &[], b"", 400, "PGRST100"),
        ("TRACE /rest/v1/note", &[], b"{}", 405, "PGRST117"),
        ("PUT /rest/v1/note", &[], b"{}", 405, "PGRST105"),
        ("POST /transaction", &[], b"{\"changes\":[{}]}", 400, "PGRST102"),
    ];
    let mut wrong = Vec::new();
    for (line, headers, body, status, code) in cases {
        let headers: Vec<&str> = headers.iter().copied().chain([key.as_str()]).collect();
        let got = server.ask(line, &headers, body);
        is_ours(&got.body);
        let shape = serde_json::from_str::<Value>(&got.body).unwrap_or_default();
        if got.status != status || shape["code"] != code || !shape["message"].is_string() {
            wrong.push(format!(
                "{line} {}: {} {}",
                String::from_utf8_lossy(body),
                got.status,
                got.body
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(house.number("select count(*) from app.note").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_gigabyte_is_refused_and_not_kept() {
    let house = House::new().await;
    let (server, key) = (house.serve(), house.key("a"));
    for length in ["content-length: 1073741824", "transfer-encoding: chunked"] {
        let mut stream = server.connect();
        let head = format!(
            "{NOTE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napikey: {key}\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = [b"10000\r\n", [b' '; 65536].as_slice(), b"\r\n"].concat();
        // The server stops listening long before the end.
        let sent = (0..16_384).take_while(|_| stream.write_all(&chunk).is_ok()).count();
        assert!(sent < 16_384, "all of it was taken");
        let refused = answer(&mut stream);
        assert!([413, 0].contains(&refused.status), "{refused:?}");
    }
    let small = server.ask(NOTE, &[&format!("apikey: {key}")], &vec![b' '; 33 << 20]);
    assert!([413, 0].contains(&small.status), "{small:?}");
    let peak = peak_kib(server.child.id());
    assert!(peak < 300 << 10, "the server took {peak} KiB");
    assert_eq!(server.ask("GET /health/live", &[], b"").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_reports_each_bad_line_and_loads_the_others_once() {
    let house = House::new().await;
    let mut file =
        b"{\"number\":1,\"title\":\"a\"}\n{\"number\":\n{\"number\":2,\"title\":\"\xff\"}\n"
            .to_vec();
    file.extend(
        b"{\"number\":3,\"title\":\"b\\u0000\"}\n{\"number\":4,\"title\":\"c\",\"mark\":[1,2]}\n",
    );
    file.extend(b"{\"number\":5,\"title\":\"c\",\"x\":1}\n{\"number\":6,\"title\":\"d\"}\n{\"number\":6,\"title\":\"e\"}\n{\"number\":7,\"ti");
    house.write("rows.jsonl", &file);
    let import = ["import", "note", "rows.jsonl", "--tenant", "a", "--json"];
    let stopped = house.run(&import);
    is_ours(&stopped.err);
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.err.contains("line 2"), "{stopped:?}");
    let skipped = house.run(&[&import[..], &["--skip-bad"]].concat());
    is_ours(&skipped.err);
    assert_eq!(skipped.code, Some(4), "{skipped:?}");
    let bad: Vec<Value> =
        skipped.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<u64> = bad.iter().filter_map(|bad| bad["line"].as_u64()).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 8, 9], "{skipped:?}");
    assert_eq!(house.number("select count(*) from app.note").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_gigabyte_is_refused_in_bounded_memory() {
    let house = House::new().await;
    let arguments = ["import", "note", "-", "--tenant", "a", "--skip-bad", "--json"];
    let mut child = house.command(&arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"{\"number\":1,\"title\":\"").unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        input.write_all(&block).unwrap();
    }
    let peak = peak_kib(child.id());
    input.write_all(b"\"}\n{\"number\":2,\"title\":\"b\"}\n").unwrap();
    drop(input);
    let ended = crate::harness::ended(child);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("FH004") && peak < 400 << 10, "{peak} KiB, {ended:?}");
    assert_eq!(house.number("select count(*) from app.note").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_the_command_line_is_json_if_asked() {
    let house = House::new().await;
    house.write("broken.toml", "[model\nname");
    house.write("bytes.toml", b"[model]\nname = \"\xff\"");
    house.write("field.toml", "[model]\nname = \"x\"\n[entity.a.field]\nb = { typ = \"text\" }\n");
    let cases: [(&[&str], i32); 13] = [
        (&["check", "--model", "broken.toml"], 1),
        (&["plan", "--model", "field.toml"], 1),
        (&["apply", "--model", "bytes.toml"], 1),
        (&["check", "--model", "."], 1),
        (&["insert", "note", "{", "--tenant", "a"], 1),
        (&["insert", "note", "{}", "--tenant", "nobody"], 1),
        (&["query", "note?nope=eq.1", "--tenant", "a"], 1),
        (&["import", "note", "none.jsonl", "--tenant", "a"], 1),
        (&["export", "note", "none/x.jsonl", "--tenant", "a"], 3),
        (&["tenant", "delete", "a", "--confirm", "b"], 1),
        (&["key", "create", "--tenant", "a", "--expires", "0"], 2),
        (&["serve", "--listen", "nonsense"], 3),
        (&["frob"], 2),
    ];
    for (arguments, code) in cases {
        let ended = house.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        is_ours(&ended.err);
        for line in ended.err.lines() {
            let said: Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: {line}"));
            assert!(said["message"].is_string(), "{arguments:?}: {line}");
        }
    }
    assert_eq!(house.number("select count(*) from freehold.tenant").await, 2);
    assert_eq!(json!(house.fine(&["key", "list", "--json"]).trim()), json!("[]"));
}
