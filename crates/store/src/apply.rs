//! Carrying out a plan: on a live server, one at a time, and again where it was interrupted.

use std::time::Duration;

use aws_lc_rs::digest;
use freehold_model::{
    Code, Model, Name, Refusal,
    plan::{Action, Plan, Step},
};

use crate::{
    error::{Error, Fault},
    key::hex,
    operator::Operator,
    platform::in_gates_name,
    refusal::explain,
    session::Session,
};

// Held by the session that applies, for as long as it does.
const LOCK: i64 = 0x6672_6565_6170_6c79;

// Partitions of tenants' own follow their tables, whatever those are called now; what was placed knows the names.
const CARRIED: &str = "with place as (select p.tenant_id, p.entity, p.suffix, r.relname from freehold.placement p \
    left join (pg_class c join pg_inherits i on i.inhrelid = c.oid join pg_class r on r.oid = i.inhparent) \
    on c.relnamespace = 'freehold_shelf'::regnamespace and c.relname like '%~' || p.suffix and c.relkind = 'r' where p.state = 'own'), \
    gone as (delete from freehold.placement p using place where p.suffix = place.suffix and place.relname is null), \
    renamed as (update freehold.placement p set entity = place.relname from place where p.suffix = place.suffix and place.relname <> place.entity returning 1) \
    select nextval('freehold.placement_change') where exists (select from place where relname is distinct from entity)";

/// How often a step is tried again when others hold what it needs: about two minutes in all.
const TRIES: u32 = 24;

/// What is to be applied.
#[derive(Debug, Clone, Copy)]
pub struct Apply<'a> {
    /// The way there.
    pub plan: &'a Plan,
    /// The version the plan starts from; 0 where no model is applied.
    pub from_version: i64,
    /// The new model, in whose words broken rules are told.
    pub model: &'a Model,
    /// Its text, which is recorded at the end.
    pub text: &'a str,
    /// The flags of destructive steps that may be done.
    pub allowed: &'a [String],
}

/// What an interrupted apply was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The version it started from; 0 where no model was applied.
    pub from_version: i64,
    /// The text of the model it was to reach.
    pub text: String,
    /// Steps that are done.
    pub done: usize,
    /// All its steps.
    pub total: usize,
}

/// A step that is being done.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Which, counted from 1.
    pub number: usize,
    /// Of how many.
    pub total: usize,
    /// What it does.
    pub step: &'a Step,
    /// 0 for the first try; more when others hold what it needs.
    pub tries: u32,
}

/// What the engine has to fill before the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// Of which entity.
    pub entity: Name,
    /// By which vector field of the new model.
    pub field: Name,
    /// The column, wherever it is null.
    pub column: String,
}

/// What the engine has to do between two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chore {
    /// To fill vectors.
    Fill(Filling),
    /// To fill the table of a read model that is being built, until it follows every tenant's changes.
    Build(Building),
}

/// A read model that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Building {
    /// Which.
    pub read: Name,
    /// Which of its definitions.
    pub version: i32,
    /// About how many rows the table has that is read meanwhile; 0 if nobody knows.
    pub about: u64,
}

impl Operator {
    /// The apply that was interrupted, if one was.
    ///
    /// # Errors
    /// `Server` if Freehold is not set up.
    pub async fn unfinished_apply(&mut self) -> Result<Option<Unfinished>, Error> {
        Ok(self.run_under_way().await?.map(|(run, _)| run))
    }

