//! Whose blobs are: their keys wrapped for the people whose their rows say they are.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::opened::{By, Noted, wrap_for_tenant};
use crate::{
    error::Error,
    key::hex,
    param::list,
    personal::erased,
    row::Row,
    seal::Class,
    store::{Store, Tenant, tenant_in},
};

const DOING: &str = "looking whose blobs are";

/// Whose a blob will be once a row has it, or has passed it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The blob.
    pub blob: Uuid,
    /// The person.
    pub person: Uuid,
    /// By which of their keys.
    pub class: Class,
}

/// A blob of a row of which it is to be looked whose it is.
#[derive(Debug, Clone)]
pub struct Unowned {
    /// Its field.
    pub entity: String,
    /// Its field.
    pub field: String,
    /// The row that has it.
    pub row: String,
    was: Option<Uuid>,
    key: Noted,
}

impl Unowned {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.key.blob
    }
}

/// What is to be noted of one.
struct Own<'a> {
    blob: &'a Unowned,
    by: Option<By>,
    // None where it is wrapped so already.
    made: Option<Vec<u8>>,
}

impl Store {
    /// Wraps the keys of uploads, and of blobs that are passed on, for those whose they will be. The rows' own transactions take
    /// what fits; blobs that are not there are left to them to refuse.
    ///
    /// # Errors
    /// `Erased` if one of the people is.
    pub async fn offer_blobs(&self, tenant: &Tenant, offers: &[Offer]) -> Result<(), Error> {
        let wanted: BTreeSet<(Uuid, Class)> =
            offers.iter().map(|offer| (offer.person, offer.class)).collect();
        let keys = self.keys_to_seal(tenant, &wanted).await?;
        let id = tenant.id().to_string();
        let ids: Vec<String> = offers.iter().map(|offer| offer.blob.to_string()).collect();
        let ids = list(ids.iter().map(String::as_str));
        let text = "select id, sealed, key_subject, key_class, key_gen from freehold.blob_keys_of($1::text::uuid, $2::text::uuid[])";
        let rows = self.ask(DOING, text, &[Some(&id), Some(&ids)]).await?;
        let noted: Vec<Noted> = rows.iter().map(Noted::read).collect();
        let opened = self.open_blob_keys(tenant, &noted).await?;
        let secrets: HashMap<Uuid, _> = noted
            .iter()
            .zip(opened)
            .filter_map(|(noted, opened)| Some((noted.blob, opened.key()?)))
            .collect();
        let mut made: [Vec<String>; 5] = Default::default();
        for Offer { blob, person, class } in offers {
            let key = keys.newest(person, *class).ok_or_else(erased)?;
            let Some(secret) = secrets.get(blob) else { continue };
            let wrapped = hex(&key.wrap_blob((tenant.id(), *person, *blob), secret));
            let (class, generation) = (class.number().to_string(), key.generation().to_string());
            let all = [blob.to_string(), person.to_string(), class, generation, wrapped];
            made.iter_mut().zip(all).for_each(|(list, one)| list.push(one));
        }
        if made[0].is_empty() {
            return Ok(());
        }
        let made = made.map(|all| list(all.iter().map(String::as_str)));
        let text = "select freehold.blobs_offer($1::text::uuid, $2::text::uuid[], $3::text::uuid[], $4::text::smallint[], $5::text::smallint[], $6::text::text[])::text";
        let mut params = vec![Some(&*id)];
        params.extend(made.iter().map(|list| Some(list.as_str())));
        self.ask("offering the keys of blobs", text, &params).await.map(drop)
    }

    /// Tenants that have blobs of which it is to be looked whose they are.
    ///
    /// # Errors
    /// Faults only.
    pub async fn tenants_with_unowned(&self) -> Result<Vec<Tenant>, Error> {
        let rows = self.ask(DOING, "select id, name from freehold.blobs_unowned()", &[]).await?;
        Ok(rows.iter().filter_map(tenant_in).collect())
    }

    /// Takes up to `most` of a tenant's, by id from behind `after`: nobody else gets them for a minute.
    ///
    /// # Errors
    /// Faults only.
    pub async fn unowned_blobs(
        &self,
        tenant: &Tenant,
        after: Option<Uuid>,
        most: usize,
    ) -> Result<Vec<Unowned>, Error> {
        let text = "select id, sealed, key_subject, key_class, key_gen, entity, field, row_id, subject \
                    from freehold.blobs_unowned_of($1::text::uuid, $2::text::uuid, $3::text::bigint)";
        let (id, after) = (tenant.id().to_string(), after.map(|id| id.to_string()));
        let most = most.to_string();
        let rows = self.ask(DOING, text, &[Some(&id), after.as_deref(), Some(&most)]).await?;
        Ok(rows.iter().filter_map(unowned).collect())
    }

    /// The same of those that are a person's, or were, or of which nobody knows yet whose they are, whoever has taken them. None are
    /// taken.
    ///
    /// # Errors
    /// Faults only.
    pub async fn unowned_blobs_by(
        &self,
        tenant: &Tenant,
        person: Uuid,
        after: Option<Uuid>,
        most: usize,
    ) -> Result<Vec<Unowned>, Error> {
        let text = "select id, sealed, key_subject, key_class, key_gen, entity, field, row_id, subject \
                    from freehold.blobs_unowned_by($1::text::uuid, $2::text::uuid, $3::text::uuid, $4::text::bigint)";
        let (id, after) = (tenant.id().to_string(), after.map(|id| id.to_string()));
        let (person, most) = (person.to_string(), most.to_string());
        let params = [Some(&*id), Some(&*person), after.as_deref(), Some(&*most)];
        let rows = self.ask(DOING, text, &params).await?;
        Ok(rows.iter().filter_map(unowned).collect())
    }

