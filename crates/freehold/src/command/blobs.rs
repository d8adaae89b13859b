//! `blobs`: whether what is noted and what is stored agree, whether it is still what was stored, and how much there may be.

use std::time::Duration;

use freehold_engine::{
    Code, Engine, Refusal, Tenant,
    blob::{Abandoned, Amiss, Verified},
};
use serde_json::{Value, json};

use super::Site;
use crate::{
    cli::Blobs,
    config::Config,
    output::{self, Failure},
};

pub(super) async fn blobs(config: &Config, what: Blobs) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    match what {
        Blobs::Sweep { tenant, dry_run, grace } => {
            let grace = Duration::from_secs(u64::from(grace) * 3600);
            sweep(config, &site, tenant.as_deref(), grace, dry_run).await
        }
        Blobs::Verify { tenant } => verify(config, &site, tenant.as_deref()).await,
        Blobs::Quota { tenant, bytes, objects } => {
            quota(config, &site, &tenant, bytes.as_deref(), objects.as_deref()).await
        }
    }
}

async fn tenants(
    site: &Site,
    engine: &Engine,
    named: Option<&str>,
    reason: &'static str,
) -> Result<Vec<Tenant>, Failure> {
    match named {
        Some(name) => Ok(vec![engine.tenant(name).await?]),
        None => Ok(site.prepared(reason).await?.active_tenants().await?),
    }
}

async fn sweep(
    config: &Config,
    site: &Site,
    named: Option<&str>,
    grace: Duration,
    look: bool,
) -> Result<(), Failure> {
    let engine = site.engine(config).await?;
    let given_up = if look { 0 } else { engine.expire_blobs(grace).await? };
    let mut all = Vec::new();
    let mut bad = false;
    for tenant in tenants(site, &engine, named, "blobs sweep").await? {
        let swept = engine.sweep_blobs(&tenant, grace, look).await?;
        bad |= !swept.missing.is_empty() || !swept.without_blob.is_empty();
        all.push((tenant.name().to_owned(), swept));
    }
    let deleted = if look { 0 } else { delete_doomed(&engine).await? };
    let abandoned = match named {
        Some(_) => Abandoned::default(),
        None => engine.sweep_folders(grace, look).await?,
    };
    if config.json {
        let list: Vec<Value> = all
            .iter()
            .map(|(tenant, swept)| {
                json!({
                    "tenant": tenant, "kept": swept.kept, "stray": swept.stray, "young": swept.young,
                    "missing": swept.missing, "without_row": swept.without_row, "without_blob": swept.without_blob,
                })
            })
            .collect();
        let gone = json!({ "stray": abandoned.stray, "young": abandoned.young });
        output::say(json!({
            "tenants": list, "given_up": given_up, "deleted": deleted, "dry_run": look,
            "gone": gone, "unknown_folders": abandoned.unknown,
        }));
    } else {
        let number = |list: &Vec<String>| list.len().to_string();
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|(tenant, swept)| {
                vec![
                    tenant.clone(),
                    swept.kept.to_string(),
                    number(&swept.stray),
                    swept.young.to_string(),
                    number(&swept.missing),
                    number(&swept.without_row),
                    number(&swept.without_blob),
                ]
            })
            .collect();
        let head = ["tenant", "kept", "stray", "young", "missing", "without row", "without blob"];
        output::table(&head, &rows);
        for (tenant, swept) in &all {
            let lists = [("missing", &swept.missing), ("without blob", &swept.without_blob)];
            for (what, list) in lists {
                list.iter().for_each(|one| output::say(format!("{what}: {one} of {tenant}")));
            }
        }
        say_abandoned(&abandoned);
        let did = if look { "nothing was changed" } else { "stray objects were deleted" };
        output::note(format!(
            "{did}; uploads given up: {given_up}, doomed blobs deleted: {deleted}"
        ));
    }
    if bad { Err(Failure::Told(1)) } else { Ok(()) }
}

fn say_abandoned(abandoned: &Abandoned) {
    let (stray, young) = (abandoned.stray.len(), abandoned.young);
    if stray > 0 || young > 0 {
        output::say(format!("of tenants that are gone: {stray} stray, {young} young"));
    }
    for name in &abandoned.unknown {
        output::say(format!("left alone: the folder {name} is no tenant's of this database"));
    }
}

