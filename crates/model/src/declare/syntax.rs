//! From text to tree, going on after each problem.
//!
//! The grammar is `toml_parser`'s; what this adds are TOML's rules about tables that are defined twice. The `toml`
//! crate's own tree is not used because it forgets where a key was first written and the order of the keys, puts zero where a value
//! could not be read, and nests without limit for `a.a.a.…`.

use std::{borrow::Cow, iter::Peekable, slice::Iter};

use toml_parser::{
    ParseError, Source,
    decoder::ScalarKind,
    parser::{Event, EventKind, RecursionGuard, ValidateWhitespace, parse_document},
};

use super::{
    complaint::{self, DEPTH_MAX},
    report::{Report, Span},
    tables::{self, Header, Path},
    time,
    tree::{Data, Origin, Table, Value, Word},
};

/// Brackets that are never closed, each of which costs another attempt.
const ATTEMPTS_MAX: usize = 20;

/// Reads `text`; whatever could not be read is reported, and missing or `Broken` in the tree.
///
/// A bracket that is never closed swallows the rest of the file. It is reported, its line is taken out, and the text is read again.
pub(super) fn parse(text: &str, report: &mut Report) -> Table {
    let mut patched = Cow::Borrowed(text);
    let mut open: Vec<Span> = Vec::new();
    loop {
        let mut own = Report::default();
        let (tree, found) = attempt(&patched, &open, &mut own);
        match complaint::unclosed(text, &found).filter(|_| open.len() < ATTEMPTS_MAX) {
            Some(bracket) => {
                let line_end = text[bracket.start..]
                    .find('\n')
                    .map_or(text.len(), |length| bracket.start + length);
                patched.to_mut().replace_range(
                    bracket.start..line_end,
                    &format!("{:<width$}", 0, width = line_end - bracket.start),
                );
                open.push(bracket);
            }
            None => {
                complaint::report(text, &open, found, &mut own);
                report.append(own);
                return tree;
            }
        }
    }
}

/// The tree, with whatever is at one of the places in `broken` marked as that.
fn attempt(text: &str, broken: &[Span], report: &mut Report) -> (Table, Vec<ParseError>) {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut found: Vec<ParseError> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(tokens.len());
    let mut checked = ValidateWhitespace::new(&mut events, source);
    let mut guarded = RecursionGuard::new(&mut checked, DEPTH_MAX);
    parse_document(&tokens, &mut guarded, &mut found);

    let mut builder = Builder { source, events: events.iter().peekable(), broken, found, report };
    let root = builder.document();
    (root, builder.found)
}

struct Builder<'a> {
    source: Source<'a>,
    events: Peekable<Iter<'a, Event>>,
    broken: &'a [Span],
    found: Vec<ParseError>,
    report: &'a mut Report,
}

