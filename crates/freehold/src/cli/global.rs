//! What every command takes: where things are.

use std::path::PathBuf;

use clap::Args;

use super::BlobsAt;

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The model file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "freehold.toml",
        env = "FREEHOLD_MODEL"
    )]
    pub(crate) model: PathBuf,
    /// PostgreSQL to use, as its operator; without one a PostgreSQL of Freehold's own runs in the state folder
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Folder for the root key and the local PostgreSQL
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".freehold",
        env = "FREEHOLD_STATE"
    )]
    pub(crate) state: PathBuf,
    /// File of the root key [default: root.key in the state folder]
    #[arg(long, global = true, value_name = "FILE", env = "FREEHOLD_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Shell command that prints the root key, such as one that asks a KMS; FREEHOLD_KEY may hold the key itself
    #[arg(long, global = true, value_name = "COMMAND", env = "FREEHOLD_KEY_COMMAND")]
    pub(crate) key_command: Option<String>,
    /// Folder of the keystore, which has what must not be in PostgreSQL and its backups; all servers of a database share it
    /// [default: keystore in the state folder]
    #[arg(long, global = true, value_name = "DIR", env = "FREEHOLD_KEYSTORE")]
    pub(crate) keystore: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) blobs: BlobsAt,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}
