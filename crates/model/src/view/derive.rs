//! What a change touches: the unit of recomputation, and the way to it from every entity.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    entity::Scalar,
    names::Name,
    sql::ident,
    view::{
        Reach, Source,
        error::{Checked, Fault, Spot, Wrong},
        graph::{self, Way},
        ir::{Expr, Kind, Query, TableId},
        render,
        scope::Translator,
        subquery::settled_by_row,
        typing::{Base, Type},
    },
};

/// What follows from a definition and its key.
pub(crate) struct Derived {
    pub(crate) unit: Vec<String>,
    pub(crate) sources: Vec<Source>,
    /// For each source the statement that finds units from `$1` …, its links.
    pub(crate) touches: Vec<String>,
    pub(crate) said: Vec<Option<Said>>,
    pub(crate) anchor: Anchor,
    pub(crate) warning: Option<String>,
}

/// Which of a source's links are the columns of the unit, for each time the definition names the entity: then the images say
/// the units, and nothing has to be asked.
pub(crate) type Said = Vec<Vec<usize>>;

/// A table whose rows say all units.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Anchor {
    /// The table with its alias.
    pub(crate) from: String,
    /// The columns of the unit.
    pub(crate) unit: Vec<String>,
}

/// Finds the unit of recomputation for `key`, and the ways to it.
pub(crate) fn derive(reader: &Translator<'_>, query: &Query, key: &[&str]) -> Checked<Derived> {
    let windows = query.windows();
    let everywhere = graph::present(reader, 0);
    let parts: Vec<(&str, Expr)> = key
        .iter()
        .filter_map(|name| {
            let output = query.outputs.iter().find(|output| output.name == **name)?;
            let origin = settled_by_row(query, &windows, &output.expr)
                .then(|| reader.origin(&output.expr))
                .flatten()?;
            let columns = origin.columns();
            let there =
                columns.iter().all(|(table, _)| everywhere.contains(&reader.tables[*table].region));
            (there && !columns.is_empty()).then(|| (*name, origin.clone()))
        })
        .collect();
    if parts.is_empty() {
        let mut fault = if windows.is_empty() {
            Fault::new(
                Wrong::Key,
                Spot::empty(),
                "no column of the key comes from the rows themselves",
                "put a column of an entity into the key that is always there, such as the `id` of the first one in `from`",
            )
        } else {
            Fault::new(
                Wrong::Key,
                Spot::empty(),
                "a window that is not divided by the key can change with every row",
                "write `over (partition by …)` with a column of the key",
            )
        };
        fault.key = Some(0);
        return Err(fault);
    }
    let (chosen, ways) = choose(reader, &parts)?;
    let warning = (chosen.len() < parts.len()).then(|| {
        let all: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        let some: Vec<&str> = chosen.iter().map(|(name, _)| *name).collect();
        format!(
            "no entity has all of {}, so each change recomputes all rows of one {}",
            crate::view::scope::quoted(&all),
            crate::view::scope::quoted(&some)
        )
    });
    let unit = chosen.iter().map(|(name, _)| (*name).to_owned()).collect();
    let (sources, touches, said) = sources(reader, query, &ways);
    let anchor = anchor(reader, &ways, &everywhere)?;
    Ok(Derived { unit, sources, touches, said, anchor, warning })
}

type Ways = BTreeMap<TableId, Way>;

