//! Whatever the text, `read` answers, and points at places that exist.

use freehold_model::declare::{TEMPLATE, read};
use proptest::prelude::*;

const RICH: &str = include_str!("declare/rich.toml");

fn answers(text: &str) {
    let diagnostics = match read(text) {
        Ok(checked) => checked.warnings,
        Err(errors) => {
            assert!(!errors.is_empty());
            errors
        }
    };
    let mut last = 0;
    for diagnostic in diagnostics {
        assert!(!diagnostic.labels.is_empty(), "{diagnostic:?}");
        assert!(
            last <= diagnostic.labels[0].span.start,
            "not in the order of the file: {diagnostic:?}"
        );
        last = diagnostic.labels[0].span.start;
        for label in &diagnostic.labels {
            assert!(
                text.get(label.span.clone()).is_some(),
                "{diagnostic:?} is not inside the text"
            );
        }
    }
}

/// A valid file with a part cut out, put in or doubled.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "\"\"\"",
            "=",
            ",",
            ".",
            "#",
            "\n",
            "\r",
            "\0",
            "\u{feff}",
            "é",
            "[entity.person]\n",
            "type",
            "nan",
            "-1",
            "99999999999999999999",
            "0xffffffffffffffffffffffffffffffffffffffff",
            "1e999",
            "2024-02-30",
            "\\u0000",
            "\\",
            "was = \"a\"",
            "ref = \"commit\"",
            "enum = []",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    let edit = (any::<prop::sample::Index>(), 0usize..40, piece);
    (prop::sample::select(vec![RICH, TEMPLATE]), prop::collection::vec(edit, 1..5)).prop_map(
        |(text, edits)| {
            let mut chars: Vec<char> = text.chars().collect();
            for (at, length, piece) in edits {
                let at = at.index(chars.len().max(1)).min(chars.len());
                let end = (at + length).min(chars.len());
                chars.splice(at..end, piece.chars());
            }
            chars.into_iter().collect()
        },
    )
}

/// The words of the format in any order.
fn shuffled() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "[model]\n",
        "name = \"x\"\n",
        "[entity.a]\n",
        "[entity.a.field]\n",
        "[entity.b.field]\n",
        "[embed.e]\n",
        "[[entity.a.expire]]\n",
        "x = ",
        "y = ",
        "field.z = ",
        "{ ",
        " }\n",
        "type = ",
        "\"text\"",
        "\"integer[]\"",
        "\"numeric(3,1)\"",
        ", ",
        "ref = \"a\"",
        "ref = \"b\"",
        "enum = [\"a\", \"b\"]",
        "vector = 3",
        "bit = 8",
        "of = [\"x\"]",
        "default = ",
        "min = ",
        "max_length = ",
        "1",
        "-1.5",
        "true",
        "[1]",
        "{a = 1}",
        "2024-02-29",
        "\"now()\"",
        "unique = ",
        "index = ",
        "[[\"x\", \"y\"]]",
        "was = \"x\"",
        "optional = true",
        "provider = \"http\"\n",
        "\n",
    ]);
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// Anything that grows with the square of the file would be felt here.
#[test]
fn a_large_file_is_answered() {
    const SIZE: usize = 250_000;
    let head = "[model]\nname = \"a\"\n[entity.e]\n";
    let many = |line: &dyn Fn(usize) -> String| {
        let mut text = String::from(head);
        for i in 0.. {
            let line = line(i);
            if text.len() + line.len() > SIZE {
                return text;
            }
            text.push_str(&line);
        }
        text
    };
    for text in [
        many(&|i| format!("k{i} = 1\n")),
        many(&|i| format!("[embed.e{i}]\n")),
        many(&|i| format!("[entity.f{i}.field]\nx = {{ ref = \"f{}\" }}\n", i + 1)),
        many(&|_| "{ [ \n".into()),
        many(&|_| "x = [ {\n".into()),
        many(&|_| "[entity.e]\n".into()),
        format!(
            "{head}index = [{}]",
            many(&|i| format!("[\"a{}\",\"b{}\"],", i % 300, i / 300)).replace(head, "")
        ),
        format!(
            "{head}field.x = {{ enum = [{}] }}",
            many(&|i| format!("\"{i}\",")).replace(head, "")
        ),
        format!(
            "{head}field.x = {{ vector = 3, of = [{}] }}",
            many(&|i| format!("\"{i}\",")).replace(head, "")
        ),
        format!(
            "{head}field.x = {{ type = \"jsonb\", default = [{}] }}",
            many(&|i| format!("{i},")).replace(head, "")
        ),
    ] {
        answers(&text);
    }
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        answers(&text);
    }

    #[test]
    fn any_edit_of_a_valid_file(text in mutated()) {
        answers(&text);
    }

    #[test]
    fn any_order_of_its_words(text in shuffled()) {
        answers(&text);
    }

    #[test]
    fn a_file_that_ends_in_the_middle(at in any::<prop::sample::Index>()) {
        let boundaries: Vec<usize> = RICH.char_indices().map(|(at, _)| at).collect();
        answers(&RICH[..*at.get(&boundaries)]);
    }
}
