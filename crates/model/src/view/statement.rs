//! The statements of a worker.

use std::collections::BTreeSet;

use crate::{
    Name, Sql,
    entity::{Field, Kind},
    sql::ident,
    view::{Images, ReadModel},
};

/// The units that images touch.
pub(crate) fn touch(model: &ReadModel, images: Images<'_>) -> Sql {
    let at = source(model, images);
    let lists = images.links.iter().map(|list| array(list.iter().map(Option::as_deref)));
    reading(model, &model.touches[at], lists.map(Some).collect())
}

/// The same, if the images say them. What has a null in it is no unit.
pub(crate) fn said(model: &ReadModel, images: Images<'_>) -> Option<BTreeSet<Vec<String>>> {
    let said = model.said[source(model, images)].as_ref()?;
    let mut units = BTreeSet::new();
    for unit in said {
        let image = |row: usize| unit.iter().map(|link| images.links[*link][row].clone()).collect();
        units.extend((0..images.links[unit[0]].len()).filter_map(image));
    }
    Some(units)
}

fn source(model: &ReadModel, images: Images<'_>) -> usize {
    let at = model
        .sources
        .iter()
        .position(|source| *source.entity == *images.entity)
        .unwrap_or_else(|| panic!("{} does not read {}", model.name(), images.entity));
    assert_eq!(images.links.len(), model.sources[at].links.len(), "one list for each link");
    at
}

pub(crate) fn recompute(model: &ReadModel, table: &str, units: &[Vec<String>]) -> Sql {
    assert_eq!(units.len(), model.unit.len(), "one list for each column of the unit");
    let params: Vec<String> = model
        .unit
        .iter()
        .enumerate()
        .map(|(at, name)| format!("${}::{}[]", at + 1, field(model, name).kind.sql_type()))
        .collect();
    let unit = columns(&model.unit, "");
    let definition = &model.definition;
    let current = format!(
        "units as materialized (\n  select distinct {unit} from unnest({}) as i ({unit})\n), current as materialized (\n  select v.* from units as u cross join lateral (\n    select * from ({definition}) as v where {} offset 0\n  ) as v\n)",
        params.join(", "),
        equal(&model.unit, "v", "u"),
    );
    let gone = gone(model, table);
    let lists = units.iter().map(|list| array(list.iter().map(|text| Some(text.as_str()))));
    reading(model, &replace(model, table, &current, &gone), lists.map(Some).collect())
}

/// Deletes rows of `units` that are not among `current`. None of it is a join: without statistics PostgreSQL takes a tenant
/// for small, and would look through all its rows for those of one unit. The units are entered in the index by the first
/// column, and both lists are hashed, because an array's length is guessed as small.
fn gone(model: &ReadModel, table: &str) -> String {
    let (key, unit) = (&model.key, &model.unit);
    let lead = key.first().filter(|name| unit.contains(name)).unwrap_or(&unit[0]);
    let lead = ident(lead);
    let others = match &unit[..] {
        [_] => String::new(),
        _ => format!(
            " and ((({}) in (select {} from units as u)) is true)",
            columns(unit, "r."),
            columns(unit, "u."),
        ),
    };
    let arrays: Vec<String> = key
        .iter()
        .map(|name| format!("array(select c.{} from current as c)", ident(name)))
        .collect();
    format!(
        "delete from app.{} as r where r.{lead} = any (array(select u.{lead} from units as u)){others}\n    and ({}) not in (select {} from unnest({}) as c ({}))",
        ident(table),
        columns(key, "r."),
        columns(key, "c."),
        arrays.join(", "),
        columns(key, ""),
    )
}

pub(crate) fn fill(model: &ReadModel, table: &str) -> Sql {
    let current = format!("current as materialized (\n  {}\n)", model.definition);
    let gone = format!(
        "delete from app.{} as r where not exists (select from current as c where {})",
        ident(table),
        equal(&model.key, "c", "r"),
    );
    reading(model, &replace(model, table, &current, &gone), Vec::new())
}

/// Puts the rows of `current` into the table, and takes out those that `gone` deletes.
fn replace(model: &ReadModel, table: &str, current: &str, gone: &str) -> String {
    let fields = &model.shape.fields;
    let all: Vec<Name> = fields.iter().map(|field| field.name.clone()).collect();
    let others: Vec<&Field> =
        fields.iter().filter(|field| !model.key.contains(&field.name)).collect();
    let conflict = if others.is_empty() {
        "do nothing".to_owned()
    } else {
        let set: Vec<String> =
            others.iter().map(|field| format!("{0} = excluded.{0}", ident(&field.name))).collect();
        let differs: Vec<String> =
            others.iter().map(|field| differs(field, "r", "excluded")).collect();
        format!("do update set {}\n    where {}", set.join(", "), differs.join(" or "))
    };
    let key = columns(&model.key, "");
    let returned = columns(&model.key, "r.");
    let shown: Vec<String> =
        model.key.iter().map(|name| format!("{}::text", ident(name))).collect();
    let shown = shown.join(", ");
    format!(
        "with {current}, put as (\n  insert into app.{} as r ({}) select {} from current as c\n    on conflict (tenant_id, {key}) {conflict}\n    returning {returned}\n), gone as (\n  {gone}\n    returning {returned}\n)\nselect 'put' as change, {shown} from put\nunion all\nselect 'gone', {shown} from gone",
        ident(table),
        columns(&all, ""),
        columns(&all, "c."),
    )
}

