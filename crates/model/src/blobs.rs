//! Statements that find blobs by their rows, and rows by their blobs. All of them run inside the tenant's wall, so the rights
//! to a blob are those to its row, and what has expired is not shown, as in all reads.

mod listing;

pub use listing::{Listing, Page, Sort};

use crate::{
    Model, Name, Refusal, Sql,
    entity::{Blob, Entity, Kind, Whose},
    query::{check, cut::Cut, value::array_literal},
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
    // Whether they are somebody's personal data.
    personal: bool,
    // That a row `t` has not expired, and that it still has the field.
    there: Vec<String>,
    has: Vec<String>,
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
            Kind::Blob(blob) => {
                Some((field.name.clone(), blob.clone(), field.personal().is_some()))
            }
            _ => None,
        });
        let all: Vec<(Name, Blob, bool)> = named.by_ref().collect();
        let cuts = Cut::all(entity);
        let there: Vec<String> =
            cuts.iter().filter(|cut| cut.deletes()).map(|cut| cut.spares("t")).collect();
        let has = move |field: &Name| {
            let cuts = cuts.iter().filter(|cut| cut.empties(field));
            cuts.map(|cut| cut.spares("t")).collect()
        };
        let one = all.iter().filter(|(_, blob, _)| blob.path.is_some()).count() == 1;
        all.into_iter()
            .map(move |(field, takes, personal)| {
                let short = one && takes.path.is_some();
                let name = if short {
                    entity.name.to_string()
                } else {
                    format!("{}.{field}", entity.name)
                };
                let (there, has) = (there.clone(), has(&field));
                let entity = entity.name.clone();
                Bucket { name, entity, field, takes, personal, there, has }
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
        sql.ident(&self.field).raw("::text end from ").table(&self.entity).raw(" t where t.");
        sql.ident(self.key()).raw(" = ").param(Some(path.to_owned()));
        sql.raw(" and ").raw(&all(&self.there));
        sql
    }

    /// What is known of the blob at `path`: one text, a JSON object; no row if there is none.
    #[must_use]
    pub fn info(&self, path: &str) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select json_build_object('id', t.id, 'name', t.").ident(self.key());
        sql.raw(", 'version', b.id, 'size', b.size, 'content_type', b.type, 'cache_control', 'no-cache', \
                 'etag', '\"' || encode(substr(b.hash, 1, 16), 'hex') || '\"', 'created_at', b.created_at, 'last_modified', b.created_at, \
                 'metadata', ").raw(self.metadata()).raw(")::text from ").table(&self.entity);
        sql.raw(" t join freehold.blob b on b.id = t.").ident(&self.field);
        sql.raw(" where t.").ident(self.key()).raw(" = ").param(Some(path.to_owned()));
        sql.raw(" and ").raw(&all(&self.there)).raw(" and ").raw(&all(&self.has));
        sql
    }
}

impl Bucket {
    fn metadata(&self) -> &'static str {
        if self.personal { METADATA_OF_PEOPLE } else { METADATA }
    }
}

fn all(conditions: &[String]) -> String {
    if conditions.is_empty() { "true".into() } else { conditions.join(" and ") }
}

/// What is known of a blob `b`, for storage clients.
const METADATA: &str = "json_build_object('eTag', '\"' || encode(substr(b.hash, 1, 16), 'hex') || '\"', 'size', b.size, \
    'mimetype', b.type, 'cacheControl', 'no-cache', 'lastModified', b.created_at, 'contentLength', b.size, 'httpStatusCode', 200)";

/// The same of one that may be somebody's. Who has no key is never shown one.
const METADATA_OF_PEOPLE: &str = "json_build_object('eTag', '\"' || encode(substr(b.hash, 1, 16), 'hex') || '\"', 'size', b.size, \
    'mimetype', b.type, 'cacheControl', 'no-cache', 'lastModified', b.created_at, 'contentLength', b.size, 'httpStatusCode', 200, \
    'subject', b.subject)";

/// Whose blobs of these rows are: rows of three texts, the row's id, the blob it has, and the person, null for nobody.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`, also if it is nobody's personal data.
pub fn owners(model: &Model, entity: &str, field: &str, rows: &[String]) -> Result<Sql, Refusal> {
    let entity = check::entity(model, entity)?;
    let personal = entity.personal_blobs().find(|(known, _)| *known.name == *field);
    let (field, personal) =
        personal.ok_or_else(|| Refusal::new(Code::NoSuchField, "it is nobody's blob"))?;
    let mut sql = Sql::new();
    sql.raw("select t.id::text, t.").ident(&field.name).raw("::text, t.");
    match &personal.whose {
        Whose::Of(reference) => sql.ident(reference),
        _ => sql.raw("id"),
    };
    sql.raw("::text from ").table(&entity.name).raw(" t where t.id = any (");
    sql.param(Some(array_literal(rows.iter().map(String::as_str)))).raw("::uuid[])");
    Ok(sql)
}

/// Blobs that are noted as some row's and that no row has: rows of one text, the id.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`.
pub fn without_row(model: &Model, bucket: &Bucket) -> Result<Sql, Refusal> {
    check::entity(model, &bucket.entity)?;
    let mut sql = Sql::new();
    sql.raw("select b.id::text from freehold.blob b where b.state = 'live' and b.entity = ");
    sql.param(Some(bucket.entity.to_string())).raw(" and b.field = ");
    sql.param(Some(bucket.field.to_string())).raw(" and not exists (select from ");
    sql.table(&bucket.entity).raw(" t where t.id = b.row_id and t.").ident(&bucket.field);
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
    sql.raw("select t.id::text from ").table(&bucket.entity).raw(" t where t.");
    sql.ident(&bucket.field)
        .raw(" is not null and not exists (select from freehold.blob b where b.id = t.");
    sql.ident(&bucket.field).raw(" and b.state = 'live' and b.row_id = t.id) order by t.id");
    Ok(sql)
}
