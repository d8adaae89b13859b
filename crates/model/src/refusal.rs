//! Why a request is refused: the caller's side of every error.

use std::fmt;

/// A refusal is the caller's: what was asked for cannot be done as it stands, and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal; stable.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, or with which value.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without detail or hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:literal;)+) => {
        /// The closed list of refusals. Where PostgREST or PostgreSQL has a code for the case it is theirs, because
        /// clients already know it; Freehold's own begin with `FH`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All codes, in the order of their documentation.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            /// The stable text clients may match on.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }

            /// The HTTP status that says the same.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Code::$name => $status,)+ }
            }
        }
    };
}

codes! {
    /// The query string cannot be read.
    Syntax = "PGRST100", 400;
    /// The body cannot be read: not JSON, not UTF-8, rows with different keys, unknown media type.
    Body = "PGRST102", 400;
    /// A PUT does not name its row by its id or a unique key.
    PutFilters = "PGRST105", 405;
    /// The range asked for is impossible.
    Range = "PGRST103", 416;
    /// The schema asked for is not the one that is served.
    Profile = "PGRST106", 406;
    /// The media types the caller accepts are not served.
    NotAcceptable = "PGRST107", 406;
    /// A filter, order or limit names an embed that `select` does not have.
    EmbedNotSelected = "PGRST108", 400;
    /// A PUT has limit or offset.
    PutRange = "PGRST114", 400;
    /// The row of a PUT is another than the one its URL names.
    PutMismatch = "PGRST115", 400;
    /// Not exactly one row where one was asked for.
    NotSingular = "PGRST116", 406;
    /// The method does not fit the path.
    Method = "PGRST117", 405;
    /// Ordering by an embed that has many rows.
    OrderByMany = "PGRST118", 400;
    /// An embed is compared with something else than null.
    EmbedCompared = "PGRST120", 400;
    /// A header or preference cannot be read.
    Preference = "PGRST122", 400;
    /// More rows would be written than `max-affected` allows.
    TooManyAffected = "PGRST124", 400;
    /// The path is not served.
    Path = "PGRST125", 404;
    /// A combination of the language's parts that has no meaning.
    NotImplemented = "PGRST127", 400;
    /// No relationship between two entities.
    NoRelationship = "PGRST200", 400;
    /// More than one relationship between two entities.
    AmbiguousRelationship = "PGRST201", 300;
    /// No function takes these arguments.
    NoSuchFunction = "PGRST202", 404;
    /// More than one function takes these arguments.
    AmbiguousFunction = "PGRST203", 300;
    /// An entity has no such field.
    NoSuchField = "PGRST204", 400;
    /// No such entity.
    NoSuchEntity = "PGRST205", 404;
    /// No key, or one that is wrong, expired or revoked.
    Unauthenticated = "PGRST301", 401;
    /// A value does not have its field's form.
    InvalidValue = "22P02", 400;
    /// A number outside its type's range.
    OutOfRange = "22003", 400;
    /// A text longer than allowed, or of bytes that are not text.
    InvalidText = "22021", 400;
    /// A date or time that does not exist.
    InvalidTime = "22007", 400;
    /// A required field is missing.
    Required = "23502", 400;
    /// A reference to a row that is not there, or from one that still is.
    Reference = "23503", 409;
    /// A unique key is taken.
    Conflict = "23505", 409;
    /// A declared check fails.
    Check = "23514", 400;
    /// A function changes something although it says that it does not, or was called by a method that only reads.
    ReadOnly = "25006", 405;
    /// A function of the operator's refuses, in its own words.
    Raised = "P0001", 400;
    /// The caller may not do this.
    Forbidden = "42501", 403;
    /// The statement took longer than allowed.
    TooSlow = "57014", 504;
    /// A deadlock or serialisation failure; trying again is right.
    TryAgain = "40001", 503;
    /// No tenant of this name.
    NoSuchTenant = "FH001", 404;
    /// The tenant is suspended or being deleted.
    TenantSuspended = "FH002", 403;
    /// A tenant of this name exists.
    TenantExists = "FH003", 409;
    /// More than a limit allows.
    Limit = "FH004", 413;
    /// More requests than a tenant or key may make; later is right.
    TooMany = "FH005", 429;
    /// No blob there, or no upload of this id; the code by which storage clients know it.
    NoSuchBlob = "NoSuchKey", 404;
    /// A blob of this content type is not taken.
    BlobType = "FH071", 415;
    /// The tenant has no room left.
    Quota = "FH072", 413;
    /// The object storage cannot be reached or fails.
    Storage = "FH073", 503;
    /// The body is compressed, or encoded otherwise; it is read as it is.
    Encoded = "FH075", 415;
    /// A condition of the request does not hold.
    Precondition = "FH074", 412;
    /// The bytes of a blob are missing in the object storage, or cut; only a backup of it can bring them back.
    BlobLost = "FH076", 500;
    /// Sealed personal data is compared, sorted or computed with as only what PostgreSQL sees can be.
    Sealed = "FH080", 400;
    /// The person is being erased, or is erased.
    Erased = "FH081", 410;
    /// A legal hold keeps it.
    Held = "FH082", 409;
    /// The copy in which sealed vectors are searched is not whole, and is being made again; trying again is right.
    CopyNotWhole = "FH083", 503;
    /// The vector has the wrong number of dimensions or a value that is not finite.
    Vector = "FH010", 400;
    /// The provider that makes embeddings cannot be reached or refuses.
    Embedder = "FH011", 503;
    /// The model file has problems.
    Model = "FH020", 422;
    /// The model changed underneath, or another apply is running.
    ApplyConflict = "FH021", 409;
    /// A destructive step was not allowed by name.
    Destructive = "FH022", 409;
    /// The server does not meet the requirements.
    Server = "FH030", 503;
    /// Part of the product that is not built yet.
    NotBuilt = "FH040", 501;
    /// A file to import cannot be read, or has bad rows.
    Import = "FH050", 422;
    /// Bad arguments on the command line, or a file that cannot be read.
    Usage = "FH060", 400;
    /// A read model does not show yet what a read was to wait for.
    Stale = "FH070", 504;
}
