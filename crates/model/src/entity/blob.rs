//! What a field says of the blobs it holds.

use super::{Entity, Kind};
use crate::names::Name;

/// What a field takes of blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Bytes of one, at most.
    pub max: u64,
    /// Content types, such as `image/png` or `image/*`; empty for any.
    pub types: Vec<String>,
    /// The text field that names the rows' blobs in a bucket, if they are named.
    pub path: Option<Name>,
}

impl Blob {
    /// Whether it takes blobs of this content type.
    #[must_use]
    pub fn takes(&self, content_type: &str) -> bool {
        self.types.is_empty()
            || self.types.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(kind) => content_type.starts_with(kind),
                None => content_type == allowed,
            })
    }
}

impl Entity {
    /// Whether any of its fields holds blobs.
    #[must_use]
    pub fn has_blobs(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, Kind::Blob(_)))
    }
}
