//! Requests that are no HTTP, and connections beyond the last: refused in the shape of every other refusal; and answers whose
//! bytes look like such a refusal stay as they are.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::harness::{Answer, House, Served, answer, is_ours};

fn served(house: &House) -> Served {
    house.write("server.toml", "[limits]\nconnections = 2\nheader_bytes = 9000\n");
    house.serve_with(&["--config", "server.toml"])
}

fn send(stream: &mut TcpStream, key: &str, line: &str, more: &str) {
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\napikey: {key}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
}

/// One answer of a connection that goes on.
fn one(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let status = head[9..12].parse().unwrap();
    let mut answer = Answer { status, head, body: String::new() };
    let length = answer.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    answer.body = String::from_utf8(body).unwrap();
    answer
}

fn is_whole(answer: &Answer) {
    is_ours(&answer.body);
    assert_eq!(
        answer.header("content-length"),
        Some(&*answer.body.len().to_string()),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32), "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    let body: Value = answer.json();
    assert!(body["message"].is_string() && body.get("hint").is_some(), "{answer:?}");
    let proxy = format!("PostgREST; error={}", body["code"].as_str().unwrap());
    assert_eq!(answer.header("proxy-status"), Some(&*proxy));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_in_the_usual_shape() {
    let house = House::new().await;
    let (server, key) = (served(&house), house.key("a"));
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(30_000));
    for (line, more, status, code) in [
        ("GET /rest/v1/note?select=extra->a", "", 400, "PGRST100"),
        ("GET /rest/v1/note?title=eq.\"a\"", "", 400, "PGRST100"),
        ("GET /rest/v1/note?title=eq.a b", "", 400, "PGRST100"),
        ("GET /rest/v1/note", "no colon\r\n", 400, "PGRST100"),
        ("GET /rest/v1/note", &many, 431, "FH004"),
        ("GET /rest/v1/note", &long, 431, "FH004"),
    ] {
        // As the first request of a connection, and behind another.
        for before in [0, 2] {
            let mut stream = server.connect();
            for _ in 0..before {
                send(&mut stream, &key, "GET /rest/v1/note?select=number", "");
                assert_eq!(one(&mut stream).body, "[]");
            }
            send(&mut stream, &key, line, more);
            let answer = answer(&mut stream);
            assert_eq!(answer.status, status, "{line}: {answer:?}");
            is_whole(&answer);
            assert_eq!(answer.json()["code"], code);
            assert!(answer.header("date").is_some(), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_last_is_told_so() {
    let house = House::new().await;
    let (server, key) = (served(&house), house.key("a"));
    let mut held: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut held {
        send(stream, &key, "GET /rest/v1/note?select=number", "");
        assert_eq!(one(stream).status, 200);
    }
    let refused = answer(&mut server.connect());
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{refused:?}");
    is_whole(&refused);
    assert_eq!(refused.json()["code"], "FH005");
    send(&mut held[0], &key, "GET /rest/v1/note?select=number", "");
    assert_eq!(one(&mut held[0]).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_looks_like_a_refusal_is_given_as_it_is() {
    let house = House::new().await;
    let (server, key) = (served(&house), house.key("a"));
    let fake = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let title = fake.repeat(14_000);
    // As CSV, which does not escape it.
    let (line, csv) = ("GET /rest/v1/note?select=title", "accept: text/csv\r\n");
    let row = format!("title\n\"{title}\"");
    let body = json!({ "number": 1, "title": title }).to_string();
    let made = server.ask("POST /rest/v1/note", &[&format!("apikey: {key}")], body.as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    let mut stream = server.connect();
    for _ in 0..3 {
        send(&mut stream, &key, line, csv);
        assert!(one(&mut stream).body == row, "another body");
        // Two at once: the second is read before all of the first has left.
        send(&mut stream, &key, line, csv);
        send(&mut stream, &key, "GET /rest/v1/note?select=number", "");
        assert!(one(&mut stream).body == row, "another body");
        assert_eq!(one(&mut stream).body, r#"[{"number":1}]"#);
    }
}
