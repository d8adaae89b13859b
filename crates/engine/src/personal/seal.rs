//! Sealing what a write brings.

use std::collections::BTreeSet;

use freehold_model::{
    entity::{Entity, Personal as Said, Whose, lookup_column},
    mutate::{self, Copied, Insert, Update},
    sealed,
};
use freehold_store::{
    Tenant, TenantTx, hex,
    seal::{Class, Personal, Place},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    write::{Mutation, objects},
};

/// Most rows that one update seals for.
const TARGETS_MAX: usize = 10_000;

type Row = Map<String, Value>;

/// What can be done before the rows are known that a write is for: values are checked, lookups bound; an insert that
/// overwrites nothing is sealed. Gives what goes into copies of vectors when the rows are written.
pub(crate) async fn prepare(
    engine: &Engine,
    tenant: &Tenant,
    mutation: &mut Mutation,
) -> Result<Vec<Copied>, Error> {
    engine.bind_lookups(tenant, mutation).await?;
    let mut copied = Vec::new();
    match mutation {
        Mutation::Insert(insert) if writes_sealed(insert.of(), insert.rows()) => {
            let entity = insert.of().clone();
            let sealing = Sealing { engine, tenant, entity: &entity };
            sealing.check(insert.rows_mut())?;
            mutate::generalise(&entity, insert.rows_mut())?;
            sealing.index(insert.rows_mut()).await?;
            if insert.merges_by().is_none() {
                copied = sealing.seal(insert.rows_mut(), &[]).await?;
            }
        }
        _ => {}
    }
    Box::pin(crate::blob::offer(engine, tenant, mutation)).await?;
    Ok(copied)
}

/// Inside the transaction: finds the rows that a write is for, and seals what it brings for them. Gives what goes into copies
/// of vectors when they are written.
pub(crate) async fn settle(
    engine: &Engine,
    tenant: &Tenant,
    tx: &mut TenantTx,
    mutation: &mut Mutation,
) -> Result<Vec<Copied>, Error> {
    match mutation {
        Mutation::Insert(insert) => merge(engine, tenant, tx, insert).await,
        Mutation::Update(update) => patch(engine, tenant, tx, update).await,
        Mutation::Delete(_) => Ok(Vec::new()),
    }
}

async fn merge(
    engine: &Engine,
    tenant: &Tenant,
    tx: &mut TenantTx,
    insert: &mut Insert,
) -> Result<Vec<Copied>, Error> {
    let Some(keys) = insert.merges_by().map(<[String]>::to_vec) else { return Ok(Vec::new()) };
    if !writes_sealed(insert.of(), insert.rows()) {
        return Ok(Vec::new());
    }
    let entity = insert.of().clone();
    let standing = standing(&entity, &keys, insert.rows(), tx).await?;
    Sealing { engine, tenant, entity: &entity }.seal(insert.rows_mut(), &standing).await
}

/// The rows that are there already, each at the place of the row that would be merged with it.
async fn standing(
    entity: &Entity,
    keys: &[String],
    rows: &[Row],
    tx: &mut TenantTx,
) -> Result<Vec<Option<Row>>, Error> {
    let found = tx.query_one(&mutate::standing(entity, keys, rows)).await?;
    let mut standing = vec![None; rows.len()];
    for row in objects(found.text(0)) {
        let place = row.get("~n").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        if let Some(at) = place.and_then(|n| n.checked_sub(1)).filter(|at| *at < rows.len()) {
            standing[at] = Some(row);
        }
    }
    Ok(standing)
}

