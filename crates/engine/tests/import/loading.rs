//! Rows in, bad rows out, and going on after an end nobody planned.

use freehold_engine::import::{Format, OnBad};

use crate::house::{house, import, said};

fn people(rows: std::ops::Range<u32>) -> String {
    rows.map(|n| format!("{{\"handle\":\"h{n}\"}}\n")).collect()
}

#[tokio::test]
async fn an_import_that_died_anywhere_goes_on_without_repeating_or_missing_a_row() {
    let house = house().await;
    // The second line is bad for the database alone: its batch is halved and commits in many parts.
    let text = people(0..1).repeat(2) + &people(1..6000);
    let skipping = || {
        let mut import = import("person", text.clone());
        import.on_bad = OnBad::Skip;
        import
    };
    for parts in [1, 4, 1] {
        house.die_after(skipping(), parts).await;
    }
    let before = house.count("person").await;
    assert!(before > 0 && before < 6000, "{before}");
    let imported = house.run(skipping()).await.unwrap();
    assert!(imported.resumed >= before, "{imported:?}");
    assert_eq!(house.count("person").await, 6000);
    assert_eq!(before + imported.rows, 6000);
}

#[tokio::test]
async fn a_bad_row_stops_the_import_there_and_once_mended_it_goes_on_there() {
    let house = house().await;
    let bad = people(0..10) + "{\"handle\":\"x\",\"age\":-1}\n" + &people(10..20);
    assert!(said(house.run(import("person", bad.clone())).await).contains("line 11"));
    assert_eq!(house.count("person").await, 10);
    let imported = house.run(import("person", bad.replace("-1", "1"))).await.unwrap();
    assert_eq!((imported.resumed, imported.rows), (10, 11));
    assert_eq!(house.count("person").await, 21);
}

#[tokio::test]
async fn a_file_that_changed_where_it_was_loaded_is_refused() {
    let house = house().await;
    let bad = people(0..10) + "nonsense\n";
    house.run(import("person", bad.clone())).await.unwrap_err();
    let changed = bad.replace("h3", "h33");
    assert!(said(house.run(import("person", changed.clone())).await).contains("changed"));
    let mut again = import("person", changed);
    (again.restart, again.upsert, again.on_bad) = (true, Some(vec!["handle".into()]), OnBad::Skip);
    let imported = house.run(again).await.unwrap();
    assert_eq!((imported.rows, imported.bad), (10, 1));
    assert_eq!(house.count("person").await, 11);
}

#[tokio::test]
async fn a_key_given_twice_is_a_bad_row_in_one_batch_and_across_batches() {
    let house = house().await;
    let text = people(0..3) + &people(1..2) + &people(3..4500) + &people(2..3);
    let mut twice = import("person", text);
    twice.on_bad = OnBad::Skip;
    let imported = house.run(twice).await.unwrap();
    assert_eq!((imported.rows, imported.bad), (4500, 2));
}

#[tokio::test]
async fn csv_and_a_stream_without_a_name_load_too() {
    let house = house().await;
    let mut csv = import("person", "handle,age\nann,3\nbob,\n");
    (csv.format, csv.source) = (Format::Csv, None);
    assert_eq!(house.run(csv).await.unwrap().rows, 2);
    assert_eq!(house.count("person").await, 2);
}