    /// Notes whose these blobs are, none for nobody's, and wraps their keys for them. Those of whoever has no key, or that do not open,
    /// are looked at again in an hour; one that was passed on meanwhile stays as it is. Says of how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn own_blobs(
        &self,
        tenant: &Tenant,
        owned: &[(Unowned, Option<(Uuid, Class)>)],
    ) -> Result<usize, Error> {
        let wanted: BTreeSet<(Uuid, Class)> =
            owned.iter().filter_map(|(_, whose)| *whose).collect();
        let keys = self.keys_to_seal(tenant, &wanted).await?;
        let noted: Vec<Noted> = owned.iter().map(|(blob, _)| blob.key.clone()).collect();
        let opened = self.open_blob_keys(tenant, &noted).await?;
        let under = self.tenant_key(tenant).await?;
        let (mut done, mut later) = (Vec::new(), Vec::new());
        for ((blob, whose), opened) in owned.iter().zip(opened) {
            let id = blob.id();
            let key = whose.map(|(person, class)| (person, keys.newest(&person, class)));
            let (Some(secret), false) = (opened.key(), matches!(key, Some((_, None)))) else {
                later.push(id);
                continue;
            };
            let by = key.and_then(|(person, key)| {
                let key = key?;
                Some((By { person, class: key.class(), generation: key.generation() }, key))
            });
            let made = match by {
                _ if blob.key.by == by.as_ref().map(|(by, _)| *by) => None,
                Some((by, key)) => Some(key.wrap_blob((tenant.id(), by.person, id), &secret)),
                None => Some(wrap_for_tenant(&under, tenant.id(), id, &secret)),
            };
            done.push(Own { blob, by: by.map(|(by, _)| by), made });
        }
        self.own_blobs_later(tenant, &later).await?;
        if !self.note_owned(tenant, under.generation, &done).await? {
            // It is done again with the key that there is now.
            self.0.ring.forget(tenant.id());
            return Ok(0);
        }
        Ok(done.len())
    }

    /// Of these it cannot be said whose they are: they are looked at again in an hour.
    ///
    /// # Errors
    /// Faults only.
    pub async fn own_blobs_later(&self, tenant: &Tenant, blobs: &[Uuid]) -> Result<(), Error> {
        if blobs.is_empty() {
            return Ok(());
        }
        let text = "select freehold.blobs_own_later($1::text::uuid, $2::text::uuid[])::text";
        let ids: Vec<String> = blobs.iter().map(Uuid::to_string).collect();
        let ids = list(ids.iter().map(String::as_str));
        self.ask(DOING, text, &[Some(&tenant.id().to_string()), Some(&ids)]).await.map(drop)
    }

    async fn note_owned(
        &self,
        tenant: &Tenant,
        under: i64,
        done: &[Own<'_>],
    ) -> Result<bool, Error> {
        if done.is_empty() {
            return Ok(true);
        }
        let lists = [
            nullable(done, |own| Some(own.blob.id().to_string())),
            nullable(done, |own| Some(hex(&own.blob.key.wrapped))),
            nullable(done, |own| own.blob.was.map(|id| id.to_string())),
            nullable(done, |own| own.by.map(|by| by.person.to_string())),
            nullable(done, |own| Some(own.by.map_or(0, |by| by.class.number()).to_string())),
            nullable(done, |own| own.by.map(|by| by.generation.to_string())),
            nullable(done, |own| own.made.as_deref().map(hex)),
        ];
        let (id, under) = (tenant.id().to_string(), under.to_string());
        let mut params = vec![Some(&*id), Some(&*under)];
        params.extend(lists.iter().map(|list| Some(list.as_str())));
        let text = "select freehold.blobs_own($1::text::uuid, $2::text::bigint, $3::text::uuid[], $4::text::text[], $5::text::uuid[], \
                    $6::text::uuid[], $7::text::smallint[], $8::text::smallint[], $9::text::text[])";
        let rows = self.ask("wrapping the keys of blobs", text, &params).await?;
        Ok(rows.first().and_then(|row| row.bool(0)) == Some(true))
    }
}

fn unowned(row: &Row) -> Option<Unowned> {
    Some(Unowned {
        entity: row.text(5)?.to_owned(),
        field: row.text(6)?.to_owned(),
        row: row.text(7)?.to_owned(),
        was: row.text(8).and_then(|id| id.parse().ok()),
        key: Noted::read(row),
    })
}

/// An array as PostgreSQL reads it, of ids, numbers and hexadecimal digits.
fn nullable(done: &[Own<'_>], of: impl Fn(&Own<'_>) -> Option<String>) -> String {
    let all: Vec<String> =
        done.iter().map(|own| of(own).unwrap_or_else(|| "NULL".to_owned())).collect();
    format!("{{{}}}", all.join(","))
}
