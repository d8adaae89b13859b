//! Fields that say less after a time: at once for whoever reads, and in the table once workers have come by.

use freehold_engine::{export::Export, import::Format, write::Verb};
use serde_json::json;

use crate::ground::{Ground, ground};

const MODEL: &str = r#"
[model]
name = "coarser"

[entity.visit.field]
n = { type = "integer" }
at = { type = "timestamptz" }
born = { type = "date", optional = true }
seen = { type = "timestamptz", optional = true }
place = { type = "text", optional = true }
income = { type = "bigint", optional = true }
price = { type = "numeric(10,2)", optional = true }
extra = { type = "jsonb", optional = true }

[[entity.visit.expire]]
generalise = ["born to month", "seen to day", "place to 2 characters", "income to 1000", "price to 10"]
after = "10 days after at"

[[entity.visit.expire]]
generalise = ["born to year"]
after = "1 year after at"

[[entity.visit.expire]]
blank = ["extra", "place"]
after = "1 year after at"

[read.places]
key = ["place"]
sql = "select place, count(*) as visits from visit where place is not null group by place"
"#;

const SELECT: &str = "visit?select=n,born,seen,place,income,price,extra,inside:extra->>k&order=n";

async fn filled() -> Ground {
    let ground = ground(MODEL).await;
    // The database's own zone is none of the rules' business.
    let zone = "do $$ begin execute format('alter database %I set timezone = ''Asia/Tokyo''', current_database()); end $$";
    ground.db.client().await.batch_execute(zone).await.unwrap();
    for tenant in [&ground.a, &ground.b] {
        let row = |n: i32, at: &str| {
            json!({
                "n": n, "at": at, "born": "1990-05-17", "seen": "2020-03-31T23:30:00Z", "place": "Zürich", "income": -54_321,
                "price": 19.99, "extra": { "k": "secret" },
            })
        };
        let old = row(1, "2001-01-01T00:00:00Z");
        let young = row(3, "2999-01-01T00:00:00Z");
        ground.insert(tenant, "visit", json!([old, row(2, "2001-01-01T00:00:00Z"), young])).await;
    }
    let client = ground.db.client().await;
    client
        .batch_execute("update app.visit set at = now() - interval '30 days' where n = 2")
        .await
        .unwrap();
    ground
}

fn wanted() -> serde_json::Value {
    json!([
        { "n": 1, "born": "1990-01-01", "seen": "2020-03-31T00:00:00+00:00", "place": null, "income": -54_000, "price": 10.00, "extra": null, "inside": null },
        { "n": 2, "born": "1990-05-01", "seen": "2020-03-31T00:00:00+00:00", "place": "Zü", "income": -54_000, "price": 10.00, "extra": { "k": "secret" }, "inside": "secret" },
        { "n": 3, "born": "1990-05-17", "seen": "2020-03-31T23:30:00+00:00", "place": "Zürich", "income": -54_321, "price": 19.99, "extra": { "k": "secret" }, "inside": "secret" },
    ])
}

#[tokio::test]
async fn what_is_old_says_less_at_once() {
    let ground = filled().await;
    assert_eq!(ground.read(&ground.a, SELECT).await, wanted());
    let ids = async |query: &str| {
        let rows = ground.read(&ground.a, &format!("visit?select=n&order=n&{query}")).await;
        let rows = rows.as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(ids("born=eq.1990-05-17").await, [3]);
    assert_eq!(ids("born=eq.1990-05-01").await, [2]);
    assert_eq!(ids("place=like.Z*h").await, [3]);
    assert_eq!(ids("extra->>k=eq.secret").await, [2, 3]);
    let sum = ground.read(&ground.a, "visit?select=income.sum()").await;
    assert_eq!(sum, json!([{ "sum": -54_000 - 54_000 - 54_321 }]));
    let mut exported = Vec::new();
    let export = Export {
        entity: "visit".into(),
        output: &mut exported,
        format: Format::JsonLines,
        vectors: None,
        purpose: None,
    };
    ground.engine.export(&ground.a, export, &mut |_| {}).await.unwrap();
    let exported = String::from_utf8(exported).unwrap();
    assert_eq!(exported.matches("1990-05-17").count(), 1, "{exported}");
    assert_eq!(exported.matches("secret").count(), 2, "{exported}");
}

#[tokio::test]
async fn workers_make_it_so_in_the_table_once() {
    let ground = filled().await;
    let due = ground.engine.expired(None).await.unwrap();
    let due: Vec<(&str, &str, u64)> =
        due.iter().map(|one| (one.tenant.as_str(), one.rule.as_str(), one.rows)).collect();
    let first = "generalise born to month, seen to day, place to 2 characters, income to 1000, price to 10 10 days after at";
    assert!(due.contains(&("a", first, 2)), "{due:?}");
    assert!(due.contains(&("b", "generalise born to year 1 year after at", 1)), "{due:?}");
    ground.engine.expire(None).await.unwrap();
    let there = "select n, born::text, place, income, price::text, extra is null as e, extract(epoch from seen)::bigint as s
                 from app.visit where tenant_id = (select id from freehold.tenant where name = 'b') order by n";
    let truth = ground.truth(there).await;
    assert_eq!(truth[0]["born"], "1990-01-01");
    assert_eq!(
        truth[1],
        json!({ "n": 2, "born": "1990-05-01", "place": "Zü", "income": -54_000, "price": "10.00", "e": false, "s": 1_585_612_800 })
    );
    assert_eq!(truth[2]["place"], "Zürich");
    assert_eq!(ground.read(&ground.a, SELECT).await, wanted());
    assert!(ground.engine.expired(None).await.unwrap().is_empty());
    assert!(ground.engine.expire(None).await.unwrap().is_empty(), "it is done once");

    // What is written later says less later, too.
    let precise = Verb::Update(json!({ "born": "1991-12-24" }));
    ground.write(&ground.a, "visit?n=eq.2", precise).await.unwrap();
    let done = ground.engine.expire(None).await.unwrap();
    assert_eq!(done.iter().map(|one| one.rows).collect::<Vec<_>>(), [1]);
    let born =
        ground.truth("select born::text from app.visit where n = 2 and born > '1991-01-01'").await;
    assert_eq!(born, json!([{ "born": "1991-12-01" }]));
    while ground.engine.project_round(&mut Default::default()).await.unwrap() > 0 {}
    let places = ground.read(&ground.a, "places?select=place,visits&order=place").await;
    assert_eq!(places, json!([{ "place": "Zü", "visits": 1 }, { "place": "Zürich", "visits": 1 }]));
}
