//! The planner keeps no samples of tenants' values: `explain` would spell them out.

use freehold_model::plan::plan;

use crate::{
    model,
    postgres::apply,
    rows::{one, run, start},
};

const ROWS: &str = "insert into app.t (secret, choice, flag, turns) select 'diagnosis ' || i % 9, 'a', true, 'b' from generate_series(1, 5000) i; analyze";
const SAMPLED: &str = "select string_agg(distinct attname, ' ' order by attname)::text from pg_stats where schemaname in ('app', 'freehold_shelf')";

fn declared(more: &str) -> String {
    format!(
        "[model]\nname = \"m\"\n[entity.t.field]\nsecret = {{ type = \"text\", search = \"english\", index = true }}\n\
         choice = {{ enum = [\"a\", \"c\"] }}\nflag = {{ type = \"boolean\" }}\n{more}"
    )
}

#[tokio::test]
async fn only_values_that_the_model_lists_are_sampled() {
    let (ground, client) = start(&declared("turns = { type = \"text\" }")).await;
    run(&client, ROWS).await;
    assert_eq!(one(&client, SAMPLED).await, "choice flag");
    let estimate = async |value: &str| {
        let text = format!("explain (format json) select from app.t where secret = '{value}'");
        let plan: serde_json::Value = client.query_one(&text, &[]).await.expect("a plan").get(0);
        plan[0]["Plan"]["Plan Rows"].clone()
    };
    assert_eq!(estimate("diagnosis 1").await, estimate("never").await);

    let more = "turns = { enum = [\"b\"] }\nlater = { type = \"text\", default = \"x\" }\non = { type = \"boolean\", default = true }";
    let (old, new) = (declared("turns = { type = \"text\" }"), declared(more));
    let change = plan(&model(&old), &model(&new), ground.target).expect("a plan");
    apply(&client, &change, "sampled").await;
    run(&client, "analyze").await;
    assert_eq!(one(&client, SAMPLED).await, "choice flag on turns");
}
