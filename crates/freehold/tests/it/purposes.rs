//! What personal data is opened for, as callers say it: one of the purposes that the model has, whichever way they come.

use serde_json::json;

use crate::harness::{House, is_ours};

const MODEL: &str = "
[model]
name = \"people\"
[personal.contact]
purpose = \"account\"
purposes = [\"support\"]
basis = \"contract\"
retention = \"3 years\"
[entity.person]
subject = true
[entity.person.field]
handle = { type = \"text\", unique = true, not_personal = \"a name of the product's\" }
email = { type = \"text\", personal = \"contact\", optional = true }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_that_the_model_does_not_have_is_refused_before_anything_is_done() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    for arguments in [&["apply"][..], &["tenant", "create", "a"], &["tenant", "create", "b"]] {
        house.fine(arguments);
    }
    let ada = r#"{"handle":"ada","email":"ada@example.org"}"#;
    for tenant in ["a", "b"] {
        house.fine(&["insert", "person", ada, "--tenant", tenant]);
    }
    let (server, key) = (house.serve(), house.key("a"));
    let ask = |line: &str, purpose: &str, body: &str| {
        let headers = [
            &*format!("apikey: {key}"),
            &*format!("prefer: return=representation, purpose={purpose}"),
            "content-type: application/json",
        ];
        server.ask(line, &headers, body.as_bytes())
    };
    let read = "GET /rest/v1/person?select=email";
    for purpose in ["account", "support"] {
        assert_eq!(ask(read, purpose, "").json(), json!([{ "email": "ada@example.org" }]));
    }
    let operations = r#"[{"method":"DELETE","path":"person"}]"#;
    for (line, body) in [
        (read, ""),
        ("POST /rest/v1/person", r#"{"handle":"bob"}"#),
        ("PATCH /rest/v1/person?handle=eq.ada", r#"{"handle":"eve"}"#),
        ("DELETE /rest/v1/person", ""),
        ("POST /transaction", operations),
    ] {
        let refused = ask(line, "billing", body);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("PGRST122")));
        assert!(refused.body.contains("account, support"), "{line}: {refused:?}");
        is_ours(&refused.body);
    }
    for command in [&["query", "person"][..], &["export", "person", "all.jsonl"]] {
        let said = [command, &["--tenant", "a", "--purpose", "billing"]].concat();
        let refused = house.run(&said);
        assert!(refused.code == Some(1) && refused.err.contains("account, support"), "{refused:?}");
    }
    assert!(!house.path("all.jsonl").exists());
    let handles = "select count(*) from app.person where handle = 'ada'";
    assert_eq!(house.number(handles).await, 2, "nothing has changed");
    let opened = "select count(*) from freehold.opened where purpose not in ('account', 'support')";
    assert_eq!(house.number(opened).await, 0);
}
