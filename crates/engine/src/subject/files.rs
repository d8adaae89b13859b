//! The files of one person's rows.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use freehold_model::entity::{Entity, Kind};
use freehold_store::{Tenant, seal::Hash};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::PURPOSE;
use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal::StatedPurpose,
};

/// A folder for the files of one person, made with the first of them. Only its owner can read it.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// How many there are.
    pub written: u64,
    /// Those whose bytes are missing in the object storage.
    pub lost: u64,
}

impl Files {
    /// Nothing is made yet.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, written: 0, lost: 0 }
    }

    fn create(&self, id: Uuid) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let file = self.folder.join(id.to_string());
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
    }

    fn unwritable(&self, error: &io::Error) -> Refusal {
        Refusal::new(Code::Import, "a file cannot be written")
            .detail(format!("{}: {error}", self.folder.display()))
    }
}

impl Engine {
    /// Writes the blobs of a row, each as a file that is called like its id, and says so in the row, with its SHA-256.
    pub(super) async fn export_files(
        &self,
        tenant: &Tenant,
        entity: &Entity,
        row: &mut Map<String, Value>,
        files: &mut Files,
    ) -> Result<(), Error> {
        for field in entity.fields.iter().filter(|field| matches!(field.kind, Kind::Blob(_))) {
            let Some(Value::Object(about)) = row.get_mut(field.name.as_str()) else { continue };
            let id = about.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
            let Some(id) = id else { continue };
            // Deleted since the row was read.
            let Some(blob) = self.store.blob_place(tenant, id).await? else { continue };
            let purpose = StatedPurpose::own(PURPOSE);
            let mut bytes = match self.read_blob(tenant, &blob, 0..blob.size, Some(&purpose)).await
            {
                Err(Error::Refused(refusal)) if refusal.code == Code::Erased => {
                    about.insert("erased".into(), true.into());
                    continue;
                }
                Err(Error::Refused(refusal)) if refusal.code == Code::BlobLost => {
                    files.lost += 1;
                    about.insert("lost".into(), refusal.to_string().into());
                    continue;
                }
                bytes => bytes?,
            };
            let mut file = files.create(id).map_err(|error| files.unwritable(&error))?;
            let mut hash = Hash::default();
            while let Some(some) = bytes.next().await {
                let some = some?;
                hash.update(&some);
                file.write_all(&some).map_err(|error| files.unwritable(&error))?;
            }
            file.sync_all().map_err(|error| files.unwritable(&error))?;
            files.written += 1;
            about.insert("sha256".into(), hash.digits().into());
            about.insert("file".into(), id.to_string().into());
        }
        Ok(())
    }
}
