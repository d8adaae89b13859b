//! Tenants: made, listed, suspended, deleted.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::Operator;
use crate::{
    error::{Error, Fault},
    refusal::explain,
    row::Row,
    store::{Store, Tenant},
};

/// Rows deleted in one transaction.
const SWEEP_ROWS: usize = 5_000;

/// What a tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// Everything.
    Active,
    /// Nothing, until it is resumed.
    Suspended,
    /// Nothing ever again: its rows are being deleted.
    Deleting,
}

impl TenantState {
    /// `active`, `suspended` or `deleting`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }
}

/// What is known of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantInfo {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub state: TenantState,
    /// When it was made; RFC 3339 in UTC.
    pub created_at: String,
}

/// How far a deletion is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The entity whose rows went last.
    pub entity: String,
    /// Rows deleted by this call so far.
    pub rows: u64,
}

impl Operator {
    /// Makes a tenant.
    ///
    /// # Errors
    /// `TenantExists`; `Usage` for a name that is empty, long or has control characters.
    pub async fn create_tenant(&mut self, name: &str) -> Result<(), Error> {
        if name.is_empty()
            || name.len() > 200
            || name.chars().any(char::is_control)
            || name.trim() != name
        {
            return Err(Refusal::new(Code::Usage, "this cannot be a tenant's name")
                .hint("1 to 200 bytes without control characters and without spaces around")
                .into());
        }
        // Random, and not by time: a tenant's id must not say when it came.
        let id = Uuid::new_v4().to_string();
        let text = "insert into freehold.tenant (id, name) values ($1::text::uuid, $2) on conflict (name) do nothing returning name";
        match self.as_gate(text, &[Some(&id), Some(name)]).await?.first() {
            Some(_) => Ok(()),
            None => Err(Refusal::new(Code::TenantExists, "there is a tenant of this name")
                .detail(name)
                .into()),
        }
    }

    /// All tenants, by name.
    ///
    /// # Errors
    /// Faults only.
    pub async fn tenants(&mut self) -> Result<Vec<TenantInfo>, Error> {
        let text = "select name, state, to_char(created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from freehold.tenant order by name";
        let tenants = self.as_gate(text, &[]).await?.into_iter().map(|row| TenantInfo {
            name: row.text(0).unwrap_or_default().to_owned(),
            state: match row.text(1) {
                Some("active") => TenantState::Active,
                Some("suspended") => TenantState::Suspended,
                _ => TenantState::Deleting,
            },
            created_at: row.text(2).unwrap_or_default().to_owned(),
        });
        Ok(tenants.collect())
    }

    /// Every tenant that can be worked in.
    ///
    /// # Errors
    /// Faults only.
    pub async fn active_tenants(&mut self) -> Result<Vec<Tenant>, Error> {
        let text =
            "select id::text, name from freehold.tenant where state = 'active' order by name";
        let rows = self.as_gate(text, &[]).await?;
        let tenant =
            |row: &Row| Some(Tenant::new(row.text(0)?.parse().ok()?, row.text(1)?.to_owned()));
        Ok(rows.iter().filter_map(tenant).collect())
    }

