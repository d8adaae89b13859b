//! The table of everything a model file may say. The reader walks it and the JSON schema is made from it.

use super::kind::TYPES;
use crate::entity::Lookup;

/// A table of the file: which keys it has.
#[derive(Debug)]
pub(super) struct Section {
    /// What one is called in a sentence, with an article.
    pub(super) noun: &'static str,
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) variants: Variants,
}

/// How the kinds of a section are told apart, if it has kinds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Variants {
    One,
    /// By which one of these keys it has.
    Key(&'static [&'static str]),
    /// By the value of a key.
    Value(&'static str, &'static [&'static str]),
}

/// A key and what it takes.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) about: &'static str,
    /// The variants it belongs to; none means all.
    pub(super) fits: &'static [&'static str],
    pub(super) required: bool,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// The name of a type.
    Type,
    /// `true` or `false`.
    Flag,
    /// An integer between these, inclusive.
    Count(u32, u32),
    /// One of these.
    Choice(&'static [&'static str]),
    /// An array of texts.
    Texts,
    /// An array of arrays of field names.
    Keys,
    /// The same, where a single name may stand for an array of one.
    KeysOrNames,
    /// A value of the field's type.
    Constant,
    /// A table.
    Section(&'static Section),
    /// A table of tables, by name.
    Named(&'static Section),
    /// An array of tables.
    Rules(&'static Section),
    /// A table of languages by name.
    Languages,
    /// Planned; refused by name.
    NotBuilt,
}

/// Text search configurations of PostgreSQL 15, the oldest that Freehold runs on.
pub(super) const LANGUAGES: [&str; 29] = [
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

/// Names of all plain types, with a word for each.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> + Clone {
    TYPES.iter().map(|(name, _)| *name)
}

pub(super) static ROOT: Section = Section {
    noun: "a model file",
    about: "A Freehold model: what each tenant has rows of.",
    keys: &[
        must("model", Form::Section(&MODEL), "What the model is called and what it is about."),
        key(
            "embed",
            Form::Named(&EMBED),
            "Where embeddings come from, by a name that vector fields use. `lexical` is built in.",
        ),
        key(
            "entity",
            Form::Named(&ENTITY),
            "The kinds of things that tenants have rows of; one table each.",
        ),
        key(
            "read",
            Form::Named(&READ),
            "Read models: the answers of SQL, kept in tables that workers keep up to date.",
        ),
        key(
            "cache",
            Form::Named(&super::caches::CACHE),
            "Queries whose answers are kept ready: made again as soon as they change, before anybody asks.",
        ),
        later("blob", "Where assets are stored."),
        key(
            "personal",
            Form::Named(&PERSONAL),
            "The classes of personal data, by a name that fields use: why it is kept, on which ground, for how long.",
        ),
    ],
    variants: Variants::One,
};

pub(super) static MODEL: Section = Section {
    noun: "`model`",
    about: "What the model is called and what it is about.",
    keys: &[
        must("name", Form::Text, "What the model is called."),
        key("about", Form::Text, "What it is about, in your own words."),
    ],
    variants: Variants::One,
};

const HTTP: &[&str] = &["http"];
const LOCAL: &[&str] = &["local"];

pub(super) static EMBED: Section = Section {
    noun: "an embedder",
    about: "An embedder. Which model makes a vector is part of what the vector means: changing it makes every vector anew.",
    keys: &[
        must(
            "provider",
            Form::Choice(&["lexical", "http", "local"]),
            "`lexical`: word and character n-grams, built in. `http`: an OpenAI-compatible service. `local`: a model folder on this machine.",
        ),
        must("url", Form::Text, "Base URL, such as `https://api.openai.com/v1`; texts are posted to `{url}/embeddings`.").of(HTTP),
        must("model", Form::Text, "The model's name as the service knows it.").of(HTTP),
        key("key_file", Form::Text, "A file that holds the service's key, relative to the model file.").of(HTTP),
        key("timeout", Form::Count(1, 600), "Seconds that one call may take; 30 unless said.").of(HTTP),
        key("batch", Form::Count(1, 2048), "Texts in one call; 64 unless said.").of(HTTP),
        must("path", Form::Text, "A folder with `config.json`, `tokenizer.json` and `model.safetensors`, relative to the model file.").of(LOCAL),
        must("pooling", Form::Choice(&["mean", "cls"]), "How token vectors become one: `mean` for MiniLM and E5, `cls` for BGE.").of(LOCAL),
    ],
    variants: Variants::Value("provider", &["lexical", "http", "local"]),
};

pub(super) static ENTITY: Section = Section {
    noun: "an entity",
    about: "One kind of thing that tenants have rows of. Every row also has a tenant and an `id`, without saying so.",
    keys: &[
        key("about", Form::Text, "What it is, in your own words."),
        key(
            "was",
            Form::Text,
            "Its name in the model that is applied now, to rename it and keep its rows.",
        ),
        key(
            "unique",
            Form::Keys,
            "Fields that are unique together, within each tenant, such as `[[\"team\", \"handle\"]]`.",
        ),
        key(
            "index",
            Form::KeysOrNames,
            "Further indexes, such as `[\"last_seen\", [\"team\", \"last_seen\"]]`. References and unique keys have theirs anyway.",
        ),
        key("field", Form::Named(&FIELD), "Its fields, in this order."),
        key(
            "anonymous",
            Form::Choice(&["read"]),
            "`read`: anybody may read it without a key, where the server's configuration says whose rows. Never with personal data in it.",
        ),
        key("subject", Form::Flag, "Whether its rows are people whose data can be erased."),
        key("expire", Form::Rules(&super::expiry::EXPIRE), "What becomes of its rows by age."),
        key(
            "slices",
            Form::Choice(&["day", "week", "month"]),
            "Keeps its rows in a table for each day, week or month in which they were made, so that what has expired goes by dropping one.",
        ),
    ],
    variants: Variants::One,
};

pub(super) static PERSONAL: Section = Section {
    noun: "a class of personal data",
    about: "A class of personal data. It stands in the register of processing that `freehold privacy report` makes.",
    keys: &[
        must(
            "purpose",
            Form::Text,
            "What it is kept for, in a word or two, such as `account`; what a read opens it for unless it says another purpose.",
        ),
        must(
            "basis",
            Form::Choice(&["consent", "contract", "duty", "vital", "public", "interest"]),
            "On which ground: consent, a contract, a legal duty, vital interests, a public task, or legitimate interests.",
        ),
        must(
            "retention",
            Form::Text,
            "How long it is kept, such as `\"3 years\"`, or `\"until erased\"`.",
        ),
        key("about", Form::Text, "What it is, in your own words."),
        key("source", Form::Text, "Where it comes from, if not from the person themselves."),
        key("recipients", Form::Texts, "Who else gets it."),
        key(
            "purposes",
            Form::Texts,
            "What else its fields are opened for, where a request says so. Once a class says it, requests can say no purpose that none has.",
        ),
    ],
    variants: Variants::One,
};

pub(super) static READ: Section = Section {
    noun: "a read model",
    about: "The answers of a `select`, kept in a table that workers keep up to date, and read like an entity.",
    keys: &[
        key("about", Form::Text, "What it is, in your own words."),
        must(
            "key",
            Form::Texts,
            "The columns that tell its rows apart, such as `[\"author\", \"month\"]`.",
        ),
        must(
            "sql",
            Form::Text,
            "A `select` over the entities, by their names and their fields' names; all of one tenant without saying so.",
        ),
        key(
            "index",
            Form::KeysOrNames,
            "Indexes besides that of the key, such as `[\"month\", [\"author\", \"commits\"]]`.",
        ),
        key(
            "search",
            Form::Languages,
            "Texts that can be searched by words, each with its language, such as `{ subject = \"english\" }`.",
        ),
        key(
            "anonymous",
            Form::Choice(&["read"]),
            "`read`: anybody may read it without a key, where the server's configuration says whose rows.",
        ),
    ],
    variants: Variants::One,
};

/// The keys that say what a field holds.
pub(super) const KINDS: [&str; 7] =
    ["type", "enum", "ref", "vector", "halfvec", "sparsevec", "bit"];

const PLAIN: &[&str] = &["type"];
const VALUES: &[&str] = &["type", "enum"];
const KEYED: &[&str] = &["type", "enum", "ref"];
const REF: &[&str] = &["ref"];
const NUMBERS: &[&str] = &["vector", "halfvec", "sparsevec"];
const DENSE: &[&str] = &["vector", "halfvec"];
const BIT: &[&str] = &["bit"];
const VECTORS: &[&str] = &["vector", "halfvec", "sparsevec", "bit"];

pub(super) static FIELD: Section = Section {
    noun: "a field",
    about: "A field. Exactly one of `type`, `enum`, `ref`, `vector`, `halfvec`, `sparsevec` and `bit` says what it holds.",
    keys: &[
        must("type", Form::Type, "A plain type, or an array of one with `[]`.").of(PLAIN),
        must("enum", Form::Texts, "The texts it may hold.").of(&["enum"]),
        must("ref", Form::Text, "The entity that it refers to.").of(REF),
        must("vector", Form::Count(1, 16_000), "An embedding of so many 4-byte floats.").of(&["vector"]),
        must("halfvec", Form::Count(1, 16_000), "An embedding of so many 2-byte floats.").of(&["halfvec"]),
        must("sparsevec", Form::Count(1, 1_000_000_000), "An embedding of so many dimensions, most of them zero.").of(&["sparsevec"]),
        must("bit", Form::Count(1, 64_000), "An embedding of so many bits.").of(BIT),
        key("about", Form::Text, "What it is, in your own words."),
        key("was", Form::Text, "Its name in the model that is applied now, to rename it and keep its values."),
        key("optional", Form::Flag, "Whether it may be empty; `false` unless said."),
        key("unique", Form::Flag, "Whether no two rows of a tenant have the same value.").of(KEYED),
        key("index", Form::Flag, "Whether rows are looked up or sorted by it.").of(KEYED),
        key("default", Form::Constant, "The value of rows that do not say one; `\"now()\"` for the time of the write, `\"new()\"` for a new uuid.")
            .of(VALUES),
        key("min", Form::Constant, "Least value, for numbers, dates and times.").of(PLAIN),
        key("max", Form::Constant, "Greatest value, for numbers, dates and times; greatest size of a blob, such as `\"10 MB\"`.").of(PLAIN),
        key("types", Form::Texts, "Content types that a blob may have, such as `[\"image/png\", \"video/*\"]`; any unless said.").of(PLAIN),
        key("path", Form::Text, "The text field that names the blobs, which makes them a bucket.").of(PLAIN),
        key("min_length", Form::Count(0, 1 << 30), "Least length: characters of a text, bytes of a bytea, elements of an array.").of(PLAIN),
        key("max_length", Form::Count(0, 1 << 30), "Greatest length, in the same units.").of(PLAIN),
        key("search", Form::Choice(&LANGUAGES), "Makes the text searchable by words of this language.").of(PLAIN),
        key(
            "on_delete",
            Form::Choice(&["restrict", "cascade", "unlink"]),
            "When the row it refers to is deleted: refuse that (`restrict`, unless said), delete this row too, or empty the reference.",
        )
        .of(REF),
        key("metric", Form::Choice(&["cosine", "l2", "ip", "l1"]), "How distance is measured; `cosine` unless said.").of(NUMBERS),
        key("metric", Form::Choice(&["hamming", "jaccard"]), "How distance is measured; `hamming` unless said.").of(BIT),
        key("of", Form::Texts, "Text fields whose text is embedded when a row is written.").of(DENSE),
        key("embed", Form::Text, "The embedder, declared under `[embed.…]`; `lexical` unless said.").of(DENSE),
        key(
            "when",
            Form::Choice(&["now", "later"]),
            "`now` (unless said): in the write's own transaction. `later`: a worker may fill it if the embedder is down.",
        )
        .of(DENSE),
        key("personal", Form::Text, "Its class of personal data, declared under `[personal.…]`; the value is sealed."),
        key("not_personal", Form::Text, "Why it is no personal data, in your own words."),
        key("subject", Form::Text, "Whose data it is: the reference to the data subject, where there are several."),
        key("lookup", Form::Choice(&Lookup::NAMES), "Finds sealed values again by equality: as e-mail addresses, phone numbers, without regard to case, or exactly.").of(VALUES),
        key("lookup_why", Form::Text, "Why few possible values may be looked up all the same: equal values can be told, and so counted.").of(VALUES),
        key("generalises", Form::Text, "The sealed field of this entity that it says less of, in the open, and what it says: `\"born to year\"`, `\"postcode to 2 characters\"`, `\"income to 1000\"`. It is made at each write of that field.").of(PLAIN),
        key("stored", Form::Choice(&["derived", "sealed", "open"]), "How a vector of personal data is kept: `derived`, sealed and searched in a copy that is in no backup; `sealed`, and searched row by row by the server; or `open`, as it is.").of(VECTORS),
        key("stored_why", Form::Text, "Why it is kept in the open, in your own words: in the register, the audit and every receipt.").of(VECTORS),
        key(
            "on_erase",
            Form::Choice(&["delete", "blank", "unlink", "keep"]),
            "When the person it refers to is erased: delete this row (`delete`), empty what is theirs in it (`blank`), empty the reference, too (`unlink`), or keep it for a while (`keep`).",
        )
        .of(REF),
        key("keep_for", Form::Text, "How long `keep` keeps, such as `\"10 years\"`.").of(REF),
        key("keep_why", Form::Text, "The duty by which `keep` keeps, in your own words.").of(REF),
    ],
    variants: Variants::Key(&KINDS),
};

pub(super) const fn key(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, form, about, fits: &[], required: false }
}

pub(super) const fn must(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, form, about, fits: &[], required: true }
}

const fn later(name: &'static str, about: &'static str) -> Key {
    Key { name, form: Form::NotBuilt, about, fits: &[], required: false }
}

impl Key {
    const fn of(mut self, fits: &'static [&'static str]) -> Self {
        self.fits = fits;
        self
    }

    /// Whether a section of this variant has the key; without one known, any has it.
    pub(super) fn fits(&self, variant: Option<&str>) -> bool {
        self.fits.is_empty() || variant.is_none_or(|variant| self.fits.contains(&variant))
    }
}

/// What a variant is called in a sentence.
pub(super) fn variant_noun(variant: &str) -> &'static str {
    match variant {
        "type" => "a field of a plain type",
        "enum" => "an enum",
        "ref" => "a reference",
        "vector" => "a `vector`",
        "halfvec" => "a `halfvec`",
        "sparsevec" => "a `sparsevec`",
        "bit" => "a `bit` vector",
        "lexical" => "the `lexical` provider",
        "http" => "an `http` provider",
        _ => "a `local` provider",
    }
}
