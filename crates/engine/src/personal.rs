//! Personal data on its way: sealed before it goes to PostgreSQL, opened behind it, found again by blind indexes.
//!
//! in: plain form → blind indexes → whose → sealed. out: marked values → keys → opened, and counted for a purpose.

mod copies;
mod open;
mod reseal;
mod seal;
mod vectors;

use std::collections::BTreeSet;

use freehold_model::{Name, query::Query};
use freehold_store::{Tenant, hex};
use uuid::Uuid;

pub use self::copies::Uncopied;
pub(crate) use self::{
    copies::put as put_copies,
    seal::{class, prepare, seal_loaded, settle},
    vectors::sealed_vectors,
};
use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
    write::Mutation,
};

/// What texts are opened for to make vectors of them.
pub(crate) const EMBEDDING: Purpose<'static> = Purpose::Said("embedding");

/// What the values of an answer are opened for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Purpose<'a> {
    /// What their classes are kept for.
    #[default]
    Declared,
    /// What the caller said.
    Said(&'a str),
}

impl<'a> From<Option<&'a StatedPurpose>> for Purpose<'a> {
    fn from(said: Option<&'a StatedPurpose>) -> Self {
        said.map_or(Self::Declared, |said| Self::Said(&said.0))
    }
}

/// What a caller says that personal data is opened for, once the model has allowed it: [`Engine::purpose`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedPurpose(String);

impl StatedPurpose {
    /// One of the product's own.
    pub(crate) fn own(purpose: &'static str) -> Self {
        Self(purpose.to_owned())
    }
}

/// By what sealed values are found in an answer: nobody can have put it there.
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn new() -> Self {
        Self(format!("~{}", Uuid::new_v4().simple()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Marks what the query shows of sealed values; none if it shows none.
pub(crate) fn tag(query: &mut Query) -> Option<Tag> {
    if query.shows().is_empty() {
        return None;
    }
    let tag = Tag::new();
    query.tagged(tag.as_str());
    Some(tag)
}

/// The same of what a change shows, and of texts that it may have to open to make vectors of them.
pub(crate) fn tag_change(mutation: &mut Mutation) -> Option<Tag> {
    let tag = mutation.returning_mut().and_then(tag);
    if !mutation.opens_texts() {
        return tag;
    }
    let tag = tag.unwrap_or_else(Tag::new);
    mutation.tag_texts(tag.as_str());
    Some(tag)
}

impl Engine {
    /// What a caller says that personal data is opened for.
    ///
    /// # Errors
    /// `Preference` if the model's classes say which purposes there are, and it is none of them.
    pub fn purpose(&self, said: &str) -> Result<StatedPurpose, Refusal> {
        let snapshot = self.snapshot();
        if snapshot.model.allows_purpose(said) {
            return Ok(StatedPurpose(said.to_owned()));
        }
        let all = snapshot.model.classes().values();
        let all: BTreeSet<&str> = all
            .flat_map(|class| class.purposes.iter().chain([&class.purpose]))
            .map(String::as_str)
            .collect();
        Err(Refusal::new(Code::Preference, "personal data is not opened for this purpose")
            .detail(said)
            .hint(format!("the model has: {}", Vec::from_iter(all).join(", "))))
    }

    /// Binds what the query looks up among sealed values.
    pub(crate) async fn bind_lookups(
        &self,
        tenant: &Tenant,
        query: &mut (dyn Lookups + Send),
    ) -> Result<(), Error> {
        let mut wanted: Vec<(Name, Name)> = Vec::new();
        query.each_lookup(&mut |sought| {
            wanted.push((sought.entity.clone(), sought.field.clone()));
        });
        if wanted.is_empty() {
            return Ok(());
        }
        let places: Vec<(&Name, &Name)> = wanted.iter().map(|(a, b)| (a, b)).collect();
        let numbers = self.store.sealed_numbers(&places).await?;
        let blind = self.store.blind_key(tenant).await?;
        query.each_lookup(&mut |sought| {
            let place = (sought.entity.to_string(), sought.field.to_string());
            let number = numbers.get(&place).copied().unwrap_or_default();
            let index = |value: &String| hex(&blind.index(number, value));
            *sought.bound = Some(sought.values.iter().map(index).collect());
        });
        Ok(())
    }
}

/// What has conditions on sealed values.
pub(crate) trait Lookups {
    fn each_lookup(&mut self, visit: &mut dyn FnMut(freehold_model::query::Sought<'_>));
}

impl Lookups for Query {
    fn each_lookup(&mut self, visit: &mut dyn FnMut(freehold_model::query::Sought<'_>)) {
        Query::each_lookup(self, visit);
    }
}

/// What a field's values are opened for.
pub(crate) fn purpose_of(
    snapshot: &Snapshot,
    purpose: Purpose<'_>,
    entity: &str,
    field: &str,
) -> String {
    if let Purpose::Said(purpose) = purpose {
        return purpose.to_owned();
    }
    let model = &snapshot.model;
    let personal = model.entity(entity).and_then(|entity| entity.field(field)?.personal());
    let class = personal.and_then(|personal| model.classes().get(&personal.class));
    class.map_or_else(|| "unknown".to_owned(), |class| class.purpose.clone())
}
