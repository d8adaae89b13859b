//! What `bench` may be asked.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::SearchBench;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which
    #[arg(value_enum)]
    pub(crate) name: BenchName,
    /// A first answer in under a minute
    #[arg(long)]
    pub(crate) quick: bool,
    /// Numbers of tenants with a partition of their own, one after the other (wall, place); with 1 or more, such a tenant is
    /// measured, too
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "0")]
    pub(crate) partitions: Vec<u32>,
    /// Tenants on the shelves (place)
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) small: u32,
    /// Rows to use instead of generated ones (import)
    #[arg(long, value_name = "FILE")]
    pub(crate) rows: Option<PathBuf>,
    /// Their vectors: FILE.f16 or FILE.f32
    #[arg(long, value_name = "FILE", requires = "rows")]
    pub(crate) vectors: Option<PathBuf>,
    /// Tenants beside the one that floods (project)
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub(crate) tenants: u32,
    /// What is measured beside ours: of api a server that speaks PostgREST's language and is configured by its environment,
    /// such as `postgrest` or `postrust`; of project a folder where `npm install graphile-worker@0.16.6` was done
    #[arg(long, value_name = "PATH")]
    pub(crate) peer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) search: SearchBench,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchName {
    /// Writes whose changes are noted against writes whose are not
    Write,
    /// How soon and how fast read models follow, against a materialised view
    Project,
    /// Rows per second against a raw COPY into an unprotected table
    Import,
    /// With the wall against a WHERE by hand on tables without one
    Wall,
    /// Uncached reads against the same SQL through pgbench
    Api,
    /// Kept answers against a bare server with the same bytes, a plain Redis and no cache; and a spike
    Edge,
    /// Sealed blobs against the same bytes stored by the same library alone
    Blob,
    /// Sealing a value against the cipher alone, and sealed rows against the same in the open
    Seal,
    /// Dropping what has expired with its slice against deleting the same rows in batches
    Expire,
    /// What partitions of tenants' own cost everybody, the more there are of them
    Place,
    /// The ten nearest for tenants of all sizes, against one table with one HNSW index
    Search,
}
