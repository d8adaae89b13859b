//! Searches over sealed vectors open no more rows than the server is told.

use serde_json::json;

use crate::harness::{House, is_ours};

const MODEL: &str = "
[model]
name = \"faces\"
[personal.likeness]
purpose = \"search\"
basis = \"consent\"
retention = \"1 year\"
[entity.person]
subject = true
[entity.person.field]
n = { type = \"integer\", unique = true, not_personal = \"a number\" }
face = { vector = 3, personal = \"likeness\", stored = \"sealed\", optional = true }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_would_open_more_than_the_server_allows_is_refused() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.write("freehold.server.toml", "[limits]\nsealed_max = 3\n");
    house.fine(&["apply"]);
    let rows: Vec<_> = (0..5).map(|n| json!({ "n": n, "face": [n, 1, 2] })).collect();
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
        house.fine(&["insert", "person", &json!(rows).to_string(), "--tenant", tenant]);
    }
    let (server, key) = (house.serve_with(&["--config", "freehold.server.toml"]), house.key("a"));
    let near = "GET /rest/v1/person?select=n&face=nearest.[3,1,2]";
    let refused = server.as_tenant(&key, near, "");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (413, Some("FH004")));
    is_ours(&refused.body);
    let opens = "select count(*) from freehold.opened where field = 'face'";
    let opened: i64 = house.db.client().await.query_one(opens, &[]).await.unwrap().get(0);
    assert_eq!(opened, 0, "before anything is opened");
    let three = server.as_tenant(&key, &format!("{near}&n=gte.2&limit=1"), "");
    assert_eq!(three.json(), json!([{ "n": 3 }]), "{three:?}");
    // Without a word in the file all of them may be.
    let plain = house.serve();
    assert_eq!(plain.as_tenant(&key, near, "").json().as_array().unwrap().len(), 5);
}
