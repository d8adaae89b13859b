//! Bulk import: rows from JSON lines or CSV into one entity, at the speed of the database.
//!
//! Three stages run side by side: read and check rows, embed their texts, load them. A batch is one statement over
//! arrays in one transaction, which also notes how far the file is loaded, so an import that dies goes on exactly
//! where it was. A batch the database refuses is halved until the bad row stands alone; every part that is loaded
//! notes its own end, so nothing is loaded twice whenever the process dies.

mod batch;
mod load;
mod read;
mod source;
mod vectors;

use std::io::BufRead;

use freehold_model::entity::Entity;
use freehold_store::Tenant;
use tokio::sync::mpsc;

use self::{
    batch::{Batch, Shape},
    load::Loading,
};
pub use self::{
    source::{Format, LINE_BYTES_MAX, SourceRow},
    vectors::{Precision, VectorFile},
};
use crate::{
    Engine, Snapshot,
    embed::EmbedError,
    error::{Code, Error, Refusal},
    write::{known_text, vector},
};

/// Batches that wait between two stages.
const STAGE_BATCHES: usize = 2;

/// What to import.
pub struct Import {
    /// Into which entity.
    pub entity: String,
    /// The file.
    pub input: Box<dyn BufRead + Send>,
    /// How its rows are written.
    pub format: Format,
    /// A vector field and the raw file that holds its vectors in the rows' order.
    pub vectors: Option<(String, VectorFile)>,
    /// What to do with rows that cannot be loaded.
    pub on_bad: OnBad,
    /// Rows whose key is taken are updated; the key's fields.
    pub upsert: Option<Vec<String>>,
    /// What the file is known by, so that an import can go on; `None` for a stream that cannot be read again.
    pub source: Option<String>,
    /// Forget how far this file was loaded.
    pub restart: bool,
}

/// What to do with rows that cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBad {
    /// Stop at the first; every row before it is loaded.
    Stop,
    /// Report each, leave it out and go on.
    Skip,
}

/// A row that was not loaded.
#[derive(Debug, Clone)]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub refusal: Refusal,
    /// Its text, cut short.
    pub text: String,
}

/// What is heard of an import while it runs.
#[derive(Debug)]
pub enum Heard {
    /// So many rows were loaded by an earlier run and are passed over.
    Resumed(u64),
    /// So many more rows are in, and so many more bytes of the file are behind.
    Loaded(u64, u64),
    /// A row was left out.
    Bad(BadRow),
}

/// What an import came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Rows loaded by this run.
    pub rows: u64,
    /// Rows left out.
    pub bad: u64,
    /// Rows an earlier run had loaded.
    pub resumed: u64,
}

impl Engine {
    /// Imports a file.
    ///
    /// # Errors
    /// `Import` with the line of the first bad row if told to stop there; a refusal if the file changed in the part
    /// that was loaded before; the embedder's; faults. What was loaded stays, and the same call goes on after it.
    pub async fn import(
        &self,
        tenant: &Tenant,
        import: Import,
        heard: &mut (dyn FnMut(Heard) + Send),
    ) -> Result<Imported, Error> {
        let snapshot = self.snapshot();
        let entity = snapshot
            .model
            .entity(&import.entity)
            .cloned()
            .ok_or_else(|| no_such_entity(&snapshot, &import.entity))?;
        let merges = import.upsert.is_some();
        let mut loading = Loading {
            engine: self,
            tenant,
            snapshot: &snapshot,
            entity: &entity,
            upsert: import.upsert.clone(),
            source: import.source.clone(),
            on_bad: import.on_bad,
            heard,
            imported: Imported::default(),
        };
        let mark = loading.mark(import.restart).await?;
        loading.imported.resumed = mark.rows;
        if mark.rows > 0 {
            (loading.heard)(Heard::Resumed(mark.rows));
        }
        let shape = Shape::new(
            &snapshot.model,
            &entity,
            import.vectors.as_ref().map(|(field, _)| field.as_str()),
        )?;
        let (read, to_embed) = mpsc::channel(STAGE_BATCHES);
        let (embedded, to_load) = mpsc::channel(STAGE_BATCHES);
        let reader =
            tokio::task::spawn_blocking(move || read::batches(import, &shape, mark, &read));
        let embedder = embed_batches(&snapshot, (&entity, merges), to_embed, embedded);
        let (embedding, loaded) = tokio::join!(embedder, loading.load_all(to_load));
        // A later stage that stops makes the earlier ones stop, so the last error is the cause.
        loaded?;
        embedding?;
        reader.await.map_err(|_| Refusal::new(Code::Import, "reading the file failed"))??;
        loading.done().await?;
        Ok(loading.imported)
    }
}

/// Second stage: vectors for rows whose texts are embedded and that do not bring them.
async fn embed_batches(
    snapshot: &Snapshot,
    (entity, merges): (&Entity, bool),
    mut batches: mpsc::Receiver<Batch>,
    embedded: mpsc::Sender<Batch>,
) -> Result<(), Error> {
    while let Some(mut batch) = batches.recv().await {
        for field in entity
            .fields
            .iter()
            .filter(|field| vector(&snapshot.model, &entity.name, &field.name).is_some())
        {
            let Some(vector) = vector(&snapshot.model, &entity.name, &field.name) else { continue };
            let (places, texts) =
                batch.texts(&field.name, |row| known_text(entity, vector, row, merges));
            if texts.is_empty() {
                continue;
            }
            match snapshot.embedders.embed(&vector.embedder, vector.dimensions, &texts).await {
                Ok(vectors) => batch.put_vectors(&field.name, &places, vectors),
                Err(EmbedError::Unavailable { .. })
                    if vector.when == freehold_model::entity::When::Later => {}
                Err(error) => return Err(error.into()),
            }
        }
        if embedded.send(batch).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn no_such_entity(snapshot: &Snapshot, name: &str) -> Refusal {
    let names: Vec<&str> =
        snapshot.model.entities().iter().map(|entity| entity.name.as_str()).collect();
    Refusal::new(Code::NoSuchEntity, format!("there is no entity {name}"))
        .hint(format!("there are {}", names.join(", ")))
}
