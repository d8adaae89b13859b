//! A change that was checked.

use freehold_model::{
    Code, Model, Name, Sql,
    mutate::{Delete, Insert, Update},
    query::{Query, Sought},
};

use super::Terms;
use crate::personal::Lookups;

/// Any of the changes there are.
pub(crate) enum Mutation {
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

impl Mutation {
    pub(super) fn agree(&mut self, terms: &Terms) {
        if let (Self::Insert(insert), true) = (&mut *self, terms.missing_defaults) {
            insert.missing_are_defaults();
        }
        if let Some(query) = self.returning_mut() {
            query.shaped(terms.shape);
        }
    }

    pub(crate) fn returning_mut(&mut self) -> Option<&mut Query> {
        match self {
            Self::Insert(insert) => insert.returning_mut(),
            Self::Update(update) => update.returning_mut(),
            Self::Delete(delete) => delete.returning_mut(),
        }
    }

    /// How many rows it changes, if that is known beforehand.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Insert(insert) => insert.count().and_then(|count| u64::try_from(count).ok()),
            Self::Update(_) | Self::Delete(_) => None,
        }
    }

    pub(super) fn is_one_statement(&self) -> bool {
        self.watched().is_empty() && !self.needs_rows()
    }

    /// Whether the rows it is for have to be known before it can be sealed.
    fn needs_rows(&self) -> bool {
        match self {
            Self::Insert(insert) => {
                insert.merges_by().is_some() && insert.of().sealed_fields().next().is_some()
            }
            Self::Update(update) => update.seals(),
            Self::Delete(_) => false,
        }
    }

    /// Rows that it has to write, or else another transaction put one in the way that was not there when it was sealed.
    pub(super) fn must_write(&self) -> Option<u64> {
        match self {
            Self::Insert(insert) if self.needs_rows() => u64::try_from(insert.rows().len()).ok(),
            _ => None,
        }
    }

    /// The fields that a value may have been for which the database refused so.
    pub(super) fn suspects(&self, model: &Model, code: Code) -> Vec<String> {
        match self {
            Self::Insert(insert) => insert.suspects(model, code),
            Self::Update(update) => update.suspects(model, code),
            Self::Delete(delete) => delete.suspects(model, code),
        }
    }

    pub(super) fn entity(&self) -> &str {
        match self {
            Self::Insert(insert) => insert.entity(),
            Self::Update(update) => update.entity(),
            Self::Delete(delete) => delete.entity(),
        }
    }

    /// Vector fields that the statement may leave empty although there is text for them.
    pub(super) fn watched(&self) -> Vec<&Name> {
        match self {
            Self::Insert(insert) => insert.watched(),
            Self::Update(update) => update.watched(),
            Self::Delete(_) => Vec::new(),
        }
    }

    /// Whether it may have to open texts to make vectors of them.
    pub(crate) fn opens_texts(&self) -> bool {
        match self {
            Self::Insert(insert) => insert.opens_texts(),
            Self::Update(update) => update.opens_texts(),
            Self::Delete(_) => false,
        }
    }

    pub(crate) fn tag_texts(&mut self, tag: &str) {
        match self {
            Self::Insert(insert) => insert.tag_texts(tag),
            Self::Update(update) => update.tag_texts(tag),
            Self::Delete(_) => {}
        }
    }

    pub(super) fn render_watched(&self) -> Sql {
        match self {
            Self::Insert(insert) => insert.render_watched(),
            Self::Update(update) => update.render_watched(),
            Self::Delete(delete) => delete.render(),
        }
    }

    /// Vectors that were brought and must be set once more.
    pub(super) fn render_again(&self, field: &str, ids: &[&str]) -> Option<Sql> {
        match self {
            Self::Insert(insert) => insert.render_again(field, ids),
            Self::Update(update) => update.render_again(field, ids),
            Self::Delete(_) => None,
        }
    }

    pub(super) fn render_returned(&self, ids: &[&str]) -> Option<Sql> {
        match self {
            Self::Insert(insert) => insert.render_returned(ids),
            Self::Update(update) => update.render_returned(ids),
            Self::Delete(_) => None,
        }
    }

    pub(super) fn render(&self) -> Sql {
        match self {
            Self::Insert(insert) => insert.render(),
            Self::Update(update) => update.render(),
            Self::Delete(delete) => delete.render(),
        }
    }
}

impl Lookups for Mutation {
    fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        match self {
            Self::Insert(insert) => {
                if let Some(query) = insert.returning_mut() {
                    query.each_lookup(visit);
                }
            }
            Self::Update(update) => update.each_lookup(visit),
            Self::Delete(delete) => delete.each_lookup(visit),
        }
    }
}