async fn delete_doomed(engine: &Engine) -> Result<usize, Failure> {
    let mut deleted = 0;
    loop {
        match engine.delete_doomed().await? {
            0 => return Ok(deleted),
            some => deleted += some,
        }
    }
}

async fn verify(config: &Config, site: &Site, named: Option<&str>) -> Result<(), Failure> {
    let engine = site.engine(config).await?;
    let bar = output::spinner("verifying");
    let (mut all, mut bad, mut away) = (Vec::new(), 0, None);
    for tenant in tenants(site, &engine, named, "blobs verify").await? {
        let name = tenant.name().to_owned();
        let progress = |bytes| bar.set_message(format!("{name}: {bytes} bytes"));
        let mut verified = engine.verify_blobs(&tenant, progress).await?;
        bad += verified.rotten.len() + verified.unread.len();
        away = verified.away.take();
        all.push((name, verified));
        if away.is_some() {
            break;
        }
    }
    bar.finish_and_clear();
    if config.json {
        let list: Vec<Value> = all
            .iter()
            .map(|(tenant, verified)| {
                json!({
                    "tenant": tenant, "sound": verified.sound, "bytes": verified.bytes,
                    "rotten": amiss(&verified.rotten), "unread": amiss(&verified.unread),
                    "erased": verified.erased,
                })
            })
            .collect();
        output::say(json!(list));
    } else {
        say_verified(&all);
    }
    match away {
        Some(error) => Err(error.into()),
        None if bad > 0 => Err(Failure::Told(1)),
        None => Ok(()),
    }
}

fn amiss(list: &[Amiss]) -> Vec<Value> {
    let shown = |one: &Amiss| json!({ "id": one.id, "field": one.field, "what": one.what });
    list.iter().map(shown).collect()
}

fn say_verified(all: &[(String, Verified)]) {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(tenant, verified)| {
            vec![
                tenant.clone(),
                verified.sound.to_string(),
                verified.bytes.to_string(),
                verified.rotten.len().to_string(),
                verified.unread.len().to_string(),
                verified.erased.to_string(),
            ]
        })
        .collect();
    output::table(&["tenant", "sound", "bytes", "rotten", "unread", "erased"], &rows);
    for (tenant, verified) in all {
        for (state, list) in [("rotten", &verified.rotten), ("unread", &verified.unread)] {
            for one in list {
                let Amiss { id, field, what } = one;
                output::say(format!("{state}: {id} of {tenant}, {field}: {what}"));
            }
        }
    }
}

async fn quota(
    config: &Config,
    site: &Site,
    tenant: &str,
    bytes: Option<&str>,
    objects: Option<&str>,
) -> Result<(), Failure> {
    let mut operator = site.prepared("blobs quota").await?;
    if bytes.is_some() || objects.is_some() {
        operator.set_blob_quota(tenant, limit(bytes)?, limit(objects)?).await?;
    }
    let usage = operator.blob_usage(tenant).await?;
    if config.json {
        output::say(json!({
            "tenant": tenant, "bytes": usage.bytes, "objects": usage.objects,
            "bytes_max": usage.bytes_max, "objects_max": usage.objects_max,
        }));
    } else {
        let shown = |max: Option<u64>| max.map_or("none".to_owned(), |max| max.to_string());
        let rows = [
            vec!["bytes".into(), usage.bytes.to_string(), shown(usage.bytes_max)],
            vec!["objects".into(), usage.objects.to_string(), shown(usage.objects_max)],
        ];
        output::table(&["", "used", "quota"], &rows);
    }
    Ok(())
}

/// Nothing to be changed; no limit; or this one.
fn limit(text: Option<&str>) -> Result<Option<Option<u64>>, Refusal> {
    match text {
        None => Ok(None),
        Some("none") => Ok(Some(None)),
        Some(number) => match number.parse::<u64>() {
            Ok(number) if i64::try_from(number).is_ok() => Ok(Some(Some(number))),
            _ => {
                Err(Refusal::new(Code::Usage, "a quota is a whole number, or none").detail(number))
            }
        },
    }
}
