//! Laying exported keys over a database that was restored from a backup.

use std::path::Path;

use super::Operator;
use crate::{
    error::{Error, Fault},
    key_export::ExportedTenant,
    param::list,
    refusal::explain,
    row::Row,
    store::Store,
};

const DOING: &str = "importing keys";

/// What an import of keys did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeysImported {
    /// Tenants whose keys are the exported ones now.
    pub taken: usize,
    /// Tenants whose own keys open, and are as new: they keep them.
    pub kept: usize,
    /// Exported tenants that this database does not have.
    pub absent: usize,
    /// Exported tenants whose keys do not open with the keystore: the export is from before it.
    pub closed: usize,
    /// People who had a key in the database that is not among the exported: erased since.
    pub dropped: usize,
    /// Tenants of the database whose keys open neither way.
    pub lost: usize,
}

impl Operator {
    /// Lays exported keys over those of the database, in one transaction, where the database's do not open with the keystore
    /// of `store` or are older. Rows stay as they are; those of people whose keys are not there any more do not open.
    ///
    /// # Errors
    /// `Usage` if the file is damaged or another database's; faults. Nothing is half-done.
    pub async fn import_keys(&mut self, store: &Store, path: &Path) -> Result<KeysImported, Error> {
        let (exported, closed) = store.read_export(path).await?;
        let begun = "begin; set local role freehold_gate";
        self.session.batch(begun).await.map_err(|error| explain(DOING, error))?;
        let done = self.import_all(store, &exported).await;
        let end = if done.is_ok() { "commit" } else { "rollback" };
        let ended = self.session.batch(end).await;
        let done = KeysImported { closed, ..done? };
        ended.map_err(|error| explain(DOING, error))?;
        if let Some(newest) = store.keystore_state().await?.epochs.last() {
            store.begin_epoch(*newest).await?;
        }
        store.forget_tenant_keys();
        Ok(done)
    }

    async fn import_all(
        &mut self,
        store: &Store,
        exported: &[ExportedTenant],
    ) -> Result<KeysImported, Error> {
        let mut done = KeysImported::default();
        let text = "select t.id::text, k.epoch::bigint, encode(k.wrapped, 'hex'), k.gen::bigint from freehold.tenant t \
                    left join freehold.tenant_key k on k.tenant_id = t.id";
        let here = self.session.select(DOING, text, &[]).await?;
        let opens = |row: &Row| {
            let id = row.text(0)?.parse().ok()?;
            let epoch = row.int(1).and_then(|epoch| u32::try_from(epoch).ok())?;
            Some(store.opens_tenant(epoch, id, row.text(2)?))
        };
        for tenant in exported {
            let found = here.iter().find(|row| row.text(0) == tenant.words.first().map(|id| &**id));
            let Some(row) = found else {
                done.absent += 1;
                continue;
            };
            let generation = tenant.words.get(2).and_then(|text| text.parse::<i64>().ok());
            if opens(row) == Some(true) && row.int(3) >= generation {
                done.kept += 1;
                continue;
            }
            done.dropped += self.import_tenant(tenant).await?;
            done.taken += 1;
        }
        let among = |row: &&Row| {
            !exported.iter().any(|one| one.words.first().map(|id| &**id) == row.text(0))
        };
        done.lost = here.iter().filter(among).filter(|row| opens(row) == Some(false)).count();
        Ok(done)
    }

    async fn import_tenant(&mut self, tenant: &ExportedTenant) -> Result<usize, Error> {
        let words: Vec<Option<&str>> =
            (0..8).map(|at| tenant.words.get(at).map(String::as_str)).collect();
        let text = "insert into freehold.tenant_key (tenant_id, folder, gen, epoch, spent, wrapped, old_epoch, old_wrapped) \
            values ($1::text::uuid, $2::text::uuid, $3::text::integer, $4::text::integer, $5 = 'spent', decode($6, 'hex'), $7::text::integer, decode($8, 'hex')) \
            on conflict (tenant_id) do update set gen = excluded.gen, epoch = excluded.epoch, spent = excluded.spent, wrapped = excluded.wrapped, \
              old_epoch = excluded.old_epoch, old_wrapped = excluded.old_wrapped";
        self.session.select(DOING, text, &words).await?;
        let id = words[0];
        let column = |at: usize| list(tenant.people.iter().map(|key| key[at].as_str()));
        let people: Vec<String> = (0..6).map(column).collect();
        let mut params = vec![id];
        params.extend(people.iter().map(|list| Some(list.as_str())));
        let text = "with gone as (delete from freehold.subject_key k where k.tenant_id = $1::text::uuid and k.subject not in (select unnest($2::text::uuid[])) returning k.subject), \
            laid as (insert into freehold.subject_key as k (tenant_id, subject, class, gen, state, wrap_gen, wrapped) \
              select $1::text::uuid, m.subject, m.class, m.gen, m.state, m.wrap_gen, decode(m.wrapped, 'hex') \
              from unnest($2::text::uuid[], $3::text::smallint[], $4::text::smallint[], $5::text::text[], $6::text::integer[], $7::text::text[]) m (subject, class, gen, state, wrap_gen, wrapped) \
              on conflict (tenant_id, subject, class, gen) do update set state = excluded.state, wrap_gen = excluded.wrap_gen, wrapped = excluded.wrapped) \
            select count(distinct subject) from gone";
        let rows = self.session.select(DOING, text, &params).await?;
        let dropped = rows.first().and_then(|row| row.int(0));
        // A key of a class or generation that is not among the exported opens no more than those that are gone.
        let text = "delete from freehold.subject_key k where k.tenant_id = $1::text::uuid and (k.subject, k.class, k.gen) not in \
            (select m.subject, m.class, m.gen from unnest($2::text::uuid[], $3::text::smallint[], $4::text::smallint[]) m (subject, class, gen))";
        self.session.select(DOING, text, &params[..4]).await?;
        let column = |at: usize| list(tenant.blobs.iter().map(|key| key[at].as_str()));
        let blobs: Vec<String> = (0..6).map(column).collect();
        let mut params = vec![id];
        params.extend(blobs.iter().map(|list| Some(list.as_str())));
        // Whose it is by the restored rows may be another than then.
        let text = "update freehold.blob b set key = case m.wrapped when '-' then '' else decode(m.wrapped, 'hex') end, key_gen = m.under, \
              key_subject = nullif(m.subject, '')::uuid, key_class = nullif(m.class, '')::smallint, \
              key_subject_gen = nullif(m.gen, '')::smallint, own_at = now() \
            from unnest($2::text::uuid[], $3::text::integer[], $4::text::text[], $5::text::text[], $6::text::text[], $7::text::text[]) \
              m (id, under, wrapped, subject, class, gen) where b.tenant_id = $1::text::uuid and b.id = m.id";
        self.session.select(DOING, text, &params).await?;
        let dropped = dropped.and_then(|count| usize::try_from(count).ok());
        dropped.ok_or_else(|| Fault::new(DOING, "no count").into())
    }
}
