//! Calls: which function is meant, and what it gives.

use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};

use crate::{
    entity::{Kind as FieldKind, Scalar},
    suggest::suggest,
    view::{
        aggregate::is_aggregate,
        error::{Checked, Fault, Spot, Wrong},
        function::{self, FUNCTIONS},
        ir::{Call, Class, Expr, Kind, Sort},
        scope::{Allowed, Translator, folded},
        typing::{Base, Type, cast, coerce, common, settle},
        window::{is_window, windowed},
    },
};

/// A call as written, its arguments read.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) at: Spot,
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) args: Vec<Expr>,
    pub(crate) order: Vec<Sort>,
    pub(crate) within: Vec<Sort>,
    pub(crate) filter: Option<Expr>,
}

impl<'a> Translator<'a> {
    pub(crate) fn call(&mut self, function: &'a ast::Function, at: Spot) -> Checked<Expr> {
        let ast::Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args,
            within_group,
            filter,
            null_treatment: None,
            over,
        } = function
        else {
            return Err(Fault::form(
                at,
                "this way of calling a function is not supported",
                "write `name(arguments)`",
            ));
        };
        let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
            return Err(Fault::new(
                Wrong::Function,
                at,
                "functions have no schema here",
                "write the name alone",
            ));
        };
        let (name, at) = (folded(ident), ident.span);
        if let FunctionArguments::Subquery(query) = args {
            return match name.as_str() {
                "array" => self.array_query(query),
                _ => Err(Fault::form(
                    at,
                    format!("`{name}` cannot take a query"),
                    "put the query in parentheses of its own",
                )),
            };
        }
        if let Some((why, instead)) = function::refused(&name) {
            return Err(Fault::new(Wrong::Function, at, format!("`{name}` {why}"), instead));
        }
        let (aggregate, window) = (is_aggregate(&name), over.is_some());
        let outer = self.allowed;
        if aggregate || window {
            self.enter(&name, window, at)?;
        }
        let mut written = Written {
            name,
            at,
            star: false,
            distinct: false,
            args: Vec::new(),
            order: Vec::new(),
            within: self.sorts(within_group)?,
            filter: filter.as_deref().map(|filter| self.truth(filter)).transpose()?,
        };
        self.arguments(args, &mut written)?;
        let over = over.as_ref().map(|over| self.window(over, at)).transpose()?;
        self.allowed = outer;
        match over {
            Some(over) => windowed(written, over),
            None if aggregate => {
                self.own_level(&written)?;
                super::aggregate::aggregate(written, self.grouping())
            }
            None => self.plain(written),
        }
    }

    /// Goes on inside an aggregate or a window.
    fn enter(&mut self, name: &str, window: bool, at: Spot) -> Checked<()> {
        let allowed = if window { self.allowed.windows } else { self.allowed.aggregates };
        if !allowed {
            return Err(self.misplaced(name, window, at));
        }
        // Windows are computed over what has been summed up, never the other way round.
        let place = if window { "a window" } else { "an aggregate" };
        self.allowed = Allowed { aggregates: window, windows: false, place };
        Ok(())
    }

    fn plain(&self, written: Written) -> Checked<Expr> {
        let Written { name, at, star, distinct, args, order, within, filter } = written;
        if star || distinct || !order.is_empty() || !within.is_empty() || filter.is_some() {
            return Err(Fault::new(
                Wrong::Function,
                at,
                format!("`{name}` is no aggregate"),
                "call it with its arguments alone",
            ));
        }
        if is_window(&name) {
            return Err(Fault::new(
                Wrong::Function,
                at,
                format!("`{name}` is a window function"),
                format!("write `{name}() over (partition by … order by …)`"),
            ));
        }
        self.plain_call(&name, args, at)
    }

    fn misplaced(&self, name: &str, window: bool, at: Spot) -> Box<Fault> {
        let (what, help) = if window {
            ("the window function", "compute it in a subquery in `from`, and use its column here")
        } else if self.allowed.place == "where" {
            (
                "the aggregate",
                "write the condition in `having`, or compute it in a subquery in `from`",
            )
        } else {
            ("the aggregate", "compute it in a subquery in `from`, and use its column here")
        };
        Fault::form(at, format!("{what} `{name}` cannot stand in {}", self.allowed.place), help)
    }

    /// An aggregate of outer columns alone would belong to the outer `select`.
    fn own_level(&self, written: &Written) -> Checked<()> {
        let columns: Vec<usize> =
            written.args.iter().flat_map(|arg| arg.columns()).map(|(table, _)| table).collect();
        let own = |table: &usize| {
            self.levels
                .last()
                .is_some_and(|level| level.items.iter().any(|item| item.table == *table))
        };
        if columns.is_empty() || columns.iter().any(own) {
            return Ok(());
        }
        Err(Fault::form(
            written.at,
            format!("`{}` is over columns of the outer query only", written.name),
            "compute it in the outer query",
        ))
    }

    fn arguments(&mut self, args: &'a FunctionArguments, written: &mut Written) -> Checked<()> {
        let FunctionArguments::List(list) = args else { return Ok(()) };
        written.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    written.args.push(self.expr(expr)?)
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => written.star = true,
                _ => {
                    return Err(Fault::new(
                        Wrong::Function,
                        written.at,
                        "this kind of argument is not supported",
                        "write the arguments in order, without names",
                    ));
                }
            }
        }
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(order) => written.order = self.sorts(order)?,
                _ => {
                    return Err(Fault::new(
                        Wrong::Function,
                        written.at,
                        "this clause inside a call is not supported",
                        "only `order by` may stand there",
                    ));
                }
            }
        }
        Ok(())
    }

    /// A function that is no aggregate.
    pub(crate) fn plain_call(&self, name: &str, args: Vec<Expr>, at: Spot) -> Checked<Expr> {
        if let Some(found) = polymorphic(name, &args, at) {
            return found;
        }
        let name = match name {
            "substring" => "substr",
            other => other,
        };
        let known: Vec<_> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
        if known.is_empty() {
            let help = match suggest(name, function::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write it with functions that always give the same value for the same arguments, or carry the columns and compute it when you read".into(),
            };
            return Err(Fault::new(
                Wrong::Function,
                at,
                format!("the function `{name}` is not known here"),
                help,
            ));
        }
        // The one that takes the arguments as they are, or else the first that can take them.
        let takes = |function: &&&function::Function, exactly: bool| {
            function.args.len() == args.len()
                && function.args.iter().zip(&args).all(|(want, arg)| {
                    let base = arg.typ.base();
                    base == *want
                        || (base == Base::Open && !exactly)
                        || (!exactly
                            && want.typ().is_some_and(|typ| coerce(arg.clone(), &typ, at).is_ok()))
                })
        };
        let chosen = known
            .iter()
            .find(|function| takes(function, true))
            .or_else(|| known.iter().find(|function| takes(function, false)));
        let Some(chosen) = chosen else {
            let given: Vec<String> = args.iter().map(|arg| arg.typ.base().noun()).collect();
            let wanted: Vec<String> = known
                .iter()
                .map(|function| {
                    let args: Vec<String> =
                        function.args.iter().map(|base| base.noun().replace('`', "")).collect();
                    format!("`{name}({})`", args.join(", "))
                })
                .collect();
            return Err(Fault::typing(
                at,
                format!(
                    "`{name}` does not take {}",
                    if given.is_empty() { "no arguments".into() } else { given.join(", ") }
                ),
                format!("add a cast; there is {}", wanted.join(", ")),
            ));
        };
        let nullable = chosen.may_miss || args.iter().any(|arg| arg.nullable);
        let args = args
            .into_iter()
            .zip(chosen.args)
            .map(|(arg, want)| match want.typ() {
                Some(typ) => coerce(arg, &typ, at),
                None => Ok(arg),
            })
            .collect::<Checked<Vec<_>>>()?;
        let gives = chosen.gives.typ().unwrap_or(Type::Open);
        Ok(plain(chosen.sql, args, gives, nullable))
    }
}