    /// Carries the plan out and records the model; says its version. Interrupted, it goes on after the last step that was
    /// done when it is called again with the same plan.
    ///
    /// # Errors
    /// `ApplyConflict` if another apply runs, the model changed or another one is unfinished; `Destructive`; whatever the
    /// rows break, with the steps before it done.
    pub async fn apply(
        &mut self,
        wanted: Apply<'_>,
        mut chore: impl AsyncFnMut(&Chore) -> Result<(), Error>,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<i64, Error> {
        let forbidden: Vec<&str> = wanted
            .plan
            .destructive()
            .into_iter()
            .filter(|flag| !wanted.allowed.iter().any(|a| a == flag))
            .collect();
        if !forbidden.is_empty() {
            return Err(Refusal::new(Code::Destructive, "the plan would destroy data")
                .detail(forbidden.join(", "))
                .hint("allow each step by its name if that is what you want")
                .into());
        }
        let doing = "waiting for a turn to apply";
        take_turn(&mut self.session, doing).await?;
        let applied = self.apply_alone(wanted, &mut chore, &mut progress).await;
        let ended = end_turn(&mut self.session, doing).await;
        let version = applied?;
        ended.map(|()| version)
    }

    async fn apply_alone(
        &mut self,
        wanted: Apply<'_>,
        chore: &mut impl AsyncFnMut(&Chore) -> Result<(), Error>,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<i64, Error> {
        let checksum = checksum(&wanted);
        self.undo_moves(None).await?;
        let done = self.start(&wanted, &checksum).await?;
        let total = wanted.plan.steps.len();
        for (at, step) in wanted.plan.steps.iter().enumerate().skip(done) {
            let mut tell = |tries| progress(Progress { number: at + 1, total, step, tries });
            tell(0);
            let finished = match &step.action {
                Action::Transaction(statements) => {
                    self.in_one_transaction(statements, at + 1, &mut tell).await
                }
                Action::Concurrently(statements) => {
                    self.outside_transactions(statements, at + 1, &mut tell).await
                }
                Action::Fill { entity, field, column } => {
                    let filling = Filling {
                        entity: entity.clone(),
                        field: field.clone(),
                        column: column.clone(),
                    };
                    chore(&Chore::Fill(filling)).await?;
                    self.note(at + 1).await
                }
                Action::Build { read } => {
                    let building = self.begin_building(wanted.model, read).await?;
                    chore(&Chore::Build(building)).await?;
                    self.note(at + 1).await
                }
            };
            finished.map_err(|error| in_step(step, error.refine(wanted.model)))?;
        }
        self.finish(&wanted, &checksum).await
    }

    // How many steps are done already.
    async fn start(&mut self, wanted: &Apply<'_>, checksum: &str) -> Result<usize, Error> {
        let current = self.current_model().await?.map_or(0, |(version, _)| version);
        if let Some((run, its_checksum)) = self.run_under_way().await? {
            if its_checksum == checksum && run.from_version == current {
                return Ok(run.done);
            }
            if run.done == 0 {
                // Nothing of it was done, so it can be forgotten.
                self.as_gate("delete from freehold.apply_run where steps_done = 0", &[]).await?;
                return Box::pin(self.start(wanted, checksum)).await;
            }
            return Err(conflict("another apply was interrupted and has to be finished first")
                .detail(format!("{} of {} steps are done", run.done, run.total))
                .hint("apply the model file it was begun with again, or `freehold apply --resume`")
                .into());
        }
        self.demand_no_rebuild().await?;
        if current != wanted.from_version {
            return Err(conflict("the model changed since the plan was made")
                .hint("plan again")
                .into());
        }
        if self.places().await? != wanted.plan.places {
            return Err(conflict(
                "a slice or a tenant's partition has come or gone since the plan was made",
            )
            .hint("plan again")
            .into());
        }
        let text = "insert into freehold.apply_run (base_version, checksum, text, steps_total) \
                    values ($1::text::bigint, $2, $3, $4::text::integer)";
        let (version, total) = (current.to_string(), wanted.plan.steps.len().to_string());
        self.as_gate(text, &[Some(&version), Some(checksum), Some(wanted.text), Some(&total)])
            .await?;
        Ok(0)
    }

    pub(crate) async fn run_under_way(&mut self) -> Result<Option<(Unfinished, String)>, Error> {
        let text =
            "select base_version, text, steps_done, steps_total, checksum from freehold.apply_run";
        let rows = self.as_gate(text, &[]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let count =
            |i| row.int(i).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let run = Unfinished {
            from_version: row.int(0).unwrap_or_default(),
            text: row.text(1).unwrap_or_default().to_owned(),
            done: count(2),
            total: count(3),
        };
        Ok(Some((run, row.text(4).unwrap_or_default().to_owned())))
    }

    async fn in_one_transaction(
        &mut self,
        statements: &[String],
        done: usize,
        tell: &mut impl FnMut(u32),
    ) -> Result<(), Error> {
        let note = format!("update freehold.apply_run set steps_done = {done}, touched_at = now()");
        self.transact(statements, &note, tell).await
    }

    /// Statements in the name of `freehold_owner` and a note in the gate's, in one transaction that is tried again when
    /// others are in the way.
    pub(crate) async fn transact(
        &mut self,
        statements: &[String],
        note: &str,
        tell: &mut impl FnMut(u32),
    ) -> Result<(), Error> {
        let doing = "applying a step";
        for tries in 1.. {
            let session = &mut self.session;
            let tried = async {
                // Whoever waits for a lock makes everybody behind it wait, too; so not for long.
                session
                    .batch(
                        "begin; set local role freehold_owner; set local lock_timeout = '2s'; \
                         set local freehold.applying = 'on'",
                    )
                    .await?;
                for statement in statements {
                    session.batch(statement).await?;
                }
                session.batch(&format!("set local role freehold_gate; {note}")).await?;
                session.batch("commit").await
            };
            let Err(error) = tried.await else { return Ok(()) };
            self.session.batch("rollback").await.map_err(|error| explain(doing, error))?;
            if !is_in_the_way(&error) || tries == TRIES {
                return Err(explain(doing, error));
            }
            tell(tries);
            rest(tries).await;
        }
        Ok(())
    }

    async fn outside_transactions(
        &mut self,
        statements: &[String],
        done: usize,
        tell: &mut impl FnMut(u32),
    ) -> Result<(), Error> {
        let doing = "applying a step";
        for tries in 1.. {
            let session = &mut self.session;
            let tried = async {
                // Building concurrently waits for transactions to end without holding others up; it may wait longer.
                session.batch("set role freehold_owner").await?;
                session.batch("set lock_timeout = '60s'").await?;
                for statement in statements {
                    session.batch(statement).await?;
                }
                Ok(())
            };
            let tried: Result<(), tokio_postgres::Error> = tried.await;
            let reset = self.session.batch("reset role; reset lock_timeout").await;
            let Err(error) = tried else {
                reset.map_err(|error| explain(doing, error))?;
                return self.note(done).await;
            };
            if !is_in_the_way(&error) || tries == TRIES {
                return Err(explain(doing, error));
            }
            reset.map_err(|error| explain(doing, error))?;
            tell(tries);
            rest(tries).await;
        }
        Ok(())
    }

    async fn note(&mut self, done: usize) -> Result<(), Error> {
        let text =
            "update freehold.apply_run set steps_done = $1::text::integer, touched_at = now()";
        self.as_gate(text, &[Some(&done.to_string())]).await.map(drop)
    }

    async fn finish(&mut self, wanted: &Apply<'_>, checksum: &str) -> Result<i64, Error> {
        // What a fill left empty, because its tenant was suspended or its row changed meanwhile, is for the workers.
        let note = "insert into freehold.embedding_due (tenant_id, entity, field) select id, $1, $2 from freehold.tenant \
                    on conflict do nothing";
        for step in &wanted.plan.steps {
            if let Action::Fill { entity, field, .. } = &step.action {
                self.as_gate(note, &[Some(entity), Some(field)]).await?;
            }
        }
        self.as_gate(CARRIED, &[]).await?;
        let text = "with ended as (delete from freehold.apply_run) \
                    insert into freehold.model_version (text, checksum) values ($1, $2) returning version";
        let rows =
            in_gates_name(&mut self.session, text, &[Some(wanted.text), Some(checksum)]).await?;
        let version = rows.first().and_then(|row| row.int(0));
        Ok(version.ok_or_else(|| Fault::new("recording the model", "no version"))?)
    }
}

/// One apply at a time, and none while a tenant is moved.
pub(crate) async fn take_turn(session: &mut Session, doing: &'static str) -> Result<(), Error> {
    let text = format!("select pg_try_advisory_lock({LOCK})");
    let rows = session.select(doing, &text, &[]).await?;
    if rows.first().and_then(|row| row.bool(0)) == Some(true) {
        return Ok(());
    }
    Err(conflict("another apply or rebuild is running, or a tenant is being moved")
        .hint("wait until it has ended")
        .into())
}

/// Ends what [`take_turn`] began.
pub(crate) async fn end_turn(session: &mut Session, doing: &'static str) -> Result<(), Error> {
    let unlocked = session.batch(&format!("reset role; select pg_advisory_unlock({LOCK})")).await;
    unlocked.map_err(|error| explain(doing, error))
}

fn checksum(wanted: &Apply<'_>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [wanted.text, "\0", &wanted.plan.render()] {
        context.update(part.as_bytes());
    }
    hex(context.finish().as_ref())
}

pub(crate) fn is_in_the_way(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| matches!(state.code(), "55P03" | "40P01" | "40001"))
}

pub(crate) async fn rest(tries: u32) {
    tokio::time::sleep(Duration::from_millis(100 << tries.min(5))).await;
}

fn in_step(step: &Step, error: Error) -> Error {
    match error {
        Error::Refused(refusal) => {
            let place = format!("step “{}”", step.title);
            let detail = refusal
                .detail
                .as_ref()
                .map_or(place.clone(), |detail| format!("{detail}; {place}"));
            Error::Refused(refusal.detail(detail))
        }
        other => other,
    }
}

pub(crate) fn conflict(message: &str) -> Refusal {
    Refusal::new(Code::ApplyConflict, message)
}
