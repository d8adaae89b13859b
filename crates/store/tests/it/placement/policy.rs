//! What makes workers move a tenant: what a search takes, between two marks; bounded; and said by somebody.

use freehold_model::Code;
use freehold_store::{Decision, Limit, Mode, Operator, Origin, RootKey};

use super::Ground;
use crate::fixture::{ROOT, code};

async fn decided(operator: &mut Operator, limit: Limit) -> Vec<(String, bool)> {
    operator.set_placement_limit(limit, Origin::Hand).await.unwrap();
    let decisions = operator.decide_placements().await.unwrap();
    let mut short: Vec<_> =
        decisions.into_iter().map(|Decision { tenant, promote, .. }| (tenant, promote)).collect();
    short.sort();
    short
}

#[tokio::test]
async fn workers_go_by_what_a_search_takes() {
    let ground = Ground::new(Mode::Seal).await;
    let mut operator = ground.operator().await;
    let policy = operator.placement_policy().await.unwrap();
    assert_eq!((policy.limit, policy.origin), (Limit::DEFAULT, Origin::Default));
    assert_eq!(policy.set_at, None);

    // 1,200 rows of three numbers take longer than a nanosecond, and less than an hour.
    let both = [("a".to_owned(), true), ("b".to_owned(), true)];
    assert_eq!(decided(&mut operator, Limit::Millis(1e-6)).await, both);
    assert_eq!(decided(&mut operator, Limit::Millis(3.6e6)).await, []);
    ground.promote().await;
    let took = |placed: Vec<freehold_store::Placed>| placed[0].exact_ms.unwrap();
    decided(&mut operator, Limit::Millis(1e-6)).await;
    let took = took(operator.placed(Some("a")).await.unwrap());
    assert!(took > 0.0 && took < 1_000.0, "{took} ms");

    // Between the marks everybody stays where they are, and far below the tenant goes back.
    assert_eq!(decided(&mut operator, Limit::Millis(took * 1.5)).await, []);
    assert_eq!(decided(&mut operator, Limit::Millis(took * 3.0)).await, [("a".to_owned(), false)]);
    operator.set_placement_most(1).await.unwrap();
    assert_eq!(decided(&mut operator, Limit::Millis(1e-6)).await, [], "one has the only place");
    operator.set_placement_most(2).await.unwrap();
    assert_eq!(decided(&mut operator, Limit::Millis(1e-6)).await, [("b".to_owned(), true)]);

    // By rows, and by whom it was said.
    assert_eq!(decided(&mut operator, Limit::rows(1_300)).await, []);
    assert_eq!(decided(&mut operator, Limit::rows(1_100)).await, [("b".to_owned(), true)]);
    let policy = operator.placement_policy().await.unwrap();
    assert_eq!(policy.limit, Limit::Rows { promote: 1_100, demote: 440 });
    assert!(policy.origin == Origin::Hand && policy.set_at.is_some());
    operator.pin_placement("b", "doc", Some("shelf")).await.unwrap();
    assert_eq!(decided(&mut operator, Limit::rows(1_100)).await, []);
}

/// A machine that was busy for a moment moves nobody: what is slower counts little by little, what is faster at once.
#[tokio::test]
async fn a_slow_hour_counts_little() {
    let ground = Ground::new(Mode::Seal).await;
    let admin = ground.db.client().await;
    let mut operator = ground.operator().await;
    decided(&mut operator, Limit::DEFAULT).await;
    let mut after = async |was: f64, hours: u32| {
        let text = format!(
            "update freehold.placement_cost set row_ns = {was}, measured_at = now() - interval '{hours} hours'"
        );
        admin.batch_execute(&text).await.unwrap();
        decided(&mut operator, Limit::DEFAULT).await;
        let text = "select row_ns from freehold.placement_cost";
        admin.query_one(text, &[]).await.unwrap().get::<_, f64>(0)
    };
    // A row takes far more than a hundredth of a nanosecond.
    let slower = after(0.01, 24).await;
    assert!((0.0124..0.0126).contains(&slower), "{slower}");
    let faster = after(1e12, 24).await;
    assert!(faster < 1e9, "{faster}");
    assert_eq!(after(1e12, 0).await, 1e12, "within an hour it is not timed again");
}

/// Without a row that was ever timed nobody is moved by time, but what somebody decided is done.
#[tokio::test]
async fn what_is_decided_by_hand_needs_no_measure() {
    let ground = Ground::new(Mode::Seal).await;
    let admin = ground.db.client().await;
    admin
        .batch_execute("update app.doc set v = '[1,1,1]'; delete from app.doc where n > 100")
        .await
        .unwrap();
    let mut operator = ground.operator().await;
    operator.pin_placement("b", "doc", Some("own")).await.unwrap();
    assert_eq!(decided(&mut operator, Limit::Millis(1e-6)).await, [("b".to_owned(), true)]);
    let costs = admin.query_one("select count(*) from freehold.placement_cost", &[]).await.unwrap();
    assert_eq!(costs.get::<_, i64>(0), 0, "a hundred rows tell nothing");
}

/// Nobody's placement is not an empty one.
#[tokio::test]
async fn who_is_not_there_has_no_placement() {
    let ground = Ground::new(Mode::Seal).await;
    let mut operator = ground.operator().await;
    assert!(operator.placed(Some("b")).await.unwrap().is_empty());
    assert_eq!(code(operator.placed(Some("nobody")).await), Code::NoSuchTenant);
}

/// A database of the version before: numbers nobody chose become the new default, others stay as somebody's.
#[tokio::test]
async fn what_an_older_version_went_by_is_kept_if_somebody_chose_it() {
    let ground = Ground::new(Mode::Seal).await;
    let admin = ground.db.client().await;
    for (promote, limit, origin) in [
        (20_000, Limit::DEFAULT, Origin::Default),
        (30_000, Limit::Rows { promote: 30_000, demote: 8_000 }, Origin::Hand),
    ] {
        admin
            .batch_execute(&format!(
                "alter table freehold.placement_policy drop column exact_ms, drop column origin, drop column set_at; \
                 update freehold.placement_policy set promote_rows = {promote}, demote_rows = 8000; \
                 alter table freehold.placement_policy alter column promote_rows set not null, alter column demote_rows set not null, \
                   alter column promote_rows set default 20000, alter column demote_rows set default 8000; \
                 drop table freehold.placement_cost; delete from freehold.platform_version where version < 9; \
                 update freehold.platform_version set version = 8"
            ))
            .await
            .unwrap();
        let mut operator = ground.operator().await;
        operator.set_up_in(&RootKey::new(ROOT), Some(Mode::Seal)).await.unwrap();
        let policy = operator.placement_policy().await.unwrap();
        assert_eq!((policy.limit, policy.origin), (limit, origin));
    }
}
