//! On which terms a change is made.

use crate::{
    error::{Code, Refusal},
    personal::StatedPurpose,
    read::{Shape, TimeZone, not_singular},
};

/// How a change is to be made and answered.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// As JSON or CSV, if rows come back.
    pub shape: Shape,
    /// Where times are told.
    pub zone: Option<TimeZone>,
    /// Whether it has to be one row.
    pub single: bool,
    /// Most rows that may be changed.
    pub max_affected: Option<u64>,
    /// Whether it is only tried.
    pub roll_back: bool,
    /// Whether what rows lack is their default instead of null.
    pub missing_defaults: bool,
    /// What personal data that comes back is opened for, if not for what its classes are kept for.
    pub purpose: Option<StatedPurpose>,
    /// Of which answers one has to be what a read of the same rows answers now.
    pub only_if: Option<OnlyIf>,
}

/// What a change depends on, so that nobody's change is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlyIf {
    /// There is something.
    Any,
    /// It is as in one of these answers, told by [`crate::cache::Entry::etag`].
    Is(Vec<String>),
}

impl Terms {
    pub(super) fn are_about_rows(&self) -> bool {
        self.single || self.max_affected.is_some()
    }

    /// Whether that many rows may be changed.
    pub(crate) fn check(&self, rows: u64) -> Result<(), Refusal> {
        if let Some(most) = self.max_affected.filter(|most| rows > *most) {
            return Err(Refusal::new(
                Code::TooManyAffected,
                "Query result exceeds max-affected preference constraint",
            )
            .detail(format!("The query affects {rows} rows"))
            .hint(format!("at most {most} were to be affected, and none were")));
        }
        if self.single && rows != 1 { Err(not_singular(rows)) } else { Ok(()) }
    }
}
