//! Bulk import: rows from JSON lines or CSV into one entity, at the speed of the database.
//!
//! Three stages run side by side: read and check rows, embed their texts, load them. A batch is one statement over
//! arrays in one transaction, which also notes how far the file is loaded, so an import that dies goes on exactly
//! where it was. A batch the database refuses is halved until the bad row stands alone.

mod batch;
mod source;
mod vectors;

use std::io::BufRead;

use freehold_model::{
    entity::Entity,
    mutate::{self, Resolution},
};
use freehold_store::{Column, ImportMark, Tenant};
use tokio::sync::mpsc;

use self::{
    batch::{Batch, Row, Shape},
    source::Source,
};
pub use self::{
    source::{Format, LINE_BYTES_MAX, SourceRow},
    vectors::{Precision, VectorFile},
};
use crate::{
    Engine, Snapshot,
    embed::EmbedError,
    error::{Code, Error, Refusal},
    write::{source_text, vector},
};

/// Rows in a batch at most.
const BATCH_ROWS: usize = 2000;

/// Bytes of text in a batch at most, before another row is taken.
const BATCH_BYTES: usize = 8 << 20;

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
        let reader = tokio::task::spawn_blocking(move || read_batches(import, &shape, mark, &read));
        let embedder = embed_batches(&snapshot, &entity, to_embed, embedded);
        let (embedding, loaded) = tokio::join!(embedder, loading.load_all(to_load));
        // A later stage that stops makes the earlier ones stop, so the last error is the cause.
        loaded?;
        embedding?;
        reader.await.map_err(|_| Refusal::new(Code::Import, "reading the file failed"))??;
        loading.done().await?;
        Ok(loading.imported)
    }
}

/// First stage: rows of the file, checked, in batches. Ends early if nobody listens any more.
fn read_batches(
    import: Import,
    shape: &Shape,
    mark: ImportMark,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), Refusal> {
    let mut source = Source::open(import.input, import.format)?;
    let mut vectors = import.vectors.map(|(_, file)| file);
    pass_over(&mut source, mark)?;
    if let Some(file) = &mut vectors {
        file.seek(mark.rows)?;
    }
    let mut batch = Batch::default();
    while let Some(row) = source.next()? {
        let vector = match &mut vectors {
            Some(file) => Some(file.next_vector()?.ok_or_else(|| fewer_vectors(row.line))?),
            None => None,
        };
        batch.push(shape.row(row, vector), source.digest());
        if (batch.rows.len() >= BATCH_ROWS || batch.bytes >= BATCH_BYTES)
            && batches.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            return Ok(());
        }
    }
    if let Some(file) = &mut vectors
        && file.next_vector()?.is_some()
    {
        return Err(Refusal::new(
            Code::Import,
            "the vector file holds more vectors than the file has rows",
        ));
    }
    if !batch.rows.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    Ok(())
}

/// Goes behind the rows an earlier run loaded, making sure that they are the same.
fn pass_over(source: &mut Source, mark: ImportMark) -> Result<(), Refusal> {
    for _ in 0..mark.rows {
        if source.next()?.is_none() {
            break;
        }
    }
    if source.digest() == mark.digest || mark.rows == 0 {
        return Ok(());
    }
    Err(Refusal::new(Code::Import, "the file changed in the part that was loaded before")
        .detail(format!("its first {} rows", mark.rows))
        .hint("--restart loads it from the beginning; add --upsert KEY if those rows should be replaced"))
}

/// Second stage: vectors for rows whose texts are embedded and that do not bring them.
async fn embed_batches(
    snapshot: &Snapshot,
    entity: &Entity,
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
            let (places, texts) = batch.texts(&field.name, |row| source_text(vector, row));
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

/// Third stage: one transaction a batch.
struct Loading<'a> {
    engine: &'a Engine,
    tenant: &'a Tenant,
    snapshot: &'a Snapshot,
    entity: &'a Entity,
    upsert: Option<Vec<String>>,
    source: Option<String>,
    on_bad: OnBad,
    heard: &'a mut (dyn FnMut(Heard) + Send),
    imported: Imported,
}

