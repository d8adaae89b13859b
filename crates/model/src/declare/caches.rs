//! The queries that are kept ready: each is checked as if it were asked.

use super::{
    codes,
    grammar::{Form, Section, Variants, key, must},
    report::Report,
    tree::Pair,
    walk::{Found, walk_named},
};
use crate::{
    entity::{KeptQuery, Model},
    names::Name,
    query::{self, Fleeting, Limits},
};

pub(super) static CACHE: Section = Section {
    noun: "a kept query",
    about: "A query whose answer is kept ready for each tenant that asked for it lately.",
    keys: &[
        must(
            "query",
            Form::Text,
            "As in a URL: `commit?select=sha,subject&order=at.desc&limit=20`.",
        ),
        key("about", Form::Text, "What it is for, in your own words."),
        key(
            "warm_minutes",
            Form::Count(1, 10_080),
            "For so many minutes after a tenant asked for it; 60 unless said.",
        ),
    ],
    variants: Variants::One,
};

/// Kept queries of a model.
const CACHES_MAX: usize = 200;

/// For how long one is kept ready unless said, in minutes.
const WARM_MINUTES: u32 = 60;

pub(super) fn read(pairs: &[Pair], model: &Model, report: &mut Report) -> Vec<KeptQuery> {
    let pairs = report.within(pairs, |pair| &pair.key.at, CACHES_MAX, "a model", "kept queries");
    // What is wrong with an entity would be said again by every query of it.
    let is_sound = report.is_sound();
    let mut kept = Vec::new();
    for pair in pairs {
        let name = super::names::read(&pair.key, report);
        let found = walk_named(pair, &CACHE, report);
        if let (true, Some(name), Some(found)) = (is_sound, name, found) {
            kept.extend(one(name, &found, model, report));
        }
    }
    kept
}

fn one(name: Name, found: &Found, model: &Model, report: &mut Report) -> Option<KeptQuery> {
    let (text, at) = found.text("query")?;
    let (entity, query) = text.split_once('?').unwrap_or((text, ""));
    let entity = entity.strip_prefix("/rest/v1/").unwrap_or(entity);
    let parsed = match query::parse(model, entity, query, &Limits::default()) {
        Ok(parsed) => parsed,
        Err(refusal) => {
            let detail = refusal.detail.as_ref().map(|detail| format!(" ({detail})"));
            let message = format!("{}{}", refusal.message, detail.unwrap_or_default());
            let help =
                refusal.hint.unwrap_or_else(|| "write it as in a URL after /rest/v1/".into());
            report.error(codes::CACHE_QUERY, at, message).help(help);
            return None;
        }
    };
    if let Err(why) = parsed.sources(model) {
        let (message, help) = match why {
            Fleeting::Sealed => (
                "it shows personal data, which is never kept",
                "leave sealed fields out of `select`",
            ),
            Fleeting::Time => (
                "what it shows depends on when it is asked",
                "leave out words such as `now`, and entities with rules of expiry",
            ),
            Fleeting::Beside => (
                "it is not of an entity or a read model",
                "declare a read model with `[read.\u{2026}]`",
            ),
        };
        report.error(codes::CACHE_FLEETING, at, message).help(help);
        return None;
    }
    Some(KeptQuery {
        name,
        about: found.owned("about"),
        entity: entity.to_owned(),
        query: query.to_owned(),
        warm_minutes: found.count("warm_minutes").unwrap_or(WARM_MINUTES),
    })
}
