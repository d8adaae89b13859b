//! Objects of tenants that are gone, and folders of which this database knows nothing.
//!
//! Only what this database itself has noted as a gone tenant's is deleted. Any other folder may be another database's, or of
//! a tenant that came after the backup which this database was restored from.

use std::time::Duration;

use super::{Blobs, tend};
use crate::{Engine, error::Error};

/// Folders looked at in one statement.
const PAGE: usize = 1000;

/// An upload that began before its tenant went may still write, so long.
const LAST: Duration = Duration::from_secs(2 * 24 * 3600);

/// What a sweep of the folders of no tenant found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// Objects of tenants that are gone, noted nowhere and older than the grace time; deleted unless the sweep only looks.
    pub stray: Vec<String>,
    /// Such objects that are young, or whose tenant went lately: left alone.
    pub young: u64,
    /// Folders that are no tenant's of this database: left alone.
    pub unknown: Vec<String>,
}

impl Engine {
    /// Takes away what tenants that are gone left, unless `look` only, and says which folders are unknown.
    ///
    /// # Errors
    /// `Storage` if the storage cannot be listed; faults. Nothing is deleted that was not looked up before.
    pub async fn sweep_folders(&self, grace: Duration, look: bool) -> Result<Abandoned, Error> {
        let blobs = self.blobs()?;
        let mut abandoned = Abandoned::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.folders_gone(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            // What is noted goes with its note.
            for folder in page.iter().filter(|folder| !folder.noted) {
                let stored = blobs.stored(&folder.name).await?;
                let mut left = stored.len();
                for (object, age) in stored {
                    if age.min(folder.since) < grace {
                        abandoned.young += 1;
                    } else if look || tend::delete(blobs, &object).await {
                        abandoned.stray.push(object);
                        left -= 1;
                    }
                }
                if left > 0 || look {
                    continue;
                }
                blobs.remove_folder(&folder.name).await;
                if folder.since >= LAST.max(grace) {
                    self.store.forget_folder(&folder.name).await?;
                }
            }
        }
        for names in folders(blobs).await?.chunks(PAGE) {
            let known = self.store.folders_known(names).await?;
            let unknown = names.iter().filter(|name| !known.contains(name));
            abandoned.unknown.extend(unknown.cloned());
        }
        Ok(abandoned)
    }
}

async fn folders(blobs: &Blobs) -> Result<Vec<String>, Error> {
    let root = blobs.at("");
    let listed = blobs.store().list_with_delimiter(Some(&root));
    let listed = blobs.in_time("listing folders of blobs", listed).await?;
    Ok(listed.common_prefixes.iter().map(|path| blobs.name_of(path)).collect())
}
