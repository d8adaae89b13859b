//! Aggregates.
//!
//! What depends on the order of the rows is given one: without it the same rows could make another value the next
//! time.

use crate::{
    entity::{Kind as FieldKind, Scalar, VectorForm},
    view::{
        call::Written,
        error::{Checked, Fault},
        expr::ordered,
        ir::{Call, Class, Expr, Kind, Sort},
        typing::{Base, Type, coerce, settle},
    },
};

const AGGREGATES: [&str; 20] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "array_agg",
    "string_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "percentile_cont",
    "percentile_disc",
];

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// What an aggregate is, besides its arguments.
pub(crate) struct Found {
    pub(crate) sql: &'static str,
    pub(crate) typ: Type,
    pub(crate) nullable: bool,
    /// Whether the order of its rows can be seen in the result.
    pub(crate) sequence: bool,
}

/// An aggregate; `grouping` says that it has at least one row.
pub(crate) fn aggregate(mut written: Written, grouping: bool) -> Checked<Expr> {
    let empty = !grouping || written.filter.is_some();
    let Found { sql, typ, nullable, sequence } = found(&mut written, empty)?;
    if sequence {
        order(&mut written);
    }
    let Written { star, distinct, args, order, within, filter, .. } = written;
    let call =
        Call { star, distinct, order, within, filter, ..Call::new(sql, Class::Aggregate, args) };
    Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable))
}

/// Which aggregate it is; `empty` says that it may have no rows.
pub(crate) fn found(written: &mut Written, empty: bool) -> Checked<Found> {
    let at = written.at;
    let name = written.name.clone();
    let big = Type::scalar(Scalar::BigInt);
    if name == "count" {
        return match written.args.as_mut_slice() {
            [] if written.star => {
                Ok(Found { sql: "pg_catalog.count", typ: big, nullable: false, sequence: false })
            }
            [one] if !written.star => {
                *one = settle(one.clone());
                Ok(Found { sql: "pg_catalog.count", typ: big, nullable: false, sequence: false })
            }
            _ => Err(Fault::typing(
                at,
                "`count` takes one argument",
                "write `count(*)` or `count(distinct …)`",
            )),
        };
    }
    if name.starts_with("percentile") {
        return percentile(written, empty);
    }
    let wrong = |what: &str, help: &str| Err(Fault::typing(at, format!("`{name}` {what}"), help));
    if written.star || !written.within.is_empty() {
        return wrong("does not take these arguments", "name the column it is about");
    }
    match (name.as_str(), written.args.as_mut_slice()) {
        ("string_agg", [text, between]) => {
            let typ = Type::scalar(Scalar::Text);
            *text = coerce(text.clone(), &typ, at)?;
            *between = coerce(between.clone(), &typ, at)?;
            let nullable = empty || text.nullable;
            Ok(Found { sql: "pg_catalog.string_agg", typ, nullable, sequence: true })
        }
        ("jsonb_object_agg", [key, value]) => {
            *key = settle(key.clone());
            *value = settle(value.clone());
            if key.nullable {
                return wrong(
                    "has a name that may be null",
                    "wrap it in `coalesce(…)`, or leave such rows out with `filter (where … is not null)` and `coalesce`",
                );
            }
            Ok(Found {
                sql: "pg_catalog.jsonb_object_agg",
                typ: Type::scalar(Scalar::Jsonb),
                nullable: empty,
                sequence: true,
            })
        }
        (_, [one]) => {
            *one = settle(one.clone());
            one_argument(&name, one, empty, at)
        }
        _ => wrong("takes one argument", "name the column it is about"),
    }
}

