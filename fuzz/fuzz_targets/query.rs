//! `entity?query` and, from the next line on, a body: nothing panics, and whatever is taken is one statement whose every
//! parameter is bound, in which no text of the caller's stands outside of quotes.

#![no_main]

use std::sync::LazyLock;

use freehold_model::{Model, Refusal, Sql, declare, mutate, query};
use libfuzzer_sys::fuzz_target;

static MODEL: LazyLock<Model> =
    LazyLock::new(|| declare::read(include_str!("../model.toml")).expect("a good model").model);

fuzz_target!(|text: &str| {
    let (first, body) = text.split_once('\n').unwrap_or((text, "{}"));
    let Some((entity, query)) = first.split_once('?') else { return };
    let limits = query::Limits::default();
    if let Some(mut read) = taken(query::parse(&MODEL, entity, query, &limits)) {
        let slots: Vec<(usize, u32)> =
            read.texts().iter().map(|text| (text.slot, text.dimensions)).collect();
        for (slot, dimensions) in slots {
            read.bind(slot, &vec![0.5; dimensions as usize]);
        }
        is_one_statement(&read.render());
        read.count_exact();
        is_one_statement(&read.render());
    }
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    let merge = Some(mutate::Resolution::Merge);
    for resolution in [None, merge] {
        let insert = mutate::insert(&MODEL, entity, &body, query, resolution, true, &limits);
        if let Some(insert) = taken(insert) {
            is_one_statement(&insert.render());
        }
    }
    if let Some(put) = taken(mutate::put(&MODEL, entity, &body, query, true, &limits)) {
        is_one_statement(&put.render());
    }
    if let Some(update) = taken(mutate::update(&MODEL, entity, &body, query, true, &limits)) {
        is_one_statement(&update.render());
        is_one_statement(&update.render_watched());
    }
    if let Some(delete) = taken(mutate::delete(&MODEL, entity, query, true, &limits)) {
        is_one_statement(&delete.render());
    }
});

/// A refusal says something, and nothing of the tenant's column.
fn taken<T>(checked: Result<T, Refusal>) -> Option<T> {
    match checked {
        Ok(checked) => Some(checked),
        Err(refusal) => {
            assert!(!refusal.message.is_empty());
            None
        }
    }
}

/// Reads the statement as PostgreSQL's lexer would: identifiers and texts in quotes, and what is left.
fn is_one_statement(sql: &Sql) {
    let text = sql.text();
    let (mut bare, mut quote, mut escapes) = (String::new(), None, false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match quote {
            Some(_) if escapes && char == '\\' => {
                chars.next();
            }
            Some(open) if char == open => {
                if chars.next_if_eq(&open).is_none() {
                    quote = None;
                }
            }
            Some(_) => {}
            None if char == '"' || char == '\'' => {
                escapes = char == '\'' && bare.ends_with('E');
                quote = Some(char);
            }
            None => bare.push(char),
        }
    }
    assert!(quote.is_none(), "a quote is not closed: {text}");
    for sign in [";", "--", "/*", "\0", "\\"] {
        assert!(!bare.contains(sign), "{sign:?} stands outside of quotes: {text}");
    }
    assert!(bare.is_ascii(), "a name stands outside of quotes: {text}");
    let opened = bare.matches('(').count();
    assert_eq!(opened, bare.matches(')').count(), "brackets do not fit: {text}");
    let bound = bare
        .split('$')
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        .map(|number| number.parse::<usize>().expect("a parameter has a number"))
        .max();
    assert_eq!(bound.unwrap_or(0), sql.params().len(), "parameters do not fit: {text}");
}
