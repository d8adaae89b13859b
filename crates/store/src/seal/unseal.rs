//! Opening sealed bytes as they come, from the beginning or from any chunk on.

use std::ops::Range;

use super::{BlobKey, CHUNK, Cipher, HEADER, Rot, TAG, chunks, sealed_range};

/// Opens a range of a blob as its sealed bytes come.
pub struct Unsealer {
    cipher: Cipher,
    // What must stand before the first chunk, if the range begins there.
    header: Option<[u8; HEADER]>,
    sealed: Vec<u8>,
    size: u64,
    // What is still to be given, in bytes of the blob.
    range: Range<u64>,
    last: u64,
}

impl BlobKey {
    /// Opens the bytes `range` of a blob of `size` bytes, and where they are in the sealed object.
    #[must_use]
    pub fn unsealer(&self, size: u64, range: Range<u64>) -> (Unsealer, Range<u64>) {
        let place = sealed_range(size, &range);
        let first = range.start / CHUNK as u64;
        let unsealer = Unsealer {
            cipher: self.cipher(first),
            header: (first == 0).then(|| self.header()),
            sealed: Vec::with_capacity(CHUNK + TAG),
            size,
            range,
            last: chunks(size) - 1,
        };
        (unsealer, place)
    }
}

impl Unsealer {
    /// Takes more of the sealed object; what is opened by it, and is of the range, is appended to `out`.
    ///
    /// # Errors
    /// What is wrong with the bytes; nothing of the chunk in which it is was given.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Rot> {
        while !bytes.is_empty() {
            let wanted = self.wanted()?;
            let some = bytes.len().min(wanted - self.sealed.len());
            self.sealed.extend_from_slice(&bytes[..some]);
            bytes = &bytes[some..];
            if self.sealed.len() == wanted {
                self.open(out)?;
                self.sealed.clear();
            }
        }
        Ok(())
    }

    /// Whether all of the range was given.
    ///
    /// # Errors
    /// `Length` if it was not.
    pub fn finish(&self) -> Result<(), Rot> {
        let empty = self.size == 0 && self.cipher.index == 0;
        let whole = self.range.is_empty() && self.sealed.is_empty() && !empty;
        if whole { Ok(()) } else { Err(Rot::Length) }
    }

    // Bytes of the part that comes next.
    fn wanted(&self) -> Result<usize, Rot> {
        if self.header.is_some() {
            return Ok(HEADER);
        }
        let index = self.cipher.index;
        if index > self.last {
            return Err(Rot::Length);
        }
        if index < self.last {
            return Ok(CHUNK + TAG);
        }
        let rest = self.size - self.last * CHUNK as u64;
        Ok(usize::try_from(rest).map_err(|_| Rot::Length)? + TAG)
    }

    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Rot> {
        if let Some(header) = self.header.take() {
            return match self.sealed == header {
                true => Ok(()),
                false if self.sealed[..8] == header[..8] => Err(Rot::Key),
                false => Err(Rot::Header),
            };
        }
        let index = self.cipher.index;
        let start = index * CHUNK as u64;
        let opened = self.cipher.open(&mut self.sealed, index == self.last)?;
        let from = self.range.start.saturating_sub(start);
        let to = (self.range.end.saturating_sub(start)).min(opened.len() as u64);
        if from < to {
            let (from, to) = (from as usize, to as usize);
            out.extend_from_slice(&opened[from..to]);
            self.range.start = start + to as u64;
        }
        Ok(())
    }
}
