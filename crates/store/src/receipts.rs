//! Receipts of what expired. Whoever removes something leaves a note in the same transaction: of a slice that is dropped, of rows that
//! are removed. Whoever has the key that signs receipts writes them, here: one for each slice, and one for what a rule removed of a
//! tenant in a day.

use freehold_model::{Code, Refusal};

use crate::{
    erasure::Receipt,
    error::Error,
    row::Row,
    store::{Store, Tenant},
};

const DOING: &str = "writing a receipt";

/// Notes, and days of rules, asked for at once.
const SOME: usize = 100;

const SLICE: &str = "\"method\":\"partition dropped with its indexes\",\
    \"residual\":[\"bytes of files that were removed, until they are written over\",\"rows in backups and WAL from before, until those expire\"]";

const ROWS: &str = "\"method\":\"row by row\",\
    \"not_counted\":\"rows that went with them by a reference\",\
    \"residual\":[\"bytes of what was removed in files and WAL, until they are written over\",\"rows as they were in backups and WAL from before, until those expire\"]";

impl Store {
    /// Writes a receipt for each slice that was dropped and has none; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn receipt_slices(&self) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let text = "select id, about from freehold.slices_gone($1::text::bigint)";
            let gone = self.ask(DOING, text, &[Some(&SOME.to_string())]).await?;
            if gone.is_empty() {
                return Ok(written);
            }
            for row in &gone {
                let about = row.text(1).unwrap_or("{}");
                let body = |number: i64, before: &str| {
                    format!(
                        "{{\"receipt\":{number},\"slice\":{about},{SLICE},\"before\":\"{before}\"}}"
                    )
                };
                let receipt = self.next_receipt(&body).await?;
                let text = "select freehold.slice_receipted($1::text::bigint, $2::text::bigint, $3, $4, $5)";
                let (id, number) =
                    (row.int(0).unwrap_or_default().to_string(), receipt.number.to_string());
                let Receipt { body, hash, signature, .. } = &receipt;
                let params = [Some(&*id), Some(&*number), Some(body), Some(hash), Some(signature)];
                written += usize::from(self.written(&receipt, text, &params).await?);
            }
        }
    }

    /// Writes a receipt for what each rule removed row by row of a tenant in a day that is over, by UTC; with `today` also for
    /// what was removed so far. Says how many.
    ///
    /// # Errors
    /// Faults only; what is left is owed still.
    pub async fn receipt_rows(&self, today: bool) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let gone = self.rows_unreceipted(today).await?;
            let before = written;
            for row in &gone {
                let [notes, tenant, about] = [0, 1, 2].map(|at| row.text(at).unwrap_or_default());
                let body = |number: i64, before: &str| {
                    format!(
                        "{{\"receipt\":{number},\"tenant\":\"{tenant}\",\"expired\":{about},{ROWS},\"before\":\"{before}\"}}"
                    )
                };
                let receipt = self.next_receipt(&body).await?;
                let text = "select freehold.rows_receipted($1::text::bigint[], $2::text::uuid, $3::text::bigint, $4, $5, $6)";
                let number = receipt.number.to_string();
                let Receipt { body, hash, signature, .. } = &receipt;
                let params = [
                    Some(notes),
                    Some(tenant),
                    Some(&*number),
                    Some(body),
                    Some(hash),
                    Some(signature),
                ];
                written += usize::from(self.written(&receipt, text, &params).await?);
            }
            // What is removed meanwhile is for the next time: who removes all the time would keep this from ending.
            if gone.len() < SOME && written - before == gone.len() {
                return Ok(written);
            }
        }
    }

    /// How many rows were removed row by row and are in no receipt yet: in days that are over, by UTC, which are none where workers
    /// come by; with `today` also those of this day.
    ///
    /// # Errors
    /// Faults only.
    pub async fn rows_without_receipt(&self, today: bool) -> Result<u64, Error> {
        let text = "select coalesce(sum(rows), 0)::bigint from freehold.rows_unreceipted($1::text::boolean, null)";
        let doing = "counting what has no receipt";
        let rows = self.ask(doing, text, &[Some(word(today))]).await?;
        let rows = rows.first().and_then(|row| row.int(0));
        Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }

    /// The word by which a statement of expiry or of an erasure may note what it removes of this tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn removal_permit(&self, tenant: &Tenant) -> Result<String, Error> {
        let doing = "asking for a permit to remove";
        let id = tenant.id().to_string();
        let text = "select freehold.removal_permit($1::text::uuid)";
        let rows = self.ask(doing, text, &[Some(&id)]).await?;
        let permit = rows.first().and_then(|row| row.text(0));
        let gone = || Refusal::new(Code::NoSuchTenant, "the tenant is gone");
        Ok(permit.ok_or_else(gone)?.to_owned())
    }

    async fn rows_unreceipted(&self, today: bool) -> Result<Vec<Row>, Error> {
        let text = "select notes, tenant, about from freehold.rows_unreceipted($1::text::boolean, $2::text::bigint)";
        self.ask(DOING, text, &[Some(word(today)), Some(&SOME.to_string())]).await
    }

    /// Whether the receipt was written. Else another took its number, or wrote one of the same; what is left is asked for again.
    async fn written(
        &self,
        receipt: &Receipt,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<bool, Error> {
        let took = self.ask(DOING, text, params).await?;
        let written = took.first().and_then(|row| row.bool(0)) == Some(true);
        if written {
            self.keep_receipt(receipt);
        }
        Ok(written)
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}