async fn patch(
    engine: &Engine,
    tenant: &Tenant,
    tx: &mut TenantTx,
    update: &mut Update,
) -> Result<Vec<Copied>, Error> {
    let entity = update.of().clone();
    if !update.seals() {
        return Ok(Vec::new());
    }
    let sealing = Sealing { engine, tenant, entity: &entity };
    let mut patch = [update.patch_mut().clone()];
    sealing.check(&mut patch)?;
    mutate::generalise(&entity, &mut patch)?;
    sealing.index(&mut patch).await?;
    let [patch] = patch;
    let columns: Vec<String> = entity
        .sealed_fields()
        .filter(|(field, _)| patch.get(&*field.name).is_some_and(|value| !value.is_null()))
        .flat_map(|(field, _)| [field.name.to_string(), lookup_column(&field.name)])
        .filter(|name| patch.contains_key(name))
        .collect();
    // What is emptied is the same for all rows and goes with the rest.
    let mut rest = patch.clone();
    rest.retain(|name, _| !columns.contains(name));
    *update.patch_mut() = rest;
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let found = tx.query_one(&update.render_targets(TARGETS_MAX + 1)).await?;
    let targets = objects(found.text(0));
    if targets.len() > TARGETS_MAX {
        return Err(Refusal::new(Code::Limit, "the update would seal too many rows at once")
            .detail(format!("at most {TARGETS_MAX}"))
            .hint("narrow its filter, and do it in several")
            .into());
    }
    let mut rows: Vec<Row> = targets
        .iter()
        .map(|target| {
            let mut row = patch.clone();
            row.insert("id".into(), target.get("id").cloned().unwrap_or_default());
            row
        })
        .collect();
    let standing: Vec<Option<Row>> = targets.into_iter().map(Some).collect();
    let copied = sealing.seal(&mut rows, &standing).await?;
    for row in &mut rows {
        row.retain(|name, _| name == "id" || columns.contains(name));
    }
    update.seal(columns, rows);
    Ok(copied)
}

/// Seals rows that are loaded in bulk, in the transaction that loads them.
pub(crate) async fn seal_loaded(
    (engine, tenant): (&Engine, &Tenant),
    tx: &mut TenantTx,
    entity: &Entity,
    rows: &mut [Row],
    merges_by: Option<&[String]>,
) -> Result<Vec<Copied>, Error> {
    let sealing = Sealing { engine, tenant, entity };
    sealing.check(rows)?;
    mutate::generalise(entity, rows)?;
    sealing.index(rows).await?;
    let standing = match merges_by {
        Some(keys) => standing(entity, keys, rows, tx).await?,
        None => Vec::new(),
    };
    sealing.seal(rows, &standing).await
}

fn writes_sealed(entity: &Entity, rows: &[Row]) -> bool {
    entity.sealed_fields().any(|(field, _)| rows.iter().any(|row| row.contains_key(&*field.name)))
}

struct Sealing<'a> {
    engine: &'a Engine,
    tenant: &'a Tenant,
    entity: &'a Entity,
}

