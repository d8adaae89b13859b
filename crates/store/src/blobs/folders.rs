//! Folders of objects: those of tenants that are gone, and whose a folder is.

use std::time::Duration;

use uuid::Uuid;

use super::unsigned;
use crate::{error::Error, row::Row, store::Store};

/// The folder of a tenant that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneFolder {
    /// Its name.
    pub name: String,
    /// Whether objects of it are still to be deleted by workers.
    pub noted: bool,
    /// For how long the tenant is gone.
    pub since: Duration,
}

impl Store {
    /// Up to `most` folders of tenants that are gone, by name from behind `after`.
    ///
    /// # Errors
    /// Faults only.
    pub async fn folders_gone(
        &self,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<GoneFolder>, Error> {
        let text = "select folder, noted::text, gone_s \
                    from freehold.blob_folders_gone($1::text::uuid, $2::text::bigint)";
        let params = [after, Some(&most.to_string())];
        let rows = self.ask("listing folders of tenants that are gone", text, &params).await?;
        let folder = |row: &Row| {
            Some(GoneFolder {
                name: row.text(0)?.to_owned(),
                noted: row.text(1)? == "true",
                since: Duration::from_secs(unsigned(row, 2)),
            })
        };
        Ok(rows.iter().filter_map(folder).collect())
    }

    /// Those of the folders that are of a tenant of this database, or of one that is gone.
    ///
    /// # Errors
    /// Faults only.
    pub async fn folders_known(&self, names: &[String]) -> Result<Vec<String>, Error> {
        let text = "select folder from freehold.blob_folders_known($1::text::uuid[])";
        // Whatever has another name is nobody's here.
        let ids = names.iter().filter_map(|name| Uuid::try_parse(name).ok());
        let names = format!("{{{}}}", ids.map(|id| id.to_string()).collect::<Vec<_>>().join(","));
        let rows = self.ask("looking whose folders these are", text, &[Some(&names)]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0).map(str::to_owned)).collect())
    }

    /// Nothing is left of the folder of a tenant that is gone, and nothing will come.
    ///
    /// # Errors
    /// Faults only.
    pub async fn forget_folder(&self, name: &str) -> Result<(), Error> {
        let text = "select freehold.blob_folder_forget($1::text::uuid)::text";
        self.ask("forgetting a folder", text, &[Some(name)]).await.map(drop)
    }
}
