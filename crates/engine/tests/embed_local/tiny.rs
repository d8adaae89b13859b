//! A tiny BERT with weights from a fixed generator, written as a model folder, and its forward pass in plain loops of
//! double precision, which shares nothing with the code under test.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

pub(crate) const HIDDEN: usize = 12;
pub(crate) const HEADS: usize = 3;
pub(crate) const INNER: usize = 20;
pub(crate) const LAYERS: usize = 2;
pub(crate) const POSITIONS: usize = 10;
pub(crate) const EPSILON: f64 = 1e-12;
/// Token 0 is padding, 1 unknown, 2 begins a text, 3 ends it.
pub(crate) const WORDS: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "row", "level", "wall", "tenant", "kernel", "table", "##s",
    "key",
];

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

#[derive(Clone)]
pub(crate) struct Tiny {
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl Tiny {
    pub(crate) fn new() -> Self {
        let mut tensors = BTreeMap::new();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut add = |name: String, shape: &[usize]| {
            let middle = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Halves are exact in every float format, so that rounding of weights is no part of the comparison.
                middle + ((state >> 40) as f64 / (1u64 << 24) as f64 * 128.0).floor() / 64.0 - 1.0
            };
            let data = (0..shape.iter().product()).map(|_| next()).collect();
            tensors.insert(name, Tensor { shape: shape.into(), data });
        };
        add("embeddings.word_embeddings.weight".into(), &[WORDS.len(), HIDDEN]);
        add("embeddings.position_embeddings.weight".into(), &[POSITIONS, HIDDEN]);
        add("embeddings.token_type_embeddings.weight".into(), &[2, HIDDEN]);
        let mut norms = vec!["embeddings".to_string()];
        for layer in 0..LAYERS {
            let at = format!("encoder.layer.{layer}");
            for (part, rows, columns) in [
                ("attention.self.query", HIDDEN, HIDDEN),
                ("attention.self.key", HIDDEN, HIDDEN),
                ("attention.self.value", HIDDEN, HIDDEN),
                ("attention.output.dense", HIDDEN, HIDDEN),
                ("intermediate.dense", INNER, HIDDEN),
                ("output.dense", HIDDEN, INNER),
            ] {
                add(format!("{at}.{part}.weight"), &[rows, columns]);
                add(format!("{at}.{part}.bias"), &[rows]);
            }
            norms.extend([format!("{at}.attention.output"), format!("{at}.output")]);
        }
        for norm in norms {
            add(format!("{norm}.LayerNorm.weight"), &[HIDDEN]);
            add(format!("{norm}.LayerNorm.bias"), &[HIDDEN]);
        }
        Self { tensors }
    }

