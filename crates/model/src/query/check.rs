//! [`Written`] to [`Level`]: every name is looked up in the model.

mod names;

pub(crate) use names::{entity, no_such_field, relation, written};

use super::{
    Limits, aggregate,
    ast::{self, At, Item, Measure, Written},
    conds,
    level::{Embed, Level, Operand, Order, Output},
    lexer::shorten,
    nearest::{self, Numbers},
    outputs,
    parse::not_built,
    rank, relation, sealed,
};
use crate::{
    Code, Model, Refusal,
    entity::{Entity, Kind, Scalar},
    suggest::did_you_mean,
};

/// What the column `name` holds.
///
/// # Errors
/// `NoSuchField`.
pub(crate) fn kind(entity: &Entity, name: &str) -> Result<Kind, Refusal> {
    if name == "id" && entity.key.is_none() {
        return Ok(Kind::Scalar(Scalar::Uuid));
    }
    entity.field(name).map(|field| field.kind.clone()).ok_or_else(|| no_such_field(entity, name))
}

/// Looks everything up, for the entity called `name`.
pub(crate) fn check(
    model: &Model,
    name: &str,
    written: Written,
    limits: &Limits,
) -> Result<Level, Refusal> {
    let mut checker = Checker { model, limits, numbers: Numbers::default() };
    let items = written.select.unwrap_or_else(|| vec![Item::All]);
    let mut level = checker.level(entity(model, name)?, items)?;
    let (nearest, filters): (Vec<_>, Vec<_>) = written
        .filters
        .into_iter()
        .partition(|at| matches!(at.it, ast::Tree::Test { test: ast::Test::Nearest { .. }, .. }));
    let (words, filters): (Vec<_>, Vec<_>) =
        filters.into_iter().partition(|at| at.path.is_empty() && rank::is_ranker(&at.it));
    for at in nearest {
        let below = !at.path.is_empty();
        checker.nearest(at_path(&mut level, &at)?, at.it, written.rank.is_some() && !below)?;
    }
    rank::prepare(entity(model, name)?, &mut level, written.rank, words, limits)?;
    let (of_score, filters): (Vec<_>, Vec<_>) =
        filters.into_iter().partition(|at| at.path.is_empty() && rank::is_of_score(&at.it));
    rank::bounds(entity(model, name)?, &mut level, of_score)?;
    for at in filters {
        let level = at_path(&mut level, &at)?;
        let cond = conds::check(entity(model, &level.entity)?, level, at.it)?;
        level.conds.push(cond);
    }
    for at in written.orders {
        checker.order(at_path(&mut level, &at)?, at.it)?;
    }
    for at in written.limits {
        at_path(&mut level, &at)?.limit = Some(at.it);
    }
    for at in written.offsets {
        at_path(&mut level, &at)?.offset = at.it;
    }
    settle(&mut level, limits)?;
    Ok(level)
}

fn at_path<'l, T>(level: &'l mut Level, at: &At<T>) -> Result<&'l mut Level, Refusal> {
    at.path.iter().try_fold(level, |level, name| match find_embed(level, name) {
        Some(index) => Ok(&mut level.embeds[index].level),
        None => Err(embed_not_selected(level, name)),
    })
}

fn find_embed(level: &Level, name: &str) -> Option<usize> {
    let by_name = level.embeds.iter().position(|embed| embed.name == name);
    by_name.or_else(|| level.embeds.iter().position(|embed| embed.target == name))
}

/// The embed a filter on `name` itself is about.
pub(crate) fn embed_named(level: &Level, name: &ast::Operand) -> Option<usize> {
    if name.steps.is_empty() && name.measure.is_none() {
        find_embed(level, &name.column.text)
    } else {
        None
    }
}

fn embed_not_selected(level: &Level, name: &str) -> Refusal {
    let refusal = Refusal::new(
        Code::EmbedNotSelected,
        format!("{} is not an embed of {} in this query", shorten(name), level.entity),
    );
    let names = level.embeds.iter().map(|embed| &*embed.name);
    refusal.hint(
        did_you_mean(name, names).unwrap_or_else(|| format!("add {}() to select", shorten(name))),
    )
}

struct Checker<'m> {
    model: &'m Model,
    limits: &'m Limits,
    numbers: Numbers,
}

