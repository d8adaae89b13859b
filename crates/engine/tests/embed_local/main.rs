//! Local models: the mathematics against an independent forward pass, and folders that are not as they should be.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use freehold_engine::embed::{EmbedError, Embedders};
use freehold_model::entity::{Embedder, Pooling};
use freehold_model::{Code, Name, Refusal};
use tempfile::TempDir;
use tiny::{HIDDEN, POSITIONS, Tiny};

/// Texts, and the tokens they are.
const TEXTS: [(&str, &[usize]); 5] = [
    ("row level", &[2, 4, 5, 3]),
    ("Tenant walls", &[2, 7, 6, 10, 3]),
    ("kernel tables keys unheard key", &[2, 8, 9, 10, 11, 10, 1, 11, 3]),
    ("key", &[2, 11, 3]),
    ("row row row row row row row row row row row row", &[2, 4, 4, 4, 4, 4, 4, 4, 4, 3]),
];

#[tokio::test]
async fn agrees_with_plain_loops_however_the_weights_are_stored() {
    let tiny = Tiny::new();
    let plain = |name: &str| name.to_string();
    let nested = |name: &str| format!("bert.{name}");
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    type Rename<'a> = &'a dyn Fn(&str) -> String;
    let ways: [(&str, Rename<'_>); 5] =
        [("F32", &plain), ("F16", &plain), ("BF16", &plain), ("F32", &nested), ("F32", &old)];
    for (dtype, rename) in ways {
        let folder = tempfile::tempdir().unwrap();
        tiny.write(&folder.path().join("model"), dtype, rename);
        for pooling in [Pooling::Mean, Pooling::Cls] {
            assert_agrees(&tiny, &folder, pooling, gelu).await;
        }
    }
}

#[tokio::test]
async fn knows_the_other_activations() {
    let tiny = Tiny::new();
    let tanh: fn(f64) -> f64 = |x| {
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
    };
    for (name, activation) in [("gelu_new", tanh), ("relu", |x: f64| x.max(0.0))] {
        let folder = tempfile::tempdir().unwrap();
        tiny.write(&folder.path().join("model"), "F32", str::to_string);
        edit_config(&folder, "hidden_act", name.into());
        assert_agrees(&tiny, &folder, Pooling::Mean, activation).await;
    }
}

#[tokio::test]
async fn a_text_has_the_same_vector_in_any_company() {
    let folder = whole();
    let embedders = embedders(&folder, Pooling::Mean).unwrap();
    let texts: Vec<String> = (0..400).map(|n| TEXTS[n % TEXTS.len()].0.into()).collect();
    let together = embed(&embedders, HIDDEN, &texts).await.unwrap();
    for (text, vector) in texts.iter().zip(&together).take(TEXTS.len()) {
        let alone = embed(&embedders, HIDDEN, std::slice::from_ref(text)).await.unwrap();
        assert!(alone[0].iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-6), "{text}");
    }
    for n in TEXTS.len()..400 {
        assert!(
            together[n].iter().zip(&together[n % TEXTS.len()]).all(|(a, b)| (a - b).abs() < 1e-6),
            "{n}"
        );
    }
}

#[tokio::test]
async fn the_window_is_the_one_the_model_was_trained_with() {
    let folder = whole();
    std::fs::write(
        folder.path().join("model/sentence_bert_config.json"),
        r#"{"max_seq_length": 4}"#,
    )
    .unwrap();
    let embedders = embedders(&folder, Pooling::Mean).unwrap();
    let texts = ["row level wall tenant".to_string(), "row level".into(), "row".into()];
    let vectors = embed(&embedders, HIDDEN, &texts).await.unwrap();
    assert_eq!(vectors[0], vectors[1]);
    assert_ne!(vectors[1], vectors[2]);
}

#[tokio::test]
async fn a_megabyte_of_text_is_cut_not_read() {
    let folder = whole();
    let embedders = embedders(&folder, Pooling::Mean).unwrap();
    let long = "row ".repeat(250_000);
    let vectors = embed(&embedders, HIDDEN, &[long, TEXTS[4].0.into()]).await.unwrap();
    assert_eq!(vectors[0], vectors[1]);
}

#[test]
fn a_folder_that_lacks_something_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(
        embedders(&folder, Pooling::Mean).unwrap_err(),
        "\"model\": the folder does not exist",
    );
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = whole();
        std::fs::remove_file(folder.path().join("model").join(file)).unwrap();
        assert_refused(
            embedders(&folder, Pooling::Mean).unwrap_err(),
            &format!("{file} is missing"),
        );
    }
}

#[test]
fn a_config_of_another_kind_is_refused_at_once() {
    for (key, value, said) in [
        ("model_type", "roberta".into(), "the model_type \"roberta\" is not known here"),
        ("position_embedding_type", "relative_key".into(), "the position_embedding_type"),
        ("hidden_act", "swish".into(), "unknown variant `swish`"),
        ("num_attention_heads", 5.into(), "make no sense together"),
        ("num_attention_heads", 0.into(), "make no sense together"),
        ("hidden_size", "12".into(), "invalid type"),
    ] {
        let folder = whole();
        edit_config(&folder, key, value);
        assert_refused(embedders(&folder, Pooling::Mean).unwrap_err(), said);
    }
}

