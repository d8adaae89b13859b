//! A storage that hangs, then is gone: whoever needs it is told so, and rows are served as if nothing had happened.

use std::{process::Command, sync::Arc, thread};

use super::{
    house,
    moto::{BUCKET, Moto},
};
use crate::harness::{Answer, Served};

/// Several parts.
const LARGE: usize = 20_000_000;

impl Moto {
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

fn ask(served: &Served, key: &str, line: &str, body: &[u8]) -> Answer {
    let auth = format!("apikey: {key}");
    let content_type = if line.contains("/copy") { "application/json" } else { "text/plain" };
    served.ask(line, &[&auth, "x-upsert: true", &format!("content-type: {content_type}")], body)
}

fn refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer:?}");
    assert_eq!(answer.json()["code"], "FH073", "{what}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{what}");
}

/// Whatever needs bytes is refused, and nothing else.
fn out(served: &Arc<Served>, key: &str) {
    let copy = br#"{"bucketId":"file","sourceKey":"there","destinationKey":"copy"}"#;
    let bytes = vec![b'x'; LARGE];
    let trials: [(&str, &[u8]); 4] = [
        ("POST /storage/v1/object/file/new", b"new"),
        ("POST /storage/v1/object/file/there", &bytes),
        ("GET /storage/v1/object/file/there", b""),
        ("POST /storage/v1/object/copy", copy),
    ];
    let trying: Vec<_> = trials
        .map(|(line, body)| {
            let (served, key, body) = (served.clone(), key.to_owned(), body.to_owned());
            let asked = move || (line, ask(&served, &key, line, &body));
            thread::spawn(asked)
        })
        .into();
    // Beside them, from the first moment to the last.
    let mut asked = 0;
    while asked == 0 || trying.iter().any(|trial| !trial.is_finished()) {
        let rows = served.as_tenant(key, "GET /rest/v1/file?select=path,file", "");
        assert_eq!((rows.status, rows.json()[0]["path"].as_str()), (200, Some("there")));
        let info = ask(served, key, "GET /storage/v1/object/info/file/there", b"");
        assert_eq!((info.status, &info.json()["size"]), (200, &5.into()));
        asked += 1;
    }
    for trial in trying {
        let (line, answer) = trial.join().unwrap();
        refused(&answer, line);
    }
    let person = served.as_tenant(key, "POST /rest/v1/person", "{\"name\":\"ada\"}");
    assert_eq!(person.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_out_is_said_to_be_and_rows_are_served() {
    let mut moto = Moto::start();
    let mut house = house().await;
    house.environment = Moto::environment(&moto.address);
    let key = house.key("a");
    let place = format!("s3://{BUCKET}/some/prefix");
    let served = Arc::new(house.serve_with(&["--blobs", &place, "--blobs-patience", "3"]));
    assert_eq!(ask(&served, &key, "POST /storage/v1/object/file/there", b"there").status, 200);
    moto.signal("-STOP");
    out(&served, &key);
    moto.signal("-CONT");
    let got = ask(&served, &key, "GET /storage/v1/object/file/there", b"");
    assert_eq!((got.status, got.body.as_str()), (200, "there"));
    assert_eq!(ask(&served, &key, "POST /storage/v1/object/file/there", b"again").status, 200);
    let got = ask(&served, &key, "GET /storage/v1/object/file/there", b"");
    assert_eq!(got.body, "again");
    moto.child.kill().unwrap();
    moto.child.wait().unwrap();
    out(&served, &key);
    // Of all of it one row is left, and one blob that a row has.
    assert_eq!(house.number("select count(*) from app.file").await, 1);
    let live = "select count(*) from freehold.blob where state in ('live', 'pending')";
    crate::harness::until("the others are given up", async || house.number(live).await == 1).await;
}
