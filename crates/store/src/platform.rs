//! What Freehold needs in a database besides the model's tables: roles, schemas, its own tables, the gate.

mod install;
mod reroot;

use freehold_model::{Code, Refusal};
use tokio_postgres::Error as PgError;

pub(crate) use install::{install, repair_login};
pub(crate) use reroot::reroot;

use crate::{
    error::{Error, Fault},
    refusal::explain,
    row::Row,
    session::Session,
};

/// The login that runs tenants' statements.
pub(crate) const APP: &str = "freehold_app";

/// The login that runs what is asked without a key.
pub(crate) const ANONYMOUS: &str = freehold_model::ddl::anonymous::ANONYMOUS;

/// The login that asks what servers need to know.
pub(crate) const CONTROL: &str = "freehold_control";

/// The login of the workers: reads a tenant's entities and writes its read models.
pub(crate) const PROJECT: &str = "freehold_project";

/// Raised with every change of the SQL in `platform/`.
pub(crate) const VERSION: i64 = 10;

/// Serialises operators of one database.
pub(crate) const LOCK: i64 = 0x6672_6565_686f_6c64;

const MAJOR_MIN: u16 = 15;
const PGVECTOR_MIN: (u32, u32) = (0, 8);

/// How a transaction keeps its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In a parameter that only the gate may set. Needs a superuser to set it up once.
    Seal,
    /// In a ticket with a MAC that is checked wherever the tenant is needed; for servers without a superuser.
    Ticket,
}

impl Mode {
    /// `seal` or `ticket`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Ticket => "ticket",
        }
    }
}

/// What a server is and has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Major version of PostgreSQL.
    pub major: u16,
    /// Its version in full, such as `18.4`.
    pub version: String,
    /// The mode of the gate, once it is set up.
    pub mode: Option<Mode>,
}

const LOOK: &str = "select current_setting('server_version_num')::bigint / 10000, current_setting('server_version'), \
    (select extversion::text from pg_extension where extname = 'vector'), \
    (select nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname = 'vector'), \
    (select default_version::text from pg_available_extensions where name = 'vector'), \
    coalesce((select rolsuper or rolcreaterole from pg_roles where rolname = current_user), false), \
    has_database_privilege(current_database(), 'create'), \
    current_user::text, to_regclass('freehold.platform_version') is not null, current_database()::text, \
    (select bool_or(rolsuper) from pg_roles where rolname = current_user) \
      or coalesce((select bool_or(trusted) from pg_available_extension_versions where name = 'vector'), false)";

/// Checks everything that has to be true before [`install`], and says what the server is.
pub(crate) async fn look(session: &mut Session) -> Result<Server, Error> {
    let doing = "looking at the server";
    let rows = session.select(doing, LOOK, &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::new(doing, "no row"))?;
    let version = row.text(1).unwrap_or_default();
    let major = check_versions(row.int(0), version, row.text(2).or(row.text(4)))?;
    if row.text(3).is_some_and(|schema| schema != "freehold_ext") {
        return Err(refuse("pgvector is in another schema")
            .detail(row.text(3).unwrap_or_default())
            .hint("as its owner: create schema freehold_ext; alter extension vector set schema freehold_ext")
            .into());
    }
    let installed = row.bool(8) == Some(true);
    let may_install = row.bool(5) == Some(true) && row.bool(6) == Some(true);
    if !installed && !may_install {
        let (user, database) = (row.text(7).unwrap_or_default(), row.text(9).unwrap_or_default());
        return Err(refuse(format!("{user} may not set Freehold up"))
            .hint(format!(
                "use a superuser, or as one: alter role \"{user}\" createrole; alter database \"{database}\" owner to \"{user}\""
            ))
            .into());
    }
    if row.text(2).is_none() && row.bool(10) != Some(true) {
        return Err(refuse("only a superuser can install pgvector on this server")
            .hint("as one, in this database: create schema freehold_ext; grant usage on schema freehold_ext to public; create extension vector schema freehold_ext")
            .into());
    }
    let mode = if installed { recorded_mode(session).await? } else { None };
    Ok(Server { major, version: version.to_owned(), mode })
}

