//! All of a person's rows sealed anew: with the newest key everywhere, and as they were.

use freehold_engine::read::{Manner, Read};

use super::*;

const MODEL: &str = r#"
[model]
name = "resealed"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
email = { type = "text", personal = "contact", lookup = "email", unique = true, optional = true }
wage = { type = "numeric", personal = "contact", optional = true }

[entity.note.field]
n = { type = "integer", not_personal = "a number" }
from = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
about = { ref = "person", on_erase = "delete", optional = true, on_delete = "cascade" }
text = { type = "text", personal = "contact", subject = "from", optional = true }
shut = { vector = 64, of = ["text"], stored = "sealed" }
open = { vector = 64, of = ["text"], stored = "open", stored_why = "a test" }
fact = { type = "text", personal = "contact", subject = "about", optional = true }

[entity.bill.field]
buyer = { ref = "person", on_erase = "keep", keep_for = "10 years", keep_why = "the books" }
name = { type = "text", personal = "contact", optional = true }
"#;

const READS: [&str; 3] = [
    "person?order=handle&select=handle,email,wage",
    "note?order=n&select=n,text,shut,open,fact",
    "bill?order=id&select=name",
];

/// What every value of a tenant was sealed with, by column, and how often: class and generation.
async fn generations(ground: &Ground, tenant: &Tenant, of: &str) -> Value {
    let columns = [
        ("person", "id", "email"),
        ("person", "id", "wage"),
        ("note", "\"from\"", "text"),
        ("note", "\"from\"", "shut"),
        ("note", "about", "fact"),
        ("bill", "buyer", "name"),
    ];
    let one = |(table, owner, column): (&str, &str, &str)| {
        format!(
            "select substr({column}, 3, 2)::text as g from app.{table} where {column} is not null and {owner} = '{of}' and tenant_id = '{}'",
            tenant.id()
        )
    };
    let all: Vec<String> = columns.into_iter().map(one).collect();
    let sql = format!(
        "select g, count(*) as n from ({}) x group by 1 order by 1",
        all.join(" union all ")
    );
    ground.truth(&sql).await
}

async fn all(ground: &Ground, tenant: &Tenant) -> Vec<Value> {
    let mut all = Vec::new();
    for query in READS {
        all.push(read(&ground.engine, tenant, query).await.unwrap());
    }
    all
}

#[tokio::test]
async fn everything_of_a_person_is_sealed_with_the_newest_key() {
    let ground = ground(MODEL).await;
    let mut people = Vec::new();
    for tenant in [&ground.b, &ground.a] {
        people.clear();
        for name in ["ada", "bob"] {
            let person = json!({ "handle": name, "email": format!("{name}@example.org"), "wage": "12345678901234567890.50" });
            ground.insert(tenant, "person", person).await;
            let id = ground.read(tenant, &format!("person?handle=eq.{name}")).await;
            people.push(id[0]["id"].as_str().unwrap().to_owned());
        }
        let note = |n: i32| json!({ "n": n, "from": people[0], "about": people[1], "text": format!("words {n}"), "fact": format!("fact {n}") });
        // More than fit one transaction.
        ground.insert(tenant, "note", (0..700).map(note).collect()).await;
        ground.insert(tenant, "bill", json!({ "buyer": people[0], "name": "A. L." })).await;
    }
    let (ada, bob) = (&*people[0], &*people[1]);
    let before = all(&ground, &ground.a).await;
    let others = "select md5(string_agg(md5(p.*::text), '' order by p.tenant_id, p.id)) as m from app.note p where tenant_id = ";
    let of_b = format!("{others} '{}'", ground.b.id());
    let untouched = ground.truth(&of_b).await;
    assert_eq!(
        generations(&ground, &ground.a, ada).await,
        json!([{ "g": "\\x0000", "n": 1402 }, { "g": "\\x0100", "n": 1 }])
    );

    let mut told = 0;
    let done = ground
        .engine
        .reseal_person(&ground.a, "person", ada.parse().unwrap(), &mut |values| told = values)
        .await
        .unwrap();
    assert_eq!((done, told), ((2, 1403), 1403));
    let newest = json!([{ "g": "\\x0001", "n": 1402 }, { "g": "\\x0101", "n": 1 }]);
    assert_eq!(generations(&ground, &ground.a, ada).await, newest);
    // What is another's, be it in the same row, is as it was, and so is the other tenant's.
    assert_eq!(generations(&ground, &ground.a, bob).await, json!([{ "g": "\\x0000", "n": 702 }]));
    assert_eq!(ground.truth(&of_b).await, untouched);
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    for engine in [&ground.engine, &ground.another().await] {
        for (query, before) in READS.iter().zip(&before) {
            assert_eq!(&read(engine, &ground.a, query).await.unwrap(), before, "{query}");
        }
    }
    assert_eq!(
        found(&ground.engine, &ground.a, "ada@example.org").await,
        json!([{ "handle": "ada" }])
    );
    // As text: a number of JSON that is read as a `double` would have lost the end of it.
    let what = Read { entity: "person", query: "handle=eq.ada&select=wage", count: false };
    let raw = ground.engine.read_as(&ground.a, what, &Manner::default()).await.unwrap().body;
    assert!(raw.contains("12345678901234567890.50"), "{raw}");
}

#[tokio::test]
async fn a_value_that_was_moved_is_not_sealed_anew() {
    let ground = ground(MODEL).await;
    for name in ["ada", "bob"] {
        let person = json!({ "handle": name, "email": format!("{name}@example.org"), "wage": 1 });
        ground.insert(&ground.a, "person", person).await;
    }
    let ada = ground.read(&ground.a, "person?handle=eq.ada").await[0]["id"].clone();
    let admin = ground.db.client().await;
    let swap = "set row_security = off; update app.person set wage = (select wage from app.person where handle = 'bob') where handle = 'ada'";
    admin.batch_execute(swap).await.unwrap();
    let person = ada.as_str().unwrap().parse().unwrap();
    let done = ground.engine.reseal_person(&ground.a, "person", person, &mut |_| {}).await;
    assert!(matches!(done, Err(Error::Failed(_))), "{done:?}");
    let mine = generations(&ground, &ground.a, ada.as_str().unwrap()).await;
    assert_eq!(mine, json!([{ "g": "\\x0000", "n": 2 }]), "nothing is half-done");
}
