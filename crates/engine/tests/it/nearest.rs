//! Similarity with joins and filters against PostgreSQL's own answer over all rows, seen by a superuser.

use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::ground::{body, ground};

const MODEL: &str = r#"
[model]
name = "places"

[entity.person.field]
handle = { type = "text", unique = true }
age = { type = "integer" }

[entity.place.field]
key = { type = "text", unique = true }
owner = { ref = "person", optional = true, on_delete = "unlink" }
weight = { type = "integer" }
at = { vector = 3, metric = "l2", optional = true }
"#;

const METRICS: [(&str, &str); 4] = [("l2", "<->"), ("cosine", "<=>"), ("ip", "<#>"), ("l1", "<+>")];

#[tokio::test]
async fn the_nearest_are_the_nearest_with_their_order_and_ties() {
    let ground = ground(MODEL).await;
    let mut runner = TestRunner::deterministic();
    // Few possible places, so that many are equally far away.
    let place = || option::weighted(0.9, [-2..3_i32, -2..3, 1..3_i32]);
    let rows = vec((option::of(0..4_usize), 0..5_i32, place()), 60);
    for tenant in [&ground.b, &ground.a] {
        let people: Value =
            (0..4).map(|n| json!({ "handle": format!("p{n}"), "age": 10 * n })).collect();
        let people = body(&ground.insert(tenant, "person?select=id", people).await);
        let rows = rows.new_tree(&mut runner).unwrap().current();
        let rows: Value = rows
            .iter()
            .enumerate()
            .map(|(n, (owner, weight, at))| {
                let owner = owner.map(|owner| people[owner]["id"].clone());
                json!({ "key": format!("k{n:02}"), "owner": owner, "weight": weight, "at": at })
            })
            .collect();
        ground.insert(tenant, "place?select=id", rows).await;
    }
    let asked =
        (0..4_usize, [-2..3_i32, -2..3, 1..3_i32], 1..40_u32, 0..5_i32, option::of(0..40_i32));
    for _ in 0..150 {
        let (metric, [x, y, z], k, weight, age) = asked.new_tree(&mut runner).unwrap().current();
        let (name, operator) = METRICS[metric];
        let inner = age.map_or(String::new(), |age| format!("&owner.age=gte.{age}"));
        let embed = if age.is_some() { "owner!inner(handle)" } else { "owner(handle)" };
        let query = format!(
            "place?select=key,{embed}&weight=gte.{weight}&at=nearest(k:{k},{name}).[{x},{y},{z}]&limit={k}{inner}"
        );
        let found = ground.read(&ground.a, &query).await;
        let aged = age.map_or(String::new(), |age| format!("and o.age >= {age}"));
        let wanted = ground
            .truth(&format!(
                "select p.key, case when o.id is null then null else json_build_object('handle', o.handle) end as owner
                 from app.place p left join app.person o on o.tenant_id = p.tenant_id and o.id = p.owner
                 where p.tenant_id = '{}' and p.at is not null and p.weight >= {weight} {aged}
                 order by p.at operator(freehold_ext.{operator}) '[{x},{y},{z}]', p.id limit {k}",
                ground.a.id()
            ))
            .await;
        assert_eq!(found, wanted, "{query}");
    }
}
