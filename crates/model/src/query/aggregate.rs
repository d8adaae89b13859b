//! Values made of many rows, and embeds whose values stand among their parent's.

use super::{
    ast::{self, Aggregate},
    level::{Form, Level, Operand, Order, Output, SpreadColumn},
    lexer::shorten,
    outputs,
};
use crate::{
    Code, Refusal,
    entity::{Kind, Scalar},
    suggest::suggest,
};

/// Checks that values of a field can be aggregated so.
pub(crate) fn check(
    field: &str,
    kind: &Kind,
    form: &Form,
    aggregate: Aggregate,
) -> Result<(), Refusal> {
    let (numbers, ordered) = match form {
        Form::Cast(sql_type) => (
            matches!(
                *sql_type,
                "smallint"
                    | "integer"
                    | "bigint"
                    | "numeric"
                    | "real"
                    | "double precision"
                    | "interval"
            ),
            !matches!(*sql_type, "boolean" | "json" | "jsonb" | "bytea" | "uuid"),
        ),
        Form::Blob | Form::Sealed(_) => (false, false),
        Form::Plain | Form::Numbers => (
            matches!(
                kind,
                Kind::Scalar(
                    Scalar::SmallInt
                        | Scalar::Integer
                        | Scalar::BigInt
                        | Scalar::Numeric(_)
                        | Scalar::Double
                )
            ),
            !matches!(
                kind,
                Kind::Scalar(Scalar::Boolean | Scalar::Jsonb | Scalar::Bytea | Scalar::Uuid)
                    | Kind::Ref(_)
                    | Kind::Vector(_)
            ),
        ),
    };
    let (fits, need) = match aggregate {
        Aggregate::Count => (true, ""),
        Aggregate::Sum | Aggregate::Avg => (numbers, "numbers"),
        Aggregate::Max | Aggregate::Min => (ordered || numbers, "numbers, texts or times"),
    };
    if fits {
        return Ok(());
    }
    let name = aggregate.name();
    Err(Refusal::new(
        Code::Syntax,
        format!("{name}() is of {need}, and {} has none", shorten(field)),
    )
    .hint(format!("cast it first: {}::numeric.{name}()", shorten(field))))
}

/// Gives the outputs of the embed at `index` to `level` as its own.
pub(crate) fn spread(level: &mut Level, index: usize) -> Result<(), Refusal> {
    let embed = &mut level.embeds[index];
    let many = embed.relation.many;
    if many && embed.level.is_grouped() {
        return Err(Refusal::new(
            Code::NotImplemented,
            "aggregates are not possible in a spread of many rows",
        )
        .detail(format!("...{} has many rows", embed.target))
        .hint(format!("embed it as {}(…), without the dots", embed.target)));
    }
    let names: Vec<String> = embed.level.names().into_iter().map(str::to_owned).collect();
    let mut columns = Vec::new();
    for (output, name) in embed.level.outputs.iter_mut().zip(names) {
        let json = many || output.is_json();
        let (made, starred) = (output.made(), output.is_starred());
        match output {
            Output::Column(column) => column.made = None,
            Output::Spread(spread) => spread.made = None,
            Output::Embed(_) => {}
        }
        columns.push(SpreadColumn { name, index, json, made, starred });
    }
    for column in columns {
        if column.starred && level.names().contains(&column.name.as_str()) {
            continue;
        }
        outputs::make_room(level, &column.name)?;
        level.outputs.push(Output::Spread(column));
    }
    Ok(())
}

/// The order of groups: by what they are grouped by and by what is made of them, under their names in the answer.
pub(crate) fn order(level: &mut Level, terms: Vec<ast::Term>) -> Result<(), Refusal> {
    for term in terms {
        let name = &term.operand.column.text;
        let plain = term.operand.steps.is_empty() && term.operand.measure.is_none();
        let found = level.outputs.iter().position(|output| {
            let of_column = matches!(output, Output::Column(column)
                if column.made.is_none() && column.operand == Operand::Column(name.clone()));
            plain && term.embed.is_none() && (level.name_of(output) == name || of_column)
        });
        let Some(at) = found.filter(|at| !level.outputs[*at].is_json()) else {
            let refusal = Refusal::new(
                Code::Syntax,
                format!("groups of {} cannot be ordered by {}", level.entity, shorten(name)),
            );
            return Err(match suggest(name, level.names()) {
                Some(near) if near != name => refusal.hint(format!("did you mean {near}?")),
                _ => refusal.hint(format!("order by one of {}", level.names().join(", "))),
            });
        };
        let ast::Term { descending, nulls_first, .. } = term;
        let operand = Operand::Output(at + 1);
        level.order.push(Order { embed: None, operand, descending, nulls_first });
    }
    Ok(())
}
