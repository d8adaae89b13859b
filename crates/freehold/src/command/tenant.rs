//! `tenant` and `key`: who there is, and with what they come in.

use freehold_engine::{Code, Refusal, Scope, WantedKey};
use serde_json::json;

use super::Site;
use crate::{
    cli::{Key, Tenant},
    config::Config,
    output::{self, Failure},
};

pub(super) async fn tenant(config: &Config, what: Tenant) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    match what {
        Tenant::Create { name } => {
            site.prepared("tenant create").await?.create_tenant(&name).await?;
            done(config, &json!({ "tenant": name }), &format!("tenant {name} made"));
        }
        Tenant::List => {
            let tenants = site.prepared("tenant list").await?.tenants().await?;
            if config.json {
                let list: Vec<_> = tenants
                    .iter()
                    .map(|t| json!({ "name": t.name, "state": t.state.as_str(), "created_at": t.created_at }))
                    .collect();
                output::say(json!(list));
            } else {
                let rows: Vec<Vec<String>> = tenants
                    .into_iter()
                    .map(|t| vec![t.name, t.state.as_str().to_owned(), t.created_at])
                    .collect();
                output::table(&["tenant", "state", "created"], &rows);
            }
        }
        Tenant::Suspend { name } => {
            site.prepared("tenant suspend").await?.suspend_tenant(&name).await?;
            done(
                config,
                &json!({ "tenant": name, "state": "suspended" }),
                &format!("tenant {name} suspended"),
            );
        }
        Tenant::Resume { name } => {
            site.prepared("tenant resume").await?.resume_tenant(&name).await?;
            done(
                config,
                &json!({ "tenant": name, "state": "active" }),
                &format!("tenant {name} active again"),
            );
        }
        Tenant::Place(what) => super::placement::placement(config, &site, what).await?,
        Tenant::Delete { name, confirm } => delete(config, &site, &name, &confirm).await?,
    }
    Ok(())
}

async fn delete(config: &Config, site: &Site, name: &str, confirm: &str) -> Result<(), Failure> {
    if name != confirm {
        return Err(Refusal::new(Code::Usage, "the two names differ, nothing was deleted")
            .hint(format!("--confirm {name}"))
            .into());
    }
    let mut operator = site.prepared("tenant delete").await?;
    let store = site.store().await?;
    let bar = output::spinner("deleting");
    let mut deleted = 0;
    operator
        .delete_tenant_noted(&store, name, |swept| {
            deleted = swept.rows;
            bar.set_message(format!("{deleted} rows, now {}", swept.entity));
        })
        .await?;
    bar.finish_and_clear();
    done(
        config,
        &json!({ "tenant": name, "rows": deleted }),
        &format!("tenant {name} deleted with {deleted} rows"),
    );
    Ok(())
}

pub(super) async fn key(config: &Config, what: Key) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    match what {
        Key::Create { tenant, name, role, expires, only } => {
            let only = only.as_ref().map(|only| Scope::read(only.iter().map(String::as_str)));
            let only = only.transpose()?;
            let (role, valid_for) = (role.role(), expires.map(|days| days * 86_400));
            let wanted = WantedKey { name: &name, role, valid_for, only: only.as_ref() };
            let mut operator = site.prepared("key create").await?;
            let key = operator.create_key_for(&tenant, &wanted).await?;
            let only = only.as_ref().map(Scope::entries);
            done(
                config,
                &json!({ "tenant": tenant, "key": key.secret, "id": key.prefix, "role": role.as_str(), "only": only }),
                &key.secret,
            );
            if !config.json {
                output::note("keep it: it is not shown again");
            }
        }
        Key::List { tenant } => {
            let mut operator = site.prepared("key list").await?;
            if let Some(name) = &tenant
                && !operator.tenants().await?.iter().any(|known| known.name == *name)
            {
                return Err(Refusal::new(Code::NoSuchTenant, "there is no such tenant")
                    .detail(name.as_str())
                    .hint("`freehold tenant list` shows them")
                    .into());
            }
            let keys = operator.keys(tenant.as_deref()).await?;
            if config.json {
                let list: Vec<_> = keys
                    .iter()
                    .map(|k| {
                        json!({
                            "id": k.prefix, "tenant": k.tenant, "name": k.name, "role": k.role.as_str(), "created_at": k.created_at,
                            "expires_at": k.expires_at, "revoked_at": k.revoked_at, "only": k.only.as_ref().map(Scope::entries),
                        })
                    })
                    .collect();
                output::say(json!(list));
            } else {
                let none = || "–".to_owned();
                let rows: Vec<Vec<String>> = keys
                    .into_iter()
                    .map(|k| {
                        let (expires, revoked) =
                            (k.expires_at.unwrap_or_else(none), k.revoked_at.unwrap_or_else(none));
                        let role = k.role.as_str().to_owned();
                        let only = k.only.map_or_else(none, |only| only.entries().join(","));
                        vec![k.prefix, k.tenant, k.name, role, only, k.created_at, expires, revoked]
                    })
                    .collect();
                output::table(
                    &["id", "tenant", "name", "role", "only", "created", "expires", "revoked"],
                    &rows,
                );
            }
        }
        Key::Revoke { id } => {
            site.prepared("key revoke").await?.revoke_key(&id).await?;
            done(config, &json!({ "id": id, "state": "revoked" }), &format!("key {id} revoked"));
        }
    }
    Ok(())
}

fn done(config: &Config, object: &serde_json::Value, text: &str) {
    if config.json { output::say(object) } else { output::say(text) }
}
