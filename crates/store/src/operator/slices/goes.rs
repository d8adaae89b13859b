//! A slice that is over goes with all its rows, but not if a hold keeps one of them; and it leaves a note, for its receipt.
//!
//! Who is held is searched while everybody reads and writes. Under the locks, which keep everybody out of the entity, is only asked
//! what has come since.

use freehold_model::{ddl::slice::Part, entity::Entity};

use super::{DOING, PATIENCE, SliceDone, SliceInfo, TRIES, is_in_the_way};
use crate::{
    apply,
    error::Error,
    operator::{
        Operator,
        placement::{LOCK_WAIT, as_owner},
    },
    param::list,
    refusal::explain,
    row::Row,
    session::Session,
};

/// The holds in force: tenants, and people or nulls, as two arrays.
const HOLDS: &str = "select coalesce(array_agg(h.tenant_id), '{}')::text, coalesce(array_agg(h.subject), '{}')::text from freehold.hold_in_force h";

/// How long one tenant's rows of a slice are searched for those that are held.
const SEARCH: &str = "set local statement_timeout = '60s'";

/// That none of these holds keeps a row of a slice.
struct Free {
    /// The holds that were looked for, as an array.
    holds: String,
    /// Their tenants, and that of whoever writes past all walls.
    tenants: String,
    /// What had been written by then.
    snapshot: String,
}

