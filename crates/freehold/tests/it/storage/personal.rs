//! Files that are somebody's, over HTTP: opened for a purpose that the model has, and counted; closed with the person.

use serde_json::json;

use super::{blobs, house_of};

const MODEL: &str = "
[model]
name = \"people\"
[personal.contact]
purpose = \"account\"
purposes = [\"support\"]
basis = \"contract\"
retention = \"3 years\"
[entity.person]
subject = true
[entity.person.field]
handle = { type = \"text\", unique = true, not_personal = \"a name of the product's\" }
face = { type = \"blob\", personal = \"contact\", optional = true }
[entity.letter.field]
path = { type = \"text\", unique = true, not_personal = \"a number\" }
from = { ref = \"person\", on_erase = \"unlink\", optional = true, on_delete = \"cascade\" }
scan = { type = \"blob\", personal = \"contact\", optional = true, path = \"path\" }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_somebodys_is_opened_for_a_purpose_until_they_are_erased() {
    let house = house_of(MODEL).await;
    let place = blobs(&house);
    let served = house.serve_with(&["--blobs", &place]);
    let (key, other) = (house.key("a"), house.key("b"));
    let ask = |key: &str, line: &str, prefer: &str, body: &[u8]| {
        let (key, prefer) = (format!("apikey: {key}"), format!("prefer: {prefer}"));
        served.ask(line, &[&key, &prefer, "content-type: text/plain"], body)
    };
    let mut ids = Vec::new();
    for key in [&key, &other] {
        let made = served.as_tenant(key, "POST /rest/v1/person", "{\"handle\":\"ada\"}").json();
        let id = made[0]["id"].as_str().unwrap().to_owned();
        let face = format!("POST /storage/v1/object/person.face/{id}");
        assert_eq!(ask(key, &face, "", b"her face").status, 200);
        assert_eq!(ask(key, "POST /storage/v1/object/letter/one", "", b"a letter").status, 200);
        let from = format!("{{\"from\":\"{id}\"}}");
        served.as_tenant(key, "PATCH /rest/v1/letter?path=eq.one", &from);
        ids.push(id);
    }
    let ada = &ids[0];
    let wrapped =
        "select count(*) from freehold.blob where key_subject = subject and own_at is null";
    assert_eq!(house.number(wrapped).await, 4, "each with the write that made it hers");
    let face = format!("GET /storage/v1/object/person.face/{ada}");
    for (prefer, status) in [("purpose=support", 200), ("", 200), ("purpose=billing", 400)] {
        let got = ask(&key, &face, prefer, b"");
        assert_eq!(got.status, status, "{prefer}: {got:?}");
        assert_eq!(got.body == "her face", status == 200, "{got:?}");
    }
    assert_eq!(ask(&other, &face, "", b"").status, 404);
    let head = face.replacen("GET", "HEAD", 1);
    assert_eq!(ask(&key, &head, "purpose=support", b"").status, 200);
    // A URL is for whoever has it, and for what the class is kept for.
    let sign = format!("POST /storage/v1/object/sign/person.face/{ada}");
    let signed = ask(&key, &sign, "", b"{\"expiresIn\":60}").json();
    let signed = format!("GET /storage/v1{}", signed["signedURL"].as_str().unwrap());
    assert_eq!(served.ask(&signed, &[], b"").body, "her face");
    let info = ask(&key, "GET /storage/v1/object/info/letter/one", "", b"").json();
    assert_eq!(info["metadata"]["subject"], json!(ada), "{info}");
    let body = br#"{"bucketId":"letter","sourceKey":"one","destinationKey":"two"}"#;
    for way in ["copy", "move"] {
        let line = format!("POST /storage/v1/object/{way}");
        let body = String::from_utf8_lossy(body).replace("two", way);
        assert_eq!(ask(&key, &line, "", body.as_bytes()).status, 200, "{way}");
    }
    let moved = ask(&key, "GET /storage/v1/object/info/letter/move", "", b"").json();
    assert_eq!(moved["metadata"]["subject"], json!(ada), "{moved}");
    let copied = ask(&key, "GET /storage/v1/object/info/letter/copy", "", b"").json();
    assert_eq!(copied["metadata"]["subject"], json!(ada), "a copy is hers, too: {copied}");
    let opens = async |field: &str, purpose: &str| {
        let of = "select coalesce(sum(opens), 0)::bigint from freehold.opened where field";
        house.number(&format!("{of} = '{field}' and purpose = '{purpose}'")).await
    };
    assert_eq!((opens("face", "support").await, opens("face", "account").await), (1, 2));
    assert_eq!(opens("scan", "account").await, 1, "to be copied");
    house.fine(&["blobs", "verify", "--blobs", &place]);
    house.fine(&["erase", "person", ada, "--tenant", "a", "--blobs", &place]);
    let letters = ["move", "copy"].map(|path| format!("GET /storage/v1/object/letter/{path}"));
    for line in [&face, &signed].into_iter().chain(&letters) {
        let gone = ask(&key, line, "", b"");
        assert_eq!(
            (gone.status, gone.json()["code"].as_str()),
            (404, Some("NoSuchKey")),
            "{line}: {gone:?}"
        );
    }
    let theirs = format!("GET /storage/v1/object/person.face/{}", ids[1]);
    assert_eq!(ask(&other, &theirs, "", b"").body, "her face");
    house.fine(&["blobs", "verify", "--blobs", &place]);
}
