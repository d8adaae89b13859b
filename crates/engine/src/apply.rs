//! Applying a model: what the file says becomes what the database is.
//!
//! read → the recorded model → plan → (print) → run the steps → record. What is printed is what runs.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use freehold_model::{
    Model,
    ddl::own::Places,
    declare,
    diagnostic::Diagnostic,
    plan::{self, Plan, Target},
};
use freehold_store::{Apply, Chore, Filling, Operator, Progress as Step, Store};

use crate::{
    Engine, Snapshot,
    embed::Embedders,
    error::{Code, Error, Refusal},
    project::{BuildProgress, Throttle},
    recorded,
};

/// A model file, read and compared with what is applied.
pub struct Proposal {
    /// The file's text.
    pub text: String,
    /// The model it declares.
    pub model: Model,
    /// What applying it would do.
    pub plan: Plan,
    /// The recorded version the plan starts from; 0 if none.
    pub from_version: i64,
    /// Whether the text is the applied one to the letter.
    pub unchanged: bool,
}

/// What is heard of an apply while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A step begins: its number from 1, how many there are, and its title.
    Step(usize, usize, String),
    /// A step waits for a lock and is tried again; the attempt, from 1.
    Waiting(u32),
    /// So many more vectors were filled.
    Filled(u64),
    /// How far the read model under way is filled.
    Built(BuildProgress),
}

/// Reads a model file.
///
/// # Errors
/// Every problem in it.
pub fn check(text: &str) -> Result<declare::Checked, Vec<Diagnostic>> {
    declare::read(text)
}

/// Compares a model file with what is applied.
///
/// # Errors
/// `Model` with the number of problems if the file has any (use [`check`] to show them), or for a change PostgreSQL
/// cannot make; faults.
pub async fn propose(operator: &mut Operator, text: String) -> Result<Proposal, Error> {
    let model = match declare::read(&text) {
        Ok(checked) => checked.model,
        Err(problems) => {
            return Err(Refusal::new(
                Code::Model,
                format!("the model file has {} problems", problems.len()),
            )
            .hint("`freehold check` shows them")
            .into());
        }
    };
    let applied = if operator.is_set_up().await? { operator.current_model().await? } else { None };
    let unchanged = applied.as_ref().is_some_and(|(_, applied)| *applied == text);
    let places = if applied.is_some() { operator.places().await? } else { Places::default() };
    let (from_version, old) = match applied {
        Some((version, text)) => (version, recorded(&text)?),
        None => (0, Model::default()),
    };
    let target = Target { major: operator.check_server().await?.major };
    let plan = plan::plan_with(&old, &model, target, &places).map_err(|refusals| all(&refusals))?;
    Ok(Proposal { text, model, plan, from_version, unchanged })
}

/// Gives up an apply that was interrupted, if all it did was to build read models; says how many of its steps were taken
/// back, or nothing if none was interrupted.
///
/// # Errors
/// `ApplyConflict` if one runs, or a step cannot be taken back; faults.
pub async fn cancel(operator: &mut Operator) -> Result<Option<usize>, Error> {
    let Some(unfinished) = operator.unfinished_apply().await? else { return Ok(None) };
    let proposal = propose(operator, unfinished.text).await?;
    operator.cancel_apply(&proposal.plan, |_| {}).await.map(Some)
}

/// Runs a proposal; destructive steps only if `allow` names their flags.
///
/// # Errors
/// `Destructive` for steps not allowed, `ApplyConflict` if another apply runs or ran meanwhile or one with another
/// file was interrupted; what the data refuses; faults. Finished steps stay; running it again goes on after them.
pub async fn apply(
    operator: &mut Operator,
    store: &Store,
    base_dir: &Path,
    proposal: &Proposal,
    allow: &[String],
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<i64, Error> {
    apply_throttled(operator, store, base_dir, proposal, allow, Throttle::None, progress).await
}

/// The same, building read models no faster than `throttle` says.
///
/// # Errors
/// As [`apply`].
pub async fn apply_throttled(
    operator: &mut Operator,
    store: &Store,
    base_dir: &Path,
    proposal: &Proposal,
    allow: &[String],
    throttle: Throttle,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<i64, Error> {
    if proposal.unchanged && proposal.plan.is_empty() {
        return Ok(proposal.from_version);
    }
    let embedders = Embedders::new(&proposal.model, base_dir)?;
    let snapshot = Snapshot {
        version: proposal.from_version,
        model: proposal.model.clone(),
        exposed: String::new(),
        embedders,
    };
    let engine = Engine::with_snapshot(store.clone(), base_dir.to_owned(), snapshot);
    let tenants = operator.active_tenants().await?;
    let wanted = Apply {
        plan: &proposal.plan,
        from_version: proposal.from_version,
        model: &proposal.model,
        text: &proposal.text,
        allowed: allow,
    };
    let heard = Mutex::new(progress);
    let tell = |progress| (heard.lock().unwrap_or_else(PoisonError::into_inner))(progress);
    let fill = async |filling: &Filling| {
        let names = (&*filling.entity, &*filling.field);
        for tenant in &tenants {
            let mut filled = |rows| tell(Progress::Filled(rows));
            engine
                .fill_column(&engine.snapshot(), tenant, names, Some(&filling.column), &mut filled)
                .await?;
        }
        Ok(())
    };
    let chore = async |chore: &Chore| match chore {
        Chore::Fill(filling) => fill(filling).await,
        Chore::Build(building) => {
            let mut built = |progress| tell(Progress::Built(progress));
            engine.build(building, throttle, &mut built).await
        }
    };
    let step = |step: Step<'_>| {
        tell(match step.tries {
            0 => Progress::Step(step.number, step.total, step.step.title.clone()),
            tries => Progress::Waiting(tries),
        });
    };
    operator.apply(wanted, chore, step).await
}

/// The model that is applied now.
pub(crate) async fn recorded_model(operator: &mut Operator) -> Result<Model, Error> {
    match operator.current_model().await? {
        Some((_, text)) => recorded(&text),
        None => Ok(Model::default()),
    }
}

/// Gives tenants' own partitions the indexes of the applied model; what is missing there is searched exactly meanwhile.
///
/// # Errors
/// Faults only; running it again goes on.
pub async fn tend_graphs(operator: &mut Operator, helper: &mut Operator) -> Result<(), Error> {
    operator.tend_graphs(helper, |_, _| ()).await
}

fn all(refusals: &[Refusal]) -> Error {
    let first = &refusals[0];
    let mut refusal = first.clone();
    if refusals.len() > 1 {
        let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        refusal.message = format!("{} changes cannot be made", refusals.len());
        refusal.detail = Some(lines.join("; "));
    }
    refusal.into()
}
