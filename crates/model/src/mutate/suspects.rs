//! Which fields of an insert a value may have been for that the database refused.

use super::Insert;
use crate::{Code, Model, query::suspects};

impl Insert {
    /// The fields that a value may have been for which the database refused so.
    #[must_use]
    pub fn suspects(&self, model: &Model, code: Code) -> Vec<String> {
        let names = self.rows.iter().flat_map(|row| row.keys());
        let mut fields = suspects::of_fields(&self.entity, names, code);
        fields.extend(self.returning.iter().flat_map(|query| query.suspects(model, code)));
        fields
    }
}