impl Builder<'_> {
    fn document(&mut self) -> Table {
        let mut root = Table::new(Origin::Header);
        let mut section = None;
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    tables::close(&mut root, section.take());
                    section = self
                        .header(event)
                        .map(|header| tables::open(&mut root, header, self.report));
                }
                EventKind::SimpleKey => {
                    let path = self.path(event);
                    let value = self.value_of_key(&path);
                    let table = section.as_mut().map_or(&mut root, |section| &mut section.table);
                    if let Some(path) = path {
                        tables::insert(table, path, value, self.report);
                    }
                }
                _ => {}
            }
        }
        tables::close(&mut root, section);
        root
    }

    /// `[a.b]` or `[[a.b]]`.
    fn header(&mut self, open: &Event) -> Option<Header> {
        let mut path = None;
        let mut at = span(open.span());
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::SimpleKey => path = self.path(event),
                EventKind::StdTableClose | EventKind::ArrayTableClose => {
                    at.end = event.span().end();
                    break;
                }
                _ => {}
            }
            if self.events.peek().is_some_and(|next| next.kind() == EventKind::Newline) {
                break;
            }
        }
        path.map(|path| Header { path, at, array: open.kind() == EventKind::ArrayTableOpen })
    }

    /// Takes the rest of a dotted key that begins with `first`.
    fn path(&mut self, first: &Event) -> Option<Path> {
        let mut words = vec![self.word(first)];
        let mut expects_word = false;
        while let Some(next) = self.events.peek().copied() {
            match next.kind() {
                EventKind::Whitespace => {}
                EventKind::KeySep => expects_word = true,
                EventKind::SimpleKey if expects_word => {
                    words.push(self.word(next));
                    expects_word = false;
                }
                _ => break,
            }
            self.events.next();
        }
        if words.len() > DEPTH_MAX as usize {
            let at = words[0].at.start..words[words.len() - 1].at.end;
            complaint::too_deep(&at, self.report);
            return None;
        }
        let last = words.pop()?;
        Some(Path { parents: words, last })
    }

    fn word(&mut self, event: &Event) -> Word {
        let mut text = Cow::Borrowed("");
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut text, &mut self.found);
        }
        Word { text: text.into_owned(), at: span(event.span()) }
    }

    fn value_of_key(&mut self, path: &Option<Path>) -> Value {
        let mut seen_assignment = false;
        while let Some(next) = self.events.peek().copied() {
            match next.kind() {
                EventKind::Whitespace => {}
                EventKind::KeyValSep => seen_assignment = true,
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen
                    if seen_assignment =>
                {
                    let event = self.events.next().expect("it was just peeked at");
                    return self.value(event);
                }
                _ => break,
            }
            self.events.next();
        }
        Value { at: path.as_ref().map_or(0..0, |path| path.last.at.clone()), data: Data::Broken }
    }

    fn value(&mut self, event: &Event) -> Value {
        match event.kind() {
            EventKind::ArrayOpen => self.array(event),
            EventKind::InlineTableOpen => self.inline_table(event),
            _ => self.scalar(event),
        }
    }

    fn array(&mut self, open: &Event) -> Value {
        let mut at = span(open.span());
        let mut items = Vec::new();
        while let Some(event) = self.events.next() {
            at.end = event.span().end();
            match event.kind() {
                EventKind::ArrayClose => break,
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    items.push(self.value(event))
                }
                _ => {}
            }
        }
        Value { at, data: Data::Array { items, of_tables: false } }
    }

    fn inline_table(&mut self, open: &Event) -> Value {
        let mut at = span(open.span());
        let mut table = Table::new(Origin::Inline);
        while let Some(event) = self.events.next() {
            at.end = event.span().end();
            match event.kind() {
                EventKind::InlineTableClose => break,
                EventKind::SimpleKey => {
                    let path = self.path(event);
                    let value = self.value_of_key(&path);
                    at.end = at.end.max(value.at.end);
                    if let Some(path) = path {
                        tables::insert(&mut table, path, value, self.report);
                    }
                }
                _ => {}
            }
        }
        Value { at, data: Data::Table(table) }
    }

    fn scalar(&mut self, event: &Event) -> Value {
        let at = span(event.span());
        let mut text = Cow::Borrowed("");
        let before = self.found.len();
        let kind = match self.source.get(event) {
            Some(raw) => raw.decode_scalar(&mut text, &mut self.found),
            None => return Value { at, data: Data::Broken },
        };
        if self.found.len() > before || self.broken.iter().any(|broken| broken.start == at.start) {
            return Value { at, data: Data::Broken };
        }
        let data = match kind {
            ScalarKind::String => Data::Text(text.into_owned()),
            ScalarKind::Boolean(value) => Data::Boolean(value),
            ScalarKind::DateTime => match time::exists(&text) {
                Ok(()) => Data::Time(text.into_owned()),
                Err(why) => {
                    self.found.push(ParseError::new(why).with_unexpected(event.span()));
                    Data::Broken
                }
            },
            ScalarKind::Float => Data::Float(text.trim_start_matches('+').to_owned()),
            ScalarKind::Integer(radix) => match i128::from_str_radix(&text, radix.value()) {
                Ok(number) => Data::Integer(number.to_string()),
                Err(_) if radix.value() == 10 => {
                    Data::Integer(text.trim_start_matches('+').to_owned())
                }
                Err(_) => {
                    self.found
                        .push(ParseError::new("number too large").with_unexpected(event.span()));
                    Data::Broken
                }
            },
        };
        Value { at, data }
    }
}

pub(super) fn span(span: toml_parser::Span) -> Span {
    span.start()..span.end()
}
