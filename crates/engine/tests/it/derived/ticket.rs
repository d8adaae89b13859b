//! The same where the tenant of a transaction stands in a ticket, as on servers without a superuser: there `freehold.tenant()` is a
//! function that triggers, copies and workers call, and not a parameter.

use freehold_engine::{Code, Mode};

use super::*;
use crate::ground::code;

#[tokio::test]
async fn copies_follow_their_rows() {
    follow(filled_in(Mode::Ticket).await).await;
}

#[tokio::test]
async fn copies_go_through_files() {
    through_files(filled_in(Mode::Ticket).await).await;
}

#[tokio::test]
async fn copies_go_with_whom_they_are_of() {
    erased(filled_in(Mode::Ticket).await).await;
    expired(filled_in(Mode::Ticket).await).await;
}

#[tokio::test]
async fn what_is_lost_is_noticed_and_made_again() {
    let (ground, _) = filled_in(Mode::Ticket).await;
    let mode = ground.truth("select mode from freehold.platform_version").await;
    assert_eq!(mode, json!([{ "mode": "ticket" }]));
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(ground.engine.uncopied().await.unwrap(), []);
    let near = "note?near=nearest(k:9).text:garden&select=n";
    let before = ground.read(&ground.a, near).await;
    let lost = "truncate app.\"note~near~near\", app.\"person~face~near\", app.\"person~half~near\", freehold.copy_whole, freehold.copy_note";
    ground.db.client().await.batch_execute(lost).await.unwrap();
    assert_eq!(code(read(&ground.engine, &ground.a, near).await), Code::CopyNotWhole);
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(ground.read(&ground.a, near).await, before);

    // Plain SQL takes a copy away, and a note stays.
    let same = "update app.note set near = near || ''::bytea where n = 1";
    ground.engine.raw_sql(&ground.a, same).await.unwrap();
    assert_eq!(check(&ground, &ground.a, "the same bytes").await, 2);
    for tenant in [&ground.a, &ground.b] {
        while ground.engine.copy_step().await.unwrap() > 0 {}
        assert_eq!(check(&ground, tenant, "made again").await, 2);
    }
}

/// Who has SQL of their own sees and changes the copies of their own tenant alone.
#[tokio::test]
async fn the_wall_holds_copies() {
    let (ground, _) = filled_in(Mode::Ticket).await;
    let seen = "select count(*), count(distinct tenant_id) from app.\"note~near~near\"";
    let seen = ground.engine.raw_sql(&ground.a, seen).await.unwrap();
    assert_eq!(seen[0].rows, [[Some("2".to_owned()), Some("1".to_owned())]]);
    let id = ground.b.id();
    let insert =
        format!("insert into app.\"note~near~near\" (tenant_id, id) values ('{id}', '{id}')");
    assert!(ground.engine.raw_sql(&ground.a, &insert).await.is_err());
    // A ticket of one's own making opens nobody's.
    let forged = format!(
        "set local freehold.ticket = '{}w{}'; select count(*) from app.\"note~near~near\"",
        id.simple(),
        "0".repeat(64)
    );
    assert!(ground.engine.raw_sql(&ground.a, &forged).await.is_err());
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}
