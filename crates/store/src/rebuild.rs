//! Read models that are built beside those that are read: begun, put in their place, given up.
//!
//! The table and the projector of one that is rebuilt come in one transaction, take their places in another, or go in one;
//! so after an interruption the projector that is not served says everything: it is there, then the rebuild goes on.

use freehold_model::{
    Model, Name, Refusal,
    plan::{Action, Plan, next_table},
    view::ReadModel,
};

use crate::{
    apply::{Building, conflict, end_turn, take_turn},
    error::{Error, Fault},
    operator::Operator,
    param::list,
};

/// How a rebuild was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What is to be filled.
    pub building: Building,
    /// Whether it goes on with one that was interrupted.
    pub resumed: bool,
}

impl Operator {
    /// Makes a table beside that of a read model that is served, of the same definition, and a projector for it; or finds
    /// those of a rebuild that was interrupted. `waiting` hears of each try while others hold what it needs. From now on
    /// until the connection ends no other operator changes tables.
    ///
    /// # Errors
    /// `ApplyConflict` if another apply or rebuild runs, or an apply was interrupted, or the read model was never built;
    /// faults.
    pub async fn begin_rebuild(
        &mut self,
        read: &ReadModel,
        mut waiting: impl FnMut(u32),
    ) -> Result<Begun, Error> {
        take_turn(&mut self.session, "waiting for a turn to rebuild").await?;
        if self.run_under_way().await?.is_some_and(|(run, _)| run.done > 0) {
            return Err(conflict("an apply was interrupted and has to be finished first")
                .hint("`freehold apply --resume`, or `freehold apply --cancel`")
                .into());
        }
        let found = self.beside(read).await?;
        if !found.served {
            return Err(conflict("the read model is not there, or has another definition by now")
                .detail(read.name().to_string())
                .hint("`freehold apply` builds what is not there yet; else try again")
                .into());
        }
        let resumed = found.version.is_some();
        if !resumed {
            let table = next_table(read.name());
            let mut statements = vec![format!("drop table if exists app.{}", ident(&table))];
            statements.extend(read.create_table(&table));
            statements.push(format!(
                "select freehold.projector_begin({}, {}::text[], {})",
                literal(read.name()),
                literal(&sources(read)),
                literal(&crate::changes::identity(read)),
            ));
            self.transact(&statements, "select", &mut waiting).await?;
        }
        let version = self.beside(read).await?.version;
        let version = version.ok_or_else(|| Fault::new("beginning a rebuild", "no projector"))?;
        let about = self.about_rows(read).await?;
        Ok(Begun { building: Building { read: read.name().clone(), version, about }, resumed })
    }

    /// Puts the table that was built in the place of the one that is read, and drops that, in one transaction.
    ///
    /// # Errors
    /// `ApplyConflict` if it was given up meanwhile; faults.
    pub async fn finish_rebuild(
        &mut self,
        read: &ReadModel,
        mut waiting: impl FnMut(u32),
    ) -> Result<(), Error> {
        let (name, next) = (read.name(), next_table(read.name()));
        let mut statements = vec![
            format!("select freehold.projector_serve({})", literal(name)),
            read.drop_table(name),
        ];
        statements.extend(read.rename_table(&next, name));
        let finished = self.transact(&statements, "select", &mut waiting).await;
        if finished.is_err() && self.beside(read).await?.version.is_none() {
            return Err(given_up(name).into());
        }
        finished?;
        end_turn(&mut self.session, "ending a turn to rebuild").await
    }

    /// Gives a rebuild up, also one that another process is at: that one hears of it. Says whether there was one.
    ///
    /// # Errors
    /// `ApplyConflict` if it belongs to an apply; faults.
    pub async fn cancel_rebuild(
        &mut self,
        read: &Name,
        mut waiting: impl FnMut(u32),
    ) -> Result<bool, Error> {
        if self.run_under_way().await?.is_some_and(|(run, _)| run.done > 0) {
            return Err(conflict("it is being built by an apply")
                .hint(
                    "`freehold apply --cancel` gives that up, as long as it has only been building",
                )
                .into());
        }
        if !self.rebuilding().await?.iter().any(|name| name == &**read) {
            return Ok(false);
        }
        self.transact(&abandon(read), "select", &mut waiting).await?;
        Ok(true)
    }

