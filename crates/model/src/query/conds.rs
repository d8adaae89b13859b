//! Conditions: does the operator fit the field, and can the value be of its type.

use super::{
    ast::{self, Each, Is, Op, Tree},
    check::{embed_named, resolve},
    level::{Cond, Level, Operand, Part, Test},
    lexer::shorten,
    rank, sealed, value,
};
use crate::{
    Code, Refusal,
    entity::{Entity, Kind, Scalar},
    suggest::did_you_mean,
};

/// PostgreSQL's text search configurations, those that every supported version has.
const LANGUAGES: [&str; 29] = [
    "simple",
    "arabic",
    "armenian",
    "basque",
    "catalan",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "lithuanian",
    "nepali",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
    "yiddish",
];

/// Checks one condition or tree of them.
pub(crate) fn check(entity: &Entity, level: &mut Level, tree: Tree) -> Result<Cond, Refusal> {
    match tree {
        Tree::Group { all, not, parts } => {
            if parts.iter().any(rank::is_of_score) {
                return Err(Refusal::new(Code::Syntax, "score() cannot stand inside and/or")
                    .detail("rows have a score once those that fit the filters are ranked"));
            }
            let parts = parts
                .into_iter()
                .map(|part| check(entity, level, part))
                .collect::<Result<_, _>>()?;
            Ok(Cond::Group { all, not, parts })
        }
        Tree::Test { operand, not, test } => {
            if let Some(index) = embed_named(level, &operand) {
                let field_too = entity.field(&operand.column.text).is_some();
                match test {
                    ast::Test::Is(Is::Null) => return Ok(Cond::Embed { index, exists: not }),
                    ast::Test::Is(Is::NotNull) => return Ok(Cond::Embed { index, exists: !not }),
                    _ if !field_too => return Err(only_null(&operand.column.text)),
                    _ => {}
                }
            }
            let name = operand.column.text.clone();
            let (operand, kind) = resolve(entity, level, &operand)?;
            if let Operand::Column(column) = &operand
                && let Some(field) = entity.field(column).filter(|field| field.sealed().is_some())
            {
                let test = sealed::test(entity, field, test)?;
                return Ok(Cond::Test { operand, not, test });
            }
            let test = check_test(&Subject { entity, name, operand: &operand, kind }, test)?;
            Ok(Cond::Test { operand, not, test })
        }
    }
}

fn only_null(embed: &str) -> Refusal {
    Refusal::new(
        Code::EmbedCompared,
        format!("{embed} is an embed and can only be compared with is.null and not.is.null"),
    )
    .hint(format!("to filter by one of its fields write {embed}.<field>="))
}

struct Subject<'a> {
    entity: &'a Entity,
    name: String,
    operand: &'a Operand,
    kind: Kind,
}

impl Subject<'_> {
    fn refuse(&self, what: &str) -> Refusal {
        Refusal::new(Code::Syntax, format!("{} {what}", self.name))
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Scalar::Text) | Kind::Enum(_))
    }

    /// Checks a value; how an enum sorts or what it resembles is asked with any text.
    fn value(&self, text: &str) -> Result<(), Refusal> {
        value::check_text(&self.name, &self.kind, text)
    }
}

fn check_test(subject: &Subject, test: ast::Test) -> Result<Test, Refusal> {
    if let (Kind::Vector(_), false) =
        (&subject.kind, matches!(test, ast::Test::Is(Is::Null | Is::NotNull)))
    {
        return Err(subject.refuse("is a vector").hint(format!(
            "compare it with nearest, {0}.distance()=lt.0.4 or is.null",
            subject.name
        )));
    }
    match test {
        ast::Test::Compare { op, each, value } => compare(subject, op, each, value),
        ast::Test::In(values) => {
            refuse_array(subject)?;
            values.iter().try_for_each(|value| subject.value(value))?;
            Ok(Test::Each { op: "=", each: Each::Any, array: value::array_literal(values) })
        }
        ast::Test::Is(is) => {
            let of_boolean = matches!(is, Is::True | Is::False | Is::Unknown);
            if of_boolean && subject.kind != Kind::Scalar(Scalar::Boolean) {
                return Err(subject
                    .refuse("is not a boolean")
                    .hint("is.null and is.not_null fit every field"));
            }
            Ok(Test::Is(match is {
                Is::Null => "null",
                Is::NotNull => "not null",
                Is::True => "true",
                Is::False => "false",
                Is::Unknown => "unknown",
            }))
        }
        ast::Test::Distinct(value) => {
            subject.value(&value)?;
            Ok(Test::Distinct(value))
        }
        ast::Test::Search { function, mods, value } => {
            let (test, part) = search(subject, function, &mods, value, u64::MAX)?;
            if part == Part::default() {
                return Ok(test);
            }
            Err(subject.refuse("is searched with as:, w: or k: where nothing is ranked").hint(
                "what rank uses is a parameter of its own of the entity, not negated, and has a name: wfts(as:t).…",
            ))
        }
        ast::Test::Nearest { .. } => Err(subject.refuse("cannot have nearest here")),
    }
}

