//! Keys under keys from the command line: the keystore, rotation, export, and what a restore needs.

use std::path::Path;

use freehold_engine::{
    Code, DeletedRows, Engine, Refusal, RootKey, TenantState,
    keys::{KeystoreState, Rotated},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Site, model::counted};
use crate::{
    cli::{Keys, Rotate},
    config::Config,
    output::{self, Failure},
};

pub(super) async fn keys(config: &Config, what: Keys) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    match what {
        Keys::Status => status(config, &site.engine_behind(config).await?).await,
        Keys::Init => init(config, &site.engine(config).await?).await,
        Keys::Rotate(Rotate::Root { to }) => root(config, &site, to.as_deref()).await,
        Keys::Rotate(Rotate::Epoch) => {
            rotate(config, &site.engine(config).await?, &Wrapping::Epoch).await
        }
        Keys::Rotate(Rotate::Tenant { name }) => {
            rotate(config, &site.engine(config).await?, &Wrapping::Tenant(name)).await
        }
        Keys::Rotate(Rotate::Person { entity, id, tenant, reseal }) => {
            let engine = site.engine(config).await?;
            renew(config, &engine, &tenant, (&entity, id), reseal).await
        }
        Keys::Export { file } => {
            if file.exists() {
                let refusal = Refusal::new(Code::Usage, "there is a file of this name already");
                return Err(refusal.detail(file.display().to_string()).into());
            }
            let keys = site.store().await?.export_keys(Some(&file)).await?;
            say(config, json!({ "keys": keys }), format!("{} exported", counted(keys, "key")));
            Ok(())
        }
        Keys::Import { file } => import(config, &site, file.as_deref()).await,
        Keys::Replay => {
            let engine = site.engine_behind(config).await?;
            let replayed = Box::pin(engine.replay_ledger()).await?;
            let tenants = delete_closed(&site, &engine).await?;
            let said = json!({ "erasures": replayed.erasures, "receipts": replayed.receipts, "tenants": tenants });
            let (erasures, tenants) =
                (counted(replayed.erasures, "erasure"), counted(tenants, "tenant"));
            say(config, said, format!("{erasures} made again, {tenants} deleted"));
            Ok(())
        }
    }
}

/// Deletes the rows of tenants that are closed for good; says how many there were.
async fn delete_closed(site: &Site, engine: &Engine) -> Result<usize, Failure> {
    let mut operator = site.operator("keys replay").await?;
    let tenants = operator.tenants().await?;
    let closed = tenants.into_iter().filter(|tenant| tenant.state == TenantState::Deleting);
    let closed: Vec<String> = closed.map(|tenant| tenant.name).collect();
    let bar = output::spinner("deleting");
    for name in &closed {
        let mut told =
            |swept: &DeletedRows| bar.set_message(format!("{name}: {} rows", swept.rows));
        operator.delete_tenant_noted(&engine.store(), name, &mut told).await?;
    }
    bar.finish_and_clear();
    Ok(closed.len())
}

fn say(config: &Config, json: Value, text: String) {
    if config.json { output::say(json) } else { output::say(text) }
}

async fn status(config: &Config, engine: &Engine) -> Result<(), Failure> {
    let KeystoreState { id, folder, epoch, epochs, spent_s, erasures, tenants, unknown } =
        engine.store().keystore_state().await?;
    let behind = engine.store().is_behind().await?;
    let folder = folder.map(|folder| folder.display().to_string());
    if config.json {
        output::say(json!({
            "installation": id.to_string(), "keystore": folder, "epoch": epoch, "epochs": epochs, "spent_s": spent_s,
            "ledger": erasures, "tenants": tenants, "unknown": unknown, "behind": behind,
        }));
        return Ok(());
    }
    if epochs.is_empty() {
        output::say("no keystore: tenants' keys are wrapped by the root key");
        output::note(
            "whoever has the root key and an older backup opens what was erased since; `freehold keys init` changes that",
        );
        return Ok(());
    }
    output::say(format!(
        "installation {id}, epoch {epoch}, keystore {}",
        folder.unwrap_or_default()
    ));
    if epochs.len() > 1 {
        output::say(
            "a change of epochs was interrupted; `freehold keys rotate epoch` goes on with it",
        );
    }
    if let Some(seconds) = spent_s {
        output::say(format!(
            "what was destroyed in the last {seconds} s opens from backups until the epoch is replaced; workers do it, or `freehold keys rotate epoch`"
        ));
    }
    output::say(format!(
        "{} and {} in the ledger",
        counted(erasures, "erasure"),
        counted(tenants, "deleted tenant")
    ));
    if behind {
        output::say(format!(
            "the database is older than the ledger: it does not know {unknown} of them"
        ));
    }
    Ok(())
}

async fn init(config: &Config, engine: &Engine) -> Result<(), Failure> {
    let store = engine.store();
    store.init_keystore().await?;
    let state = store.keystore_state().await?;
    let folder = config.keystore.display();
    let said = json!({ "installation": state.id.to_string(), "keystore": folder.to_string(), "epoch": state.epoch });
    say(config, said, format!("the keystore is in {folder}"));
    if !config.json {
        output::note(
            "without it nothing that is sealed opens: keep two copies of it as it is now, and none as it was",
        );
        output::note(
            "`freehold keys rotate epoch` puts the keys that there are under it; servers need it from then on",
        );
    }
    Ok(())
}

