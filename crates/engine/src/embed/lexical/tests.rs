//! What lexical vectors find alike, and that they never change.

use super::*;

fn close(a: &str, b: &str) -> f32 {
    vector(a, 384).iter().zip(vector(b, 384)).map(|(a, b)| a * b).sum()
}

/// Any change of these is a change of [`VERSION`]: stored vectors would no longer compare with new ones.
#[test]
fn vectors_are_frozen() {
    let sum = |text: &str, dimensions| {
        let bits = vector(text, dimensions).into_iter().map(f32::to_bits);
        bits.fold(0u64, |sum, bits| scrambled(sum ^ u64::from(bits)))
    };
    assert_eq!(VERSION, 1);
    assert_eq!(vector("row level security", 16), GOLDEN);
    let texts = [
        ("row level security", 384, 0xdf44_45ea_7ddf_ee8a),
        (
            "The quick brown fox jumps over the lazy dog, the dog over the fox.",
            384,
            0x57b4_268f_e377_51de,
        ),
        (
            "fix(parser): parseHTTPHeader in café naïve Ångström ﬁ ＡＢＣ",
            1536,
            0xfc31_911f_dc77_a057,
        ),
        ("数据库中的行级安全 データベース базы данных", 256, 0x5569_9100_0cd6_7b4e),
        ("🦀 → !!", 16, 0x57ef_f035_4f31_a076),
    ];
    for (text, dimensions, frozen) in texts {
        assert_eq!(
            sum(text, dimensions),
            frozen,
            "{text} at {dimensions}: {:#x}",
            sum(text, dimensions)
        );
    }
}

const GOLDEN: [f32; 16] = [
    -0.23714118,
    0.015809413,
    0.53752,
    -0.055332944,
    0.22923648,
    0.07114235,
    0.1422847,
    -0.06323765,
    0.23714118,
    -0.5059012,
    0.30037883,
    0.1264753,
    -0.15809412,
    0.015809413,
    0.07114235,
    -0.34780708,
];

#[test]
fn shared_words_and_spellings_are_close_and_meaning_is_not_seen() {
    assert!(close("fix a memory leak in the parser", "memory leaks of parsers fixed") > 0.4);
    assert!(close("colour", "colours") > 0.5);
    assert!(close("color", "colour") > 0.2);
    assert!(close("car", "automobile").abs() < 0.2);
    assert!(close("Add tenant isolation", "Bump the version of curl").abs() < 0.15);
}

#[test]
fn stop_words_weigh_little_but_are_not_nothing() {
    let (with, without) = (
        close("the wall of the tenant", "tenant wall"),
        close("red wall green tenant", "tenant wall"),
    );
    assert!(with > 0.85 && with > without, "{with} {without}");
    assert!(close("to be or not to be", "to be or not to be") > 0.999);
}

#[test]
fn case_accents_and_width_do_not_matter() {
    for (a, b) in
        [("CAFÉ Ångström", "cafe angstrom"), ("ＡＢＣ ﬁx", "abc fix"), ("e\u{301}tat", "état")]
    {
        assert!(close(a, b) > 0.999_9, "{a} {b}");
    }
}

#[test]
fn parts_of_joined_words_are_found() {
    assert!(close("parseHTTPHeader", "header") > close("parsehttpheader", "header") + 0.05);
    let words = Words::of("parseHTTPHeader2Fast X");
    let mut humps = Vec::new();
    words.humps(&words.words[0], &mut humps);
    let expected =
        ["parse", "http", "header2", "fast"].map(|part| fnv(1, &part.chars().collect::<Vec<_>>()));
    // A digit is not a lower-case letter, so `header2Fast` has no hump.
    let found: Vec<u64> = humps.iter().map(|feature| feature.hash).collect();
    assert_eq!(found[..2], expected[..2]);
    assert_eq!(found[2], fnv(1, &"header2fast".chars().collect::<Vec<_>>()));
    assert_eq!(found.len(), 3);
}

#[test]
fn scripts_without_spaces_match_in_part() {
    assert!(close("数据库中的行级安全", "行级安全") > 0.4);
    assert!(close("数据库中的行级安全", "天气很好").abs() < 0.2);
}

#[test]
fn every_text_has_a_finite_vector_of_unit_length() {
    let odd =
        ["\u{0}", "\u{301}", "🦀", "!", "a", "…—", "\u{200b}", "ß", "İ", "9", &"a ".repeat(50_000)];
    for text in odd {
        for dimensions in [16, 17, 100, 4096] {
            let length: f64 = vector(text, dimensions).iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-5, "{text:?} {dimensions}: {length}");
        }
    }
}

#[test]
fn logarithmic_growth() {
    assert_eq!(damped(1), 1.0);
    assert!((damped(2) - 1.65).abs() < 1e-9 && (4.0..4.2).contains(&damped(16)));
}
