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
    codes,
    complaint::{self, DEPTH_MAX},
    report::{Report, Span},
    tree::{Data, Origin, Pair, Table, Value, Word},
};

/// Reads `text`; whatever could not be read is reported, and missing or `Broken` in the tree.
pub(super) fn parse(text: &str, report: &mut Report) -> Table {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut found: Vec<ParseError> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(tokens.len());
    let mut checked = ValidateWhitespace::new(&mut events, source);
    let mut guarded = RecursionGuard::new(&mut checked, DEPTH_MAX);
    parse_document(&tokens, &mut guarded, &mut found);

    let mut builder = Builder { source, events: events.iter().peekable(), found, report };
    let root = builder.document();
    let found = std::mem::take(&mut builder.found);
    complaint::report(text, found, report);
    root
}

struct Builder<'a> {
    source: Source<'a>,
    events: Peekable<Iter<'a, Event>>,
    found: Vec<ParseError>,
    report: &'a mut Report,
}

/// Keys joined by dots; never empty.
struct Path {
    parents: Vec<Word>,
    last: Word,
}

impl Builder<'_> {
    fn document(&mut self) -> Table {
        let mut root = Table::new(Origin::Header);
        let mut section: Option<Section> = None;
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    close_section(&mut root, section.take());
                    section = self.header(event).map(|header| self.open_section(&mut root, header));
                }
                EventKind::SimpleKey => {
                    let path = self.path(event);
                    let value = self.value_of_key(&path);
                    let table = section.as_mut().map_or(&mut root, |section| &mut section.table);
                    if let Some(path) = path {
                        self.insert(table, path, value);
                    }
                }
                _ => {}
            }
        }
        close_section(&mut root, section);
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
                        self.insert(&mut table, path, value);
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
        if self.found.len() > before {
            return Value { at, data: Data::Broken };
        }
        let data = match kind {
            ScalarKind::String => Data::Text(text.into_owned()),
            ScalarKind::Boolean(value) => Data::Boolean(value),
            ScalarKind::DateTime => Data::Time(text.into_owned()),
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

    fn insert(&mut self, table: &mut Table, path: Path, value: Value) {
        let table = match descend(table, &path.parents, Origin::Dotted) {
            Ok(table) => table,
            Err(clash) => return clash.report(self.report),
        };
        if let Some(first) = table.get(&path.last.text) {
            Clash::new(&path.last, first).report(self.report);
        } else {
            table.push(path.last, value);
        }
    }

    /// Takes the table of a header out of the tree, so that pairs can be added without descending for each.
    fn open_section(&mut self, root: &mut Table, header: Header) -> Section {
        let mut table = Table::new(Origin::Header);
        let reached = match descend(root, &header.path.parents, Origin::Implied) {
            Ok(parent) => self.take_table(parent, &header, &mut table),
            Err(clash) => {
                clash.report(self.report);
                false
            }
        };
        Section { header, table, reached }
    }

    /// Whether what `parent` has under the header's last word, if anything, can be gone on with; then that is put in `table`.
    fn take_table(&mut self, parent: &mut Table, header: &Header, table: &mut Table) -> bool {
        let Some(pair) = parent.get_mut(&header.path.last.text) else { return true };
        let clash = Clash::new(&header.path.last, pair);
        match &mut pair.value.data {
            Data::Array { of_tables: true, .. } if header.array => true,
            Data::Table(existing) if !header.array && existing.origin != Origin::Inline => {
                if existing.origin != Origin::Implied {
                    clash.report(self.report);
                }
                std::mem::swap(table, existing);
                table.origin = Origin::Header;
                true
            }
            _ => {
                clash.report(self.report);
                false
            }
        }
    }
}

struct Header {
    path: Path,
    at: Span,
    array: bool,
}

struct Section {
    header: Header,
    table: Table,
    /// Otherwise its header clashed with something, and what it holds goes nowhere.
    reached: bool,
}

/// Puts the table of a header, now complete, where it belongs.
fn close_section(root: &mut Table, section: Option<Section>) {
    let Some(Section { header: Header { path, at, array }, table, reached: true }) = section else {
        return;
    };
    let Ok(parent) = descend(root, &path.parents, Origin::Implied) else { return };
    let value = Value { at, data: Data::Table(table) };
    match parent.get_mut(&path.last.text).map(|pair| &mut pair.value) {
        Some(Value { data: Data::Array { items, .. }, .. }) if array => items.push(value),
        Some(place) => *place = value,
        None if array => {
            let at = value.at.clone();
            parent.push(
                path.last,
                Value { at, data: Data::Array { items: vec![value], of_tables: true } },
            );
        }
        None => {
            parent.push(path.last, value);
        }
    }
}

fn descend<'t>(table: &'t mut Table, parents: &[Word], by: Origin) -> Result<&'t mut Table, Clash> {
    parents.iter().try_fold(table, |table, word| step(table, word, by))
}

/// One level down, by a dotted key or a header; makes the table if there is none.
fn step<'t>(table: &'t mut Table, word: &Word, by: Origin) -> Result<&'t mut Table, Clash> {
    if table.get(&word.text).is_none() {
        let at = word.at.clone();
        table.push(word.clone(), Value { at, data: Data::Table(Table::new(by)) });
    }
    let pair = table.get_mut(&word.text).expect("it was made if it was not there");
    let clash = Clash::new(word, pair);
    match &mut pair.value.data {
        Data::Table(inner) if inner.origin == Origin::Inline => Err(clash.closed()),
        Data::Table(inner) if by == Origin::Dotted && inner.origin == Origin::Header => Err(clash),
        Data::Table(inner) => {
            if by == Origin::Dotted {
                inner.origin = Origin::Dotted;
            }
            Ok(inner)
        }
        Data::Array { items, of_tables: true } => match items.last_mut().map(|item| &mut item.data)
        {
            Some(Data::Table(inner)) => Ok(inner),
            _ => Err(clash.closed()),
        },
        _ => Err(clash.closed()),
    }
}

/// A key that cannot be where it is because of an earlier one.
struct Clash {
    word: Word,
    first: Span,
    /// The first is a value that nothing can be added to.
    closed: bool,
}

impl Clash {
    fn new(word: &Word, first: &Pair) -> Self {
        Self { word: word.clone(), first: first.key.at.clone(), closed: false }
    }

    fn closed(self) -> Self {
        Self { closed: true, ..self }
    }

    fn report(self, report: &mut Report) {
        let name = &self.word.text;
        let (message, help) = if self.closed {
            (
                format!("`{name}` already has a value that nothing can be added to"),
                "write all of it in one place",
            )
        } else {
            (format!("`{name}` is written twice"), "keep one of the two")
        };
        report
            .error(codes::TOML_DUPLICATE, &self.word.at, message)
            .here("again here")
            .also(&self.first, "first written here")
            .help(help);
    }
}

pub(super) fn span(span: toml_parser::Span) -> Span {
    span.start()..span.end()
}
