//! Listings of buckets: a folder at a time, counted from its beginning; or page by page behind the last name seen.

use super::{Bucket, all};
use crate::Sql;

/// By what a listing is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The name, by the bytes of it.
    #[default]
    Name,
    /// When it was uploaded; a folder has the time of its latest file.
    Time,
}

/// A page of a listing, as storage clients ask for it.
#[derive(Debug, Clone, Default)]
pub struct Listing<'a> {
    /// What names begin with; up to the last `/` a folder.
    pub prefix: &'a str,
    /// What the last part of names contains; empty for all.
    pub search: &'a str,
    /// By what.
    pub sort: Sort,
    /// Whether from the last to the first.
    pub descending: bool,
    /// How many.
    pub limit: u32,
    /// From which on, counted from 0.
    pub offset: u32,
}

/// A page of a listing that goes on behind a name, however many come before it.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    /// What paths begin with.
    pub prefix: &'a str,
    /// Whether what has a further `/` is shown as one folder, which ends in it.
    pub folders: bool,
    /// By what.
    pub sort: Sort,
    /// Whether from the last to the first.
    pub descending: bool,
    /// How many.
    pub limit: u32,
    /// The time and the name behind which it begins.
    pub behind: Option<(&'a str, &'a str)>,
}

impl Bucket {
    /// A page of what is in a folder: one text, a JSON array in the form of Supabase's storage.
    #[must_use]
    pub fn list(&self, listing: &Listing<'_>) -> Sql {
        let mut sql = Sql::new();
        let folder = listing.prefix.rfind('/').map_or("", |at| &listing.prefix[..=at]);
        sql.raw("select coalesce(json_agg(json_build_object('name', l.name, 'id', l.id, 'created_at', l.at, 'updated_at', l.at, 'last_accessed_at', l.at, 'metadata', l.metadata)), '[]')::text \
                 from (select i.name, i.id, i.at, i.metadata from (select distinct on (n.name, n.is_folder, n.id) n.name, n.is_folder, n.id, n.at, n.metadata from (select \
                 split_part(f.rest, '/', 1) as name, strpos(f.rest, '/') > 0 as is_folder, \
                 case when strpos(f.rest, '/') = 0 then f.id end as id, case when strpos(f.rest, '/') = 0 then f.at end as at, \
                 case when strpos(f.rest, '/') = 0 then f.metadata end as metadata \
                 from (select t.id, b.created_at as at, substr(t.");
        sql.ident(self.key()).raw("::text, ").raw(&(folder.chars().count() + 1).to_string());
        sql.raw(") as rest, ").raw(self.metadata()).raw(" as metadata from ").table(&self.entity);
        sql.raw(" t join freehold.blob b on b.id = t.").ident(&self.field);
        sql.raw(" where ").raw(&all(&self.there)).raw(" and ").raw(&all(&self.has));
        sql.raw(" and starts_with(t.").ident(self.key()).raw("::text, ");
        sql.param(Some(listing.prefix.to_owned()));
        sql.raw(")) f) n) i where strpos(lower(i.name), lower(");
        sql.param(Some(listing.search.to_owned())).raw(")) > 0 order by ");
        let column = match listing.sort {
            Sort::Time => "i.at",
            Sort::Name => "i.name collate \"C\"",
        };
        sql.raw(column).raw(if listing.descending { " desc" } else { "" });
        sql.raw(", i.name collate \"C\" limit ").param(Some(listing.limit.to_string()));
        sql.raw(" offset ").param(Some(listing.offset.to_string())).raw(") l");
        sql
    }

    /// A page of the paths in a bucket: rows of three texts: path, time, and a JSON object that is null for a folder.
    #[must_use]
    pub fn page(&self, page: &Page<'_>) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select e.name, max(e.at)::text, min(e.shown) from (select ");
        let (name, shown) = if page.folders {
            let rest = format!("substr(n.name, {})", page.prefix.chars().count() + 1);
            let is_folder = format!("strpos({rest}, '/') > 0");
            let folder =
                format!("left(n.name, {} + strpos({rest}, '/'))", page.prefix.chars().count());
            (
                format!("case when {is_folder} then {folder} else n.name end"),
                format!("case when not {is_folder} then n.shown end"),
            )
        } else {
            ("n.name".into(), "n.shown".into())
        };
        sql.raw(&name).raw(" as name, n.at, ").raw(&shown).raw(" as shown from (select t.");
        sql.ident(self.key()).raw("::text as name, b.created_at as at, json_build_object('id', t.id, 'created_at', b.created_at, \
                 'updated_at', b.created_at, 'last_accessed_at', b.created_at, 'version', b.id, 'metadata', ");
        sql.raw(self.metadata()).raw(")::text as shown from ").table(&self.entity);
        sql.raw(" t join freehold.blob b on b.id = t.").ident(&self.field);
        sql.raw(" where ").raw(&all(&self.there)).raw(" and ").raw(&all(&self.has));
        sql.raw(" and starts_with(t.").ident(self.key()).raw("::text, ");
        sql.param(Some(page.prefix.to_owned())).raw(")) n) e group by e.name");
        let (beyond, order) = if page.descending { (" < ", " desc") } else { (" > ", "") };
        if let Some((time, name)) = page.behind {
            sql.raw(" having ");
            match page.sort {
                Sort::Name => {
                    sql.raw("e.name collate \"C\"").raw(beyond).param(Some(name.to_owned()));
                }
                Sort::Time => {
                    sql.raw("(max(e.at), e.name collate \"C\")").raw(beyond).raw("(");
                    sql.param(Some(time.to_owned())).raw("::timestamptz, ");
                    sql.param(Some(name.to_owned())).raw(")");
                }
            }
        }
        sql.raw(" order by ");
        if page.sort == Sort::Time {
            sql.raw("max(e.at)").raw(order).raw(", ");
        }
        sql.raw("e.name collate \"C\"").raw(order).raw(" limit ");
        sql.param(Some(page.limit.to_string()));
        sql
    }
}
