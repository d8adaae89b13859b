//! What Freehold needs in a database besides the model's tables: roles, schemas, its own tables, the gate.

use freehold_model::{Code, Refusal};
use tokio_postgres::Error as PgError;

use crate::{
    error::{Error, Fault},
    key::RootKey,
    refusal::explain,
    row::Row,
    session::Session,
    token::{self, KID},
};

/// The login role of servers.
pub(crate) const APP: &str = "freehold_app";

/// Raised with every change of the SQL in `platform/`.
pub(crate) const VERSION: i64 = 1;

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
    let major = check_versions(row)?;
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
    let version = row.text(1).unwrap_or_default().to_owned();
    let mode = if installed { recorded_mode(session).await? } else { None };
    Ok(Server { major, version, mode })
}

fn check_versions(row: &Row) -> Result<u16, Refusal> {
    let major = row.int(0).and_then(|major| u16::try_from(major).ok()).unwrap_or_default();
    let version = row.text(1).unwrap_or_default();
    if major < MAJOR_MIN {
        return Err(refuse("PostgreSQL is too old")
            .detail(format!("this is {version}"))
            .hint(format!("PostgreSQL {MAJOR_MIN} or newer is needed")));
    }
    let Some(pgvector) = row.text(2).or(row.text(4)) else {
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

/// Makes or repairs everything, in one transaction.
pub(crate) async fn install(
    session: &mut Session,
    server: &Server,
    key: &RootKey,
    wanted: Option<Mode>,
) -> Result<Mode, Error> {
    let doing = "setting Freehold up";
    let mut patience = 0;
    loop {
        let tried = install_once(session, server, key, wanted).await;
        let ended = session.batch(if tried.is_ok() { "commit" } else { "rollback" }).await;
        match tried {
            Ok(mode) => return ended.map(|()| mode).map_err(|error| explain(doing, error)),
            // Roles belong to the whole server; another database may be setting the same ones up.
            Err(Attempt::Sql(error)) if is_concurrent(&error) && patience < 8 => {
                patience += 1;
                tokio::time::sleep(std::time::Duration::from_millis(30 * patience)).await;
            }
            Err(Attempt::Sql(error)) => return Err(not_installed(doing, error)),
            Err(Attempt::Refused(error)) => return Err(error),
        }
    }
}

enum Attempt {
    Sql(PgError),
    Refused(Error),
}

impl From<PgError> for Attempt {
    fn from(error: PgError) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

async fn install_once(
    session: &mut Session,
    server: &Server,
    key: &RootKey,
    wanted: Option<Mode>,
) -> Result<Mode, Attempt> {
    session.batch(&format!("begin; set local search_path = pg_catalog, pg_temp; select pg_advisory_xact_lock({LOCK})")).await?;
    refuse_strangers(session).await?;
    session.batch(include_str!("platform/roles.sql")).await?;
    session.batch(include_str!("platform/schema.sql")).await?;
    set_password(session, key).await?;
    let mode = choose_mode(session, server, wanted).await?;
    session
        .batch(match server.major {
            18.. => include_str!("platform/uuidv7_core.sql"),
            _ => include_str!("platform/uuidv7_own.sql"),
        })
        .await?;
    session
        .batch(match mode {
            Mode::Seal => include_str!("platform/seal.sql"),
            Mode::Ticket => include_str!("platform/ticket.sql"),
        })
        .await?;
    session.batch(include_str!("platform/functions.sql")).await?;
    session.batch(include_str!("platform/imports.sql")).await?;
    session.batch("set local role freehold_gate").await?;
    set_keys(session, key).await?;
    let text = "insert into freehold.platform_version (version, mode) values ($1::text::integer, $2) \
                on conflict (version) do update set mode = excluded.mode";
    session
        .select("setting Freehold up", text, &[Some(&VERSION.to_string()), Some(mode.as_str())])
        .await?;
    session.batch("reset role").await?;
    Ok(mode)
}

// Schemas of our names that are somebody else's, and a platform of a later Freehold.
async fn refuse_strangers(session: &mut Session) -> Result<(), Error> {
    let doing = "setting Freehold up";
    let text = "select string_agg(nspname, ', ')::text from pg_namespace \
                where nspname in ('freehold', 'app', 'freehold_shelf') and nspowner not in \
                (select oid from pg_roles where rolname in ('freehold_gate', 'freehold_owner'))";
    let rows = session.select(doing, text, &[]).await?;
    if let Some(schemas) = rows.first().and_then(|row| row.text(0)) {
        return Err(refuse(format!(
            "schemas that Freehold needs belong to somebody else: {schemas}"
        ))
        .hint("use another database, or rename them")
        .into());
    }
    let there = session
        .select(doing, "select to_regclass('freehold.platform_version') is not null", &[])
        .await?;
    if there.first().and_then(|row| row.bool(0)) == Some(true) {
        let rows = session
            .select(doing, "select max(version)::bigint from freehold.platform_version", &[])
            .await?;
        if rows.first().and_then(|row| row.int(0)).is_some_and(|version| version > VERSION) {
            return Err(newer());
        }
    }
    Ok(())
}

fn not_set_up() -> Refusal {
    refuse("Freehold is not set up in this database").hint("freehold apply sets it up")
}

fn newer() -> Error {
    refuse("this database was set up by a newer Freehold")
        .hint("use that version or a later one")
        .into()
}

async fn set_password(session: &mut Session, key: &RootKey) -> Result<(), Attempt> {
    let text =
        "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = 'freehold_app'";
    let rows = session.select("setting Freehold up", text, &[]).await?;
    let wanted = format!("Freehold's servers, root key {}", key.fingerprint());
    match rows.first().and_then(|row| row.text(0)) {
        Some(mark) if mark == wanted => return Ok(()),
        Some(mark) if mark.starts_with("Freehold's servers") => {
            return Err(other_key().into());
        }
        _ => {}
    }
    // The verifier, so that neither the server nor its log ever sees the password.
    let verifier = postgres_protocol::password::scram_sha_256(key.app_password().as_bytes());
    session
        .batch(&format!(
            "alter role freehold_app password '{verifier}'; comment on role freehold_app is '{}'",
            wanted.replace('\'', "''")
        ))
        .await?;
    Ok(())
}

fn other_key() -> Error {
    refuse("this server was set up with another root key")
        .hint("all databases of one server share one root key: use the first one's")
        .into()
}

async fn choose_mode(
    session: &mut Session,
    server: &Server,
    wanted: Option<Mode>,
) -> Result<Mode, Attempt> {
    if let Some(mode) =
        wanted.filter(|mode| *mode == Mode::Ticket).or(server.mode.filter(|_| wanted.is_none()))
    {
        return Ok(mode);
    }
    let text = "select has_parameter_privilege('freehold_gate', 'backtrace_functions', 'set')";
    let rows = session.select("setting Freehold up", text, &[]).await?;
    if rows.first().and_then(|row| row.bool(0)) == Some(true) {
        return Ok(Mode::Seal);
    }
    session.batch("savepoint mode").await?;
    match session.batch("grant set on parameter backtrace_functions to freehold_gate").await {
        Ok(()) => Ok(Mode::Seal),
        Err(error)
            if error.code().is_some_and(|state| state.code() == "42501") && wanted.is_none() =>
        {
            session.batch("rollback to savepoint mode").await?;
            Ok(Mode::Ticket)
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_keys(session: &mut Session, key: &RootKey) -> Result<(), Attempt> {
    let (inner, outer) = token::pads(key);
    let text = "insert into freehold.mac_key (kid, ipad, opad) values ($1::text::smallint, decode($2, 'hex'), decode($3, 'hex')) \
                on conflict (kid) do nothing";
    let params = [Some(KID.to_string()), Some(inner.to_string()), Some(outer.to_string())];
    let params: Vec<Option<&str>> = params.iter().map(Option::as_deref).collect();
    session.select("setting Freehold up", text, &params).await?;
    let text =
        "select ipad = decode($2, 'hex') from freehold.mac_key where kid = $1::text::smallint";
    let rows = session.select("setting Freehold up", text, &params[..2]).await?;
    if rows.first().and_then(|row| row.bool(0)) != Some(true) {
        return Err(other_key().into());
    }
    let (inner, outer) = token::pads(&RootKey::random());
    let params = [Some("0"), Some(&**inner), Some(&**outer)];
    session
        .select(
            "setting Freehold up",
            "insert into freehold.mac_key (kid, ipad, opad) values ($1::text::smallint, decode($2, 'hex'), decode($3, 'hex')) \
             on conflict (kid) do nothing",
            &params,
        )
        .await?;
    Ok(())
}

fn is_concurrent(error: &PgError) -> bool {
    error.as_db_error().is_some_and(|report| match report.code().code() {
        "XX000" => report.message().contains("concurrently"),
        "23505" | "42710" | "40001" | "40P01" => true,
        _ => false,
    })
}

fn not_installed(doing: &'static str, error: PgError) -> Error {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("42501") => refuse("this user has not enough rights to set Freehold up")
            .hint("use a superuser, or a user with createrole that owns the database")
            .into(),
        Some("FH030") => refuse("freehold_app is a member of another role")
            .hint("revoke the membership: the role must have no rights but its own")
            .into(),
        _ => explain(doing, error),
    }
}

/// Checks that the logged-in role is one that the wall holds, and that the wall is there.
pub(crate) async fn check_app(session: &mut Session) -> Result<(), Error> {
    let doing = "checking the server";
    let rows = session.select(doing, LOOK, &[]).await?;
    check_versions(rows.first().ok_or_else(|| Fault::new(doing, "no row"))?)?;
    let text = "select (rolsuper or rolbypassrls), \
                exists (select from pg_auth_members where member = r.oid), \
                coalesce(has_function_privilege(to_regprocedure('freehold.platform()'), 'execute'), false) \
                from pg_roles r where rolname = current_user";
    let rows = session.select(doing, text, &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::new(doing, "no such role"))?;
    if row.bool(0) != Some(false) || row.bool(1) != Some(false) {
        return Err(refuse("freehold_app passes the wall")
            .hint("as superuser: alter role freehold_app nosuperuser nobypassrls; and revoke its memberships")
            .into());
    }
    if row.bool(2) != Some(true) {
        return Err(refuse("Freehold is not set up in this database")
            .hint("freehold apply sets it up")
            .into());
    }
    let rows = session.select(doing, "select version from freehold.platform()", &[]).await?;
    match rows.first().and_then(|row| row.int(0)) {
        Some(VERSION) => Ok(()),
        Some(version) if version > VERSION => Err(newer()),
        _ => Err(refuse("this database was set up by an older Freehold")
            .hint("freehold apply brings it up to date")
            .into()),
    }
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Server, message)
}
