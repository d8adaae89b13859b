//! Parameters to [`Written`]: which parameter is what, `order`, `limit`, and names with what may follow them.

use super::{
    Limits,
    ast::{At, Measure, Operand, Step, StepKey, Term, Written},
    filter,
    lexer::{Cursor, Word, params, shorten},
    rank, select,
};
use crate::{Code, Refusal};

/// Reads a whole query string.
pub(crate) fn parse(query: &str, limits: &Limits) -> Result<Written, Refusal> {
    let params = params(query)?;
    within("parameters", params.len(), limits.parts_max)?;
    let mut written = Written::default();
    for param in &params {
        read(&mut written, &param.key, &param.value, limits)?;
    }
    Ok(written)
}

/// Part of the grammar that is known and not served yet.
pub(crate) fn not_built(part: &str) -> Refusal {
    Refusal::new(Code::NotBuilt, format!("{part} is not built yet"))
}

/// Refuses more than `max` of something countable.
pub(crate) fn within(what: &str, count: usize, max: usize) -> Result<(), Refusal> {
    if count <= max {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, format!("the query has too many {what}"))
        .detail(format!("{count}, at most {max}")))
}

fn read(written: &mut Written, key: &str, value: &str, limits: &Limits) -> Result<(), Refusal> {
    match key {
        "select" => return once(&mut written.select, key, select::items(value, limits)?),
        "columns" => return once(&mut written.columns, key, names(key, value)?),
        "on_conflict" => return once(&mut written.on_conflict, key, names(key, value)?),
        "rank" => return once(&mut written.rank, key, rank::read(value)?),
        _ => {}
    }
    let Key { mut path, last } = read_key(key)?;
    let plain = last.measure.is_none() && last.steps.is_empty();
    match last.column.text.as_str() {
        "order" if plain && !last.column.quoted => {
            put(&mut written.orders, key, path, order(key, value, limits)?)
        }
        "limit" if plain && !last.column.quoted => {
            put(&mut written.limits, key, path, number(key, value)?)
        }
        "offset" if plain && !last.column.quoted => {
            put(&mut written.offsets, key, path, number(key, value)?)
        }
        "and" | "or" if plain && !last.column.quoted => {
            let not = path.last().is_some_and(|word| word.is("not"));
            if not {
                path.pop();
            }
            let it = filter::group(key, value, last.column.is("and"), not, limits)?;
            written.filters.push(At { path: texts(path), it });
            Ok(())
        }
        _ => {
            let it = filter::single(key, value, last, limits)?;
            written.filters.push(At { path: texts(path), it });
            Ok(())
        }
    }
}

fn once<T>(place: &mut Option<T>, key: &str, value: T) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(key)),
    }
}

fn put<T>(place: &mut Vec<At<T>>, key: &str, path: Vec<Word>, it: T) -> Result<(), Refusal> {
    let path = texts(path);
    if place.iter().any(|at| at.path == path) {
        return Err(twice(key));
    }
    place.push(At { path, it });
    Ok(())
}

fn twice(key: &str) -> Refusal {
    Refusal::new(Code::Syntax, format!("the parameter {} is given twice", shorten(key)))
}

fn texts(words: Vec<Word>) -> Vec<String> {
    words.into_iter().map(|word| word.text).collect()
}

struct Key {
    path: Vec<Word>,
    last: Operand,
}

fn read_key(key: &str) -> Result<Key, Refusal> {
    let mut cursor = Cursor::new(key, key);
    let mut path = Vec::new();
    loop {
        let last = operand(&mut cursor)?;
        if cursor.done() {
            return Ok(Key { path, last });
        }
        if last.measure.is_some() || !last.steps.is_empty() {
            return Err(cursor.fail("the end"));
        }
        cursor.expect(".")?;
        path.push(last.column);
    }
}

/// `name`, `name->key`, `name.distance()`.
pub(crate) fn operand(cursor: &mut Cursor) -> Result<Operand, Refusal> {
    let column = cursor.word()?;
    if column.is("score") && cursor.eat("()") {
        return Ok(Operand { column, steps: Vec::new(), measure: Some(Measure::Score) });
    }
    let steps = steps(cursor)?;
    let measure = if steps.is_empty() { measure(cursor)? } else { None };
    Ok(Operand { column, steps, measure })
}