impl Sealing<'_> {
    /// Brings values into their one form: PostgreSQL will not see them.
    fn check(&self, rows: &mut [Row]) -> Result<(), Refusal> {
        for row in rows {
            for (field, _) in self.entity.sealed_fields() {
                if let Some(value) = row.get_mut(&*field.name) {
                    *value = sealed::plain(self.entity, field, value)?;
                }
            }
        }
        Ok(())
    }

    /// Puts blind indexes beside values that are looked up.
    async fn index(&self, rows: &mut [Row]) -> Result<(), Error> {
        let sought: Vec<_> = self
            .entity
            .sealed_fields()
            .filter_map(|(field, personal)| Some((field, personal.lookup?)))
            .filter(|(field, _)| rows.iter().any(|row| row.contains_key(&*field.name)))
            .collect();
        if sought.is_empty() {
            return Ok(());
        }
        let places: Vec<_> =
            sought.iter().map(|(field, _)| (&self.entity.name, &field.name)).collect();
        let numbers = self.engine.store.sealed_numbers(&places).await?;
        let blind = self.engine.store.blind_key(self.tenant).await?;
        for row in rows {
            for (field, lookup) in &sought {
                let Some(value) = row.get(&*field.name) else { continue };
                let index = if value.is_null() {
                    Value::Null
                } else {
                    let place = (self.entity.name.to_string(), field.name.to_string());
                    let number = numbers.get(&place).copied().unwrap_or_default();
                    let key = sealed::key(field, *lookup, value)?;
                    Value::String(format!("\\x{}", hex(&blind.index(number, &key))))
                };
                row.insert(lookup_column(&field.name), index);
            }
        }
        Ok(())
    }

    /// Seals the values of rows, each for its own: of a row that is there, `standing` says which it is and whose.
    /// Gives what goes into copies of vectors.
    async fn seal(&self, rows: &mut [Row], standing: &[Option<Row>]) -> Result<Vec<Copied>, Error> {
        let places: Vec<_> = self
            .entity
            .sealed_fields()
            .map(|(field, _)| (&self.entity.name, &field.name))
            .collect();
        let numbers = self.engine.store.sealed_numbers(&places).await?;
        let mut wanted: BTreeSet<(Uuid, Class)> = BTreeSet::new();
        let mut values = Vec::new();
        for (at, row) in rows.iter_mut().enumerate() {
            let there = standing.get(at).and_then(Option::as_ref);
            let id = self.id_of(row, there)?;
            for (field, personal) in self.entity.sealed_fields() {
                let Some(value) = row.get(&*field.name).filter(|value| !value.is_null()) else {
                    continue;
                };
                let subject = owner(personal, id, row, there)?;
                let class = class(personal);
                wanted.insert((subject, class));
                values.push((
                    at,
                    field,
                    id,
                    subject,
                    class,
                    Personal::new(sealed::json(field, value).into_bytes()),
                ));
            }
        }
        let keys = self.engine.store.keys_to_seal(self.tenant, &wanted).await?;
        let mut copied = Vec::new();
        for (at, field, row, subject, class, value) in values {
            let name = (self.entity.name.to_string(), field.name.to_string());
            let number = numbers.get(&name).copied().unwrap_or_default();
            let place = Place { tenant: self.tenant.id(), field: number, row, subject };
            let sealed = hex(&keys.seal(place, class, &value)?);
            if field.copied().is_some() {
                let (field, id, mark) =
                    (field.name.clone(), row.to_string(), Copied::mark_of(&sealed));
                let vector = String::from_utf8(value.reveal().clone()).ok();
                copied.push(Copied { field, id, mark, vector });
            }
            rows[at].insert(field.name.to_string(), Value::String(format!("\\x{sealed}")));
        }
        Ok(copied)
    }

    /// The row's id, which it gets here if it has none.
    fn id_of(&self, row: &mut Row, there: Option<&Row>) -> Result<Uuid, Refusal> {
        if let Some(there) = there.and_then(|there| there.get("id")) {
            row.insert("id".into(), there.clone());
        }
        match row.get("id") {
            None | Some(Value::Null) => {
                let id = Uuid::now_v7();
                row.insert("id".into(), Value::String(id.to_string()));
                Ok(id)
            }
            Some(value) => uuid(value)
                .ok_or_else(|| Refusal::new(Code::InvalidValue, "a value of id is not an id")),
        }
    }
}

/// With which of a person's keys values of a field are sealed, and keys of blobs wrapped.
pub(crate) fn class(personal: &Said) -> Class {
    if personal.kept { Class::Kept } else { Class::Ordinary }
}

/// Whose a value of the row is, or of the row that is `there` already.
pub(super) fn owner(
    personal: &Said,
    id: Uuid,
    row: &Row,
    there: Option<&Row>,
) -> Result<Uuid, Refusal> {
    let reference = match &personal.whose {
        Whose::Itself => return Ok(id),
        Whose::Nobody => return Ok(Uuid::nil()),
        Whose::Of(reference) => reference,
    };
    let said = row.get(&**reference).or_else(|| there.and_then(|there| there.get(&**reference)));
    match said {
        None | Some(Value::Null) => Ok(Uuid::nil()),
        Some(value) => uuid(value).ok_or_else(|| {
            Refusal::new(Code::InvalidValue, format!("a value of {reference} is not an id"))
                .hint("a row with sealed fields says whose they are by the person's id")
        }),
    }
}

fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| text.trim().parse().ok())
}
