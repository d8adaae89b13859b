//! Several changes in one transaction.

use freehold_store::Tenant;

use super::{Operation, Terms, Written, embed_new_rows};
use crate::{
    Engine,
    error::{Code, Error, Refusal, naming},
    personal,
};

/// Most changes in one transaction.
pub const OPERATIONS_MAX: usize = 100;

impl Engine {
    /// Makes several changes in one transaction: all of them or none.
    ///
    /// # Errors
    /// As [`Engine::write`]; the refusal's detail names the change by its number, counted from 1.
    pub async fn write_all(
        &self,
        tenant: &Tenant,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, Error> {
        self.write_all_on(tenant, operations, &Terms::default()).await
    }

    /// The same on terms of the caller's, which are about all changes together; the rows that come back are JSON.
    ///
    /// # Errors
    /// As [`Self::write_all`]; `NotSingular`, `TooManyAffected`, and `Preference` for a time zone that is none.
    pub async fn write_all_on(
        &self,
        tenant: &Tenant,
        operations: Vec<Operation>,
        terms: &Terms,
    ) -> Result<Vec<Written>, Error> {
        if operations.len() > OPERATIONS_MAX {
            return Err(Refusal::new(
                Code::Limit,
                format!("a transaction has at most {OPERATIONS_MAX} changes"),
            )
            .into());
        }
        let snapshot = self.snapshot();
        let mut mutations = Vec::with_capacity(operations.len());
        for (number, operation) in (1..).zip(operations) {
            let mut mutation = self
                .check(&snapshot, tenant, operation)
                .map_err(|error| numbered(number, error))?;
            mutation.agree(terms);
            embed_new_rows(&snapshot, &mut mutation)
                .await
                .map_err(|error| numbered(number, error))?;
            let copied = personal::prepare(self, tenant, &mut mutation)
                .await
                .map_err(|error| numbered(number, error))?;
            let tag = personal::tag_change(&mut mutation);
            mutations.push((mutation, tag, copied));
        }
        let mut tx = self.store.begin_in(tenant, terms.zone.as_ref()).await?;
        let mut written = Vec::with_capacity(mutations.len());
        for (number, (mutation, tag, copied)) in (1..).zip(&mut mutations) {
            let what = (&mut *mutation, tag.as_ref(), std::mem::take(copied));
            let settled = self.settled(&snapshot, tenant, &mut tx, what);
            match settled.await {
                Ok(one) => written.push(one),
                Err(error) => {
                    let error = naming(snapshot.refine(error), |code| {
                        mutation.suspects(&snapshot.model, code)
                    });
                    return Err(numbered(number, error));
                }
            }
        }
        terms.check(written.iter().map(|one| one.rows).sum())?;
        let (mut written, token) = match terms.roll_back {
            true => tx.roll_back().await.map(|()| (written, None))?,
            false => self.finish(tx, Ok(written)).await?,
        };
        for (one, (_, tag, _)) in written.iter_mut().zip(&mutations) {
            one.token.clone_from(&token);
            if let Some(tag) = tag {
                let purpose = terms.purpose.as_ref().into();
                one.body = self.open_body(&snapshot, tenant, &one.body, tag, purpose).await?;
            }
        }
        Ok(written)
    }
}

fn numbered(number: usize, error: Error) -> Error {
    match error {
        Error::Refused(mut refusal) => {
            let place = format!("change {number}");
            refusal.detail =
                Some(refusal.detail.map_or(place.clone(), |detail| format!("{place}: {detail}")));
            Error::Refused(refusal)
        }
        fault => fault,
    }
}
