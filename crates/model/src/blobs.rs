//! Statements that find blobs by their rows, and rows by their blobs. All of them run inside the tenant's wall, so the rights
//! to a blob are those to its row, and what has expired is not shown, as in all reads.

use crate::{
    Model, Name, Refusal, Sql,
    entity::{Blob, Entity, Kind},
    query::{check, cut::Cut},
    refusal::Code,
};

/// Named blobs: those of one field, told apart by the path of their rows, or by their rows' ids.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// What it is called: the entity, or the entity and the field with a point between.
    pub name: String,
    /// The entity whose rows they belong to.
    pub entity: Name,
    /// Its field.
    pub field: Name,
    /// What the field takes.
    pub takes: Blob,
    // That a row `t` has not expired, and that it still has the field.
    there: Vec<String>,
    has: Vec<String>,
}

/// A page of a listing, as storage clients ask for it.
#[derive(Debug, Clone, Default)]
pub struct Listing<'a> {
    /// What names begin with; up to the last `/` a folder.
    pub prefix: &'a str,
    /// What the last part of names contains; empty for all.
    pub search: &'a str,
    /// `name`, `created_at` or `updated_at`.
    pub sort: &'a str,
    /// Whether from the last to the first.
    pub descending: bool,
    /// How many.
    pub limit: u32,
    /// From which on, counted from 0.
    pub offset: u32,
}

/// The bucket called `name`.
///
/// # Errors
/// `NoSuchBlob`.
pub fn bucket(model: &Model, name: &str) -> Result<Bucket, Refusal> {
    buckets(model).into_iter().find(|bucket| bucket.name == name).ok_or_else(|| {
        Refusal::new(Code::NoSuchBlob, "there is no such bucket").detail(name).hint(
            "a bucket is a field of type `blob`: ENTITY.FIELD, or ENTITY if the one blob field with a `path` is meant",
        )
    })
}

/// All buckets: one for each field of type `blob`.
#[must_use]
pub fn buckets(model: &Model) -> Vec<Bucket> {
    let of = |entity: &Entity| {
        let mut named = entity.fields.iter().filter_map(|field| match &field.kind {
            Kind::Blob(blob) => Some((field.name.clone(), blob.clone())),
            _ => None,
        });
        let all: Vec<(Name, Blob)> = named.by_ref().collect();
        let cuts = Cut::all(entity);
        let there: Vec<String> =
            cuts.iter().filter(|cut| cut.blank.is_none()).map(|cut| cut.spares("t")).collect();
        let has = move |field: &Name| {
            let cuts = cuts.iter().filter(|cut| cut.empties(field));
            cuts.map(|cut| cut.spares("t")).collect()
        };
        let one = all.iter().filter(|(_, blob)| blob.path.is_some()).count() == 1;
        all.into_iter()
            .map(move |(field, takes)| {
                let short = one && takes.path.is_some();
                let name = if short {
                    entity.name.to_string()
                } else {
                    format!("{}.{field}", entity.name)
                };
                let (there, has) = (there.clone(), has(&field));
                Bucket { name, entity: entity.name.clone(), field, takes, there, has }
            })
            .collect::<Vec<_>>()
    };
    model.entities().iter().flat_map(of).collect()
}

impl Bucket {
    /// The column by which its blobs are told apart.
    #[must_use]
    pub fn key(&self) -> &str {
        self.takes.path.as_ref().map_or("id", |path| path.as_str())
    }

    /// Whether a blob comes and goes with a row of its own; else rows that are there get and lose blobs.
    #[must_use]
    pub fn makes_rows(&self) -> bool {
        self.takes.path.is_some()
    }

