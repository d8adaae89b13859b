//! Keys under keys: the keystore, and changing them.

use std::path::PathBuf;

use clap::Subcommand;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// The keystore, its epochs, and whether the database is as new as its ledger
    Status,
    /// Make the keystore of a database that has none
    Init,
    /// Put another key in the place of one; no row is rewritten, and an interrupted change goes on when it is run again
    #[command(subcommand)]
    Rotate(Rotate),
    /// Write all wrapped keys to a new file: with the keystore they open what older backups of the rows hold, but of whoever
    /// was erased
    Export { file: PathBuf },
    /// After a restore: lay exported keys over those of the database that are older or do not open
    Import {
        /// [default: the export that was written beside the keystore when the epoch last changed]
        file: Option<PathBuf>,
    },
    /// After a restore: make the erasures again that the database does not know; `serve` and `work` do it when they start
    Replay,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rotate {
    /// The root key; stop the servers before. What is sealed stays as it is; signed URLs and positions end
    Root {
        /// The file of the new key, made if it is not there; it then has to be put in the old one's place by hand
        /// [default: beside the old one, whose place it takes at the end]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// The epoch's key: from then on no key that exists opens what backups hold of whoever was erased. Workers do it within
    /// 13 hours of an erasure
    Epoch,
    /// A tenant's key
    Tenant { name: String },
    /// A person's key: what is written about them from now on is sealed with it
    Person {
        /// The entity whose rows are people
        entity: String,
        /// The id of the person's row
        id: Uuid,
        #[arg(long)]
        tenant: String,
        /// Seal all that is sealed of them anew, too
        #[arg(long)]
        reseal: bool,
    },
}
