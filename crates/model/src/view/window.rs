//! Window functions, and aggregates over windows.

use sqlparser::ast;

use crate::{
    entity::Scalar,
    view::{
        aggregate::{self, Found, is_aggregate},
        call::Written,
        error::{Checked, Fault, Spot, Wrong},
        ir::{Call, Class, Expr, Kind, Window},
        scope::Translator,
        typing::{Type, coerce, settle},
    },
};

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

pub(crate) fn is_window(name: &str) -> bool {
    WINDOWS.contains(&name)
}

impl<'a> Translator<'a> {
    pub(crate) fn window(&mut self, over: &'a ast::WindowType, at: Spot) -> Checked<Window> {
        let ast::WindowType::WindowSpec(ast::WindowSpec {
            window_name: None,
            partition_by,
            order_by,
            window_frame: None,
        }) = over
        else {
            return Err(Fault::form(
                at,
                "windows with names or frames are not supported",
                "write `over (partition by … order by …)`",
            ));
        };
        let partition = self.exprs(partition_by)?.into_iter().map(settle).collect();
        let order = self.sorts(order_by)?;
        Ok(Window { partition, order })
    }
}

/// A window function, or an aggregate over a window.
pub(crate) fn windowed(written: Written, over: Window) -> Checked<Expr> {
    if is_aggregate(&written.name) { aggregated(written, over) } else { own(written, over) }
}

fn aggregated(mut written: Written, over: Window) -> Checked<Expr> {
    let Found { sql, typ, nullable, sequence } = aggregate::found(&mut written, true)?;
    if sequence || written.distinct || !written.order.is_empty() || !written.within.is_empty() {
        return Err(Fault::form(
            written.at,
            format!("`{}` over a window depends on the order of the rows", written.name),
            "compute it in a subquery with `group by`, and join that",
        ));
    }
    let Written { star, args, filter, .. } = written;
    let call = Call { star, filter, over: Some(over), ..Call::new(sql, Class::Aggregate, args) };
    Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable))
}

fn own(written: Written, over: Window) -> Checked<Expr> {
    let Written { name, at, star, distinct, args, order, within, filter } = written;
    let wrong = |message: &str, help: &str| {
        Err(Fault::new(Wrong::Function, at, format!("`{name}` {message}"), help))
    };
    if !is_window(&name) {
        return wrong("is no window function", "remove `over (…)`");
    }
    if star || distinct || !order.is_empty() || !within.is_empty() || filter.is_some() {
        return wrong("takes its arguments alone", "write the order inside `over (…)`");
    }
    let big = Type::scalar(Scalar::BigInt);
    let double = Type::scalar(Scalar::Double);
    let integer = Type::scalar(Scalar::Integer);
    let mut args: Vec<Expr> = args.into_iter().map(settle).collect();
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
            let sql = if name == "lag" { "pg_catalog.lag" } else { "pg_catalog.lead" };
            (sql, value.typ.clone(), true)
        }
        ("first_value", [value]) => ("pg_catalog.first_value", value.typ.clone(), value.nullable),
        ("last_value", [value]) => ("pg_catalog.last_value", value.typ.clone(), value.nullable),
        _ => {
            return wrong(
                "does not take these arguments",
                "look up its arguments in PostgreSQL's manual",
            );
        }
    };
    let call = Call { over: Some(over), ..Call::new(sql, Class::Window, args) };
    Ok(Expr::new(Kind::Call(Box::new(call)), typ, nullable))
}
