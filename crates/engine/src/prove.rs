//! A proof that the wall stands: two tenants made for it attack one another through every surface, beside the real ones.
//!
//! make the canaries → attack with SQL of one's own → through the engine → over HTTP → remove the canaries.

mod http;
mod report;
mod surface;

pub use freehold_store::prove::{CANARY, Class, Verdict, catalogue};
use freehold_store::{
    Operator, RootKey,
    prove::{Arena, Canary},
};
pub use report::{Checked, check, document};
use serde_json::Value;

use crate::{Engine, error::Error};

/// Which tenants attack where.
pub struct Proving<'a> {
    /// The operator's URL of the database.
    pub url: &'a str,
    /// Signs tokens and the report.
    pub root_key: &'a RootKey,
    /// A server of this database, as `http://host:port`, if it is to be attacked too.
    pub http: Option<&'a str>,
}

/// What was tried, and what came of it.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Each attack.
    pub findings: Vec<Finding>,
    /// Entities of which the model allows no row to be made, so that they were not attacked.
    pub unfilled: Vec<String>,
    /// `seal` or `ticket`.
    pub mode: String,
    /// Whether PostgreSQL's own catalogue is locked.
    pub locked: bool,
    /// PostgreSQL's version.
    pub server: String,
    /// When, in UTC, by the database's clock.
    pub at: String,
    /// SHA-256 over what the wall is made of.
    pub catalogue: String,
    /// The applied model's checksum.
    pub model_checksum: String,
    /// Its version.
    pub model_version: i64,
}

/// One attack.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Stable.
    pub id: String,
    /// A few words.
    pub name: String,
    /// What it tries.
    pub tries: String,
    /// `context`, `session`, …; `engine` and `http` for those surfaces.
    pub class: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// Both tenants with their keys, as seen from above the store.
pub(crate) struct Duel<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) keys: [String; 2],
}

impl Proof {
    /// Findings that crossed the line.
    pub fn leaks(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|found| matches!(found.verdict, Verdict::Leaked { .. }))
    }
}

impl Engine {
    /// Makes two tenants, attacks one from the other and removes both; `heard` is told how many attacks are done, how many
    /// there are, and what is tried now.
    ///
    /// # Errors
    /// `Usage` while another proof runs; faults. The tenants are removed then, too; those of a proof that was killed are
    /// removed by the next.
    pub async fn prove(
        &self,
        operator: &mut Operator,
        proving: &Proving<'_>,
        heard: &mut (dyn FnMut(usize, usize, &str) + Send),
    ) -> Result<Proof, Error> {
        let names = operator.make_canaries().await?;
        let proof = self.attack(operator, proving, &names, heard).await;
        let removed = operator.remove_canaries().await;
        let proof = proof?;
        removed?;
        Ok(proof)
    }

    async fn attack(
        &self,
        operator: &mut Operator,
        proving: &Proving<'_>,
        [a, b]: &[String; 2],
        heard: &mut (dyn FnMut(usize, usize, &str) + Send),
    ) -> Result<Proof, Error> {
        let snapshot = self.snapshot();
        let keys = [
            operator.create_key(a, "proof", freehold_store::Role::Writer, Some(3600)).await?.secret,
            operator.create_key(b, "proof", freehold_store::Role::Writer, Some(3600)).await?.secret,
        ];
        let (a, b) = (self.tenant(a).await?, self.tenant(b).await?);
        let arena = Arena::open(proving.url, proving.root_key, &snapshot.model, [&a, &b]).await?;
        let duel = Duel { arena: &arena, keys };
        let safe: Vec<_> = catalogue().filter(|attack| attack.safe).collect();
        let total = safe.len() + surface::SURFACES + usize::from(proving.http.is_some());
        let mut findings = Vec::with_capacity(total);
        for attack in safe {
            heard(findings.len(), total, attack.name);
            let verdict = attack.run(&arena).await?;
            findings.push(Finding::new(
                [attack.id, attack.name, attack.tries, attack.class.as_str()],
                verdict,
            ));
        }
        surface::attack(self, &duel, &mut |found| {
            heard(findings.len(), total, &found.name);
            findings.push(found);
        })
        .await?;
        if let Some(url) = proving.http {
            heard(findings.len(), total, "HTTP");
            findings.extend(http::attack(&duel, url).await?);
        }
        let [server, at, model_checksum] = arena.facts().await?;
        let catalogue = operator.fingerprint().await?;
        Ok(Proof {
            findings,
            unfilled: arena.unfilled().into_iter().map(str::to_owned).collect(),
            mode: arena.mode().as_str().to_owned(),
            locked: arena.is_locked(),
            server,
            at,
            catalogue,
            model_checksum,
            model_version: snapshot.version,
        })
    }
}

impl Finding {
    pub(crate) fn new([id, name, tries, class]: [&str; 4], verdict: Verdict) -> Self {
        let [id, name, tries, class] = [id, name, tries, class].map(str::to_owned);
        Self { id, name, tries, class, verdict }
    }

    pub(crate) fn of(words: [&str; 4], by: &'static str, leaks: Vec<String>) -> Self {
        let verdict = if leaks.is_empty() {
            Verdict::Held { by }
        } else {
            Verdict::Leaked { evidence: leaks.join("; ") }
        };
        Self::new(words, verdict)
    }
}

impl Duel<'_> {
    pub(crate) fn a(&self) -> &Canary {
        self.arena.a()
    }

    pub(crate) fn b(&self) -> &Canary {
        self.arena.b()
    }

    /// Each entity with the id of A's row and of B's.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&str, String, String)> {
        self.a().rows.iter().filter_map(|(entity, mine)| {
            let theirs = self.b().rows.get(entity)?;
            Some((entity.as_str(), mine.to_string(), theirs.to_string()))
        })
    }
}

/// A JSON value as bytes that do not depend on the order of its keys.
pub(crate) fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (n, key) in keys.into_iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(&map[key], text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (n, value) in values.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                canonical(value, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
