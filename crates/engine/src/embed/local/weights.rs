//! Named matrices and vectors out of a `model.safetensors`.

use freehold_model::Refusal;
use half::{bf16, f16};
use ndarray::{Array1, Array2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Folder;

pub(super) struct Weights<'a> {
    folder: &'a Folder,
    tensors: SafeTensors<'a>,
    /// What stands before each name: some folders hold the model inside another one.
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    pub(super) fn new(folder: &'a Folder, bytes: &'a [u8]) -> Result<Self, Refusal> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|_| folder.refusal("model.safetensors is damaged or not complete"))?;
        let inside = tensors.tensor("bert.embeddings.word_embeddings.weight").is_ok();
        Ok(Self { folder, tensors, prefix: if inside { "bert." } else { "" } })
    }

    pub(super) fn matrix(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Array2<f32>, Refusal> {
        let numbers = self.numbers(name, &[rows, columns])?;
        Ok(Array2::from_shape_vec((rows, columns), numbers).expect("the shape was compared"))
    }

    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, Refusal> {
        Ok(self.numbers(name, &[length])?.into())
    }

    /// The factor and the summand of a normalisation, under their new or their old names.
    pub(super) fn norm(
        &self,
        name: &str,
        length: usize,
    ) -> Result<(Array1<f32>, Array1<f32>), Refusal> {
        let old = self.tensors.tensor(&format!("{}{name}.gamma", self.prefix)).is_ok();
        let (factor, summand) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok((
            self.vector(&format!("{name}.{factor}"), length)?,
            self.vector(&format!("{name}.{summand}"), length)?,
        ))
    }

    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Refusal> {
        let broken =
            |what: String| self.folder.refusal(&format!("model.safetensors: {name} {what}"));
        let tensor = self
            .tensors
            .tensor(&format!("{}{name}", self.prefix))
            .map_err(|_| broken("is missing".into()))?;
        if tensor.shape() != shape {
            return Err(broken(format!(
                "has the shape {:?}, but config.json says {shape:?}",
                tensor.shape()
            )));
        }
        let numbers = floats(&tensor)
            .ok_or_else(|| broken(format!("is of {:?}, not of floats", tensor.dtype())))?;
        if numbers.iter().any(|x| !x.is_finite()) {
            return Err(broken("has numbers that are not finite".into()));
        }
        Ok(numbers)
    }
}

fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => {
            bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect()
        }
        _ => return None,
    })
}
