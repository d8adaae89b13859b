//! Every type, sealed beside itself in the open: whatever way it takes, both come back the same.

use std::{fmt::Write as _, io::Cursor};

use freehold_engine::{
    Code, Error,
    export::Export,
    import::{Format, Import, OnBad},
    read::{Manner, Read, Shape},
    write::Verb,
};
use serde_json::{Map, Value, json};

use crate::ground::{Ground, body, code, ground, read};

/// Type, and three values of it.
const TYPES: [(&str, &str); 12] = [
    ("numeric", r#"["12345678901234567890.1234567890", "-0.50", "1e3"]"#),
    ("numeric(12,3)", r#"["7", "-1.0005", 2.5]"#),
    ("double", r#"[0.1, 1e300, "-Infinity"]"#),
    ("bytea", r#"["\\x00FF", "plain", "\\x"]"#),
    ("boolean", "[true, false, null]"),
    ("text[]", r#"[["a", "b, \"c\"", null], [], "{x,\"y z\",NULL,\"null\"}"]"#),
    ("integer[]", r#"[[1, null, -3], "{4,5}", null]"#),
    ("numeric[]", r#"[["1.50", "-0.25"], "{1e2,NaN}", [3]]"#),
    ("double[]", r#"[[0.5, 1e-7], [], "{1,2.5}"]"#),
    ("boolean[]", r#"[[true, false], "{t,f,NULL}", null]"#),
    ("uuid[]", r#"[["00000000-0000-0000-0000-00000000000A"], [], null]"#),
    ("bytea[]", r#"[["\\x00FF"], [], null]"#),
];

fn model() -> String {
    let mut fields = String::new();
    for (at, (typ, _)) in TYPES.iter().enumerate() {
        let _ = writeln!(
            fields,
            "o{at} = {{ type = \"{typ}\", optional = true, not_personal = \"the control\" }}\n\
             s{at} = {{ type = \"{typ}\", optional = true, personal = \"all\" }}"
        );
    }
    format!(
        "[model]\nname = \"types\"\n[personal.all]\npurpose = \"a test\"\nbasis = \"contract\"\nretention = \"until erased\"\n\
         [entity.thing.field]\nname = {{ type = \"text\", unique = true, not_personal = \"a name\" }}\n{fields}\
         price = {{ type = \"numeric\", optional = true, personal = \"all\", lookup = \"exact\", unique = true }}\n\
         print = {{ type = \"bytea\", optional = true, personal = \"all\", lookup = \"exact\" }}\n"
    )
}

/// Row `n` of three, each value twice.
fn row(n: usize) -> Value {
    let mut row = Map::new();
    row.insert("name".into(), json!(format!("n{n}")));
    for (at, (_, values)) in TYPES.iter().enumerate() {
        let values: Vec<Value> = serde_json::from_str(values).unwrap();
        row.insert(format!("o{at}"), values[n].clone());
        row.insert(format!("s{at}"), values[n].clone());
    }
    Value::Object(row)
}

/// That each sealed value is the one beside it.
fn check(rows: &Value, way: &str) {
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3, "{way}");
    for row in rows {
        for (at, (typ, _)) in TYPES.iter().enumerate() {
            assert_eq!(row[&format!("s{at}")], row[&format!("o{at}")], "{typ} {way}");
        }
    }
    let given = |at: usize| rows.iter().filter(|row| !row[&format!("o{at}")].is_null()).count();
    assert!((0..TYPES.len()).all(|at| given(at) > 0), "{way}: there is something to compare");
}

async fn all(ground: &Ground) -> Value {
    ground.read(&ground.a, "thing?order=name").await
}

#[tokio::test]
async fn every_type_comes_back_as_it_would_in_the_open() {
    let ground = ground(&model()).await;
    for n in 0..3 {
        let written = ground.insert(&ground.a, "thing", row(n)).await;
        assert_eq!(body(&written).as_array().unwrap().len(), 1);
    }
    check(&all(&ground).await, "inserted");
    for n in 0..3 {
        let mut next = row((n + 1) % 3);
        next.as_object_mut().unwrap().remove("name");
        ground.update(&ground.a, &format!("thing?name=eq.n{n}"), next).await;
    }
    check(&all(&ground).await, "updated");
    ground.merge(&ground.a, "thing?on_conflict=name", json!([row(0), row(1), row(2)])).await;
    check(&all(&ground).await, "merged");

    let raw = "select count(*) from app.thing where s0::text not like '\\\\x0101%'";
    assert_eq!(ground.truth(raw).await[0]["count"], 0);

    alike_to_the_letter(&ground, "merged").await;
}

/// The same as text: read as JSON, numbers lose what a `double` does not hold.
async fn alike_to_the_letter(ground: &Ground, way: &str) {
    for (at, (typ, _)) in TYPES.iter().enumerate() {
        for shape in [Shape::Csv, Shape::default()] {
            let mut answers = Vec::new();
            for column in ["o", "s"] {
                let manner = Manner { shape, ..Manner::default() };
                let query = format!("select=x:{column}{at}&order=name");
                let what = Read { entity: "thing", query: &query, count: false };
                answers.push(ground.engine.read_as(&ground.a, what, &manner).await.unwrap().body);
            }
            assert_eq!(answers[0], answers[1], "{typ} {way} {shape:?}");
            let kept = answers[1].contains("12345678901234567890.1234567890");
            assert!(at > 0 || kept, "{way}: {}", answers[1]);
        }
    }
}

#[tokio::test]
async fn every_type_goes_through_files() {
    let ground = ground(&model()).await;
    for n in 0..3 {
        ground.insert(&ground.a, "thing", row(n)).await;
    }
    for format in [Format::JsonLines, Format::Csv] {
        let mut output = Vec::new();
        let export = Export {
            entity: "thing".into(),
            output: &mut output,
            format,
            vectors: None,
            purpose: None,
        };
        ground.engine.export(&ground.a, export, &mut |_| {}).await.unwrap();
        let import = Import {
            entity: "thing".into(),
            input: Box::new(Cursor::new(output)),
            format,
            vectors: None,
            upsert: None,
            source: None,
            restart: false,
            on_bad: OnBad::Stop,
        };
        ground.write(&ground.a, "thing?name=not.is.null", Verb::Delete).await.unwrap();
        let loaded = ground.engine.import(&ground.a, import, &mut |_| {}).await.unwrap();
        assert_eq!(loaded.rows, 3, "{format:?}");
        check(&all(&ground).await, &format!("{format:?}"));
        alike_to_the_letter(&ground, &format!("{format:?}")).await;
    }
    let csv = "name,s5,s7,s3\nn9,\"{a,\"\"b c\"\"}\",\"{1.50,NULL}\",\\x0A\n";
    let rows = ground.engine.rows_of_csv("thing", csv).unwrap();
    ground.insert(&ground.a, "thing", rows).await;
    assert_eq!(
        ground.read(&ground.a, "thing?name=eq.n9&select=s5,s7,s3").await,
        json!([{ "s5": ["a", "b c"], "s7": [1.5, null], "s3": "\\x0a" }])
    );
}

#[tokio::test]
async fn numbers_and_bytes_are_found_by_equality() {
    let ground = ground(&model()).await;
    let one = json!({ "name": "one", "price": "1.50", "print": "\\xAB" });
    ground.insert(&ground.a, "thing", one.clone()).await;
    ground.insert(&ground.b, "thing", one).await;
    for query in ["price=eq.1.5", "price=in.(7,15e-1)", "print=eq.\\xab", "print=eq.%5C253"] {
        let found = ground.read(&ground.a, &format!("thing?select=name&{query}")).await;
        assert_eq!(found, json!([{ "name": "one" }]), "{query}");
    }
    assert_eq!(ground.read(&ground.a, "thing?price=eq.1.51").await, json!([]));
    let again = Verb::Insert(json!({ "name": "two", "price": 1.5 }), None);
    assert_eq!(code(ground.write(&ground.a, "thing", again).await), Code::Conflict);
    for query in
        ["price=gt.1", "s5=cs.{a}", "s5=eq.{a}", "s5=ov.{a}", "order=s0", "select=s0.sum()"]
    {
        let refused = read(&ground.engine, &ground.a, &format!("thing?{query}")).await;
        assert_eq!(code(refused), Code::Sealed, "{query}");
    }
    let bad = Verb::Insert(json!({ "name": "x", "s1": "1e12" }), None);
    assert_eq!(code(ground.write(&ground.a, "thing", bad).await), Code::OutOfRange);
    let bad = Verb::Insert(json!({ "name": "x", "s6": "{1,\"a\"}" }), None);
    assert_eq!(code(ground.write(&ground.a, "thing", bad).await), Code::InvalidValue);
}

/// A sealed value in the place of another, of whatever row, field or tenant, opens nowhere.
#[tokio::test]
async fn no_value_opens_in_the_place_of_another() {
    let ground = ground(&model()).await;
    for tenant in [&ground.a, &ground.b] {
        ground.insert(tenant, "thing", json!([row(0), row(1)])).await;
    }
    let admin = ground.db.client().await;
    admin.batch_execute("set row_security = off").await.unwrap();
    let cells: Vec<(String, usize, usize)> = [&ground.a, &ground.b]
        .into_iter()
        .flat_map(|tenant| {
            let id = tenant.id().to_string();
            (0..2).flat_map(move |row| {
                let id = id.clone();
                (0..TYPES.len()).map(move |field| (id.clone(), row, field))
            })
        })
        .collect();
    let ours = ground.a.id().to_string();
    let mut moved = 0;
    for (at, to) in cells.iter().enumerate().filter(|(_, cell)| cell.0 == ours) {
        // Three others, near and far.
        for step in [1, TYPES.len(), 2 * TYPES.len() + 1] {
            let from = &cells[(at + step) % cells.len()];
            let place = |cell: &(String, usize, usize)| {
                format!("tenant_id = '{}' and name = 'n{}'", cell.0, cell.1)
            };
            let was: Option<Vec<u8>> = admin
                .query_one(&format!("select s{} from app.thing where {}", to.2, place(to)), &[])
                .await
                .unwrap()
                .get(0);
            let other: Option<Vec<u8>> = admin
                .query_one(&format!("select s{} from app.thing where {}", from.2, place(from)), &[])
                .await
                .unwrap()
                .get(0);
            if other.is_none() {
                continue;
            }
            let put = format!("update app.thing set s{} = $1 where {}", to.2, place(to));
            admin.execute(&put, &[&other]).await.unwrap();
            let query = format!("thing?name=eq.n{}&select=s{}", to.1, to.2);
            let got = read(&ground.engine, &ground.a, &query).await;
            assert!(matches!(got, Err(Error::Failed(_))), "{from:?} in the place of {to:?}");
            admin.execute(&put, &[&was]).await.unwrap();
            read(&ground.engine, &ground.a, &query).await.unwrap();
            moved += 1;
        }
    }
    assert!(moved > 50, "{moved}");
}
