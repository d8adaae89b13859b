//! The embedders, and what vectors want of them.

use std::collections::BTreeMap;

use super::{
    codes, names,
    report::{Report, Span, listed},
    tree::{Pair, Word},
    walk::{Found, walk_named},
};
use crate::{
    entity::{Embedder, Pooling},
    names::Name,
    suggest::suggest,
};

/// The one that is always there.
pub(super) const LEXICAL: &str = "lexical";

/// Embedders of a model.
const EMBEDDERS_MAX: usize = 100;

const TIMEOUT_S: u32 = 30;
const BATCH: u32 = 64;

/// The declared embedders, and which of them some field uses.
#[derive(Debug)]
pub(super) struct Embedders<'t> {
    /// `None` for one that could not be read.
    declared: BTreeMap<&'t str, (&'t Word, Option<Embedder>)>,
    used: Vec<String>,
}

impl<'t> Embedders<'t> {
    pub(super) fn read(pairs: &'t [Pair], report: &mut Report) -> Self {
        let mut declared = BTreeMap::new();
        let pairs =
            report.within(pairs, |pair| &pair.key.at, EMBEDDERS_MAX, "a model", "embedders");
        for pair in pairs {
            let name = names::read(&pair.key, report);
            if pair.key.text == LEXICAL {
                report
                    .error(
                        codes::EMBED_RESERVED,
                        &pair.key.at,
                        "`lexical` is built in and cannot be declared",
                    )
                    .help("remove this table, or give it another name");
            }
            let embedder = walk_named(pair, &super::grammar::EMBED, report)
                .and_then(|found| embedder(&found, report));
            declared
                .insert(pair.key.text.as_str(), (&pair.key, embedder.filter(|_| name.is_some())));
        }
        Self { declared, used: Vec::new() }
    }

    /// Notes that a field uses `name`; whether it is the built-in kind, or `None` if there is no such embedder, which is reported.
    pub(super) fn is_lexical(
        &mut self,
        name: &str,
        at: &Span,
        report: &mut Report,
    ) -> Option<bool> {
        self.used.push(name.to_owned());
        if name == LEXICAL {
            return Some(true);
        }
        if let Some((_, embedder)) = self.declared.get(name) {
            return embedder.as_ref().map(|embedder| *embedder == Embedder::Lexical);
        }
        let known =
            || self.declared.keys().copied().filter(|name| *name != LEXICAL).chain([LEXICAL]);
        let help = match suggest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("there are {}; a new one begins with `[embed.{name}]`", listed(known()))
            }
        };
        report.error(codes::EMBED_UNKNOWN, at, format!("there is no embedder `{name}`")).help(help);
        None
    }

    /// The embedders of the model, once every field has been read.
    pub(super) fn finish(self, report: &mut Report) -> BTreeMap<Name, Embedder> {
        for (name, (word, _)) in &self.declared {
            if !self.used.iter().any(|used| used == name) {
                report
                    .warn(
                        codes::EMBED_UNUSED,
                        &word.at,
                        format!("no field uses the embedder `{name}`"),
                    )
                    .help(format!(
                        "remove it, or write `embed = \"{name}\"` at a vector that has `of`"
                    ));
            }
        }
        let named = |(name, (_, embedder)): (&str, (&Word, Option<Embedder>))| {
            Some((Name::new(name).ok()?, embedder?))
        };
        self.declared.into_iter().filter_map(named).collect()
    }
}

fn embedder(found: &Found, report: &mut Report) -> Option<Embedder> {
    match found.variant? {
        "lexical" => Some(Embedder::Lexical),
        "http" => {
            let (url, at) = found.text("url")?;
            check_url(url, at, report);
            Some(Embedder::Http {
                url: url.to_owned(),
                model: filled("model", found, report)?,
                key_file: found.value("key_file").and_then(|_| filled("key_file", found, report)),
                timeout_s: found.count("timeout").unwrap_or(TIMEOUT_S),
                batch: found.count("batch").unwrap_or(BATCH),
            })
        }
        _ => {
            let pooling =
                if found.text("pooling")?.0 == "cls" { Pooling::Cls } else { Pooling::Mean };
            Some(Embedder::Local { path: filled("path", found, report)?, pooling })
        }
    }
}

fn check_url(url: &str, at: &Span, report: &mut Report) {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let odd = url.chars().any(|c| c.is_whitespace() || c.is_control());
    if odd || host.is_none_or(str::is_empty) {
        report
            .error(codes::VALUE_INVALID, at, "this is no URL of a service")
            .help("write the base URL, such as `https://api.openai.com/v1`");
    } else if host.is_some_and(|host| host.contains('@')) {
        report
            .error(codes::VALUE_INVALID, at, "a URL here must not hold a name or password: the model file is no place for secrets")
            .help("put the service's key in a file and name it with `key_file`");
    } else if url.contains(['?', '#']) {
        report
            .error(
                codes::VALUE_INVALID,
                at,
                "a base URL has no `?` or `#`, because `/embeddings` is put behind it",
            )
            .help("keep the part before it");
    }
}

/// A text that must say something.
fn filled(key: &str, found: &Found, report: &mut Report) -> Option<String> {
    let (text, at) = found.text(key)?;
    if text.trim().is_empty() {
        report
            .error(codes::VALUE_INVALID, at, format!("`{key}` is empty"))
            .help("write something between the quotes");
        return None;
    }
    Some(text.to_owned())
}
