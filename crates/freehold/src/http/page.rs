//! docs/http.md, made from what the code has: `UPDATE_EXPECT=1 cargo test -p freehold --bin freehold page` writes it.

use std::{fmt::Write as _, fs, path::Path};

use freehold_engine::Code;

use super::{cors, prefer, request};

/// Method, path, the role it needs, and what it does. The router is held to this list, and a test calls each without a
/// key and with a weaker role.
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("GET", "/rest/v1/", "reader", "the API as a Swagger 2.0 document"),
    ("GET", "/rest/v1", "reader", "the same"),
    ("OPTIONS", "/rest/v1/", "reader", "the methods in `Allow`, as of every path below"),
    (
        "GET",
        "/rest/v1/{entity}",
        "reader",
        "rows of an entity, read model or view; HEAD gives the headers alone",
    ),
    ("QUERY", "/rest/v1/{entity}", "reader", "the same with the query string as the body"),
    ("POST", "/rest/v1/query/{entity}", "reader", "the same for who cannot send QUERY"),
    ("POST", "/query/{entity}", "reader", "the same"),
    ("POST", "/rest/v1/{entity}", "writer", "insert, or upsert"),
    ("PATCH", "/rest/v1/{entity}", "writer", "change the rows that fit the filters"),
    (
        "PUT",
        "/rest/v1/{entity}",
        "writer",
        "the one row that the URL names, new or over the one that is there",
    ),
    ("DELETE", "/rest/v1/{entity}", "writer", "delete the rows that fit the filters"),
    (
        "GET",
        "/rest/v1/rpc/{function}",
        "reader",
        "call a function that only reads; arguments in the query string",
    ),
    (
        "POST",
        "/rest/v1/rpc/{function}",
        "reader",
        "call a function; a reader's call changes nothing",
    ),
    ("POST", "/transaction", "writer", "several changes, all or none"),
    ("GET", "/admin/v1/keys", "admin", "the tenant's keys"),
    ("POST", "/admin/v1/keys", "admin", "make a key"),
    ("DELETE", "/admin/v1/keys/{id}", "admin", "revoke a key"),
    ("GET", "/live", "", "whether the process is there"),
    ("GET", "/ready", "", "whether the database answers and the wall stands"),
    ("GET", "/health/live", "", "as `/live`"),
    ("GET", "/health/ready", "", "as `/ready`"),
];

const ASKED: &[(&str, &str)] = &[
    ("authorization", "`Bearer KEY`, an API key or a token"),
    ("apikey", "the same without `Bearer`; `authorization` counts where both are"),
    ("accept", "the form of the answer, see below"),
    ("content-type", "the form of the body, see below"),
    ("prefer", "see below; may come several times, and of two for the same thing the first counts"),
    ("range", "`0-9`: which of the rows that `limit` and `offset` leave"),
    ("accept-profile", "`app` or `public`: the one schema there is"),
    ("content-profile", "the same"),
    (
        "consistency",
        "`strong`: as if nothing were kept; `session`, the default: what the token's session wrote and read before, without a \
         token as `strong`; `bounded; max-age=2`: right no longer than so many seconds ago",
    ),
    (
        "consistency-token",
        "what an answer returned: a read shows at least as much, and of read models waits until they do",
    ),
    (
        "if-match",
        "of PATCH, PUT and DELETE: the `etag` of a GET with the same query string; if the rows are others by now, 412 and nothing changed",
    ),
    ("if-none-match", "the `etag` of an answer that the caller has: if it is still right, 304"),
    ("x-request-id", "taken over into the log and the answer"),
    ("traceparent", "its trace id goes into the log"),
];

const ANSWERED: &[(&str, &str)] = &[
    ("content-range", "`0-9/200`: which rows, and of how many if that was asked"),
    ("content-location", "the query with its parts in order"),
    ("preference-applied", "which preferences were followed"),
    ("location", "of one new row, with `return=headers-only`"),
    ("consistency-token", "where a write stands, or what a read has seen"),
    ("etag", "tells the answer from any other to the same question"),
    ("cache-status", "`Freehold; hit`, or why not (RFC 9211)"),
    ("age", "of a kept answer: for how many seconds it may have been wrong"),
    ("search-info", "how a search was done and how sure it is"),
    ("proxy-status", "`PostgREST; error=CODE`, so that the answer to a HEAD tells it, too"),
    ("www-authenticate", "with 401"),
    ("retry-after", "seconds, with 429 and 503"),
    ("x-request-id", "by which the log knows the request"),
];