/// `.distance()` and its like, if that is what comes next.
fn measure(cursor: &mut Cursor) -> Result<Option<Measure>, Refusal> {
    for (text, measure) in
        [(".distance()", Measure::Distance), (".similarity()", Measure::Similarity)]
    {
        if cursor.eat(text) {
            return Ok(Some(measure));
        }
    }
    Ok(None)
}

fn steps(cursor: &mut Cursor) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    loop {
        let as_text = cursor.eat("->>");
        if !as_text && !cursor.eat("->") {
            return Ok(steps);
        }
        steps.push(Step { as_text, key: step_key(cursor)? });
    }
}

fn step_key(cursor: &mut Cursor) -> Result<StepKey, Refusal> {
    if cursor.peek() == Some('"') {
        return cursor.quoted().map(StepKey::Name);
    }
    let ahead = cursor.ahead();
    let digits = ahead.strip_prefix('-').unwrap_or(ahead);
    let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let ends =
        ["->", "::", ".", ",", ")"].iter().any(|end| after.starts_with(end)) || after.is_empty();
    if ends && after.len() < digits.len() {
        let number = &ahead[..ahead.len() - after.len()];
        if let Ok(index) = number.parse() {
            cursor.eat(number);
            return Ok(StepKey::Index(index));
        }
    }
    let mut name = String::new();
    loop {
        name += cursor.take_while(|c| !matches!(c, '(' | '-' | ':' | '.' | ',' | '>' | ')'));
        if cursor.ahead().starts_with("->") || !cursor.eat("-") {
            break;
        }
        name.push('-');
    }
    if name.is_empty() { Err(cursor.fail("a key")) } else { Ok(StepKey::Name(name)) }
}

fn names(key: &str, value: &str) -> Result<Vec<String>, Refusal> {
    let mut cursor = Cursor::new(key, value);
    let mut names = Vec::new();
    loop {
        let name = cursor.word()?.text;
        if !names.contains(&name) {
            names.push(name);
        }
        if !cursor.eat(",") {
            cursor.end()?;
            return Ok(names);
        }
    }
}

/// `limit` and `offset`. PostgreSQL counts rows in a signed 64-bit number.
fn number(key: &str, value: &str) -> Result<u64, Refusal> {
    let value = value.trim();
    if value.starts_with('-') && value[1..].chars().all(|c| c.is_ascii_digit()) && value.len() > 1 {
        return Err(Refusal::new(Code::Range, format!("{} cannot be negative", shorten(key))));
    }
    match value.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => Err(Cursor::new(key, value).fail("a whole number")),
    }
}

fn order(key: &str, value: &str, limits: &Limits) -> Result<Vec<Term>, Refusal> {
    let mut cursor = Cursor::new(key, value);
    let mut terms = Vec::new();
    loop {
        terms.push(term(&mut cursor)?);
        within("order terms", terms.len(), limits.parts_max)?;
        cursor.spaces();
        if !cursor.eat(",") {
            cursor.end()?;
            return Ok(terms);
        }
    }
}

fn term(cursor: &mut Cursor) -> Result<Term, Refusal> {
    let first = operand(cursor)?;
    let (embed, operand) = if first.steps.is_empty() && first.measure.is_none() && cursor.eat("(") {
        let inside = operand(cursor)?;
        cursor.spaces();
        cursor.expect(")")?;
        (Some(first.column.text), inside)
    } else {
        (None, first)
    };
    let mut term = Term { embed, operand, descending: false, nulls_first: None };
    if cursor.eat(".desc") {
        term.descending = true;
    } else {
        cursor.eat(".asc");
    }
    if cursor.eat(".nullsfirst") {
        term.nulls_first = Some(true);
    } else if cursor.eat(".nullslast") {
        term.nulls_first = Some(false);
    }
    cursor.spaces();
    if !cursor.done() && cursor.peek() != Some(',') {
        return Err(cursor.fail("`.asc`, `.desc`, `.nullsfirst`, `.nullslast` or `,`"));
    }
    Ok(term)
}
