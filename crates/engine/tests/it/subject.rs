//! What is one person's, for that person; and the register of processing.

use serde_json::{Value, json};

use crate::ground::{code, ground};

const MODEL: &str = r#"
[model]
name = "letters"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
email = { type = "text", personal = "contact", lookup = "email", optional = true }

[entity.letter.field]
"the from" = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
to = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
body = { type = "text", personal = "contact", subject = "the from", optional = true }
reply = { type = "text", personal = "contact", subject = "to", optional = true }
n = { type = "integer", not_personal = "a number" }
"#;

#[tokio::test]
async fn a_person_gets_what_is_theirs_and_nothing_of_others() {
    let ground = ground(MODEL).await;
    let people = json!([{ "handle": "ada", "email": "ada@x.org" }, { "handle": "bob", "email": "bob@x.org" }]);
    ground.insert(&ground.a, "person", people).await;
    let rows = ground.read(&ground.a, "person?order=handle&select=id").await;
    let (ada, bob) = (rows[0]["id"].clone(), rows[1]["id"].clone());
    let letters: Vec<Value> = (0..1005)
        .map(|n| json!({ "the from": if n < 1003 { &ada } else { &bob }, "to": bob, "body": format!("of {n}"), "reply": "of bob", "n": n }))
        .collect();
    ground.insert(&ground.a, "letter?select=n", Value::Array(letters)).await;
    let id = ada.as_str().unwrap().parse().unwrap();
    let mut out = Vec::new();
    let exported =
        ground.engine.export_person(&ground.a, "person", id, &mut out, None).await.unwrap();
    assert_eq!(exported, 1004);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1005);
    assert_eq!(lines[0]["manifest"]["person"]["id"], ada);
    assert_eq!(lines[1]["row"], json!({ "id": ada, "handle": "ada", "email": "ada@x.org" }));
    assert_eq!(lines[2]["reference"], "the from");
    assert_eq!(lines[2]["row"]["body"], "of 0");
    assert!(
        !text.contains(bob.as_str().unwrap())
            && !text.contains("of bob")
            && !text.contains("bob@x.org")
    );
    // Another tenant has nobody of that id.
    let mut out = Vec::new();
    assert_eq!(
        ground.engine.export_person(&ground.b, "person", id, &mut out, None).await.unwrap(),
        0
    );
    assert_eq!(
        code(ground.engine.export_person(&ground.a, "letter", id, &mut out, None).await),
        freehold_engine::Code::Usage
    );
}

#[tokio::test]
async fn the_register_says_what_there_is_and_what_it_is_opened_for() {
    let ground = ground(MODEL).await;
    ground
        .insert(&ground.a, "person?select=handle", json!({ "handle": "ada", "email": "ada@x.org" }))
        .await;
    ground.read(&ground.a, "person?select=email").await;
    let register = ground.engine.register().await.unwrap();
    let fields = register["fields"].as_array().unwrap();
    let email = fields.iter().find(|field| field["field"] == "email").unwrap();
    assert_eq!(email["opens"], json!({ "account": 1 }));
    assert_eq!((&email["stored"], &email["lookup"]), (&json!("sealed"), &json!(true)));
    assert_eq!(register["classes"][0]["basis"], "contract");
    assert_eq!(register["keys"]["people"], 1);
    let findings = register["findings"].to_string();
    assert!(
        findings.contains("letter.body was not opened")
            && !findings.contains("person.email was not opened")
    );
    assert!(!register.to_string().contains("x.org"));
}
