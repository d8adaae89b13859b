//! All that is sealed of a person, sealed anew with their newest key.

use std::collections::BTreeSet;

use freehold_model::{
    mutate::Copied,
    reseal::{Theirs, theirs},
};
use freehold_store::{
    Opens, Tenant, hex,
    seal::{Closed, Place},
    unhex,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{copies::put as put_copies, seal::class};
use crate::{Engine, error::Error, write::objects};

/// Rows in a transaction.
const ROWS: u32 = 500;

/// What values are opened for to be sealed anew, as it is counted.
const PURPOSE: &str = "resealing";

/// A row with what is sealed anew of it, and how many of its fields were under another key.
type Anew = (Map<String, Value>, usize);

impl Engine {
    /// Gives a person another key, and seals all that is sealed of them anew with it. Says how many keys they got, and how many
    /// values were sealed anew. Interrupted, it goes on when it is called again, with another key.
    ///
    /// # Errors
    /// `NoSuchEntity`, `Usage` if its rows are not people; a fault if a value was changed or moved from elsewhere.
    pub async fn reseal_person(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(usize, u64), Error> {
        let keys = self.renew_person(tenant, entity, person).await?;
        let snapshot = self.snapshot();
        let subject = crate::erase::subject(&snapshot.model, entity)?;
        let mut sealed = 0;
        for part in theirs(&snapshot.model, subject) {
            let mut after = None::<String>;
            loop {
                let (last, values) =
                    self.reseal_some(tenant, &part, person, after.as_deref()).await?;
                sealed += values;
                told(sealed);
                match last {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok((keys, sealed))
    }

    /// Some rows, in a transaction of their own: the last of them, and how many values were sealed anew.
    async fn reseal_some(
        &self,
        tenant: &Tenant,
        part: &Theirs<'_>,
        person: Uuid,
        after: Option<&str>,
    ) -> Result<(Option<String>, u64), Error> {
        let places: Vec<_> =
            part.fields.iter().map(|field| (&part.entity.name, &field.name)).collect();
        let numbers = self.store.sealed_numbers(&places).await?;
        let keys = self.store.keys_to_open(tenant, &BTreeSet::from([person])).await?;
        let mut tx = self.store.begin(tenant).await?;
        let page = part.page(&person.to_string(), after, ROWS);
        let rows = objects(tx.query_one(&page).await?.text(0));
        let last = rows.last().and_then(|row| row.get("id")?.as_str()).map(str::to_owned);
        let (mut anew, mut opens) = (Vec::new(), Opens::default());
        let mut copied: Vec<Copied> = Vec::new();
        let mut values = 0;
        for row in rows {
            let mut under_another = 0;
            let mut put = Map::new();
            let id = row.get("id").cloned().unwrap_or_default();
            let place = |number: u32| {
                let row = id.as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
                Place { tenant: tenant.id(), field: number, row, subject: person }
            };
            for field in &part.fields {
                let digits = row.get(&*field.name).and_then(Value::as_str);
                let (Some(digits), Some(personal)) = (digits, field.sealed()) else { continue };
                let name = (part.entity.name.to_string(), field.name.to_string());
                let number = numbers.get(&name).copied().unwrap_or_default();
                let bytes = unhex(digits).ok_or(Closed::Form)?;
                let sealed = keys.anew(place(number), class(personal), &bytes)?;
                if sealed.is_some() {
                    under_another += 1;
                    opens.add(&part.entity.name, &field.name);
                }
                let again = sealed.is_some() && field.copied().is_some();
                let digits = sealed.map_or_else(|| digits.to_owned(), |bytes| hex(&bytes));
                if again {
                    let vector = keys.open(place(number), &bytes)?.reveal().clone();
                    copied.push(Copied {
                        field: field.name.clone(),
                        id: id.as_str().unwrap_or_default().to_owned(),
                        mark: Copied::mark_of(&digits),
                        vector: String::from_utf8(vector).ok(),
                    });
                }
                put.insert(field.name.to_string(), Value::String(format!("\\x{digits}")));
            }
            put.insert("id".into(), id);
            anew.extend((under_another > 0).then_some((put, under_another)));
        }
        if !anew.is_empty() {
            values = anew.iter().map(|(_, many): &Anew| *many as u64).sum();
            let rows = anew.into_iter().map(|(row, _)| row).collect();
            tx.query_one(&part.put(rows)).await?;
            put_copies(&mut tx, part.entity, &copied).await?;
        }
        tx.commit().await?;
        self.store.note_opens(tenant, &|_, _| PURPOSE.to_owned(), &opens).await?;
        Ok((last, values))
    }
}
