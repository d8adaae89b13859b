//! Copies of sealed vectors in which these are searched: whose parts of them are to be filled.

use super::{Store, Tenant, tenant_in};
use crate::{
    error::{Error, Fault},
    param::list,
    row::Row,
};

/// A tenant's part of a copy that is not known to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyDue {
    /// Whose.
    pub tenant: Tenant,
    /// The copy's table.
    pub copy: String,
    /// How many vectors whoever is filling it has copied; none if nobody is.
    pub done: Option<u64>,
    /// Whether they have said so lately.
    pub busy: bool,
}

/// The notes for which a tenant's part of a copy is being filled.
#[derive(Debug, Clone)]
pub struct CopyNotes {
    own: String,
    all: Vec<String>,
}

impl Store {
    /// Which tenants' parts of these copies are not known to be whole. A copy is the name of its table, without schema.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copies_due(&self, copies: &[String]) -> Result<Vec<CopyDue>, Error> {
        if copies.is_empty() {
            return Ok(Vec::new());
        }
        let doing = "looking for copies to fill";
        let text = "select id, name, copy, done, busy from freehold.copies_due($1::text::text[])";
        let names = list(copies.iter().map(String::as_str));
        let rows = self.ask(doing, text, &[Some(&names)]).await?;
        let due = |row: &Row| {
            Some(CopyDue {
                tenant: tenant_in(row)?,
                copy: row.text(2)?.to_owned(),
                done: row.int(3).and_then(|done| u64::try_from(done).ok()),
                busy: row.bool(4) == Some(true),
            })
        };
        let due = rows.iter().map(due).collect::<Option<_>>();
        due.ok_or_else(|| Fault::new(doing, "a row without its fields").into())
    }

    /// Notes that a tenant's part of a copy is being filled, before rows that lack one are looked for. None if there is no
    /// such copy or tenant any more.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copy_begin(
        &self,
        tenant: &Tenant,
        copy: &str,
    ) -> Result<Option<CopyNotes>, Error> {
        let text = "select xact from freehold.copy_begin($1::text::uuid, $2)";
        let id = tenant.id().to_string();
        let rows = self.ask("beginning a copy", text, &[Some(&id), Some(copy)]).await?;
        let all: Vec<String> =
            rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect();
        Ok(all.first().cloned().map(|own| CopyNotes { own, all }))
    }

    /// Says how far it is.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copy_progress(
        &self,
        tenant: &Tenant,
        copy: &str,
        notes: &CopyNotes,
        done: u64,
    ) -> Result<(), Error> {
        let text = "select freehold.copy_progress($1::text::uuid, $2, $3, $4::text::bigint)";
        let (id, done) = (tenant.id().to_string(), done.to_string());
        let params = [Some(&*id), Some(copy), Some(&*notes.own), Some(&*done)];
        self.ask("filling a copy", text, &params).await.map(drop)
    }

    /// Notes that it is whole, as far as these notes know. False if it was emptied meanwhile.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copy_end(
        &self,
        tenant: &Tenant,
        copy: &str,
        notes: &CopyNotes,
    ) -> Result<bool, Error> {
        let text = "select freehold.copy_end($1::text::uuid, $2, $3, $4::text::text[])";
        let all = list(notes.all.iter().map(String::as_str));
        let id = tenant.id().to_string();
        let params = [Some(&*id), Some(copy), Some(&*notes.own), Some(&*all)];
        let rows = self.ask("ending a copy", text, &params).await?;
        Ok(rows.first().and_then(|row| row.bool(0)) == Some(true))
    }
}
