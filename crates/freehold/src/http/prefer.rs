//! What a caller prefers (RFC 7240), and how the answer says what of it was done.

use axum::http::{HeaderMap, HeaderValue};
use freehold_engine::{
    Code, Engine, Error, Refusal, Tenant,
    read::TimeZone,
    search::Recall,
    write::{Resolution, Terms},
};

/// What of a write comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Return {
    #[default]
    Minimal,
    Headers,
    Representation,
}

/// The preferences of a request. Of several for the same thing the first counts.
#[derive(Debug, Default)]
pub(super) struct Prefer {
    pub(super) returns: Return,
    pub(super) count: bool,
    pub(super) resolution: Option<Resolution>,
    pub(super) terms: Terms,
    pub(super) recall: Recall,
    strict: bool,
    purpose: Option<String>,
    applied: Vec<(usize, String)>,
}

/// A preference. What is said of it stands in docs/http.md.
#[cfg_attr(not(test), expect(dead_code, reason = "the page is made by a test"))]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) values: &'static str,
    pub(super) about: &'static str,
    /// What it means something for.
    pub(super) fits: Fits,
}

/// The requests that a preference means something for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    Reads,
    Writes,
    Both,
}

const fn known(name: &'static str, values: &'static str, fits: Fits, about: &'static str) -> Known {
    Known { name, values, about, fits }
}

/// In the order in which they are told.
pub(super) const KNOWN: [Known; 10] = [
    known("resolution", "merge-duplicates, ignore-duplicates", Fits::Writes, "an upsert"),
    known(
        "missing",
        "default, null",
        Fits::Writes,
        "what a row lacks of `columns` is its default, or null",
    ),
    known(
        "return",
        "minimal, headers-only, representation",
        Fits::Writes,
        "what of a write comes back",
    ),
    known("count", "exact, planned, estimated", Fits::Both, "the number of rows; all three count"),
    known("tx", "commit, rollback", Fits::Writes, "whether the write stands or is only tried"),
    known("handling", "strict, lenient", Fits::Both, "whether what is not known here is refused"),
    known("timezone", "Europe/Vienna", Fits::Both, "where times are told"),
    known(
        "max-affected",
        "10",
        Fits::Writes,
        "with `handling=strict`: more rows are refused, and nothing is changed",
    ),
    known("recall", "exact, 0.95", Fits::Reads, "how sure a search has to be"),
    known("purpose", "billing", Fits::Both, "what sealed fields are opened for; counted"),
];

/// Read elsewhere.
const OTHERS: [&str; 1] = ["wait"];

impl Prefer {
    /// Reads the headers `Prefer`.
    ///
    /// # Errors
    /// With `handling=strict`, `Preference` for anything that is not known. Where the model declares purposes, what personal data is
    /// opened for has to be one of them.
    pub(super) async fn of(
        engine: &Engine,
        tenant: &Tenant,
        headers: &HeaderMap,
    ) -> Result<Self, Error> {
        let mut prefer = Self::read(headers)?;
        prefer.terms.purpose =
            prefer.purpose.as_deref().map(|said| engine.purpose(said)).transpose()?;
        if prefer.terms.zone.is_none() || prefer.strict {
            return Ok(prefer);
        }
        Box::pin(prefer.in_a_zone(engine, tenant)).await
    }

    /// Passes over a zone that there is not.
    async fn in_a_zone(mut self, engine: &Engine, tenant: &Tenant) -> Result<Self, Error> {
        if let Some(zone) = &self.terms.zone
            && !engine.knows_zone(tenant, zone).await?
        {
            self.terms.zone = None;
            self.forget("timezone");
        }
        Ok(self)
    }

    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let parts: Vec<&str> = texts
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .collect();
        let strict = parts.contains(&"handling=strict");
        let mut prefer = Self { strict, ..Self::default() };
        let mut unknown = Vec::new();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            match KNOWN.iter().position(|known| known.name == name) {
                Some(place) if prefer.applied.iter().any(|(other, _)| *other == place) => {}
                Some(place) if prefer.take(name, value) => {
                    prefer.applied.push((place, format!("{name}={value}")));
                }
                // A limit that nobody keeps is not said to be kept.
                Some(_) if name == "max-affected" && !strict => {}
                _ if OTHERS.contains(&name) => {}
                _ => unknown.push(part),
            }
        }
        if strict && !unknown.is_empty() {
            return Err(Refusal::new(
                Code::Preference,
                "Invalid preferences given with handling=strict",
            )
            .detail(format!("Invalid preferences: {}", unknown.join(", "))));
        }
        Ok(prefer)
    }

    /// Whether it is known and has a value that it can have.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match (name, value) {
            ("return", "minimal") => self.returns = Return::Minimal,
            ("return", "headers-only") => self.returns = Return::Headers,
            ("return", "representation") => self.returns = Return::Representation,
            ("count", "exact" | "planned" | "estimated") => self.count = true,
            ("resolution", "merge-duplicates") => self.resolution = Some(Resolution::Merge),
            ("resolution", "ignore-duplicates") => self.resolution = Some(Resolution::Ignore),
            ("missing", "default") => self.terms.missing_defaults = true,
            ("tx", "rollback") => self.terms.roll_back = true,
            ("missing", "null") | ("tx", "commit") | ("handling", "strict" | "lenient") => {}
            ("timezone", zone) => match TimeZone::read(zone) {
                Ok(zone) => self.terms.zone = Some(zone),
                Err(_) => return false,
            },
            ("recall", text) => match Recall::read(text) {
                Some(recall) => self.recall = recall,
                None => return false,
            },
            ("purpose", text) if (1..=100).contains(&text.len()) => {
                self.purpose = Some(text.to_owned());
            }
            ("max-affected", number) if self.strict => match number.parse() {
                Ok(most) => self.terms.max_affected = Some(most),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    /// Does not say that this one was followed.
    pub(super) fn forget(&mut self, name: &str) {
        self.applied.retain(|(place, _)| KNOWN[*place].name != name);
    }

    /// What was done, of what this kind of request can do.
    pub(super) fn applied(&self, writes: bool) -> Option<HeaderValue> {
        let other = if writes { Fits::Reads } else { Fits::Writes };
        let mut applied: Vec<&(usize, String)> =
            self.applied.iter().filter(|(place, _)| KNOWN[*place].fits != other).collect();
        applied.sort();
        let texts: Vec<&str> = applied.into_iter().map(|(_, text)| text.as_str()).collect();
        let texts = texts.join(", ");
        (!texts.is_empty()).then(|| HeaderValue::from_str(&texts).ok()).flatten()
    }
}