/// As many parts of the key as all entities can find.
fn choose<'p>(
    reader: &Translator<'_>,
    parts: &'p [(&'p str, Expr)],
) -> Checked<(Vec<&'p (&'p str, Expr)>, Ways)> {
    let bases = || (0..reader.tables.len()).filter(|table| reader.entity_of(*table).is_some());
    let mut sets: Vec<u32> = (1..1_u32 << parts.len()).collect();
    // Large ones first; among those of one size, those that have the first columns of the key.
    sets.sort_by_key(|set| {
        (std::cmp::Reverse(set.count_ones()), set.reverse_bits().wrapping_neg())
    });
    for set in sets {
        let chosen: Vec<_> = parts
            .iter()
            .enumerate()
            .filter(|(at, _)| set & (1 << at) != 0)
            .map(|(_, part)| part)
            .collect();
        let unit: Vec<Expr> = chosen.iter().map(|(_, expr)| expr.clone()).collect();
        let ways = graph::ways(reader, &unit);
        if bases().all(|table| ways.contains_key(&table)) {
            return Ok((chosen, ways));
        }
    }
    // Which table is lost is clearest for the part that most of them find.
    let lost = parts
        .iter()
        .map(|(_, expr)| {
            let ways = graph::ways(reader, std::slice::from_ref(expr));
            bases().filter(|table| !ways.contains_key(table)).collect::<Vec<_>>()
        })
        .min_by_key(Vec::len)
        .and_then(|lost| lost.first().copied());
    let at = lost.map_or(Spot::empty(), |table| reader.tables[table].at);
    let name = lost
        .and_then(|table| reader.entity_of(table))
        .map_or_else(String::new, |entity| entity.name.to_string());
    let columns: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    Err(Fault::form(
        at,
        format!(
            "which rows a change of `{name}` touches cannot be told: no equality leads from it to {}",
            crate::view::scope::quoted(&columns)
        ),
        format!(
            "join `{name}`, or look it up, by an equality such as `… where {name}.id = …` of columns; comparisons with `<` or `or` alone would touch every row of the tenant"
        ),
    ))
}

type Sources = (Vec<Source>, Vec<String>, Vec<Option<Said>>);

fn sources(reader: &Translator<'_>, query: &Query, ways: &Ways) -> Sources {
    let mut used: BTreeMap<TableId, BTreeSet<String>> = BTreeMap::new();
    let mut note = |expr: &Expr| {
        for (table, name) in expr.columns() {
            used.entry(table).or_default().insert(name.to_owned());
        }
    };
    query.expressions().into_iter().for_each(&mut note);
    let mut links: BTreeMap<TableId, BTreeSet<String>> = BTreeMap::new();
    for (table, way) in ways {
        let own: Vec<&Expr> = match way {
            Way::Here(unit) => unit.iter().collect(),
            Way::Next { links, .. } => links.iter().map(|link| &link.own).collect(),
        };
        let names =
            own.into_iter().flat_map(|expr| expr.columns()).map(|(_, name)| name.to_owned());
        links.entry(*table).or_default().extend(names);
    }
    let mut sources = Vec::new();
    let (mut touches, mut all_said) = (Vec::new(), Vec::new());
    for entity in reader.entities {
        let tables: Vec<TableId> = ways
            .keys()
            .copied()
            .filter(|table| reader.entity_of(*table).is_some_and(|of| of.name == entity.name))
            .collect();
        if tables.is_empty() {
            continue;
        }
        let columns = |of: &BTreeMap<TableId, BTreeSet<String>>| -> Vec<Name> {
            let names: BTreeSet<&String> =
                tables.iter().filter_map(|table| of.get(table)).flatten().collect();
            reader
                .columns_of(tables[0])
                .iter()
                .filter(|name| names.contains(name))
                .filter_map(|name| Name::new(name).ok())
                .collect()
        };
        let (mut used, links) = (columns(&used), columns(&links));
        used.extend(links.iter().filter(|link| !used.contains(link)).cloned().collect::<Vec<_>>());
        let reach = tables.iter().map(|table| reach(reader, ways, *table)).collect();
        touches.push(touch(reader, ways, &tables, &links));
        all_said.push(tables.iter().map(|table| said(&ways[table], &links)).collect());
        sources.push(Source { entity: entity.name.clone(), used, links, reach });
    }
    (sources, touches, all_said)
}

fn said(way: &Way, links: &[Name]) -> Option<Vec<usize>> {
    let Way::Here(unit) = way else { return None };
    unit.iter()
        .map(|expr| match &expr.kind {
            Kind::Column { name, .. } if is_plain(&expr.typ) => {
                links.iter().position(|link| **link == **name)
            }
            _ => None,
        })
        .collect()
}

