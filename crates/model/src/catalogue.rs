//! What is served beyond the model: views and functions that the operator made in the schema `app`.
//!
//! PostgreSQL's catalogue describes them (`freehold.exposed()`); here the description becomes relations in the shape
//! of entities, so that the whole query language works on them, and functions that can be called. What is not walled
//! comes with the reason and is not served.

mod arguments;
mod call;
mod digits;
mod function;
mod kind;
mod view;

use std::collections::BTreeMap;

pub(crate) use call::Invocation;
pub use call::{Arguments, Call, call};
pub use digits::check_digits;
pub use function::{Argument, Function, Returns};
use serde_json::Value;

use crate::{Model, Name, ReadModel, entity::Entity};

/// Views and functions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    views: Vec<View>,
    functions: Vec<Function>,
    /// The rows of functions that return any, under names that no relation can have.
    results: Vec<Entity>,
    left_out: Vec<LeftOut>,
}

/// A view, which is read like an entity and never written.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its columns in the shape of fields, all of them optional.
    pub shape: Entity,
    /// For columns that are those of an entity: which.
    pub origins: BTreeMap<Name, (Name, Name)>,
}

/// Something in `app` that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The view or function, or one column of a view.
    pub object: String,
    /// Why.
    pub why: String,
}

impl Catalogue {
    /// Reads what `freehold.exposed()` says, for the model that is applied. A text it did not say reads as nothing.
    #[must_use]
    pub fn read(text: &str, model: &Model) -> Self {
        let told: Value = serde_json::from_str(text).unwrap_or_default();
        let mut catalogue = Self::default();
        catalogue.read_views(&told["views"], model);
        catalogue.read_functions(&told["functions"], model);
        catalogue
    }

    /// The views, by name.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The functions, by name; overloads stand together.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// What stands in `app` beside the model and is not served.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The view called `name`.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| &*view.shape.name == name)
    }

    /// The rows that a function returns, as [`Returns::Rows`] names them.
    pub(crate) fn result(&self, name: &str) -> Option<&Entity> {
        self.results.iter().find(|result| &*result.name == name)
    }

    fn leave_out(&mut self, object: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { object: object.into(), why: why.into() });
    }
}

impl Model {
    /// The entity called `name`, or the read model, view or rows of a function in the shape of one.
    #[must_use]
    pub fn rows(&self, name: &str) -> Option<&Entity> {
        self.entity(name)
            .or_else(|| self.read(name).map(ReadModel::shape))
            .or_else(|| self.catalogue.view(name).map(|view| &view.shape))
            .or_else(|| self.catalogue.result(name))
    }

    /// What is served beside entities and read models.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The same model with these views and functions beside it.
    #[must_use]
    pub fn beside(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// What can be read by name: entities, read models and views, in this order.
    pub fn relations(&self) -> impl Iterator<Item = &Entity> {
        let reads = self.reads.iter().map(ReadModel::shape);
        self.entities
            .iter()
            .chain(reads)
            .chain(self.catalogue.views().iter().map(|view| &view.shape))
    }
}

/// The text at `key`, if there is one.
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value[key].as_str()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}
