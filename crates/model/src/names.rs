//! The names a model may use.

use std::{fmt, sync::Arc};

/// Columns that every table has; no field may be called so.
pub const RESERVED_FIELDS: [&str; 2] = ["tenant_id", "id"];

/// Longest name in bytes. PostgreSQL keeps 63; the rest is for what is derived from a name.
pub const NAME_BYTES_MAX: usize = 48;

/// The name of an entity, a field, a key or an enum's value: any text of at most [`NAME_BYTES_MAX`] bytes without
/// control characters and without `~`, which separates the parts of the names Freehold derives.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// A sentence that says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a name cannot be empty".into());
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(format!(
                "a name has at most {NAME_BYTES_MAX} bytes, this one has {}",
                text.len()
            ));
        }
        if let Some(bad) = text.chars().find(|c| c.is_control() || *c == '~') {
            return Err(format!("a name cannot contain {bad:?}"));
        }
        if text.trim() != text {
            return Err("a name cannot begin or end with a space".into());
        }
        Ok(Self(text.into()))
    }

    /// A name of this crate's own, which nobody can declare.
    pub(crate) fn derived(text: &str) -> Self {
        Self(text.into())
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
