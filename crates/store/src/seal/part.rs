//! Sealed bytes in memory that begins at a block's boundary, so that a file system may take them as they are.

use std::ops::Deref;

use bytes::Bytes;

/// Bytes of a block of memory, and at most of a disk.
pub const BLOCK: usize = 4096;

/// A part of a sealed object.
#[derive(Debug, Default)]
pub struct Part {
    // What is before `begin` is there to be skipped.
    memory: Vec<u8>,
    begin: usize,
}

impl Part {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        // Also for what is skipped, and what fills the last block.
        Self::of(Vec::with_capacity(bytes + 2 * (BLOCK - 1)))
    }

    /// Nothing yet, in memory that was somebody else's.
    pub(super) fn of(mut memory: Vec<u8>) -> Self {
        memory.clear();
        let begin = memory.as_ptr().addr().wrapping_neg() % BLOCK;
        memory.resize(begin, 0);
        Self { memory, begin }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, bytes: usize) {
        self.memory.truncate(self.begin + bytes);
    }

    /// The bytes from `from` on.
    pub(super) fn tail(&mut self, from: usize) -> &mut [u8] {
        &mut self.memory[self.begin + from..]
    }

    /// Fills the last block with zeros.
    pub fn pad(&mut self) {
        let bytes = self.len().next_multiple_of(BLOCK);
        if self.begin + bytes > self.memory.capacity() {
            // Memory that is moved begins elsewhere.
            let mut moved = Self::with_capacity(bytes);
            moved.push(self);
            *self = moved;
        }
        self.memory.resize(self.begin + bytes, 0);
    }

    /// The memory, to be used once more.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.begin..]
    }
}

impl From<Part> for Bytes {
    fn from(part: Part) -> Self {
        Self::from(part.memory).slice(part.begin..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_block_however_often_it_is_used() {
        let mut memory = Vec::with_capacity(3 * BLOCK);
        for bytes in [1, BLOCK - 1, BLOCK, BLOCK + 1] {
            let mut part = Part::of(memory);
            part.push(&vec![7; bytes]);
            assert_eq!(part.as_ptr().addr() % BLOCK, 0);
            assert_eq!(&part[..], vec![7; bytes]);
            part.pad();
            assert_eq!((part.len() % BLOCK, part.as_ptr().addr() % BLOCK), (0, 0));
            assert!(part[bytes..].iter().all(|byte| *byte == 0));
            memory = part.into_memory();
        }
    }
}
