//! Where problems are gathered, and how words are listed in what is said of them.

use std::ops::Range;

use super::codes;
use crate::{
    diagnostic::{Diagnostic, Label},
    suggest::suggest,
};

/// A place in the text, in bytes.
pub(super) type Span = Range<usize>;

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

/// A diagnostic that can still be added to.
pub(super) struct Entry<'r>(&'r mut Diagnostic);

impl Report {
    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: &Span,
        message: impl Into<String>,
    ) -> Entry<'_> {
        push(&mut self.errors, code, at, message.into())
    }

    pub(super) fn warn(
        &mut self,
        code: &'static str,
        at: &Span,
        message: impl Into<String>,
    ) -> Entry<'_> {
        push(&mut self.warnings, code, at, message.into())
    }

    /// The first `most` of `all`; that there are more is reported once.
    pub(super) fn within<'t, T>(
        &mut self,
        all: &'t [T],
        at: fn(&T) -> &Span,
        most: usize,
        whole: &str,
        parts: &str,
    ) -> &'t [T] {
        let Some(over) = all.get(most) else { return all };
        self.error(
            codes::MODEL_TOO_LARGE,
            at(over),
            format!("{whole} has at most {most} {parts}, but here are {}", all.len()),
        )
        .here("one too many")
        .help(format!("keep open-ended lists in rows or in a `jsonb`, not in {parts}"));
        &all[..most]
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// Takes over what `other` gathered.
    pub(super) fn append(&mut self, mut other: Self) {
        self.errors.append(&mut other.errors);
        self.warnings.append(&mut other.warnings);
    }

    /// The warnings, or the errors if there are any, in the order of the file.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let place = |d: &Diagnostic| d.labels[0].span.start;
        self.errors.sort_by_key(place);
        self.warnings.sort_by_key(place);
        if self.errors.is_empty() { Ok(self.warnings) } else { Err(self.errors) }
    }
}

impl Entry<'_> {
    /// The mend.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// A few words at the place itself.
    pub(super) fn here(self, text: impl Into<String>) -> Self {
        self.0.labels[0].text = text.into();
        self
    }

    /// Another place that explains the problem.
    pub(super) fn also(self, at: &Span, text: impl Into<String>) -> Self {
        self.0.labels.push(Label { span: at.clone(), text: text.into() });
        self
    }
}

fn push<'r>(
    list: &'r mut Vec<Diagnostic>,
    code: &'static str,
    at: &Span,
    message: String,
) -> Entry<'r> {
    list.push(Diagnostic {
        code,
        message,
        help: None,
        labels: vec![Label { span: at.clone(), text: String::new() }],
    });
    Entry(list.last_mut().expect("one was just pushed"))
}

/// "did you mean …", or else the words to choose from.
pub(super) fn alternatives<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> String {
    match suggest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.clone().into_iter().next().is_none() => "there is none yet".into(),
        None => format!("there are {}", listed(known)),
    }
}

/// The word with its article.
pub(super) fn a(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} `{word}`")
}

/// `a`, `b` and `c`; a long list is cut.
pub(super) fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    const SHOWN: usize = 32;
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [..] if words.len() > SHOWN => {
            format!("{} and {} more", words[..SHOWN].join(", "), words.len() - SHOWN)
        }
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_like_prose() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(a("integer") + &a("uuid"), "an `integer`a `uuid`");
    }
}
