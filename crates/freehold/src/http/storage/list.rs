//! Listings, in both forms that clients know.

use axum::{extract::State, response::Response};
use freehold_engine::{
    Code, Engine, Refusal,
    blob::{Listing, Names, Page, Sort},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        auth::Caller,
        error::Answer,
        request::{Body, Place},
    },
    bucket::{answer, text},
    manage::read,
};

/// Objects in one listing.
const MANY: u32 = 1000;

#[derive(Deserialize)]
struct Folder {
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    search: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    offset: Option<u32>,
    #[serde(default, rename = "sortBy")]
    sort_by: Option<SortBy>,
}

#[derive(Deserialize)]
struct SortBy {
    column: Option<String>,
    order: Option<String>,
}

impl SortBy {
    /// By what, and whether from the last to the first.
    fn read(&self) -> Result<(Sort, bool), Refusal> {
        let sort = match self.column.as_deref() {
            None | Some("name") => Sort::Name,
            Some("created_at" | "updated_at" | "last_accessed_at") => Sort::Time,
            Some(other) => return Err(unsorted("column", other)),
        };
        match self.order.as_deref() {
            None | Some("asc") => Ok((sort, false)),
            Some("desc") => Ok((sort, true)),
            Some(other) => Err(unsorted("order", other)),
        }
    }
}

fn unsorted(what: &str, said: &str) -> Refusal {
    Refusal::new(Code::Body, "objects are not sorted by this")
        .detail(format!("{what}: {}", said.chars().take(80).collect::<String>()))
        .hint("column: name, created_at, updated_at or last_accessed_at; order: asc or desc")
}

/// A folder: an array of files and folders.
pub(super) async fn folder(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place(bucket): Place<String>,
    Body(body): Body,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    let asked: Folder = read(&body)?;
    let folder = asked.prefix.as_deref().unwrap_or_default().trim_matches('/');
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let (sort, descending) =
        asked.sort_by.as_ref().map_or(Ok((Sort::Name, false)), SortBy::read)?;
    let listing = Listing {
        prefix: &prefix,
        search: asked.search.as_deref().unwrap_or_default(),
        sort,
        descending,
        limit: asked.limit.unwrap_or(100).min(MANY),
        offset: asked.offset.unwrap_or(0),
    };
    Ok(text(engine.list_blobs(&tenant, &bucket, &listing).await?))
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default)]
    prefix: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    with_delimiter: bool,
    #[serde(default, rename = "sortBy")]
    sort_by: Option<SortBy>,
    #[serde(default, rename = "noncurrentVersions")]
    noncurrent_versions: Option<String>,
}

/// Page by page: what comes next is told by a cursor, not counted.
pub(super) async fn pages(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place(bucket): Place<String>,
    Body(body): Body,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    let asked: Pages = read(&body)?;
    if asked.noncurrent_versions.as_deref().is_some_and(|wanted| wanted != "exclude") {
        return Err(Refusal::new(Code::NotBuilt, "objects have no earlier versions")
            .hint("leave noncurrentVersions out")
            .into());
    }
    let (sort, descending) =
        asked.sort_by.as_ref().map_or(Ok((Sort::Name, false)), SortBy::read)?;
    let page = Page {
        prefix: asked.prefix.as_deref().unwrap_or_default(),
        folders: asked.with_delimiter,
        sort,
        descending,
        limit: asked.limit.unwrap_or(MANY).clamp(1, MANY),
        behind: None,
    };
    let names = engine.names_of_blobs(&tenant, &bucket, page, asked.cursor.as_deref()).await?;
    Ok(answer(&shown(names)))
}

fn shown(names: Names) -> Value {
    let (mut folders, mut objects) = (Vec::new(), Vec::new());
    for name in names.shown {
        let named = json!({ "name": name.path, "key": name.path });
        let about = name.about.and_then(|about| serde_json::from_str(&about).ok());
        match (named, about) {
            (Value::Object(mut named), Some(Value::Object(about))) => {
                named.extend(about);
                objects.push(Value::Object(named));
            }
            (named, _) => folders.push(named),
        }
    }
    let mut page =
        json!({ "hasNext": names.next.is_some(), "folders": folders, "objects": objects });
    if let Some(next) = names.next {
        page["nextCursor"] = next.into();
    }
    page
}
