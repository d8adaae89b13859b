//! Making or repairing the platform: roles, schemas, tables, functions, keys, all in one transaction.

use tokio_postgres::Error as PgError;
use zeroize::Zeroizing;

use super::{ANONYMOUS, APP, CONTROL, LOCK, Mode, PROJECT, Server, VERSION, newer, refuse};
use crate::{
    audit,
    error::Error,
    key::RootKey,
    refusal::explain,
    session::Session,
    token::{self, KID},
};

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
    session.batch(include_str!("roles.sql")).await?;
    session.batch(include_str!("schema.sql")).await?;
    set_passwords(session, key).await?;
    let mode = choose_mode(session, server, wanted).await?;
    session
        .batch(match server.major {
            18.. => include_str!("uuidv7_core.sql"),
            _ => include_str!("uuidv7_own.sql"),
        })
        .await?;
    session
        .batch(match mode {
            Mode::Seal => include_str!("seal.sql"),
            Mode::Ticket => include_str!("ticket.sql"),
        })
        .await?;
    for part in [
        include_str!("gate.sql"),
        include_str!("control.sql"),
        include_str!("exposed.sql"),
        include_str!("imports.sql"),
        include_str!("watch.sql"),
        include_str!("changes.sql"),
        include_str!("projection.sql"),
        include_str!("jobs.sql"),
        include_str!("placement.sql"),
        include_str!("keystore.sql"),
        include_str!("blobs.sql"),
        include_str!("blob_owners.sql"),
        include_str!("privacy.sql"),
        include_str!("erasure.sql"),
        include_str!("copies.sql"),
        include_str!("slices.sql"),
        include_str!("exported.sql"),
        include_str!("rows_gone.sql"),
        include_str!("rotation.sql"),
        include_str!("versions.sql"),
    ] {
        session.batch(part).await?;
    }
    session
        .batch(&format!("set local role freehold_gate; {}; reset role", audit::boot_sql()))
        .await?;
    bind_blobs(session).await?;
    keep_verifier(session, key).await?;
    let locked = lock_down(session).await?;
    session.batch("set local role freehold_gate").await?;
    set_keys(session, key).await?;
    let text = "insert into freehold.platform_version (version, mode, locked) values ($1::text::integer, $2, $3::text::boolean) \
                on conflict (version) do update set mode = excluded.mode, locked = excluded.locked";
    let (version, locked) = (VERSION.to_string(), locked.to_string());
    session
        .select("setting Freehold up", text, &[Some(&version), Some(mode.as_str()), Some(&locked)])
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

// A model that was applied before blobs were their people's gets the triggers that say whose they are. A table that an
// interrupted apply has under another name gets its own when that goes on.
async fn bind_blobs(session: &mut Session) -> Result<(), Attempt> {
    let doing = "setting Freehold up";
    session.batch("set local role freehold_gate").await?;
    let text = "select text from freehold.model_version order by version desc limit 1";
    let rows = session.select(doing, text, &[]).await?;
    session.batch("reset role").await?;
    let applied = rows.first().and_then(|row| row.text(0)).map(freehold_model::declare::read);
    // One that this version cannot read is refused by whoever works with it.
    let Some(Ok(applied)) = applied else { return Ok(()) };
    session.batch("set local role freehold_owner").await?;
    for trigger in freehold_model::ddl::owner_triggers(&applied.model) {
        let text = "select to_regprocedure('freehold_shelf.' || quote_ident($1) || '()') is null and (select count(*) from pg_attribute a \
            where a.attrelid = to_regclass('app.' || quote_ident($2)) and a.attname = any ($3::text::text[]) and not a.attisdropped) = $4::text::bigint";
        let columns = crate::param::list(trigger.columns.iter().map(String::as_str));
        let many = trigger.columns.len().to_string();
        let params =
            [Some(&*trigger.function), Some(&*trigger.entity), Some(&*columns), Some(&*many)];
        let rows = session.select(doing, text, &params).await?;
        if rows.first().and_then(|row| row.bool(0)) == Some(true) {
            session.batch(&trigger.statements.join("; ")).await?;
        }
    }
    session.batch("reset role").await?;
    Ok(())
}

