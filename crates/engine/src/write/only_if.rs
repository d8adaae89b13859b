//! Changes that depend on what is there: read and changed in one snapshot, so that nobody's change in between is lost.

use freehold_model::{
    Model,
    query::{self, Query},
};
use freehold_store::{Tenant, TenantTx};

use super::{OnlyIf, Operation, Terms, Verb};
use crate::{
    Engine, Snapshot, cache,
    error::{Code, Error, Refusal},
    personal,
    read::{Answer, count, shaped},
};

impl Engine {
    /// The read of what is to be changed, if the change depends on it: that of the same query string.
    pub(super) fn matched(
        &self,
        model: &Model,
        operation: &Operation,
        terms: &Terms,
    ) -> Result<Option<Query>, Error> {
        if terms.only_if.is_none() {
            return Ok(None);
        }
        if matches!(operation.verb, Verb::Insert(..)) {
            return Err(Refusal::new(Code::Precondition, "an insert has nothing to match")
                .hint("change rows that are there with PATCH, PUT or DELETE")
                .into());
        }
        let mut query = query::parse(model, &operation.entity, &operation.query, &self.limits)?;
        query.shaped(terms.shape);
        Ok(Some(query))
    }

    /// Refuses unless it is as the terms say.
    pub(super) async fn demand(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        tx: &mut TenantTx,
        matched: Option<Query>,
        terms: &Terms,
    ) -> Result<(), Error> {
        let (Some(mut query), Some(only_if)) = (matched, &terms.only_if) else { return Ok(()) };
        self.bind_lookups(tenant, &mut query).await?;
        let tag = personal::tag(&mut query);
        let row = tx.query_one(&query.render()).await?;
        let rows = count(row.int(1));
        let is_there = match only_if {
            OnlyIf::Any => rows > 0,
            OnlyIf::Is(known) => {
                let opened = match (&tag, row.text(0)) {
                    (Some(tag), Some(body)) => {
                        let purpose = terms.purpose.as_ref().into();
                        Some(self.open_body(snapshot, tenant, body, tag, purpose).await?)
                    }
                    _ => None,
                };
                let body = shaped(&query, terms.shape, opened.as_deref().or(row.text(0)));
                let offset = query.offset();
                let answer = Answer { body, rows, total: None, offset, search: None };
                known.contains(&cache::etag(&answer))
            }
        };
        if is_there { Ok(()) } else { Err(changed().into()) }
    }
}

/// Who was overtaken between the read and the change finds other rows, too.
pub(super) fn said(error: Error, terms: &Terms) -> Error {
    match error {
        Error::Refused(refusal) if refusal.code == Code::TryAgain && terms.only_if.is_some() => {
            changed().into()
        }
        error => error,
    }
}

fn changed() -> Refusal {
    Refusal::new(Code::Precondition, "the rows are not as they were read")
        .hint("read them again, with the same query string, and decide anew; nothing was changed")
}
