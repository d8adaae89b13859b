//! Aggregates and window functions.
//!
//! What depends on the order of the rows is given one: without it the same rows could make another value the next
//! time.

use crate::{
    entity::{Kind as FieldKind, Scalar, VectorForm},
    view::{
        call::Written,
        error::{Checked, Fault, Wrong},
        expr::ordered,
        ir::{Call, Class, Expr, Kind, Sort, Window},
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

const WINDOWS: [&str; 10] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
];

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

pub(crate) fn is_window(name: &str) -> bool {
    WINDOWS.contains(&name)
}

/// What an aggregate is, besides its arguments.
struct Found {
    sql: &'static str,
    typ: Type,
    nullable: bool,
    /// Whether the order of its rows can be seen in the result.
    sequence: bool,
}

/// An aggregate; `grouping` says that it has at least one row.
pub(crate) fn aggregate(mut written: Written, grouping: bool) -> Checked<Expr> {
    let empty = !grouping || written.filter.is_some();
    let Found { sql, typ, nullable, sequence } = found(&mut written, empty)?;
    if sequence {
        order(&mut written);
    }
    let Written { star, distinct, args, order, within, filter, .. } = written;
    let call = Call {
        name: sql,
        class: Class::Aggregate,
        star,
        distinct,
        args,
        order,
        within,
        filter,
        over: None,
    };
    Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable))
}

/// A window function, or an aggregate over a window.
pub(crate) fn windowed(mut written: Written, over: Option<Window>) -> Checked<Expr> {
    let at = written.at;
    if is_aggregate(&written.name) {
        let Found { sql, typ, nullable, sequence } = found(&mut written, true)?;
        if sequence || written.distinct || !written.order.is_empty() || !written.within.is_empty() {
            return Err(Fault::form(
                at,
                format!("`{}` over a window depends on the order of the rows", written.name),
                "compute it in a subquery with `group by`, and join that",
            ));
        }
        let Written { star, args, filter, .. } = written;
        let call = Call {
            name: sql,
            class: Class::Aggregate,
            star,
            distinct: false,
            args,
            order: Vec::new(),
            within: Vec::new(),
            filter,
            over,
        };
        return Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable));
    }
    if !is_window(&written.name) {
        return Err(Fault::new(
            Wrong::Function,
            at,
            format!("`{}` is no window function", written.name),
            "remove `over (…)`",
        ));
    }
    if written.star || written.distinct || !written.order.is_empty() || written.filter.is_some() {
        return Err(Fault::new(
            Wrong::Function,
            at,
            format!("`{}` takes its arguments alone", written.name),
            "write the order inside `over (…)`",
        ));
    }
    let big = Type::scalar(Scalar::BigInt);
    let double = Type::scalar(Scalar::Double);
    let integer = Type::scalar(Scalar::Integer);
    let name = written.name.clone();
    let mut args: Vec<Expr> = std::mem::take(&mut written.args).into_iter().map(settle).collect();
    let (sql, typ, nullable) = match (name.as_str(), args.as_mut_slice()) {
        ("row_number", []) => ("pg_catalog.row_number", big, false),
        ("rank", []) => ("pg_catalog.rank", big, false),
        ("dense_rank", []) => ("pg_catalog.dense_rank", big, false),
        ("percent_rank", []) => ("pg_catalog.percent_rank", double, false),
        ("cume_dist", []) => ("pg_catalog.cume_dist", double, false),
        ("ntile", [n]) => {
            *n = coerce(n.clone(), &integer, at)?;
            ("pg_catalog.ntile", integer, false)
        }
        ("lag" | "lead", [value, rest @ ..]) if rest.len() < 2 => {
            if let [offset] = rest {
                *offset = coerce(offset.clone(), &integer, at)?;
            }
            (
                if name == "lag" { "pg_catalog.lag" } else { "pg_catalog.lead" },
                value.typ.clone(),
                true,
            )
        }
        ("first_value", [value]) => ("pg_catalog.first_value", value.typ.clone(), value.nullable),
        ("last_value", [value]) => ("pg_catalog.last_value", value.typ.clone(), value.nullable),
        _ => {
            return Err(Fault::typing(
                at,
                format!("`{name}` does not take these arguments"),
                "look up its arguments in PostgreSQL's manual",
            ));
        }
    };
    let call = Call {
        name: sql,
        class: Class::Window,
        star: false,
        distinct: false,
        args,
        order: Vec::new(),
        within: Vec::new(),
        filter: None,
        over,
    };
    Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable))
}

fn found(written: &mut Written, empty: bool) -> Checked<Found> {
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
        ("sum" | "avg", Base::Vector(VectorForm::Vector | VectorForm::Halfvec)) => {
            let sql = if name == "sum" { "freehold_ext.sum" } else { "freehold_ext.avg" };
            found(sql, one.typ.clone(), true)
        }
        ("sum", Base::Scalar(Scalar::SmallInt | Scalar::Integer)) => {
            found("pg_catalog.sum", scalar(Scalar::BigInt), false)
        }
        ("sum", Base::Scalar(Scalar::BigInt | Scalar::Numeric(_)))
        | (
            "avg",
            Base::Scalar(Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_)),
        ) => found(
            if name == "sum" { "pg_catalog.sum" } else { "pg_catalog.avg" },
            scalar(Scalar::Numeric(None)),
            false,
        ),
        // Adding up floats in another order gives another sum.
        ("sum" | "avg", Base::Scalar(Scalar::Double)) => found(
            if name == "sum" { "pg_catalog.sum" } else { "pg_catalog.avg" },
            scalar(Scalar::Double),
            true,
        ),
        ("sum" | "avg", Base::Interval) => found(
            if name == "sum" { "pg_catalog.sum" } else { "pg_catalog.avg" },
            Type::Interval,
            false,
        ),
        ("sum" | "avg", _) => takes("cast it to a number"),
        ("min" | "max", Base::Scalar(Scalar::Boolean)) => {
            takes("write `bool_and` for the least and `bool_or` for the greatest")
        }
        ("min" | "max", Base::Scalar(Scalar::Uuid)) => {
            takes("write `(array_agg(… order by …))[1]`")
        }
        ("min" | "max", Base::Scalar(Scalar::Jsonb | Scalar::Bytea) | Base::Vector(_)) => {
            takes("write `(array_agg(… order by …))[1]` of a plain value")
        }
        ("min" | "max", _) => found(
            if name == "min" { "pg_catalog.min" } else { "pg_catalog.max" },
            one.typ.clone(),
            false,
        ),
        ("bool_and" | "every", Base::Scalar(Scalar::Boolean)) => {
            found("pg_catalog.bool_and", scalar(Scalar::Boolean), false)
        }
        ("bool_or", Base::Scalar(Scalar::Boolean)) => {
            found("pg_catalog.bool_or", scalar(Scalar::Boolean), false)
        }
        ("array_agg", Base::Scalar(of)) => Ok(Found {
            sql: "pg_catalog.array_agg",
            typ: Type::Of(FieldKind::Array(of)),
            nullable: empty,
            sequence: true,
        }),
        ("array_agg", _) => takes("write `jsonb_agg(…)`"),
        ("jsonb_agg", Base::Vector(_)) => takes("leave vectors out of json"),
        ("jsonb_agg", _) => Ok(Found {
            sql: "pg_catalog.jsonb_agg",
            typ: scalar(Scalar::Jsonb),
            nullable: empty,
            sequence: true,
        }),
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
