//! How far files were loaded.

use crate::{
    error::{Error, Fault},
    store::{Store, Tenant},
    tx::TenantTx,
};

/// How far a file was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportMark {
    /// Rows of the file that are behind.
    pub rows: u64,
    /// Digest of those rows, to see whether they are still the same.
    pub digest: u64,
}

impl Store {
    /// How far this file was loaded into this entity; nothing if it was not, or wholly.
    ///
    /// # Errors
    /// Faults only.
    pub async fn import_mark(
        &self,
        tenant: &Tenant,
        entity: &str,
        source: &str,
    ) -> Result<ImportMark, Error> {
        let doing = "looking how far the file was loaded";
        let text =
            "select rows, digest from freehold.import_mark where entity = $1 and source = $2";
        let mut tx = self.begin(tenant).await?;
        let rows = tx.ask(doing, text, &[Some(entity), Some(source)]).await?;
        tx.commit().await?;
        let Some(row) = rows.first() else { return Ok(ImportMark::default()) };
        let mark = row.int(0).and_then(|rows| u64::try_from(rows).ok()).zip(row.int(1));
        let (rows, digest) = mark.ok_or_else(|| Fault::new(doing, "a mark without its fields"))?;
        Ok(ImportMark { rows, digest: digest.cast_unsigned() })
    }

    /// Forgets how far it was loaded: all of it is, or it is to be loaded again.
    ///
    /// # Errors
    /// Faults only.
    pub async fn forget_import(
        &self,
        tenant: &Tenant,
        entity: &str,
        source: &str,
    ) -> Result<(), Error> {
        let text = "delete from freehold.import_mark where entity = $1 and source = $2";
        let mut tx = self.begin(tenant).await?;
        tx.ask("forgetting how far the file was loaded", text, &[Some(entity), Some(source)])
            .await?;
        tx.commit().await
    }
}

impl TenantTx {
    /// Notes how far a file is loaded, together with the rows themselves.
    ///
    /// # Errors
    /// Faults only.
    pub async fn mark_import(
        &mut self,
        entity: &str,
        source: &str,
        mark: ImportMark,
    ) -> Result<(), Error> {
        let text = "insert into freehold.import_mark (entity, source, rows, digest) values ($1, $2, $3::text::bigint, $4::text::bigint) \
                    on conflict (tenant_id, entity, source) do update set rows = excluded.rows, digest = excluded.digest, touched_at = now()";
        let (rows, digest) = (mark.rows.to_string(), mark.digest.cast_signed().to_string());
        let params = [Some(entity), Some(source), Some(rows.as_str()), Some(digest.as_str())];
        self.ask("noting how far the file is loaded", text, &params).await.map(drop)
    }
}
