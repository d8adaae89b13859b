//! Privacy duties: erasing people, holding, expiring.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Erase {
    #[command(subcommand)]
    pub(crate) what: Option<EraseList>,
    /// The entity whose rows are people
    #[arg(required = true)]
    pub(crate) entity: Option<String>,
    /// The id of the person's row
    #[arg(required = true)]
    pub(crate) id: Option<Uuid>,
    #[arg(long, required = true)]
    pub(crate) tenant: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EraseList {
    /// Erasures, and how far each is
    List,
    /// Receipts of what was erased and what expired, each a line of JSON; and whether their signatures and their chain are whole
    Receipts,
}

#[derive(Debug, Args)]
pub(crate) struct Expire {
    /// Of this tenant alone
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only show what is over and not removed yet
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove what is over now, and end; workers do it every five minutes
    #[arg(long, conflicts_with = "dry_run", required_unless_present = "dry_run")]
    pub(crate) once: bool,
    /// Write the receipts of what was removed row by row today, too, of all tenants; else they come when the day is over, by UTC
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) receipts: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Keep a person's rows, or all of a tenant, from everything that destroys
    Place {
        /// The id of the person's row; all of the tenant without one
        id: Option<Uuid>,
        #[arg(long)]
        tenant: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// When it ends by itself, such as 2030-01-01
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Holds, the released included
    List {
        #[arg(long)]
        tenant: Option<String>,
    },
    /// End a hold; erasures that it held up go on
    Release { hold: Uuid },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Privacy {
    /// The register of processing: fields, purposes, bases, retention, opens by purpose, erasures, holds
    Report {
        #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
        format: ReportFormat,
    },
    /// What is one person's, with their files: encrypted to recipients as a tar archive, or in the open as JSON lines and a folder
    Export {
        /// The entity whose rows are people
        entity: String,
        /// The id of the person's row
        id: Uuid,
        #[arg(long)]
        tenant: String,
        /// A new file that only its owner can read
        file: PathBuf,
        /// Encrypt it to this public key of age, `age1…`; several can open it then
        #[arg(long, value_name = "KEY")]
        recipient: Vec<String>,
        /// The same for each line of a file that is neither empty nor begins with `#`
        #[arg(long, value_name = "FILE")]
        recipient_file: Vec<PathBuf>,
        /// Only what is known of their files, not the files
        #[arg(long)]
        without_files: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Json,
    Markdown,
    Html,
}