impl Checker<'_> {
    fn level(&mut self, entity: &Entity, items: Vec<Item>) -> Result<Level, Refusal> {
        let mut level = Level::new(entity);
        for item in items {
            match item {
                Item::All => outputs::star(&mut level, entity),
                // `count` alone, as clients write it in embeds, unless it is a field.
                Item::Column { alias, operand, cast, aggregate: None }
                    if operand.is_plain("count") && entity.field("count").is_none() =>
                {
                    outputs::add_column(&mut level, outputs::count(alias, cast.as_deref())?)?;
                }
                Item::Column { alias, operand, cast, aggregate } => {
                    let aggregate = aggregate.as_ref().map(|(it, cast)| (*it, cast.as_deref()));
                    let (operand, cast) = (&operand, cast.as_deref());
                    let item = outputs::Written { alias, operand, cast, aggregate };
                    let column = outputs::output(entity, &mut level, item)?;
                    outputs::add_column(&mut level, column)?;
                }
                Item::Count { alias, cast } => {
                    outputs::add_column(&mut level, outputs::count(alias, cast.as_deref())?)?;
                }
                Item::Embed(embed) => {
                    let visible = !embed.items.is_empty();
                    let index = self.embed(&mut level, entity, embed)?;
                    if visible {
                        let name = level.embeds[index].name.clone();
                        outputs::make_room(&mut level, &name)?;
                        level.outputs.push(Output::Embed(index));
                    }
                }
                Item::Spread(embed) => {
                    let index = self.embed(&mut level, entity, embed)?;
                    aggregate::spread(&mut level, index)?;
                }
            }
        }
        Ok(level)
    }

    fn embed(
        &mut self,
        level: &mut Level,
        from: &Entity,
        embed: ast::Embed,
    ) -> Result<usize, Refusal> {
        let relation = relation::find(self.model, from, &embed.target, embed.hint.as_deref())?;
        let below = self.level(entity(self.model, &relation.entity)?, embed.items)?;
        let name = embed.alias.unwrap_or_else(|| embed.target.clone());
        outputs::check_output_name(&name)?;
        if level.embeds.iter().any(|other| other.name == name) {
            return Err(outputs::same_name(&name));
        }
        level.embeds.push(Embed {
            name,
            target: embed.target,
            relation,
            inner: embed.inner,
            level: below,
        });
        Ok(level.embeds.len() - 1)
    }

    fn nearest(&mut self, level: &mut Level, tree: ast::Tree, ranked: bool) -> Result<(), Refusal> {
        let ast::Tree::Test { operand, not, test: ast::Test::Nearest { mods, operand: near } } =
            tree
        else {
            return Ok(());
        };
        let entity = entity(self.model, &level.entity)?;
        if not || operand.measure.is_some() || !operand.steps.is_empty() {
            return Err(Refusal::new(
                Code::Syntax,
                "nearest is about a whole vector field and cannot be negated",
            ));
        }
        let name = &operand.column.text;
        let again = level.nearest_on(name).is_some();
        if again || (!ranked && !level.nearest.is_empty()) {
            let refusal =
                Refusal::new(Code::Syntax, format!("nearest is given twice for {}", entity.name));
            return Err(refusal.hint(if again {
                "only one nearest may be given for a field"
            } else {
                "to rank by several, name each with as: and add rank=rrf(…)"
            }));
        }
        kind(entity, name)?;
        let Some(field) = entity.field(name) else {
            return Err(Refusal::new(
                Code::Syntax,
                format!("nearest needs a vector field, and {name} is none"),
            ));
        };
        let nearest =
            nearest::check(entity, field, &mods, &near, self.limits.rows_max, &mut self.numbers)?;
        level.nearest.push(nearest);
        Ok(())
    }

    fn order(&mut self, level: &mut Level, terms: Vec<ast::Term>) -> Result<(), Refusal> {
        if level.is_grouped() {
            return aggregate::order(level, terms);
        }
        for term in terms {
            let embed = match &term.embed {
                None => None,
                Some(name) => {
                    Some(find_embed(level, name).ok_or_else(|| embed_not_selected(level, name))?)
                }
            };
            let target = match embed {
                Some(index) => &mut level.embeds[index].level,
                None => &mut *level,
            };
            let of = entity(self.model, &target.entity)?;
            let (operand, kind) = resolve(of, target, &term.operand)?;
            if let Some(field) = of.field(&term.operand.column.text)
                && field.sealed().is_some()
                && term.operand.measure.is_none()
            {
                return Err(sealed::refused(of, field, "ordered by"));
            }
            if matches!(kind, Kind::Vector(_)) {
                return Err(Refusal::new(
                    Code::Syntax,
                    format!("rows cannot be ordered by the vector {}", term.operand.column.text),
                )
                .hint(format!("order by {}.distance()", term.operand.column.text)));
            }
            if let Some(index) = embed
                && level.embeds[index].relation.many
                && !matches!(operand, Operand::Distance(_))
            {
                let name = &level.embeds[index].name;
                return Err(Refusal::new(
                    Code::OrderByMany,
                    format!("{name} has many rows to order {} by", level.entity),
                )
                .hint(format!("to order the rows inside write {name}.order=")));
            }
            let ast::Term { descending, nulls_first, .. } = term;
            level.order.push(Order { embed, operand, descending, nulls_first });
        }
        Ok(())
    }
}

