//! What holds for every embedder, shown with the one that is always there.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use freehold_engine::embed::{EmbedError, Embedders, TEXT_BYTES_MAX};
use freehold_model::{Code, Model, Name};

#[tokio::test]
async fn lexical_is_there_undeclared_and_makes_unit_vectors_of_any_dimensions() {
    let embedders = Embedders::new(&Model::default(), Path::new(".")).unwrap();
    let texts: Vec<String> = (0..5000).map(|n| format!("text number {n}")).collect();
    for dimensions in [16, 384, 4096] {
        let few = embedders.embed(&lexical(), dimensions, &texts[..3]).await.unwrap();
        assert!(few.iter().all(|vector| vector.len() == dimensions as usize));
        assert!(
            few.iter().all(|vector| (vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5)
        );
    }
    let many = embedders.clone().embed(&lexical(), 16, &texts).await.unwrap();
    assert_eq!(many.len(), 5000);
    assert_eq!(many[..3], embedders.embed(&lexical(), 16, &texts[..3]).await.unwrap());
    assert_eq!(embedders.embed(&lexical(), 16, &[]).await.unwrap(), Vec::<Vec<f32>>::new());
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused() {
    let embedders = Embedders::declared(&BTreeMap::new(), Path::new(".")).unwrap();
    let other = Name::new("other").unwrap();
    for (embedder, dimensions, text, code) in [
        (lexical(), 384, String::new(), Code::InvalidText),
        (lexical(), 384, " \n\t\u{a0}".into(), Code::InvalidText),
        (lexical(), 384, "x".repeat(TEXT_BYTES_MAX + 1), Code::InvalidText),
        (lexical(), 15, "text".into(), Code::Vector),
        (lexical(), 4097, "text".into(), Code::Vector),
        (other, 384, "text".into(), Code::Embedder),
    ] {
        match embedders.embed(&embedder, dimensions, &["fine".into(), text]).await.unwrap_err() {
            EmbedError::Refused(refusal) => assert_eq!(refusal.code, code, "{refusal:?}"),
            other => panic!("{other:?}"),
        }
    }
}

fn lexical() -> Name {
    Name::new("lexical").unwrap()
}
