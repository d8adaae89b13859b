//! Search over sealed vectors: it finds what pgvector finds over the same vectors in the open, and nobody else's.

use freehold_engine::{
    Code,
    read::{Manner, Read},
    search::Recall,
};
use proptest::{option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::ground::{Ground, body, code, ground, read};

const MODEL: &str = r#"
[model]
name = "faces"

[personal.contact]
purpose = "account"
basis = "consent"
retention = "1 year"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }

[entity.face.field]
n = { type = "integer", unique = true, not_personal = "a number" }
of = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
open_v = { vector = 3, personal = "contact", stored = "open", stored_why = "a test", optional = true }
shut_v = { vector = 3, personal = "contact", stored = "sealed", optional = true }
open_h = { halfvec = 3, personal = "contact", stored = "open", stored_why = "a test", optional = true }
shut_h = { halfvec = 3, personal = "contact", stored = "sealed", optional = true }
open_s = { sparsevec = 9, personal = "contact", stored = "open", stored_why = "a test", optional = true }
shut_s = { sparsevec = 9, personal = "contact", stored = "sealed", optional = true }
open_b = { bit = 5, personal = "contact", stored = "open", stored_why = "a test", optional = true }
shut_b = { bit = 5, personal = "contact", stored = "sealed", optional = true }

[[entity.face.expire]]
delete = "1 day after at"
"#;

