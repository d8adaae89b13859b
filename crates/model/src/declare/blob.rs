//! Blobs: how large they may be, of which content types, and which field names them in a bucket.

use super::{
    codes,
    field::Draft,
    report::Report,
    tree::Data,
    walk::{Found, text},
};
use crate::{
    entity::{Blob, Kind, Scalar},
    names::Name,
};

/// Bytes of a blob, unless the model says otherwise.
const BYTES_USUAL: u64 = 50_000_000;

/// Bytes of a blob at most: ten thousand parts of 8 MiB, which is what object stores take, and some reserve.
const BYTES_MAX: u64 = 64_000_000_000;

/// Content types of one field.
const TYPES_MAX: usize = 50;

/// Units of a size, and how many bytes each is.
const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// The blob that a field holds; what is wrong with it is reported.
pub(super) fn read(found: &Found, report: &mut Report) -> Option<Kind> {
    let max = match found.pair("max") {
        None => BYTES_USUAL,
        Some(pair) => {
            let read = match &pair.value.data {
                Data::Text(size) => bytes(size),
                Data::Integer(digits) => digits.parse().ok(),
                Data::Broken => return None,
                _ => None,
            };
            let Some(max) = read.filter(|bytes| (1..=BYTES_MAX).contains(bytes)) else {
                report
                    .error(codes::BLOB_SIZE, &pair.value.at, "this is no size for a blob")
                    .help("write a number of bytes, or a text such as `\"10 MB\"` or `\"1 GiB\"`; 64 GB at most");
                return None;
            };
            max
        }
    };
    let mut types = Vec::new();
    let listed = found.items("types").unwrap_or_default();
    let listed = report.within(listed, |item| &item.at, TYPES_MAX, "a blob", "content types");
    for (name, at) in listed.iter().filter_map(text) {
        if is_pattern(name) {
            types.push(name.to_owned());
        } else {
            report
                .error(codes::BLOB_TYPE, at, format!("`{name}` is no content type"))
                .help("write one in lower case, such as `\"image/png\"`, or all of a kind, such as `\"image/*\"`");
        }
    }
    let path = found.text("path").and_then(|(name, _)| Name::new(name).ok());
    Some(Kind::Blob(Blob { max, types, path }))
}

/// Checks what blobs of one entity say of its other fields, and that no other field speaks like a blob.
pub(super) fn check(fields: &[Draft], report: &mut Report) {
    for draft in fields {
        let Some(found) = &draft.found else { continue };
        let Some(kind) = draft.field.as_ref().map(|field| &field.kind) else { continue };
        if matches!(kind, Kind::Blob(_)) {
            for key in ["unique", "index"] {
                if let Some(pair) = found.pair(key).filter(|_| found.flag(key)) {
                    report
                        .error(codes::KEY_MISPLACED, &pair.key.at, format!("a blob has no `{key}`"))
                        .help("remove it; every blob belongs to one row anyway");
                }
            }
            path(draft, found, fields, report);
            continue;
        }
        for key in ["types", "path"] {
            if let Some(pair) = found.pair(key) {
                report
                    .error(codes::KEY_MISPLACED, &pair.key.at, format!("`{key}` is for blobs"))
                    .help("remove it, or write `type = \"blob\"`");
            }
        }
    }
}

/// `path` names a text of the same entity that no two rows of a tenant share and that is always there.
fn path(draft: &Draft, found: &Found, fields: &[Draft], report: &mut Report) {
    let Some((name, at)) = found.text("path") else { return };
    let other = fields.iter().find(|other| other.word.text == name);
    let fits = other.is_some_and(|other| {
        other.field.as_ref().is_none_or(|field| {
            field.kind == Kind::Scalar(Scalar::Text)
                && !field.optional
                && other.found.as_ref().is_some_and(|found| found.flag("unique"))
        })
    });
    if !fits {
        report
            .error(
                codes::BLOB_PATH,
                at,
                format!("`{name}` cannot name the blobs of `{}`", draft.word.text),
            )
            .help(format!(
                "name a field of this entity such as `{name} = {{ type = \"text\", unique = true }}`, which is not optional"
            ));
    }
}

/// `10 MB`, `1.5 GiB`, `300`
fn bytes(size: &str) -> Option<u64> {
    let size = size.trim();
    let split = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
    let (number, unit) = (&size[..split], size[split..].trim());
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, unit) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.len() > 6 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(*unit)?;
    let scale = 10_u64.pow(u32::try_from(part.len()).ok()?);
    whole.checked_add(part.parse::<u64>().ok()?.checked_mul(*unit)? / scale)
}

fn is_pattern(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 127
        && text
            .split_once('/')
            .is_some_and(|(kind, rest)| word(kind) && (rest == "*" || word(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("10 MB"), Some(10_000_000));
        assert_eq!(bytes("10mb"), Some(10_000_000));
        assert_eq!(bytes("1.5 GiB"), Some(3 << 29));
        assert_eq!(bytes("300"), Some(300));
        for wrong in ["", "MB", "ten MB", "-1 MB", "1 XB", "1.2.3 MB", "99999999999999999999"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn content_types_are_whole_or_end_in_a_star() {
        for right in ["image/png", "image/*", "application/vnd.api+json"] {
            assert!(is_pattern(right), "{right}");
        }
        for wrong in ["image", "image/", "/png", "Image/png", "image/p*", "*/*", "a/b; c=d"] {
            assert!(!is_pattern(wrong), "{wrong}");
        }
    }
}
