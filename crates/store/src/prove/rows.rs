//! Rows that fit any model: one statement for one row of an entity.

use std::fmt::Write as _;

use freehold_model::{
    Model,
    entity::{Entity, Field, Kind, Scalar, VectorForm, lookup_column},
};

use crate::key::hex;

/// Where the bytes of uploads would be that no attack needs.
pub(super) const NOWHERE: &str = "canary/";

/// Uploads for each blob that must be there: more than attacks make rows that stay.
const UPLOADS: usize = 64;

/// What a row is made from.
pub struct Seed<'a> {
    /// The value of numbers, as far as the model's bounds let it.
    pub number: usize,
    /// The value of texts; random without.
    pub mark: Option<&'a str>,
    /// The id of the row of an entity that references go to.
    pub target: &'a (dyn Fn(&str) -> String + Sync),
}

/// `insert` of a row with values of all fields, and `end` after it.
#[must_use]
pub fn insert(
    entity: &Entity,
    tenant: &str,
    id: Option<&str>,
    seed: &Seed<'_>,
    end: &str,
) -> String {
    let (names, values) = columns(entity, seed);
    // In slices of time an id says when it was made.
    let new = if entity.slices.is_some() { "freehold.uuidv7()" } else { "gen_random_uuid()" };
    let id = id.map_or_else(|| new.to_owned(), |id| format!("'{id}'"));
    format!(
        "insert into {} (tenant_id, id, {names}) values ('{tenant}', {id}, {values}){end}",
        table(entity)
    )
}

/// The names of all columns, those of blind indexes included, and a value for each; both separated by commas.
#[must_use]
pub fn columns(entity: &Entity, seed: &Seed<'_>) -> (String, String) {
    let all =
        entity.fields.iter().map(|field| (ident(&field.name), of_entity(entity, field, seed)));
    let found = entity.fields.iter().filter(|field| field.lookup().is_some());
    let found = found.map(|field| (ident(&lookup_column(&field.name)), blind_index(seed)));
    let (names, values): (Vec<String>, Vec<String>) = all.chain(found).unzip();
    (names.join(", "), values.join(", "))
}

/// A value that the field takes. A blob that must be there is the next of the uploads that were noted for it.
fn of_entity(entity: &Entity, field: &Field, seed: &Seed<'_>) -> String {
    match &field.kind {
        Kind::Blob(_) if !field.optional => format!(
            "(select id from freehold.blob where entity = {} and field = {} and state = 'pending' limit 1)",
            quoted(&entity.name),
            quoted(&field.name)
        ),
        _ if entity.sliced().is_some_and(|(_, rule)| rule.since == field.name) => {
            "'2024-01-01'".into()
        }
        _ => value(field, seed),
    }
}

/// Notes uploads of a tenant for each blob that must be there, as whoever owns the platform; their bytes are nowhere.
#[must_use]
pub fn uploads(model: &Model, tenant: &str) -> String {
    let mut sql = String::new();
    for entity in model.entities() {
        for field in &entity.fields {
            let Kind::Blob(blob) = &field.kind else { continue };
            if field.optional {
                continue;
            }
            let any = "application/octet-stream".to_owned();
            let of_type = blob.types.first().unwrap_or(&any).replace('*', "x");
            let _ = write!(
                sql,
                "insert into freehold.blob (tenant_id, id, entity, field, type, size, hash, state, object, key) \
                 select {}, gen_random_uuid(), {}, {}, {}, 1, sha256(''), 'pending', '{NOWHERE}' || gen_random_uuid(), '' \
                 from generate_series(1, {UPLOADS}); ",
                quoted(tenant),
                quoted(&entity.name),
                quoted(&field.name),
                quoted(&of_type)
            );
        }
    }
    sql
}

