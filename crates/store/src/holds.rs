//! Legal holds: what destroys passes one gate, and whom a hold keeps does not get through.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{
    error::{Error, Fault},
    row::Row,
    store::{Store, Tenant},
};

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// The tenant's name.
    pub tenant: String,
    /// The person's id; none if all of the tenant is held.
    pub person: Option<String>,
    /// Why.
    pub reason: String,
    /// When it was placed.
    pub placed_at: String,
    /// When it ends by itself.
    pub until: Option<String>,
    /// When it was released.
    pub released_at: Option<String>,
    /// Whether it keeps anything now.
    pub in_force: bool,
}

impl Store {
    /// The people whom legal holds keep; `None` among them is all of the tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn held(&self, tenant: &Tenant) -> Result<Vec<Option<String>>, Error> {
        let text = "select subject from freehold.held($1::text::uuid)";
        let rows = self.ask("asking for holds", text, &[Some(&tenant.id().to_string())]).await?;
        Ok(rows.iter().map(|row| row.text(0).map(str::to_owned)).collect())
    }

    /// Places a legal hold on a person, or on all of a tenant; until a time as PostgreSQL reads it, or until it is released.
    ///
    /// # Errors
    /// `InvalidTime`.
    pub async fn place_hold(
        &self,
        tenant: &Tenant,
        person: Option<Uuid>,
        reason: &str,
        until: Option<&str>,
    ) -> Result<String, Error> {
        let doing = "placing a hold";
        let text =
            "select freehold.hold_place($1::text::uuid, $2::text::uuid, $3, $4::text::timestamptz)";
        let (id, person) = (tenant.id().to_string(), person.map(|person| person.to_string()));
        let rows =
            self.ask(doing, text, &[Some(&id), person.as_deref(), Some(reason), until]).await?;
        let id = rows.first().and_then(|row| row.text(0)).map(str::to_owned);
        id.ok_or_else(|| Fault::new(doing, "no answer").into())
    }

    /// Releases a hold. Erasures that it held up go on.
    ///
    /// # Errors
    /// `Usage` if there is none, or it was released before.
    pub async fn release_hold(&self, id: Uuid) -> Result<(), Error> {
        let text = "select freehold.hold_release($1::text::uuid)";
        let rows = self.ask("releasing a hold", text, &[Some(&id.to_string())]).await?;
        match rows.first().and_then(|row| row.bool(0)) {
            Some(true) => Ok(()),
            _ => Err(Refusal::new(Code::Usage, "there is no such hold, or it was released before")
                .hint("`freehold hold list` shows them")
                .into()),
        }
    }

    /// All holds, of a tenant or of all, the released included.
    ///
    /// # Errors
    /// Faults only.
    pub async fn holds(&self, tenant: Option<&Tenant>) -> Result<Vec<Hold>, Error> {
        let text = "select id, tenant, subject, reason, placed_at, until, released_at, in_force from freehold.holds($1::text::uuid)";
        let id = tenant.map(|tenant| tenant.id().to_string());
        let rows = self.ask("listing holds", text, &[id.as_deref()]).await?;
        let one = |row: &Row| Hold {
            id: word(row, 0),
            tenant: word(row, 1),
            person: row.text(2).map(str::to_owned),
            reason: word(row, 3),
            placed_at: word(row, 4),
            until: row.text(5).map(str::to_owned),
            released_at: row.text(6).map(str::to_owned),
            in_force: row.bool(7) == Some(true),
        };
        Ok(rows.iter().map(one).collect())
    }
}

fn word(row: &Row, at: usize) -> String {
    row.text(at).unwrap_or_default().to_owned()
}
