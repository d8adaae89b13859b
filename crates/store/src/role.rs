//! What somebody may do inside a tenant. The role travels in the token that opens a transaction, and PostgreSQL keeps it.

/// A role, from the weakest to the strongest; each may do what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Asks without a key: reads what the model opens to anybody. Runs as another login, whose grants say what that is.
    Anonymous,
    /// Reads rows. Its transactions are read only.
    Reader,
    /// Writes them, too.
    Writer,
    /// Manages the tenant's API keys, too.
    Admin,
}

impl Role {
    /// `anonymous`, `reader`, `writer` or `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }

    /// The role of this name that a key or token can have.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Reader, Self::Writer, Self::Admin].into_iter().find(|role| role.as_str() == name)
    }

    /// As PostgreSQL knows it: 1, 2, 3. Whoever has no key is a reader there, of another login.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Anonymous | Self::Reader => 1,
            Self::Writer => 2,
            Self::Admin => 3,
        }
    }

    pub(crate) fn numbered(number: i64) -> Option<Self> {
        [Self::Reader, Self::Writer, Self::Admin]
            .into_iter()
            .find(|role| i64::from(role.number()) == number)
    }
}
