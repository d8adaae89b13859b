//! What objects are called: listings page by page, names that only SQL gives, and requests that name nothing right.

use serde_json::{Value, json};

use super::{blobs, house};
use crate::harness::{Answer, House, Served};

struct Yard {
    house: House,
    served: Served,
    auth: String,
}

async fn yard() -> Yard {
    let house = house().await;
    let place = blobs(&house);
    let served = house.serve_with(&["--blobs", &place]);
    let auth = format!("apikey: {}", house.key("a"));
    Yard { house, served, auth }
}

impl Yard {
    fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let (verb, path) = line.split_once(' ').unwrap();
        let headers = [&[self.auth.as_str()], headers].concat();
        self.served.ask(&format!("{verb} /storage/v1{path}"), &headers, body)
    }

    fn put(&self, path: &str) {
        let line = format!("POST /object/file/{path}");
        assert_eq!(self.ask(&line, &["content-type: text/plain"], b"hello").status, 200, "{path}");
    }

    fn json(&self, line: &str, body: &Value) -> Answer {
        self.ask(line, &["content-type: application/json"], body.to_string().as_bytes())
    }

    /// Paths of all pages, folders marked as such.
    fn pages(&self, asked: &Value) -> Vec<String> {
        let (mut all, mut asked) = (Vec::new(), asked.clone());
        loop {
            let page = self.json("POST /object/list-v2/file", &asked);
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json();
            let names = |kind: &str| {
                let list = page[kind].as_array().unwrap().clone();
                list.into_iter().map(|one| one["name"].as_str().unwrap().to_owned())
            };
            let (folders, objects) = (names("folders"), names("objects"));
            all.extend(folders.map(|name| format!("[{name}]")).chain(objects));
            assert_eq!(page["hasNext"].as_bool(), Some(page["nextCursor"].is_string()));
            if page["hasNext"] == false {
                return all;
            }
            asked["cursor"] = page["nextCursor"].clone();
        }
    }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{answer:?}");
    assert!(answer.json()["hint"].is_string(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_listed_page_by_page() {
    let yard = yard().await;
    for path in ["b/2", "b/1", "top", "b/c/3", "a/%C3%A4", "B"] {
        yard.put(path);
    }
    let flat = ["B", "a/ä", "b/1", "b/2", "b/c/3", "top"];
    for limit in [1, 2, 4, 6, 1000] {
        assert_eq!(yard.pages(&json!({ "limit": limit })), flat, "{limit}");
        let mut down =
            yard.pages(&json!({ "limit": limit, "sortBy": { "column": "name", "order": "desc" } }));
        down.reverse();
        assert_eq!(down, flat, "{limit}");
        let by_time = json!({ "limit": limit, "sortBy": { "column": "created_at" } });
        assert_eq!(yard.pages(&by_time), ["b/2", "b/1", "top", "b/c/3", "a/ä", "B"], "{limit}");
        let inside = json!({ "limit": limit, "prefix": "b/" });
        assert_eq!(yard.pages(&inside), ["b/1", "b/2", "b/c/3"], "{limit}");
    }
    let folders = yard.pages(&json!({ "limit": 1, "with_delimiter": true }));
    assert_eq!(folders, ["B", "[a/]", "[b/]", "top"]);
    let folders = yard.pages(&json!({ "limit": 1, "with_delimiter": true, "prefix": "b/" }));
    assert_eq!(folders, ["b/1", "b/2", "[b/c/]"]);
    // Of a page that was read, what goes and comes meanwhile moves nothing.
    let first = yard.json("POST /object/list-v2/file", &json!({ "limit": 2 })).json();
    assert_eq!(first["objects"][1]["metadata"]["size"], 5, "{first}");
    assert_eq!(yard.ask("DELETE /object/file/B", &[], b"").status, 200);
    yard.put("0");
    let rest = yard.pages(&json!({ "cursor": first["nextCursor"] }));
    assert_eq!(rest, ["b/1", "b/2", "b/c/3", "top"]);
    // The other tenant's are others.
    let other = format!("apikey: {}", yard.house.key("b"));
    let theirs = yard.served.ask("POST /storage/v1/object/list-v2/file", &[&other], b"{}").json();
    assert_eq!(theirs, json!({ "hasNext": false, "folders": [], "objects": [] }));
    let now = "323032362d30312d30310a61";
    let by_time = json!({ "column": "created_at", "order": "asc" });
    assert_eq!(yard.pages(&json!({ "cursor": now })).len(), 5);
    for cursor in ["x", "00", "780a61"] {
        let asked = json!({ "cursor": cursor, "sortBy": by_time });
        refused(&yard.json("POST /object/list-v2/file", &asked), 400, "22P02");
    }
    let versions = json!({ "noncurrentVersions": "include" });
    refused(&yard.json("POST /object/list-v2/file", &versions), 501, "FH040");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_in_the_usual_form() {
    let yard = yard().await;
    yard.put("a");
    yard.put("b");
    for line in [
        "GET /object/file/%ff",
        "POST /object/file/%ff",
        "GET /object/info/file/%ff",
        "GET /bucket/%ff",
    ] {
        refused(&yard.ask(line, &[], b"x"), 404, "PGRST125");
    }
    let twice = yard.ask("GET /object/file/a?download=x&download=y", &[], b"");
    refused(&twice, 400, "PGRST100");
    assert!(twice.json()["details"].as_str().unwrap().contains("duplicate"), "{twice:?}");
    for line in [
        "GET /object/sign/file/a?token=x&token=y",
        "PUT /object/upload/sign/file/a?token=x&token=y",
    ] {
        refused(&yard.ask(line, &[], b"x"), 400, "PGRST100");
    }
    for list in ["POST /object/list/file", "POST /object/list-v2/file"] {
        for sort in [json!({ "column": "size" }), json!({ "column": "name", "order": "down" })] {
            refused(&yard.json(list, &json!({ "prefix": "", "sortBy": sort })), 400, "PGRST102");
        }
    }
    let transfer = json!({ "bucketId": "file", "sourceKey": "a", "destinationKey": "b" });
    let moved = yard.json("POST /object/move", &transfer);
    refused(&moved, 409, "23505");
    assert!(!moved.json()["hint"].as_str().unwrap().contains("x-upsert"), "{moved:?}");
    let copied = yard.json("POST /object/copy", &transfer);
    assert!(copied.json()["hint"].as_str().unwrap().contains("x-upsert"), "{copied:?}");
    // A form whose file cannot be told from what is around it is not taken for the file.
    let long = "x".repeat(71);
    for boundary in ["", "; boundary=", &format!("; boundary={long}")] {
        let content_type = format!("content-type: multipart/form-data{boundary}");
        let body = format!(
            "--{long}\r\nContent-Disposition: form-data; filename=\"f\"\r\n\r\nx\r\n--{long}--\r\n"
        );
        refused(
            &yard.ask("POST /object/file/form", &[&content_type], body.as_bytes()),
            400,
            "PGRST102",
        );
    }
    assert_eq!(yard.ask("GET /object/file/form", &[], b"").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sql_named_badly_can_be_moved_and_removed() {
    let yard = yard().await;
    for path in ["0", "1", "2", "3", "4"] {
        yard.put(path);
    }
    let admin = yard.house.db.client().await;
    let long = "y".repeat(2000);
    let bad = ["a//b", "../etc", "c\u{1}\n\\", &long, ""];
    for (number, path) in bad.iter().enumerate() {
        let old = number.to_string();
        let named = "update app.file set path = $1 where path = $2";
        assert_eq!(admin.execute(named, &[path, &old]).await.unwrap(), 1);
    }
    let transfer = json!({ "bucketId": "file", "sourceKey": bad[0], "destinationKey": "good" });
    assert_eq!(yard.json("POST /object/move", &transfer).status, 200);
    assert_eq!(yard.ask("GET /object/file/good", &[], b"").body, "hello");
    let back = json!({ "bucketId": "file", "sourceKey": "good", "destinationKey": bad[0] });
    refused(&yard.json("POST /object/move", &back), 400, "22021");
    assert_eq!(yard.ask("DELETE /object/file/..%2Fetc", &[], b"").status, 200);
    let removed = yard
        .json("DELETE /object/file", &json!({ "prefixes": [bad[2], bad[3], bad[4], "a\u{0}"] }));
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(removed.json().as_array().unwrap().len(), 3, "{removed:?}");
    assert_eq!(yard.house.number("select count(*) from app.file").await, 1);
}
