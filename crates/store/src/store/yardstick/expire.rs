//! Rows of another day, past the wall, and what is written of them in the WAL.

use super::{DOING, Yardstick};
use crate::error::{Error, Fault};

impl Yardstick {
    /// Fills the table `app.ENTITY`, with the columns `kind`, `note` and `at`, with so many rows for each tenant that were made
    /// on this day, such as `2026-01-31`, and leaves nothing to vacuum.
    ///
    /// # Errors
    /// Faults only.
    pub async fn fill_day(&mut self, entity: &str, day: &str, rows: u32) -> Result<(), Error> {
        self.operate(&format!(
            "insert into app.{entity} (tenant_id, id, kind, note, at) \
             select t.id, overlay(gen_random_uuid()::text placing left(m, 8) || '-' || right(m, 4) || '-7' from 1 for 15)::uuid, i % 1000, \
               left(repeat(md5(i::text), 4), 110), s.at \
             from freehold.tenant t cross join generate_series(1, {rows}) i \
               cross join lateral (select '{day}'::timestamp at time zone 'UTC' + i * interval '86000 seconds' / {rows} as at) s \
               cross join lateral lpad(to_hex(floor(extract(epoch from s.at) * 1000)::bigint), 12, '0') m"
        ))
        .await?;
        self.operate(&format!("vacuum app.{entity}")).await?;
        self.operate("checkpoint").await
    }

    /// Gives back what deleted rows of a table of ours take.
    ///
    /// # Errors
    /// Faults only.
    pub async fn vacuum(&mut self, entity: &str) -> Result<(), Error> {
        self.operate(&format!("vacuum app.{entity}")).await
    }

    /// Bytes of WAL that the server has written so far.
    ///
    /// # Errors
    /// Faults only.
    pub async fn wal_bytes(&mut self) -> Result<u64, Error> {
        let text = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        let rows = self.plain.select(DOING, text, &[]).await?;
        let bytes = rows.first().and_then(|row| u64::try_from(row.int(0)?).ok());
        Ok(bytes.ok_or_else(|| Fault::new(DOING, "no position in the WAL"))?)
    }
}
