//! Databases from before the keys of blobs were wrapped by their people's.

use serde_json::json;

use super::privacy::yard;
use crate::ground::ROOT;

#[tokio::test]
async fn a_database_from_before_has_its_blobs_wrapped() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    yard.sql(
        "drop function freehold_shelf.\"person~face~whose\"() cascade; drop function freehold_shelf.\"letter~scan~whose\"() cascade; \
         drop function freehold_shelf.\"visit~photo~whose\"() cascade",
    )
    .await;
    let people = [yard.people(a).await, yard.people(b).await];
    // As the version before left them: no offer was taken, and all are under their tenants' keys.
    yard.sql(
        "drop table freehold.blob_offer cascade; alter table freehold.blob drop column subject cascade, drop column subject_class cascade, \
         drop column key_subject cascade, drop column key_class cascade, drop column key_subject_gen cascade, drop column own_at cascade; \
         update freehold.platform_version set version = 7",
    )
    .await;
    let mut operator = yard.ground.operator().await;
    for _ in 0..2 {
        operator.set_up(&freehold_engine::RootKey::new(ROOT)).await.unwrap();
    }
    let [ada, bob] = people[0];
    let scan = yard.blob_of(a, "letter?path=eq.ada", "scan").await;
    assert_eq!(
        yard.wrapped(&scan).await,
        json!({ "by": null, "gen": null, "subject": null, "due": true })
    );
    // Readable at once, and another's with the next write.
    yard.is_sound(8).await;
    yard.ground.update(a, "letter?path=eq.ada", json!({ "from": bob.to_string() })).await;
    yard.is_of(&scan, bob).await;
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 15);
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 0);
    yard.is_of(&yard.blob_of(a, "person?handle=eq.ada", "face").await, ada).await;
    yard.is_of(&yard.blob_of(b, "letter?path=eq.bob", "scan").await, people[1][1]).await;
    yard.is_nobodys(&yard.blob_of(b, "letter?path=eq.bob", "stamp").await).await;
    yard.is_sound(8).await;
}
