//! An export that only its recipients can open: a tar archive in age's format, written as it comes.
//!
//! `rows/00001.jsonl` and so on, `files/ID`, and at last `manifest.json`, which names all of these with their hashes. Nothing of it
//! is ever in the open outside of this process, and what is cut off anywhere does not open to its end.

use std::{
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use age::{Encryptor, stream::StreamWriter, x25519};
use freehold_store::Sum;
use serde_json::{Value, json};
use uuid::Uuid;

use super::files::Way;
use crate::error::{Code, Refusal};

/// Bytes of a block of tar.
const BLOCK: usize = 512;

/// Whom an export is encrypted to.
#[derive(Clone)]
pub struct Recipients {
    keys: Vec<x25519::Recipient>,
    texts: Vec<String>,
}

impl Recipients {
    /// Reads public keys as `age-keygen` writes them, `age1…`.
    ///
    /// # Errors
    /// `Usage` for one that is none, or if there are none.
    pub fn read<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, Refusal> {
        let (mut keys, mut read) = (Vec::new(), Vec::new());
        for text in texts.into_iter().map(str::trim) {
            // What may be a secret is not said again.
            let shown: String = text.chars().take_while(|c| *c != '-').take(80).collect();
            let key = text.parse().map_err(|why: &str| {
                Refusal::new(Code::Usage, "a recipient is not a public key of age")
                    .detail(format!("{shown}: {why}"))
                    .hint("it begins with age1; `age-keygen -y KEYFILE` shows the one of a secret key")
            })?;
            keys.push(key);
            read.push(text.to_owned());
        }
        if keys.is_empty() {
            return Err(Refusal::new(Code::Usage, "there is no recipient"));
        }
        Ok(Self { keys, texts: read })
    }

    /// As they were written.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// What is being written.
pub(super) struct Parcel<'o> {
    to: StreamWriter<&'o mut (dyn Write + Send)>,
    with_files: bool,
    manifest: Value,
    parts: Vec<Value>,
    pages: u32,
    open: Option<Part>,
    made: u64,
    pub(super) files: u64,
    pub(super) lost: u64,
}

/// A member of the archive that is being written.
struct Part {
    name: String,
    size: u64,
    written: u64,
    sum: Sum,
}

impl<'o> Parcel<'o> {
    pub(super) fn new(
        recipients: &Recipients,
        output: &'o mut (dyn Write + Send),
        with_files: bool,
    ) -> Result<Self, Refusal> {
        let keys = recipients.keys.iter().map(|key| key as &dyn age::Recipient);
        let to = Encryptor::with_recipients(keys).map_err(|why| {
            Refusal::new(Code::Usage, "it cannot be encrypted to these recipients")
                .detail(why.to_string())
        })?;
        let made = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            to: to.wrap_output(output).map_err(|error| unwritable(&error))?,
            with_files,
            manifest: Value::Null,
            parts: Vec::new(),
            pages: 0,
            open: None,
            made: made.map_or(0, |since| since.as_secs()),
            files: 0,
            lost: 0,
        })
    }

    /// Writes the manifest and the end; gives the manifest's SHA-256. What was not ended does not open whole.
    pub(super) fn finish(mut self, rows: u64) -> Result<String, Refusal> {
        if let Some(manifest) = self.manifest.as_object_mut() {
            manifest.insert("rows".into(), rows.into());
            manifest.insert("files".into(), self.files.into());
            manifest.insert("lost".into(), self.lost.into());
            manifest.insert("parts".into(), std::mem::take(&mut self.parts).into());
        }
        let text = format!("{:#}\n", self.manifest);
        let sum = self.whole("manifest.json".into(), text.as_bytes())?;
        // The end of an archive.
        let ended = self.to.write_all(&[0; 2 * BLOCK]).and_then(|()| self.to.finish());
        ended.and_then(Write::flush).map_err(|error| unwritable(&error))?;
        Ok(sum)
    }

    fn whole(&mut self, name: String, bytes: &[u8]) -> Result<String, Refusal> {
        self.begin_part(name, bytes.len() as u64)?;
        self.some(bytes)?;
        self.end_part()
    }

    fn begin_part(&mut self, name: String, size: u64) -> Result<(), Refusal> {
        let header = header(&name, size, self.made);
        self.to.write_all(&header).map_err(|error| unwritable(&error))?;
        self.open = Some(Part { name, size, written: 0, sum: Sum::default() });
        Ok(())
    }

    fn some(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some(part) = &mut self.open {
            part.written += bytes.len() as u64;
            part.sum.add(bytes);
        }
        self.to.write_all(bytes).map_err(|error| unwritable(&error))
    }

    fn end_part(&mut self) -> Result<String, Refusal> {
        let Some(Part { name, size, written, sum }) = self.open.take() else {
            return Ok(String::new());
        };
        if written != size {
            return Err(Refusal::new(Code::Storage, "a file has another size than was said")
                .detail(format!("{name}: {written} bytes instead of {size}"))
                .hint("freehold blobs verify"));
        }
        let rest = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        self.to.write_all(&[0; BLOCK][..rest]).map_err(|error| unwritable(&error))?;
        let sum = sum.digits();
        self.parts.push(json!({ "name": name, "bytes": size, "sha256": sum }));
        Ok(sum)
    }
}

impl Way for Parcel<'_> {
    fn begin(&mut self, manifest: Value) -> Result<(), Refusal> {
        self.manifest = manifest;
        Ok(())
    }

    fn page(&mut self, lines: &[String]) -> Result<(), Refusal> {
        if lines.is_empty() {
            return Ok(());
        }
        self.pages += 1;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.whole(format!("rows/{:05}.jsonl", self.pages), text.as_bytes()).map(drop)
    }

    fn takes_files(&self) -> bool {
        self.with_files
    }

    fn file(&mut self, id: Uuid, size: u64) -> Result<String, Refusal> {
        let name = format!("files/{id}");
        self.begin_part(name.clone(), size)?;
        Ok(name)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.some(bytes)
    }

    fn file_end(&mut self) -> Result<(), Refusal> {
        self.files += 1;
        self.end_part().map(drop)
    }

    fn lost(&mut self) {
        self.lost += 1;
    }
}

fn unwritable(error: &io::Error) -> Refusal {
    Refusal::new(Code::Import, "the output cannot be written").detail(error.to_string())
}

/// Before each member of a tar archive (POSIX ustar): whose name has at most 100 bytes, here all.
fn header(name: &str, size: u64, made: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        // Eight gibibytes and more are written in binary, as GNU tar began and all others read.
        put(124, &[0x80]);
        put(128, &size.to_be_bytes());
    }
    put(136, format!("{made:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
