//! Sealed fields in queries: what is shown of them is opened behind PostgreSQL, what is looked up is bound as a blind index,
//! and everything else PostgreSQL could do with a value only if it saw it.

use super::{
    ast::{self, Is, Op},
    level::{Cond, Form, Level, Operand, Output, Shown, Test},
    nearest,
};
use crate::{
    Code, Name, Refusal,
    entity::{Entity, Field, Whose},
    sealed::sought,
};

/// How a sealed field is shown.
pub(crate) fn shown(entity: &Entity, field: &Field) -> Option<Form> {
    let owner = match &field.sealed()?.whose {
        Whose::Itself => Some("id".to_owned()),
        Whose::Of(reference) => Some(reference.to_string()),
        Whose::Nobody => None,
    };
    Some(Form::Sealed(Shown { entity: entity.name.clone(), field: field.name.clone(), owner }))
}

/// That this cannot be done with a sealed field.
pub(crate) fn refused(entity: &Entity, field: &Field, what: &str) -> Refusal {
    let refusal = Refusal::new(
        Code::Sealed,
        format!("{} of {} is sealed personal data and cannot be {what}", field.name, entity.name),
    );
    refusal.hint(match field.lookup() {
        Some(_) => format!("it can be compared with eq, neq, in and is.null; for ranges and order declare a field beside it that says less: `generalises = \"{} to …\"`", field.name),
        None => format!("it can be compared with is.null only; add `lookup` to {} in the model to find it by eq and in", field.name),
    })
}

/// A condition on a sealed field.
pub(crate) fn test(entity: &Entity, field: &Field, test: ast::Test) -> Result<Test, Refusal> {
    let (not, values) = match test {
        ast::Test::Is(Is::Null) => return Ok(Test::Is("null")),
        ast::Test::Is(Is::NotNull) => return Ok(Test::Is("not null")),
        ast::Test::Compare { op: Op::Eq, each: None, value } => (false, vec![value]),
        ast::Test::Compare { op: Op::Neq, each: None, value } => (true, vec![value]),
        ast::Test::In(values) => (false, values),
        _ => return Err(refused(entity, field, "compared so")),
    };
    let Some(lookup) = field.lookup() else { return Err(refused(entity, field, "compared so")) };
    let sought =
        values.iter().map(|value| sought(field, lookup, value)).collect::<Result<_, _>>()?;
    let place = (entity.name.clone(), field.name.clone());
    Ok(Test::Lookup { place, not, values, sought, bound: None })
}

/// Refuses what groups rows by a sealed value: no two are alike.
pub(crate) fn check(level: &Level) -> Result<(), Refusal> {
    let sealed = |level: &Level| {
        level.outputs.iter().find_map(|output| match output {
            Output::Column(column) => match &column.form {
                Form::Sealed(shown) => Some(shown.field.clone()),
                _ => None,
            },
            _ => None,
        })
    };
    let field = level.is_grouped().then(|| level.walk().into_iter().find_map(sealed)).flatten();
    match field {
        Some(field) => Err(Refusal::new(
            Code::Sealed,
            format!("rows cannot be grouped by {field}, which is sealed personal data"),
        )
        .hint("leave it out of select, or ask for no aggregate")),
        None => Ok(()),
    }
}

/// Refuses searches of sealed vectors that PostgreSQL would have to measure: those of embeds, several at once, and distances in
/// conditions.
pub(crate) fn search(level: &Level) -> Result<(), Refusal> {
    let is =
        |level: &Level, name: &str| level.nearest_on(name).is_some_and(|it| it.sealed.is_some());
    for embed in &level.embeds {
        if let Some(nearest) = embed.level.nearest.iter().find(|it| it.sealed.is_some()) {
            return Err(nearest::sealed(
                &embed.level.entity,
                &nearest.field,
                "is not searched in an embed",
            ));
        }
    }
    let Some(nearest) = level.nearest.iter().find(|it| it.sealed.is_some()) else { return Ok(()) };
    if level.rank.is_some() || level.nearest.len() > 1 {
        return Err(nearest::sealed(&level.entity, &nearest.field, "is not ranked"));
    }
    match level.conds.iter().find_map(|cond| cond.measures(&|name| is(level, name))) {
        Some(name) => Err(nearest::sealed(&level.entity, name, "has no distance in conditions")
            .hint(format!("say its bounds in nearest itself: {name}=nearest(max:0.4).…"))),
        None => Ok(()),
    }
}

/// Refuses searches of sealed vectors among rows that nobody can ask for twice: those of a function.
pub(crate) fn unsearched(level: &Level) -> Result<(), Refusal> {
    match level.nearest.iter().find(|it| it.sealed.is_some()) {
        Some(nearest) => {
            let what = "is not searched among the rows of a function";
            Err(nearest::sealed(&level.entity, &nearest.field, what))
        }
        None => Ok(()),
    }
}

/// What a lookup asks for, to be bound before the query is rendered.
#[derive(Debug, PartialEq, Eq)]
pub struct Sought<'q> {
    /// The entity.
    pub entity: &'q Name,
    /// Its sealed field.
    pub field: &'q Name,
    /// The values as they are looked up.
    pub values: &'q [String],
    /// The blind index of each, 32 hexadecimal digits.
    pub bound: &'q mut Option<Vec<String>>,
}

impl Level {
    /// Calls `visit` with each lookup of the level and those under it.
    pub(crate) fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        self.conds.iter_mut().for_each(|cond| cond.each_lookup(visit));
        for embed in &mut self.embeds {
            embed.level.each_lookup(visit);
        }
    }

    /// Whether it, or one under it, shows a sealed value; all places of such, each once.
    pub(crate) fn shows(&self) -> Vec<(&Name, &Name)> {
        let mut all = Vec::new();
        for output in self.walk().into_iter().flat_map(|level| &level.outputs) {
            if let Output::Column(column) = output
                && let Form::Sealed(shown) = &column.form
                && !all.contains(&(&shown.entity, &shown.field))
            {
                all.push((&shown.entity, &shown.field));
            }
        }
        all
    }
}

impl Cond {
    /// The field whose distance it is about, if it `is` one of these.
    fn measures(&self, is: &dyn Fn(&str) -> bool) -> Option<&str> {
        match self {
            Self::Group { parts, .. } => parts.iter().find_map(|part| part.measures(is)),
            Self::Test { operand: Operand::Distance(name) | Operand::Similarity(name), .. } => {
                Some(name.as_str()).filter(|name| is(name))
            }
            _ => None,
        }
    }

    fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        match self {
            Self::Group { parts, .. } => parts.iter_mut().for_each(|part| part.each_lookup(visit)),
            Self::Test { test: Test::Lookup { place, sought, bound, .. }, .. } => {
                visit(Sought { entity: &place.0, field: &place.1, values: sought, bound });
            }
            _ => {}
        }
    }
}