    /// Lets the tenant begin no more transactions.
    ///
    /// # Errors
    /// `NoSuchTenant`, also for one that is being deleted.
    pub async fn suspend_tenant(&mut self, name: &str) -> Result<(), Error> {
        self.change_state(name, "suspended").await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// `NoSuchTenant`, also for one that is being deleted.
    pub async fn resume_tenant(&mut self, name: &str) -> Result<(), Error> {
        self.change_state(name, "active").await
    }

    async fn change_state(&mut self, name: &str, state: &str) -> Result<(), Error> {
        let text = "update freehold.tenant set state = $2 where name = $1 and state <> 'deleting' returning name";
        match self.as_gate(text, &[Some(name), Some(state)]).await?.first() {
            Some(_) => Ok(()),
            None => Err(missing(name).into()),
        }
    }

    /// Deletes a tenant with all its rows, some thousand at a time. Interrupted, it goes on when it is called again. Before the
    /// first row goes it is noted in the ledger of the keystore of `store`, so that a database that is restored from before
    /// does not have the tenant back.
    ///
    /// # Errors
    /// `NoSuchTenant`; `Usage` if the ledger cannot be written; whatever stops it leaves the tenant closed and the rest of its
    /// rows where they are.
    pub async fn delete_tenant_noted(
        &mut self,
        store: &Store,
        name: &str,
        progress: impl FnMut(&Swept),
    ) -> Result<(), Error> {
        let id = self.close_tenant(name).await?;
        let tenant = id.parse().map_err(|_| Fault::new("deleting a tenant", "no id"))?;
        store.note_tenant(tenant)?;
        self.sweep_tenant(&id, progress).await
    }

    /// The same in a database without a keystore, which has no ledger.
    ///
    /// # Errors
    /// As [`Self::delete_tenant_noted`]; `Usage` if there is a keystore.
    pub async fn delete_tenant(
        &mut self,
        name: &str,
        progress: impl FnMut(&Swept),
    ) -> Result<(), Error> {
        let text = "select epoch > 0 from freehold.keystore";
        let rows = self.as_gate(text, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) == Some(true) {
            return Err(Refusal::new(
                Code::Usage,
                "this database has a keystore, in whose ledger the tenant was not to be noted",
            )
            .into());
        }
        self.delete_unnoted(name, progress).await
    }

    /// The same of a tenant that nobody misses.
    pub(crate) async fn delete_unnoted(
        &mut self,
        name: &str,
        progress: impl FnMut(&Swept),
    ) -> Result<(), Error> {
        let id = self.close_tenant(name).await?;
        self.sweep_tenant(&id, progress).await
    }

    async fn close_tenant(&mut self, name: &str) -> Result<String, Error> {
        let text =
            "update freehold.tenant set state = 'deleting' where name = $1 returning id::text";
        let rows = self.as_gate(text, &[Some(name)]).await?;
        Ok(rows.first().and_then(|row| row.text(0)).ok_or_else(|| missing(name))?.to_owned())
    }

    async fn sweep_tenant(
        &mut self,
        id: &str,
        mut progress: impl FnMut(&Swept),
    ) -> Result<(), Error> {
        self.undo_moves(Some(id)).await?;
        self.sweep_read_models(id).await?;
        let mut total = 0;
        let mut left = self.entities().await?;
        while !left.is_empty() {
            let mut held = Vec::new();
            let before = total;
            for entity in left {
                loop {
                    match self.sweep(id, std::slice::from_ref(&entity), Some(SWEEP_ROWS)).await? {
                        Some(0) => break,
                        Some(rows) => {
                            total += rows;
                            progress(&Swept { entity: entity.clone(), rows: total });
                        }
                        None => {
                            held.push(entity);
                            break;
                        }
                    }
                }
            }
            // Rows that hold one another, in one table or in a circle of several, go in one statement.
            if total == before && !held.is_empty() {
                let rows = self.sweep(id, &held, None).await?;
                total += rows.ok_or_else(|| {
                    Fault::new("deleting a tenant", "its rows are held by others")
                })?;
                progress(&Swept { entity: held.join(", "), rows: total });
                held.clear();
            }
            left = held;
        }
        self.drop_partitions(id).await?;
        self.as_gate("delete from freehold.tenant where id = $1::text::uuid", &[Some(id)]).await?;
        Ok(())
    }

    // Made from other rows, so nobody counts theirs; and nobody but the workers' role may delete them.
    async fn sweep_read_models(&mut self, id: &str) -> Result<(), Error> {
        let doing = "deleting a tenant's read models";
        let text = "select string_agg(format('delete from %s', c.oid::regclass), '; ')::text from pg_class c \
                    where c.relnamespace = to_regnamespace('app') and c.relkind = 'p' and not c.relispartition \
                    and not has_table_privilege('freehold_app', c.oid, 'delete') and has_table_privilege('freehold_project', c.oid, 'delete')";
        let rows = self.session.select(doing, text, &[]).await?;
        let Some(deletions) = rows.first().and_then(|row| row.text(0)) else { return Ok(()) };
        let text = format!(
            "begin; set local role freehold_gate; select freehold.seal('{id}'); set local role freehold_project; {deletions}; commit"
        );
        let swept = self.session.batch(&text).await;
        if swept.is_err() {
            self.session.batch("rollback").await.map_err(|error| explain(doing, error))?;
        }
        swept.map_err(|error| explain(doing, error))
    }

    // In the tenant's own wall and with the application's rights. None if a reference holds the rows.
    async fn sweep(
        &mut self,
        id: &str,
        entities: &[String],
        limit: Option<usize>,
    ) -> Result<Option<u64>, Error> {
        let doing = "deleting a tenant's rows";
        // As a constant, or every tenant's partition is locked; which the references that are looked after would do as well.
        let theirs = format!("tenant_id = '{id}'::uuid");
        let ident = |name: &str| format!("app.\"{}\"", name.replace('"', "\"\""));
        let deletions: Vec<String> = entities
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let table = ident(name);
                let part = limit.map_or(String::new(), |limit| {
                    format!(
                        " and id = any (array(select id from {table} where {theirs} limit {limit}))"
                    )
                });
                format!("d{i} as (delete from {table} where {theirs}{part} returning 1)")
            })
            .collect();
        let counts: Vec<String> =
            (0..entities.len()).map(|i| format!("(select count(*) from d{i})")).collect();
        let text = format!("with {} select ({})::bigint", deletions.join(", "), counts.join(" + "));
        let swept = async {
            self.session
                .batch(&format!(
                    "begin; set local plan_cache_mode = force_custom_plan; set local role freehold_gate; select freehold.seal('{id}'); \
                     set local role freehold_app"
                ))
                .await?;
            let messages = self.session.simple(&text).await?;
            self.session.batch("commit").await?;
            Ok::<_, tokio_postgres::Error>(messages.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u64>().ok(),
                _ => None,
            }))
        };
        match swept.await {
            Ok(rows) => Ok(Some(rows.ok_or_else(|| Fault::new(doing, "no count"))?)),
            Err(error) => {
                let rolled_back = self.session.batch("rollback").await;
                match error.code().map(tokio_postgres::error::SqlState::code) {
                    Some("23503" | "23001") if rolled_back.is_ok() => Ok(None),
                    _ => Err(explain(doing, error)),
                }
            }
        }
    }

    async fn entities(&mut self) -> Result<Vec<String>, Error> {
        let text = "select relname::text from pg_class where relnamespace = to_regnamespace('app') and relkind in ('r', 'p') \
                    and not relispartition and has_table_privilege('freehold_app', oid, 'delete') order by relname";
        let rows = self.session.select("looking for a tenant's rows", text, &[]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect())
    }
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::new(Code::NoSuchTenant, "there is no such tenant")
        .detail(name)
        .hint("`freehold tenant list` shows them")
}
