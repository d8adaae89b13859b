//! Where an export of one person goes, and the files of their rows.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use freehold_model::entity::{Entity, Kind};
use freehold_store::{Tenant, seal::Hash};
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json, value::to_raw_value};
use uuid::Uuid;

use super::{PURPOSE, Row};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal::StatedPurpose,
};

/// Where an export goes: the manifest, then pages of rows, each after its files.
pub(super) trait Way: Send {
    /// Takes the manifest.
    fn begin(&mut self, manifest: Value) -> Result<(), Refusal>;

    /// Takes the lines of some rows.
    fn page(&mut self, lines: &[String]) -> Result<(), Refusal>;

    /// Whether files are wanted at all.
    fn takes_files(&self) -> bool;

    /// Begins a file; says what the row that has it calls it.
    fn file(&mut self, id: Uuid, size: u64) -> Result<String, Refusal>;

    /// Takes some more of the file.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Refusal>;

    /// The file is whole.
    fn file_end(&mut self) -> Result<(), Refusal>;

    /// One has no bytes any more.
    fn lost(&mut self);
}

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

/// In the open: lines, and a folder beside them.
pub(super) struct Open<'o> {
    pub(super) output: &'o mut (dyn Write + Send),
    pub(super) files: Option<&'o mut Files>,
    pub(super) file: Option<File>,
}

impl Open<'_> {
    fn line(&mut self, value: &dyn std::fmt::Display) -> Result<(), Refusal> {
        writeln!(self.output, "{value}").map_err(|error| {
            Refusal::new(Code::Import, "the output cannot be written").detail(error.to_string())
        })
    }

    fn with_file(
        &mut self,
        act: impl FnOnce(&mut Files, &mut Option<File>) -> io::Result<()>,
    ) -> Result<(), Refusal> {
        let Some(files) = &mut self.files else { return Ok(()) };
        act(files, &mut self.file).map_err(|error| files.unwritable(&error))
    }
}

impl Way for Open<'_> {
    fn begin(&mut self, manifest: Value) -> Result<(), Refusal> {
        self.line(&json!({ "manifest": manifest }))
    }

    fn page(&mut self, lines: &[String]) -> Result<(), Refusal> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    fn takes_files(&self) -> bool {
        self.files.is_some()
    }

    fn file(&mut self, id: Uuid, _: u64) -> Result<String, Refusal> {
        self.with_file(|files, file| files.create(id).map(|made| *file = Some(made)))?;
        Ok(id.to_string())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.with_file(|_, file| file.as_mut().map_or(Ok(()), |file| file.write_all(bytes)))
    }

    fn file_end(&mut self) -> Result<(), Refusal> {
        self.with_file(|files, file| {
            files.written += 1;
            file.take().map_or(Ok(()), |file| file.sync_all())
        })
    }

    fn lost(&mut self) {
        if let Some(files) = &mut self.files {
            files.lost += 1;
        }
    }
}

impl Engine {
    /// Writes the blobs of a row, each as a file that is called by its id, and says so in the row, with its SHA-256.
    pub(super) async fn export_files(
        &self,
        tenant: &Tenant,
        entity: &Entity,
        row: &mut Row,
        way: &mut dyn Way,
    ) -> Result<(), Error> {
        for field in entity.fields.iter().filter(|field| matches!(field.kind, Kind::Blob(_))) {
            let Some(json) = row.get_mut(field.name.as_str()) else { continue };
            let Ok(Value::Object(mut about)) = serde_json::from_str(json.get()) else { continue };
            self.export_file(tenant, &mut about, way).await?;
            if let Ok(told) = to_raw_value(&about) {
                *json = told;
            }
        }
        Ok(())
    }

    async fn export_file(
        &self,
        tenant: &Tenant,
        about: &mut Map<String, Value>,
        way: &mut dyn Way,
    ) -> Result<(), Error> {
        let id = about.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let Some(id) = id else { return Ok(()) };
        // Deleted since the row was read.
        let Some(blob) = self.store.blob_place(tenant, id).await? else { return Ok(()) };
        let purpose = StatedPurpose::own(PURPOSE);
        let mut bytes = match self.read_blob(tenant, &blob, 0..blob.size, Some(&purpose)).await {
            Err(Error::Refused(refusal)) if refusal.code == Code::Erased => {
                about.insert("erased".into(), true.into());
                return Ok(());
            }
            Err(Error::Refused(refusal)) if refusal.code == Code::BlobLost => {
                way.lost();
                about.insert("lost".into(), refusal.to_string().into());
                return Ok(());
            }
            bytes => bytes?,
        };
        let name = way.file(id, blob.size)?;
        let mut hash = Hash::default();
        while let Some(some) = bytes.next().await {
            let some = some?;
            hash.update(&some);
            way.bytes(&some)?;
        }
        way.file_end()?;
        about.insert("sha256".into(), hash.digits().into());
        about.insert("file".into(), name.into());
        Ok(())
    }
}
