//! The checked model: entities and their fields. Only [`crate::declare::read`] makes one, so whatever holds a
//! [`Model`] holds one without problems: every name resolves, every default fits its type.

mod blob;
mod coarser;
mod expiry;
mod kept;
mod privacy;
mod slice;
mod sql_type;

pub use self::{
    blob::Blob,
    coarser::{Coarser, Grain},
    kept::KeptQuery,
    slice::Slice,
};
pub use expiry::{Expiry, Remains, Span, Unit};
pub use privacy::{Class, Keep, Lookup, OnErase, Personal, Privacy, Stored, Whose, lookup_column};

use std::collections::BTreeMap;

use crate::{
    catalogue::Catalogue,
    names::Name,
    view::{Capture, ReadModel, Source},
};

/// A whole model file, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub(crate) name: String,
    pub(crate) about: Option<String>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) embedders: BTreeMap<Name, Embedder>,
    pub(crate) classes: BTreeMap<Name, Class>,
    pub(crate) reads: Vec<ReadModel>,
    pub(crate) caches: Vec<KeptQuery>,
    pub(crate) catalogue: Catalogue,
}

impl Model {
    /// Whether a request may say that it opens personal data for this: any purpose, until a class says which there are.
    #[must_use]
    pub fn allows_purpose(&self, purpose: &str) -> bool {
        let classes = || self.classes.values();
        classes().all(|class| class.purposes.is_empty())
            || classes().any(|class| {
                class.purpose == purpose || class.purposes.iter().any(|other| other == purpose)
            })
    }

    /// The queries that are kept ready, in the order of the file.
    #[must_use]
    pub fn caches(&self) -> &[KeptQuery] {
        &self.caches
    }

    /// What the model is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is about, in the author's words.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// The entities, in the order of the file.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The entity called `name`.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| &*entity.name == name)
    }

    /// The declared embedders; `lexical` is always there under its own name.
    #[must_use]
    pub fn embedders(&self) -> &BTreeMap<Name, Embedder> {
        &self.embedders
    }

    /// The classes of personal data, `[personal.…]`.
    #[must_use]
    pub fn classes(&self) -> &BTreeMap<Name, Class> {
        &self.classes
    }

    /// The read models, in the order of the file.
    #[must_use]
    pub fn reads(&self) -> &[ReadModel] {
        &self.reads
    }

    /// The read model called `name`.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<&ReadModel> {
        self.reads.iter().find(|read| &**read.name() == name)
    }

    /// The names of entities and read models that anybody may read without a key.
    pub fn open(&self) -> impl Iterator<Item = &Name> {
        let reads = self.reads.iter().map(|read| &read.shape);
        self.entities.iter().chain(reads).filter(|one| one.anonymous).map(|one| &one.name)
    }

    /// What the change log must carry for the read models, in the order of the entities.
    #[must_use]
    pub fn captures(&self) -> Vec<Capture> {
        let capture = |entity: &Entity| {
            let sources: Vec<_> =
                self.reads.iter().filter_map(|read| read.source(&entity.name)).collect();
            let columns = || {
                let id = Name::new("id").ok();
                id.into_iter().chain(entity.fields.iter().map(|field| field.name.clone()))
            };
            let named = |name: &Name, of: fn(&Source) -> &[Name]| {
                sources.iter().any(|source| of(source).contains(name))
            };
            (!sources.is_empty()).then(|| Capture {
                entity: entity.name.clone(),
                used: columns().filter(|name| named(name, |source| &source.used)).collect(),
                links: columns().filter(|name| named(name, |source| &source.links)).collect(),
            })
        };
        self.entities.iter().filter_map(capture).collect()
    }
}

/// One kind of thing that tenants have rows of; one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Its name, and its table's.
    pub name: Name,
    /// What it was called in the model that is applied now.
    pub was: Option<Name>,
    /// The author's words about it.
    pub about: Option<String>,
    /// Its fields in the order of the file, without `tenant_id` and `id`.
    pub fields: Vec<Field>,
    /// Unique keys, those of single fields (`unique = true`) included.
    pub uniques: Vec<Key>,
    /// Further indexes.
    pub indexes: Vec<Key>,
    /// The columns that tell its rows apart, if it is a read model; an entity's rows have an `id` besides its fields.
    pub key: Option<Vec<Name>>,
    /// Whether its rows are people whose data can be erased.
    pub subject: bool,
    /// What becomes of its rows by age.
    pub expires: Vec<Expiry>,
    /// How long the slices are in which its rows are kept by time, if they are.
    pub slices: Option<Slice>,
    /// Whether anybody may read it without a key.
    pub anonymous: bool,
}

impl Entity {
    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }

    /// The columns that tell its rows apart within a tenant.
    #[must_use]
    pub fn identity(&self) -> Vec<&str> {
        self.key.as_ref().map_or_else(|| vec!["id"], |key| key.iter().map(|name| &**name).collect())
    }
}

/// Fields that are unique together, or indexed together, in this order and always within the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// At least one.
    pub fields: Vec<Name>,
}

