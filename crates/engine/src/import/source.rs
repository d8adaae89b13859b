//! Reads rows from JSON lines or CSV, a line at a time, in bounded memory. Every row knows its line.

use std::{
    io::{BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use freehold_model::{entity::Entity, mutate};
use serde_json::{Map, Value};

use crate::error::{Code, Refusal};

/// Longest line of a file, in bytes.
pub const LINE_BYTES_MAX: u64 = 64 << 20;

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values (RFC 4180); the first line names the fields. An empty cell is null.
    Csv,
}

/// A row as read, or why it could not be.
#[derive(Debug)]
pub struct SourceRow {
    /// Line of the file where it begins, from 1.
    pub line: u64,
    /// Its number among the rows, from 1.
    pub number: u64,
    /// Bytes it took.
    pub bytes: usize,
    /// Digest of all rows up to and with this one.
    pub digest: u64,
    /// Its values by field, or what is wrong with it.
    pub values: Result<Map<String, Value>, Refusal>,
    /// The text itself, cut short, for reports.
    pub text: String,
}

/// Rows of a file, one after another.
pub(crate) struct Source {
    reader: Reader,
    entity: Entity,
    rows: u64,
    digest: u64,
}

enum Reader {
    JsonLines {
        input: Box<dyn BufRead + Send>,
        line: u64,
        buffer: Vec<u8>,
    },
    Csv {
        reader: Box<csv::Reader<Bounded>>,
        titles: Arc<[String]>,
        left: Arc<AtomicU64>,
        record: csv::ByteRecord,
    },
}

/// By how it begins: no text begins so.
fn check_plain(input: &mut (dyn BufRead + Send)) -> Result<(), Refusal> {
    const KINDS: [(&str, &[u8], &str); 5] = [
        ("gzip", b"\x1f\x8b", "zcat"),
        ("zstd", b"\x28\xb5\x2f\xfd", "zstdcat"),
        ("xz", b"\xfd7zXZ\0", "xzcat"),
        ("zip", b"PK\x03\x04", "unzip -p"),
        ("bzip2", b"1AY&SY", "bzcat"),
    ];
    let begins = input.fill_buf().map_err(|error| unreadable(1, &error.to_string()))?;
    let is = |(kind, mark, _): &&(&str, &[u8], &str)| match *kind {
        // Behind `BZh` and a digit.
        "bzip2" => {
            begins.starts_with(b"BZh") && begins.get(4..).is_some_and(|it| it.starts_with(mark))
        }
        _ => begins.starts_with(mark),
    };
    match KINDS.iter().find(is) {
        None => Ok(()),
        Some((kind, _, opens)) => {
            Err(Refusal::new(Code::Encoded, format!("the file is compressed: {kind}"))
                .hint(format!("open it before: `{opens} FILE | freehold import ENTITY -`")))
        }
    }
}

impl Source {
    /// Begins to read; of a CSV file, its first line.
    ///
    /// # Errors
    /// `Import` if a CSV file has no first line that names fields; `Encoded` if it is compressed.
    pub(crate) fn open(
        mut input: Box<dyn BufRead + Send>,
        format: Format,
        entity: &Entity,
    ) -> Result<Self, Refusal> {
        check_plain(input.as_mut())?;
        let source = |reader| Self { reader, entity: entity.clone(), rows: 0, digest: FNV_OFFSET };
        if format == Format::JsonLines {
            return Ok(source(Reader::JsonLines { input, line: 0, buffer: Vec::new() }));
        }
        let left = Arc::new(AtomicU64::new(LINE_BYTES_MAX));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(Bounded { input, left: left.clone() });
        let titles: Arc<[String]> = match reader.headers() {
            Ok(titles) if !titles.is_empty() => titles
                .iter()
                .map(|title| title.trim_start_matches('\u{feff}').trim().to_owned())
                .collect(),
            Ok(_) => {
                return Err(Refusal::new(Code::Import, "the file is empty")
                    .hint("its first line names the fields"));
            }
            Err(error) => return Err(unreadable(1, &error.to_string())),
        };
        Ok(source(Reader::Csv {
            reader: Box::new(reader),
            titles,
            left,
            record: csv::ByteRecord::new(),
        }))
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// `Import` if the file itself cannot be read any further.
    pub(crate) fn next(&mut self) -> Result<Option<SourceRow>, Refusal> {
        let entity = &self.entity;
        let read = match &mut self.reader {
            Reader::JsonLines { input, line, buffer } => next_json(input, line, buffer, entity),
            Reader::Csv { reader, titles, left, record } => {
                left.store(LINE_BYTES_MAX, Ordering::Relaxed);
                next_csv(reader, titles, record, entity)
            }
        };
        let Some(RawRow { line, values, bytes }) = read? else { return Ok(None) };
        self.rows += 1;
        self.digest = fnv1a(self.digest, bytes);
        Ok(Some(SourceRow {
            line,
            number: self.rows,
            bytes: bytes.len(),
            digest: self.digest,
            values,
            text: excerpt(bytes),
        }))
    }

    /// Digest of all rows so far: the same file gives the same. It finds changes, it does not prove authorship.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over words of eight bytes.
fn fnv1a(digest: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words
        .chain([bytes.len() as u64])
        .fold(digest, |digest, word| (digest ^ word).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A row and the bytes it was read from.
struct RawRow<'a> {
    line: u64,
    values: Result<Map<String, Value>, Refusal>,
    bytes: &'a [u8],
}

/// Input that gives at most so many bytes to one record, so that an unclosed quote cannot fill the memory.
pub(crate) struct Bounded {
    input: Box<dyn BufRead + Send>,
    left: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        if read as u64 > left {
            return Err(std::io::Error::other(format!(
                "a row is longer than {LINE_BYTES_MAX} bytes; is a quote not closed?"
            )));
        }
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn next_json<'a>(
    input: &mut Box<dyn BufRead + Send>,
    line: &mut u64,
    buffer: &'a mut Vec<u8>,
    entity: &Entity,
) -> Result<Option<RawRow<'a>>, Refusal> {
    loop {
        buffer.clear();
        *line += 1;
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', buffer);
        let read = read.map_err(|error| unreadable(*line, &error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        let ended = buffer.last() == Some(&b'\n');
        if !ended && read as u64 == LINE_BYTES_MAX {
            skip_line(input).map_err(|error| unreadable(*line, &error.to_string()))?;
            let refusal = Refusal::new(
                Code::Limit,
                format!("the line is longer than {LINE_BYTES_MAX} bytes"),
            );
            return Ok(Some(RawRow { line: *line, values: Err(refusal), bytes: buffer }));
        }
        if !buffer.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some(RawRow {
                line: *line,
                values: object(buffer, ended, entity),
                bytes: buffer,
            }));
        }
    }
}

fn object(bytes: &[u8], ended: bool, entity: &Entity) -> Result<Map<String, Value>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Refusal::new(Code::InvalidText, "the line is not UTF-8 text")
            .detail(format!("at byte {}", error.valid_up_to() + 1))
    })?;
    let text = text.trim_start_matches('\u{feff}').trim_end();
    match serde_json::from_str(text) {
        Ok(Value::Object(mut object)) => {
            mutate::keep_digits(entity, text, &mut object)?;
            Ok(object)
        }
        Ok(_) => Err(Refusal::new(Code::Import, "the line is not a JSON object")
            .hint("write {\"field\": value, …}")),
        Err(error) if error.is_eof() && !ended => {
            Err(Refusal::new(Code::Import, "the file ends in the middle of this line")
                .hint("it was cut off; get it whole and import it again"))
        }
        Err(error) => Err(Refusal::new(Code::Import, "the line is not JSON")
            .detail(format!("column {}: {error}", error.column()))),
    }
}

