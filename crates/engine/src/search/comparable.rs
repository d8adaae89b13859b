//! Distances of vectors as pgvector measures them, for vectors that PostgreSQL cannot read.

use freehold_model::entity::{Metric, VectorForm};
use half::f16;

/// A vector that can be compared with others of its form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparable {
    Dense(Vec<f32>),
    /// What is not zero, by index.
    Sparse(Vec<(u32, f32)>),
    Bits(Vec<bool>),
}

impl Comparable {
    /// Reads a vector in its type's text form; `[…]` is JSON, too.
    pub(super) fn read(form: VectorForm, text: &str) -> Option<Self> {
        Some(match form {
            VectorForm::Vector => Self::Dense(serde_json::from_str(text).ok()?),
            VectorForm::Halfvec => {
                let numbers: Vec<f32> = serde_json::from_str(text).ok()?;
                Self::Dense(numbers.into_iter().map(|it| f16::from_f32(it).to_f32()).collect())
            }
            VectorForm::Bit => Self::Bits(text.bytes().map(|bit| bit == b'1').collect()),
            VectorForm::Sparsevec => {
                let (inside, _) = text.trim().strip_prefix('{')?.rsplit_once("}/")?;
                let mut elements = Vec::new();
                for element in inside.split(',').filter(|element| !element.trim().is_empty()) {
                    let (index, number) = element.split_once(':')?;
                    elements.push((index.trim().parse().ok()?, number.trim().parse().ok()?));
                }
                elements.sort_by_key(|(index, _)| *index);
                Self::Sparse(elements)
            }
        })
    }

    /// Reads the JSON that was sealed of one.
    pub(super) fn opened(form: VectorForm, json: &[u8]) -> Option<Self> {
        let json = std::str::from_utf8(json).ok()?;
        match form {
            VectorForm::Vector | VectorForm::Halfvec => Self::read(form, json),
            VectorForm::Sparsevec | VectorForm::Bit => {
                Self::read(form, &serde_json::from_str::<String>(json).ok()?)
            }
        }
    }

    /// How far apart they are; none of vectors that cannot be compared.
    pub(super) fn distance(&self, other: &Self, metric: Metric) -> Option<f64> {
        match (self, other) {
            (Self::Dense(one), Self::Dense(other)) if one.len() == other.len() => {
                Some(of_numbers(metric, one.iter().copied().zip(other.iter().copied())))
            }
            (Self::Sparse(one), Self::Sparse(other)) => {
                Some(of_numbers(metric, union(one, other).into_iter()))
            }
            (Self::Bits(one), Self::Bits(other)) if one.len() == other.len() => {
                let count = |fits: &dyn Fn(bool, bool) -> bool| {
                    one.iter().zip(other).filter(|(a, b)| fits(**a, **b)).count() as f64
                };
                Some(match metric {
                    Metric::Hamming => count(&|a, b| a != b),
                    _ => match count(&|a, b| a && b) {
                        0.0 => 1.0,
                        both => 1.0 - both / count(&|a, b| a || b),
                    },
                })
            }
            _ => None,
        }
    }
}

fn of_numbers(metric: Metric, pairs: impl Iterator<Item = (f32, f32)>) -> f64 {
    let pairs = pairs.map(|(a, b)| (f64::from(a), f64::from(b)));
    match metric {
        Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::L1 => pairs.map(|(a, b)| (a - b).abs()).sum(),
        Metric::Cosine => {
            let (dot, one, other) = pairs.fold((0.0, 0.0, 0.0), |(dot, one, other), (a, b)| {
                (dot + a * b, one + a * a, other + b * b)
            });
            // Of a vector of zeros it is no number, and stays so.
            1.0 - (dot / (one * other).sqrt()).clamp(-1.0, 1.0)
        }
        Metric::Ip | Metric::Hamming | Metric::Jaccard => -pairs.map(|(a, b)| a * b).sum::<f64>(),
    }
}

/// What either has, with zero where the other has nothing.
fn union(one: &[(u32, f32)], other: &[(u32, f32)]) -> Vec<(f32, f32)> {
    let (mut at, mut pairs) = (0, Vec::with_capacity(one.len() + other.len()));
    for (index, number) in one {
        while let Some((_, only)) = other.get(at).filter(|(theirs, _)| theirs < index) {
            pairs.push((0.0, *only));
            at += 1;
        }
        match other.get(at).filter(|(theirs, _)| theirs == index) {
            Some((_, both)) => {
                pairs.push((*number, *both));
                at += 1;
            }
            None => pairs.push((*number, 0.0)),
        }
    }
    pairs.extend(other[at..].iter().map(|(_, only)| (0.0, *only)));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_ones_are_as_far_as_whole_ones() {
        let pairs = [
            ("{1:1,3:2}/4", "[1,0,2,0]"),
            ("{}/4", "[0,0,0,0]"),
            ("{4:0.5,2:-1}/4", "[0,-1,0,0.5]"),
        ];
        let read = |form, text| Comparable::read(form, text).unwrap();
        for (a, whole) in pairs {
            for (b, other) in pairs {
                for metric in [Metric::L2, Metric::L1, Metric::Cosine, Metric::Ip] {
                    let sparse = read(VectorForm::Sparsevec, a)
                        .distance(&read(VectorForm::Sparsevec, b), metric)
                        .unwrap();
                    let dense = read(VectorForm::Vector, whole)
                        .distance(&read(VectorForm::Vector, other), metric)
                        .unwrap();
                    assert!(sparse == dense || sparse.is_nan() && dense.is_nan(), "{a} {b}");
                }
            }
        }
    }
}