pub(crate) fn page(model: &ReadModel, after: Option<&[String]>, limit: u32) -> Sql {
    let unit = &model.anchor.unit;
    let names: Vec<String> = (1..=unit.len()).map(|at| format!("u{at}")).collect();
    let values: Vec<String> =
        unit.iter().zip(&names).map(|(value, name)| format!("{value} as {name}")).collect();
    let mut conditions: Vec<String> =
        unit.iter().map(|value| format!("{value} is not null")).collect();
    let mut params = Vec::new();
    if let Some(after) = after {
        assert_eq!(after.len(), unit.len(), "one text for each column of the unit");
        let marks: Vec<String> = model
            .unit
            .iter()
            .enumerate()
            .map(|(at, name)| format!("${}::{}", at + 1, field(model, name).kind.sql_type()))
            .collect();
        conditions.push(format!("({}) > ({})", unit.join(", "), marks.join(", ")));
        // Where an index begins with the first column, it can be entered here.
        conditions.push(format!("{} >= {}", unit[0], marks[0]));
        params = after.iter().cloned().map(Some).collect();
    }
    let shown: Vec<String> = names.iter().map(|name| format!("{name}::text")).collect();
    let order = names.join(", ");
    let text = format!(
        "select {} from (\n  select distinct {} from {}\n  where {}\n  order by {order} limit {limit}\n) as p order by {}",
        shown.join(", "),
        values.join(", "),
        model.anchor.from,
        conditions.join(" and "),
        names.iter().map(|name| format!("p.{name}")).collect::<Vec<_>>().join(", "),
    );
    reading(model, &text, params)
}

pub(crate) fn check(model: &ReadModel, table: &str, samples: u32) -> Sql {
    let fields = &model.shape.fields;
    let all: Vec<Name> = fields.iter().map(|field| field.name.clone()).collect();
    let differing: Vec<String> = fields
        .iter()
        .filter(|field| !model.key.contains(&field.name))
        .map(|field| differs(field, "r", "d"))
        .collect();
    let differing = if differing.is_empty() { "false".to_owned() } else { differing.join(" or ") };
    let key: Vec<String> =
        model.key.iter().map(|name| format!("coalesce(d.{0}, r.{0})::text", ident(name))).collect();
    let text = format!(
        "with d as materialized (\n  select true as \"~here\", v.* from ({}) as v\n), r as materialized (\n  select true as \"~here\", {} from app.{}\n), faults as (\n  select case when r.\"~here\" is null then 'missing' when d.\"~here\" is null then 'extra' else 'different' end as fault,\n    pg_catalog.jsonb_build_array({}) as key\n  from d full join r on {}\n  where r.\"~here\" is null or d.\"~here\" is null or {differing}\n)\nselect count(*) filter (where fault = 'missing') as missing, count(*) filter (where fault = 'extra') as extra,\n  count(*) filter (where fault = 'different') as different,\n  (select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('fault', s.fault, 'key', s.key)), '[]')::text\n    from (select * from faults order by key limit {samples}) as s) as sample\nfrom faults",
        model.definition,
        columns(&all, ""),
        ident(table),
        key.join(", "),
        equal(&model.key, "d", "r"),
    );
    reading(model, &text, Vec::new())
}

/// A statement that reads entities: of each the columns that the definition uses, because more may not be read.
fn reading(model: &ReadModel, text: &str, params: Vec<Option<String>>) -> Sql {
    let used = |entity: &str| Some(columns(&model.source(entity)?.used, ""));
    Sql::with(text, params).reading(used)
}

/// Whether a column differs between two rows. pgvector's operators are not in the search path.
fn differs(field: &Field, one: &str, other: &str) -> String {
    let cast = if matches!(field.kind, Kind::Vector(_)) { "::text" } else { "" };
    let name = ident(&field.name);
    format!("{one}.{name}{cast} is distinct from {other}.{name}{cast}")
}

fn field<'m>(model: &'m ReadModel, name: &str) -> &'m Field {
    model.shape.field(name).expect("the unit is made of columns")
}

fn equal(names: &[Name], one: &str, other: &str) -> String {
    names
        .iter()
        .map(|name| format!("{one}.{0} = {other}.{0}", ident(name)))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn columns(names: &[Name], prefix: &str) -> String {
    names.iter().map(|name| format!("{prefix}{}", ident(name))).collect::<Vec<_>>().join(", ")
}

/// The text form of an array of texts.
fn array<'t>(items: impl Iterator<Item = Option<&'t str>>) -> String {
    let item = |text: Option<&str>| match text {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    format!("{{{}}}", items.map(item).collect::<Vec<_>>().join(","))
}