impl Loading<'_> {
    async fn mark(&self, restart: bool) -> Result<ImportMark, Error> {
        let Some(source) = &self.source else { return Ok(ImportMark::default()) };
        let store = &self.engine.store;
        if restart {
            store.forget_import(self.tenant, &self.entity.name, source).await?;
        }
        store.import_mark(self.tenant, &self.entity.name, source).await
    }

    async fn done(&self) -> Result<(), Error> {
        match &self.source {
            Some(source) => {
                self.engine.store.forget_import(self.tenant, &self.entity.name, source).await
            }
            None => Ok(()),
        }
    }

    async fn load_all(&mut self, mut batches: mpsc::Receiver<Batch>) -> Result<(), Error> {
        while let Some(batch) = batches.recv().await {
            let bytes = batch.bytes as u64;
            let last = batch.rows.len() - 1;
            // Halving the rows leaves them in order, so what is loaded is always a beginning of the file.
            let mut parts = vec![batch.rows];
            let mut behind = 0;
            while let Some(mut rows) = parts.pop() {
                let end = behind + rows.len();
                match self.load(&rows).await {
                    Ok(loaded) => {
                        self.imported.rows += loaded;
                        (self.heard)(Heard::Loaded(loaded, if end > last { bytes } else { 0 }));
                        behind = end;
                    }
                    Err(Error::Refused(refusal)) if rows.len() == 1 => {
                        self.leave_out(&rows[0], refusal)?;
                        behind = end;
                    }
                    Err(Error::Refused(refusal)) if is_of_a_row(&refusal) => {
                        let second = rows.split_off(rows.len() / 2);
                        parts.push(second);
                        parts.push(rows);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Loads rows in one transaction, which also notes that the file is loaded up to behind them.
    async fn load(&self, rows: &[Row]) -> Result<u64, Error> {
        if let [Row { bad: Some(bad), .. }] = rows {
            return Err(bad.clone().into());
        }
        if rows.iter().any(|row| row.bad.is_some()) {
            return Err(Refusal::new(Code::Import, "a row of the batch is bad").into());
        }
        let mut tx = self.engine.store.begin(self.tenant).await?;
        let mut loaded = 0;
        for (columns, rows) in batch::groups(self.entity, rows) {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            let conflict = self.upsert.clone().map(|fields| (Some(fields), Resolution::Merge));
            let load = mutate::load(&self.snapshot.model, &self.entity.name, &names, conflict)?;
            let arrays = names
                .iter()
                .zip(load.columns())
                .map(|(name, sent)| batch::array(self.entity, name, *sent, &rows));
            let arrays: Vec<Column> = arrays.collect();
            loaded +=
                tx.load(load.sql(), &arrays).await.map_err(|error| self.snapshot.refine(error))?;
        }
        if let (Some(source), Some(last)) = (&self.source, rows.last()) {
            let mark = ImportMark { rows: last.number, digest: last.digest };
            tx.mark_import(&self.entity.name, source, mark).await?;
        }
        tx.commit().await?;
        Ok(loaded)
    }

    fn leave_out(&mut self, row: &Row, refusal: Refusal) -> Result<(), Error> {
        let bad = BadRow { line: row.line, refusal, text: row.text.clone() };
        if self.on_bad == OnBad::Skip {
            self.imported.bad += 1;
            (self.heard)(Heard::Bad(bad));
            return Ok(());
        }
        let mut refusal = bad.refusal;
        let place = format!("line {}", bad.line);
        refusal.detail =
            Some(refusal.detail.map_or(place.clone(), |detail| format!("{place}: {detail}")));
        refusal.hint.get_or_insert_with(|| {
            "mend the line and import again: it goes on there; --skip-bad leaves bad rows out"
                .into()
        });
        Err(refusal.into())
    }
}

/// Whether a refusal is about a row's values, so that other rows of its batch may be fine.
fn is_of_a_row(refusal: &Refusal) -> bool {
    !matches!(
        refusal.code,
        Code::NoSuchEntity
            | Code::NoSuchField
            | Code::Syntax
            | Code::TenantSuspended
            | Code::NoSuchTenant
            | Code::Forbidden
            | Code::TooSlow
            | Code::TryAgain
            | Code::Server
            | Code::Embedder
    )
}

fn no_such_entity(snapshot: &Snapshot, name: &str) -> Refusal {
    let names: Vec<&str> =
        snapshot.model.entities().iter().map(|entity| entity.name.as_str()).collect();
    Refusal::new(Code::NoSuchEntity, format!("there is no entity {name}"))
        .hint(format!("there are {}", names.join(", ")))
}

fn fewer_vectors(line: u64) -> Refusal {
    Refusal::new(Code::Import, "the vector file holds fewer vectors than the file has rows")
        .detail(format!("none for line {line}"))
}
