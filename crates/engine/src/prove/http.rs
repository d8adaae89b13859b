//! The same over HTTP: every route and verb with A's key and B's ids.

use reqwest::{Client, Method, redirect::Policy};
use serde_json::json;

use super::{Duel, Finding};
use crate::error::{Code, Error, Refusal};

const WORDS: [&str; 4] = [
    "H01",
    "HTTP",
    "Uses the ids of B with A's key on every entity, route and verb; and no key, and keys that are nearly B's.",
    "http",
];

struct Answer {
    status: u16,
    body: String,
}

pub(super) async fn attack(duel: &Duel<'_>, url: &str) -> Result<Vec<Finding>, Error> {
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .map_err(|error| unreachable_at(url, &error))?;
    let ask = Ask { client, url: url.trim_end_matches('/') };
    let [a, b] = &duel.keys;
    let mut leaks = Vec::new();
    for (entity, mine, id) in duel.rows() {
        let path = format!("/rest/v1/{entity}");
        let theirs = format!("{path}?id=eq.{id}");
        let before = ask.with(b, Method::GET, &theirs, None).await?;
        if before.status != 200 || !before.body.contains(&id) {
            leaks.push(format!(
                "B does not see its own {entity}: is this a server of this database?"
            ));
            continue;
        }
        let transaction = json!({"changes": [{"delete": entity, "query": format!("id=eq.{id}"), "returning": true}]});
        let tries = [
            (Method::GET, theirs.clone(), None),
            (Method::GET, path.clone(), None),
            (Method::HEAD, theirs.clone(), None),
            (Method::PATCH, theirs.clone(), Some(json!({"id": mine}))),
            (Method::DELETE, theirs.clone(), None),
            (Method::POST, format!("/query/{entity}"), Some(json!(format!("id=eq.{id}")))),
            (Method::POST, "/transaction".to_owned(), Some(transaction)),
            (
                Method::POST,
                path.clone(),
                Some(json!({"id": id, "tenant_id": duel.b().tenant.id().to_string()})),
            ),
        ];
        for (verb, path, body) in tries {
            let what = format!("{verb} {path}");
            let answer = ask.with(a, verb.clone(), &path, body.clone()).await?;
            if duel.arena.spills(&path, &answer.body)
                || (200..300).contains(&answer.status) && answer.body.contains(&id)
            {
                leaks.push(what.clone());
            }
            let almost = format!("{}x", &b[..b.len() - 1]);
            for key in ["", &almost] {
                if ask.with(key, verb.clone(), &path, body.clone()).await?.status != 401 {
                    leaks.push(format!("{what} without a key"));
                }
            }
        }
        if ask.with(b, Method::GET, &theirs, None).await?.body != before.body {
            leaks.push(format!("B's row of {entity} changed"));
        }
    }
    leaks.dedup();
    Ok(vec![Finding::of(WORDS, "kernel", leaks)])
}

struct Ask<'a> {
    client: Client,
    url: &'a str,
}

impl Ask<'_> {
    async fn with(
        &self,
        key: &str,
        verb: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, Error> {
        let mut request = self.client.request(verb, format!("{}{path}", self.url));
        if !key.is_empty() {
            request = request.header("apikey", key);
        }
        if let Some(body) = body {
            request = match body.as_str() {
                Some(text) => request.body(text.to_owned()),
                None => request.json(&body),
            };
        }
        let answer = request.send().await.map_err(|error| unreachable_at(self.url, &error))?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(|error| unreachable_at(self.url, &error))?;
        Ok(Answer { status, body })
    }
}

fn unreachable_at(url: &str, error: &reqwest::Error) -> Error {
    Refusal::new(Code::Usage, "the server does not answer")
        .detail(format!("{url}: {error}"))
        .hint("--url names a running `freehold serve` of this database")
        .into()
}
