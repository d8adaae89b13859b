//! `audit`: what it finds, what it says, how it ends.

use serde_json::Value;

use crate::harness::House;

#[tokio::test]
async fn an_audit_says_what_is_wrong_and_ends_accordingly() {
    let house = House::new().await;
    // The server of the tests is none to be proud of: that is an error, and nothing severe.
    let clean = house.run(&["audit", "--fail-on", "severe"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(
        clean.out.contains("self-hosted, mode seal") && !clean.out.contains("SEVERE"),
        "{clean:?}"
    );
    assert_eq!(house.run(&["audit"]).code, Some(1), "fsync is off");

    let admin = house.db.client().await;
    admin.batch_execute("alter table app.person no force row level security").await.unwrap();
    let broken = house.run(&["audit", "--fail-on", "severe"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    for part in [
        "SEVERE",
        "FH-W01",
        "- app.person: row-level security is not forced",
        "why:",
        "mend:",
        "1 severe",
    ] {
        assert!(broken.out.contains(part), "{part}: {}", broken.out);
    }
}

#[tokio::test]
async fn programs_get_all_of_it() {
    let house = House::new().await;
    house
        .db
        .client()
        .await
        .batch_execute("create view app.everything as select * from app.person")
        .await
        .unwrap();
    let ended = house.run(&["audit", "--json", "--sarif", "audit.sarif", "--profile", "managed"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["profile"], "managed");
    assert_eq!(report["fingerprint"].as_str().unwrap().len(), 64);
    let found = report["findings"].as_array().unwrap();
    let view = found.iter().find(|finding| finding["id"] == "FH-W08").unwrap();
    assert_eq!((&view["severity"], &view["object"]), (&"severe".into(), &"app.everything".into()));

    let log: Value =
        serde_json::from_str(&std::fs::read_to_string(house.path("audit.sarif")).unwrap()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), found.len());
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0];
        assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "freehold.toml");
        assert!(!place["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap().is_empty());
    }
    for rule in rules {
        assert!(rule["help"]["text"].as_str().unwrap().contains("Mend: "), "{rule}");
    }
}

#[tokio::test]
async fn the_checks_are_listed_without_a_database() {
    let house = House::empty().await;
    let listed = house.fine(&["audit", "--list"]);
    assert!(listed.lines().count() > 100 && listed.contains("FH-W01"), "{listed}");
    let all: Value = serde_json::from_str(&house.fine(&["audit", "--list", "--json"])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), listed.lines().count() - 2);
    let refused = house.run(&["audit"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("not set up"), "{refused:?}");
}
