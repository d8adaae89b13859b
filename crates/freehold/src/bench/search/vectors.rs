//! The vectors that are searched: real ones, and more made of them by a little noise; or made ones.

use std::{fmt::Write as _, path::Path};

use freehold_engine::import::VectorFile;

use crate::output::Failure;

const DIMENSIONS: usize = 384;

/// Writers of each tenant.
const WRITERS: u128 = 20;

pub(super) struct Vectors {
    real: Vec<Vec<f32>>,
}

impl Vectors {
    /// Those of `minilm-384.f16` in the folder, at most as many as wanted; without a folder, clusters of made ones.
    pub(super) fn read(folder: Option<&Path>, wanted: usize) -> Result<Self, Failure> {
        let mut real = Vec::new();
        if let Some(folder) = folder {
            let mut file = VectorFile::open(&folder.join("minilm-384.f16"), DIMENSIONS as u32)?;
            while real.len() < wanted
                && let Some(vector) = file.next_vector()?
            {
                real.push(vector);
            }
        } else {
            let centres: Vec<Vec<f32>> = (0..200).map(|n| noise(n, 1.0)).collect();
            real = (0..10_000).map(|n| mixed(&centres[n % centres.len()], n as u64, 0.6)).collect();
        }
        if real.is_empty() {
            return Err(Failure::Machine("the file holds no vectors".into()));
        }
        Ok(Self { real })
    }

    /// Spread over all, so that a tenant holds a bit of everything.
    fn at(&self, number: usize) -> Vec<f32> {
        let place = number.wrapping_mul(7_919) % self.real.len();
        let again = number / self.real.len();
        if again == 0 {
            self.real[place].clone()
        } else {
            mixed(&self.real[place], number as u64, 0.3)
        }
    }

    /// Something near to rows there are, in pgvector's text form.
    pub(super) fn question(&self, number: usize) -> String {
        text(&mixed(&self.at(number * 31), number as u64 + 1_000_000_007, 0.2))
    }

    /// The tenant's writers for COPY: tenant, id, name.
    pub(super) fn writers(&self, tenant: uuid::Uuid) -> Vec<u8> {
        let mut out = String::new();
        for writer in 0..WRITERS {
            let _ = writeln!(out, "{tenant}\t{:032x}\twriter {writer}", writer + 1);
        }
        out.into_bytes()
    }

    /// Rows for COPY: tenant, title, writer, kind, embedding.
    pub(super) fn passages(&self, tenant: uuid::Uuid, from: usize, count: usize) -> Vec<u8> {
        let mut out = String::with_capacity(count * 4_000);
        for number in from..from + count {
            let writer = number as u128 % WRITERS + 1;
            let vector = text(&self.at(number));
            let _ = writeln!(
                out,
                "{tenant}\tpassage {number}\t{writer:032x}\t{}\t{vector}",
                number / 3 % 10
            );
        }
        out.into_bytes()
    }
}

fn text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// `vector` and noise of so much of its length, of unit length.
fn mixed(vector: &[f32], seed: u64, share: f32) -> Vec<f32> {
    unit(vector.iter().zip(noise(seed, share)).map(|(number, noise)| number + noise).collect())
}

/// A direction from a fixed sequence (xorshift64*), of this length.
fn noise(seed: u64, length: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    unit((0..DIMENSIONS).map(|_| next()).collect()).into_iter().map(|x| x * length).collect()
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.into_iter().map(|x| x / length).collect()
}