#[tokio::test]
async fn broken_weights_are_refused_when_they_are_first_needed() {
    let weights = |folder: &TempDir| folder.path().join("model/model.safetensors");
    let folder = whole();
    let bytes = std::fs::read(weights(&folder)).unwrap();
    for length in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(weights(&folder), &bytes[..length]).unwrap();
        assert_refused(first_use(&folder).await, "model.safetensors is damaged or not complete");
    }
    std::fs::write(weights(&folder), &bytes).unwrap();
    edit_config(&folder, "hidden_size", 24.into());
    let refusal = first_use_of(&folder, 24).await;
    assert_refused(refusal, "has the shape [2, 12], but config.json says [2, 24]");

    let folder = whole();
    edit_config(&folder, "vocab_size", 11.into());
    assert_refused(
        first_use(&folder).await,
        "tokenizer.json knows more tokens than config.json says",
    );

    std::fs::write(folder.path().join("model/tokenizer.json"), "{}").unwrap();
    assert_refused(first_use(&folder).await, "tokenizer.json is not a tokenizer");
}

#[tokio::test]
async fn weights_that_are_no_numbers_are_refused() {
    for (change, dtype, said) in [
        (Change::Nan, "F32", "has numbers that are not finite"),
        (Change::Remove, "F32", "encoder.layer.1.output.dense.bias is missing"),
        (Change::Nothing, "I32", "is of I32, not of floats"),
    ] {
        let mut tiny = Tiny::new();
        let name = "encoder.layer.1.output.dense.bias";
        match change {
            Change::Nan => tiny.tensors.get_mut(name).unwrap().data[3] = f64::NAN,
            Change::Remove => drop(tiny.tensors.remove(name)),
            Change::Nothing => {}
        }
        let folder = tempfile::tempdir().unwrap();
        tiny.write(&folder.path().join("model"), dtype, str::to_string);
        assert_refused(first_use(&folder).await, said);
    }
}

#[tokio::test]
async fn other_dimensions_than_the_models_are_refused() {
    let embedders = embedders(&whole(), Pooling::Mean).unwrap();
    match embed(&embedders, 384, &["row".into()]).await.unwrap_err() {
        EmbedError::Refused(refusal) => {
            assert_eq!(refusal.code, Code::Vector);
            assert_eq!(
                refusal.message,
                "the embedder \"near\" makes vectors of 12 dimensions, not 384"
            );
        }
        other => panic!("{other:?}"),
    }
}

enum Change {
    Nan,
    Remove,
    Nothing,
}

fn whole() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new().write(&folder.path().join("model"), "F32", str::to_string);
    folder
}

fn edit_config(folder: &TempDir, key: &str, value: serde_json::Value) {
    let path = folder.path().join("model/config.json");
    let mut config = tiny::config();
    config[key] = value;
    std::fs::write(path, config.to_string()).unwrap();
}

fn near() -> Name {
    Name::new("near").unwrap()
}

fn embedders(folder: &TempDir, pooling: Pooling) -> Result<Embedders, Refusal> {
    let declared = BTreeMap::from([(near(), Embedder::Local { path: "model".into(), pooling })]);
    Embedders::declared(&declared, folder.path())
}

async fn embed(
    embedders: &Embedders,
    dimensions: usize,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, EmbedError> {
    embedders.embed(&near(), dimensions as u32, texts).await
}

async fn first_use(folder: &TempDir) -> Refusal {
    first_use_of(folder, HIDDEN).await
}

async fn first_use_of(folder: &TempDir, dimensions: usize) -> Refusal {
    let embedders = embedders(folder, Pooling::Mean).unwrap();
    match embed(&embedders, dimensions, &["row".into()]).await.unwrap_err() {
        EmbedError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn assert_refused(refusal: Refusal, said: &str) {
    assert_eq!(refusal.code, Code::Embedder);
    let detail = refusal.detail.unwrap();
    assert!(detail.contains(said), "{detail}");
    assert!(
        !detail.contains(std::env::temp_dir().to_str().unwrap()),
        "a path of this machine: {detail}"
    );
    assert!(refusal.hint.is_some() && Path::new("model").is_relative());
}

async fn assert_agrees(
    tiny: &Tiny,
    folder: &TempDir,
    pooling: Pooling,
    activation: fn(f64) -> f64,
) {
    let embedders = embedders(folder, pooling).unwrap();
    let texts: Vec<String> = TEXTS.iter().map(|(text, _)| text.to_string()).collect();
    let vectors = embed(&embedders, HIDDEN, &texts).await.unwrap();
    for ((text, tokens), ours) in TEXTS.iter().zip(vectors) {
        assert!(tokens.len() <= POSITIONS);
        let states = tiny.forward(tokens, activation);
        let mut right: Vec<f64> = match pooling {
            Pooling::Mean => (0..HIDDEN)
                .map(|d| states.iter().map(|row| row[d]).sum::<f64>() / tokens.len() as f64)
                .collect(),
            Pooling::Cls => states[0].clone(),
        };
        let length = right.iter().map(|x| x * x).sum::<f64>().sqrt();
        right.iter_mut().for_each(|x| *x /= length);
        for (ours, right) in ours.iter().zip(&right) {
            assert!((f64::from(*ours) - right).abs() < 2e-5, "{text} {pooling:?}: {ours} {right}");
        }
    }
}

/// The exact form, its error function integrated numerically.
fn gelu(x: f64) -> f64 {
    let steps = 100;
    let step = x / f64::from(steps);
    let density = |n: f64| (-(n * step).powi(2) / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let area: f64 = (0..steps)
        .map(|n| {
            (density(f64::from(n))
                + 4.0 * density(f64::from(n) + 0.5)
                + density(f64::from(n) + 1.0))
                / 6.0
        })
        .sum();
    x * (0.5 + area * step)
}