/// A vector in each of the forms, by how it is written.
fn forms([x, y, z]: [i32; 3]) -> [(&'static str, String); 4] {
    // Numbers that four bytes hold exactly, so that both ways of summing come to the same.
    let fine = |it: i32| f64::from(it) * 0.25;
    [
        ("v", format!("[{},{},{}]", fine(x), fine(y), z)),
        ("h", format!("[{},{},{z}]", fine(x), fine(y))),
        ("s", format!("{{1:{x},4:{y},9:{z}}}/9").replace(":0,", ":0.0,")),
        ("b", [x > 0, y > 0, z > 1, x == y, x > z].map(|bit| if bit { "1" } else { "0" }).concat()),
    ]
}

async fn filled() -> Ground {
    let ground = ground(MODEL).await;
    let mut runner = TestRunner::deterministic();
    for tenant in [&ground.b, &ground.a] {
        let people: Value = (0..3).map(|n| json!({ "handle": format!("p{n}") })).collect();
        let people = body(&ground.insert(tenant, "person?select=id", people).await);
        // Few possible places, so that many are equally far away; also one without a direction.
        let place = option::weighted(0.9, [-2..3_i32, -2..3, 0..3_i32]);
        let rows: Value = (0..80)
            .map(|n| {
                let mut row = Map::new();
                row.insert("n".into(), json!(n));
                row.insert(
                    "of".into(),
                    people.get(n % 4).map_or(Value::Null, |one| one["id"].clone()),
                );
                let place = place.new_tree(&mut runner).unwrap().current();
                for (form, text) in place.map(forms).into_iter().flatten() {
                    for field in [format!("open_{form}"), format!("shut_{form}")] {
                        row.insert(field, json!(text));
                    }
                }
                // By PostgREST's rule all rows of a body have the same keys.
                if place.is_none() {
                    for (form, _) in forms([0; 3]) {
                        row.insert(format!("open_{form}"), Value::Null);
                        row.insert(format!("shut_{form}"), Value::Null);
                    }
                }
                row.insert(
                    "at".into(),
                    if n % 11 == 5 { json!("2020-01-01") } else { Value::Null },
                );
                Value::Object(row)
            })
            .collect();
        ground.insert(tenant, "face?select=n", rows).await;
    }
    ground
}

/// The answer and what it says of the search, but for the way.
async fn asked(ground: &Ground, query: &str) -> (Value, String) {
    let (entity, query) = query.split_once('?').unwrap();
    let manner = Manner { recall: Recall::Exact, ..Manner::default() };
    let read = Read { entity, query, count: true };
    let answer = ground.engine.read_as(&ground.a, read, &manner).await;
    let answer = answer.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let said = answer.search.unwrap().field();
    let way = if query.contains("shut_") { "path=sealed" } else { "path=exact" };
    let said = said.strip_prefix(way).unwrap_or_else(|| panic!("{said}")).to_owned();
    (serde_json::from_str(&answer.body).unwrap(), format!("{:?} {said}", answer.total))
}

fn same(open: &Value, shut: &Value) -> bool {
    match (open, shut) {
        (Value::Array(open), Value::Array(shut)) => {
            open.len() == shut.len() && open.iter().zip(shut).all(|(a, b)| same(a, b))
        }
        (Value::Object(open), Value::Object(shut)) => {
            open.len() == shut.len()
                && open.iter().zip(shut).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        (Value::Number(open), Value::Number(shut)) => {
            let (open, shut) = (open.as_f64().unwrap(), shut.as_f64().unwrap());
            (open - shut).abs() <= 1e-6 * open.abs().max(1.0)
        }
        (open, shut) => open == shut,
    }
}

#[tokio::test]
async fn it_finds_what_pgvector_finds_over_the_same_vectors() {
    let ground = filled().await;
    let mut runner = TestRunner::deterministic();
    let metrics = [&["cosine", "l2", "ip", "l1"][..], &["hamming", "jaccard"]];
    let question = (
        0..4_usize,
        0..4_usize,
        [-2..3_i32, -2..3, 0..3_i32],
        (1..30_u32, 0..20_u32, option::of(1..25_u32)),
        (option::of(-3..4_i32), option::of(0..9_i32)),
        (option::of(0..70_i32), option::of(0..3_u32), 0..4_u32),
    );
    for _ in 0..200 {
        let (form, metric, place, (limit, offset, k), (min, max), (n, person, order)) =
            question.new_tree(&mut runner).unwrap().current();
        let (form, text) = forms(place)[form].clone();
        let metrics = metrics[usize::from(form == "b")];
        let mut mods = vec![metrics[metric % metrics.len()].to_owned()];
        mods.extend(k.map(|k| format!("k:{k}")));
        mods.extend(min.map(|min| format!("min:{}", f64::from(min) * 0.25)));
        mods.extend(max.map(|max| format!("max:{}", f64::from(max) * 0.375)));
        let mut rest = format!("&limit={limit}&offset={offset}");
        rest += &n.map_or(String::new(), |n| format!("&n=gte.{n}"));
        rest += &person.map_or(String::new(), |n| format!("&of.handle=neq.p{n}"));
        rest += ["", "&order=n", "&order=d.desc,n", ""][order as usize]
            .replace("d.", "FIELD.distance().")
            .as_str();
        let inner = if person.is_some() { "of!inner(handle)" } else { "of(handle)" };
        let query = |field: String| {
            format!(
                "face?select=n,{inner},d:{field}.distance(),s:{field}.similarity()&{field}=nearest({}).{text}{}",
                mods.join(","),
                rest.replace("FIELD", &field)
            )
            .replace('{', "%7B")
            .replace('}', "%7D")
        };
        let (open, shut) = (query(format!("open_{form}")), query(format!("shut_{form}")));
        let (found, wanted) = (asked(&ground, &shut).await, asked(&ground, &open).await);
        assert!(same(&wanted.0, &found.0), "{shut}\n{}\n{}", wanted.0, found.0);
        assert_eq!(wanted.1, found.1, "{shut}");
    }
}

#[tokio::test]
async fn it_finds_what_is_like_a_row() {
    let ground = filled().await;
    let mut compared = 0;
    for n in 0..20 {
        for form in ["v", "h", "s", "b"] {
            let query = |field: String| {
                format!("face?select=n,d:{field}.distance()&{field}=nearest.row:n.{n}&limit=80")
            };
            let answers = [format!("open_{form}"), format!("shut_{form}")].map(query);
            let [open, shut] =
                answers.each_ref().map(|query| read(&ground.engine, &ground.a, query));
            match (open.await, shut.await) {
                (Ok(open), Ok(shut)) => {
                    assert!(same(&open, &shut), "{n} {form}\n{open}\n{shut}");
                    compared += 1;
                }
                (Err(open), Err(shut)) => {
                    assert_eq!(
                        (code::<()>(Err(open)), code::<()>(Err(shut))),
                        (Code::Vector, Code::Vector)
                    );
                }
                (open, shut) => panic!("{n} {form}: {open:?} {shut:?}"),
            }
        }
    }
    // The others are over, or have no vector.
    assert!((50..75).contains(&compared), "{compared}");
    // Nobody's of another tenant.
    let other = ground.read(&ground.b, "face?n=eq.0").await[0]["id"].as_str().unwrap().to_owned();
    let theirs = read(&ground.engine, &ground.a, &format!("face?shut_h=nearest.row:{other}")).await;
    assert_eq!(code(theirs), Code::Vector);
}

#[tokio::test]
async fn what_was_opened_is_counted_once_for_its_purpose() {
    let ground = filled().await;
    let opens = "select purpose, sum(opens) as opens from freehold.opened where field = 'shut_h' group by purpose order by purpose";
    let fit = ground.truth("select count(*) as n from app.face where shut_h is not null and at is null and n < 40 and tenant_id = (select id from freehold.tenant where name = 'a')").await;
    let fit = fit[0]["n"].as_i64().unwrap();
    assert!(fit > 20);
    ground.read(&ground.a, "face?select=n&n=lt.40&shut_h=nearest.[1,2,3]&limit=3").await;
    assert_eq!(ground.truth(opens).await, json!([{ "purpose": "account", "opens": fit }]));
    let purpose = Some(ground.engine.purpose("a search").unwrap());
    let manner = Manner { purpose, ..Manner::default() };
    let read = Read {
        entity: "face",
        query: "select=n,shut_h&n=lt.40&shut_h=nearest.[1,2,3]&limit=3",
        count: false,
    };
    ground.engine.read_as(&ground.a, read, &manner).await.unwrap();
    // And the three that are shown.
    let told = ground.truth(opens).await;
    assert_eq!(told[0], json!({ "purpose": "a search", "opens": fit + 3 }));
}

#[tokio::test]
async fn what_it_cannot_do_is_refused() {
    let ground = filled().await;
    for query in [
        "person?select=handle,face(n)&face.shut_h=nearest.[1,2,3]",
        "face?select=n&shut_h=nearest(as:a).[1,2,3]&open_h=nearest(as:b).[1,2,3]&rank=rrf(a,b)",
        "face?select=n&shut_h=nearest.[1,2,3]&shut_h.distance()=lt.1",
        "face?select=n&shut_h=nearest.[1,2,3]&or=(n.eq.1,shut_h.similarity().gt.1)",
        "face?order=shut_h",
    ] {
        assert_eq!(code(read(&ground.engine, &ground.a, query).await), Code::Sealed, "{query}");
    }
    let engine = ground.another().await.with_sealed_max(30);
    let many = read(&engine, &ground.a, "face?shut_h=nearest.[1,2,3]").await;
    assert_eq!(code(many), Code::Limit);
    assert_eq!(
        ground.truth("select * from freehold.opened where field = 'shut_h'").await,
        json!([])
    );
    read(&engine, &ground.a, "face?shut_h=nearest.[1,2,3]&n=lt.30").await.unwrap();
}

#[tokio::test]
async fn who_is_erased_is_not_found() {
    let ground = filled().await;
    let person = ground.read(&ground.a, "person?handle=eq.p1").await[0]["id"].clone();
    let theirs =
        format!("face?select=n&of=eq.{}&shut_h=nearest.[1,2,3]&limit=80", person.as_str().unwrap());
    assert!(ground.read(&ground.a, &theirs).await.as_array().unwrap().len() > 10);
    // Their key is gone, as from the first step of an erasure on.
    let gone = "update freehold.subject_key set state = 'erasing' where subject = '";
    let sql = format!("{gone}{}'", person.as_str().unwrap());
    ground.db.client().await.batch_execute(&sql).await.unwrap();
    let another = ground.another().await;
    assert_eq!(read(&another, &ground.a, &theirs).await.unwrap(), json!([]));
    let all =
        read(&another, &ground.a, "face?select=of&shut_h=nearest.[1,2,3]&limit=80").await.unwrap();
    assert!(all.as_array().unwrap().iter().all(|row| row["of"] != person));
    // A vector that was moved to another row is a fault, and nothing is answered.
    let moved = "update app.face set shut_h = (select shut_h from app.face f where f.n = 0 and f.tenant_id = face.tenant_id) where n = 2";
    ground.db.client().await.batch_execute(moved).await.unwrap();
    let moved = read(&another, &ground.a, "face?select=n&shut_h=nearest.[1,2,3]").await;
    assert!(matches!(moved, Err(freehold_engine::Error::Failed(_))), "{moved:?}");
}