/// Whether a value has one text, whatever the session's settings.
fn is_plain(typ: &Type) -> bool {
    matches!(
        typ.base(),
        Base::Scalar(
            Scalar::Uuid
                | Scalar::Text
                | Scalar::Boolean
                | Scalar::SmallInt
                | Scalar::Integer
                | Scalar::BigInt
        )
    )
}

fn reach(reader: &Translator<'_>, ways: &Ways, table: TableId) -> Reach {
    let mut path = Vec::new();
    let mut at = table;
    while let Some(Way::Next { table, .. }) = ways.get(&at) {
        at = *table;
        path.extend(reader.entity_of(at).map(|entity| entity.name.clone()));
    }
    if path.is_empty() { Reach::Direct } else { Reach::Path(path) }
}

/// The statement that finds the units of images, which are read once for all times the entity is named.
fn touch(reader: &Translator<'_>, ways: &Ways, tables: &[TableId], links: &[Name]) -> String {
    let types = |name: &Name| {
        reader.column(tables[0], name, false).map_or_else(String::new, |column| column.typ.sql())
    };
    let columns: Vec<String> = links
        .iter()
        .enumerate()
        .map(|(at, name)| format!("l{}::{} as {}", at + 1, types(name), ident(name)))
        .collect();
    let params: Vec<String> = (1..=links.len()).map(|at| format!("${at}::text[]")).collect();
    let names: Vec<String> = (1..=links.len()).map(|at| format!("l{at}")).collect();
    let mut selects = Vec::new();
    for table in tables {
        let mut from = format!("changed as {}", render::alias(*table));
        let mut at = *table;
        let unit = loop {
            match &ways[&at] {
                Way::Here(unit) => break unit,
                Way::Next { table, links } => {
                    let on: Vec<String> = links
                        .iter()
                        .map(|link| {
                            format!("{} = {}", render::expr(&link.other), render::expr(&link.own))
                        })
                        .collect();
                    let entity = reader
                        .entity_of(*table)
                        .map_or_else(String::new, |entity| ident(&entity.name));
                    from.push_str(&format!(
                        "\n  join app.{entity} as {} on {}",
                        render::alias(*table),
                        on.join(" and ")
                    ));
                    at = *table;
                }
            }
        };
        let shown: Vec<String> =
            unit.iter().map(|expr| format!("({})::text", render::expr(expr))).collect();
        let there: Vec<String> =
            unit.iter().map(|expr| format!("{} is not null", render::expr(expr))).collect();
        selects.push(format!(
            "select {}\n  from {from}\n  where {}",
            shown.join(", "),
            there.join(" and ")
        ));
    }
    let distinct = if selects.len() == 1 {
        selects[0].replacen("select ", "select distinct ", 1)
    } else {
        selects.join("\nunion\n")
    };
    format!(
        "with changed as materialized (\n  select {} from unnest({}) as i ({})\n)\n{distinct}",
        columns.join(", "),
        params.join(", "),
        names.join(", ")
    )
}

/// A table that has a row for every row of the result, and says its unit.
fn anchor(
    reader: &Translator<'_>,
    ways: &Ways,
    everywhere: &BTreeSet<graph::RegionId>,
) -> Checked<Anchor> {
    let found = ways.iter().find_map(|(table, way)| match way {
        Way::Here(unit) if everywhere.contains(&reader.tables[*table].region) => {
            Some((*table, unit))
        }
        _ => None,
    });
    let Some((table, unit)) = found else {
        return Err(Fault::form(
            Spot::empty(),
            "no entity in `from` has the columns of the key",
            "begin `from` with the entity that has the key",
        ));
    };
    let entity = reader.entity_of(table).map_or_else(String::new, |entity| ident(&entity.name));
    Ok(Anchor {
        from: format!("app.{entity} as {}", render::alias(table)),
        unit: unit.iter().map(render::expr).collect(),
    })
}
