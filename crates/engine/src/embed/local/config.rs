//! What a model's folder says about its model.

use freehold_model::Refusal;
use freehold_model::entity::Pooling;
use serde::Deserialize;

use super::Folder;

/// `config.json`, checked, and what the folder adds to it.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) hidden_size: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) inner_size: usize,
    pub(super) vocab_size: usize,
    pub(super) positions: usize,
    pub(super) token_types: usize,
    pub(super) epsilon: f32,
    pub(super) activation: Activation,
    /// Tokens of a text that are read; the rest is cut off.
    pub(super) window: usize,
    /// How the model is meant to be pooled, if the folder says.
    pub(super) pooling: Option<Pooling>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Activation {
    #[serde(rename = "gelu")]
    Gelu,
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    #[serde(rename = "relu")]
    Relu,
}

#[derive(Deserialize)]
struct Published {
    #[serde(default = "bert")]
    model_type: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: Activation,
}

/// `sentence_bert_config.json`: the window the sentence model was trained with.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// `1_Pooling/config.json`
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

impl Config {
    pub(super) fn read(folder: &Folder) -> Result<Self, Refusal> {
        let published: Published =
            serde_json::from_slice(&folder.bytes("config.json")?).map_err(|e| {
                folder.refusal(&format!("config.json is not that of a BERT model: {e}"))
            })?;
        let unknown =
            |what: &str| Err(folder.refusal(&format!("config.json: {what} is not known here")));
        if published.model_type != "bert" {
            return unknown(&format!("the model_type {:?}", published.model_type));
        }
        if published.position_embedding_type != "absolute" {
            return unknown(&format!(
                "the position_embedding_type {:?}",
                published.position_embedding_type
            ));
        }
        let (hidden, heads) = (published.hidden_size, published.num_attention_heads);
        let sizes = [
            hidden,
            heads,
            published.intermediate_size,
            published.vocab_size,
            published.type_vocab_size,
            published.num_hidden_layers,
        ];
        let odd =
            heads == 0 || !hidden.is_multiple_of(heads) || published.max_position_embeddings < 3;
        if odd || sizes.iter().any(|size| !(1..1 << 24).contains(size)) {
            return Err(folder.refusal("config.json: its sizes make no sense together"));
        }
        let sentence: Option<SentenceConfig> = optional(folder, "sentence_bert_config.json");
        let pooling: Option<PoolingConfig> = optional(folder, "1_Pooling/config.json");
        let trained = sentence.and_then(|sentence| sentence.max_seq_length).unwrap_or(usize::MAX);
        Ok(Self {
            hidden_size: hidden,
            layers: published.num_hidden_layers,
            heads,
            inner_size: published.intermediate_size,
            vocab_size: published.vocab_size,
            positions: published.max_position_embeddings,
            token_types: published.type_vocab_size,
            epsilon: published.layer_norm_eps,
            activation: published.hidden_act,
            window: trained.clamp(3, published.max_position_embeddings),
            pooling: pooling.and_then(|p| {
                match (p.pooling_mode_cls_token, p.pooling_mode_mean_tokens) {
                    (true, false) => Some(Pooling::Cls),
                    (false, true) => Some(Pooling::Mean),
                    _ => None,
                }
            }),
        })
    }
}

fn optional<T: for<'de> Deserialize<'de>>(folder: &Folder, file: &str) -> Option<T> {
    serde_json::from_slice(&std::fs::read(folder.path.join(file)).ok()?).ok()
}

fn bert() -> String {
    "bert".into()
}

fn absolute() -> String {
    "absolute".into()
}