const BODIES: &[(&str, &str)] = &[
    ("application/json", "rows: an object or an array of them; arguments: an object"),
    (
        "text/csv",
        "rows: a line of names, then lines, with quotes as RFC 4180 has them; `NULL` is null, nothing between commas an empty text",
    ),
    ("application/x-www-form-urlencoded", "one row, or arguments"),
];

fn page() -> String {
    let mut page = String::from(
        "# The HTTP API\n\nMade from the code; a test keeps it so. The language of queries is in [query.md](query.md), keys, \
         tokens and limits in\n[access.md](access.md), blobs under `/storage/v1` in [blobs.md](blobs.md).\n\n## Routes\n\n\
         | | needs | |\n|---|---|---|\n",
    );
    for (method, path, role, about) in ROUTES {
        let role = if role.is_empty() { "no key" } else { role };
        let _ = writeln!(page, "| `{method} {path}` | {role} | {about} |");
    }
    table(&mut page, "Headers of requests", ASKED.iter().map(|(name, about)| (*name, *about)));
    page += "\n## Prefer\n\n| preference | of | means |\n|---|---|---|\n";
    for known in &prefer::KNOWN {
        let of = match known.fits {
            prefer::Fits::Reads => "reads",
            prefer::Fits::Writes => "writes",
            prefer::Fits::Both => "reads and writes",
        };
        let _ = writeln!(page, "| `{}={}` | {of} | {} |", known.name, known.values, known.about);
    }
    page += "| `wait=2s` | reads | how long to wait for what a `Consistency-Token` names, at most 30 s |\n";
    page += "\nWhat is not known, a time zone that there is not included, is passed over, and refused with `handling=strict`.\n";
    table(&mut page, "Bodies", BODIES.iter().map(|(name, about)| (*name, *about)));
    page += "\n## Answers\n\nThe first of these that `Accept` names; without it, or with `*/*`, JSON.\n\n";
    for media in request::SERVED.iter().filter(|media| media.len() > 3) {
        let _ = writeln!(page, "- `{media}`");
    }
    page += "\n`;nulls=stripped` after one of `vnd.pgrst` leaves out what is null.\n";
    table(&mut page, "Headers of answers", ANSWERED.iter().map(|(name, about)| (*name, *about)));
    page += "\n## Codes\n\nA refusal is `{\"code\", \"message\", \"details\", \"hint\"}`.\n\n| code | status | means |\n|---|---|---|\n";
    let mut codes: Vec<Code> = Code::ALL.to_vec();
    codes.sort_by_key(|code| code.as_str());
    for code in codes {
        let _ =
            writeln!(page, "| `{}` | {} | {} |", code.as_str(), code.http_status(), code.about());
    }
    page
}

fn table<'a>(page: &mut String, title: &str, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    let _ = write!(page, "\n## {title}\n\n| | |\n|---|---|\n");
    for (name, about) in rows {
        let _ = writeln!(page, "| `{name}` | {about} |");
    }
}

fn here(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    if std::env::var("UPDATE_EXPECT").is_ok() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/http.md is old; UPDATE_EXPECT=1 writes it");
}

#[test]
fn the_page_has_every_route_and_no_other() {
    let source = here("src/http.rs");
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let routes: Vec<String> = source
        .split(".route(")
        .skip(1)
        .filter_map(|rest| quoted(rest).filter(|it| it.starts_with('/')))
        .collect();
    assert!(routes.len() > 10, "{routes:?}");
    for route in &routes {
        assert!(ROUTES.iter().any(|(_, path, ..)| path == route), "{route} is not on the page");
    }
    for (_, path, ..) in ROUTES {
        assert!(routes.iter().any(|route| route == path), "{path} is not a route");
    }
}

#[test]
fn pages_of_other_origins_may_read_every_header() {
    let exposed: Vec<&str> = cors::EXPOSED.split(", ").collect();
    for (name, _) in ANSWERED {
        assert!(exposed.contains(name), "{name}");
    }
}

#[test]
fn the_page_has_no_header_that_the_code_does_not_know() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut code = String::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("page.rs") {
            code += &fs::read_to_string(path).unwrap().to_ascii_lowercase();
        }
    }
    for (name, _) in ASKED.iter().chain(ANSWERED) {
        let constant = format!("header::{}", name.replace('-', "_"));
        assert!(code.contains(&format!("\"{name}\"")) || code.contains(&constant), "{name}");
    }
}
