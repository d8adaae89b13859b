//! Values of sealed fields come back as PostgreSQL would have given them, whatever their type.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::declare;

fn entity(typ: &str) -> (Entity, Field) {
    let text = format!(
        "[model]\nname = \"m\"\n[personal.c]\npurpose = \"p\"\nbasis = \"contract\"\nretention = \"until erased\"\n\
         [entity.e.field]\nf = {{ type = \"{typ}\", personal = \"c\" }}\n"
    );
    let model = declare::read(&text).unwrap_or_else(|_| panic!("{typ}")).model;
    let entity = model.entity("e").unwrap().clone();
    let field = entity.field("f").unwrap().clone();
    (entity, field)
}

/// What is sealed of a value.
fn sealed(typ: &str, value: &Value) -> Result<String, Code> {
    let (entity, field) = entity(typ);
    plain(&entity, &field, value).map(|plain| json(&field, &plain)).map_err(|it| it.code)
}

#[test]
fn numbers_are_what_postgresql_makes_of_them() {
    for (typ, given, wanted) in [
        ("numeric", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
        ("numeric", " -007.50 ", "-7.50"),
        ("numeric", "1.50e1", "15.0"),
        ("numeric", "100e-2", "1.00"),
        ("numeric", ".5", "0.5"),
        ("numeric", "1e3", "1000"),
        ("numeric", "-0.00", "0.00"),
        ("numeric", "nan", "\"NaN\""),
        ("numeric", "-inf", "\"-Infinity\""),
        ("numeric(5,2)", "999.985", "999.99"),
        ("numeric(5,2)", "-1.005", "-1.01"),
        ("numeric(5,2)", "7", "7.00"),
        ("numeric(3,0)", "99.5", "100"),
        ("double", "1.0", "1"),
        ("double", "1e300", "1e+300"),
        ("double", "-1.5e-7", "-1.5e-07"),
        ("double", "0.1", "0.1"),
        ("double", "123456789012345", "123456789012345"),
        ("double", "Infinity", "\"Infinity\""),
    ] {
        assert_eq!(sealed(typ, &json!(given)), Ok(wanted.into()), "{typ} {given}");
    }
    assert_eq!(sealed("numeric", &json!(1.25)), Ok("1.25".into()));
    assert_eq!(sealed("double", &json!(2)), Ok("2".into()));
    assert_eq!(sealed("integer[]", &json!([1, null, "3"])), Ok("[1,null,3]".into()));
    for (typ, given, code) in [
        ("numeric(5,2)", "999.995", Code::OutOfRange),
        ("numeric(5,2)", "inf", Code::OutOfRange),
        ("numeric", "1e999999", Code::OutOfRange),
        ("numeric", "0x1f", Code::InvalidValue),
        ("double", "1e999", Code::OutOfRange),
        ("double", "1e-999", Code::OutOfRange),
    ] {
        assert_eq!(sealed(typ, &json!(given)), Err(code), "{typ} {given}");
    }
}

#[test]
fn arrays_and_bytes_are_read_from_their_text() {
    for (typ, given, wanted) in [
        ("text[]", r#"{a,"b, \"c\"",NULL,"null", d e }"#, r#"["a","b, \"c\"",null,"null","d e"]"#),
        ("text[]", "{}", "[]"),
        ("numeric[]", "{1.50,NaN,NULL}", r#"[1.50,"NaN",null]"#),
        ("date[]", "{2024-02-29}", r#"["2024-02-29"]"#),
        ("boolean[]", "{t,no}", "[true,false]"),
        ("jsonb[]", r#"{"{\"a\":1}",7}"#, r#"[{"a":1},7]"#),
        ("bytea", "\\x00FF", "\"\\\\x00ff\""),
        ("bytea", "a\\000\\\\", "\"\\\\x61005c\""),
    ] {
        assert_eq!(sealed(typ, &json!(given)), Ok(wanted.into()), "{typ} {given}");
    }
    for (typ, given) in [
        ("text[]", "{{a},{b}}"),
        ("text[]", "{a,}"),
        ("text[]", "[0:0]={a}"),
        ("integer[]", "{1,a}"),
        ("integer[]", "{\"a\"}"),
        ("uuid[]", "{\"x\"}"),
        ("bytea", "\\x0"),
        ("bytea", "\\9"),
    ] {
        assert_eq!(sealed(typ, &json!(given)), Err(Code::InvalidValue), "{typ} {given}");
    }
}

#[test]
fn lengths_are_kept() {
    let judged = |typ: &str, bound: &str, value: Value| {
        let (mut entity, mut field) = entity(typ);
        match bound {
            "min" => field.bounds.min_length = Some(2),
            _ => field.bounds.max_length = Some(2),
        }
        entity.fields = vec![field.clone()];
        plain(&entity, &field, &value).map(drop).map_err(|it| it.code)
    };
    assert_eq!(judged("bytea", "max", json!("\\x0102")), Ok(()));
    assert_eq!(judged("bytea", "max", json!("\\x010203")), Err(Code::Check));
    assert_eq!(judged("text[]", "max", json!(["a", "b", "c"])), Err(Code::Check));
    assert_eq!(judged("text[]", "min", json!("{a}")), Err(Code::Check));
    assert_eq!(judged("text[]", "min", json!("{a,b}")), Ok(()));
}

#[test]
fn equal_numbers_and_bytes_are_looked_up_alike() {
    let found = |typ: &str, text: &str| sought(&entity(typ).1, Lookup::Exact, text).unwrap();
    assert_eq!(found("numeric", "1.50"), found("numeric", "15e-1"));
    assert_eq!(found("numeric", "100"), "100");
    assert_eq!(found("numeric", "0.00"), "0");
    assert_eq!(found("bytea", "\\xAB"), found("bytea", "\\253"));
}

proptest! {
    #[test]
    fn a_list_comes_back_from_its_cell(list in proptest::collection::vec(proptest::option::of("\\PC{0,6}"), 0..5)) {
        let (entity, field) = entity("text[]");
        let given = json!(list);
        let sealed = json(&field, &plain(&entity, &field, &given).unwrap());
        prop_assert_eq!(&sealed, &given.to_string());
        let text = cell(Some(&field.kind), &sealed).unwrap();
        let again = plain(&entity, &field, &Value::String(text)).unwrap();
        prop_assert_eq!(again, given);
    }

    #[test]
    fn a_number_comes_back_digit_by_digit(whole in "[1-9][0-9]{0,40}", fraction in "[0-9]{1,40}", negative: bool) {
        let text = format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
        let (entity, field) = entity("numeric");
        let sealed = json(&field, &plain(&entity, &field, &json!(text)).unwrap());
        prop_assert_eq!(&sealed, &text);
        prop_assert_eq!(cell(Some(&field.kind), &sealed), Some(text));
    }

    #[test]
    fn a_double_is_the_same_number(number: f64) {
        prop_assume!(number.is_finite());
        let (entity, field) = entity("double");
        let sealed = json(&field, &plain(&entity, &field, &json!(number)).unwrap());
        prop_assert_eq!(sealed.parse::<f64>().unwrap(), number);
        prop_assert!(serde_json::from_str::<f64>(&sealed).is_ok());
    }

    #[test]
    fn bytes_come_back(bytes: Vec<u8>) {
        let (entity, field) = entity("bytea");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let of = |text: String| plain(&entity, &field, &Value::String(text)).unwrap();
        prop_assert_eq!(of(format!("\\x{hex}")), of(octal));
    }
}
