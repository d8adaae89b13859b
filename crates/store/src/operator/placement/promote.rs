//! To a partition of its own, while reads and writes go on.
//!
//! A copy is made beside the shelf, in pages; whatever changes meanwhile is noted by triggers and copied again. The copy gets
//! its indexes before anybody reads it. Then it takes the shelf's place in one short transaction. Until then only the
//! shelf is read, so a move can be left off at any moment: it is gone on with, or undone.

use freehold_model::{
    Code, Refusal,
    ddl::own::{self, Own},
    entity::Entity,
};

use super::{DOING, Moving, Place, as_owner, end_others, ids, in_turn, new_suffix, worker_name};
use crate::{
    apply::{is_in_the_way, rest},
    error::{Error, Fault},
    operator::Operator,
    refusal::explain,
};

/// Rows copied in one transaction, which holds them against changes for that long.
const PAGE: usize = 500;

/// Notes that are worked off in one transaction.
const NOTES: usize = 500;

/// So few notes are left for the moment in which writers wait.
pub(super) const FEW: u64 = 200;

impl Operator {
    /// Moves a tenant's rows of an entity to a partition of its own, with an approximate index for each vector field, or goes
    /// on with a move that was interrupted. `helper` is another connection of the same user. Says how many rows there are.
    ///
    /// # Errors
    /// `NoSuchTenant`, `NoSuchEntity`; `Server` if the user may not; `ApplyConflict` while somebody applies or moves;
    /// `TryAgain` if others were in the way for too long. Whatever is there then is gone on with or undone.
    pub async fn promote(
        &mut self,
        helper: &mut Self,
        tenant: &str,
        entity: &str,
        mut progress: impl FnMut(Moving),
    ) -> Result<u64, Error> {
        self.take_turn().await?;
        let promoted = self.promote_alone(helper, tenant, entity, &mut progress).await;
        let ended = self.end_turn().await;
        let rows = promoted?;
        ended?;
        Ok(rows)
    }

    async fn promote_alone(
        &mut self,
        helper: &mut Self,
        tenant: &str,
        entity: &str,
        progress: &mut impl FnMut(Moving),
    ) -> Result<u64, Error> {
        let (model, entity) = self.moved_entity(entity).await?;
        if !own::searched(&entity) {
            return Err(Refusal::new(
                Code::Usage,
                "a partition of its own does nothing for an entity without vectors that can have an index",
            )
            .detail(entity.name.as_str())
            .into());
        }
        let mut tell = |step, done, total, tries| progress(Moving { step, done, total, tries });
        let mut place = self.place(tenant, &entity.name).await?;
        if place.state == "own" {
            return self.count(&entity, &place).await;
        }
        if place.state == "moving" {
            end_others(&mut self.session, &place.suffix).await?;
            // A table of this name is there with all that belongs to it, or nothing is.
            let own = Own::new(&entity, &place.suffix, &place.tenant);
            let rows = self
                .session
                .select(DOING, "select to_regclass($1) is not null", &[Some(&own.name())])
                .await?;
            if rows.first().and_then(|row| row.bool(0)) != Some(true) {
                self.undo(&own, &place.tenant, &place.suffix).await?;
                place = self.place(tenant, &entity.name).await?;
            }
        }
        tell("beginning", 0, 0, 0);
        self.let_workers_name_tenants(&model).await?;
        if place.state == "shelf" {
            place.suffix = new_suffix();
            self.begin_move(&entity, &mut place).await?;
        }
        let own = Own::new(&entity, &place.suffix, &place.tenant);
        let remainder = self.remainder(&own, &place.tenant).await?;
        let leaf = own.leaf(remainder);
        let named = format!("set application_name = '{}'", worker_name(&place.suffix));
        helper.session.batch(&named).await.map_err(|error| explain(DOING, error))?;

        let total = self.count(&entity, &place).await?;
        helper.copy(&own, &place, &leaf, |done| tell("copying", done, total, 0)).await?;
        self.tend_graphs_of(helper, &own, total, |done, total| tell("indexing", done, total, 0))
            .await?;
        tell("catching up", 0, 0, 0);
        helper.catch_up(&own, &place, &leaf, FEW).await?;
        for step in own.keep_away(remainder) {
            let [drop, add, validate] = step;
            in_turn(&mut self.session, &as_owner(vec![drop, add])).await?;
            in_turn(&mut self.session, &as_owner(vec![validate])).await?;
        }
        let vacuum = format!("vacuum (analyze) {}", own.name());
        helper.session.batch(&vacuum).await.map_err(|error| explain(DOING, error))?;
        let rows = self
            .join(helper, &own, &place, &leaf, &model, |tries| tell("joining", 0, 0, tries))
            .await?;
        tell("done", rows, rows, 0);
        Ok(rows)
    }

    async fn begin_move(&mut self, entity: &Entity, place: &mut Place) -> Result<(), Error> {
        let own = Own::new(entity, &place.suffix, &place.tenant);
        let remainder = self.remainder(&own, &place.tenant).await?;
        let mut statements = as_owner(own.begin(remainder));
        statements.push("set local role freehold_gate".into());
        statements.push(format!(
            "delete from freehold.move_queue where tenant_id = '{0}' and entity = '{1}'; \
             insert into freehold.placement (tenant_id, entity, state, step, suffix) values ('{0}', '{1}', 'moving', 'copying', '{2}') \
             on conflict (tenant_id, entity) do update set state = 'moving', step = 'copying', suffix = excluded.suffix, since = now()",
            place.tenant, entity.name, place.suffix
        ));
        place.state = "moving".into();
        place.step = "copying".into();
        in_turn(&mut self.session, &statements).await
    }

