//! Receipts of slices that were dropped. Whoever drops one leaves a note in the same transaction; whoever has the key that signs
//! receipts writes them, here.

use crate::{erasure::Receipt, error::Error, store::Store};

const DOING: &str = "writing a receipt";

/// Notes asked for at once.
const SOME: &str = "100";

impl Store {
    /// Writes a receipt for each slice that was dropped and has none; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn receipt_slices(&self) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let text = "select id, about from freehold.slices_gone($1::text::bigint)";
            let gone = self.ask(DOING, text, &[Some(SOME)]).await?;
            if gone.is_empty() {
                return Ok(written);
            }
            for row in &gone {
                let about = row.text(1).unwrap_or("{}");
                let body = |number: i64, before: &str| {
                    format!(
                        "{{\"receipt\":{number},\"slice\":{about},\"method\":\"partition dropped with its indexes\",\
                         \"residual\":[\"bytes of files that were removed, until they are written over\",\"rows in backups and WAL from before, until those expire\"],\
                         \"before\":\"{before}\"}}"
                    )
                };
                let receipt = self.next_receipt(&body).await?;
                let text = "select freehold.slice_receipted($1::text::bigint, $2::text::bigint, $3, $4, $5)";
                let (id, number) =
                    (row.int(0).unwrap_or_default().to_string(), receipt.number.to_string());
                let Receipt { body, hash, signature, .. } = &receipt;
                let params = [Some(&*id), Some(&*number), Some(body), Some(hash), Some(signature)];
                let took = self.ask(DOING, text, &params).await?;
                // Else another took the number, or wrote this one; what is left is asked for again.
                if took.first().and_then(|row| row.bool(0)) == Some(true) {
                    self.keep_receipt(&receipt);
                    written += 1;
                }
            }
        }
    }
}
