//! Opening what is sealed in an answer that PostgreSQL built.

use std::collections::BTreeSet;

use freehold_model::{Name, entity::Kind, sealed};
use freehold_store::{
    Opens, Tenant,
    seal::{Closed, Place},
    unhex,
};
use uuid::Uuid;

use super::{Purpose, Tag, purpose_of};
use crate::{Engine, Snapshot, error::Error};

/// A sealed value in an answer.
struct Mark {
    /// Where it is in the text, without quotes.
    begin: usize,
    end: usize,
    entity: Name,
    field: Name,
    row: Uuid,
    owner: Uuid,
    sealed: Vec<u8>,
}

impl Engine {
    /// The answer with its sealed values opened. Of whom there is no key any more, the value is null.
    ///
    /// # Errors
    /// A fault if one was changed or moved from elsewhere: nothing is answered then.
    pub(crate) async fn open_body(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        body: &str,
        tag: &Tag,
        purpose: Purpose<'_>,
    ) -> Result<String, Error> {
        let marks: Option<Vec<Mark>> = body
            .match_indices(tag.as_str())
            .map(|(begin, found)| read(body, begin, begin + found.len()))
            .collect();
        let marks = marks.ok_or(Closed::Form)?;
        if marks.is_empty() {
            return Ok(body.to_owned());
        }
        let mut places: Vec<(&Name, &Name)> = Vec::new();
        for mark in &marks {
            if !places.contains(&(&mark.entity, &mark.field)) {
                places.push((&mark.entity, &mark.field));
            }
        }
        let numbers = self.store.sealed_numbers(&places).await?;
        let people: BTreeSet<Uuid> = marks.iter().map(|mark| mark.owner).collect();
        let keys = self.store.keys_to_open(tenant, &people).await?;
        let mut opens = Opens::default();
        let mut out = String::with_capacity(body.len());
        let mut at = 0;
        for mark in &marks {
            let name = (mark.entity.to_string(), mark.field.to_string());
            let field = numbers.get(&name).copied().unwrap_or_default();
            let place = Place { tenant: tenant.id(), field, row: mark.row, subject: mark.owner };
            let opened = match keys.open(place, &mark.sealed) {
                Ok(value) => {
                    opens.add(&mark.entity, &mark.field);
                    Some(value)
                }
                Err(Closed::Gone) => None,
                Err(closed) => {
                    tracing::error!(entity = %mark.entity, field = %mark.field, row = %mark.row, "a sealed value does not open: {closed}");
                    return Err(closed.into());
                }
            };
            let json = opened.as_ref().map_or(&b"null"[..], |value| value.reveal());
            let json = std::str::from_utf8(json).map_err(|_| Closed::Form)?;
            let kind = snapshot.model.entity(&mark.entity).and_then(|it| it.field(&mark.field));
            at = put(&mut out, (body, at), mark, json, kind.map(|field| &field.kind));
        }
        out.push_str(&body[at..]);
        let named = |entity: &str, field: &str| purpose_of(snapshot, purpose, entity, field);
        self.store.note_opens(tenant, &named, &opens).await?;
        Ok(out)
    }
}

/// `tag:place:row:owner:value:`
fn read(body: &str, begin: usize, after: usize) -> Option<Mark> {
    let mut parts = body[after..].splitn(6, ':');
    parts.next()?.is_empty().then_some(())?;
    let (place, row, owner, value) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let end = body.len() - parts.next()?.len();
    let place = String::from_utf8(unhex(place)?).ok()?;
    let (entity, field) = place.split_once('\0')?;
    Some(Mark {
        begin,
        end,
        entity: Name::new(entity).ok()?,
        field: Name::new(field).ok()?,
        row: row.parse().ok()?,
        owner: if owner.is_empty() { Uuid::nil() } else { owner.parse().ok()? },
        sealed: unhex(value)?,
    })
}

/// Puts a value in the place of its mark: instead of a string of JSON, instead of one inside a quoted cell of CSV, or as a
/// cell. Says where the answer goes on.
fn put(
    out: &mut String,
    (body, at): (&str, usize),
    mark: &Mark,
    json: &str,
    kind: Option<&Kind>,
) -> usize {
    let (before, behind) = (&body[at..mark.begin], &body[mark.end..]);
    if let Some(before) = before.strip_suffix("\"\"").filter(|_| behind.starts_with("\"\"")) {
        out.push_str(before);
        out.push_str(&json.replace('"', "\"\""));
        return mark.end + 2;
    }
    if let Some(before) = before.strip_suffix('"').filter(|_| behind.starts_with('"')) {
        out.push_str(before);
        out.push_str(json);
        return mark.end + 1;
    }
    out.push_str(before);
    if let Some(text) = sealed::cell(kind, json) {
        out.push_str(&cell(&text));
    }
    mark.end
}

// As PostgreSQL writes a row as text.
fn cell(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.contains(['"', '\\', '(', ')', ','])
        && !text.contains(char::is_whitespace);
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(body: &str, json: &str) -> String {
        opened_as(None, body, json)
    }

    fn opened_as(kind: Option<&Kind>, body: &str, json: &str) -> String {
        let marks: Vec<Mark> = body
            .match_indices("~T")
            .map(|(begin, found)| read(body, begin, begin + found.len()).unwrap())
            .collect();
        let (mut out, mut at) = (String::new(), 0);
        for mark in &marks {
            assert_eq!((&*mark.entity, &*mark.field), ("a", "b"));
            assert_eq!(mark.sealed, [1, 1]);
            at = put(&mut out, (body, at), mark, json, kind);
        }
        out + &body[at..]
    }

    #[test]
    fn a_value_takes_the_place_of_its_mark() {
        let mark = format!("~T:610062:{}::0101:", Uuid::nil());
        let json = format!(r#"[{{"x":"{mark}","y":["{mark}"]}}]"#);
        assert_eq!(opened(&json, "\"ada\""), r#"[{"x":"ada","y":["ada"]}]"#);
        assert_eq!(opened(&json, "null"), r#"[{"x":null,"y":[null]}]"#);
        let csv = format!("1,{mark},\"[{{\"\"x\"\":\"\"{mark}\"\"}}]\"");
        assert_eq!(opened(&csv, "\"a, b\""), r#"1,"a, b","[{""x"":""a, b""}]""#);
        assert_eq!(opened(&csv, "7"), r#"1,7,"[{""x"":7}]""#);
        let list = Kind::Array(freehold_model::entity::Scalar::Text);
        let csv = format!("1,{mark},2");
        assert_eq!(
            opened_as(Some(&list), &csv, r#"["a","b c",null]"#),
            "1,\"{a,\"\"b c\"\",NULL}\",2"
        );
        assert_eq!(opened(&csv, "12345678901234567890.50"), "1,12345678901234567890.50,2");
    }
}