    /// Writes the three files; `rename` may give tensors other names.
    pub(crate) fn write(&self, folder: &Path, dtype: &str, rename: impl Fn(&str) -> String) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("config.json"), config().to_string()).unwrap();
        std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, tensor) in &self.tensors {
            let start = data.len();
            for &x in &tensor.data {
                match dtype {
                    "F32" => data.extend((x as f32).to_le_bytes()),
                    "F16" => data.extend(half::f16::from_f64(x).to_le_bytes()),
                    "BF16" => data.extend(half::bf16::from_f64(x).to_le_bytes()),
                    "I32" => data.extend((x as i32).to_le_bytes()),
                    other => panic!("{other}"),
                }
            }
            let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [start, data.len()] });
            header.insert(rename(name), entry);
        }
        let header = serde_json::Value::Object(header).to_string();
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        std::fs::write(folder.join("model.safetensors"), file).unwrap();
    }

    /// The hidden states of the last layer, one row a token.
    pub(crate) fn forward(&self, tokens: &[usize], activation: fn(f64) -> f64) -> Vec<Vec<f64>> {
        let word = &self.tensors["embeddings.word_embeddings.weight"].data;
        let position = &self.tensors["embeddings.position_embeddings.weight"].data;
        let kind = &self.tensors["embeddings.token_type_embeddings.weight"].data;
        let mut x: Vec<Vec<f64>> = (0..tokens.len())
            .map(|at| {
                let sum =
                    |d: usize| word[tokens[at] * HIDDEN + d] + position[at * HIDDEN + d] + kind[d];
                self.normed("embeddings", &(0..HIDDEN).map(sum).collect::<Vec<_>>())
            })
            .collect();
        for layer in 0..LAYERS {
            let at = format!("encoder.layer.{layer}");
            let attended = self.attention(&at, &x);
            for (row, attended) in x.iter_mut().zip(attended) {
                let out = self.linear(&format!("{at}.attention.output.dense"), &attended);
                let middle = self.normed(&format!("{at}.attention.output"), &added(row, &out));
                let inner: Vec<f64> = self
                    .linear(&format!("{at}.intermediate.dense"), &middle)
                    .into_iter()
                    .map(activation)
                    .collect();
                let out = self.linear(&format!("{at}.output.dense"), &inner);
                *row = self.normed(&format!("{at}.output"), &added(&middle, &out));
            }
        }
        x
    }

    fn attention(&self, at: &str, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let all = |part: &str| -> Vec<Vec<f64>> {
            x.iter().map(|row| self.linear(&format!("{at}.attention.self.{part}"), row)).collect()
        };
        let (q, k, v) = (all("query"), all("key"), all("value"));
        let width = HIDDEN / HEADS;
        let mut out = vec![vec![0.0; HIDDEN]; x.len()];
        for head in 0..HEADS {
            let columns = head * width..(head + 1) * width;
            for i in 0..x.len() {
                let scores: Vec<f64> = (0..x.len())
                    .map(|j| {
                        columns.clone().map(|d| q[i][d] * k[j][d]).sum::<f64>()
                            / (width as f64).sqrt()
                    })
                    .map(f64::exp)
                    .collect();
                let total: f64 = scores.iter().sum();
                for j in 0..x.len() {
                    for d in columns.clone() {
                        out[i][d] += scores[j] / total * v[j][d];
                    }
                }
            }
        }
        out
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) =
            (&self.tensors[&format!("{name}.weight")], &self.tensors[&format!("{name}.bias")].data);
        let row = |r: usize| {
            bias[r]
                + x.iter()
                    .enumerate()
                    .map(|(c, x)| weight.data[r * x_len(weight) + c] * x)
                    .sum::<f64>()
        };
        (0..bias.len()).map(row).collect()
    }

    fn normed(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let factor = &self.tensors[&format!("{name}.LayerNorm.weight")].data;
        let summand = &self.tensors[&format!("{name}.LayerNorm.bias")].data;
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        (0..x.len())
            .map(|d| (x[d] - mean) / (variance + EPSILON).sqrt() * factor[d] + summand[d])
            .collect()
    }
}

fn x_len(weight: &Tensor) -> usize {
    weight.shape[1]
}

fn added(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub(crate) fn config() -> serde_json::Value {
    json!({
        "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "intermediate_size": INNER, "vocab_size": WORDS.len(), "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2, "layer_norm_eps": EPSILON, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    })
}

fn tokenizer() -> serde_json::Value {
    let vocabulary: serde_json::Map<_, _> =
        WORDS.iter().enumerate().map(|(id, word)| (word.to_string(), id.into())).collect();
    let special = |id: usize| {
        json!({ "id": id, "content": WORDS[id], "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false })
    };
    json!({
        "version": "1.0",
        // As some models are published: cut far too short and padded, which must not matter.
        "truncation": { "max_length": 5, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[PAD]" },
        "added_tokens": [special(0), special(1), special(2), special(3)],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "[CLS]", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } },
                       { "SpecialToken": { "id": "[SEP]", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
                                "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] } } },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocabulary },
    })
}
