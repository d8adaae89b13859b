//! Random model files, and random changes of them.

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*};

/// A model file and one that somebody might make of it: things renamed, removed, added, and changed in every way the format
/// knows. Both can be read without errors; not every change can be planned.
pub fn change() -> impl Strategy<Value = (String, String)> {
    vec(any::<u8>(), 0..300).prop_map(|bytes| {
        let mut choices = Choices { bytes: bytes.into_iter(), names: 0 };
        let old = Draft::random(&mut choices);
        let new = old.changed(&mut choices);
        (old.text(), new.text())
    })
}

/// A model file that can be read without errors.
pub fn model() -> impl Strategy<Value = String> {
    change().prop_map(|(old, _)| old)
}

/// Decisions made from bytes. When they run out, every decision is the first possible one, so that fewer bytes and
/// smaller ones make plainer models, which is what proptest looks for when a test fails.
struct Choices {
    bytes: std::vec::IntoIter<u8>,
    names: usize,
}

impl Choices {
    fn pick(&mut self, of: usize) -> usize {
        usize::from(self.bytes.next().unwrap_or(0)) % of
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.pick(one_in) == one_in - 1
    }

    /// A new name each time; every fifth is one that has to be quoted well.
    fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        let odd = if self.chance(5) {
            ["select ", "\"", "'", "\\", "$$", "ß", " ", "A"][self.pick(8)]
        } else {
            ""
        };
        format!("{stem}{odd}{}", self.names)
    }
}

#[derive(Clone)]
struct Draft {
    entities: Vec<Entity>,
    /// The folder of the embedder that is not built in.
    folder: usize,
}

#[derive(Clone)]
struct Entity {
    name: String,
    was: Option<String>,
    fields: Vec<Field>,
    /// Positions as in [`Field::id`].
    uniques: Vec<Vec<usize>>,
    indexes: Vec<Vec<usize>>,
    anonymous: bool,
    id: usize,
}

#[derive(Clone)]
struct Field {
    /// Stays the same when the field is renamed.
    id: usize,
    name: String,
    was: Option<String>,
    kind: Kind,
    optional: bool,
    default: bool,
    bounds: usize,
    unique: bool,
    index: bool,
    search: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Position in [`TYPES`].
    Type(usize),
    Enum(usize),
    /// Entity id, position in [`ON_DELETE`].
    Ref(usize, usize),
    /// Position in [`SHAPES`], how many texts it is made from, whether by the embedder that is not built in.
    Vector(usize, usize, bool),
    /// Position in [`BLOBS`].
    Blob(usize),
}

/// Type, default, bounds of two kinds.
const TYPES: [(&str, &str, [&str; 2]); 14] = [
    ("text", "\"a\"", ["max_length = 9", "min_length = 1, max_length = 7"]),
    ("smallint", "3", ["min = 1", "max = 9"]),
    ("integer", "3", ["min = 1", "min = 2, max = 9"]),
    ("bigint", "3", ["max = 7", "max = 9"]),
    ("numeric", "3", ["min = 1", "max = 9"]),
    ("numeric(8,2)", "3", ["min = 1", "max = 9"]),
    ("double", "0.5", ["min = 0.25", "max = 9.5"]),
    ("boolean", "true", ["", ""]),
    ("uuid", "\"new()\"", ["", ""]),
    ("timestamptz", "\"now()\"", ["", ""]),
    ("date", "\"now()\"", ["", ""]),
    ("jsonb", "{ a = \"b\" }", ["", ""]),
    ("text[]", "[\"a\"]", ["max_length = 4", "min_length = 1"]),
    ("integer[]", "[1, 2]", ["max_length = 4", "min_length = 1"]),
];
const ENUMS: [&str; 3] = ["[\"a\", \"b\"]", "[\"a\", \"it's\"]", "[\"a\"]"];
const ON_DELETE: [&str; 3] = ["restrict", "cascade", "unlink"];
const SHAPES: [&str; 5] =
    ["vector = 16", "vector = 32", "halfvec = 16", "bit = 8", "sparsevec = 20"];
const BLOBS: [&str; 3] = ["", "max = \"1 MB\"", "types = [\"image/*\", \"text/plain\"]"];
const SEARCH: [&str; 3] = ["", "english", "simple"];

impl Draft {
    fn random(choices: &mut Choices) -> Self {
        let mut draft = Self { entities: Vec::new(), folder: 0 };
        for _ in 0..=choices.pick(3) {
            draft.add_entity(choices);
        }
        draft
    }

