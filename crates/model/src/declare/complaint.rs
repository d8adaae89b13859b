//! What the TOML parser complains about, said so that it can be mended.

use toml_parser::{Expected, ParseError};

use super::{
    codes,
    report::{Report, Span},
    syntax::span,
};

/// Levels of tables and arrays; a JSON default has most use for them.
pub(super) const DEPTH_MAX: u32 = 24;

/// After this many the rest are most likely consequences.
const SYNTAX_ERRORS_MAX: usize = 100;

/// The outermost bracket that swallows further lines because it is never closed.
pub(super) fn unclosed(text: &str, found: &[ParseError]) -> Option<Span> {
    let swallows = |error: &&ParseError| {
        let until = error.unexpected().map_or(text.len(), |at| at.start());
        let from = error.context().map_or(until, |at| at.start());
        matches!(error.description(), "unclosed inline table" | "unclosed array")
            && text.get(from..until).is_some_and(|part| part.contains('\n'))
    };
    found
        .iter()
        .filter(swallows)
        .filter_map(ParseError::context)
        .map(|at| inside(text, span(at)))
        .min_by_key(|at| at.start)
}

/// Reports the brackets that are never closed, and what the parser found.
pub(super) fn report(text: &str, open: &[Span], found: Vec<ParseError>, report: &mut Report) {
    for bracket in open {
        let (bracket_text, closing) =
            if text[bracket.clone()].starts_with('[') { ("[", "]") } else { ("{", "}") };
        report
            .error(codes::TOML_SYNTAX, bracket, format!("this `{bracket_text}` is never closed"))
            .help(format!("close it with `{closing}`, most likely at the end of this line"));
    }
    let total = found.len();
    for error in found.into_iter().take(SYNTAX_ERRORS_MAX) {
        let at = inside(
            text,
            error.unexpected().or(error.context()).map_or(text.len()..text.len(), span),
        );
        if error.description().starts_with("cannot recurse") {
            too_deep(&at, report);
            continue;
        }
        let no_value = error.description() == "string values must be quoted"
            && text[at.clone()].trim().is_empty();
        let (message, description) = if no_value {
            ("missing value".into(), "missing value")
        } else {
            (sentence(&error), error.description())
        };
        let mut entry = report.error(codes::TOML_SYNTAX, &at, message);
        if let Some(help) = mend(description, &text[at.clone()]) {
            entry = entry.help(help);
        }
        if let Some(context) = error.context().map(|context| inside(text, span(context)))
            && context.start != at.start
        {
            entry.also(&context, "in this");
        }
    }
    if total > SYNTAX_ERRORS_MAX {
        let more = format!("{} more places are not TOML", total - SYNTAX_ERRORS_MAX);
        report
            .error(codes::TOML_SYNTAX, &(text.len()..text.len()), more)
            .help("mend the first ones; most of the rest follow from them");
    }
}

/// Reports something nested too deeply.
pub(super) fn too_deep(at: &Span, report: &mut Report) {
    report
        .error(
            codes::TOML_TOO_DEEP,
            at,
            format!("this is nested more than {DEPTH_MAX} levels deep"),
        )
        .help("no part of a model needs so many levels");
}

fn sentence(error: &ParseError) -> String {
    let expected: Vec<String> = error
        .expected()
        .unwrap_or_default()
        .iter()
        .filter_map(|expected| match expected {
            Expected::Literal("\n") => Some("the end of the line".into()),
            Expected::Literal(text) => Some(format!("`{text}`")),
            Expected::Description(text) => Some((*text).into()),
            _ => None,
        })
        .collect();
    if expected.is_empty() || error.description() == "string values must be quoted" {
        error.description().into()
    } else {
        format!("{}, expected {}", error.description(), expected.join(" or "))
    }
}

fn mend(description: &str, found: &str) -> Option<String> {
    Some(match description {
        "string values must be quoted" => format!("put it in quotes: \"{}\"", found.trim()),
        "unclosed inline table" => "close it with `}`".into(),
        "invalid basic string" | "invalid literal string" => {
            "a text begins and ends with the same quote, in one line; `\\` is written `\\\\` between double quotes".into()
        }
        "invalid multi-line basic string" => "close the text with `\"\"\"`".into(),
        "invalid multi-line literal string" => "close the text with `'''`".into(),
        "missing key for inline table element" => "write `key = value` before the comma or the end".into(),
        text if text.starts_with("there is no") || text.starts_with("this month") || text.starts_with("a year") => {
            "write a date or time that exists, such as 2024-02-29".into()
        }
        "unclosed array" => "close it with `]`".into(),
        "unclosed table" => "close the header with `]`".into(),
        "unclosed array table" => "close the header with `]]`".into(),
        "missing value" | "missing value for key" | "key with no value" => {
            "write the value after `=`, as in `name = \"history\"`".into()
        }
        "unexpected content" | "unexpected key or value" => {
            "write one thing in a line, and comments behind `#`".into()
        }
        "missing comma between key-value pairs" | "missing comma between array elements" => {
            "put a `,` between the two".into()
        }
        text if text.starts_with("carriage return") => {
            "end lines with LF or CRLF, as editors for Unix and Windows do".into()
        }
        text if text.starts_with("extra comma") => "remove the comma".into(),
        "invalid unquoted key" => "put the key in quotes".into(),
        text if text.starts_with("missing assignment") => "write `key = value`".into(),
        _ => return None,
    })
}

/// The nearest range that lies in the text and between characters.
fn inside(text: &str, at: Span) -> Span {
    let boundary =
        |at: usize| (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let start = boundary(at.start);
    start..boundary(at.end).max(start)
}
