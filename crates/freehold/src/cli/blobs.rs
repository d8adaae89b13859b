//! Where blobs are kept, and what is done for them.

use clap::{Args, Subcommand};

#[derive(Debug, Clone, Args)]
pub(crate) struct BlobsAt {
    /// Where the bytes of blobs are kept: file:///FOLDER, s3://BUCKET/PREFIX, gs://…, az://…, or memory:/// for trying things out [default: the folder blobs in the
    /// state folder, beside a PostgreSQL of Freehold's own]
    #[arg(id = "blobs", long = "blobs", global = true, value_name = "URL", env = "FREEHOLD_BLOBS")]
    pub(crate) url: Option<String>,
    /// How long the storage may take for one request, or for its next bytes, before the caller is told so
    #[arg(
        long = "blobs-patience",
        global = true,
        value_name = "SECONDS",
        env = "FREEHOLD_BLOBS_PATIENCE",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    pub(crate) patience: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Blobs {
    /// Compare what is noted with what is stored, in both directions, and take away what belongs to nothing
    Sweep {
        /// [default: all that are active]
        #[arg(long)]
        tenant: Option<String>,
        /// Look only
        #[arg(long)]
        dry_run: bool,
        /// Hours that an object may be there without being noted, and an upload without a row
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        grace: u32,
    },
    /// Read everything again and compare its hashes; exit with 1 if something is not as it was stored, or cannot be read
    Verify {
        /// [default: all that are active]
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show a tenant's usage and its quota, or set the quota
    Quota {
        #[arg(long)]
        tenant: String,
        /// Bytes that it may have, or `none`
        #[arg(long, value_name = "BYTES")]
        bytes: Option<String>,
        /// Blobs that it may have, or `none`
        #[arg(long, value_name = "NUMBER")]
        objects: Option<String>,
    },
}
