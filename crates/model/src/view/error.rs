//! What is wrong with the SQL of a read model, and where.

use sqlparser::tokenizer::Span;

/// A place in the SQL; lines and columns count from one, in characters. Empty if it is not known.
pub(crate) type Spot = Span;

/// Which kind of problem it is; each has a code of its own in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is no SQL.
    Syntax,
    /// A name that nothing has.
    Name,
    /// Types that do not fit.
    Type,
    /// A function that is not known, or not allowed.
    Function,
    /// SQL that is sound, but cannot be kept up to date.
    Form,
    /// Something about the key.
    Key,
}

/// One problem.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) wrong: Wrong,
    pub(crate) at: Spot,
    /// If it is about the key: which column of it.
    pub(crate) key: Option<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

pub(crate) type Checked<T> = Result<T, Box<Fault>>;

impl Fault {
    /// A problem and its mend.
    pub(crate) fn new(
        wrong: Wrong,
        at: Spot,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self { wrong, at, key: None, message: message.into(), help: help.into() })
    }

    /// SQL that is sound but cannot be kept up to date, or is not supported.
    pub(crate) fn form(at: Spot, message: impl Into<String>, help: impl Into<String>) -> Box<Self> {
        Self::new(Wrong::Form, at, message, help)
    }

    /// Types that do not fit.
    pub(crate) fn typing(
        at: Spot,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Box<Self> {
        Self::new(Wrong::Type, at, message, help)
    }

    /// The same problem, at `at` if it has no place yet.
    pub(crate) fn or_at(mut self: Box<Self>, at: Spot) -> Box<Self> {
        if self.at == Spot::empty() {
            self.at = at;
        }
        self
    }
}