async fn rotate(config: &Config, engine: &Engine, what: &Wrapping) -> Result<(), Failure> {
    let store = engine.store();
    let bar = output::spinner("changing keys");
    let mut moved = 0;
    let mut told = |step: Rotated| {
        match step {
            Rotated::Moved(keys) => moved += keys,
            Rotated::Rewrapped | Rotated::Replaced => moved += 1,
            Rotated::Begun(epoch) => tracing::info!(epoch, "an epoch has begun"),
            step => tracing::info!(?step, "keys are changed"),
        }
        bar.set_message(format!("{} wrapped anew", counted(moved, "key")));
        true
    };
    let (mut said, done) = match what {
        Wrapping::Epoch => {
            let epoch = Box::pin(store.rotate_epoch(&mut told)).await?;
            (json!({ "epoch": epoch }), format!("epoch {epoch}"))
        }
        Wrapping::Tenant(name) => {
            let tenant = engine.tenant(name).await?;
            Box::pin(store.rotate_tenant(&tenant, &mut told)).await?;
            (json!({ "tenant": name }), format!("{name} has another key"))
        }
    };
    bar.finish_and_clear();
    said["wrapped"] = json!(moved);
    say(config, said, format!("{done}; {} wrapped anew", counted(moved, "key")));
    Ok(())
}

/// Which keys are wrapped anew.
enum Wrapping {
    Epoch,
    Tenant(String),
}

async fn renew(
    config: &Config,
    engine: &Engine,
    tenant: &str,
    (entity, person): (&str, Uuid),
    reseal: bool,
) -> Result<(), Failure> {
    let tenant = engine.tenant(tenant).await?;
    if reseal {
        let bar = output::spinner("sealing anew");
        let mut told = |values| bar.set_message(format!("{values} values are sealed anew"));
        let (keys, values) = engine.reseal_person(&tenant, entity, person, &mut told).await?;
        bar.finish_and_clear();
        let text = format!("{values} values are sealed anew, with another key");
        say(config, json!({ "keys": keys, "values": values }), text);
        return Ok(());
    }
    let keys = engine.renew_person(&tenant, entity, person).await?;
    let text = match keys {
        0 => "nothing is sealed of this person: there is no key to change",
        _ => "what is written from now on is sealed with another key",
    };
    say(config, json!({ "keys": keys }), text.to_owned());
    Ok(())
}

async fn root(config: &Config, site: &Site, to: Option<&Path>) -> Result<(), Failure> {
    let place = config.key.file();
    let beside = place.map(|file| file.with_extension("next"));
    let Some(file) = to.or(beside.as_deref()) else {
        return Err(Refusal::new(Code::Usage, "the root key is in no file that another could take the place of")
            .hint("--to FILE writes the new one there: put it where the old one came from, then start the servers")
            .into());
    };
    let old = site.root_key().await?;
    let new = RootKey::read_or_create(file)?;
    if new.is(&old) {
        return Err(Refusal::new(Code::Usage, "both files have the same root key")
            .detail(file.display().to_string())
            .into());
    }
    let mut operator = site.operator("keys rotate root").await?;
    let mut told = |step: &str| {
        if !config.json {
            output::note(step);
        }
        true
    };
    operator.rotate_root(&old, &new, &config.keystore, &mut told).await?;
    let moved = to.is_none();
    if let (true, Some(place)) = (moved, place) {
        RootKey::take_place(file, place)?;
    }
    let place = place.map_or_else(|| "the old one".to_owned(), |file| file.display().to_string());
    let text = match moved {
        true => format!("the root key in {place} is another; start the servers with it"),
        false => format!("put {} in the place of {place}, and start the servers", file.display()),
    };
    say(config, json!({ "root_key": file.display().to_string(), "in_place": moved }), text);
    Ok(())
}

async fn import(config: &Config, site: &Site, file: Option<&Path>) -> Result<(), Failure> {
    let engine = site.engine_behind(config).await?;
    let store = engine.store();
    let beside = config.keystore.join(format!("{}.export", store.keystore_state().await?.id));
    let mut operator = site.operator("keys import").await?;
    let done = operator.import_keys(&store, file.unwrap_or(&beside)).await?;
    if config.json {
        output::say(json!({
            "taken": done.taken, "kept": done.kept, "absent": done.absent, "closed": done.closed,
            "dropped": done.dropped, "lost": done.lost,
        }));
        return Ok(());
    }
    output::say(format!(
        "keys of {} taken from the export; {} had keys as new; {} had a key in the backup and not in the export: erased since",
        counted(done.taken, "tenant"),
        done.kept,
        counted(done.dropped, "person"),
    ));
    if done.closed + done.lost > 0 {
        output::say(format!(
            "keys of {} in the export and of {} in the database do not open with this keystore",
            counted(done.closed, "tenant"),
            counted(done.lost, "tenant")
        ));
    }
    output::note("next: `freehold keys replay`, which `freehold serve` does by itself");
    Ok(())
}
