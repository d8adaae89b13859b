//! What the workers have to do: vectors that are still to be made.

use super::{Store, Tenant, tenant_in};
use crate::error::{Error, Fault};

/// Vectors of a tenant that are still to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub tenant: Tenant,
    /// Of which entity.
    pub entity: String,
    /// Which vector field.
    pub field: String,
}

/// Notes of what is due, as they were at one moment.
#[derive(Debug, Clone, Default)]
pub struct DueNotes(Vec<String>);

impl Store {
    /// What the worker has to do, the oldest first.
    ///
    /// # Errors
    /// Faults only.
    pub async fn due(&self) -> Result<Vec<Due>, Error> {
        let doing = "looking for embeddings to make";
        let rows =
            self.ask(doing, "select id, name, entity, field from freehold.due()", &[]).await?;
        let due = rows.iter().map(|row| {
            Some(Due {
                tenant: tenant_in(row)?,
                entity: row.text(2)?.to_owned(),
                field: row.text(3)?.to_owned(),
            })
        });
        due.collect::<Option<_>>()
            .ok_or_else(|| Fault::new(doing, "a row without its fields").into())
    }

    /// The notes that something is due for this vector field, before its rows are looked for.
    ///
    /// # Errors
    /// Faults only.
    pub async fn due_notes(&self, due: &Due) -> Result<DueNotes, Error> {
        let text = "select xact::text from freehold.embedding_due where entity = $1 and field = $2";
        let mut tx = self.begin(&due.tenant).await?;
        let rows =
            tx.ask("reading what is due", text, &[Some(&due.entity), Some(&due.field)]).await?;
        tx.commit().await?;
        Ok(DueNotes(rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect()))
    }

    /// Takes notes away, once what they ask for is done. Those that were made since stay.
    ///
    /// # Errors
    /// Faults only.
    pub async fn clear_due(&self, due: &Due, notes: &DueNotes) -> Result<(), Error> {
        let text = "delete from freehold.embedding_due where entity = $1 and field = $2 and xact = any ($3::text::xid8[])";
        let notes = format!("{{{}}}", notes.0.join(","));
        let mut tx = self.begin(&due.tenant).await?;
        tx.ask("clearing what was due", text, &[Some(&due.entity), Some(&due.field), Some(&notes)])
            .await?;
        tx.commit().await
    }
}
