//! The options of search.

use std::path::PathBuf;

use clap::Args;
use freehold_engine::search::Recall;

/// How sure a search has to be.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sure {
    /// How sure a search has to be: exact, fast, or a share of the true nearest such as 0.99
    #[arg(long, value_parser = recall, default_value = "0.99")]
    pub(crate) recall: Recall,
}

/// What `bench search` works on.
#[derive(Debug, Clone, Args)]
pub(crate) struct SearchBench {
    /// search: a folder with `minilm-384.f16`, one vector of 384 half floats after another, to search instead of made ones
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// search: how many rows; more than there are vectors are made by adding a little noise
    #[arg(long, value_name = "N", default_value_t = 120_000)]
    pub(crate) total: usize,
    /// search: only find where an index begins to be faster than measuring every row
    #[arg(long)]
    pub(crate) calibrate: bool,
    /// search: and let workers promote tenants from there on, in the database that is used
    #[arg(long, requires = "calibrate")]
    pub(crate) apply: bool,
    /// search: write a plot of recall against latency, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

fn recall(text: &str) -> Result<Recall, String> {
    Recall::read(text).ok_or_else(|| "write exact, fast, or a number between 0 and 1".to_owned())
}
