//! The one moment at which a copy takes the shelf's place.
//!
//! Whoever reads goes on while the last changes are copied and the shelf's rows deleted; they wait for the rest, which
//! changes the catalogue and reads one leaf. Transactions that saw the database before the copy was complete would find
//! it incomplete, so they are waited for before anything is changed.

use std::time::{Duration, Instant};

use freehold_model::{Code, Model, Refusal, ddl::own::Own};

use super::{CHANGED, DOING, LOCK_WAIT, Place, as_owner, promote::FEW};
use crate::{
    apply::{is_in_the_way, rest},
    error::{Error, Fault},
    operator::Operator,
    refusal::explain,
};

/// How often joining is tried.
const TRIES: u32 = 60;

/// How long writers to the leaf are held up for older transactions to end.
const OLDER: Duration = Duration::from_millis(1_500);

/// Longest look through the leaf for which readers are made to wait.
const LOOK_MAX: Duration = Duration::from_secs(3);

enum Stop {
    Sql(tokio_postgres::Error),
    Ours(Error),
    /// Older transactions are still there.
    Older,
}

impl From<tokio_postgres::Error> for Stop {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Operator {
    pub(super) async fn join(
        &mut self,
        helper: &mut Self,
        own: &Own<'_>,
        place: &Place,
        leaf: &str,
        model: &Model,
        mut progress: impl FnMut(u32),
    ) -> Result<u64, Error> {
        self.look_through(leaf).await?;
        for tries in 1..=TRIES {
            progress(tries);
            helper.catch_up(own, place, leaf, FEW).await?;
            let tried = self.join_once(helper, own, place, leaf, model).await;
            let stop = match tried {
                Ok(rows) => return Ok(rows),
                Err(stop) => stop,
            };
            self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
            match stop {
                Stop::Older => {}
                Stop::Sql(error) if is_in_the_way(&error) => {}
                Stop::Sql(error) => return Err(explain(DOING, error)),
                Stop::Ours(error) => return Err(error),
            }
            rest(tries.min(4)).await;
        }
        Err(Refusal::new(
            Code::TryAgain,
            "others were in the way for too long; the shelf serves on",
        )
        .hint("the same command goes on from here; long transactions have to end first")
        .into())
    }

    async fn join_once(
        &mut self,
        helper: &mut Self,
        own: &Own<'_>,
        place: &Place,
        leaf: &str,
        model: &Model,
    ) -> Result<u64, Stop> {
        let (tenant, copy) = (&place.tenant, own.name());
        let session = &mut self.session;
        session.batch(&format!("begin; {LOCK_WAIT}")).await?;
        session.batch(&own.hold_writers()).await?;
        helper.catch_up(own, place, leaf, 1).await?;
        helper.outlast_older(session.backend()).await?;
        let copied = helper.rows_in(&copy).await?;
        // References do not act on what is only moved, and no trigger takes it for a change.
        session.batch("set local session_replication_role = replica").await?;
        let messages = session
            .simple(&format!("with gone as (delete from {leaf} where tenant_id = '{tenant}' returning 1) select count(*) from gone"))
            .await?;
        let gone = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u64>().ok(),
            _ => None,
        });
        if gone != Some(copied) {
            let detail = format!("{copied} rows are copied of {}", gone.unwrap_or_default());
            let wrong: Error = Fault::new(DOING, detail).into();
            return Err(wrong.into());
        }
        session.batch("set local session_replication_role = origin").await?;
        for statement in as_owner(own.locks(model)).iter().chain(&own.join()) {
            session.batch(statement).await?;
        }
        session
            .batch(&format!(
                "reset role; update freehold.placement set state = 'own', step = null, rows = {copied}, bytes = pg_total_relation_size('{copy}'), \
                 since = now(), counted_at = now() where suffix = '{}'; {CHANGED}; commit",
                place.suffix
            ))
            .await?;
        Ok(copied)
    }

    /// Waits until no transaction is left that saw the database before now, so that all see the copy as it is. Reads are
    /// not held up meanwhile. Writers that wait for `mover` have not begun: they see what is there when they do.
    async fn outlast_older(&mut self, mover: i32) -> Result<(), Stop> {
        let text = "select coalesce(string_agg(concat_ws('/', pid, xact_start, backend_xmin), ','), '') from pg_stat_activity \
                    where datname = current_database() and backend_xmin is not null and not $2::text::integer = any (pg_blocking_pids(pid)) and pid <> pg_backend_pid() and backend_type <> 'autovacuum worker' \
                    and ($1 = '' or concat_ws('/', pid, xact_start, backend_xmin) = any (string_to_array($1, ',')))";
        let begun = Instant::now();
        let mut older = String::new();
        loop {
            let rows =
                self.session.select(DOING, text, &[Some(&older), Some(&mover.to_string())]).await?;
            older = rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned();
            if older.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > OLDER {
                return Err(Stop::Older);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn rows_in(&mut self, table: &str) -> Result<u64, Error> {
        let rows =
            self.session.select(DOING, &format!("select count(*) from {table}"), &[]).await?;
        let count = rows.first().and_then(|row| row.int(0)).and_then(|n| u64::try_from(n).ok());
        Ok(count.ok_or_else(|| Fault::new(DOING, "no count"))?)
    }

    /// PostgreSQL reads the tenant's leaf once while everybody waits. Read now, it is in memory then; and if it takes long,
    /// it is not done.
    async fn look_through(&mut self, leaf: &str) -> Result<(), Error> {
        let text = format!("select count(*) from {leaf} where tenant_id = '{}'", uuid::Uuid::nil());
        let mut took = Duration::MAX;
        for _ in 0..2 {
            let begun = Instant::now();
            let looked = self
                .session
                .batch(&format!(
                    "begin; set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off; \
                     set local max_parallel_workers_per_gather = 0; {text}; commit"
                ))
                .await;
            looked.map_err(|error| explain(DOING, error))?;
            took = took.min(begun.elapsed());
        }
        if took > LOOK_MAX {
            return Err(Refusal::new(Code::Server, "moving would hold everybody up for too long")
                .detail(format!(
                    "PostgreSQL reads the tenant's shelf, which takes {:.1} s, while readers wait",
                    took.as_secs_f64()
                ))
                .hint("the tenant stays on the shelf")
                .into());
        }
        Ok(())
    }
}