fn compare(subject: &Subject, op: Op, each: Option<Each>, value: String) -> Result<Test, Refusal> {
    let pattern = matches!(op, Op::Like | Op::Ilike | Op::Match | Op::Imatch);
    let of_sets = matches!(op, Op::Contains | Op::Contained | Op::Overlaps);
    let texts = subject.kind == Kind::Array(Scalar::Text);
    if pattern && !subject.is_text() && !texts {
        let hint = format!(
            "compare it with eq, gt, lt …, or search its text form in {}->>key",
            subject.name
        );
        let refusal = subject.refuse("is not a text and has no pattern to match");
        return Err(if subject.kind == Kind::Scalar(Scalar::Jsonb) {
            refusal.hint(hint)
        } else {
            refusal
        });
    }
    let array = matches!(subject.kind, Kind::Array(_));
    let jsonb = subject.kind == Kind::Scalar(Scalar::Jsonb);
    if of_sets && !array && !(jsonb && op != Op::Overlaps) {
        let kinds = if op == Op::Overlaps { "an array" } else { "an array or JSON" };
        return Err(subject.refuse(&format!("is not {kinds}")));
    }
    let value = if matches!(op, Op::Like | Op::Ilike) { value.replace('*', "%") } else { value };
    if matches!(op, Op::Like | Op::Ilike)
        && each.is_none()
        && (value.len() - value.trim_end_matches('\\').len()) % 2 == 1
    {
        return Err(Refusal::new(
            Code::InvalidValue,
            format!("the pattern for {} ends in a `\\`", subject.name),
        ));
    }
    let op_sql = match op {
        Op::Eq => "=",
        Op::Neq => "<>",
        Op::Gt => ">",
        Op::Gte => ">=",
        Op::Lt => "<",
        Op::Lte => "<=",
        Op::Like => "like",
        Op::Ilike => "ilike",
        Op::Match => "~",
        Op::Imatch => "~*",
        Op::Contains => "@>",
        Op::Contained => "<@",
        Op::Overlaps => "&&",
    };
    if pattern && texts && each.is_none() {
        value::check_text(&subject.name, &Kind::Scalar(Scalar::Text), &value)?;
        return Ok(Test::Element { op: op_sql, value });
    }
    if let Some(each) = each {
        refuse_array(subject)?;
        value::check_text(&subject.name, &Kind::Array(Scalar::Text), &value)?;
        return Ok(Test::Each { op: op_sql, each, array: value });
    }
    let exact = matches!(op, Op::Eq | Op::Neq);
    match &subject.kind {
        Kind::Enum(_) if !exact => {
            value::check_text(&subject.name, &Kind::Scalar(Scalar::Text), &value)?
        }
        _ => subject.value(&value)?,
    }
    Ok(Test::Binary { op: op_sql, value })
}

fn refuse_array(subject: &Subject) -> Result<(), Refusal> {
    if !matches!(subject.kind, Kind::Array(_)) {
        return Ok(());
    }
    Err(subject
        .refuse("is an array and has no list of values to be one of")
        .hint("write cs.{a,b} or ov.{a,b}"))
}

/// A search that ranks: what it is about, its test, and what `rank` is told of it.
pub(crate) fn words(
    entity: &Entity,
    level: &mut Level,
    tree: Tree,
    k_max: u64,
) -> Result<(Operand, Test, Part), Refusal> {
    let Tree::Test { operand, test: ast::Test::Search { function, mods, value }, .. } = tree else {
        return Err(Refusal::new(Code::Syntax, "only a search of words or nearest can rank"));
    };
    let name = operand.column.text.clone();
    let (operand, kind) = resolve(entity, level, &operand)?;
    if let Operand::Column(column) = &operand
        && let Some(field) = entity.field(column).filter(|field| field.sealed().is_some())
    {
        return Err(sealed::refused(entity, field, "searched by words"));
    }
    let subject = Subject { entity, name, operand: &operand, kind };
    let (test, part) = search(&subject, function, &mods, value, k_max)?;
    Ok((operand, test, part))
}

fn search(
    subject: &Subject,
    function: &'static str,
    mods: &[String],
    value: String,
    k_max: u64,
) -> Result<(Test, Part), Refusal> {
    let (mut language, mut part) = (None, Part::default());
    for text in mods {
        let wrong = |problem: String| {
            let message =
                format!("a search of {} cannot be told `{}`", subject.name, shorten(text));
            Refusal::new(Code::Syntax, message).detail(problem)
        };
        match text.split_once(':') {
            Some((key, value)) if rank::told(&mut part, key, value, k_max).map_err(wrong)? => {}
            None if language.is_none() => language = Some(text.as_str()),
            _ => return Err(wrong("it takes one language, as:, w: and k:".into())),
        }
    }
    if !subject.is_text() && subject.kind != Kind::Scalar(Scalar::Jsonb) {
        return Err(subject.refuse("has no words to search"));
    }
    let declared = match subject.operand {
        Operand::Column(name) => {
            subject.entity.field(name).and_then(|field| field.search.as_deref())
        }
        _ => None,
    };
    let wanted = language.or(declared).unwrap_or("simple");
    let Some(language) = LANGUAGES.iter().find(|known| **known == wanted) else {
        let refusal = Refusal::new(
            Code::InvalidValue,
            format!("there is no search language `{}`", shorten(wanted)),
        )
        .detail(format!("a search of {}", subject.name));
        return Err(refusal.hint(
            did_you_mean(wanted, LANGUAGES)
                .unwrap_or_else(|| format!("languages are {}", LANGUAGES.join(", "))),
        ));
    };
    let column = (declared == Some(*language)).then(|| format!("{}~search", subject.name));
    Ok((Test::Search { column, language, function, value }, part))
}
