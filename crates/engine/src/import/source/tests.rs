//! Rows of files as they are read, whole and broken.

use super::*;

fn entity() -> Entity {
    let text = "[model]\nname = \"m\"\n[entity.e.field]\nd = { type = \"jsonb\" }\nn = { type = \"numeric\" }";
    let model = freehold_model::declare::read(text).expect("a model").model;
    model.entity("e").expect("an entity").clone()
}

fn all(text: &[u8], format: Format) -> Vec<SourceRow> {
    let input = Box::new(std::io::Cursor::new(text.to_vec()));
    let mut source = Source::open(input, format, &entity()).expect("opens");
    std::iter::from_fn(|| source.next().expect("reads")).collect()
}

#[test]
fn what_is_compressed_is_not_taken_for_bad_rows() {
    let open = |bytes: &'static [u8], format| {
        Source::open(Box::new(bytes), format, &entity()).err().map(|refusal| refusal.code)
    };
    for bytes in [
        &b"\x1f\x8b\x08\0"[..],
        b"\x28\xb5\x2f\xfd\0",
        b"\xfd7zXZ\0\0",
        b"PK\x03\x04\x14",
        b"BZh91AY&SY\0",
    ] {
        for format in [Format::JsonLines, Format::Csv] {
            assert_eq!(open(bytes, format), Some(Code::Encoded), "{bytes:?}");
        }
    }
    assert_eq!(open(b"BZh9,name\n", Format::Csv), None);
    assert_eq!(open(b"PK,name\n", Format::Csv), None);
    assert_eq!(open(b"", Format::JsonLines), None);
}

#[test]
fn json_lines_know_their_line_and_blank_ones_do_not_count_as_rows() {
    let rows = all(b"{\"a\":1}\n\n{\"a\":2}\n", Format::JsonLines);
    let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn each_kind_of_broken_line_says_what_is_wrong_and_the_next_one_is_read() {
    let rows = all(b"[1]\n{\"a\":\n{\"a\":\"\xff\"}\n{\"a\":1}\n{\"a\":", Format::JsonLines);
    let said: Vec<String> = rows
        .iter()
        .map(|row| row.values.as_ref().map_or_else(ToString::to_string, |_| "fine".into()))
        .collect();
    assert!(said[0].contains("not a JSON object"), "{said:?}");
    assert!(said[1].contains("not JSON"), "{said:?}");
    assert!(said[2].contains("not UTF-8"), "{said:?}");
    assert_eq!(said[3], "fine");
    assert!(said[4].contains("ends in the middle"), "{said:?}");
}

#[test]
fn csv_cells_may_hold_commas_quotes_and_line_breaks() {
    let rows = all(b"a,b\n\"x,\"\"y\"\"\n\",\n1,2,3\n", Format::Csv);
    let first = rows[0].values.as_ref().expect("a row");
    assert_eq!(first["a"], "x,\"y\"\n");
    assert_eq!(first["b"], Value::Null);
    assert_eq!(rows[1].line, 4);
    assert!(rows[1].values.as_ref().is_err_and(|refusal| refusal.message.contains("3 cells")));
}

#[test]
fn cells_of_json_are_json_and_no_digit_of_a_line_is_lost() {
    let rows = all(b"d,n\n\"{\"\"k\"\":1}\",1.10\nwords,1\n", Format::Csv);
    let first = rows[0].values.as_ref().expect("a row");
    assert_eq!((first["d"]["k"].as_i64(), &first["n"]), (Some(1), &Value::from("1.10")));
    assert!(rows[1].values.as_ref().is_err_and(|refusal| refusal.message.contains("not JSON")));
    let rows = all(
        b"{\"d\":[0.1],\"n\":12345678901234567890.12}\n{\"d\":{\"k\":[1,0.12345678901234567891]}}",
        Format::JsonLines,
    );
    assert_eq!(rows[0].values.as_ref().expect("a row")["n"], "12345678901234567890.12");
    assert!(rows[1].values.as_ref().is_err_and(|refusal| refusal.message.contains("more digits")));
}
