//! Running a plan: one step after the other, each recorded in the transaction that makes it, so that an apply that is
//! interrupted goes on where it was.

use std::time::Duration;

use aws_lc_rs::digest;
use freehold_model::{
    Code, Refusal,
    plan::{Action, Plan, Step},
};

use super::Operator;
use crate::{
    error::{Error, Fault},
    key::hex,
    refusal::explain,
    store::Tenant,
};

const DOING: &str = "applying the model";

/// Serialises applies of one database, for as long as the operator's connection lives.
const LOCK: i64 = 0x66_72_65_65_68_6f_6c_65;

/// Longest wait for a lock in one attempt: whoever queues behind us waits as long.
const LOCK_TIMEOUT: &str = "2s";

/// Attempts at a step that waits for a lock.
const ATTEMPTS_MAX: u32 = 30;

/// An apply under way. Dropped before [`ApplyRun::finish`], it is interrupted: the steps that are done stay done.
pub struct ApplyRun<'a> {
    operator: &'a mut Operator,
    plan: &'a Plan,
    text: &'a str,
    done: usize,
}

impl Operator {
    /// Begins to apply `text`, by a plan made from the model of version `base`; `allow` names the flags of destructive
    /// steps that may run.
    ///
    /// # Errors
    /// `Destructive` if a flag is not allowed; `ApplyConflict` if another apply is running, has changed the model since
    /// `base`, or was interrupted on the way to another model.
    pub async fn begin_apply<'a>(
        &'a mut self,
        plan: &'a Plan,
        text: &'a str,
        base: i64,
        allow: &[String],
    ) -> Result<ApplyRun<'a>, Error> {
        let forbidden: Vec<&str> =
            plan.destructive().into_iter().filter(|flag| !allow.iter().any(|allowed| allowed == flag)).collect();
        if !forbidden.is_empty() {
            let hint: Vec<String> = forbidden.iter().map(|flag| format!("--allow {flag}")).collect();
            return Err(Refusal::new(Code::Destructive, "this would destroy data")
                .detail(forbidden.join(", "))
                .hint(format!("if that is what you want: {}", hint.join(" ")))
                .into());
        }
        let lock = self.session.select(DOING, "select pg_try_advisory_lock($1::text::bigint)", &[Some(&LOCK.to_string())]).await?;
        if lock.first().and_then(|row| row.bool(0)) != Some(true) {
            return Err(Refusal::new(Code::ApplyConflict, "another apply is running").hint("wait until it is done").into());
        }
        let begun = self.take_up(plan, text, base).await;
        match begun {
            Ok(done) => Ok(ApplyRun { operator: self, plan, text, done }),
            Err(error) => {
                self.unlock().await?;
                Err(error)
            }
        }
    }

    /// The text of the model that an interrupted apply was on the way to.
    ///
    /// # Errors
    /// Faults only.
    pub async fn interrupted_apply(&mut self) -> Result<Option<String>, Error> {
        let rows = self.as_gate("select text from freehold.apply_run", &[]).await?;
        Ok(rows.first().and_then(|row| row.text(0)).map(str::to_owned))
    }

    async fn take_up(&mut self, plan: &Plan, text: &str, base: i64) -> Result<usize, Error> {
        let now = self.current_model().await?.map_or(0, |(version, _)| version);
        if now != base {
            return Err(Refusal::new(Code::ApplyConflict, "the model was changed by another apply")
                .detail(format!("the plan is from version {base}, the database has {now}"))
                .hint("look at the plan again")
                .into());
        }
        let checksum = checksum(plan, text);
        let found = "select checksum, steps_done::bigint, steps_total::bigint from freehold.apply_run";
        if let Some(row) = self.as_gate(found, &[]).await?.first() {
            let (done, total) = (row.int(1).unwrap_or_default(), row.int(2).unwrap_or_default());
            if row.text(0) == Some(checksum.as_str()) {
                return usize::try_from(done).map_err(|error| Fault::new(DOING, error).into());
            }
            return Err(Refusal::new(Code::ApplyConflict, "an apply of another model was interrupted")
                .detail(format!("after {done} of {total} steps"))
                .hint("finish it with `freehold apply --resume`, then apply this one")
                .into());
        }
        let begin = "insert into freehold.apply_run (base_version, checksum, text, steps_total) \
                     values ($1::text::bigint, $2, $3, $4::text::integer)";
        let params = [base.to_string(), checksum, text.to_owned(), plan.steps.len().to_string()];
        self.as_gate(begin, &params.each_ref().map(|param| Some(param.as_str()))).await?;
        Ok(0)
    }

    async fn unlock(&mut self) -> Result<(), Error> {
        let lock = LOCK.to_string();
        self.session.select(DOING, "select pg_advisory_unlock($1::text::bigint)::text", &[Some(&lock)]).await.map(drop)
    }
}

