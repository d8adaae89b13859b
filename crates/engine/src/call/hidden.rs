//! The tenant's id in what a function made itself: `to_jsonb(row)` has every column. It is nobody's business, so it is taken out.
//!
//! In JSON a name in quotes before a colon is a key and nothing else, for inside a text quotes are escaped; so this needs no
//! parsing, which would cost numbers their digits.

use std::borrow::Cow;

use uuid::Uuid;

const KEY: &str = "\"tenant_id\"";

/// JSON as PostgreSQL writes it, without the members `tenant_id` whose value is this tenant's id. What is in it otherwise stays
/// byte for byte.
pub(super) fn without_tenant(json: &str, tenant: Uuid) -> Cow<'_, str> {
    let id = tenant.to_string();
    if !json.contains(&id) {
        return Cow::Borrowed(json);
    }
    let mut kept = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(KEY) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        match member(from, &id) {
            Some(behind) => rest = joined(&mut kept, behind),
            None => {
                kept.push_str(KEY);
                rest = &from[KEY.len()..];
            }
        }
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// What is behind the member with which `text` begins, if its value is `id`.
fn member<'t>(text: &'t str, id: &str) -> Option<&'t str> {
    let value = text.strip_prefix(KEY)?.trim_start().strip_prefix(':')?.trim_start();
    value.strip_prefix('"')?.strip_prefix(id)?.strip_prefix('"')
}

/// Takes away the comma of a member that is gone: the one behind it, or else the one before.
fn joined<'t>(kept: &mut String, behind: &'t str) -> &'t str {
    if let Some(next) = behind.trim_start().strip_prefix(',') {
        return next.trim_start();
    }
    let before = kept.trim_end();
    let end = before.strip_suffix(',').map_or(before.len(), str::len);
    kept.truncate(end);
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_goes_wherever_it_is_and_nothing_else() {
        let tenant = Uuid::from_u128(7);
        let other = Uuid::from_u128(8);
        for (given, expected) in [
            (
                format!(r#"{{"id": 1, "tenant_id": "{tenant}", "n": 1.50}}"#),
                r#"{"id": 1, "n": 1.50}"#.to_owned(),
            ),
            (
                format!(r#"{{"tenant_id":"{tenant}","n":9007199254740993}}"#),
                r#"{"n":9007199254740993}"#.to_owned(),
            ),
            (format!(r#"[{{"n": 1, "tenant_id": "{tenant}"}}]"#), r#"[{"n": 1}]"#.to_owned()),
            (format!(r#"{{"tenant_id":"{tenant}"}}"#), "{}".to_owned()),
            (
                format!("{{\"a\":[{{\"tenant_id\":\"{tenant}\",\n \"b\":2}}]}}"),
                "{\"a\":[{\"b\":2}]}".to_owned(),
            ),
        ] {
            assert_eq!(without_tenant(&given, tenant), expected, "{given}");
        }
        // Texts that speak of it, and another's id, which the wall would not have let through.
        for kept in [
            format!(r#"{{"said": "\"tenant_id\": \"{tenant}\""}}"#),
            format!(r#"{{"tenant_id": "{other}", "x": "{tenant}"}}"#),
            format!(r#"["tenant_id", "{tenant}"]"#),
            "{}".to_owned(),
        ] {
            assert_eq!(without_tenant(&kept, tenant), kept);
        }
    }
}
