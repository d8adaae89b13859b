//! A search of sealed vectors: rows that fit are fetched some at a time, their vectors opened and measured here, and the page of
//! what was found is read in the same snapshot.

use std::collections::BTreeSet;

use freehold_model::{
    Name,
    entity::{Metric, VectorForm},
    query::{Behind, Measured, Query},
};
use freehold_store::{
    Opens, Tenant, TenantTx,
    seal::{Closed, Place},
    unhex,
};
use uuid::Uuid;

use super::comparable::Comparable;
use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
    personal::{Purpose, purpose_of},
    read::{count, missing_anchor},
};

/// Rows in a page: as sealed vectors are long, and other requests wait while one page of them is measured.
const PAGE: u64 = 500;

/// What is measured, and from what.
struct Search {
    entity: Name,
    field: Name,
    /// The number that its values are bound to.
    number: u32,
    metric: Metric,
    form: VectorForm,
}

/// A row with its sealed vector.
struct Row {
    id: Uuid,
    owner: Uuid,
    sealed: Vec<u8>,
}

impl Engine {
    /// Measures what a search of sealed vectors is about, and lets the query show what was found. What was opened is counted for
    /// the purpose.
    ///
    /// # Errors
    /// `Limit` if more rows fit than are measured at once; `Vector` without a row to compare with; a fault if one was changed or
    /// moved from elsewhere.
    pub(crate) async fn measure_sealed(
        &self,
        (snapshot, tenant): (&Snapshot, &Tenant),
        tx: &mut TenantTx,
        query: &mut Query,
        purpose: Purpose<'_>,
    ) -> Result<(), Error> {
        let Some(Behind { entity, field, metric, form, from }) = query.behind() else {
            return Ok(());
        };
        let numbers = self.store.sealed_numbers(&[(entity, field)]).await?;
        let number = numbers.get(&(entity.to_string(), field.to_string())).copied();
        let (entity, field, from) = (entity.clone(), field.clone(), from.map(str::to_owned));
        let search = Search { entity, field, number: number.unwrap_or_default(), metric, form };
        self.refuse_many(tx, query, &search).await?;
        let mut opened = 0;
        let measured = self.measure_all((tenant, &search), tx, (query, from), &mut opened).await;
        // Also what was opened in vain.
        let mut opens = Opens::default();
        opens.add_many(&search.entity, &search.field, opened);
        let named = |entity: &str, field: &str| purpose_of(snapshot, purpose, entity, field);
        self.store.note_opens(tenant, &named, &opens).await?;
        query.measured(measured?);
        Ok(())
    }

    /// Before anything is opened.
    async fn refuse_many(
        &self,
        tx: &mut TenantTx,
        query: &Query,
        search: &Search,
    ) -> Result<(), Error> {
        let most = self.limits.sealed_max;
        let Some(sql) = query.sealed_count(most + 1) else { return Ok(()) };
        if count(tx.query_one(&sql).await?.int(0)) <= most {
            return Ok(());
        }
        let Search { entity, field, .. } = search;
        Err(Refusal::new(
            Code::Limit,
            format!(
                "more than {most} rows of {entity} fit, and each {field} would have to be opened"
            ),
        )
        .hint("add conditions that fewer rows fit")
        .into())
    }

    async fn measure_all(
        &self,
        (tenant, search): (&Tenant, &Search),
        tx: &mut TenantTx,
        (query, from): (&Query, Option<String>),
        opened: &mut u64,
    ) -> Result<Vec<Measured>, Error> {
        let (from, except) = match from {
            Some(text) => (Comparable::read(search.form, &text), None),
            None => {
                let Some(sql) = query.sealed_anchor() else { return Ok(Vec::new()) };
                let rows = tx.query(&sql).await?;
                let row = rows.first().and_then(|row| row.text(0)).map(read).transpose()?;
                let row = row.ok_or_else(missing_anchor)?;
                let id = row.id;
                let mut vectors = self.open_vectors((tenant, search), &[row], opened).await?;
                (vectors.pop().map(|(_, vector)| vector), Some(id))
            }
        };
        let from = from.ok_or_else(missing_anchor)?;
        let mut all = Vec::new();
        let mut after = Uuid::nil().to_string();
        loop {
            let Some(sql) = query.sealed_page(&after, PAGE) else { return Ok(all) };
            let page = tx.query_one(&sql).await?;
            let rows = page.text(0).unwrap_or_default().lines().map(read);
            let rows = rows.collect::<Result<Vec<Row>, _>>()?;
            let Some(last) = rows.last() else { return Ok(all) };
            after = last.id.to_string();
            let rows: Vec<Row> = rows.into_iter().filter(|row| Some(row.id) != except).collect();
            for (id, vector) in self.open_vectors((tenant, search), &rows, opened).await? {
                if let Some(distance) = vector.distance(&from, search.metric) {
                    all.push(Measured { id: id.as_u128(), distance });
                }
            }
            if count(page.int(1)) < PAGE {
                return Ok(all);
            }
        }
    }

    /// Of whom there is no key any more there is no vector.
    async fn open_vectors(
        &self,
        (tenant, search): (&Tenant, &Search),
        rows: &[Row],
        opened: &mut u64,
    ) -> Result<Vec<(Uuid, Comparable)>, Error> {
        let people: BTreeSet<Uuid> = rows.iter().map(|row| row.owner).collect();
        let keys = self.store.keys_to_open(tenant, &people).await?;
        let mut vectors = Vec::with_capacity(rows.len());
        for row in rows {
            let place = Place {
                tenant: tenant.id(),
                field: search.number,
                row: row.id,
                subject: row.owner,
            };
            match keys.open(place, &row.sealed) {
                Ok(value) => {
                    *opened += 1;
                    let vector = Comparable::opened(search.form, value.reveal());
                    vectors.push((row.id, vector.ok_or(Closed::Form)?));
                }
                Err(Closed::Gone) => {}
                Err(closed) => {
                    tracing::error!(entity = %search.entity, field = %search.field, row = %row.id, "a sealed value does not open: {closed}");
                    return Err(closed.into());
                }
            }
        }
        Ok(vectors)
    }
}

/// `id:owner:value`
fn read(line: &str) -> Result<Row, Closed> {
    let parts = || -> Option<Row> {
        let mut parts = line.splitn(3, ':');
        let (id, owner) = (parts.next()?.parse().ok()?, parts.next()?);
        let owner = if owner.is_empty() { Uuid::nil() } else { owner.parse().ok()? };
        Some(Row { id, owner, sealed: unhex(parts.next()?)? })
    };
    parts().ok_or(Closed::Form)
}