impl<'a> ApplyRun<'a> {
    /// The next step and its number, from 1; `None` when all are done.
    #[must_use]
    pub fn next_step(&self) -> Option<(usize, &'a Step)> {
        self.plan.steps.get(self.done).map(|step| (self.done + 1, step))
    }

    /// Runs the next step; `heard` is told of each attempt that waited for a lock in vain. A fill is only noted as done:
    /// whoever calls has done it.
    ///
    /// # Errors
    /// What the rows that are there refuse; `TryAgain` if the locks never come; faults.
    pub async fn step(&mut self, heard: &mut (dyn FnMut(u32) + Send)) -> Result<(), Error> {
        let Some((number, step)) = self.next_step() else { return Ok(()) };
        let mut attempt = 0;
        loop {
            let Err(error) = self.attempt(number, step).await else { break };
            let waited = error.code().is_some_and(|state| ["55P03", "40P01"].contains(&state.code()));
            attempt += 1;
            if !waited || attempt == ATTEMPTS_MAX {
                return Err(blamed(step, number, explain(DOING, error)));
            }
            heard(attempt);
            tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 200)).await;
        }
        self.done = number;
        Ok(())
    }

    /// Every tenant that can be worked in.
    ///
    /// # Errors
    /// Faults only.
    pub async fn tenants(&mut self) -> Result<Vec<Tenant>, Error> {
        let text = "select id::text, name from freehold.tenant where state = 'active' order by id";
        let rows = self.operator.as_gate(text, &[]).await?;
        let tenant = |row: &crate::Row| Some(Tenant::new(row.text(0)?.parse().ok()?, row.text(1)?.to_owned()));
        Ok(rows.iter().filter_map(tenant).collect())
    }

    /// Records the model; gives its version. Vectors that are still empty after a fill, because their tenant was away
    /// or their row changed, are left to the workers.
    ///
    /// # Errors
    /// Faults only.
    pub async fn finish(self) -> Result<i64, Error> {
        for step in &self.plan.steps {
            if let Action::Fill { entity, field, .. } = &step.action {
                let text = "insert into freehold.embedding_due (tenant_id, entity, field) select id, $1, $2 from freehold.tenant \
                            on conflict do nothing";
                self.operator.as_gate(text, &[Some(entity), Some(field)]).await?;
            }
        }
        let text = "with run as (delete from freehold.apply_run returning text, checksum) \
                    insert into freehold.model_version (text, checksum) select text, checksum from run returning version";
        let rows = self.operator.as_gate(text, &[]).await?;
        let version = rows.first().and_then(|row| row.int(0)).ok_or_else(|| Fault::new(DOING, "no version was recorded"))?;
        self.operator.unlock().await?;
        tracing::info!(version, bytes = self.text.len(), "model applied");
        Ok(version)
    }

    async fn attempt(&mut self, number: usize, step: &Step) -> Result<(), tokio_postgres::Error> {
        let session = &mut self.operator.session;
        // The names in generated expressions are qualified; pgvector's operators are found by the path.
        let settings = format!("lock_timeout = '{LOCK_TIMEOUT}'");
        let tried = match &step.action {
            Action::Transaction(statements) => {
                let mut tried = session.batch(&format!("begin; set local role freehold_owner; set local {settings}")).await;
                for statement in statements {
                    if tried.is_err() {
                        break;
                    }
                    tried = session.batch(statement).await;
                }
                tried
            }
            Action::Concurrently(statements) => {
                let mut tried = session.batch(&format!("set role freehold_owner; set {settings}")).await;
                for statement in statements {
                    if tried.is_err() {
                        break;
                    }
                    tried = session.batch(statement).await;
                }
                session.batch("reset role; reset lock_timeout").await?;
                match tried {
                    Ok(()) => session.batch("begin").await,
                    failed => return failed,
                }
            }
            Action::Fill { .. } => session.batch("begin").await,
        };
        let recorded = match tried {
            Ok(()) => {
                let note = format!(
                    "set local role freehold_gate; update freehold.apply_run set steps_done = {number}, touched_at = now(); commit"
                );
                session.batch(&note).await
            }
            failed => failed,
        };
        if recorded.is_err() {
            session.batch("rollback").await?;
        }
        recorded
    }
}

fn checksum(plan: &Plan, text: &str) -> String {
    let both = format!("{text}\n{}", plan.render());
    hex(digest::digest(&digest::SHA256, both.as_bytes()).as_ref())
}

/// Says which step the rows refused, and that the ones before it stay.
fn blamed(step: &Step, number: usize, error: Error) -> Error {
    let refusal = match error {
        Error::Refused(refusal) => refusal,
        Error::Violated(violation) => violation.refusal(),
        fault => return fault,
    };
    let detail = refusal.detail.map_or(String::new(), |detail| format!(", {detail}"));
    Refusal::new(refusal.code, format!("step {number} cannot be made: {}", step.title))
        .detail(format!("{}{detail}", refusal.message))
        .hint("the steps before it are done; mend the rows and apply again: it goes on there")
        .into()
}
