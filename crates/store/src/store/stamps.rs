//! Stamps: whether what was read a while ago is still what PostgreSQL would say.

use aws_lc_rs::digest;
use uuid::Uuid;

use super::{Store, Tenant};
use crate::{
    changes::Position,
    error::{Error, Fault},
    key::{hex, unhex},
    row::Row,
};

/// What a snapshot sees of some tables of one tenant: two with the same stamp see the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub [u8; 16]);

/// How late a snapshot is. Of one server's snapshots the later sees all that the earlier sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// All transactions before this one have ended in it.
    settled: u64,
    /// So many have.
    ended: u64,
}

impl Moment {
    /// Whether a snapshot of this moment certainly shows what the position stands for.
    #[must_use]
    pub fn shows(&self, position: Position) -> bool {
        match position.read() {
            Some(ended) => self.ended >= ended,
            None => self.settled > position.transaction(),
        }
    }

    pub(crate) fn ended(self) -> u64 {
        self.ended
    }

    /// The later of the two.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if other.ended > self.ended { other } else { self }
    }
}

/// Whose tables are asked about, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    tenant: Uuid,
    principal: Uuid,
    role: i16,
    tables: String,
}

impl Question {
    /// About these tables of the tenant.
    #[must_use]
    pub fn new(tenant: &Tenant, tables: &[String]) -> Self {
        let role = tenant.role().number();
        Self { tenant: tenant.id(), principal: tenant.key(), role, tables: tables.join(",") }
    }
}

/// What is so now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// Whether the tenant may be worked in, and the key by which it was found still counts.
    pub allowed: bool,
    /// The stamp; none while the database has no epoch, for a moment after it began to run.
    pub stamp: Option<Stamp>,
    /// How late this is.
    pub moment: Moment,
}

impl Store {
    /// The stamp in the last column of a row that a statement of [`freehold_model::query::Query::stamped`] answered, and the
    /// moment of its snapshot.
    #[must_use]
    pub fn stamp_in(&self, row: &Row, column: usize) -> Option<(Stamp, Moment)> {
        let bytes = unhex(row.text(column)?)?;
        let (once, rest) = bytes.split_first_chunk::<16>()?;
        let (settled, rest) = rest.split_first_chunk::<8>()?;
        let (ended, stamp) = rest.split_first_chunk::<8>()?;
        let mask = self.0.minter.mask(b"stamp", once);
        let unmasked = |masked: &[u8; 8], at: usize| {
            let mask: [u8; 8] = mask.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_be_bytes(*masked) ^ u64::from_be_bytes(mask))
        };
        let moment = Moment { settled: unmasked(settled, 0)?, ended: unmasked(ended, 8)? };
        Some((Stamp(stamp.try_into().ok()?), moment))
    }

    /// What is so now, for all questions in one snapshot that begins after the call: in their order.
    ///
    /// # Errors
    /// A fault of the database, or while its wall is broken.
    pub async fn stamps(&self, questions: &[Question]) -> Result<Vec<Current>, Error> {
        let doing = "comparing stamps";
        self.demand_whole_wall()?;
        let list = |each: &dyn Fn(&Question) -> String| {
            let all: Vec<String> = questions.iter().map(each).collect();
            crate::param::list(all.iter().map(String::as_str))
        };
        let params = [
            list(&|question| question.tenant.to_string()),
            list(&|question| question.principal.to_string()),
            list(&|question| question.role.to_string()),
            list(&|question| question.tables.clone()),
        ];
        let params: Vec<Option<&str>> = params.iter().map(|param| Some(param.as_str())).collect();
        let text = "select allowed, stamp, settled, ended from freehold.stamps($1::text::uuid[], $2::text::uuid[], $3::text::smallint[], $4::text::text[])";
        let rows = self.ask(doing, text, &params).await?;
        if rows.len() != questions.len() {
            return Err(Fault::new(doing, "another number of answers than of questions").into());
        }
        Ok(rows.iter().map(current).collect())
    }

    /// Lets stamps be made where the database has just begun to run, and takes notes away that are needed no more.
    ///
    /// # Errors
    /// Faults only.
    pub async fn tend_versions(&self) -> Result<(), Error> {
        self.ask("tending versions", "select freehold.tend_versions()", &[]).await.map(drop)
    }

    /// The token for who has read at this moment: what is read with it is not older.
    ///
    /// # Errors
    /// Faults only.
    pub async fn position_at(&self, moment: Moment) -> Result<Position, Error> {
        Ok(Position::of_read(self.cluster().await?, moment.ended()))
    }
}

/// What a kept answer is called where it is kept, from what was asked and in which manner.
#[must_use]
pub fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut whole = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(part);
    }
    let mut name = [0; 32];
    name.copy_from_slice(digest::digest(&digest::SHA256, &whole).as_ref());
    name
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn current(row: &Row) -> Current {
    let number = |at| row.int(at).and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    Current {
        allowed: row.bool(0) == Some(true),
        stamp: row.text(1).and_then(unhex).and_then(|stamp| Some(Stamp(stamp.try_into().ok()?))),
        moment: Moment { settled: number(2), ended: number(3) },
    }
}
