//! The tree against the `toml` crate's: the same files are right, and they say the same.

use proptest::prelude::*;

use super::{
    report::Report,
    syntax::parse,
    tree::{Data, Table, Value},
};

/// Lines that clash in every way TOML knows, in any order.
fn lines() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["a", "b", "c", "\"a\"", "'b'"]);
    let path = prop::collection::vec(word, 1..4).prop_map(|words| words.join("."));
    let scalar = prop::sample::select(vec![
        "1",
        "0x1F",
        "+1.5",
        "-2_0",
        "true",
        "\"x\\ty\"",
        "'y'",
        "2024-02-29",
        "[]",
        "[1, [2, 'x'],]",
        "{}",
        "{a.b = 1, a.c = 2}",
        "{a = {b = 1}, a.c = 2}",
        "[{a = 1}]",
        "\"\"\"\n x\"\"\"",
        "nan",
        "1__0",
        "\"",
        "{",
        "[1",
        "2024-02-30",
        "{a = 1,}",
        "\"\\q\"",
    ]);
    let line = prop_oneof![
        4 => (path.clone(), scalar).prop_map(|(path, value)| format!("{path} = {value}")),
        3 => path.clone().prop_map(|path| format!("[{path}]")),
        2 => path.prop_map(|path| format!("[[{path}]]")),
        1 => Just("# comment".to_owned()),
    ];
    prop::collection::vec(line, 0..9).prop_map(|lines| lines.join("\n"))
}

fn same(ours: &Value, theirs: &toml::Value) -> bool {
    match (&ours.data, theirs) {
        (Data::Text(text), toml::Value::String(other)) => text == other,
        (Data::Integer(digits), toml::Value::Integer(other)) => *digits == other.to_string(),
        (Data::Float(text), toml::Value::Float(other)) => text
            .parse::<f64>()
            .is_ok_and(|number| number == *other || number.is_nan() && other.is_nan()),
        (Data::Boolean(flag), toml::Value::Boolean(other)) => flag == other,
        (Data::Time(text), toml::Value::Datetime(other)) => *text == other.to_string(),
        (Data::Array { items, .. }, toml::Value::Array(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(item, other)| same(item, other))
        }
        (Data::Table(table), toml::Value::Table(others)) => same_table(table, others),
        _ => false,
    }
}

fn same_table(ours: &Table, theirs: &toml::Table) -> bool {
    ours.pairs().len() == theirs.len()
        && ours
            .pairs()
            .iter()
            .all(|pair| theirs.get(&pair.key.text).is_some_and(|other| same(&pair.value, other)))
}

/// Names are unique in every table, and found where they are.
fn sound(table: &Table) {
    for pair in table.pairs() {
        assert!(std::ptr::eq(table.get(&pair.key.text).unwrap(), pair));
        if let Data::Table(inner) = &pair.value.data {
            sound(inner);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_same_files_are_right_and_say_the_same(text in lines()) {
        let mut report = Report::default();
        let tree = parse(&text, &mut report);
        sound(&tree);
        match (text.parse::<toml::Table>(), report.finish()) {
            (Ok(theirs), Ok(_)) => prop_assert!(same_table(&tree, &theirs), "{tree:#?}\n{theirs:#?}"),
            (Err(_), Err(_)) => {}
            // The crate lets `a.b.c = 1` in `[x]` add to an earlier `[[x.a]]`, but not `a.b = 1`; TOML forbids both.
            (Ok(_), Err(ours)) if text.contains("[[") => prop_assert!(ours.iter().all(|error| error.code == super::codes::TOML_DUPLICATE)),
            (theirs, ours) => prop_assert!(false, "{text}\ntheirs: {theirs:?}\nours: {ours:?}"),
        }
    }
}