/// One field of an entity; one column, and hidden ones where its kind needs them.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, and its column's.
    pub name: Name,
    /// What it was called in the model that is applied now.
    pub was: Option<Name>,
    /// The author's words about it.
    pub about: Option<String>,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null. A vector with `of` always may be, until it is filled.
    pub optional: bool,
    /// The value of rows that do not say one.
    pub default: Option<DefaultValue>,
    /// Bounds on its value.
    pub bounds: Bounds,
    /// Text search configuration (`english`): the text can be searched by words.
    pub search: Option<String>,
    /// Whether it is personal data; always said in an entity that has to do with data subjects, but for references.
    pub privacy: Option<Privacy>,
    /// Of a reference to a data subject: what becomes of the row when that person is erased.
    pub on_erase: Option<OnErase>,
    /// What it is made from at each write: a sealed field, of which it says less.
    pub generalises: Option<Coarser>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// One value.
    Scalar(Scalar),
    /// A one-dimensional array of values; elements may be null.
    Array(Scalar),
    /// One of these texts.
    Enum(Vec<String>),
    /// An embedding.
    Vector(Vector),
    /// The id of a row of an entity of the same tenant.
    Ref(Ref),
    /// The id of a blob that is this row's alone.
    Blob(Blob),
}

/// The plain types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `text`
    Text,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `numeric`, or `numeric(precision, scale)`
    Numeric(Option<(u16, u16)>),
    /// `double precision`
    Double,
    /// `boolean`
    Boolean,
    /// `uuid`
    Uuid,
    /// `timestamptz`
    TimestampTz,
    /// `date`
    Date,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
}

/// An embedding's shape and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// pgvector's type.
    pub form: VectorForm,
    /// Number of dimensions (of bits, for `bit`).
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
    /// Text fields whose text is embedded when a row is written; empty if the caller brings the vector.
    pub of: Vec<Name>,
    /// Which embedder; `lexical` unless said. Meaningless if `of` is empty.
    pub embedder: Name,
    /// When it is embedded.
    pub when: When,
}

/// pgvector's types, and PostgreSQL's `bit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VectorForm {
    /// `vector`: 4-byte floats
    Vector,
    /// `halfvec`: 2-byte floats
    Halfvec,
    /// `sparsevec`
    Sparsevec,
    /// `bit(n)`
    Bit,
}

/// pgvector's distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `<=>`, 0 … 2
    Cosine,
    /// `<->`
    L2,
    /// `<#>`, the negative inner product
    Ip,
    /// `<+>`
    L1,
    /// `<~>`, bits only
    Hamming,
    /// `<%>`, bits only
    Jaccard,
}

/// Whether a vector with `of` is made in the write's own transaction or may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// The write fails if the embedder does.
    Now,
    /// The row is stored with an empty vector if the embedder is down; a worker fills it.
    Later,
}

/// A reference to a row of the same tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Which entity; may be the referring one.
    pub entity: Name,
    /// What happens to the referring row when the referred one is deleted.
    pub on_delete: OnDelete,
}

/// What happens to a referring row when the row it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnDelete {
    /// The deletion is refused.
    Restrict,
    /// It is deleted too.
    Cascade,
    /// Its reference becomes null; the field is optional.
    Unlink,
}

/// A default, as PostgreSQL will be given it.
#[derive(Debug, Clone, PartialEq)]
pub enum DefaultValue {
    /// A constant in its type's text form (arrays and JSON included).
    Constant(String),
    /// `now()`, the time of the transaction.
    Now,
    /// A new UUIDv7.
    NewUuid,
}

/// Bounds on a value, each as written and all inclusive.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// Least value, in the type's text form.
    pub min: Option<String>,
    /// Greatest value, in the type's text form.
    pub max: Option<String>,
    /// Least length: characters of a text, bytes of a bytea, elements of an array.
    pub min_length: Option<u32>,
    /// Greatest length, in the same units.
    pub max_length: Option<u32>,
}

/// Where embeddings of a name come from: which model made a vector is part of what the vector means, so changing it
/// makes every vector anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Embedder {
    /// Hashed word and character n-grams; built in.
    Lexical,
    /// An OpenAI-compatible `POST {url}/embeddings`.
    Http {
        /// Base URL, such as `https://api.openai.com/v1`.
        url: String,
        /// The model's name as the provider knows it.
        model: String,
        /// A file that holds the bearer key, relative to the model file.
        key_file: Option<String>,
        /// Whole time one call may take, in seconds.
        timeout_s: u32,
        /// Texts in one call.
        batch: u32,
    },
    /// A folder with `config.json`, `tokenizer.json` and `model.safetensors` of a BERT-style sentence model.
    Local {
        /// The folder, relative to the model file.
        path: String,
        /// How token vectors become one.
        pooling: Pooling,
    },
}

/// How token vectors become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The mean over all tokens (MiniLM).
    Mean,
    /// The first token's (BGE).
    Cls,
}