/// What an operand is and what it holds.
pub(crate) fn resolve(
    entity: &Entity,
    level: &mut Level,
    written: &ast::Operand,
) -> Result<(Operand, Kind), Refusal> {
    let column = written.column.text.clone();
    if written.measure == Some(Measure::Score) {
        level.scored = true;
        return Ok((Operand::Score, Kind::Scalar(Scalar::Double)));
    }
    let kind = kind(entity, &column)?;
    let is_vector = matches!(kind, Kind::Vector(_));
    if let Some(measure) = written.measure {
        if !is_vector {
            return Err(Refusal::new(
                Code::Syntax,
                format!("{column} is not a vector and has no distance"),
            ));
        }
        level.measured.push(column.clone());
        let operand = match measure {
            Measure::Similarity => Operand::Similarity(column),
            _ => Operand::Distance(column),
        };
        return Ok((operand, Kind::Scalar(Scalar::Double)));
    }
    let Some(last) = written.steps.last() else {
        return Ok((Operand::Column(column), kind));
    };
    if is_vector {
        return Err(Refusal::new(
            Code::Syntax,
            format!("{column} is a vector and has nothing inside"),
        ));
    }
    if let Some(field) = entity.field(&column).filter(|field| field.sealed().is_some()) {
        return Err(sealed::refused(entity, field, "looked into"));
    }
    let inside = if last.as_text { Scalar::Text } else { Scalar::Jsonb };
    let jsonb = kind == Kind::Scalar(Scalar::Jsonb);
    Ok((Operand::Json { column, jsonb, steps: written.steps.clone() }, Kind::Scalar(inside)))
}

/// Fills in limits, and checks what depends on the whole level.
fn settle(level: &mut Level, limits: &Limits) -> Result<(), Refusal> {
    let stray = level.measured.iter().find(|field| level.nearest_on(field).is_none());
    if let Some(field) = stray {
        return Err(Refusal::new(
            Code::Syntax,
            format!("there is no nearest to measure {field} of {} from", level.entity),
        )
        .hint(format!("add {field}=nearest.…")));
    }
    if level.scored && level.rank.is_none() {
        return Err(Refusal::new(
            Code::Syntax,
            format!("{} has no score without rank", level.entity),
        )
        .hint("name what ranks with as:, such as nearest(as:v), and add rank=rrf(v,…)"));
    }
    sealed::check(level)?;
    sealed::search(level)?;
    if level.searches() && level.is_grouped() {
        return Err(not_built("an aggregate of the rows that nearest finds")
            .detail(format!("both are asked of {}", level.entity)));
    }
    let default = if level.searches() { Limits::NEAREST_DEFAULT } else { limits.rows_default };
    let limit = *level.limit.get_or_insert(default.min(limits.rows_max));
    if limit > limits.rows_max {
        return Err(Refusal::new(
            Code::Limit,
            format!("at most {} rows can be asked for at once", limits.rows_max),
        )
        .detail(format!("limit={limit}"))
        .hint("ask for the next ones with offset, or with a filter on what they are ordered by"));
    }
    let wanted = limit.saturating_add(level.offset).max(1);
    rank::candidates(level, wanted, limits)?;
    for nearest in &mut level.nearest {
        nearest.capped = nearest.part.k.is_some();
        let k = *nearest.part.k.get_or_insert(wanted);
        if k > limits.rows_max {
            return Err(Refusal::new(
                Code::Limit,
                format!("nearest looks at {} rows at most", limits.rows_max),
            )
            .detail(format!("limit and offset ask for {k}")));
        }
    }
    level.embeds.iter_mut().try_for_each(|embed| settle(&mut embed.level, limits))
}