    /// Copies what is on the leaf, page by page in the order of ids, from where an earlier move has left off.
    async fn copy(
        &mut self,
        own: &Own<'_>,
        place: &Place,
        leaf: &str,
        mut progress: impl FnMut(u64),
    ) -> Result<(), Error> {
        let Some(from) = place.step.strip_prefix("copying") else { return Ok(()) };
        let mut last = from.trim().to_owned();
        let mut done = 0;
        let columns = own.columns();
        loop {
            let after = if last.is_empty() { String::new() } else { format!("and id > '{last}'") };
            // Locked against changes, so that a change that waits finds the row in the copy.
            let text = format!(
                "with page as materialized (select {columns} from {leaf} where tenant_id = '{tenant}' {after} order by id limit {PAGE} for share), \
                 put as (insert into {copy} ({columns}) select {columns} from page on conflict do nothing) \
                 select count(*), (array_agg(id::text order by id desc))[1] from page",
                tenant = place.tenant,
                copy = own.name(),
            );
            let (rows, end) = self.page(&text, place).await?;
            done += rows;
            progress(done);
            match end {
                Some(end) => last = end,
                None => return Ok(()),
            }
        }
    }

    async fn page(&mut self, text: &str, place: &Place) -> Result<(u64, Option<String>), Error> {
        for tries in 1.. {
            let session = &mut self.session;
            let tried = async {
                session.batch(&format!("begin; {}", super::LOCK_WAIT)).await?;
                let messages = session.simple(text).await?;
                let found = messages.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => {
                        Some((row.get(0)?.parse().ok()?, row.get(1).map(str::to_owned)))
                    }
                    _ => None,
                });
                let (rows, end): (u64, Option<String>) = found.unwrap_or_default();
                let step = end.as_ref().map_or("indexing".into(), |end| format!("copying {end}"));
                session
                    .batch(&format!(
                        "update freehold.placement set step = '{step}' where suffix = '{}'; commit",
                        place.suffix
                    ))
                    .await?;
                Ok((rows, end))
            };
            let error: tokio_postgres::Error = match tried.await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
            if !gives_way(&error) || tries == super::TRIES {
                return Err(explain(DOING, error));
            }
            rest(tries).await;
        }
        Err(Fault::new(DOING, "no page").into())
    }

    /// Copies again what was noted, until less than `enough` is: writers may note as fast as this works.
    pub(super) async fn catch_up(
        &mut self,
        own: &Own<'_>,
        place: &Place,
        leaf: &str,
        enough: u64,
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            match self.catch_up_once(own, place, leaf).await {
                Ok(rows) if rows < enough => return Ok(()),
                Ok(_) => tries = 0,
                Err(error) => {
                    self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
                    tries += 1;
                    if !gives_way(&error) || tries == super::TRIES {
                        return Err(explain(DOING, error));
                    }
                    rest(tries).await;
                }
            }
        }
    }

    // Three statements, each with a snapshot of its own: what the notes were made for is seen by those that come after.
    async fn catch_up_once(
        &mut self,
        own: &Own<'_>,
        place: &Place,
        leaf: &str,
    ) -> Result<u64, tokio_postgres::Error> {
        let (columns, copy, tenant) = (own.columns(), own.name(), &place.tenant);
        self.session.batch(&format!("begin; {}", super::LOCK_WAIT)).await?;
        let text = format!(
            "with due as (delete from freehold.move_queue where n = any (array(select q.n from freehold.move_queue q join freehold.placement p \
             on p.tenant_id = q.tenant_id and p.entity = q.entity where p.suffix = '{}' order by q.n limit {NOTES})) returning id) \
             select count(*), array_agg(distinct id)::text from due",
            place.suffix
        );
        let messages = self.session.simple(&text).await?;
        let found = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((row.get(0)?.parse().ok()?, ids(row.get(1))))
            }
            _ => None,
        });
        let (count, due): (u64, String) = found.unwrap_or_default();
        if count > 0 {
            self.session
                .batch(&format!(
                    "delete from {copy} where tenant_id = '{tenant}' and id = any ('{due}'::uuid[])"
                ))
                .await?;
            self.session
                .batch(&format!(
                    "insert into {copy} ({columns}) select {columns} from {leaf} \
                     where tenant_id = '{tenant}' and id = any ('{due}'::uuid[]) for share on conflict do nothing"
                ))
                .await?;
        }
        self.session.batch("commit").await?;
        Ok(count)
    }

    /// Rows of the tenant, wherever they are.
    pub(super) async fn count(&mut self, entity: &Entity, place: &Place) -> Result<u64, Error> {
        let text = format!(
            "select count(*) from app.\"{}\" where tenant_id = '{}'::uuid",
            entity.name, place.tenant
        );
        let rows = self.session.select(DOING, &text, &[]).await?;
        let count = rows.first().and_then(|row| row.int(0)).and_then(|n| u64::try_from(n).ok());
        Ok(count.ok_or_else(|| Fault::new(DOING, "no count"))?)
    }
}

/// Whether somebody else was faster or is in the way: a row that is referred to may be gone by the time its row is copied.
fn gives_way(error: &tokio_postgres::Error) -> bool {
    is_in_the_way(error) || error.code().is_some_and(|state| state.code() == "23503")
}