// Nobody but a superuser may take from PUBLIC what PostgreSQL gave it.
async fn lock_down(session: &mut Session) -> Result<bool, Attempt> {
    let text = "select rolsuper from pg_roles where rolname = current_user";
    let rows = session.select("setting Freehold up", text, &[]).await?;
    let superuser = rows.first().and_then(|row| row.bool(0)) == Some(true);
    if superuser {
        session.batch(include_str!("lockdown.sql")).await?;
    }
    Ok(superuser)
}

pub(super) const MARK: &str =
    "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = $1";

async fn set_passwords(session: &mut Session, key: &RootKey) -> Result<(), Attempt> {
    for (role, password) in logins(key) {
        let rows = session.select("setting Freehold up", MARK, &[Some(role)]).await?;
        let wanted = mark_of(key);
        match rows.first().and_then(|row| row.text(0)) {
            Some(mark) if mark == wanted => continue,
            Some(mark) if mark.starts_with("Freehold's servers") => {
                return Err(other_key().into());
            }
            _ => {}
        }
        give_password(session, role, &password).await?;
        mark_login(session, role, key).await?;
    }
    Ok(())
}

fn mark_of(key: &RootKey) -> String {
    format!("Freehold's servers, root key {}", key.fingerprint())
}

/// Notes with a role which root key its password is made of.
pub(super) async fn mark_login(
    session: &mut Session,
    role: &str,
    key: &RootKey,
) -> Result<(), PgError> {
    let mark = mark_of(key).replace('\'', "''");
    session.batch(&format!("comment on role {role} is '{mark}'")).await
}

// By which the watchdog gives freehold_app its password back.
pub(super) async fn keep_verifier(session: &mut Session, key: &RootKey) -> Result<(), Error> {
    let verifier = postgres_protocol::password::scram_sha_256(key.password(APP).as_bytes());
    let text = format!(
        "set local role freehold_watch; insert into freehold.login_verifier (verifier) values ('{verifier}') \
         on conflict (only_one) do update set verifier = excluded.verifier; reset role"
    );
    session.batch(&text).await.map_err(|error| not_installed("setting Freehold up", error))
}

/// The servers' logins as they were, whatever was done to them: any role may change its own password and settings.
pub(crate) async fn repair_login(session: &mut Session, key: &RootKey) -> Result<(), Error> {
    let doing = "repairing the servers' login";
    for (role, password) in logins(key) {
        let rows = session.select(doing, MARK, &[Some(role)]).await?;
        let mark = rows.first().and_then(|row| row.text(0)).unwrap_or_default();
        if !mark.ends_with(&key.fingerprint()) {
            return Err(other_key());
        }
        let repaired = async {
            give_password(session, role, &password).await?;
            session.batch(&format!("alter role {role} reset all")).await
        };
        repaired.await.map_err(|error| not_installed(doing, error))?;
    }
    Ok(())
}

pub(super) fn logins(key: &RootKey) -> [(&'static str, Zeroizing<String>); 4] {
    [APP, ANONYMOUS, CONTROL, PROJECT].map(|role| (role, key.password(role)))
}

pub(super) async fn give_password(
    session: &mut Session,
    role: &str,
    password: &str,
) -> Result<(), PgError> {
    // The verifier, so that neither the server nor its log ever sees the password.
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    session.batch(&format!("alter role {role} password '{verifier}'")).await
}

pub(super) fn other_key() -> Error {
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

pub(super) fn not_installed(doing: &'static str, error: PgError) -> Error {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("42501") => refuse("this user has not enough rights to set Freehold up")
            .hint("use a superuser, or a user with createrole that owns the database")
            .into(),
        Some("FH030") => refuse("a login of Freehold is a member of another role")
            .hint("revoke the memberships of freehold_app, freehold_anonymous, freehold_control and freehold_project: they must have no rights but their own")
            .into(),
        _ => explain(doing, error),
    }
}
