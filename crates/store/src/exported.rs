//! What left the house about one person, as it is registered: begun before the first byte, ended after the last.

use aws_lc_rs::digest;
use uuid::Uuid;

use crate::{
    error::{Error, Fault},
    key::hex,
    param::list,
    row::Row,
    store::{Store, Tenant},
};

/// An export of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The tenant's name.
    pub tenant: String,
    /// The entity whose rows are people.
    pub entity: String,
    /// Stands for the person, as in receipts.
    pub person: String,
    /// The public keys that it is encrypted to; none if it is in the open.
    pub recipients: Vec<String>,
    /// RFC 3339 in UTC.
    pub begun_at: String,
    /// When all of it was there.
    pub ended_at: Option<String>,
    /// Rows.
    pub rows: Option<i64>,
    /// Files.
    pub files: Option<i64>,
    /// SHA-256 of its manifest in hexadecimal digits, if it has one of its own.
    pub sha256: Option<String>,
}

/// SHA-256 of what comes bit by bit.
pub struct Sum(digest::Context);

impl Default for Sum {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sum {
    /// Takes some more.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

impl Store {
    /// Registers that an export is about to be made; says when.
    ///
    /// # Errors
    /// Faults only.
    pub async fn begin_export(
        &self,
        id: Uuid,
        (tenant, entity, person): (&Tenant, &str, Uuid),
        recipients: &[String],
    ) -> Result<String, Error> {
        let doing = "registering an export";
        let text = "select freehold.export_begin($1::text::uuid, $2::text::uuid, $3, $4, $5::text::text[])";
        let (id, of) = (id.to_string(), tenant.id().to_string());
        let person = self.person_ref(tenant.id(), person);
        let recipients = list(recipients.iter().map(String::as_str));
        let params = [Some(&*id), Some(&*of), Some(entity), Some(&*person), Some(&*recipients)];
        let rows = self.ask(doing, text, &params).await?;
        let begun = rows.first().and_then(|row| row.text(0)).map(str::to_owned);
        begun.ok_or_else(|| Fault::new(doing, "the tenant is gone").into())
    }

    /// Registers that all of it is there.
    ///
    /// # Errors
    /// Faults only.
    pub async fn end_export(
        &self,
        id: Uuid,
        (rows, files): (u64, u64),
        sha256: Option<&str>,
    ) -> Result<(), Error> {
        let text =
            "select freehold.export_end($1::text::uuid, $2::text::bigint, $3::text::bigint, $4)";
        let (id, rows, files) = (id.to_string(), rows.to_string(), files.to_string());
        let params = [Some(&*id), Some(&*rows), Some(&*files), sha256];
        self.ask("registering an export", text, &params).await.map(drop)
    }

    /// Exports of people in the last `days`, the newest first.
    ///
    /// # Errors
    /// Faults only.
    pub async fn exports_since(&self, days: u32, most: u32) -> Result<Vec<Exported>, Error> {
        let text = "select tenant, entity, person, recipients, begun_at, ended_at, rows, files, sha256 \
                    from freehold.exports_since($1::text::integer, $2::text::bigint)";
        let params = [Some(&*days.to_string()), Some(&*most.to_string())];
        let rows = self.ask("listing exports", text, &params).await?;
        let word = |row: &Row, at: usize| row.text(at).unwrap_or_default().to_owned();
        let one = |row: &Row| Exported {
            tenant: word(row, 0),
            entity: word(row, 1),
            person: word(row, 2),
            recipients: word(row, 3).split_whitespace().map(str::to_owned).collect(),
            begun_at: word(row, 4),
            ended_at: row.text(5).map(str::to_owned),
            rows: row.int(6),
            files: row.int(7),
            sha256: row.text(8).map(str::to_owned),
        };
        Ok(rows.iter().map(one).collect())
    }
}
