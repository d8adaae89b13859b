//! Constraints that answer questions about rows of others. Nothing is committed.

use super::schema::shape;
use freehold_model::entity::{Kind, Scalar};

use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena, rows},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["O01", "unique key", "Inserts a row with B's unique value, and asks with ON CONFLICT; a refusal would say that it exists."],
        "schema",
        |arena| Box::pin(unique(arena)),
    ),
    CLASS.run(
        ["O02", "primary key", "Inserts a row with the id of B's row."],
        "schema",
        |arena| Box::pin(primary(arena)),
    ),
    CLASS.run(
        ["O03", "reference", "Refers to B's row, and to one that is nowhere; the answers must be the same."],
        "schema",
        |arena| Box::pin(reference(arena)),
    ),
    CLASS.run(
        ["O04", "cascade", "Makes a row with the id of B's row and deletes it; B's rows must stay."],
        "schema",
        |arena| Box::pin(cascade(arena)),
    ),
    CLASS.run(
        ["O05", "routing of partitions", "Inserts for B, and for a tenant that is nowhere; the answers must be the same."],
        "schema",
        |arena| Box::pin(routing(arena)),
    ),
    CLASS.run(
        ["O06", "keys without the tenant", "Looks for unique keys, references and exclusions that do not begin with the tenant."],
        "schema",
        |arena| Box::pin(shape(arena, KEYS)),
    ),
];

const CLASS: Class = Class::Oracle;

const KEYS: &str = "select string_agg(what, ', ') from ( \
    select i.indexrelid::regclass::text as what from pg_index i join pg_class c on c.oid = i.indrelid \
      where c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) \
        and (select attname from pg_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[0]) is distinct from 'tenant_id' \
    union all select k.conname::text from pg_constraint k join pg_class c on c.oid = k.conrelid \
      where c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) and (k.contype = 'x' or k.contype = 'f' \
        and (select attname from pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]) is distinct from 'tenant_id')) x";

async fn unique(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let (mut leaks, mut tried) = (Vec::new(), 0);
    for entity in arena.entities() {
        for key in &entity.uniques {
            let [field] = key.fields.as_slice() else { continue };
            let text =
                entity.field(field).is_some_and(|field| field.kind == Kind::Scalar(Scalar::Text));
            if !text {
                continue;
            }
            tried += 1;
            let mark = &arena.b().mark;
            let target =
                |name: &str| arena.a().rows.get(name).copied().unwrap_or_default().to_string();
            let seed = rows::Seed { number: 3, mark: Some(mark), target: &target };
            let a = arena.a().tenant.id().to_string();
            for end in ["", " on conflict do nothing"] {
                let said = eve.within(arena.a(), &rows::insert(entity, &a, None, &seed, end)).await;
                if said.count() != 1 {
                    leaks.push(format!(
                        "{}.{field}{end}: {} {}",
                        entity.name,
                        said.state(),
                        said.text()
                    ));
                }
            }
        }
    }
    Ok(if tried == 0 {
        Found::NothingThere("the model has no unique text".into())
    } else {
        Found::of(&leaks)
    })
}

async fn primary(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let id = arena.b().rows[entity.name.as_str()];
        let (names, values) = arena.columns(entity, arena.a());
        let table = rows::table(entity);
        for end in ["", " on conflict do nothing"] {
            let sql = format!("insert into {table} (id, {names}) values ('{id}', {values}){end}");
            let said = eve.within(arena.a(), &sql).await;
            if said.count() != 1 {
                leaks.push(format!("{}: {} {}", entity.name, said.state(), said.text()));
            }
        }
    }
    Ok(Found::of(&leaks))
}

async fn reference(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let (mut leaks, mut tried) = (Vec::new(), 0);
    for entity in arena.entities() {
        for field in &entity.fields {
            let Kind::Ref(to) = &field.kind else { continue };
            let Some(theirs) = arena.b().rows.get(to.entity.as_str()) else { continue };
            tried += 1;
            let mine = arena.a().rows[entity.name.as_str()];
            let (table, column) = (rows::table(entity), rows::ident(&field.name));
            let mut answers = Vec::new();
            for target in [*theirs, uuid::Uuid::new_v4()] {
                let sql = format!("update {table} set {column} = '{target}' where id = '{mine}'");
                let said = eve.within(arena.a(), &sql).await;
                if said.count() > 0 {
                    leaks.push(format!("{}.{} refers to B's", entity.name, field.name));
                }
                answers.push(said.text().replace(&target.to_string(), "…"));
            }
            if answers[0] != answers[1] {
                leaks.push(format!(
                    "{}.{}: {} / {}",
                    entity.name, field.name, answers[0], answers[1]
                ));
            }
        }
    }
    Ok(if tried == 0 {
        Found::NothingThere("the model has no reference".into())
    } else {
        Found::of(&leaks)
    })
}

async fn cascade(arena: &Arena) -> Result<Found, Error> {
    let (eve, bob) = (arena.eve().await?, arena.eve().await?);
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let id = arena.b().rows[entity.name.as_str()];
        let (names, values) = arena.columns(entity, arena.a());
        let table = rows::table(entity);
        let made = format!(
            "insert into {table} (id, {names}) values ('{id}', {values}); delete from {table} where id = '{id}'"
        );
        let said = eve.within(arena.a(), &made).await;
        if said.count() != 1 {
            leaks.push(format!("{}: {} rows {}", entity.name, said.count(), said.state()));
        }
        let look = format!("select from {table} where id = '{id}'");
        if bob.within(arena.b(), &look).await.count() != 1 {
            leaks.push(format!("B's row of {} is gone", entity.name));
        }
    }
    Ok(Found::of(&leaks))
}

async fn routing(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let (names, values) = arena.columns(entity, arena.a());
        let mut answers = Vec::new();
        for tenant in [arena.b().tenant.id(), uuid::Uuid::new_v4()] {
            let sql = format!(
                "insert into {} (tenant_id, {names}) values ('{tenant}', {values})",
                rows::table(entity)
            );
            let said = eve.within(arena.a(), &sql).await;
            answers.push(format!(
                "{} {}",
                said.state(),
                said.text().replace(&tenant.to_string(), "…")
            ));
        }
        if answers[0] != answers[1] || answers[0].trim().is_empty() {
            leaks.push(format!("{}: {}", entity.name, answers.join(" / ")));
        }
    }
    Ok(Found::of(&leaks))
}
