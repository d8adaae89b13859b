//! Names of objects, and how they are put into headers.

use axum::http::HeaderValue;
use freehold_engine::{Code, Refusal};

/// Bytes of a path.
const PATH_MAX: usize = 1024;

/// The path of an object, if it can be one.
pub(super) fn checked(path: &str) -> Result<&str, Refusal> {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let sound = path.len() <= PATH_MAX
        && !path.chars().any(|c| c.is_control() || c == '\\')
        && path.split('/').all(part);
    if sound {
        return Ok(path);
    }
    Err(Refusal::new(Code::InvalidText, "this cannot be the path of an object")
        .hint(format!("names between slashes, none empty, `.` or `..`, no control characters or backslashes, {PATH_MAX} bytes at most; what has another name can be moved and removed")))
}

/// The last part of a path.
pub(super) fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `Content-Disposition` with the name in ASCII and, if that is not all of it, in UTF-8.
/// Nothing in it turns the line or the direction of what a person reads: `\u{202e}gpj.exe` would be seen as `exe.jpg`.
pub(super) fn disposition(inline: bool, name: &str) -> HeaderValue {
    let turns = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().map(|c| if turns(c) { '_' } else { c }).collect();
    let kind = if inline { "inline" } else { "attachment" };
    let plain = |c: char| c.is_ascii_alphanumeric() || " .-_()+,=@".contains(c);
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let text = if ascii == name {
        format!("{kind}; filename=\"{ascii}\"")
    } else {
        format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", encoded(&name))
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Percent-encoded, all but letters, digits and `-._~`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// The same with slashes left as they are.
pub(super) fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// Whether a browser may show it in the page's own name: nothing that can hold a script.
pub(super) fn is_harmless(content_type: &str) -> bool {
    matches!(
        content_type,
        "image/png"
            | "image/jpeg"
            | "image/gif"
            | "image/webp"
            | "image/avif"
            | "text/plain"
            | "application/pdf"
    ) || content_type.starts_with("audio/")
        || content_type.starts_with("video/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_none() {
        for path in ["a", "a/b.txt", "ä/ö ü.txt", "a/..b", "%2e%2e", "🙂"] {
            assert!(checked(path).is_ok(), "{path}");
        }
        let long = "x".repeat(PATH_MAX + 1);
        for path in ["", "/a", "a/", "a//b", ".", "a/../b", "..", "a\nb", "a\0", "a\\b", &long] {
            assert!(checked(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn names_cannot_break_out_of_the_header() {
        let shown = |name| disposition(false, name).to_str().unwrap().to_owned();
        assert_eq!(shown("a.txt"), "attachment; filename=\"a.txt\"");
        assert_eq!(
            shown("a\"; x=\r\ny"),
            "attachment; filename=\"a__ x=__y\"; filename*=UTF-8''a%22%3B%20x%3D__y"
        );
        assert_eq!(shown("\0a\u{202e}gpj.exe"), "attachment; filename=\"_a_gpj.exe\"");
        assert_eq!(shown("ä"), "attachment; filename=\"_\"; filename*=UTF-8''%C3%A4");
    }

    #[test]
    fn what_can_hold_a_script_is_not_shown() {
        for no in [
            "text/html",
            "image/svg+xml",
            "application/xml",
            "application/xhtml+xml",
            "text/javascript",
        ] {
            assert!(!is_harmless(no), "{no}");
        }
        assert!(is_harmless("image/png") && is_harmless("video/mp4"));
    }
}
