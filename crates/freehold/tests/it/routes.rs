//! Every route of docs/http.md, which is made from the code: none without a key, none with another tenant's rows, none
//! for a weaker role.

use std::{fs, path::Path};

use serde_json::json;

use crate::harness::{House, is_ours};

/// `(method and path, role)`
fn routes() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let page = fs::read_to_string(page).unwrap();
    let begun = page.split("## Routes").nth(1).unwrap();
    let table = begun.split("\n## ").next().unwrap();
    let routes: Vec<(String, String)> = table
        .lines()
        .filter_map(|line| {
            let (route, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((route.to_owned(), rest.split(" |").next()?.to_owned()))
        })
        .collect();
    assert!(routes.len() >= 18, "{routes:?}");
    routes
}

fn filled(route: &str) -> String {
    let route = route.replace("{entity}", "note").replace("{function}", "nothing");
    let filter =
        matches!(route.split(' ').next(), Some("PATCH" | "DELETE")) && route.contains("/rest/");
    route.replace("{id}", "fh_00000000") + if filter { "?number=eq.1" } else { "" }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_needs_a_key_and_its_role() {
    let house = House::new().await;
    let server = house.serve();
    let key = |tenant: &str, role: &str| {
        house.fine(&["key", "create", "--tenant", tenant, "--role", role]).trim().to_owned()
    };
    let (reader, writer, admin) = (key("a", "reader"), key("a", "writer"), key("a", "admin"));
    let other = key("b", "writer");
    let made = server.as_tenant(&writer, "POST /rest/v1/note", r#"{"number": 1, "title": "a"}"#);
    assert_eq!(made.status, 201, "{made:?}");
    for (route, role) in routes() {
        let line = filled(&route);
        let open = role == "no key";
        let none = server.ask(&line, &[], b"{}");
        assert_eq!(none.status == 401, !open, "{line}: {none:?}");
        if open {
            assert_eq!(none.status, 200, "{line}: {none:?}");
            continue;
        }
        let ask = |key: &str| server.ask(&line, &[&format!("apikey: {key}")], b"{}");
        let strength = ["reader", "writer", "admin"].iter().position(|it| *it == role).unwrap();
        for (at, key) in [&reader, &writer, &admin].into_iter().enumerate() {
            let answer = ask(key);
            assert_eq!(answer.status == 403, at < strength, "{line} as {at}: {answer:?}");
            assert_ne!(answer.status, 401, "{line}");
            assert!(answer.status < 500, "{line}: {answer:?}");
            is_ours(&answer.body);
        }
        // The other tenant's key finds nothing of this one's.
        let foreign = ask(&other);
        assert!(!foreign.body.contains("\"title\":\"a\""), "{line}: {foreign:?}");
    }
    let rows = server.as_tenant(&other, "GET /rest/v1/note", "");
    assert_eq!(rows.json(), json!([]));
}
