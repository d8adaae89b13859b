//! Vectors from a raw file beside the rows.

use freehold_engine::import::{Import, OnBad, VectorFile};
use half::f16;

use crate::house::{House, house, import, said};

async fn with_author() -> House {
    let house = house().await;
    house.run(import("person", "{\"handle\":\"ann\"}\n")).await.unwrap();
    house
}

fn commits(vectors: &[f32]) -> Import {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.f16");
    let bytes: Vec<u8> = vectors.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
    std::fs::write(&path, bytes).unwrap();
    let row = |n| format!("{{\"sha\":\"{n}\",\"author\":{{\"handle\":\"ann\"}},\"files\":[]}}\n");
    let mut import = import("commit", (0..3).map(row).collect::<String>());
    // The file stays readable once it is open.
    import.vectors = Some(("embedding".into(), VectorFile::open(&path, 2).unwrap()));
    import
}

#[tokio::test]
async fn too_few_and_too_many_vectors_are_refused() {
    let house = with_author().await;
    assert!(said(house.run(commits(&[1.0; 4])).await).contains("fewer vectors"));
    assert!(said(house.run(commits(&[1.0; 8])).await).contains("more vectors"));
}

#[tokio::test]
async fn a_vector_that_is_not_finite_is_a_bad_row() {
    let house = with_author().await;
    let vectors = [1.0, 0.0, f32::NAN, 1.0, 0.0, 1.0];
    let refused = said(house.run(commits(&vectors)).await);
    assert!(refused.contains("not finite") && refused.contains("line 2"), "{refused}");
    let mut skipping = commits(&vectors);
    skipping.on_bad = OnBad::Skip;
    let imported = house.run(skipping).await.unwrap();
    assert_eq!((imported.resumed, imported.rows, imported.bad), (1, 1, 1));
}
