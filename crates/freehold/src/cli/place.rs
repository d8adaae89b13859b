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
        /// Workers give a tenant a partition of its own where measuring all its rows takes longer than so many milliseconds, and
        /// move it back where that takes less than 0.4 of it [default: 10]
        #[arg(long, value_name = "MS", value_parser = millis, conflicts_with_all = ["promote_from", "demote_below"])]
        exact_within: Option<f64>,
        /// Go by rows instead: a partition of its own from so many rows of an entity
        #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
        promote_from: Option<u64>,
        /// And move it back below so many [default: 0.4 of the others]
        #[arg(long, value_name = "ROWS", requires = "promote_from")]
        demote_below: Option<u64>,
        /// Go by the default again
        #[arg(long, conflicts_with_all = ["exact_within", "promote_from", "demote_below"])]
        reset: bool,
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

fn millis(text: &str) -> Result<f64, String> {
    let millis = text.parse().ok().filter(|millis: &f64| *millis > 0.0 && millis.is_finite());
    millis.ok_or_else(|| "write a number of milliseconds above 0".to_owned())
}
