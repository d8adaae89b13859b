//! Every code a diagnostic can have, with what it means.

macro_rules! codes {
    ($($name:ident = $code:literal, $about:literal;)+) => {
        $(pub(super) const $name: &str = $code;)+

        /// All codes and what each means, in the order of their documentation.
        pub const CODES: &[(&str, &str)] = &[$(($code, $about),)+];
    };
}

codes! {
    TOML_SYNTAX = "toml.syntax", "The file is not TOML here.";
    TOML_DUPLICATE = "toml.duplicate-key", "A key or table is written twice.";
    TOML_TOO_DEEP = "toml.too-deep", "Tables or arrays are nested deeper than any part of a model is.";
    FILE_TOO_LARGE = "file.too-large", "The file is larger than a model file may be.";
    NOT_BUILT = "not-built", "A part of the format that this version cannot do yet.";
    KEY_UNKNOWN = "key.unknown", "The format has no such key.";
    KEY_MISSING = "key.missing", "A key that must be there is not.";
    KEY_MISPLACED = "key.misplaced", "The key has no meaning for this kind of field or embedder.";
    VALUE_WRONG_TYPE = "value.wrong-type", "The value has another form than its key takes.";
    VALUE_OUT_OF_RANGE = "value.out-of-range", "The number is outside what its key takes.";
    VALUE_UNKNOWN_CHOICE = "value.unknown-choice", "The value is none of those its key takes.";
    VALUE_INVALID = "value.invalid", "The text is not what its key takes.";
    NAME_INVALID = "name.invalid", "The text cannot be a name.";
    NAME_RESERVED = "name.reserved", "The name is taken by Freehold or PostgreSQL.";
    NAME_LOOKALIKE = "name.lookalike", "Warning: two names differ in upper and lower case only.";
    NAME_QUERY_WORD = "name.query-word", "Warning: the name means something else in a query string.";
    NAME_UNSEEN = "name.unseen", "Warning: the name has a character that nobody sees.";
    MODEL_EMPTY = "model.empty", "Warning: the model has no entities.";
    MODEL_TOO_LARGE = "model.too-large", "More of something than a model may have.";
    CACHE_QUERY = "cache.query", "A kept query that cannot be asked.";
    CACHE_FLEETING = "cache.fleeting", "A kept query whose answer cannot be kept.";
    ENTITY_EMPTY = "entity.empty", "Warning: the entity has no fields.";
    ENTITY_CYCLE = "entity.cycle", "Required references form a circle, so that no first row can be written.";
    ENTITY_SELF = "entity.self", "Warning: a required reference to the entity itself.";
    FIELD_NO_TYPE = "field.no-type", "The field does not say what it holds.";
    FIELD_TWO_TYPES = "field.two-types", "The field says twice what it holds.";
    FIELD_UNKNOWN_TYPE = "field.unknown-type", "There is no such type.";
    FIELD_PRECISION = "field.precision", "The precision or scale of a numeric cannot be.";
    ENUM_EMPTY = "enum.empty", "An enum without values.";
    ENUM_INVALID = "enum.invalid", "A text that cannot be a value of an enum.";
    ENUM_REPEATED = "enum.repeated", "An enum has a value twice.";
    REF_UNKNOWN = "ref.unknown", "A reference to an entity that does not exist.";
    REF_UNLINK = "ref.unlink", "`on_delete = \"unlink\"` on a reference that may not be empty.";
    DEFAULT_INVALID = "default.invalid", "The default is no value of the field's type.";
    DEFAULT_OUT_OF_BOUNDS = "default.out-of-bounds", "The field's own bounds forbid its default.";
    BOUND_INVALID = "bound.invalid", "The bound is no value of the field's type.";
    BOUND_MEANINGLESS = "bound.meaningless", "The field's type has no such bound.";
    BOUND_EMPTY = "bound.empty", "The lower bound is above the upper.";
    SEARCH_NOT_TEXT = "search.not-text", "Search by words in a field that is not text.";
    KEY_FIELDS_EMPTY = "index.empty", "A unique key or index without fields.";
    KEY_FIELDS_UNKNOWN = "field.unknown", "The entity has no such field.";
    KEY_FIELDS_REPEATED = "index.repeated-field", "A unique key or index names a field twice.";
    KEY_FIELDS_TOO_MANY = "index.too-many-fields", "More fields than an index can have.";
    KEY_FIELDS_VECTOR = "index.vector", "A vector cannot be part of a unique key or index.";
    KEY_REDUNDANT = "index.redundant", "Warning: another unique key or index does the same.";
    KEY_WHOLE_VALUE = "index.whole-value", "Warning: an index that only finds equal whole values.";
    VECTOR_NOT_INDEXABLE = "vector.not-indexable", "Warning: more dimensions than an approximate index can have.";
    VECTOR_OF_INVALID = "vector.of", "A field that is not text cannot be embedded.";
    VECTOR_NEEDS_OF = "vector.needs-of", "`embed` and `when` mean nothing without `of`.";
    VECTOR_OPTIONAL = "vector.optional", "A vector made from text cannot be required.";
    VECTOR_LEXICAL = "vector.lexical", "The built-in embedder does not make vectors of this size.";
    EMBED_UNKNOWN = "embed.unknown", "There is no such embedder.";
    EMBED_RESERVED = "embed.reserved", "`lexical` is built in and cannot be declared again.";
    EMBED_UNUSED = "embed.unused", "Warning: no field uses the embedder.";
    BLOB_SIZE = "blob.size", "The size of a blob cannot be read, or is too large.";
    BLOB_TYPE = "blob.type", "The text is no content type.";
    BLOB_PATH = "blob.path", "A field that cannot name blobs: it must be a text, unique and always there.";
    PERSONAL_OPEN = "personal.open", "A field of an entity that has to do with data subjects does not say whether it is personal data.";
    PERSONAL_BOTH = "personal.both", "A field is personal data and says why it is not.";
    PERSONAL_CLASS = "personal.class", "There is no such class of personal data.";
    PERSONAL_UNUSED = "personal.unused", "Warning: no field is of the class.";
    PERSONAL_RETENTION = "personal.retention", "The retention of a class cannot be read.";
    PERSONAL_VECTOR = "personal.vector", "A vector of personal data says how it is kept.";
    PERSONAL_KIND = "personal.kind", "A value of this type, or with such a rule, cannot be sealed.";
    PERSONAL_WHOSE = "personal.whose", "It cannot be told whose data a field is.";
    PERSONAL_LOOKUP = "personal.lookup", "A sealed field cannot be looked up so.";
    PERSONAL_ERASE = "personal.erase", "What becomes of a row when a person is erased does not fit.";
    ANONYMOUS_PERSONAL = "anonymous.personal", "An entity with personal data cannot be read without a key.";
    EXPIRE_RULE = "expire.rule", "A rule of expiry cannot be read, or does not fit the fields.";
    ENTITY_SLICES = "entity.slices", "An entity cannot be kept in slices of time as it is.";
    READ_SYNTAX = "read.syntax", "The text of a read model is no SQL.";
    READ_NAME = "read.name", "The SQL of a read model names something that is not there, or names two things alike.";
    READ_TYPE = "read.type", "Types in the SQL of a read model that do not fit.";
    READ_FUNCTION = "read.function", "A function that a read model cannot call.";
    READ_FORM = "read.form", "SQL that cannot be kept up to date, or is not supported.";
    READ_KEY = "read.key", "The key of a read model does not fit its SQL.";
    READ_TAKEN = "read.taken", "A read model and an entity have the same name.";
    READ_COARSE = "read.coarse", "Warning: each change recomputes more rows than it touches.";
    RENAME_SELF = "rename.self", "`was` is the name it has now.";
    RENAME_TAKEN = "rename.taken", "`was` is the name of another one that still exists.";
    RENAME_TWICE = "rename.twice", "Two were the same one before.";
}
