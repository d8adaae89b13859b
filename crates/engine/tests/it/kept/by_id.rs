//! Rows asked for by their ids.

use freehold_engine::{cache::Status, write::Verb};
use serde_json::json;

use super::keeping;

#[tokio::test]
async fn a_row_asked_for_by_its_id_is_kept_while_others_change() {
    let ground = keeping().await;
    let rows = json!([{"name": "one"}, {"name": "two"}, {"name": "three"}]);
    let made = crate::ground::body(&ground.insert(&ground.a, "shelf", rows).await);
    let ids: Vec<&str> = (0..3).map(|n| made[n]["id"].as_str().unwrap()).collect();
    let last = |id: &str| id[33..].to_owned();
    assert!(last(ids[0]) != last(ids[1]) && last(ids[1]) != last(ids[2]), "once in 4,096 times");
    let one = format!("shelf?select=name,size&id=eq.{}", ids[0].to_uppercase());
    let two = format!("shelf?select=name,size&id=in.({},{})&order=name", ids[0], ids[1]);
    let absent = "shelf?id=eq.00000000-0000-4000-8000-000000000000";
    let counted = format!("shelf?select=count()&id=eq.{}", ids[0]);
    let with_books = format!("shelf?select=name,book(title)&id=eq.{}", ids[0]);
    let all = [one.as_str(), &two, absent, &counted, &with_books];
    for target in all {
        assert_eq!(ground.status(target).await, Status::Miss, "{target}");
        assert_eq!(ground.status(target).await, Status::Hit, "{target}");
    }
    ground.update(&ground.a, "shelf?name=eq.three", json!({"size": 3})).await;
    for (target, is_old) in all.into_iter().zip([false, false, true, true, false]) {
        let status = if is_old { Status::Stale } else { Status::Hit };
        assert_eq!(ground.status(target).await, status, "{target}");
    }
    ground.update(&ground.a, "shelf?name=eq.two", json!({"size": 2})).await;
    assert_eq!(ground.status(&one).await, Status::Hit);
    let row = |name: &str, size: i32| json!({"name": name, "size": size});
    let both = json!([row("one", 0), row("two", 2)]);
    assert_eq!(ground.ask(&ground.a, &two).await, (Status::Stale, both));
    let book = json!([{"title": "x", "shelf": ids[0]}]);
    ground.insert(&ground.a, "book", book).await;
    assert_eq!(ground.status(&with_books).await, Status::Stale, "of books all are looked at");
    let mut other = made[0].clone();
    other["id"] = json!("00000000-0000-4000-8000-000000000000");
    other["name"] = json!("late");
    ground.insert(&ground.a, "shelf", json!([other])).await;
    let (status, body) = ground.ask(&ground.a, absent).await;
    assert_eq!((status, &body[0]["name"]), (Status::Stale, &json!("late")));
    let client = ground.db.client().await;
    client.batch_execute("update app.shelf set size = 8").await.unwrap();
    assert_eq!(ground.ask(&ground.a, &one).await, (Status::Stale, json!([row("one", 8)])));
    ground.write(&ground.a, &format!("shelf?id=eq.{}", ids[0]), Verb::Delete).await.unwrap();
    assert_eq!(ground.ask(&ground.a, &one).await, (Status::Stale, json!([])));
}
