//! Whether an answer may be kept, and what it is made of: as long as none of that changes, neither does the answer.

use super::{
    Query,
    level::{Cond, Form, Level, Output, Test},
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

impl Query {
    /// The names of what the answer is made of, sorted: entities and read models, those between two embeds included, and
    /// `~blob` if it shows what is known of blobs.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub fn sources(&self, model: &Model) -> Result<Vec<String>, Fleeting> {
        let mut names = Vec::new();
        for level in self.level.walk() {
            level.is_lasting(model)?;
            names.push(level.entity.to_string());
            names.extend(level.junctions().map(ToString::to_string));
            if level.shows_blobs() {
                names.push(BLOBS.to_owned());
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
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

impl Level {
    fn is_lasting(&self, model: &Model) -> Result<(), Fleeting> {
        let is_kept = model.entity(&self.entity).is_some() || model.read(&self.entity).is_some();
        if self.call.is_some() || !is_kept {
            return Err(Fleeting::Beside);
        }
        let sealed = |output: &Output| match output {
            Output::Column(column) => matches!(column.form, Form::Sealed(_)),
            _ => false,
        };
        if self.outputs.iter().any(sealed) || self.conds.iter().any(Cond::is_sealed) {
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

impl Cond {
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