fn skip_line(input: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        let length = available.len();
        match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                input.consume(end + 1);
                return Ok(());
            }
            None if length == 0 => return Ok(()),
            None => input.consume(length),
        }
    }
}

fn next_csv<'a>(
    reader: &mut csv::Reader<Bounded>,
    titles: &Arc<[String]>,
    record: &'a mut csv::ByteRecord,
    entity: &Entity,
) -> Result<Option<RawRow<'a>>, Refusal> {
    let line = reader.position().line();
    match reader.read_byte_record(record) {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(error) => return Err(unreadable(line, &error.to_string())),
    }
    let line = record.position().map_or(line, csv::Position::line);
    Ok(Some(RawRow { line, values: cells(record, titles, entity), bytes: record.as_slice() }))
}

fn cells(
    record: &csv::ByteRecord,
    titles: &[String],
    entity: &Entity,
) -> Result<Map<String, Value>, Refusal> {
    if record.len() != titles.len() {
        return Err(Refusal::new(
            Code::Import,
            format!("the line has {} cells, the first line {}", record.len(), titles.len()),
        )
        .hint("a comma or a line break inside a cell needs quotes around the cell"));
    }
    let row: Result<Map<String, Value>, Refusal> = titles
        .iter()
        .zip(record)
        .map(|(title, cell)| {
            let text = std::str::from_utf8(cell).map_err(|_| {
                Refusal::new(Code::InvalidText, format!("the cell of `{title}` is not UTF-8 text"))
            })?;
            let value = if text.is_empty() { Value::Null } else { Value::String(text.to_owned()) };
            Ok((title.clone(), value))
        })
        .collect();
    let mut row = row?;
    mutate::of_text(entity, &mut row)?;
    Ok(row)
}

fn excerpt(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(200)];
    String::from_utf8_lossy(cut).trim_end().to_owned()
}

fn unreadable(line: u64, why: &str) -> Refusal {
    Refusal::new(Code::Import, "the file cannot be read any further")
        .detail(format!("line {line}: {why}"))
}

#[cfg(test)]
mod tests;
