//! Whose blobs are. A blob that is somebody's has its key wrapped by theirs, so that it goes with it.
//!
//! An upload comes before its row, so whose it is turns out with the write that takes it: before that begins, the key is wrapped for
//! whom the write says, and the row's transaction takes it over if it is so. What was written past the API, or became
//! somebody else's while nobody looked, is wrapped here a little later.

use std::{collections::HashMap, time::Duration};

use freehold_model::{
    Model,
    entity::{Entity, Personal, Whose},
    mutate::{self, Update},
};
use freehold_store::{Offer, Tenant, Unowned, seal::Class};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    Engine,
    error::Error,
    personal::class,
    write::{Mutation, objects},
};

/// Blobs dealt with in one statement.
const PAGE: usize = 500;

/// Most rows for which an update that passes blobs on wraps their keys beforehand; of more, workers do it.
const TARGETS_MAX: usize = 1_000;

const PAUSE: Duration = Duration::from_secs(5);

type Row = Map<String, Value>;

/// Wraps the keys of the blobs that a write takes, or passes on to somebody else, for those whose they will be.
///
/// # Errors
/// `Erased` if one of them is.
pub(crate) async fn offer(
    engine: &Engine,
    tenant: &Tenant,
    mutation: &mut Mutation,
) -> Result<(), Error> {
    let offers = match mutation {
        Mutation::Insert(insert) if takes(insert.of(), insert.rows().iter()) => {
            let (entity, keys) = (insert.of().clone(), insert.merges_by().map(<[String]>::to_vec));
            let standing = standing(engine, tenant, &entity, insert.rows(), keys).await?;
            if entity.personal_blobs().any(|(_, personal)| personal.whose == Whose::Itself) {
                name(insert.rows_mut(), &standing);
            }
            of_rows(&entity, insert.rows(), &standing)
        }
        Mutation::Update(update) if passes_on(update) => {
            let found = engine.store.run(tenant, &update.render_blobs(TARGETS_MAX + 1)).await?;
            let targets = objects(found.text(0));
            if targets.len() > TARGETS_MAX {
                return Ok(());
            }
            of_update(update, &targets)
        }
        _ => Vec::new(),
    };
    leave(engine, tenant, offers).await
}

async fn leave(engine: &Engine, tenant: &Tenant, mut offers: Vec<Offer>) -> Result<(), Error> {
    // Of rows that want the same one, one gets it at most.
    offers.sort_by_key(|offer| offer.blob);
    offers.dedup_by_key(|offer| offer.blob);
    if offers.is_empty() { Ok(()) } else { engine.store.offer_blobs(tenant, &offers).await }
}

/// The same for rows that are loaded in bulk. Of people whose id is yet to be made, workers do it.
///
/// # Errors
/// As [`offer`].
pub(crate) async fn offer_loaded(
    engine: &Engine,
    tenant: &Tenant,
    entity: &Entity,
    rows: impl Iterator<Item = &Row>,
    merges_by: Option<Vec<String>>,
) -> Result<(), Error> {
    if entity.personal_blobs().next().is_none() {
        return Ok(());
    }
    let rows: Vec<&Row> = rows.collect();
    if !takes(entity, rows.iter().copied()) {
        return Ok(());
    }
    let rows: Vec<Row> = rows.into_iter().cloned().collect();
    let standing = standing(engine, tenant, entity, &rows, merges_by).await?;
    leave(engine, tenant, of_rows(entity, &rows, &standing)).await
}

/// The rows that are there already of those that would be merged, by their place.
async fn standing(
    engine: &Engine,
    tenant: &Tenant,
    entity: &Entity,
    rows: &[Row],
    merges_by: Option<Vec<String>>,
) -> Result<HashMap<usize, Row>, Error> {
    let Some(keys) = merges_by else { return Ok(HashMap::new()) };
    // It locks the rows, for those who seal for them; here they are let go at once.
    let mut tx = engine.store.begin(tenant).await?;
    let found = objects(tx.query_one(&mutate::standing(entity, &keys, rows)).await?.text(0));
    tx.roll_back().await?;
    let place = |row: &Row| usize::try_from(row.get("~n")?.as_u64()?.checked_sub(1)?).ok();
    Ok(found.into_iter().filter_map(|row| Some((place(&row)?, row))).collect())
}

fn takes<'a>(entity: &Entity, mut rows: impl Iterator<Item = &'a Row>) -> bool {
    let fields: Vec<_> = entity.personal_blobs().map(|(field, _)| &field.name).collect();
    let has = |row: &Row, name: &str| row.get(name).is_some_and(|value| !value.is_null());
    rows.any(|row| fields.iter().any(|name| has(row, name)))
}

fn passes_on(update: &Update) -> bool {
    let writes = |name: &str| update.patch().contains_key(name);
    update.of().personal_blobs().any(|(field, personal)| {
        let moves = matches!(&personal.whose, Whose::Of(reference) if writes(reference));
        moves || update.patch().get(&*field.name).is_some_and(|value| !value.is_null())
    })
}

/// Who is yet to come has to have a name before.
fn name(rows: &mut [Row], standing: &HashMap<usize, Row>) {
    for (at, row) in rows.iter_mut().enumerate() {
        if row.get("id").is_none_or(Value::is_null) {
            let there = standing.get(&at).and_then(|there| there.get("id")).cloned();
            let made = || Value::String(Uuid::now_v7().to_string());
            row.insert("id".into(), there.unwrap_or_else(made));
        }
    }
}

