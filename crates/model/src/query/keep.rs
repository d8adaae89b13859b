//! Whether an answer may be kept, and what it is made of: as long as none of that changes, neither does the answer.

use super::{
    Query,
    ast::Each,
    level::{Cond, Form, Level, Operand, Output, Test},
};
use crate::{Model, Name};

/// What the version of everything that is known of blobs is called among those of tables.
const BLOBS: &str = "~blob";

/// Words that PostgreSQL reads as the time at which it reads them.
const NOW: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Why an answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleeting {
    /// It shows personal data, or is about some.
    Sealed,
    /// What it shows depends on when it is asked: rules of expiry, words such as `today`.
    Time,
    /// It is of a view or a function, which may read whatever it likes.
    Beside,
}

impl Fleeting {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Time => "time",
            Self::Beside => "beside",
        }
    }
}

/// What an answer is made of, by the names that versions have, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Entities and read models, those between two embeds included, and `~blob` if it shows what is known of blobs.
    pub tables: Vec<String>,
    /// If it is asked for by ids.
    pub by_id: Option<ById>,
}

/// What an answer is made of that shows a row for each id that was asked for: as long as none of them is changed or removed, no
/// other row can come into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ById {
    /// How many rows that are.
    pub rows: u64,
    /// As [`Sources::tables`], but for the entity that was asked for: `entity/*`, and for each id `entity/` with its last three digits.
    pub parts: Vec<String>,
}

/// Digits of a UUID.
const DIGITS: usize = 32;

/// Most ids of rows that are told apart: a statement that changed more notes no ids at all.
const IDS_MAX: usize = 8;

impl Query {
    /// What the answer is made of.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub fn sources(&self, model: &Model) -> Result<Sources, Fleeting> {
        let (mut top, mut names) = (Vec::new(), Vec::new());
        for (n, level) in self.level.walk().into_iter().enumerate() {
            level.is_lasting(model)?;
            if n == 0 { &mut top } else { &mut names }.push(level.entity.to_string());
            names.extend(level.junctions().map(ToString::to_string));
            if level.shows_blobs() {
                names.push(BLOBS.to_owned());
            }
        }
        let by_id = self.level.ids().filter(|_| model.entity(&self.level.entity).is_some());
        let by_id = by_id.map(|ids| ById {
            rows: ids.len() as u64,
            parts: sorted(parts(&self.level.entity, &ids).chain(names.iter().cloned())),
        });
        Ok(Sources { tables: sorted(top.into_iter().chain(names)), by_id })
    }

    /// Whether the statement asks for a stamp.
    #[must_use]
    pub fn is_stamped(&self) -> bool {
        self.stamp.is_some()
    }

    /// Asks for the stamp of these sources as the last column, `stamp text`, of the same snapshot as the rows.
    pub fn stamped(&mut self, sources: &[String]) {
        let quoted: Vec<String> = sources.iter().map(|name| format!("\"{name}\"")).collect();
        self.stamp = Some(format!("{{{}}}", quoted.join(",")));
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// What stands for changes of these rows: `freehold.note_rows()` calls them so.
fn parts(entity: &Name, ids: &[String]) -> impl Iterator<Item = String> {
    let of = move |id: &String| format!("{entity}/{}", id.get(DIGITS - 3..).unwrap_or("*"));
    ids.iter().map(of).chain([format!("{entity}/*")])
}

/// The digits of a UUID, in whichever of the forms it was written that PostgreSQL reads.
fn digits(id: &str) -> Option<String> {
    let digits: String = id.chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
    let is_id = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| digits.to_ascii_lowercase())
}

impl Level {
    /// The ids of the rows that may be in the answer, if it is of few and shows each of them as a row.
    fn ids(&self) -> Option<Vec<String>> {
        if self.outputs.iter().any(Output::is_made) {
            return None;
        }
        let mut ids = self.conds.iter().find_map(Cond::ids)?;
        ids.sort();
        ids.dedup();
        (ids.len() <= IDS_MAX).then_some(ids)
    }

    fn is_lasting(&self, model: &Model) -> Result<(), Fleeting> {
        let is_kept = model.entity(&self.entity).is_some() || model.read(&self.entity).is_some();
        if self.call.is_some() || !is_kept {
            return Err(Fleeting::Beside);
        }
        let sealed = |output: &Output| match output {
            Output::Column(column) => matches!(column.form, Form::Sealed(_)),
            _ => false,
        };
        let likeness = self.nearest.iter().any(|nearest| nearest.sealed.is_some());
        if likeness || self.outputs.iter().any(sealed) || self.conds.iter().any(Cond::is_sealed) {
            return Err(Fleeting::Sealed);
        }
        if !self.cuts.is_empty() || self.conds.iter().any(Cond::is_about_now) {
            return Err(Fleeting::Time);
        }
        Ok(())
    }

    fn junctions(&self) -> impl Iterator<Item = &Name> {
        self.embeds.iter().filter_map(|embed| embed.relation.via.as_ref()).map(|via| &via.entity)
    }

    fn shows_blobs(&self) -> bool {
        self.outputs.iter().any(|output| match output {
            Output::Column(column) => column.form == Form::Blob,
            _ => false,
        })
    }
}

impl Output {
    /// Whether it is of several rows together.
    fn is_made(&self) -> bool {
        match self {
            Self::Column(column) => column.made.is_some(),
            Self::Spread(column) => column.made.is_some(),
            Self::Embed(_) => false,
        }
    }
}

impl Cond {
    /// The ids that it lets through, if it is about nothing else.
    fn ids(&self) -> Option<Vec<String>> {
        let Self::Test { operand: Operand::Column(column), not: false, test } = self else {
            return None;
        };
        if column != "id" {
            return None;
        }
        match test {
            Test::Binary { op: "=", value } => digits(value).map(|id| vec![id]),
            Test::Each { op: "=", each: Each::Any, array } => {
                let inside = array.strip_prefix('{')?.strip_suffix('}')?;
                inside.split(',').map(|id| digits(id.trim_matches('"'))).collect()
            }
            _ => None,
        }
    }

    fn any(&self, fits: &dyn Fn(&Test) -> bool) -> bool {
        match self {
            Self::Group { parts, .. } => parts.iter().any(|part| part.any(fits)),
            Self::Test { test, .. } => fits(test),
            Self::Embed { .. } => false,
        }
    }

    fn is_sealed(&self) -> bool {
        self.any(&|test| matches!(test, Test::Lookup { .. }))
    }

    fn is_about_now(&self) -> bool {
        self.any(&|test| match test {
            Test::Binary { value, .. }
            | Test::Element { value, .. }
            | Test::Each { array: value, .. }
            | Test::Distinct(value) => value
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| NOW.iter().any(|now| now.eq_ignore_ascii_case(word))),
            Test::Is(_) | Test::Lookup { .. } | Test::Search { .. } => false,
        })
    }
}