impl Operator {
    pub(super) async fn drop_slice(
        &mut self,
        entity: &Entity,
        slice: &SliceInfo,
    ) -> Result<SliceDone, Error> {
        let part = Part::new(entity, &slice.suffix);
        let mut free = None;
        for tries in 1..=TRIES {
            if free.is_none() {
                free = self.search_holds(entity, slice).await?;
            }
            let Some(searched) = &free else { return Ok(SliceDone::Held) };
            let tried = self.try_to_drop(entity, slice, &part, searched).await;
            if matches!(tried, Ok(Some(SliceDone::Dropped))) {
                return Ok(SliceDone::Dropped);
            }
            self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
            match tried {
                Err(error) if is_in_the_way(&error) => apply::rest(tries).await,
                // Another hold has come.
                Ok(None) => free = None,
                Ok(Some(done)) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(SliceDone::Busy)
    }

    /// Looks for rows that are held, in each tenant's own wall; none if there is one.
    async fn search_holds(
        &mut self,
        entity: &Entity,
        slice: &SliceInfo,
    ) -> Result<Option<Free>, Error> {
        // What is written from here on may not have been seen.
        let snapshot = "select pg_current_snapshot()::text";
        let snapshot = self.session.select(DOING, snapshot, &[]).await?;
        let text = "select tenant_id::text, (array_agg(subject) filter (where subject is not null))::text, bool_or(subject is null), \
                    array_agg(id)::text from freehold.hold_in_force group by tenant_id order by tenant_id";
        let tenants = self.as_gate(text, &[]).await?;
        let of_entity = Part::new(entity, &slice.suffix).keeps(slice.begins, slice.ends);
        for row in &tenants {
            let tenant = row.text(0).unwrap_or_default();
            let all = (row.bool(2) == Some(true)).to_string();
            if self.keeps(tenant, &of_entity, row.text(1).unwrap_or("{}"), &all).await? {
                return Ok(None);
            }
        }
        let ids = |at: usize| tenants.iter().filter_map(move |row| row.text(at));
        let holds = ids(3).map(|ids| ids.trim_matches(['{', '}'])).collect::<Vec<_>>().join(",");
        let nobody = "00000000-0000-0000-0000-000000000000";
        Ok(Some(Free {
            holds: format!("{{{holds}}}"),
            tenants: list(ids(0).chain([nobody])),
            snapshot: snapshot.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned(),
        }))
    }

    /// Whether holds of a tenant keep a row, asked with its own eyes.
    async fn keeps(
        &mut self,
        tenant: &str,
        text: &str,
        people: &str,
        all: &str,
    ) -> Result<bool, Error> {
        let opened = format!(
            "begin; {SEARCH}; set local role freehold_gate; select freehold.seal('{tenant}'); set local role freehold_app"
        );
        let found = async {
            self.session.batch(&opened).await.map_err(|error| explain(DOING, error))?;
            self.session.select(DOING, text, &[Some(people), Some(all)]).await
        };
        let found = found.await;
        self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
        Ok(found?.first().and_then(|row| row.bool(0)) != Some(false))
    }

    /// In a transaction that is left open unless it was dropped; none if another hold has come. Nobody can place one meanwhile.
    async fn try_to_drop(
        &mut self,
        entity: &Entity,
        slice: &SliceInfo,
        part: &Part<'_>,
        free: &Free,
    ) -> Result<Option<SliceDone>, Error> {
        let session = &mut self.session;
        let failed = |error| explain(DOING, error);
        session
            .batch(&format!(
                "begin; {LOCK_WAIT}; {PATIENCE}; set local role freehold_gate; lock table freehold.legal_hold in share mode"
            ))
            .await
            .map_err(failed)?;
        let came = "select exists (select from freehold.hold_in_force h where h.id <> all ($1::text::uuid[]))";
        if is(&session.select(DOING, came, &[Some(&free.holds)]).await?) {
            return Ok(None);
        }
        for statement in as_owner(part.lock()) {
            session.batch(&statement).await.map_err(failed)?;
        }
        // A row of whoever is held may have come meanwhile. Who wrote to the entity at all has left a note, and who is at it has
        // been waited for; only then it is searched once more.
        session.batch("set local role freehold_gate").await.map_err(failed)?;
        let wrote = "select $2::text <> '{}' and exists (select from freehold.version_note n where n.tenant_id = any ($3::text::uuid[]) \
                     and n.relation = $1 and not pg_visible_in_snapshot(n.xid, $4::text::pg_snapshot))";
        let params =
            [Some(&*slice.entity), Some(&*free.holds), Some(&*free.tenants), Some(&*free.snapshot)];
        let wrote = session.select(DOING, wrote, &params).await?;
        let holds = session.select(DOING, HOLDS, &[]).await?;
        note(session, entity, slice).await?;
        session.batch("set local role freehold_owner").await.map_err(failed)?;
        if let Some(row) = holds.first().filter(|_| is(&wrote)) {
            session.batch(&part.bare()).await.map_err(failed)?;
            let held = session.select(DOING, &part.holds(), &[row.text(0), row.text(1)]).await?;
            if held.first().and_then(|row| row.bool(0)) != Some(false) {
                return Ok(Some(SliceDone::Held));
            }
        }
        session.batch(&part.drop()).await.map_err(failed)?;
        session.batch("commit").await.map_err(failed)?;
        Ok(Some(SliceDone::Dropped))
    }
}

/// What is to be known of it afterwards: for kept answers that showed rows of it, whose, nobody has looked; and for its receipt.
async fn note(session: &mut Session, entity: &Entity, slice: &SliceInfo) -> Result<(), Error> {
    let note = "insert into freehold.version_note (tenant_id, relation) select '00000000-0000-0000-0000-000000000000', $1 || part \
                from unnest(array['', '/*']) part on conflict do nothing returning 1::bigint";
    session.select(DOING, note, &[Some(&slice.entity)]).await?;
    let Some((_, rule)) = entity.sliced() else { return Ok(()) };
    let rule = rule.to_string();
    let gone = "insert into freehold.slice_gone (about) select jsonb_build_object('entity', $1::text, 'from', $2::text, 'to', $3::text, 'rule', $4::text, \
                'about_rows', $5::text::bigint, 'bytes', $6::text::bigint, 'dropped', to_json(now() at time zone 'UTC') #>> '{}' || 'Z') returning 1::bigint";
    let (rows, bytes) = (slice.rows.to_string(), slice.bytes.to_string());
    let SliceInfo { entity, from, to, .. } = slice;
    let params = [Some(&**entity), Some(from), Some(to), Some(&rule), Some(&rows), Some(&bytes)];
    session.select(DOING, gone, &params).await.map(drop)
}

fn is(rows: &[Row]) -> bool {
    rows.first().and_then(|row| row.bool(0)) == Some(true)
}