pub(crate) fn plain(name: &'static str, args: Vec<Expr>, typ: Type, nullable: bool) -> Expr {
    let call = Call::new(name, Class::Plain, args);
    Expr::new(Kind::Call(Box::new(call)), typ, nullable)
}

/// Functions whose type depends on their arguments'.
fn polymorphic(name: &str, args: &[Expr], at: Spot) -> Option<Checked<Expr>> {
    let any = args.iter().any(|arg| arg.nullable);
    let same = |sql: &'static str, nullable: bool| -> Checked<Expr> {
        let typ = common(&args.iter().collect::<Vec<_>>(), at)?;
        super::expr::ordered(&typ, at)
            .or_else(|fault| if sql == "coalesce" { Ok(()) } else { Err(fault) })?;
        let args =
            args.iter().map(|arg| coerce(arg.clone(), &typ, at)).collect::<Checked<Vec<_>>>()?;
        Ok(plain(sql, args, typ, nullable))
    };
    let settled = || args.iter().cloned().map(settle).collect::<Vec<_>>();
    let texts = || {
        args.iter()
            .map(|arg| {
                if arg.typ.base() == Base::Scalar(Scalar::Text) {
                    arg.clone()
                } else {
                    cast(arg.clone(), &Type::scalar(Scalar::Text))
                }
            })
            .collect::<Vec<_>>()
    };
    let jsonb = Type::scalar(Scalar::Jsonb);
    Some(match (name, args) {
        ("coalesce", [_, ..]) => same("coalesce", args.iter().all(|arg| arg.nullable)),
        ("greatest", [_, ..]) => same("greatest", args.iter().all(|arg| arg.nullable)),
        ("least", [_, ..]) => same("least", args.iter().all(|arg| arg.nullable)),
        ("nullif", [_, _]) => same("nullif", true),
        ("concat", [_, ..]) => {
            Ok(plain("pg_catalog.concat", texts(), Type::scalar(Scalar::Text), false))
        }
        ("concat_ws", [first, _, ..]) => {
            Ok(plain("pg_catalog.concat_ws", texts(), Type::scalar(Scalar::Text), first.nullable))
        }
        ("jsonb_build_object", all) => {
            if !all.len().is_multiple_of(2) {
                return Some(Err(Fault::typing(
                    at,
                    "`jsonb_build_object` takes names and values in turn",
                    "write `jsonb_build_object('name', value)`",
                )));
            }
            if all.iter().step_by(2).any(|name| name.nullable) {
                return Some(Err(Fault::typing(
                    at,
                    "a name in `jsonb_build_object` may be null",
                    "wrap it in `coalesce(…)`",
                )));
            }
            Ok(plain("pg_catalog.jsonb_build_object", settled(), jsonb, false))
        }
        ("jsonb_build_array", _) => {
            Ok(plain("pg_catalog.jsonb_build_array", settled(), jsonb, false))
        }
        ("to_jsonb", [_]) => Ok(plain("pg_catalog.to_jsonb", settled(), jsonb, any)),
        (_, [array, rest @ ..]) => return array_function(name, array, rest, at),
        _ => return None,
    })
}

