//! `prove`: the report, its signature, and that nothing is left behind.

use serde_json::Value;

use crate::harness::{House, ended, until};

const CANARIES: &str = "select count(*) from freehold.tenant where name like 'freehold-canary-%'";

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_holds_over_every_surface_and_leaves_nothing() {
    let house = House::new().await;
    let server = house.serve();
    // What a proof that was killed has left.
    house.fine(&["tenant", "create", "freehold-canary-dead-a"]);
    let url = server.url();
    let report = house.path("report.json");
    let file = report.to_str().unwrap();
    let said = house.fine(&["prove", "--url", &url, "--report", file]);
    assert!(said.contains(" 0 leaked") && said.contains("H01  held"), "{said}");
    assert!(said.contains("A06  held") && said.contains("C01  held"), "{said}");
    assert_eq!(house.number(CANARIES).await, 0);
    assert_eq!(house.number("select count(*) from app.note").await, 0);

    let document: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(document["report"]["leaked"], 0);
    assert!(document["report"]["held"].as_u64().unwrap() > 70, "{document}");
    let checked = house.fine(&["prove", "--verify", file]);
    assert!(checked.contains(document["public_key"].as_str().unwrap()), "{checked}");
    let forged = std::fs::read_to_string(&report)
        .unwrap()
        .replace("\"mode\": \"seal\"", "\"mode\": \"none\"");
    house.write("forged.json", forged);
    let refused = house.run(&["prove", "--verify", house.path("forged.json").to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaks_is_said_and_ends_with_1() {
    let house = House::new().await;
    let sabotage = "grant execute on function pg_catalog.pg_sleep(double precision) to public";
    house.db.client().await.batch_execute(sabotage).await.unwrap();
    let ended = house.run(&["prove", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["report"]["leaked"], 1, "{document:#}");
    let attacks = document["report"]["attacks"].as_array().unwrap();
    let leaked: Vec<_> = attacks.iter().filter(|attack| attack["verdict"] == "leaked").collect();
    assert_eq!(leaked[0]["id"], "R06");
    assert_eq!(house.number(CANARIES).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_interrupted_cleans_up() {
    let house = House::new().await;
    let child = house.command(&["prove"]).spawn().unwrap();
    until("canaries are there", async || house.number(CANARIES).await == 2).await;
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let ended = ended(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(house.number(CANARIES).await, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_of_people_are_attacked_too() {
    let house = House::empty().await;
    let model = "
[model]
name = \"people\"
[personal.contact]
purpose = \"account\"
basis = \"contract\"
retention = \"3 years\"
[entity.person]
subject = true
[entity.person.field]
email = { type = \"text\", personal = \"contact\", lookup = \"email\", unique = true }
[entity.letter.field]
from = { ref = \"person\", on_erase = \"delete\", on_delete = \"cascade\" }
body = { type = \"text\", personal = \"contact\" }
scan = { type = \"blob\", max = \"1 MB\", personal = \"contact\", optional = true }
";
    house.write("freehold.toml", model);
    house.fine(&["apply"]);
    let server = house.serve();
    let said = house.fine(&["prove", "--url", &server.url()]);
    assert!(said.contains(" 0 leaked") && said.contains("H01  held"), "{said}");
    assert!(!said.contains("not attacked"), "{said}");
}
