//! `tenant` and `key`: who there is, and with what they come in.

use freehold_engine::{Code, Refusal};
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
            let tenant = site.prepared("tenant create").await?.tenant_create(&name).await?;
            done(config, &json!({ "tenant": tenant.name() }), &format!("tenant {name} made"));
        }
        Tenant::List => {
            let tenants = site.prepared("tenant list").await?.tenants().await?;
            if config.json {
                let list: Vec<_> = tenants
                    .iter()
                    .map(|t| json!({ "name": t.name, "state": t.state, "created_at": t.created_at }))
                    .collect();
                output::say(json!(list));
            } else {
                let rows: Vec<Vec<String>> =
                    tenants.into_iter().map(|t| vec![t.name, t.state, t.created_at]).collect();
                output::table(&["tenant", "state", "created"], &rows);
            }
        }
        Tenant::Suspend { name } => {
            site.prepared("tenant suspend").await?.tenant_suspend(&name).await?;
            done(config, &json!({ "tenant": name, "state": "suspended" }), &format!("tenant {name} suspended"));
        }
        Tenant::Resume { name } => {
            site.prepared("tenant resume").await?.tenant_resume(&name).await?;
            done(config, &json!({ "tenant": name, "state": "active" }), &format!("tenant {name} active again"));
        }
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
        .tenant_delete(&store, name, &mut |rows| {
            deleted += rows;
            bar.set_message(format!("{deleted} rows"));
        })
        .await?;
    bar.finish_and_clear();
    done(config, &json!({ "tenant": name, "rows": deleted }), &format!("tenant {name} deleted with {deleted} rows"));
    Ok(())
}

pub(super) async fn key(config: &Config, what: Key) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    match what {
        Key::Create { tenant, name, expires } => {
            let key = site.prepared("key create").await?.key_create(&tenant, &name, expires).await?;
            done(config, &json!({ "tenant": tenant, "key": key }), &key);
            if !config.json {
                output::note("keep it: it is not shown again");
            }
        }
        Key::List { tenant } => {
            let keys = site.prepared("key list").await?.keys(&tenant).await?;
            if config.json {
                let list: Vec<_> = keys
                    .iter()
                    .map(|k| json!({ "id": k.id, "name": k.name, "state": k.state, "created_at": k.created_at, "expires_at": k.expires_at }))
                    .collect();
                output::say(json!(list));
            } else {
                let rows: Vec<Vec<String>> = keys
                    .into_iter()
                    .map(|k| vec![k.id, k.name, k.state, k.created_at, k.expires_at.unwrap_or_else(|| "never".into())])
                    .collect();
                output::table(&["id", "name", "state", "created", "expires"], &rows);
            }
        }
        Key::Revoke { id } => {
            site.prepared("key revoke").await?.key_revoke(&id).await?;
            done(config, &json!({ "id": id, "state": "revoked" }), &format!("key {id} revoked"));
        }
    }
    Ok(())
}

fn done(config: &Config, object: &serde_json::Value, text: &str) {
    if config.json { output::say(object) } else { output::say(text) }
}