    fn add_entity(&mut self, choices: &mut Choices) {
        let id = self.entities.iter().map(|entity| entity.id + 1).max().unwrap_or(0);
        let entity = Entity {
            name: choices.name("e"),
            was: None,
            fields: Vec::new(),
            uniques: Vec::new(),
            indexes: Vec::new(),
            anonymous: choices.chance(3),
            id,
        };
        self.entities.push(entity);
        let ids: Vec<usize> = self.entities.iter().map(|entity| entity.id).collect();
        let entity = self.entities.last_mut().expect("one was pushed");
        for _ in 0..=choices.pick(5) {
            entity.fields.push(Field::random(entity.fields.len(), &ids, choices));
        }
        entity.add_keys(choices);
    }

    fn changed(&self, choices: &mut Choices) -> Self {
        let mut new = self.clone();
        new.folder = choices.pick(2);
        new.entities.retain(|_| !choices.chance(8));
        let ids: Vec<usize> = new.entities.iter().map(|entity| entity.id).collect();
        for entity in &mut new.entities {
            entity.was =
                choices.chance(5).then(|| std::mem::replace(&mut entity.name, choices.name("e")));
            entity.change(&ids, choices);
        }
        if choices.chance(4) {
            new.add_entity(choices);
        }
        new
    }

    fn text(&self) -> String {
        let folder = self.folder;
        let mut text = format!(
            "[model]\nname = \"random\"\n\n[embed.house]\nprovider = \"local\"\npath = \"m{folder}\"\npooling = \"mean\"\n"
        );
        for entity in &self.entities {
            entity.write(&self.entities, &mut text);
        }
        text
    }
}

impl Entity {
    fn add_keys(&mut self, choices: &mut Choices) {
        let ids: Vec<usize> = self.fields.iter().map(|field| field.id).collect();
        let key = |choices: &mut Choices| {
            let mut key: Vec<usize> = (0..2).map(|_| ids[choices.pick(ids.len())]).collect();
            key.dedup();
            key
        };
        if choices.chance(3) {
            self.uniques = vec![key(choices)];
        }
        if choices.chance(3) {
            self.indexes = vec![key(choices)];
        }
    }

    fn change(&mut self, entities: &[usize], choices: &mut Choices) {
        let next = self.fields.iter().map(|field| field.id + 1).max().unwrap_or(0);
        self.fields.retain(|_| !choices.chance(6));
        for field in &mut self.fields {
            field.was =
                choices.chance(5).then(|| std::mem::replace(&mut field.name, choices.name("f")));
            field.change(entities, choices);
        }
        if choices.chance(3) || self.fields.is_empty() {
            let mut field = Field::random(next, entities, choices);
            field.optional |= !field.default;
            self.fields.push(field);
        }
        if choices.chance(3) {
            (self.uniques, self.indexes) = Default::default();
            self.add_keys(choices);
        }
        self.anonymous ^= choices.chance(4);
        if choices.chance(4) {
            self.fields.reverse();
        }
    }

    fn write(&self, entities: &[Self], text: &mut String) {
        let name = quoted(&self.name);
        let _ = writeln!(text, "\n[entity.{name}]");
        if let Some(was) = &self.was {
            let _ = writeln!(text, "was = {}", quoted(was));
        }
        if self.anonymous {
            text.push_str("anonymous = \"read\"\n");
        }
        for (what, keys) in [("unique", &self.uniques), ("index", &self.indexes)] {
            let keys: Vec<String> = keys.iter().filter_map(|key| self.key(key, entities)).collect();
            let _ = writeln!(text, "{what} = [{}]", keys.join(", "));
        }
        let _ = writeln!(text, "\n[entity.{name}.field]");
        for field in &self.fields {
            field.write(self, entities, text);
        }
    }

    /// A key without the fields that are gone or cannot be part of one.
    fn key(&self, key: &[usize], entities: &[Self]) -> Option<String> {
        let part = |id: &usize| {
            let field = self.fields.iter().find(|field| field.id == *id)?;
            (!matches!(field.kind(entities), Kind::Vector(..) | Kind::Blob(_)))
                .then(|| quoted(&field.name))
        };
        let parts: Vec<String> = key.iter().filter_map(part).collect();
        (!parts.is_empty()).then(|| format!("[{}]", parts.join(", ")))
    }
}

impl Field {
    fn random(id: usize, entities: &[usize], choices: &mut Choices) -> Self {
        let kind = Kind::random(entities, choices);
        let name = choices.name("f");
        let mut field = Self {
            id,
            name,
            was: None,
            kind,
            optional: false,
            default: false,
            bounds: 0,
            unique: false,
            index: false,
            search: 0,
        };
        for _ in 0..choices.pick(4) {
            field.tweak(choices);
        }
        field
    }

