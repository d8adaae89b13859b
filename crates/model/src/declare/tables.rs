//! TOML's rules about tables: what may be added to where, and what is written twice.

use super::{
    codes,
    report::{Report, Span},
    tree::{Data, Origin, Pair, Table, Value, Word},
};

/// Keys joined by dots; never empty.
pub(super) struct Path {
    pub(super) parents: Vec<Word>,
    pub(super) last: Word,
}

/// `[a.b]` or `[[a.b]]`.
pub(super) struct Header {
    pub(super) path: Path,
    pub(super) at: Span,
    pub(super) array: bool,
}

/// A header and its table, as far as that is read.
pub(super) struct Section {
    header: Header,
    pub(super) table: Table,
    /// Otherwise its header clashed with something, and what it holds goes nowhere.
    reached: bool,
}

/// Adds a pair to `table`, through dotted keys if there are any.
pub(super) fn insert(table: &mut Table, path: Path, value: Value, report: &mut Report) {
    let table = match descend(table, &path.parents, Origin::Dotted) {
        Ok(table) => table,
        Err(clash) => return clash.report(report),
    };
    if let Some(first) = table.get(&path.last.text) {
        Clash::new(&path.last, first).report(report);
    } else {
        table.push(path.last, value);
    }
}

/// Takes the table of a header out of the tree, so that pairs can be added without descending for each.
pub(super) fn open(root: &mut Table, header: Header, report: &mut Report) -> Section {
    let mut table = Table::new(Origin::Header);
    let reached = match descend(root, &header.path.parents, Origin::Implied) {
        Ok(parent) => take(parent, &header, &mut table, report),
        Err(clash) => {
            clash.report(report);
            false
        }
    };
    Section { header, table, reached }
}

/// Puts the table of a header, now complete, where it belongs.
pub(super) fn close(root: &mut Table, section: Option<Section>) {
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

/// Whether what `parent` has under the header's last word, if anything, can be gone on with; then that is put in `table`.
fn take(parent: &mut Table, header: &Header, table: &mut Table, report: &mut Report) -> bool {
    let Some(pair) = parent.get_mut(&header.path.last.text) else { return true };
    let clash = Clash::new(&header.path.last, pair);
    match &mut pair.value.data {
        Data::Array { of_tables: true, .. } if header.array => true,
        Data::Table(existing) if !header.array && existing.origin != Origin::Inline => {
            if existing.origin != Origin::Implied {
                Clash { help: "put all of it under the first header", ..clash }.report(report);
            }
            std::mem::swap(table, existing);
            table.origin = Origin::Header;
            true
        }
        _ => {
            clash.report(report);
            false
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
        Data::Array { of_tables: true, .. } if by == Origin::Dotted => Err(clash),
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
    help: &'static str,
}

impl Clash {
    fn new(word: &Word, first: &Pair) -> Self {
        Self {
            word: word.clone(),
            first: first.key.at.clone(),
            closed: false,
            help: "keep one of the two",
        }
    }

    fn closed(self) -> Self {
        Self { closed: true, help: "write all of it in one place", ..self }
    }

    fn report(self, report: &mut Report) {
        let name = &self.word.text;
        let message = if self.closed {
            format!("`{name}` already has a value that nothing can be added to")
        } else {
            format!("`{name}` is written twice")
        };
        report
            .error(codes::TOML_DUPLICATE, &self.word.at, message)
            .here("again here")
            .also(&self.first, "first written here")
            .help(self.help);
    }
}
