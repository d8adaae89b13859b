//! In which time zone a transaction tells times.

use freehold_model::{Code, Refusal};

/// A time zone's name or offset, of characters that cannot end the text they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

impl TimeZone {
    /// Longer than any name of a zone.
    const BYTES_MAX: usize = 64;

    /// Reads `Europe/Vienna`, `UTC`, `+02:00`. Whether there is such a zone PostgreSQL says when it is used.
    ///
    /// # Errors
    /// `Preference` for a text that can be none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/:".contains(&byte);
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(allowed) {
            return Err(no_such_zone());
        }
        Ok(Self(text.to_owned()))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the opening of a transaction; nothing if there is no zone.
    pub(crate) fn setting(zone: Option<&Self>) -> String {
        zone.map_or(String::new(), |zone| format!("; set local timezone = '{}'", zone.0))
    }
}

/// The refusal of a zone that PostgreSQL does not know.
pub(super) fn no_such_zone() -> Refusal {
    Refusal::new(Code::Preference, "there is no such time zone")
        .hint("prefer timezone=Europe/Vienna, UTC or an offset")
}
