//! What the change log says of rows that changed.

use freehold_model::Name;

use super::{due::count, step::present};
use crate::{
    error::{Error, Fault},
    row::Row,
};

/// Images of changed rows of one entity, as texts: for each link a list, all of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// One list for each link that was asked for, in that order.
    pub links: Vec<Vec<Option<String>>>,
}

impl Images {
    /// Those of changes of one entity.
    ///
    /// # Errors
    /// A fault if changes were noted without one of `links`.
    pub fn of(changes: Vec<Change>, links: &[Name]) -> Result<Self, Error> {
        let mut images = Self { count: 0, links: vec![Vec::new(); links.len()] };
        for mut change in changes {
            images.count += change.images.first().map_or(0, Vec::len);
            for (link, all) in links.iter().zip(&mut images.links) {
                let at = change.fields.iter().position(|field| **field == **link);
                let at = at.ok_or_else(|| {
                    let what = format!("{} was noted without {}", change.entity, &**link);
                    Fault::new("reading changes", what)
                })?;
                all.append(&mut change.images[at]);
            }
        }
        Ok(images)
    }
}

/// A row of the change log: what one statement did to one entity of the tenant, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Grows with the order in which changes depend on one another.
    pub number: i64,
    /// Of which entity.
    pub entity: String,
    /// `i` for insert, `u` for update, `d` for delete.
    pub kind: char,
    /// The fields that `images` have.
    pub fields: Vec<String>,
    /// The values of each field in all images; for an update the old rows' and the new rows'.
    pub images: Vec<Vec<Option<String>>>,
}

/// Changes whose fields begin at column `at` of the rows, with the number of images of each.
pub(super) fn changes<'a, C: FromIterator<(u64, Change)>>(
    rows: impl Iterator<Item = &'a Row>,
    at: usize,
) -> Option<C> {
    rows.map(|row| Some((count(row, at + 3), change(row, at)?))).collect()
}

fn change(row: &Row, at: usize) -> Option<Change> {
    let fields = present(row.texts(at + 4)?);
    let mut links = row.texts(at + 5)?.into_iter();
    let each = usize::try_from(row.int(at + 3)?).ok()?;
    let images: Vec<Vec<_>> = fields.iter().map(|_| links.by_ref().take(each).collect()).collect();
    let whole = images.iter().all(|image| image.len() == each) && links.next().is_none();
    whole.then_some(Change {
        number: row.int(at)?,
        entity: row.text(at + 1)?.to_owned(),
        kind: row.text(at + 2)?.chars().next()?,
        fields,
        images,
    })
}
