//! The columns of an answer: what they are called and how they are given.

use super::{
    aggregate,
    ast::{self, Measure},
    check::resolve,
    level::{Form, Level, Made, Operand, Output, OutputColumn},
    lexer::shorten,
    sealed,
};
use crate::{
    Code, Refusal,
    entity::{Entity, Kind, Scalar, VectorForm},
    suggest::did_you_mean,
};

pub(crate) fn star(level: &mut Level, entity: &Entity) {
    let id = Kind::Scalar(Scalar::Uuid);
    let fields = entity
        .fields
        .iter()
        .map(|field| (field.name.as_str(), &field.kind, sealed::shown(entity, field)));
    let own = entity.key.is_none().then_some(("id", &id, None));
    for (name, kind, shown) in own.into_iter().chain(fields) {
        let taken = level.names().contains(&name);
        if !matches!(kind, Kind::Vector(_)) && !taken {
            let (name, operand) = (name.to_owned(), Operand::Column(name.to_owned()));
            level.outputs.push(Output::Column(OutputColumn {
                name,
                operand,
                form: shown.unwrap_or_else(|| plain(kind)),
                made: None,
                starred: true,
            }));
        }
    }
}

/// How a value is given that nothing special is asked of.
fn plain(kind: &Kind) -> Form {
    if matches!(kind, Kind::Blob(_)) { Form::Blob } else { Form::Plain }
}

pub(crate) fn add_column(level: &mut Level, column: OutputColumn) -> Result<(), Refusal> {
    let again = |output: &Output| matches!(output, Output::Column(other) if !other.starred && *other == column);
    if level.outputs.iter().any(again) {
        return Ok(());
    }
    make_room(level, &column.name)?;
    level.outputs.push(Output::Column(column));
    Ok(())
}

/// What is asked for by name replaces what only `*` brought.
pub(crate) fn make_room(level: &mut Level, name: &str) -> Result<(), Refusal> {
    let Some(at) = level.names().iter().position(|taken| *taken == name) else {
        return Ok(());
    };
    if !level.outputs[at].is_starred() {
        return Err(same_name(name));
    }
    level.outputs.remove(at);
    Ok(())
}

pub(crate) fn same_name(name: &str) -> Refusal {
    Refusal::new(Code::Syntax, format!("two items of select are called {}", shorten(name)))
        .hint("give one of them another name with alias:item")
}

/// An item of `select` as it was written.
pub(crate) struct Written<'w> {
    pub(crate) alias: Option<String>,
    pub(crate) operand: &'w ast::Operand,
    pub(crate) cast: Option<&'w str>,
    pub(crate) aggregate: Option<(ast::Aggregate, Option<&'w str>)>,
}

pub(crate) fn output(
    entity: &Entity,
    level: &mut Level,
    item: Written,
) -> Result<OutputColumn, Refusal> {
    let Written { alias, operand: written, cast, aggregate } = item;
    let (operand, kind) = resolve(entity, level, written)?;
    let numbers = matches!(&kind, Kind::Vector(vector)
        if matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec));
    let field = match &operand {
        Operand::Column(name) => entity.field(name).filter(|field| field.sealed().is_some()),
        _ => None,
    };
    if let Some(field) = field {
        let counts = matches!(aggregate, Some((ast::Aggregate::Count, _)));
        if cast.is_some() || aggregate.is_some() && !counts {
            return Err(sealed::refused(entity, field, "computed with"));
        }
    }
    let shown =
        field.filter(|_| aggregate.is_none()).and_then(|field| sealed::shown(entity, field));
    let form = match cast {
        None if shown.is_some() => shown.unwrap_or(Form::Plain),
        Some(name) => Form::Cast(cast_type(name)?),
        None if numbers && aggregate.is_none() => Form::Numbers,
        None => plain(&kind),
    };
    let made = match aggregate {
        Some((aggregate, cast)) => {
            aggregate::check(&written.column.text, &kind, &form, aggregate)?;
            Some(Made { aggregate, cast: cast.map(cast_type).transpose()? })
        }
        None => None,
    };
    let last_key = written.steps.iter().rev().find_map(|step| match &step.key {
        ast::StepKey::Name(name) => Some(name.clone()),
        ast::StepKey::Index(_) => None,
    });
    let measure = written.measure.map(|measure| match measure {
        Measure::Distance => "distance".to_owned(),
        Measure::Similarity => "similarity".to_owned(),
        Measure::Score => "score".to_owned(),
    });
    let aggregated = aggregate.map(|(aggregate, _)| aggregate.name().to_owned());
    let given = alias.or(aggregated).or(measure).or(last_key);
    let name = given.unwrap_or_else(|| written.column.text.clone());
    check_output_name(&name)?;
    Ok(OutputColumn { name, operand, form, made, starred: false })
}

/// `count()`: of rows.
pub(crate) fn count(alias: Option<String>, cast: Option<&str>) -> Result<OutputColumn, Refusal> {
    let name = alias.unwrap_or_else(|| "count".to_owned());
    check_output_name(&name)?;
    let made = Made { aggregate: ast::Aggregate::Count, cast: cast.map(cast_type).transpose()? };
    let (operand, form) = (Operand::Row, Form::Plain);
    Ok(OutputColumn { name, operand, form, made: Some(made), starred: false })
}

/// PostgreSQL would cut a longer name, and has none that is empty.
pub(crate) fn check_output_name(name: &str) -> Result<(), Refusal> {
    const BYTES_MAX: usize = 63;
    if (1..=BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Syntax,
        format!("an item of select cannot be called {:?}", shorten(name)),
    )
    .hint(format!("give it a name of 1 to {BYTES_MAX} bytes with alias:item")))
}

fn cast_type(name: &str) -> Result<&'static str, Refusal> {
    const TYPES: [(&str, &str); 26] = [
        ("text", "text"),
        ("varchar", "text"),
        ("smallint", "smallint"),
        ("int2", "smallint"),
        ("integer", "integer"),
        ("int", "integer"),
        ("int4", "integer"),
        ("bigint", "bigint"),
        ("int8", "bigint"),
        ("numeric", "numeric"),
        ("decimal", "numeric"),
        ("real", "real"),
        ("float4", "real"),
        ("double precision", "double precision"),
        ("float8", "double precision"),
        ("boolean", "boolean"),
        ("bool", "boolean"),
        ("uuid", "uuid"),
        ("date", "date"),
        ("time", "time"),
        ("timestamp", "timestamp"),
        ("timestamptz", "timestamptz"),
        ("interval", "interval"),
        ("json", "json"),
        ("jsonb", "jsonb"),
        ("bytea", "bytea"),
    ];
    let found = TYPES.iter().find(|(written, _)| written.eq_ignore_ascii_case(name));
    found.map(|(_, sql)| *sql).ok_or_else(|| {
        let refusal =
            Refusal::new(Code::Syntax, format!("values cannot be cast to {}", shorten(name)));
        let hint = did_you_mean(name, TYPES.iter().map(|(written, _)| *written));
        Refusal { hint, ..refusal }
    })
}
