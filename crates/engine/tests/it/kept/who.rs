//! Who may have a kept answer, and whose change counts.

use std::time::Duration;

use freehold_engine::{
    Code, Error, Role, Scope, WantedKey,
    cache::Status,
    write::{OnlyIf, Terms, Verb},
};
use serde_json::json;

use super::{NAMES, STRONG, ask, bounded, keeping};
use crate::ground::{code, operation};

#[tokio::test]
async fn whose_key_is_revoked_gets_no_kept_answer() {
    let ground = keeping().await;
    let mut operator = ground.operator().await;
    let key = operator.create_key("a", "k", freehold_engine::Role::Reader, None).await.unwrap();
    let caller = ground.engine.authenticate(&key.secret).await.unwrap();
    assert_eq!(
        ask(&ground, &ground.engine, &caller, NAMES, STRONG).await.unwrap().status,
        Status::Miss
    );
    assert_eq!(
        ask(&ground, &ground.engine, &caller, NAMES, STRONG).await.unwrap().status,
        Status::Hit
    );
    operator.revoke_key(&key.prefix).await.unwrap();
    let refused = ask(&ground, &ground.engine, &caller, NAMES, STRONG).await;
    assert!(
        matches!(refused, Err(Error::Refused(refusal)) if refusal.code == Code::Unauthenticated)
    );
    // Not even where it may be old: the key was found revoked.
    let refused =
        ask(&ground, &ground.engine, &caller, NAMES, bounded(Duration::from_secs(60))).await;
    assert!(
        matches!(refused, Err(Error::Refused(refusal)) if refusal.code == Code::Unauthenticated)
    );
}

#[tokio::test]
async fn what_one_may_read_another_may_not() {
    let ground = keeping().await;
    ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    let mut operator = ground.operator().await;
    let only = Scope::read(["book"]).unwrap();
    let wanted = WantedKey { name: "k", role: Role::Reader, valid_for: None, only: Some(&only) };
    let narrow = operator.create_key_for("a", &wanted).await.unwrap();
    let wide = operator.create_key("a", "k", Role::Reader, None).await.unwrap();
    let (narrow, wide) = (
        ground.engine.authenticate(&narrow.secret).await.unwrap(),
        ground.engine.authenticate(&wide.secret).await.unwrap(),
    );
    let anybody = ground.a.clone().for_anybody();
    for _ in 0..2 {
        ask(&ground, &ground.engine, &wide, NAMES, STRONG).await.unwrap();
        ask(&ground, &ground.engine, &wide, "book?select=title", STRONG).await.unwrap();
    }
    let refused = ask(&ground, &ground.engine, &narrow, NAMES, STRONG).await;
    assert_eq!(code(refused), Code::Forbidden);
    let hour = bounded(Duration::from_secs(3_600));
    assert_eq!(code(ask(&ground, &ground.engine, &narrow, NAMES, hour).await), Code::Forbidden);
    assert!(ask(&ground, &ground.engine, &narrow, "book?select=title", STRONG).await.is_ok());
    let closed = ask(&ground, &ground.engine, &anybody, "book?select=title", hour).await;
    assert_eq!(code(closed), Code::Forbidden);
    let open = ask(&ground, &ground.engine, &anybody, NAMES, STRONG).await.unwrap();
    assert_eq!((open.status, open.entry.answer.rows), (Status::Miss, 1));
    let open = ask(&ground, &ground.engine, &anybody, NAMES, STRONG).await.unwrap();
    assert_eq!(open.status, Status::Hit);
}

#[tokio::test]
async fn nobodys_change_is_lost() {
    let ground = keeping().await;
    ground.insert(&ground.a, "shelf", json!([{"name": "one", "size": 1}])).await;
    let target = "shelf?name=eq.one&select=name,size";
    let read = ask(&ground, &ground.engine, &ground.a, target, STRONG).await.unwrap();
    let patch = async |etag: &str, size: u32| {
        let only_if = Some(OnlyIf::Is(vec!["0".into(), etag.to_owned()]));
        let terms = Terms { only_if, ..Terms::default() };
        let patch = operation(target, Verb::Update(json!({ "size": size })));
        ground.engine.write_on(&ground.a, patch, &terms).await
    };
    patch(&read.entry.etag, 2).await.unwrap();
    assert_eq!(code(patch(&read.entry.etag, 3).await), Code::Precondition);
    let now = ask(&ground, &ground.engine, &ground.a, target, STRONG).await.unwrap();
    assert_eq!(now.entry.answer.body, r#"[{"name":"one","size":2}]"#);
    // Of many who read the same, one changes it.
    let etag = now.entry.etag.clone();
    let all = futures_util::future::join_all((10..20).map(|size| patch(&etag, size))).await;
    assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 1);
    for refused in all.into_iter().filter(Result::is_err) {
        assert_eq!(code(refused), Code::Precondition);
    }
    let any = |only_if| Terms { only_if: Some(only_if), ..Terms::default() };
    let gone = operation("shelf?name=eq.two", Verb::Delete);
    let done = ground.engine.write_on(&ground.a, gone, &any(OnlyIf::Any)).await;
    assert_eq!(code(done), Code::Precondition);
    let insert = operation("shelf", Verb::Insert(json!({ "name": "x" }), None));
    let done = ground.engine.write_on(&ground.a, insert, &any(OnlyIf::Any)).await;
    assert_eq!(code(done), Code::Precondition);
}
