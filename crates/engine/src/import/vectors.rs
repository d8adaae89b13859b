//! Vectors from a raw file: little-endian floats, row after row, in the order of the rows.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use half::f16;

use crate::error::{Code, Refusal};

/// How one number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes, IEEE 754 single.
    F32,
    /// 2 bytes, IEEE 754 half.
    F16,
}

/// An open file of vectors.
pub struct VectorFile {
    input: BufReader<File>,
    precision: Precision,
    dimensions: usize,
    rows: u64,
    buffer: Vec<u8>,
}

impl VectorFile {
    /// Opens a file of vectors with `dimensions` numbers each.
    ///
    /// # Errors
    /// `Import` if it cannot be read, its name says no precision, or its size is not a whole number of vectors.
    pub fn open(path: &Path, dimensions: u32) -> Result<Self, Refusal> {
        let precision = Precision::of(path)?;
        let dimensions = dimensions as usize;
        let unreadable = |error: std::io::Error| {
            Refusal::new(Code::Import, format!("{} cannot be read", path.display()))
                .detail(error.to_string())
        };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let row = (dimensions * precision.bytes()) as u64;
        if size % row != 0 {
            return Err(Refusal::new(Code::Vector, format!("{} does not hold whole vectors", path.display()))
                .detail(format!("{size} bytes are {:.2} vectors of {dimensions} × {} bytes", size as f64 / row as f64, precision.bytes()))
                .hint("it was cut off, or the field has other dimensions, or the numbers another precision"));
        }
        Ok(Self {
            input: BufReader::new(file),
            precision,
            dimensions,
            rows: size / row,
            buffer: vec![0; row as usize],
        })
    }

    /// How many vectors it holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Goes to vector `row`, from 0.
    ///
    /// # Errors
    /// `Import` if the file cannot be read there.
    pub fn seek(&mut self, row: u64) -> Result<(), Refusal> {
        let place = row * self.buffer.len() as u64;
        self.input.seek(SeekFrom::Start(place)).map(drop).map_err(|error| broken(&error))
    }

    /// The next vector; `None` at the end.
    ///
    /// # Errors
    /// `Import` if the file cannot be read.
    pub fn next_vector(&mut self) -> Result<Option<Vec<f32>>, Refusal> {
        match self.input.read_exact(&mut self.buffer) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(broken(&error)),
        }
        let mut vector = Vec::with_capacity(self.dimensions);
        match self.precision {
            Precision::F32 => vector.extend(
                self.buffer.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)),
            ),
            Precision::F16 => {
                vector.extend(
                    self.buffer
                        .as_chunks::<2>()
                        .0
                        .iter()
                        .map(|bytes| f16::from_le_bytes(*bytes).to_f32()),
                );
            }
        }
        Ok(Some(vector))
    }
}

impl Precision {
    /// What a file's extension says: `.f32` or `.f16`.
    ///
    /// # Errors
    /// `Import` for any other name.
    pub fn of(path: &Path) -> Result<Self, Refusal> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("f32") => Ok(Self::F32),
            Some("f16") => Ok(Self::F16),
            _ => Err(Refusal::new(
                Code::Import,
                format!("{} does not say its precision", path.display()),
            )
            .hint("name the file .f32 for 4-byte floats or .f16 for 2-byte floats, little-endian")),
        }
    }

    /// Bytes of one number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

fn broken(error: &std::io::Error) -> Refusal {
    Refusal::new(Code::Import, "the vector file cannot be read any further")
        .detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_vectors_from_any_row() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("v.f16");
        let bytes: Vec<u8> =
            [1.0, -2.0, 0.5, 4.0].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        std::fs::write(&path, bytes).expect("written");
        let mut file = VectorFile::open(&path, 2).expect("opens");
        assert_eq!(file.rows(), 2);
        file.seek(1).expect("seeks");
        assert_eq!(file.next_vector().expect("reads"), Some(vec![0.5, 4.0]));
        assert_eq!(file.next_vector().expect("reads"), None);
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("v.f32");
        std::fs::write(&path, [0; 10]).expect("written");
        let refusal = VectorFile::open(&path, 2).err().expect("refused");
        assert!(refusal.message.contains("whole vectors"));
    }
}
