//! First stage: reads rows and their vectors, checks them, and puts them into batches.

use freehold_store::ImportMark;
use tokio::sync::mpsc;

use super::{
    Import,
    batch::{Batch, Shape},
    source::Source,
};
use crate::error::{Code, Refusal};

/// Rows in a batch at most.
const BATCH_ROWS: usize = 2000;

/// Bytes of text in a batch at most, before another row is taken.
const BATCH_BYTES: usize = 8 << 20;

/// Rows of the file, checked, in batches. Ends early if nobody listens any more.
pub(super) fn batches(
    import: Import,
    shape: &Shape,
    mark: ImportMark,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), Refusal> {
    let mut source = Source::open(import.input, import.format, shape.entity())?;
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
        batch.push(shape.row(row, vector));
        let full = batch.rows.len() >= BATCH_ROWS || batch.bytes >= BATCH_BYTES;
        if full && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
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

fn fewer_vectors(line: u64) -> Refusal {
    Refusal::new(Code::Import, "the vector file holds fewer vectors than the file has rows")
        .detail(format!("none for line {line}"))
}
