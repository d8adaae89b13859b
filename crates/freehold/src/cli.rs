//! The command line, as `--help` shows it.

mod audit;
mod bench;
mod blobs;
mod build;
mod global;
mod keys;
mod place;
mod privacy;
mod query;
mod role;
mod search;
mod token;

use std::{io::IsTerminal as _, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use audit::{Audit, ProfileName, Threshold};
pub(crate) use bench::{Bench, BenchName};
pub(crate) use blobs::{Blobs, BlobsAt};
pub(crate) use build::{Apply, Rebuild};
pub(crate) use global::Global;
pub(crate) use keys::{Keys, Rotate};
pub(crate) use place::{Keep, Place};
pub(crate) use privacy::{Erase, EraseList, Expire, Hold, Privacy, ReportFormat};
pub(crate) use query::Query;
pub(crate) use role::RoleName;
use role::days;
pub(crate) use search::{SearchBench, Sure};
pub(crate) use token::Token;

/// One PostgreSQL as a multi-tenant data platform: business data and embeddings in the same rows, every tenant
/// walled off by the database kernel.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a model file to start from, explained
    Init {
        /// Overwrite a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Read the model; show every problem at its line, with the mend
    Check {
        #[command(subcommand)]
        what: Option<Check>,
    },
    /// Print the JSON schema of the model file, for editors
    Schema,
    /// Show what applying the model would do, as SQL
    Plan,
    /// Make the database what the model says
    Apply(Apply),
    /// Create, list, suspend, resume and delete tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(Key),
    /// Erase a person: whatever is theirs, everywhere, with a receipt
    Erase(Erase),
    /// Remove what is over by the model's rules of expiry
    Expire(Expire),
    /// Legal holds: place, list, release
    #[command(subcommand)]
    Hold(Hold),
    /// Keys under keys: the keystore, rotation, export, restore
    #[command(subcommand)]
    Keys(Keys),
    /// The register of processing, and what is one person's
    #[command(subcommand)]
    Privacy(Privacy),
    /// Query rows in PostgREST's grammar: 'person?select=handle&limit=5'
    Query(Query),
    /// Insert rows: a JSON object, an array, or @FILE, or - for standard input
    Insert {
        entity: String,
        rows: String,
        #[arg(long)]
        tenant: String,
        /// Update the row whose key is taken instead of failing
        #[arg(long)]
        upsert: bool,
        /// Key that decides whether a row is taken [default: id]
        #[arg(long, value_name = "FIELDS", requires = "upsert")]
        on_conflict: Option<String>,
    },
    /// Update rows that match: 'person?handle=eq.ada' '{"team":"x"}'
    Update {
        /// ENTITY?FILTERS
        query: String,
        values: String,
        #[arg(long)]
        tenant: String,
    },
    /// Delete rows that match: 'person?handle=eq.ada'
    Delete {
        /// ENTITY?FILTERS
        query: String,
        #[arg(long)]
        tenant: String,
    },
    /// Load rows from JSON lines or CSV
    Import(Import),
    /// Write all rows of an entity as JSON lines or CSV
    Export(Export),
    /// Plain SQL inside a tenant's wall: a text, a file, standard input, or a prompt
    Sql(Sql),
    /// A token with which a driver of your own opens one tenant in one backend: call freehold.open('TOKEN')
    Token(Token),
    /// How a driver of your own logs in: a URL, without the password
    Login {
        /// Write the password there, as a line of libpq's password file, for its owner alone
        #[arg(long, value_name = "FILE")]
        passfile: Option<PathBuf>,
    },
    /// Look after blobs: sweep, verify, quotas
    #[command(subcommand)]
    Blobs(Blobs),
    /// Attack the wall with two tenants made for it, and report what held; safe beside real tenants
    Prove(Prove),
    /// Serve the HTTP API (and the workers)
    Serve(Serve),
    /// Run the workers alone
    Work {
        /// Do what there is to do now, and exit
        #[arg(long)]
        once: bool,
        /// Also move tenants that have grown or shrunk; needs the operator's DATABASE_URL
        #[arg(long)]
        placement: bool,
        /// Also make and drop slices of entities that are kept by time; needs the operator's DATABASE_URL
        #[arg(long)]
        slices: bool,
    },
    /// The model, the wall, and how far read models are behind
    Status {
        /// Tenants that are furthest behind, and parked units, to show
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
        /// Where a running server tells its metrics, to show what its cache did; again for each server
        #[arg(long, value_name = "URL")]
        metrics: Vec<String>,
    },
    /// Fill a read model anew beside the table that is read, and then let them change places; run it again if it is
    /// interrupted
    Rebuild(Rebuild),
    /// Try parked units again at once: of a read model, or of all and parked jobs with them
    Replay {
        /// The read model
        name: Option<String>,
        /// Parked jobs of this kind instead
        #[arg(long, value_name = "KIND", conflicts_with = "name")]
        job: Option<String>,
    },
    /// Everything on this machine with nothing installed: apply the model, make a tenant and a key, serve
    Dev {
        #[command(flatten)]
        serve: Serve,
        /// Tenant to make
        #[arg(long, default_value = "dev")]
        tenant: String,
    },
    /// `dev` with real data in it, and a guided tour of what it can do
    Demo(Demo),
    /// Measure against the plain way of doing it
    Bench(Bench),
    /// Look for everything that can be wrong with the wall
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Compare a read model with its definition, tenant by tenant; exit with 1 if it differs
    Read {
        name: String,
        /// [default: all that are active]
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant
    Create { name: String },
    /// All tenants and their state
    List,
    /// Refuse everything a tenant asks, and keep its data
    Suspend { name: String },
    /// End a suspension
    Resume { name: String },
    /// Delete a tenant and all its rows; run it again if it is interrupted
    Delete {
        name: String,
        /// The tenant's name once more, to be sure
        #[arg(long, value_name = "NAME")]
        confirm: String,
    },
    #[command(flatten)]
    Place(Place),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key of a tenant; it is shown this once
    Create {
        #[arg(long)]
        tenant: String,
        /// What the key is for
        #[arg(long, default_value = "default")]
        name: String,
        /// What it lets its holder do
        #[arg(long, value_enum, default_value_t = RoleName::Writer)]
        role: RoleName,
        /// Days until it expires, such as 30 or 30d
        #[arg(long, value_name = "DAYS", value_parser = days)]
        expires: Option<u32>,
        /// Only these relations and functions, such as commit,person:read,rpc/match
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        only: Option<Vec<String>>,
    },
    /// All keys, or a tenant's
    List {
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Refuse a key from now on
    Revoke {
        /// Its id, as `key list` shows it
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated, first line names the fields
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    pub(crate) entity: String,
    /// The file, or - for standard input
    pub(crate) file: PathBuf,
    #[arg(long)]
    pub(crate) tenant: String,
    /// [default: by the file's extension]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Vectors from a raw little-endian file in the rows' order: FIELD=FILE.f32 or FIELD=FILE.f16
    #[arg(long, value_name = "FIELD=FILE")]
    pub(crate) vectors: Option<String>,
    /// Leave bad rows out, reporting each, instead of stopping at the first
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Write the bad rows here, with their reasons
    #[arg(long, value_name = "FILE", requires = "skip_bad")]
    pub(crate) rejects: Option<PathBuf>,
    /// Update the row whose key is taken: fields of the key, comma-separated
    #[arg(long, value_name = "FIELDS")]
    pub(crate) upsert: Option<String>,
    /// Begin from the first row even if this file was partly loaded before
    #[arg(long)]
    pub(crate) restart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    pub(crate) entity: String,
    /// The file, or - for standard output
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    #[arg(long)]
    pub(crate) tenant: String,
    /// [default: by the file's extension]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write a vector field to a raw little-endian file beside the rows: FIELD=FILE.f32 or FIELD=FILE.f16
    #[arg(long, value_name = "FIELD=FILE")]
    pub(crate) vectors: Option<String>,
    /// What personal data is opened for [default: what its classes are kept for]
    #[arg(long)]
    pub(crate) purpose: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[arg(long)]
    pub(crate) tenant: String,
    /// What the statements may do; a reader's transactions are read only
    #[arg(long, value_enum, default_value_t = RoleName::Writer)]
    pub(crate) role: RoleName,
    /// Run this and exit; several statements are one transaction
    #[arg(value_name = "SQL")]
    pub(crate) text: Option<String>,
    /// The same
    #[arg(long, short, value_name = "SQL", conflicts_with = "text")]
    pub(crate) command: Option<String>,
    /// Run a file, or - for standard input, up to the first statement that fails
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["text", "command"])]
    pub(crate) file: Option<PathBuf>,
    /// Answer in comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

impl Sql {
    /// Whether a person types the statements.
    pub(crate) fn is_prompt(&self) -> bool {
        let is_given = self.text.is_some() || self.command.is_some() || self.file.is_some();
        !is_given && std::io::stdin().is_terminal()
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:7780", env = "FREEHOLD_LISTEN")]
    pub(crate) listen: String,
    /// Address for /metrics in Prometheus' text format; it tells of all tenants together, so keep it off the API's network
    #[arg(long, value_name = "ADDRESS", env = "FREEHOLD_METRICS")]
    pub(crate) metrics: Option<String>,
    /// How the server behaves: who may ask, limits, CORS
    #[arg(long, value_name = "FILE", env = "FREEHOLD_SERVER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Leave the workers to other processes
    #[arg(long)]
    pub(crate) no_workers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Attack a server of this database over HTTP, too, such as http://127.0.0.1:7780
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Write the signed report here, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Check the signature of a report instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "report"])]
    pub(crate) verify: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Git repositories, each a tenant [default: the one around the current folder]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub(crate) git: Vec<PathBuf>,
    /// Run the tour and exit
    #[arg(long)]
    pub(crate) once: bool,
    /// Newest commits to take of each repository
    #[arg(long, default_value_t = 2000)]
    pub(crate) commits: u32,
    #[command(flatten)]
    pub(crate) serve: Serve,
}