/// A value that the field takes.
#[must_use]
pub fn value(field: &Field, seed: &Seed<'_>) -> String {
    if field.sealed().is_some() {
        return sealed(seed);
    }
    match &field.kind {
        Kind::Scalar(scalar) => self::scalar(*scalar, field, seed),
        Kind::Array(scalar) => {
            let least = field.bounds.min_length.unwrap_or(0) as usize;
            let values = vec![self::scalar(*scalar, field, seed); least];
            format!("array[{}]::{}[]", values.join(","), scalar.sql_type())
        }
        Kind::Enum(values) => quoted(&values[0]),
        Kind::Ref(to) => quoted(&(seed.target)(&to.entity)),
        // An upload cannot be made in SQL.
        Kind::Blob(_) => "null".into(),
        Kind::Vector(vector) => {
            let ones = vec!["1"; vector.dimensions as usize];
            match vector.form {
                VectorForm::Vector | VectorForm::Halfvec => format!("'[{}]'", ones.join(",")),
                VectorForm::Sparsevec => format!("'{{1:1}}/{}'", vector.dimensions),
                VectorForm::Bit => format!("b'{}'", ones.concat()),
            }
        }
    }
}

/// The table of an entity.
#[must_use]
pub fn table(entity: &Entity) -> String {
    format!("app.{}", ident(&entity.name))
}

/// A quoted name.
#[must_use]
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

// In the form of a sealed value, by a generation of keys that nobody has: it opens as null.
fn sealed(seed: &Seed<'_>) -> String {
    format!("'\\x010100ff{:0<120}'", hex(seed.mark.unwrap_or_default().as_bytes()))
}

fn blind_index(seed: &Seed<'_>) -> String {
    // What differs between tenants stands at the end.
    seed.mark.map_or_else(
        || "uuid_send(gen_random_uuid())".to_owned(),
        |mark| {
            let digits = format!("{:0>32}", hex(mark.as_bytes()));
            format!("'\\x{}'", &digits[digits.len() - 32..])
        },
    )
}

fn scalar(scalar: Scalar, field: &Field, seed: &Seed<'_>) -> String {
    let bounds = &field.bounds;
    let least = bounds.min_length.unwrap_or(0) as usize;
    let bound = || bounds.min.as_ref().or(bounds.max.as_ref()).map(|bound| quoted(bound));
    match scalar {
        Scalar::Text => text(seed.mark, least, bounds.max_length.map(|most| most as usize)),
        Scalar::Uuid => "gen_random_uuid()".to_owned(),
        Scalar::Boolean => "true".into(),
        Scalar::TimestampTz | Scalar::Date => {
            bound().unwrap_or_else(|| format!("'2024-01-01'::date + {}", seed.number))
        }
        Scalar::Jsonb => "'{}'".into(),
        Scalar::Bytea => format!("'\\x{}'", "00".repeat(least.max(1))),
        // Another value for each number: the field may be unique.
        _ => match (&bounds.min, &bounds.max) {
            (None, None) => seed.number.to_string(),
            (Some(min), None) => format!("{}::numeric + {}", quoted(min), seed.number),
            (None, Some(max)) => format!("{}::numeric - {}", quoted(max), seed.number),
            (Some(min), Some(max)) => {
                format!("least({}::numeric + {}, {})", quoted(min), seed.number, quoted(max))
            }
        },
    }
}

fn text(mark: Option<&str>, least: usize, most: Option<usize>) -> String {
    let Some(mark) = mark else {
        let random = "gen_random_uuid()::text";
        let padded =
            if least > 36 { format!("rpad({random}, {least}, 'x')") } else { random.into() };
        return most
            .filter(|most| *most < 36)
            .map_or(padded.clone(), |most| format!("left({padded}, {most})"));
    };
    let mut text = format!("{mark:x<least$}");
    if let Some(most) = most.filter(|most| *most < text.chars().count()) {
        // What differs between tenants stands at the end.
        text = text.chars().rev().take(most).collect::<Vec<_>>().into_iter().rev().collect();
    }
    quoted(&text)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A unique field would otherwise refuse a tenant's second row, which looks like a leak.
    #[test]
    fn rows_of_two_numbers_agree_in_no_number_and_no_day() {
        let model = "[model]\nname = \"m\"\n[entity.e.field]\na = { type = \"integer\", min = 1 }\n\
            b = { type = \"integer\", min = 1, max = 100 }\nc = { type = \"bigint\", max = 9 }\n\
            d = { type = \"double\" }\ne = { type = \"date\" }\nf = { type = \"timestamptz\" }\n";
        let model = freehold_model::declare::read(model).unwrap().model;
        let seed = |number| Seed { number, mark: None, target: &|_| String::new() };
        for field in &model.entities()[0].fields {
            assert_ne!(value(field, &seed(1)), value(field, &seed(3)), "{}", field.name);
        }
    }
}
