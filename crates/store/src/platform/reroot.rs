//! Another root key in a database: the passwords of the logins and the key of tokens, in one transaction.

use super::{
    LOCK,
    install::{MARK, give_password, keep_verifier, logins, mark_login, not_installed, other_key},
    refuse,
};
use crate::{
    error::Error,
    key::RootKey,
    refusal::explain,
    session::Session,
    token::{self, KID},
};

const DOING: &str = "changing the root key";

/// Makes `new` the root key in place of `old`. Doing it again changes nothing. Roles are the whole server's: another database
/// of it may have been given the new one already.
pub(crate) async fn reroot(
    session: &mut Session,
    old: &RootKey,
    new: &RootKey,
) -> Result<(), Error> {
    session
        .batch(&format!("begin; set local search_path = pg_catalog, pg_temp; select pg_advisory_xact_lock({LOCK})"))
        .await
        .map_err(|error| explain(DOING, error))?;
    let done = in_transaction(session, old, new).await;
    let ended = session.batch(if done.is_ok() { "commit" } else { "rollback" }).await;
    done?;
    ended.map_err(|error| explain(DOING, error))
}

async fn in_transaction(session: &mut Session, old: &RootKey, new: &RootKey) -> Result<(), Error> {
    session.batch("set local role freehold_gate").await.map_err(|e| not_installed(DOING, e))?;
    let text = "select exists (select from freehold.tenant_key where epoch = 0 or old_epoch = 0)";
    if session.select(DOING, text, &[]).await?.first().and_then(|row| row.bool(0)) != Some(false) {
        return Err(refuse("keys of tenants are wrapped by the root key itself")
            .hint("`freehold keys init`, and then `freehold keys rotate epoch`, puts an epoch between")
            .into());
    }
    session.batch("reset role").await.map_err(|error| explain(DOING, error))?;
    for (role, password) in logins(new) {
        let rows = session.select(DOING, MARK, &[Some(role)]).await?;
        let mark = rows.first().and_then(|row| row.text(0)).unwrap_or_default();
        if mark.ends_with(&new.fingerprint()) {
            continue;
        }
        if !mark.ends_with(&old.fingerprint()) {
            return Err(other_key());
        }
        let given = async {
            give_password(session, role, &password).await?;
            mark_login(session, role, new).await
        };
        given.await.map_err(|error| not_installed(DOING, error))?;
    }
    keep_verifier(session, new).await?;
    session.batch("set local role freehold_gate").await.map_err(|e| explain(DOING, e))?;
    let (inner, outer) = token::pads(new);
    let text = "update freehold.mac_key set ipad = decode($2, 'hex'), opad = decode($3, 'hex') where kid = $1::text::smallint";
    let kid = KID.to_string();
    session.select(DOING, text, &[Some(&kid), Some(&inner), Some(&outer)]).await?;
    Ok(())
}
