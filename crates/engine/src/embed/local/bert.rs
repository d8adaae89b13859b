//! BERT's encoder, forward only. The tokens of all texts of a batch stand one after the other in one matrix; only attention
//! looks at a text at a time. So nothing is padded and no text changes another's vector.

use std::ops::Range;

use freehold_model::Refusal;
use freehold_model::entity::Pooling;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayViewMut1, Axis, Slice, concatenate};

use super::Folder;
use super::config::{Activation, Config};
use super::kernels;
use super::weights::Weights;

pub(super) struct Bert {
    words: Array2<f32>,
    /// With the vector of the first token type, which all tokens of a single text have, already added.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    activation: Activation,
}

struct Layer {
    /// Queries, keys and values as one product.
    attention: Linear,
    attended: Linear,
    attended_norm: Norm,
    inner: Linear,
    outer: Linear,
    outer_norm: Norm,
}

/// `x · weightᵀ + bias`
struct Linear {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    factor: Array1<f32>,
    summand: Array1<f32>,
    epsilon: f32,
}

impl Bert {
    pub(super) fn read(folder: &Folder, config: &Config) -> Result<Self, Refusal> {
        let bytes = folder.bytes("model.safetensors")?;
        let weights = Weights::new(folder, &bytes)?;
        let hidden = config.hidden_size;
        let types = weights.matrix(
            "embeddings.token_type_embeddings.weight",
            config.token_types,
            hidden,
        )?;
        let positions =
            weights.matrix("embeddings.position_embeddings.weight", config.positions, hidden)?;
        Ok(Self {
            words: weights.matrix(
                "embeddings.word_embeddings.weight",
                config.vocab_size,
                hidden,
            )?,
            positions: positions + types.row(0),
            norm: Norm::read(&weights, "embeddings.LayerNorm", config)?,
            layers: (0..config.layers)
                .map(|n| Layer::read(&weights, n, config))
                .collect::<Result<_, _>>()?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    /// One vector for each text, not yet of unit length. Every token is in the vocabulary and no text is empty or longer
    /// than there are positions.
    pub(super) fn embed(&self, texts: &[Vec<u32>], pooling: Pooling) -> Vec<Vec<f32>> {
        let mut spans = Vec::with_capacity(texts.len());
        let mut x = Array2::zeros((texts.iter().map(Vec::len).sum(), self.words.ncols()));
        let mut rows = x.rows_mut().into_iter();
        let mut start = 0;
        for text in texts {
            for ((&token, position), mut row) in
                text.iter().zip(self.positions.rows()).zip(&mut rows)
            {
                row.assign(&self.words.row(token as usize));
                row += &position;
            }
            spans.push(start..start + text.len());
            start += text.len();
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            x = layer.forward(x, &spans, self.heads, self.activation);
        }
        let pooled = |span: Range<usize>| match pooling {
            Pooling::Mean => x
                .slice_axis(Axis(0), span.into())
                .mean_axis(Axis(0))
                .expect("no text is empty")
                .to_vec(),
            Pooling::Cls => x.row(span.start).to_vec(),
        };
        spans.into_iter().map(pooled).collect()
    }
}

impl Layer {
    fn read(weights: &Weights<'_>, number: usize, config: &Config) -> Result<Self, Refusal> {
        let (hidden, inner) = (config.hidden_size, config.inner_size);
        let at = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |part: &str, rows, columns| Linear::read(weights, &at(part), rows, columns);
        let parts = [
            linear("attention.self.query", hidden, hidden)?,
            linear("attention.self.key", hidden, hidden)?,
            linear("attention.self.value", hidden, hidden)?,
        ];
        Ok(Self {
            attention: Linear::stacked(&parts),
            attended: linear("attention.output.dense", hidden, hidden)?,
            attended_norm: Norm::read(weights, &at("attention.output.LayerNorm"), config)?,
            inner: linear("intermediate.dense", inner, hidden)?,
            outer: linear("output.dense", hidden, inner)?,
            outer_norm: Norm::read(weights, &at("output.LayerNorm"), config)?,
        })
    }

    fn forward(
        &self,
        x: Array2<f32>,
        spans: &[Range<usize>],
        heads: usize,
        activation: Activation,
    ) -> Array2<f32> {
        let mut attended = self.attended.apply(&self.attend(&x, spans, heads));
        attended += &x;
        self.attended_norm.apply(&mut attended);
        let mut inner = self.inner.apply(&attended);
        let values = inner.as_slice_mut().expect("a product is contiguous");
        match activation {
            Activation::Gelu => kernels::gelu(values),
            Activation::GeluTanh => kernels::gelu_tanh(values),
            Activation::Relu => kernels::relu(values),
        }
        let mut outer = self.outer.apply(&inner);
        outer += &attended;
        self.outer_norm.apply(&mut outer);
        outer
    }

    fn attend(&self, x: &Array2<f32>, spans: &[Range<usize>], heads: usize) -> Array2<f32> {
        let hidden = x.ncols();
        let width = hidden / heads;
        let scale = 1.0 / (width as f32).sqrt();
        let all = self.attention.apply(x);
        let mut attended = Array2::zeros(x.raw_dim());
        for span in spans {
            let rows = Slice::from(span.clone());
            let all = all.slice_axis(Axis(0), rows);
            let mut attended = attended.slice_axis_mut(Axis(0), rows);
            for head in 0..heads {
                let columns = |start: usize| Slice::from(start..start + width);
                let part = |n: usize| all.slice_axis(Axis(1), columns(n * hidden + head * width));
                let mut scores = part(0).dot(&part(1).t());
                for mut row in scores.rows_mut() {
                    kernels::softmax(slice(&mut row), scale);
                }
                let mut place = attended.slice_axis_mut(Axis(1), columns(head * width));
                general_mat_mul(1.0, &scores, &part(2), 0.0, &mut place);
            }
        }
        attended
    }
}

impl Linear {
    fn read(
        weights: &Weights<'_>,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            weight: weights.matrix(&format!("{name}.weight"), rows, columns)?,
            bias: weights.vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn stacked(parts: &[Self]) -> Self {
        let weights: Vec<_> = parts.iter().map(|part| part.weight.view()).collect();
        let biases: Vec<_> = parts.iter().map(|part| part.bias.view()).collect();
        Self {
            weight: concatenate(Axis(0), &weights).expect("they have the same width"),
            bias: concatenate(Axis(0), &biases).expect("vectors always fit"),
        }
    }

    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut y = Array2::zeros((x.nrows(), self.bias.len()));
        for mut row in y.rows_mut() {
            row.assign(&self.bias);
        }
        general_mat_mul(1.0, x, &self.weight.t(), 1.0, &mut y);
        y
    }
}

impl Norm {
    fn read(weights: &Weights<'_>, name: &str, config: &Config) -> Result<Self, Refusal> {
        let (factor, summand) = weights.norm(name, config.hidden_size)?;
        Ok(Self { factor, summand, epsilon: config.epsilon })
    }

    fn apply(&self, x: &mut Array2<f32>) {
        let factor = self.factor.as_slice().expect("a vector is contiguous");
        let summand = self.summand.as_slice().expect("a vector is contiguous");
        for mut row in x.rows_mut() {
            kernels::layer_norm(slice(&mut row), factor, summand, self.epsilon);
        }
    }
}

fn slice<'a>(row: &'a mut ArrayViewMut1<'_, f32>) -> &'a mut [f32] {
    row.as_slice_mut().expect("a row is contiguous")
}