fn check_versions(
    major: Option<i64>,
    version: &str,
    pgvector: Option<&str>,
) -> Result<u16, Refusal> {
    let major = major.and_then(|major| u16::try_from(major).ok()).unwrap_or_default();
    if major < MAJOR_MIN {
        return Err(refuse("PostgreSQL is too old")
            .detail(format!("this is {version}"))
            .hint(format!("PostgreSQL {MAJOR_MIN} or newer is needed")));
    }
    let Some(pgvector) = pgvector else {
        return Err(refuse("the server has no pgvector")
            .hint("install pgvector 0.8 or newer on the server"));
    };
    let mut numbers = pgvector.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < PGVECTOR_MIN {
        return Err(refuse("pgvector is too old")
            .detail(format!("this is {pgvector}"))
            .hint("install pgvector 0.8 or newer and run: alter extension vector update"));
    }
    Ok(major)
}

/// The version of the platform that is there.
pub(crate) async fn recorded_version(session: &mut Session) -> Result<Option<i64>, Error> {
    let text = "select max(version)::bigint from freehold.platform_version";
    Ok(in_gates_name(session, text, &[]).await?.first().and_then(|row| row.int(0)))
}

async fn recorded_mode(session: &mut Session) -> Result<Option<Mode>, Error> {
    // The table is the gate's; whoever may not read it cannot be an operator.
    let text = "select mode from freehold.platform_version order by version desc limit 1";
    let rows = in_gates_name(session, text, &[]).await?;
    Ok(rows
        .first()
        .and_then(|row| row.text(0))
        .map(|mode| if mode == "seal" { Mode::Seal } else { Mode::Ticket }))
}

/// One statement in the name of `freehold_gate`, as a transaction.
pub(crate) async fn in_gates_name(
    session: &mut Session,
    text: &str,
    params: &[Option<&str>],
) -> Result<Vec<Row>, Error> {
    let doing = "working as operator";
    let begun = session.batch("begin; set local role freehold_gate").await;
    begun.map_err(|error| not_operator(doing, error))?;
    let there =
        session.select(doing, "select to_regclass('freehold.operator_log') is not null", &[]).await;
    let rows = match there {
        Ok(there) if there.first().and_then(|row| row.bool(0)) == Some(true) => {
            session.select(doing, text, params).await
        }
        Ok(_) => Err(not_set_up().into()),
        Err(error) => Err(error),
    };
    let ended = session.batch(if rows.is_ok() { "commit" } else { "rollback" }).await;
    let rows = rows?;
    ended.map_err(|error| explain(doing, error))?;
    Ok(rows)
}

fn not_operator(doing: &'static str, error: PgError) -> Error {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("42501") => refuse("this user is not an operator of Freehold")
            .hint("use the user that set it up, or: grant freehold_owner, freehold_gate, freehold_app to …")
            .into(),
        Some("22023") => not_set_up().into(),
        _ => explain(doing, error),
    }
}

/// Checks, as `freehold_control`, that the platform is this version's, on a server that it can be on.
pub(crate) async fn check(session: &mut Session) -> Result<(), Error> {
    let doing = "checking the server";
    let text = "select version, server / 10000, server_version, pgvector from freehold.platform()";
    if let Err(error) = session.statement(text).await {
        return Err(match error.code().map(tokio_postgres::error::SqlState::code) {
            Some("3F000" | "42883" | "42P01") => not_set_up().into(),
            Some("42501" | "42703") => older(),
            _ => explain(doing, error),
        });
    }
    let rows = session.select(doing, text, &[]).await?;
    let row = rows.first().ok_or_else(not_set_up)?;
    match row.int(0) {
        Some(VERSION) => {}
        Some(version) if version > VERSION => return Err(newer()),
        _ => return Err(older()),
    }
    check_versions(row.int(1), row.text(2).unwrap_or_default(), row.text(3))?;
    Ok(())
}

fn not_set_up() -> Refusal {
    refuse("Freehold is not set up in this database").hint("freehold apply sets it up")
}

fn older() -> Error {
    refuse("this database was set up by an older Freehold")
        .hint("freehold apply brings it up to date")
        .into()
}

fn newer() -> Error {
    refuse("this database was set up by a newer Freehold")
        .hint("use that version or a later one")
        .into()
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Server, message)
}
