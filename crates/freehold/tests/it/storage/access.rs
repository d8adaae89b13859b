//! Who may have which bytes, what is told of them, and how many there may be.

use std::{io::Write as _, net::TcpStream};

use super::{agrees, blobs, house, settle};
use crate::harness::{Answer, House, Served, answer, until};

const HELLO: &[u8] = b"hello world";

struct Yard {
    house: House,
    served: Served,
    key: String,
    other: String,
}

async fn yard(options: &[&str]) -> Yard {
    let house = house().await;
    let (key, other) = (house.key("a"), house.key("b"));
    let place = blobs(&house);
    let served = house.serve_with(&[&["--blobs", &place], options].concat());
    Yard { house, served, key, other }
}

impl Yard {
    fn ask(&self, key: &str, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let auth = format!("apikey: {key}");
        self.served.ask(line, &[&[auth.as_str()], headers].concat(), body)
    }

    fn put(&self, path: &str, content_type: &str) -> Answer {
        let content_type = format!("content-type: {content_type}");
        let line = format!("POST /storage/v1/object/file/{path}");
        self.ask(&self.key, &line, &[&content_type, "x-upsert: true"], HELLO)
    }

    fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask(&self.key, &format!("GET /storage/v1/object/file/{path}"), headers, b"")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_to_bytes_are_rights_to_rows() {
    let yard = yard(&[]).await;
    assert_eq!(yard.put("a/b", "text/plain").status, 200);
    let reader = yard.house.fine(&["key", "create", "--tenant", "a", "--role", "reader"]);
    let reader = reader.trim();
    let at = "/storage/v1/object/file/a/b";
    assert_eq!(yard.ask(reader, &format!("GET {at}"), &[], b"").body, "hello world");
    let text = "content-type: text/plain";
    for (line, body) in [
        (format!("POST {at}2"), HELLO),
        (format!("PUT {at}"), b"x"),
        (format!("DELETE {at}"), b""),
        ("POST /storage/v1/object/upload/sign/file/a/c".into(), b"{}"),
        (
            "POST /storage/v1/object/move".into(),
            br#"{"bucketId":"file","sourceKey":"a/b","destinationKey":"c"}"#,
        ),
        (
            "POST /storage/v1/object/copy".into(),
            br#"{"bucketId":"file","sourceKey":"a/b","destinationKey":"c"}"#,
        ),
    ] as [(String, &[u8]); 6]
    {
        let refused = yard.ask(reader, &line, &[text], body);
        assert_eq!(refused.status, 403, "{line}: {refused:?}");
    }
    // Another tenant, and nobody.
    for verb in ["GET", "HEAD", "DELETE", "PUT"] {
        let line = format!("{verb} {at}");
        assert_eq!(yard.ask(&yard.other, &line, &[text], b"x").status, 404, "{verb}");
        assert_eq!(yard.served.ask(&line, &[text], b"x").status, 401, "{verb}");
    }
    let public = format!("GET {}", at.replace("object", "object/public"));
    assert_eq!(yard.served.ask(&public, &[], b"").status, 401);
    assert_eq!(yard.ask(&yard.key, &public, &[], b"").status, 403);
    // A row that goes takes its bytes along, also from who holds a URL.
    let sign = "POST /storage/v1/object/sign/file/a/b";
    let signed = yard.ask(reader, sign, &[], br#"{"expiresIn":60}"#).json();
    let url = format!("GET /storage/v1{}", signed["signedURL"].as_str().unwrap());
    assert_eq!(yard.served.ask(&url, &[], b"").body, "hello world");
    assert_eq!(yard.served.ask(&url.replace("a/b", "a/c"), &[], b"").status, 401);
    let line = "DELETE /rest/v1/file?path=eq.a%2Fb";
    assert_eq!(yard.ask(&yard.key, line, &[], b"").status, 204);
    assert_eq!(yard.served.ask(&url, &[], b"").status, 404);
    assert_eq!(yard.get("a/b", &[]).status, 404);
    let place = blobs(&yard.house);
    settle(&yard.house, &place).await;
    agrees(&yard.house, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_ends_with_its_time_and_with_its_key() {
    let yard = yard(&[]).await;
    yard.put("x", "text/plain");
    let sign = |key: &str, seconds: &str| {
        let body = format!("{{\"expiresIn\":{seconds}}}");
        yard.ask(key, "POST /storage/v1/object/sign/file/x", &[], body.as_bytes())
    };
    for wrong in ["0", "604801", "-1", "1.5", "99999999999999999999"] {
        assert!(matches!(sign(&yard.key, wrong).status, 400 | 416 | 422), "{wrong}");
    }
    let short = sign(&yard.key, "1").json();
    let short = format!("GET /storage/v1{}", short["signedURL"].as_str().unwrap());
    until("it ends", async || yard.served.ask(&short, &[], b"").status == 401).await;
    let made = yard.house.fine(&["key", "create", "--tenant", "a", "--name", "brief", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let long = sign(made["key"].as_str().unwrap(), "600").json();
    let long = format!("GET /storage/v1{}", long["signedURL"].as_str().unwrap());
    assert_eq!(yard.served.ask(&long, &[], b"").status, 200);
    let put = long.replacen("GET", "PUT", 1).replace("object/sign", "object/upload/sign");
    assert_eq!(yard.served.ask(&put, &[], b"x").status, 401);
    yard.house.fine(&["key", "revoke", made["id"].as_str().unwrap()]);
    until("its key is revoked", async || yard.served.ask(&long, &[], b"").status == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_given_as_they_are_asked_for() {
    let yard = yard(&[]).await;
    yard.put("x", "text/plain");
    let etag = yard.get("x", &[]).header("etag").unwrap().to_owned();
    for (range, status, body) in [
        ("bytes=0-4", 206, "hello"),
        ("bytes=-5", 206, "world"),
        ("bytes=-999", 206, "hello world"),
        ("bytes=6-18446744073709551616", 206, "world"),
        ("bytes=0-0,2-3", 200, "hello world"),
        ("bytes=4-2", 200, "hello world"),
        ("lines=1-2", 200, "hello world"),
    ] {
        let got = yard.get("x", &[&format!("range: {range}")]);
        assert_eq!((got.status, got.body.as_str()), (status, body), "{range}");
        let told = got.header("content-length").unwrap().parse::<usize>().unwrap();
        assert_eq!(told, body.len(), "{range}");
    }
    for range in ["bytes=11-", "bytes=18446744073709551616-", "bytes=-0"] {
        let got = yard.get("x", &[&format!("range: {range}")]);
        assert_eq!((got.status, got.header("content-range")), (416, Some("bytes */11")), "{range}");
    }
    let conditional = |header: &str| {
        let got = yard.get("x", &["range: bytes=0-4", header]);
        (got.status, got.body)
    };
    let answer = |status, body: &str| (status, body.to_owned());
    assert_eq!(conditional(&format!("if-none-match: {etag}")), answer(304, ""));
    assert_eq!(conditional("if-none-match: \"x\""), answer(206, "hello"));
    assert_eq!(conditional(&format!("if-range: {etag}")), answer(206, "hello"));
    assert_eq!(conditional(&format!("if-range: W/{etag}")), answer(200, "hello world"));
    let other = conditional("if-match: \"x\"");
    assert!(other.0 == 412 && other.1.contains("FH074"), "{other:?}");
    // A moved file brings its old time along, so nothing is said or asked about times.
    let never = "Fri, 31 Dec 2100 23:59:59 GMT";
    assert_eq!(conditional(&format!("if-modified-since: {never}")), answer(206, "hello"));
    assert_eq!(conditional(&format!("if-range: {never}")), answer(200, "hello world"));
    assert_eq!(yard.get("x", &[]).header("last-modified"), None);
    let head = yard.ask(&yard.key, "HEAD /storage/v1/object/file/x", &["range: bytes=0-4"], b"");
    assert_eq!((head.status, head.header("content-length")), (206, Some("5")));
    assert_eq!(head.body, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_types_do_no_harm() {
    let yard = yard(&[]).await;
    for path in ["..%2Fx", "a%2F..%2Fb", "a%2F%2Fb", "%2Fa", "a%00", "a%0D%0Ax", "a%5Cb", "."] {
        let status = yard.put(path, "text/plain").status;
        assert!(matches!(status, 400 | 404 | 405), "{path}: {status}");
    }
    assert_eq!(yard.put(&"x".repeat(1025), "text/plain").status, 400);
    // What looks like a place in a file system or a query is only a name.
    for path in ["...", "%2e%2ex", "c:con", "%27%3B--", "%F0%9F%99%82", "a%23b%3Fc", "a%25"] {
        assert_eq!(yard.put(path, "text/plain").status, 200, "{path}");
        assert_eq!(yard.get(path, &[]).body, "hello world", "{path}");
    }
    for content_type in ["text", "text/", "/html", "text/html/x", "te xt/html", "text/<script>"] {
        assert_eq!(yard.put("typed", content_type).status, 415, "{content_type}");
    }
    for (content_type, kind) in [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("Text/HTML; charset=x", "attachment"),
        ("", "attachment"),
        ("image/png", "inline"),
        ("text/plain", "inline"),
    ] {
        assert_eq!(yard.put("typed", content_type).status, 200, "{content_type}");
        let got = yard.get("typed", &[]);
        let disposition = got.header("content-disposition").unwrap();
        assert!(disposition.starts_with(kind), "{content_type}: {disposition}");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        assert!(got.header("content-security-policy").unwrap().contains("sandbox"));
        let saved = yard.get("typed?download=a%22%0D%0Ax%3A%20y", &[]);
        let disposition = saved.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\"a___x_ y\""), "{disposition}");
        assert_eq!(saved.header("x"), None);
    }
    let encoded = ["content-encoding: gzip", "content-type: text/plain"];
    let line = "POST /storage/v1/object/file/zipped";
    let refused = yard.ask(&yard.key, line, &encoded, HELLO);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (415, Some("FH075")));
    let form = b"--X\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\
                 Content-Encoding: gzip\r\n\r\nx\r\n--X--\r\n";
    let refused =
        yard.ask(&yard.key, line, &["content-type: multipart/form-data; boundary=X"], form);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (415, Some("FH075")));
    assert_eq!(yard.get("zipped", &[]).status, 404);
    let plain = ["content-encoding: identity", "content-type: text/plain"];
    assert_eq!(yard.ask(&yard.key, line, &plain, HELLO).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_exact_and_metrics_say_what_there_is() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yard = yard(&["--metrics", &port.to_string()]).await;
    yard.house.fine(&["blobs", "quota", "--tenant", "a", "--bytes", "115", "--objects", "50"]);
    // All are begun before the first is whole.
    let uploads: Vec<TcpStream> = (0..24)
        .map(|number| {
            let mut stream = yard.served.connect();
            let head = format!(
                "POST /storage/v1/object/file/{number} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napikey: {}\r\n\
                 content-type: text/plain\r\ncontent-length: {}\r\n\r\n",
                yard.key,
                HELLO.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let statuses: Vec<u16> = uploads
        .into_iter()
        .map(|mut stream| {
            // Who was refused already may not be listened to any more.
            let _ = stream.write_all(HELLO);
            answer(&mut stream).status
        })
        .collect();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(413)), (10, 14), "{statuses:?}");
    let usage = yard.house.fine(&["blobs", "quota", "--tenant", "a", "--json"]);
    let usage: serde_json::Value = serde_json::from_str(&usage).unwrap();
    assert_eq!((&usage["bytes"], &usage["objects"]), (&110.into(), &10.into()));
    let mut stream = TcpStream::connect(port).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let text = answer(&mut stream).body;
    for line in [
        "freehold_blobs{state=\"live\"} 10",
        "freehold_blobs{state=\"pending\"} 0",
        "freehold_blobs{state=\"uploading\"} 0",
        "freehold_blobs{state=\"doomed\"} 0",
        "freehold_blobs_bytes 110",
        "freehold_blobs_oldest_doomed_seconds 0.000",
        "freehold_blobs_stuck 0",
        "freehold_blobs_unsound_total 0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}: {text}");
    }
    let place = blobs(&yard.house);
    settle(&yard.house, &place).await;
    agrees(&yard.house, 10).await;
}