    /// The row and the blob at `path`: one row of two texts, the second null if the row has none; no row if there is none.
    #[must_use]
    pub fn find(&self, path: &str) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select t.id::text, case when ").raw(&all(&self.has)).raw(" then t.");
        sql.ident(&self.field).raw("::text end from app.").ident(&self.entity).raw(" t where t.");
        sql.ident(self.key()).raw(" = ").param(Some(path.to_owned()));
        sql.raw(" and ").raw(&all(&self.there));
        sql
    }

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
        sql.raw(") as rest, ").raw(METADATA).raw(" as metadata from app.").ident(&self.entity);
        sql.raw(" t join freehold.blob b on b.id = t.").ident(&self.field);
        sql.raw(" where ").raw(&all(&self.there)).raw(" and ").raw(&all(&self.has));
        sql.raw(" and starts_with(t.").ident(self.key()).raw("::text, ");
        sql.param(Some(listing.prefix.to_owned()));
        sql.raw(")) f) n) i where strpos(lower(i.name), lower(");
        sql.param(Some(listing.search.to_owned())).raw(")) > 0 order by ");
        let column = match listing.sort {
            "created_at" | "updated_at" | "last_accessed_at" => "i.at",
            _ => "i.name collate \"C\"",
        };
        sql.raw(column).raw(if listing.descending { " desc" } else { "" });
        sql.raw(", i.name collate \"C\" limit ").param(Some(listing.limit.to_string()));
        sql.raw(" offset ").param(Some(listing.offset.to_string())).raw(") l");
        sql
    }

    /// What is known of the blob at `path`: one text, a JSON object; no row if there is none.
    #[must_use]
    pub fn info(&self, path: &str) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select json_build_object('id', t.id, 'name', t.").ident(self.key());
        sql.raw(", 'version', b.id, 'size', b.size, 'content_type', b.type, 'cache_control', 'no-cache', \
                 'etag', '\"' || encode(substr(b.hash, 1, 16), 'hex') || '\"', 'created_at', b.created_at, 'last_modified', b.created_at, \
                 'metadata', ").raw(METADATA).raw(")::text from app.").ident(&self.entity);
        sql.raw(" t join freehold.blob b on b.id = t.").ident(&self.field);
        sql.raw(" where t.").ident(self.key()).raw(" = ").param(Some(path.to_owned()));
        sql.raw(" and ").raw(&all(&self.there)).raw(" and ").raw(&all(&self.has));
        sql
    }
}

fn all(conditions: &[String]) -> String {
    if conditions.is_empty() { "true".into() } else { conditions.join(" and ") }
}

const METADATA: &str = "json_build_object('eTag', '\"' || encode(substr(b.hash, 1, 16), 'hex') || '\"', 'size', b.size, \
    'mimetype', b.type, 'cacheControl', 'no-cache', 'lastModified', b.created_at, 'contentLength', b.size, 'httpStatusCode', 200)";

/// Blobs that are noted as some row's and that no row has: rows of one text, the id.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`.
pub fn without_row(model: &Model, bucket: &Bucket) -> Result<Sql, Refusal> {
    check::entity(model, &bucket.entity)?;
    let mut sql = Sql::new();
    sql.raw("select b.id::text from freehold.blob b where b.state = 'live' and b.entity = ");
    sql.param(Some(bucket.entity.to_string())).raw(" and b.field = ");
    sql.param(Some(bucket.field.to_string())).raw(" and not exists (select from app.");
    sql.ident(&bucket.entity).raw(" t where t.id = b.row_id and t.").ident(&bucket.field);
    sql.raw(" = b.id) order by b.id");
    Ok(sql)
}

/// Rows that name a blob that is not theirs: rows of one text, the row's id.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`.
pub fn without_blob(model: &Model, bucket: &Bucket) -> Result<Sql, Refusal> {
    check::entity(model, &bucket.entity)?;
    let mut sql = Sql::new();
    sql.raw("select t.id::text from app.").ident(&bucket.entity).raw(" t where t.");
    sql.ident(&bucket.field)
        .raw(" is not null and not exists (select from freehold.blob b where b.id = t.");
    sql.ident(&bucket.field).raw(" and b.state = 'live' and b.row_id = t.id) order by t.id");
    Ok(sql)
}