    /// Gives up an apply that was interrupted, if all it has done so far was to build read models: what it made goes, and
    /// the change log carries what it carried before. Says how many steps were taken back.
    ///
    /// # Errors
    /// `ApplyConflict` if another runs, or a step that was done cannot be taken back; faults.
    pub async fn cancel_apply(
        &mut self,
        plan: &Plan,
        mut waiting: impl FnMut(u32),
    ) -> Result<usize, Error> {
        take_turn(&mut self.session, "waiting for a turn to rebuild").await?;
        let done = self.run_under_way().await?.map_or(0, |(run, _)| run.done);
        let mut statements = Vec::new();
        for (at, step) in plan.steps.iter().enumerate().take(done + 1).rev() {
            match &step.undo {
                Some(undo) if at < done => statements.extend(undo.iter().cloned()),
                // Of one that is not done a transaction leaves nothing, and a build what the step before it takes back.
                _ if at == done && is_whole(&step.action) => {}
                _ => return Err(cannot_be_taken_back(&step.title).into()),
            }
        }
        self.transact(&statements, "delete from freehold.apply_run", &mut waiting).await?;
        end_turn(&mut self.session, "ending a turn to rebuild").await?;
        Ok(done)
    }

    /// Makes a read model known to workers, to be built beside the one that is served.
    ///
    /// # Errors
    /// Faults only.
    pub async fn begin_building(&mut self, model: &Model, read: &Name) -> Result<Building, Error> {
        let doing = "beginning to build a read model";
        let Some(read) = model.read(read) else {
            return Err(Fault::new(doing, "there is no such read model").into());
        };
        let (sources, identity) = (sources(read), crate::changes::identity(read));
        let text = "select freehold.projector_begin($1, $2::text::text[], $3)";
        let rows =
            self.as_gate(text, &[Some(read.name()), Some(&sources), Some(&identity)]).await?;
        let version = rows.first().and_then(|row| row.int(0)).and_then(|v| i32::try_from(v).ok());
        let version = version.ok_or_else(|| Fault::new(doing, "no version"))?;
        let about = self.about_rows(read).await?;
        Ok(Building { read: read.name().clone(), version, about })
    }

    /// Refuses while a rebuild is begun and not finished.
    pub(crate) async fn demand_no_rebuild(&mut self) -> Result<(), Error> {
        let Some(read) = self.rebuilding().await?.into_iter().next() else { return Ok(()) };
        let hint = format!(
            "`freehold rebuild {read}` goes on, `freehold rebuild {read} --cancel` gives it up"
        );
        Err(conflict("a rebuild was interrupted and has to be finished or given up first")
            .detail(read)
            .hint(hint)
            .into())
    }

    // Read models that are built beside those that are served. An apply's are among them while one is under way.
    async fn rebuilding(&mut self) -> Result<Vec<String>, Error> {
        let text = "select model from freehold.projector where not served order by model";
        let rows = self.as_gate(text, &[]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect())
    }

    async fn beside(&mut self, read: &ReadModel) -> Result<Beside, Error> {
        let text = "select coalesce(bool_or(served and identity = $2), false), \
                    (max(version) filter (where not served and identity = $2))::bigint \
                    from freehold.projector where model = $1";
        let identity = crate::changes::identity(read);
        let rows = self.as_gate(text, &[Some(read.name()), Some(&identity)]).await?;
        let row = rows.first();
        Ok(Beside {
            served: row.and_then(|row| row.bool(0)) == Some(true),
            version: row.and_then(|row| row.int(1)).and_then(|version| version.try_into().ok()),
        })
    }

    // As the server guesses: nobody counts all tenants' rows for a progress bar.
    async fn about_rows(&mut self, read: &ReadModel) -> Result<u64, Error> {
        let text = "select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint \
                    from pg_partition_tree(to_regclass($1)) t join pg_class c on c.oid = t.relid where t.isleaf";
        let table = format!("app.{}", ident(read.name()));
        let rows = self.session.select("asking how big a table is", text, &[Some(&table)]).await?;
        Ok(rows.first().and_then(|row| row.int(0)).and_then(|n| n.try_into().ok()).unwrap_or(0))
    }
}

struct Beside {
    served: bool,
    version: Option<i32>,
}

/// What whoever fills it says when it is not there any more.
#[must_use]
pub fn given_up(read: &Name) -> Refusal {
    conflict("the build was given up meanwhile").detail(read.to_string())
}

/// The entities it reads, as an array.
pub(crate) fn sources(read: &ReadModel) -> String {
    list(read.sources().iter().map(|source| &*source.entity))
}

// Whether an interruption leaves nothing of it.
fn is_whole(action: &Action) -> bool {
    matches!(action, Action::Transaction(_) | Action::Build { .. })
}

fn cannot_be_taken_back(step: &str) -> Refusal {
    conflict("this apply cannot be given up")
        .detail(format!("step “{step}” has begun and cannot be taken back"))
        .hint("`freehold apply --resume` finishes it; then apply what you want instead")
}

fn abandon(read: &Name) -> Vec<String> {
    vec![
        format!("select freehold.projector_abandon({})", literal(read)),
        format!("drop table if exists app.{}", ident(&next_table(read))),
    ]
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
