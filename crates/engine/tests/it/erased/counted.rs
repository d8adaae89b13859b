//! What an erasure removes is counted in the transaction that removes it.

use serde_json::{Value, json};

use super::{MODEL, filled};
use crate::ground::{Ground, receipts};

/// What the only receipt says of rows.
async fn told(ground: &Ground) -> Value {
    let receipts = receipts(&ground.engine.store()).await;
    assert_eq!(receipts.len(), 1);
    receipts[0]["rows"].clone()
}

#[tokio::test]
async fn a_kill_between_rows_and_their_count_undoes_both() {
    let (ground, ada, _) = filled(MODEL).await;
    let visits = format!("select count(*) as n from app.visit where who = '{ada}'");
    // Nobody can leave a note, so that it waits with the rows deleted.
    let keeper = ground.db.client().await;
    keeper.batch_execute("begin; lock table freehold.erasure_rows in share mode").await.unwrap();
    let (erased, ()) =
        tokio::join!(ground.engine.erase(&ground.a, "person", ada), ground.kill_who_waits());
    assert!(erased.is_err());
    keeper.batch_execute("commit").await.unwrap();
    assert_eq!(ground.truth(&visits).await, json!([{ "n": 2 }]), "none went uncounted");
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    let whole = json!({ "visit": { "deleted": 2 }, "message": { "unlinked": 1 }, "person": { "deleted": 1 } });
    assert_eq!(told(&ground).await, whole);
    assert_eq!(ground.truth("select 1 from freehold.erasure_rows").await, json!([]));
}

#[tokio::test]
async fn two_who_erase_at_once_count_each_row_once() {
    let (ground, ada, _) = filled(MODEL).await;
    let erasure = ground.engine.store().begin_erasure(&ground.a, "person", ada).await.unwrap();
    let (one, two) = (ground.another().await, ground.another().await);
    let (first, second) =
        tokio::join!(one.resume_erasure(erasure.id), two.resume_erasure(erasure.id));
    assert!(first.is_ok() || second.is_ok());
    ground.engine.resume_erasure(erasure.id).await.unwrap();
    let whole = json!({ "visit": { "deleted": 2 }, "message": { "unlinked": 1 }, "person": { "deleted": 1 } });
    assert_eq!(told(&ground).await, whole);
}

#[tokio::test]
async fn nobody_else_counts_for_an_erasure() {
    let (ground, ada, bob) = filled(MODEL).await;
    let store = ground.engine.store();
    let erasure = store.begin_erasure(&ground.a, "person", ada).await.unwrap().id;
    let permits = [
        store.removal_permit(&ground.a).await.unwrap(),
        store.removal_permit(&ground.b).await.unwrap(),
    ];
    let count = |permit: &str| {
        format!("select freehold.rows_erased('{permit}', '{erasure}', 'visit', 'deleted', 1000)")
    };
    let notes = "select tenant_id from freehold.erasure_rows";
    for permit in [&*permits[1], "00000000-0000-0000-0000-000000000000"] {
        let refused = ground.engine.raw_sql(&ground.a, &count(permit)).await.unwrap_err();
        assert!(refused.to_string().contains("only an erasure counts"), "{refused}");
    }
    // Another tenant's erasure is not there, whoever has a permit.
    ground.engine.raw_sql(&ground.b, &count(&permits[1])).await.unwrap();
    assert_eq!(ground.truth(notes).await, json!([]));
    ground.engine.raw_sql(&ground.a, &count(&permits[0])).await.unwrap();
    assert_eq!(ground.truth(notes).await.as_array().unwrap().len(), 1, "the control");
    // One that has ended counts no more.
    ground.engine.erase(&ground.a, "person", bob).await.unwrap();
    let ended = format!("update freehold.erasure set state = 'ended' where id = '{erasure}'");
    ground.db.client().await.batch_execute(&ended).await.unwrap();
    ground.engine.raw_sql(&ground.a, &count(&permits[0])).await.unwrap();
    assert_eq!(ground.truth(notes).await.as_array().unwrap().len(), 1);
}