fn one_argument(name: &str, one: &mut Expr, empty: bool, at: crate::view::Spot) -> Checked<Found> {
    let base = one.typ.base();
    let nullable = empty || one.nullable;
    let found = |sql, typ, sequence| Ok(Found { sql, typ, nullable, sequence });
    let scalar = |scalar| Type::scalar(scalar);
    let takes = |help: &str| {
        Err(Fault::typing(at, format!("`{name}` does not take {}", base.noun()), help))
    };
    match (name, base) {
        ("sum" | "avg", _) => match added(name, &one.typ) {
            Some((sql, typ, sequence)) => found(sql, typ, sequence),
            None => takes("cast it to a number"),
        },
        ("min" | "max", Base::Scalar(Scalar::Boolean)) => {
            takes("write `bool_and` for the least and `bool_or` for the greatest")
        }
        (
            "min" | "max",
            Base::Scalar(Scalar::Uuid | Scalar::Jsonb | Scalar::Bytea) | Base::Vector(_),
        ) => takes("write `(array_agg(… order by …))[1]`, of a plain value"),
        ("min", _) => found("pg_catalog.min", one.typ.clone(), false),
        ("max", _) => found("pg_catalog.max", one.typ.clone(), false),
        ("bool_and" | "every", Base::Scalar(Scalar::Boolean)) => {
            found("pg_catalog.bool_and", scalar(Scalar::Boolean), false)
        }
        ("bool_or", Base::Scalar(Scalar::Boolean)) => {
            found("pg_catalog.bool_or", scalar(Scalar::Boolean), false)
        }
        ("array_agg", Base::Scalar(of)) => {
            let typ = Type::Of(FieldKind::Array(of));
            Ok(Found { sql: "pg_catalog.array_agg", typ, nullable: empty, sequence: true })
        }
        ("array_agg", _) => takes("write `jsonb_agg(…)`"),
        ("jsonb_agg", Base::Vector(_)) => takes("leave vectors out of json"),
        ("jsonb_agg", _) => {
            let typ = scalar(Scalar::Jsonb);
            Ok(Found { sql: "pg_catalog.jsonb_agg", typ, nullable: empty, sequence: true })
        }
        ("stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop", _) => {
            let sql = match name {
                "stddev" | "stddev_samp" => "pg_catalog.stddev_samp",
                "stddev_pop" => "pg_catalog.stddev_pop",
                "variance" | "var_samp" => "pg_catalog.var_samp",
                _ => "pg_catalog.var_pop",
            };
            let double = base == Base::Scalar(Scalar::Double);
            let typ = scalar(if double { Scalar::Double } else { Scalar::Numeric(None) });
            *one = coerce(one.clone(), &typ, at)?;
            Ok(Found { sql, typ, nullable: true, sequence: double })
        }
        _ => takes("add a cast"),
    }
}

/// `sum` or `avg` of a type: what it is called, what it gives, and whether the order of the rows can be seen.
fn added(name: &str, typ: &Type) -> Option<(&'static str, Type, bool)> {
    let sum = name == "sum";
    let sql = if sum { "pg_catalog.sum" } else { "pg_catalog.avg" };
    Some(match typ.base() {
        Base::Vector(VectorForm::Vector | VectorForm::Halfvec) => {
            (if sum { "freehold_ext.sum" } else { "freehold_ext.avg" }, typ.clone(), true)
        }
        Base::Scalar(Scalar::SmallInt | Scalar::Integer) if sum => {
            (sql, Type::scalar(Scalar::BigInt), false)
        }
        Base::Scalar(Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_)) => {
            (sql, Type::scalar(Scalar::Numeric(None)), false)
        }
        // Adding up floats in another order gives another sum.
        Base::Scalar(Scalar::Double) => (sql, typ.clone(), true),
        Base::Interval => (sql, Type::Interval, false),
        _ => return None,
    })
}

fn percentile(written: &mut Written, empty: bool) -> Checked<Found> {
    let at = written.at;
    let (Some(fraction), [sort]) = (written.args.first().cloned(), written.within.as_mut_slice())
    else {
        return Err(Fault::typing(
            at,
            format!("`{}` needs an order", written.name),
            format!("write `{}(0.5) within group (order by …)`", written.name),
        ));
    };
    let double = Type::scalar(Scalar::Double);
    written.args = vec![coerce(fraction, &double, at)?];
    sort.expr = settle(sort.expr.clone());
    ordered(&sort.expr.typ, at)?;
    let nullable = empty || sort.expr.nullable;
    if written.name == "percentile_disc" {
        return Ok(Found {
            sql: "pg_catalog.percentile_disc",
            typ: sort.expr.typ.clone(),
            nullable,
            sequence: false,
        });
    }
    if sort.expr.typ.base() != Base::Interval {
        sort.expr = coerce(sort.expr.clone(), &double, at)?;
    }
    Ok(Found {
        sql: "pg_catalog.percentile_cont",
        typ: sort.expr.typ.clone(),
        nullable,
        sequence: false,
    })
}

/// Orders the rows by what is asked for, and then by the values themselves.
fn order(written: &mut Written) {
    if written.distinct && !written.order.is_empty() {
        return;
    }
    for arg in &written.args {
        let constant = arg.columns().is_empty();
        if !constant && !written.order.iter().any(|sort| sort.expr == *arg) {
            written.order.push(Sort { expr: arg.clone(), descending: false, nulls_first: None });
        }
    }
}
