//! Fields in the open that say less of a sealed one: made at each write, by whatever way it comes, and by nobody else.

use freehold_engine::{Code, write::Verb};
use serde_json::{Value, json};

use crate::ground::{Ground, code, ground};

const MODEL: &str = r#"
[model]
name = "less"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a name of the product's" }
born = { type = "date", personal = "contact", optional = true }
home = { type = "text", personal = "contact", optional = true }
income = { type = "bigint", personal = "contact", optional = true }
price = { type = "numeric(12,2)", personal = "contact", optional = true }
decade = { type = "date", not_personal = "a year of many", generalises = "born to year", optional = true }
area = { type = "text", not_personal = "a region", generalises = "home to 2 characters", optional = true }
class = { type = "bigint", not_personal = "thousands", generalises = "income to 1000", optional = true }
about = { type = "numeric(12,2)", not_personal = "hundreds", generalises = "price to 100", optional = true }

[entity.old.field]
at = { type = "timestamptz", default = "now()" }
handle = { type = "text", unique = true }
born = { type = "date", optional = true }
home = { type = "text", optional = true }
income = { type = "bigint", optional = true }
price = { type = "numeric(12,2)", optional = true }

[[entity.old.expire]]
generalise = ["born to year", "home to 2 characters", "income to 1000", "price to 100"]
after = "1 hour after at"
"#;

const LESS: &str = "person?select=decade,area,class,about&order=handle";

async fn less(ground: &Ground, handle: &str) -> Value {
    let query = format!("person?select=born,decade,area,class,about&handle=eq.{handle}");
    ground.read(&ground.a, &query).await[0].clone()
}

#[tokio::test]
async fn they_follow_each_write() {
    let ground = ground(MODEL).await;
    for tenant in [&ground.a, &ground.b] {
        let ada = json!({ "handle": "ada", "born": "1990-05-17", "home": "Zürich", "income": 54_321, "price": "-199.99" });
        ground.insert(tenant, "person", json!([ada])).await;
        ground.insert(tenant, "person", json!({ "handle": "bob" })).await;
    }
    let ada = json!({ "born": "1990-05-17", "decade": "1990-01-01", "area": "Zü", "class": 54_000, "about": -100.0 });
    assert_eq!(less(&ground, "ada").await, ada);
    ground.update(&ground.a, "person?handle=eq.ada", json!({ "born": "1985-01-31" })).await;
    assert_eq!(less(&ground, "ada").await["decade"], "1985-01-01");
    assert_eq!(less(&ground, "ada").await["area"], "Zü");
    ground.update(&ground.a, "person?handle=eq.ada", json!({ "born": null, "income": -5 })).await;
    assert_eq!(less(&ground, "ada").await["decade"], Value::Null);
    assert_eq!(less(&ground, "ada").await["class"], 0);
    let both = json!([{ "handle": "ada", "born": "2001-02-03" }, { "handle": "cy", "born": "1999-12-31" }]);
    ground.merge(&ground.a, "person?on_conflict=handle", both).await;
    assert_eq!(less(&ground, "ada").await["decade"], "2001-01-01");
    assert_eq!(less(&ground, "cy").await["decade"], "1999-01-01");

    // Ranges and order, which the sealed value has not.
    let young = "person?select=handle&decade=gte.1999-01-01&order=decade.desc";
    assert_eq!(
        ground.read(&ground.a, young).await,
        json!([{ "handle": "ada" }, { "handle": "cy" }])
    );
    let others = ground.read(&ground.b, LESS).await;
    assert_eq!(
        others[0],
        json!({ "decade": "1990-01-01", "area": "Zü", "class": 54_000, "about": -100.0 })
    );
    assert_eq!(others[1], json!({ "decade": null, "area": null, "class": null, "about": null }));
}

#[tokio::test]
async fn nobody_else_makes_them() {
    let ground = ground(MODEL).await;
    let write = async |target: &str, verb: Verb| ground.write(&ground.a, target, verb).await;
    let insert = |row: Value| Verb::Insert(row, None);
    let own = json!({ "handle": "ada", "decade": "1990-01-01" });
    assert_eq!(code(write("person", insert(own)).await), Code::Sealed);
    let other = json!({ "handle": "ada", "born": "1990-05-17", "decade": "1991-01-01" });
    assert_eq!(code(write("person", insert(other)).await), Code::Sealed);
    let same = json!({ "handle": "ada", "born": "1990-05-17", "decade": "1990-01-01", "income": 1_999, "class": 1000 });
    write("person", insert(same)).await.unwrap();
    for patch in [json!({ "decade": "2000-01-01" }), json!({ "decade": null })] {
        let refused = write("person?handle=eq.ada", Verb::Update(patch)).await;
        assert_eq!(code(refused), Code::Sealed);
    }
    let range = ground
        .engine
        .read(
            &ground.a,
            freehold_engine::read::Read {
                entity: "person",
                query: "born=gte.1990-01-01",
                count: false,
            },
        )
        .await;
    let Err(freehold_engine::Error::Refused(refusal)) = range else {
        panic!("a range of what is sealed")
    };
    assert!(
        refusal.hint.is_some_and(|hint| hint.contains("generalises") || hint.contains("lookup"))
    );
}

#[tokio::test]
async fn what_is_made_here_is_what_postgresql_makes() {
    let ground = ground(MODEL).await;
    let texts = ["", "a", "ab", "abc", "日本語", "e\u{301}e\u{301}", " x y"];
    let numbers = [0, 1, -1, 999, 1_000, -1_000, -1_001, i64::MAX, i64::MIN];
    let prices =
        ["0", "0.01", "-0.01", "99.99", "100", "-100.01", "9999999999.99", "-9999999999.99"];
    let days = ["0001-01-01", "1999-12-31", "2000-02-29", "9999-12-31"];
    for at in 0..9 {
        let row = json!({
            "handle": format!("{at}"), "born": days[at % days.len()], "home": texts[at % texts.len()],
            "income": numbers[at], "price": prices[at % prices.len()],
        });
        ground.insert(&ground.a, "person", row.clone()).await;
        ground.insert(&ground.a, "old", row).await;
    }
    let client = ground.db.client().await;
    client.batch_execute("update app.old set at = '2001-01-01Z'").await.unwrap();
    ground.engine.expire(None).await.unwrap();
    let by_postgresql =
        ground.truth("select born, home, income, price from app.old order by handle").await;
    let here = ground
        .truth("select decade as born, area as home, class as income, about as price from app.person order by handle")
        .await;
    assert_eq!(here, by_postgresql);
    assert_eq!(here.as_array().map(Vec::len), Some(9));
}