fn of_rows(entity: &Entity, rows: &[Row], standing: &HashMap<usize, Row>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let there = |name: &str| standing.get(&at).and_then(|there| there.get(name)).and_then(id);
        for (field, personal) in entity.personal_blobs() {
            let person = match &personal.whose {
                Whose::Itself => there("id").or_else(|| row.get("id").and_then(id)),
                Whose::Of(reference) => match row.get(&**reference) {
                    Some(value) => id(value),
                    None => there(reference),
                },
                Whose::Nobody => None,
            };
            offers.extend(offered(row.get(&*field.name).and_then(id), person, personal));
        }
    }
    offers
}

fn of_update(update: &Update, targets: &[Row]) -> Vec<Offer> {
    let patch = update.patch();
    let mut offers = Vec::new();
    for target in targets {
        let was = |name: &str| target.get(name).and_then(id);
        let is = |name: &str| patch.get(name).map_or_else(|| was(name), id);
        for (field, personal) in update.of().personal_blobs() {
            let person = match &personal.whose {
                Whose::Itself => target.get("id").and_then(id),
                Whose::Of(reference) => is(reference),
                Whose::Nobody => None,
            };
            let differs = |name: &str| is(name) != was(name);
            let moves = matches!(&personal.whose, Whose::Of(reference) if differs(reference));
            // What stays as it is has its key already.
            if moves || differs(&field.name) {
                offers.extend(offered(is(&field.name), person, personal));
            }
        }
    }
    offers
}

/// Nobody's stay under the tenant's key.
fn offered(blob: Option<Uuid>, person: Option<Uuid>, personal: &Personal) -> Option<Offer> {
    Some(Offer { blob: blob?, person: person?, class: class(personal) })
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| text.trim().parse().ok())
}

impl Engine {
    /// Looks whose blobs are that were written past the API, or before blobs were anybody's, until the process ends.
    pub async fn own_blobs_forever(&self) {
        loop {
            match self.own_blobs().await {
                Ok(0) => {}
                Ok(blobs) => tracing::info!(blobs, "keys of blobs were wrapped for their people"),
                Err(error) => tracing::warn!(%error, "keys of blobs could not be wrapped"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The same once, of all tenants; says of how many blobs.
    ///
    /// # Errors
    /// The first of what kept those of a tenant from it, after the others were dealt with.
    pub async fn own_blobs(&self) -> Result<usize, Error> {
        let (mut done, mut failed) = (0, None);
        for tenant in self.store.tenants_with_unowned().await? {
            match Box::pin(self.own_blobs_of(&tenant, None)).await {
                Ok(some) => done += some,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// The same of one tenant; of those that may be this person's, at once, whoever else is at them.
    ///
    /// # Errors
    /// The first of what kept those of a field from it, after the other fields were dealt with.
    pub(crate) async fn own_blobs_of(
        &self,
        tenant: &Tenant,
        person: Option<Uuid>,
    ) -> Result<usize, Error> {
        let snapshot = self.snapshot();
        let (mut done, mut after, mut failed) = (0, None, None);
        loop {
            let page = match person {
                Some(person) => self.store.unowned_blobs_by(tenant, person, after, PAGE).await?,
                None => self.store.unowned_blobs(tenant, after, PAGE).await?,
            };
            let Some(last) = page.last() else { return failed.map_or(Ok(done), Err) };
            after = Some(last.id());
            let mut fields: HashMap<(String, String), Vec<Unowned>> = HashMap::new();
            for blob in page {
                fields.entry((blob.entity.clone(), blob.field.clone())).or_default().push(blob);
            }
            for ((entity, field), blobs) in fields {
                let all: Vec<Uuid> = blobs.iter().map(Unowned::id).collect();
                let owned = self.owned(&snapshot.model, tenant, (&entity, &field), blobs).await;
                let owned = match owned {
                    Ok(owned) => owned,
                    Err(error) => {
                        failed = failed.or(Some(error));
                        continue;
                    }
                };
                let is_owned = |id: &Uuid| owned.iter().any(|(blob, _)| blob.id() == *id);
                let left: Vec<Uuid> = all.into_iter().filter(|id| !is_owned(id)).collect();
                self.store.own_blobs_later(tenant, &left).await?;
                done += self.store.own_blobs(tenant, &owned).await?;
            }
        }
    }

    /// Whose blobs of a field are by their rows. One that its row does not have any more is left out.
    async fn owned(
        &self,
        model: &Model,
        tenant: &Tenant,
        (entity, field): (&str, &str),
        blobs: Vec<Unowned>,
    ) -> Result<Vec<(Unowned, Option<(Uuid, Class)>)>, Error> {
        let declared = model.entity(entity).and_then(|entity| {
            let mut blobs = entity.personal_blobs();
            blobs.find(|(known, _)| *known.name == *field).map(|(_, personal)| personal)
        });
        let Some(personal) = declared else {
            return Ok(blobs.into_iter().map(|blob| (blob, None)).collect());
        };
        let rows: Vec<String> = blobs.iter().map(|blob| blob.row.clone()).collect();
        let sql = freehold_model::blobs::owners(model, entity, field, &rows)?;
        let mut whose: HashMap<Uuid, Option<Uuid>> = HashMap::new();
        for row in self.store.run_all(tenant, &sql).await? {
            let read = |at: usize| row.text(at).and_then(|id| id.parse().ok());
            if let Some(blob) = read(1) {
                whose.insert(blob, read(2));
            }
        }
        let class = class(personal);
        let one = |blob: Unowned| {
            let person = *whose.get(&blob.id())?;
            Some((blob, person.map(|person| (person, class))))
        };
        Ok(blobs.into_iter().filter_map(one).collect())
    }
}
