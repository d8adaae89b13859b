//! What a measurement comes to.

use super::*;

fn sample(kind: Kind, found: u8) -> Sample {
    Sample { kind, wanted: 10, found: [found; STEPS], at: Instant::now() }
}

fn samples(kind: Kind, found: u8, many: usize) -> Vec<Sample> {
    vec![sample(kind, found); many]
}

fn measured(samples: Vec<Sample>) -> Measured {
    Measured::after(None, (1, 1_000), Round { samples, ..Round::default() })
}

/// An index of which these settings are known to be so sure.
fn known(points: &[(u32, f64)]) -> Measured {
    let point = |(ef_search, sure): &(u32, f64)| Point {
        ef_search: *ef_search,
        recall: *sure,
        sure: *sure,
        seconds: 0.001,
    };
    Measured { points: points.iter().map(point).collect(), ..measured(Vec::new()) }
}

#[test]
fn the_fastest_that_is_sure_enough() {
    let known = known(&[(10, 0.8), (80, 0.96), (320, 0.991)]);
    let ef = |recall, k| known.choose(recall, k).map(|point| point.ef_search);
    assert_eq!(ef(Recall::Fast, 10), Some(10));
    assert_eq!(ef(Recall::AtLeast(0.95), 5), Some(80));
    assert_eq!(ef(Recall::Usual, 10), Some(320));
    assert_eq!(ef(Recall::AtLeast(0.95), 20), Some(160));
}

#[test]
fn nothing_is_promised_that_was_not_measured() {
    let known = known(&[(10, 0.8), (80, 0.96), (320, 0.991)]);
    assert_eq!(known.choose(Recall::AtLeast(0.999), 10), None);
    assert_eq!(known.choose(Recall::Usual, 100), None);
    assert_eq!(known.choose(Recall::Exact, 10), None);
    assert_eq!(measured(Vec::new()).choose(Recall::AtLeast(0.01), 10), None);
}

#[test]
fn few_questions_promise_less_than_they_found() {
    let sure = |found, many| measured(samples(Kind::Row, found, many)).points[0].sure;
    assert!(sure(10, 5) < 0.97, "{}", sure(10, 5));
    assert!(
        sure(10, 22) < 0.99 && sure(10, ENOUGH) > 0.99,
        "{}, {}",
        sure(10, 22),
        sure(10, ENOUGH)
    );
    // Many questions promise nearly the mean.
    let mut mixed = samples(Kind::Row, 10, 190);
    mixed.extend(samples(Kind::Row, 8, 10));
    let point = measured(mixed).points[0];
    assert!((point.recall - 0.99).abs() < 1e-9);
    assert!(point.sure > 0.983 && point.sure < 0.986, "{point:?}");
}

#[test]
fn what_is_worse_of_made_up_questions_counts_until_a_tenant_has_asked_enough() {
    let mut all = samples(Kind::Row, 10, 100);
    all.extend(samples(Kind::Between, 6, 100));
    all.extend(samples(Kind::Asked, 9, ENOUGH - 1));
    let before = measured(all.clone());
    assert!((before.points[0].recall - 0.6).abs() < 1e-9, "{:?}", before.points[0]);
    all.push(sample(Kind::Asked, 9));
    let after = measured(all);
    assert!((after.points[0].recall - 0.9).abs() < 1e-9, "{:?}", after.points[0]);
    assert!(after.asked == ENOUGH && after.is_due(Instant::now()), "more make it surer");
    let settled = measured(samples(Kind::Asked, 9, MANY));
    assert!(!settled.is_due(Instant::now()) && settled.is_due(Instant::now() + FRESH));
    // Vectors of bits have no places between them.
    let rows = measured(samples(Kind::Row, 8, 3));
    assert!((rows.points[0].recall - 0.8).abs() < 1e-9);
}

#[test]
fn samples_add_up_until_there_are_many_or_the_rows_are_others() {
    let round = |found, many| Round {
        samples: samples(Kind::Row, found, many),
        made_up: true,
        ..Round::default()
    };
    let first = Measured::after(None, (1, 1_000), round(10, 150));
    let more = Measured::after(Some(&first), (1, 1_050), round(9, 100));
    assert_eq!(more.samples, 200);
    // The oldest went.
    assert!((more.points[0].recall - 0.95).abs() < 1e-9, "{:?}", more.points[0]);
    for state in [(2, 1_000), (1, 1_200), (1, 800)] {
        assert_eq!(Measured::after(Some(&first), state, round(9, 10)).samples, 10, "{state:?}");
    }
    let now = Instant::now();
    assert!(!more.lacks(now) && more.lacks(now + FRESH), "rows alone, and no tenth minute yet");
}

#[test]
fn a_question_is_asked_with_few_settings_that_tell_what_all_find() {
    let truths: [fn(usize) -> u8; 5] = [
        |_| 10,
        |step| if step < 7 { 4 } else { 10 },
        |step| (step / 2) as u8,
        |_| 3,
        |step| if step == STEPS - 1 { 10 } else { 0 },
    ];
    for (number, truth) in truths.into_iter().enumerate() {
        let mut climb = Climb::new(10, truth(STEPS - 1));
        let mut asked = 0;
        while let Some(step) = climb.next() {
            climb.tell(step, truth(step));
            asked += 1;
        }
        let all: Vec<u8> = (0..STEPS).map(|step| truth(step).min(10)).collect();
        assert_eq!(climb.done().to_vec(), all, "{number}");
        assert!(asked < STEPS, "{number}: {asked}");
    }
    let mut easy = Climb::new(10, 10);
    easy.tell(easy.next().unwrap(), 10);
    assert_eq!(easy.next(), None, "one setting is enough");
}