    fn change(&mut self, entities: &[usize], choices: &mut Choices) {
        if choices.chance(4) {
            self.kind = match self.kind {
                Kind::Vector(..) => {
                    Kind::Vector(choices.pick(SHAPES.len()), choices.pick(3), choices.chance(3))
                }
                Kind::Blob(_) => Kind::Blob(choices.pick(BLOBS.len())),
                _ if choices.chance(2) => Kind::Type(0),
                _ => Kind::random(entities, choices),
            };
        }
        for _ in 0..choices.pick(3) {
            self.tweak(choices);
        }
    }

    fn tweak(&mut self, choices: &mut Choices) {
        match choices.pick(6) {
            0 => self.optional = !self.optional,
            1 => self.default = !self.default,
            2 => self.bounds = choices.pick(3),
            3 => self.unique = !self.unique,
            4 => self.index = !self.index,
            _ => self.search = choices.pick(SEARCH.len()),
        }
    }

    /// Its kind, unless the entity it refers to is gone.
    fn kind(&self, entities: &[Entity]) -> Kind {
        match self.kind {
            Kind::Ref(target, _) if !entities.iter().any(|entity| entity.id == target) => {
                Kind::Type(8)
            }
            kind => kind,
        }
    }

    fn write(&self, entity: &Entity, entities: &[Entity], text: &mut String) {
        let mut parts = Vec::new();
        let mut optional = self.optional;
        let mut keys = (self.unique, self.index && !self.unique);
        match self.kind(entities) {
            Kind::Type(position) => {
                let (name, default, bounds) = TYPES[position];
                parts.push(format!("type = \"{name}\""));
                parts.extend(self.default.then(|| format!("default = {default}")));
                parts.extend(self.bounds.checked_sub(1).map(|which| bounds[which].to_owned()));
                if position == 0 && self.search > 0 {
                    parts.push(format!("search = \"{}\"", SEARCH[self.search]));
                }
            }
            Kind::Enum(position) => {
                parts.push(format!("enum = {}", ENUMS[position]));
                parts.extend(self.default.then(|| "default = \"a\"".to_owned()));
            }
            Kind::Ref(target, on_delete) => {
                // A circle of required references could never have a first row.
                optional |= target >= entity.id || on_delete == 2;
                let name = entities
                    .iter()
                    .find(|entity| entity.id == target)
                    .map_or("", |entity| &entity.name);
                parts.push(format!(
                    "ref = {}, on_delete = \"{}\"",
                    quoted(name),
                    ON_DELETE[on_delete]
                ));
            }
            Kind::Blob(position) => {
                keys = (false, false);
                parts.extend(["type = \"blob\"".to_owned(), BLOBS[position].to_owned()]);
            }
            Kind::Vector(shape, texts, house) => {
                keys = (false, false);
                parts.push(SHAPES[shape].to_owned());
                let texts: Vec<String> =
                    entity.texts().take(if shape < 3 { texts } else { 0 }).collect();
                if !texts.is_empty() {
                    optional = false;
                    parts.push(format!("of = [{}]", texts.join(", ")));
                    parts.extend(house.then(|| "embed = \"house\"".to_owned()));
                }
            }
        }
        parts.extend(optional.then(|| "optional = true".to_owned()));
        parts.extend(keys.0.then(|| "unique = true".to_owned()));
        parts.extend(keys.1.then(|| "index = true".to_owned()));
        parts.extend(self.was.as_ref().map(|was| format!("was = {}", quoted(was))));
        parts.retain(|part| !part.is_empty());
        let _ = writeln!(text, "{} = {{ {} }}", quoted(&self.name), parts.join(", "));
    }
}

impl Entity {
    fn texts(&self) -> impl Iterator<Item = String> {
        self.fields
            .iter()
            .filter(|field| field.kind == Kind::Type(0))
            .map(|field| quoted(&field.name))
    }
}

impl Kind {
    fn random(entities: &[usize], choices: &mut Choices) -> Self {
        match choices.pick(9) {
            0..=3 => Self::Type(choices.pick(TYPES.len())),
            4 => Self::Enum(choices.pick(ENUMS.len())),
            5 => Self::Ref(entities[choices.pick(entities.len())], choices.pick(ON_DELETE.len())),
            6 => Self::Blob(choices.pick(BLOBS.len())),
            _ => Self::Vector(choices.pick(SHAPES.len()), choices.pick(3), choices.chance(3)),
        }
    }
}

/// A TOML string, which is also a quoted key.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
