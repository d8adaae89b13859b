//! What `tenant` may be told of where rows are.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Place {
    /// Move a tenant's rows of an entity to a partition of its own, with an index for its vectors; run it again if it is
    /// interrupted
    Promote {
        name: String,
        /// The entity; all with vectors if none is named
        entity: Option<String>,
    },
    /// Move them back to the shelf, or undo a move that was interrupted
    Demote {
        name: String,
        /// The entity; all with a partition of the tenant's own if none is named
        entity: Option<String>,
    },
    /// Where tenants' rows are, who decides it and when workers move them
    Placement {
        /// Of one tenant
        name: Option<String>,
        /// Let the tenant's rows of --entity be where they are told, or where workers find right
        #[arg(long, value_enum, requires = "name", requires = "entity")]
        keep: Option<Keep>,
        #[arg(long, requires = "keep")]
        entity: Option<String>,
        /// Workers give a tenant a partition of its own from so many rows of an entity
        #[arg(long, value_name = "ROWS")]
        promote_from: Option<u64>,
        /// And move it back below so many
        #[arg(long, value_name = "ROWS")]
        demote_below: Option<u64>,
        /// An entity has at most so many partitions of tenants' own
        #[arg(long, value_name = "COUNT")]
        most: Option<u64>,
    },
}

/// Who decides where rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// In a partition of the tenant's own
    Own,
    /// On the shelf
    Shelf,
    /// Where workers find right
    Auto,
}
