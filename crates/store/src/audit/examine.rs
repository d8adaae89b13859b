//! An audit: all checks in one look at the catalogue.

use freehold_model::{
    Code, Model, ReadModel, Refusal,
    ddl::copy_name,
    declare,
    entity::{Entity, Field},
};
use tokio_postgres::SimpleQueryMessage;

use super::{Check, Facts, Finding, OnManaged, Profile, Report, Residual, Unchecked, checks};
use crate::{
    error::{Error, Fault},
    operator::Operator,
    platform::Mode,
    refusal::explain,
};

const DOING: &str = "auditing";

const FINGERPRINT: &str = include_str!("fingerprint.sql");

const ABOUT: &str = "select current_setting('server_version'), current_database(), p.version::text, p.mode, p.locked::text, \
    coalesce(m.version, 0)::text, coalesce(m.text, '') \
    from (select * from freehold.platform_version order by version desc limit 1) p \
    left join (select * from freehold.model_version order by version desc limit 1) m on true";

/// Vectors of personal data that are kept in the open, and why.
fn open_vectors(model: &Model) -> Vec<(String, String)> {
    let of = |entity: &Entity| -> Vec<(String, String)> {
        let place = |field: &Field| {
            Some((format!("{}.{}", entity.name, field.name), field.open_why()?.to_owned()))
        };
        entity.fields.iter().filter_map(place).collect()
    };
    model.entities().iter().flat_map(of).collect()
}

/// The tables in which sealed vectors are searched.
fn copies(model: &Model) -> Vec<String> {
    let of = |entity: &Entity| -> Vec<String> {
        entity.copied_fields().map(|field| copy_name(&entity.name, &field.name)).collect()
    };
    model.entities().iter().flat_map(of).collect()
}

impl Operator {
    /// Looks for everything that can be wrong with the wall, in one read-only transaction that sees one moment. Without
    /// `profile` a superuser's is self-hosted, as is one whose catalogue is locked down.
    ///
    /// # Errors
    /// `Server` if Freehold is not set up or this user is not its operator; faults.
    pub async fn audit(&mut self, profile: Option<Profile>) -> Result<Report, Error> {
        if !self.is_set_up().await? {
            return Err(Refusal::new(Code::Server, "Freehold is not set up in this database")
                .hint("freehold apply sets it up")
                .into());
        }
        self.in_one_look(async |operator, superuser| operator.report(profile, superuser).await)
            .await
    }

    /// SHA-256 over everything in the catalogue that the wall is made of, as hexadecimal digits: two databases with the same
    /// platform, model and rights have the same, whoever their tenants are.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub async fn fingerprint(&mut self) -> Result<String, Error> {
        self.in_one_look(async |operator, _| operator.take_fingerprint().await).await
    }

    async fn in_one_look<T>(
        &mut self,
        look: impl AsyncFnOnce(&mut Self, bool) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let text = "select rolsuper from pg_roles where rolname = current_user";
        let rows = self.session.select(DOING, text, &[]).await?;
        let superuser = rows.first().and_then(|row| row.bool(0)) == Some(true);
        // A superuser sees more than the gate; any other operator less.
        let begin = if superuser { "" } else { "; set local role freehold_gate" };
        let begin = format!("begin isolation level repeatable read, read only{begin}");
        let looked = match self.session.batch(&begin).await {
            Ok(()) => look(self, superuser).await,
            Err(error) if error.code().is_some_and(|state| state.code() == "42501") => {
                Err(Refusal::new(Code::Server, "this user is not an operator of Freehold")
                    .hint("use the user that set it up, or a superuser")
                    .into())
            }
            Err(error) => Err(explain(DOING, error)),
        };
        self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
        looked
    }

    async fn report(&mut self, profile: Option<Profile>, superuser: bool) -> Result<Report, Error> {
        let about = self.lines(ABOUT).await.map_err(|error| explain(DOING, error))?;
        let about = about.into_iter().next().ok_or_else(|| Fault::new(DOING, "no platform"))?;
        let locked = about[4] == "true";
        let ours = if superuser || locked { Profile::SelfHosted } else { Profile::Managed };
        let model = declare::read(&about[6]).ok().map(|checked| checked.model);
        let readable = model.is_some() || about[6].is_empty();
        let facts = Facts {
            entities: model
                .iter()
                .flat_map(|model| {
                    let reads = model.reads().iter().map(ReadModel::name);
                    model.entities().iter().map(|entity| &entity.name).chain(reads)
                })
                .map(ToString::to_string)
                .chain(model.iter().flat_map(copies))
                .collect(),
            copies: model.iter().flat_map(copies).collect(),
            open: model.iter().flat_map(Model::open).map(ToString::to_string).collect(),
            vectors: model.iter().flat_map(open_vectors).collect(),
        };
        let mut report = Report {
            profile: profile.unwrap_or(ours),
            server_version: about[0].clone(),
            database: about[1].clone(),
            platform_version: about[2].parse().ok(),
            mode: match about[3].as_str() {
                "seal" => Some(Mode::Seal),
                "ticket" => Some(Mode::Ticket),
                _ => None,
            },
            locked,
            model_version: about[5].parse().unwrap_or_default(),
            fingerprint: self.take_fingerprint().await?,
            checked: Vec::new(),
            findings: Vec::new(),
            residuals: Vec::new(),
            unchecked: Vec::new(),
        };
        for check in checks() {
            let facts_of = ["{entities}", "{open}", "{vectors}", "{copies}"];
            let of_model = facts_of.iter().any(|fact| check.sql.contains(fact));
            if of_model && !readable {
                let why = "the applied model is of another version of Freehold";
                report.unchecked.push(Unchecked { check, why });
            } else {
                self.make(check, &facts, &mut report).await?;
            }
        }
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.check.severity));
        Ok(report)
    }

    async fn make(
        &mut self,
        check: &'static Check,
        facts: &Facts,
        report: &mut Report,
    ) -> Result<(), Error> {
        if report.profile == Profile::Managed && check.managed == OnManaged::No {
            return Ok(());
        }
        self.session.batch("savepoint one").await.map_err(|error| explain(DOING, error))?;
        let rows = match self.lines(&check.statement(facts)).await {
            Ok(rows) => rows,
            Err(error) if error.code().is_some_and(|state| state.code() == "42501") => {
                let undone = self.session.batch("rollback to savepoint one").await;
                undone.map_err(|error| explain(DOING, error))?;
                report.unchecked.push(Unchecked { check, why: "this user may not look there" });
                return Ok(());
            }
            Err(error) => {
                tracing::error!(check = check.id, "a check failed");
                return Err(explain(DOING, error));
            }
        };
        report.checked.push(check);
        match &check.managed {
            OnManaged::Residual(text) if report.profile == Profile::Managed => {
                if !rows.is_empty() {
                    report.residuals.push(Residual { check, text, count: rows.len() });
                }
            }
            _ => report.findings.extend(rows.into_iter().map(|row| {
                let mut row = row.into_iter();
                let (object, detail) =
                    (row.next().unwrap_or_default(), row.next().unwrap_or_default());
                Finding { check, object, detail }
            })),
        }
        Ok(())
    }

    async fn take_fingerprint(&mut self) -> Result<String, Error> {
        let rows = self.lines(FINGERPRINT).await.map_err(|error| explain(DOING, error))?;
        let row = rows.into_iter().next().and_then(|row| row.into_iter().next());
        row.ok_or_else(|| Fault::new(DOING, "no row").into())
    }

    // Simple queries: nothing of an audit is worth keeping prepared.
    async fn lines(&mut self, text: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let messages = self.session.simple(text).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}
