//! Arrays and bytes in PostgreSQL's text form, read and written here, because PostgreSQL does not see what is sealed.

use crate::{Code, Refusal};

/// The elements of `{a,"b c",NULL}`; null is `None`.
///
/// # Errors
/// `InvalidValue`.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Option<String>>, Refusal> {
    let wrong = || {
        Refusal::new(
            Code::InvalidValue,
            format!("a value of {name} is not a list of one dimension"),
        )
        .hint("write {a,b}, or an array in JSON")
    };
    let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let mut rest = inside.ok_or_else(wrong)?.trim();
    let mut elements = Vec::new();
    if rest.is_empty() {
        return Ok(elements);
    }
    loop {
        rest = rest.trim_start();
        let (element, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_element(quoted).map(|(text, behind)| (Some(text), behind)),
            None => plain_element(rest),
        }
        .ok_or_else(wrong)?;
        elements.push(element);
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(elements),
            None => return Err(wrong()),
        }
    }
}

/// Up to the quote, which is behind it no more.
fn quoted_element(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(chars.next()?.1),
            c => out.push(c),
        }
    }
    None
}

/// Up to the comma, which is behind it.
fn plain_element(text: &str) -> Option<(Option<String>, &str)> {
    let mut out = String::new();
    let mut escaped = false;
    let mut end = text.len();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' => {
                end = at;
                break;
            }
            '{' | '}' | '"' => return None,
            '\\' => {
                escaped = true;
                out.push(chars.next()?.1);
            }
            c => out.push(c),
        }
    }
    let element = out.trim_end();
    if element.is_empty() {
        return None;
    }
    let null = !escaped && element.eq_ignore_ascii_case("null");
    Some(((!null).then(|| element.to_owned()), &text[end..]))
}

/// As PostgreSQL writes them: quotes where they are needed.
pub(super) fn write(elements: impl IntoIterator<Item = Option<String>>) -> String {
    let one = |element: Option<String>| {
        let Some(text) = element else { return "NULL".to_owned() };
        let plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text.contains(['"', '\\', '{', '}', ','])
            && !text.contains(char::is_whitespace);
        if plain {
            return text;
        }
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let elements: Vec<String> = elements.into_iter().map(one).collect();
    format!("{{{}}}", elements.join(","))
}

/// `\x00ff`, of that form or of the one with `\000`.
///
/// # Errors
/// `InvalidValue`.
pub(super) fn bytes(name: &str, text: &str) -> Result<String, Refusal> {
    let found = match text.strip_prefix("\\x") {
        Some(digits) => {
            let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
            let fits = digits.len().is_multiple_of(2)
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            fits.then(|| digits.to_ascii_lowercase())
        }
        None => escaped(text.as_bytes()),
    };
    found.map(|digits| format!("\\x{digits}")).ok_or_else(|| {
        Refusal::new(Code::InvalidValue, format!("a value of {name} is not bytes"))
            .hint("write them in hexadecimal after \\x")
    })
}

fn escaped(mut text: &[u8]) -> Option<String> {
    let mut out = String::new();
    while let [first, rest @ ..] = text {
        let (byte, behind) = match (first, rest) {
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                ((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), behind)
            }
            (b'\\', _) => return None,
            (byte, behind) => (*byte, behind),
        };
        out.push_str(&format!("{byte:02x}"));
        text = behind;
    }
    Some(out)
}
