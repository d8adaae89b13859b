//! Tables for a server that has no tenants.

use super::{DOING, Yardstick};
use crate::{error::Error, refusal::explain};

impl Yardstick {
    /// Makes the schema `peer` with the tenant's `item` and `remark` as tables of nobody: no tenant, no wall, no log, the same
    /// rows. Gives the user that may read and write them.
    ///
    /// # Errors
    /// Faults only.
    pub async fn fill_peer(&mut self) -> Result<String, Error> {
        let tenant = self.tenant.id();
        let text = format!(
            "create schema peer; \
             create table peer.item (id uuid primary key default gen_random_uuid(), label text not null, amount integer not null, \
               at timestamptz not null default now()); \
             create table peer.remark (id uuid primary key default gen_random_uuid(), \
               item uuid not null references peer.item on delete cascade, text text not null); \
             insert into peer.item select id, label, amount, at from app.item where tenant_id = '{tenant}'; \
             insert into peer.remark select id, item, text from app.remark where tenant_id = '{tenant}'; \
             create index on peer.remark (item)"
        );
        for text in [text.as_str(), "vacuum analyze peer.item", "vacuum analyze peer.remark"] {
            self.plain.batch(text).await.map_err(|error| explain(DOING, error))?;
        }
        let rows = self.plain.select(DOING, "select current_user::text", &[]).await?;
        Ok(rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned())
    }
}
