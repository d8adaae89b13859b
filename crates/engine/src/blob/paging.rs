//! Names in a bucket page by page: each page says where the next begins.

use freehold_store::{Access, Tenant, hex, unhex};

use super::{Bucket, Page};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
};

/// A page of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The names, in order.
    pub shown: Vec<Shown>,
    /// The cursor of the next page; none if this is the last.
    pub next: Option<String>,
}

/// A name in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The whole path; a folder's ends in `/`.
    pub path: String,
    /// What is known of the object, as a JSON object; none for a folder.
    pub about: Option<String>,
}

impl Engine {
    /// A page of the names in a bucket, from behind `cursor`. What is added or removed meanwhile neither repeats nor hides
    /// others.
    ///
    /// # Errors
    /// `InvalidValue` if the cursor is none of this listing's; faults, and refusals of the database.
    pub async fn names_of_blobs(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        page: Page<'_>,
        cursor: Option<&str>,
    ) -> Result<Names, Error> {
        self.snapshot().permit(tenant, &bucket.entity, Access::Read)?;
        let behind = cursor.map(|cursor| opened(cursor).ok_or_else(unknown)).transpose()?;
        let behind = behind.as_ref().map(|(time, name)| (time.as_str(), name.as_str()));
        let limit = page.limit as usize;
        let asked = Page { limit: page.limit.saturating_add(1), behind, ..page };
        let rows = self.store.run_all(tenant, &bucket.page(&asked)).await;
        let rows = rows.map_err(|error| match error {
            Error::Refused(refusal) if behind.is_some() && is_unreadable(refusal.code) => {
                unknown().into()
            }
            other => other,
        })?;
        let text = |row: usize, i: usize| rows.get(row).and_then(|row| row.text(i));
        let next = (rows.len() > limit && limit > 0).then(|| {
            let (name, time) = (text(limit - 1, 0), text(limit - 1, 1));
            sealed(time.unwrap_or_default(), name.unwrap_or_default())
        });
        let shown = rows.iter().take(limit).map(|row| Shown {
            path: row.text(0).unwrap_or_default().to_owned(),
            about: row.text(2).map(str::to_owned),
        });
        Ok(Names { shown: shown.collect(), next })
    }
}

fn sealed(time: &str, name: &str) -> String {
    hex(format!("{time}\n{name}").as_bytes())
}

fn opened(cursor: &str) -> Option<(String, String)> {
    let text = String::from_utf8(unhex(cursor)?).ok()?;
    let (time, name) = text.split_once('\n')?;
    (!name.contains('\0')).then(|| (time.to_owned(), name.to_owned()))
}

fn is_unreadable(code: Code) -> bool {
    matches!(code, Code::InvalidTime | Code::InvalidValue)
}

fn unknown() -> Refusal {
    Refusal::new(Code::InvalidValue, "this is no cursor")
        .hint("send `nextCursor` of the page before as it was, with the same order; none for the first page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_again_and_nothing_else_is() {
        let cursor = sealed("2026-01-01 00:00:00+00", "a\nä/b");
        let read = opened(&cursor).unwrap();
        assert_eq!(read, ("2026-01-01 00:00:00+00".to_owned(), "a\nä/b".to_owned()));
        for other in ["", "zz", "00", "0a00", "ff0a", &cursor[1..], "name"] {
            assert_eq!(opened(other), None, "{other}");
        }
    }
}
