//! Rows as statements return them: text, bigint and boolean.

use tokio_postgres::types::Type;

/// One row of an answer. Fields are counted from 0.
#[derive(Debug)]
pub struct Row(pub(crate) tokio_postgres::Row);

impl Row {
    /// How many fields it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text in field `i`; `None` is NULL.
    ///
    /// # Panics
    /// When the statement has no such field or it is of another type, as indexing a slice does.
    #[must_use]
    pub fn text(&self, i: usize) -> Option<&str> {
        self.0.get(i)
    }

    /// The whole number in field `i`; `None` is NULL.
    ///
    /// # Panics
    /// As [`Self::text`].
    #[must_use]
    pub fn int(&self, i: usize) -> Option<i64> {
        match *self.0.columns()[i].type_() {
            Type::INT4 => self.0.get::<_, Option<i32>>(i).map(i64::from),
            Type::INT2 => self.0.get::<_, Option<i16>>(i).map(i64::from),
            _ => self.0.get(i),
        }
    }

    /// The texts of the list in field `i`; `None` is NULL.
    ///
    /// # Panics
    /// As [`Self::text`].
    #[must_use]
    pub(crate) fn texts(&self, i: usize) -> Option<Vec<Option<String>>> {
        self.0.get(i)
    }

    /// The truth value in field `i`; `None` is NULL.
    ///
    /// # Panics
    /// As [`Self::text`].
    #[must_use]
    pub fn bool(&self, i: usize) -> Option<bool> {
        self.0.get(i)
    }
}
