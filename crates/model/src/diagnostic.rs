//! What is wrong with a model file, where, and how to mend it.

use std::ops::Range;

/// One problem found in a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable and lower case with dots, such as `field.unknown-type`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The mend, in one sentence.
    pub help: Option<String>,
    /// Where; the first label is the place itself, later ones are places that explain it.
    pub labels: Vec<Label>,
}

/// A place in the text, in bytes, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Byte range in the text of the file.
    pub span: Range<usize>,
    /// A few words shown beside the place; may be empty.
    pub text: String,
}
