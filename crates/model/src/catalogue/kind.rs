//! PostgreSQL's types, as `format_type` writes them, to kinds of fields.

use crate::{
    Name,
    entity::{Kind, Metric, Scalar, Vector, VectorForm, When},
};

/// The kind of a column of this type; `None` if no field can be of it.
pub(super) fn of(sql_type: &str) -> Option<Kind> {
    if let Some(element) = sql_type.strip_suffix("[]") {
        return scalar(element).map(Kind::Array);
    }
    if let Some(scalar) = scalar(sql_type) {
        return Some(Kind::Scalar(scalar));
    }
    vector(sql_type).map(Kind::Vector)
}

fn scalar(sql_type: &str) -> Option<Scalar> {
    // Lengths and precisions bind what is stored, and nothing is stored through here.
    let plain = sql_type.split('(').next().unwrap_or_default();
    Some(match plain {
        "text" | "character varying" | "character" | "name" => Scalar::Text,
        "smallint" => Scalar::SmallInt,
        "integer" => Scalar::Integer,
        "bigint" => Scalar::BigInt,
        "numeric" => Scalar::Numeric(None),
        "double precision" | "real" => Scalar::Double,
        "boolean" => Scalar::Boolean,
        "uuid" => Scalar::Uuid,
        "timestamp with time zone" => Scalar::TimestampTz,
        "date" => Scalar::Date,
        "jsonb" => Scalar::Jsonb,
        "bytea" => Scalar::Bytea,
        _ => return None,
    })
}

// Without a number of dimensions there is nothing to hold a caller's vector to.
fn vector(sql_type: &str) -> Option<Vector> {
    let (name, size) = sql_type.strip_suffix(')')?.split_once('(')?;
    let form = match name {
        "freehold_ext.vector" => VectorForm::Vector,
        "freehold_ext.halfvec" => VectorForm::Halfvec,
        "freehold_ext.sparsevec" => VectorForm::Sparsevec,
        "bit" => VectorForm::Bit,
        _ => return None,
    };
    let metric = if form == VectorForm::Bit { Metric::Hamming } else { Metric::Cosine };
    Some(Vector {
        form,
        dimensions: size.parse().ok()?,
        metric,
        of: Vec::new(),
        embedder: Name::new("lexical").ok()?,
        when: When::Now,
    })
}
