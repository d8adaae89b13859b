//! What is one person's, handed over by the command line: encrypted or not, whole or not there.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::House;

const MODEL: &str = "
[model]
name = \"people\"
[personal.contact]
purpose = \"account\"
basis = \"contract\"
retention = \"3 years\"
source = \"the post\"
[entity.person]
subject = true
[entity.person.field]
handle = { type = \"text\", unique = true, not_personal = \"a name of the product's\" }
email = { type = \"text\", personal = \"contact\", optional = true }
";

/// From a key file of age's own.
const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

const MARK: &str = "q7zhandedmark";

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_encrypted_to_recipients_or_not_made() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
        let row = format!(r#"{{"handle":"ada","email":"{MARK}@example.org"}}"#);
        house.fine(&["insert", "person", &row, "--tenant", tenant]);
    }
    let row: Value =
        serde_json::from_str(&house.fine(&["query", "person?select=id", "--tenant", "a"])).unwrap();
    let id = row["id"].as_str().unwrap();
    let export = |file: &str, more: &[&str]| {
        house.run(&[&["privacy", "export", "person", id, "--tenant", "a", file][..], more].concat())
    };
    let names = || {
        let all = std::fs::read_dir(house.path("")).unwrap();
        let mut all: Vec<String> =
            all.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        all.retain(|name| name.contains("ada"));
        all.sort();
        all
    };

    // One that is wrong, and nothing is there.
    let wrong = export("ada.age", &["--recipient", "age1wrong"]);
    assert!(wrong.code != Some(0) && wrong.err.contains("age-keygen -y"), "{wrong:?}");
    assert!(names().is_empty());

    house.write("keys.txt", format!("# of the post\n\n{KEY}\n"));
    let done = export("ada.age", &["--recipient-file", "keys.txt", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&told["encrypted"], &told["rows"]), (&Value::Bool(true), &1.into()));
    assert_eq!(told["recipients"][0], KEY);
    let sealed = std::fs::read(house.path("ada.age")).unwrap();
    let has =
        |bytes: &[u8], mark: &str| bytes.windows(mark.len()).any(|some| some == mark.as_bytes());
    assert!(
        sealed.starts_with(b"age-encryption.org/v1\n") && !has(&sealed, MARK) && !has(&sealed, id)
    );
    let mode = std::fs::metadata(house.path("ada.age")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // What is there is left alone, and what cannot be made leaves nothing.
    assert_ne!(export("ada.age", &["--recipient", KEY]).code, Some(0));
    assert_eq!(std::fs::read(house.path("ada.age")).unwrap(), sealed);
    let letters = ["privacy", "export", "nobody", id, "--tenant", "a", "ada.none"];
    assert_ne!(house.run(&letters).code, Some(0));
    assert_eq!(names(), ["ada.age"]);

    // In the open it says so.
    let open = export("ada.jsonl", &[]);
    assert!(open.code == Some(0) && open.err.contains("not encrypted"), "{open:?}");
    let open = std::fs::read(house.path("ada.jsonl")).unwrap();
    assert!(has(&open, MARK) && has(&open, "the post"));
    assert_eq!(names(), ["ada.age", "ada.jsonl"]);
    let report = house.fine(&["privacy", "report"]);
    assert!(
        report.contains(KEY) && report.contains("in the open") && !report.contains(id),
        "{report}"
    );
}