fn array_function(name: &str, array: &Expr, rest: &[Expr], at: Spot) -> Option<Checked<Expr>> {
    let Base::Array(scalar) = array.typ.base() else { return None };
    let typ = Type::Of(FieldKind::Array(scalar));
    let integer = Type::scalar(Scalar::Integer);
    let with = |sql: &'static str, args: Vec<Checked<Expr>>, typ: Type, may_miss: bool| {
        let mut all = vec![array.clone()];
        for arg in args {
            all.push(arg?);
        }
        let nullable = may_miss || all.iter().any(|arg| arg.nullable);
        Ok(plain(sql, all, typ, nullable))
    };
    let element = |one: &Expr| coerce(one.clone(), &Type::scalar(scalar), at);
    Some(match (name, rest) {
        ("cardinality", []) => with("pg_catalog.cardinality", vec![], integer, false),
        ("array_length", [one]) => {
            let dimension = coerce(one.clone(), &integer, at);
            with("pg_catalog.array_length", vec![dimension], integer, true)
        }
        ("array_position", [one]) => {
            with("pg_catalog.array_position", vec![element(one)], integer, true)
        }
        ("array_append", [one]) => with("pg_catalog.array_append", vec![element(one)], typ, false),
        ("array_remove", [one]) => with("pg_catalog.array_remove", vec![element(one)], typ, false),
        ("array_to_string", [one]) => {
            let text = Type::scalar(Scalar::Text);
            let between = coerce(one.clone(), &text, at);
            with("pg_catalog.array_to_string", vec![between], text, false)
        }
        _ => return None,
    })
}
