//! One transaction that moves a projection on.

use std::collections::{HashMap, VecDeque};

use freehold_model::{Code, Name, Sql};

use super::{
    Projection,
    due::count,
    image::{Change, Images, changes},
};
use crate::{
    error::{Error, Fault},
    param::list,
    refusal::explain,
    role::Role,
    row::Row,
    session::Stumble,
    store::Store,
    tx::TenantTx,
};

/// A transaction in which a projection moves on: one snapshot, as `freehold_project`, behind the tenant's wall. Dropped, it
/// never was; after an error nothing but dropping it is of use.
pub struct Step {
    pub(super) tx: TenantTx,
    store: Store,
    pub(super) projection: Projection,
    phase: Phase,
    sources: Vec<String>,
    since: String,
    any_parked: bool,
    pub(super) resumed: bool,
    pub(super) images: u64,
    // For each list of entities that was asked for: the number of its last change that was handed out.
    read: HashMap<String, i64>,
    // The first changes of all entities, which came with the projection.
    ahead: VecDeque<(u64, Change)>,
}

/// Takes a projection, and reads the first of what it has not seen: most steps have no more than that.
const TAKE: &str = "select s.state, s.since, s.changes, s.place, s.sources, s.parked, c.seq, c.entity, c.op, c.n, c.fields, c.links \
                    from freehold.step($1, $2::text::integer, $3::text::bigint) s \
                    left join freehold.changes(case when s.state = 'steady' and $3 is null then s.since end, s.sources, 0, $4::text::bigint) c on true \
                    order by c.seq";

const FINISH: &str =
    "select freehold.step_done($1, $2::text::integer, $3::text::boolean, $4::text::bigint)::text";

/// Images that are read with the projection.
const AHEAD: &str = "100";

/// What a projection needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Rows for every unit there is: it is new, or its entities were emptied at once. It goes on after this unit.
    Fill(Option<Vec<String>>),
    /// To follow this many images.
    Steady(u64),
    /// To go on with a window that another worker began and left: these texts are the units that are left, one after the
    /// other, each with as many as a unit has columns.
    Window(Vec<String>),
}

impl Store {
    /// Takes the projection for one step. `None` if another worker has it, or had it a moment ago.
    ///
    /// # Errors
    /// `NoSuchTenant`, `TenantSuspended`; a fault if no such read model is kept.
    pub async fn step(&self, projection: &Projection) -> Result<Option<Step>, Error> {
        self.take(projection, None).await
    }

    pub(super) async fn take(
        &self,
        projection: &Projection,
        turn: Option<i64>,
    ) -> Result<Option<Step>, Error> {
        match self.try_to_take(projection, turn).await {
            // Somebody has stepped between this transaction's snapshot and the lock.
            Err(Error::Refused(refusal)) if refusal.code == Code::TryAgain => Ok(None),
            taken => taken,
        }
    }

    async fn try_to_take(
        &self,
        projection: &Projection,
        turn: Option<i64>,
    ) -> Result<Option<Step>, Error> {
        let doing = "taking a projection";
        let mut lease = self.worker().await?;
        let call = self.0.feed.minter.opening(
            Role::Writer,
            projection.tenant.id(),
            uuid::Uuid::nil(),
            lease.backend(),
        );
        let opening = format!("begin isolation level repeatable read; {call}");
        let (version, turn) = (projection.version.to_string(), turn.map(|turn| turn.to_string()));
        let params =
            [Some(projection.model.as_str()), Some(&version), turn.as_deref(), Some(AHEAD)];
        let statement = self.in_time(lease.statement(TAKE)).await?;
        let statement = statement.map_err(|error| explain(doing, error))?;
        let taken = self.in_time(lease.begin(&opening, &statement, &params)).await?;
        if let Err(Stumble::Opening(error)) = taken {
            return Err(self.not_opened(&projection.tenant, error));
        }
        let mut tx =
            TenantTx::new(lease, self.0.patience, self.workers_wording(&projection.tenant));
        let rows = taken.map_err(|stumble| explain(doing, stumble.into_error()))?;
        let row = rows.first().ok_or_else(|| Fault::new(doing, "no row"))?;
        let phase = match row.text(0) {
            Some("steady") => Phase::Steady(count(row, 2)),
            Some("fill") => Phase::Fill(row.texts(3).map(present)),
            Some("window") => Phase::Window(row.texts(3).map(present).unwrap_or_default()),
            Some("missing") if turn.is_none() => {
                let text = "select freehold.projection_start($1, $2::text::integer)";
                let rows = tx.ask("starting a projection", text, &params[..2]).await?;
                if rows.first().and_then(|row| row.bool(0)) != Some(true) {
                    // Another one has taken its place.
                    tx.roll_back().await?;
                    return Ok(None);
                }
                Phase::Fill(None)
            }
            _ => {
                tx.commit().await?;
                return Ok(None);
            }
        };
        let ahead = rows.iter().filter(|row| row.int(6).is_some());
        let ahead =
            changes(ahead, 6).ok_or_else(|| Fault::new(doing, "a row without its fields"))?;
        Ok(Some(Step {
            tx,
            store: self.clone(),
            projection: projection.clone(),
            resumed: turn.is_some() || matches!(phase, Phase::Window(_)),
            phase,
            sources: row.texts(4).map(present).unwrap_or_default(),
            since: row.text(1).unwrap_or_default().to_owned(),
            any_parked: row.bool(5).unwrap_or_default(),
            images: 0,
            read: HashMap::new(),
            ahead,
        }))
    }
}

impl Step {
    /// What the projection needs.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether there may be more to follow after it than it sees: a very long window is cut between two transactions, and
    /// what another worker left may have been.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.since.contains(' ') || matches!(self.phase, Phase::Window(_))
    }

    /// The next images of one entity, about `most` of them and at most 250 more; `None` once there are no more.
    ///
    /// # Errors
    /// A fault if changes were noted without one of `links`.
    pub async fn images(
        &mut self,
        entity: &str,
        links: &[Name],
        most: usize,
    ) -> Result<Option<Images>, Error> {
        let changes = self.read(&list([entity]), most).await?;
        if changes.is_empty() { Ok(None) } else { Images::of(changes, links).map(Some) }
    }

    /// Whether [`Step::changes`] has handed out everything there is to be followed.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.phase, Phase::Steady(all) if self.images >= all)
    }

    /// The next changes of all entities that the read model reads, in order, with about `most` images.
    ///
    /// # Errors
    /// Faults only.
    pub async fn changes(&mut self, most: usize) -> Result<Vec<Change>, Error> {
        let entities = list(self.sources.iter().map(String::as_str));
        if self.ahead.is_empty() {
            return self.read(&entities, most).await;
        }
        let mut room = most as u64;
        let mut fits = |(count, _): &(u64, Change)| {
            let fits = room > 0;
            room = room.saturating_sub(*count);
            fits
        };
        let some = self.ahead.iter().take_while(|ahead| fits(ahead)).count();
        let some: Vec<_> = self.ahead.drain(..some).collect();
        Ok(self.hand_out(&entities, some))
    }

    async fn read(&mut self, entities: &str, most: usize) -> Result<Vec<Change>, Error> {
        let doing = "reading changes";
        if self.since.is_empty() {
            return Ok(Vec::new());
        }
        let behind = self.read.get(entities).copied().unwrap_or_default();
        let text = "select seq, entity, op, n, fields, links \
                    from freehold.changes($1, $2::text::text[], $3::text::bigint, $4::text::bigint)";
        let (after, most) = (behind.to_string(), most.to_string());
        let params = [Some(self.since.as_str()), Some(entities), Some(&after), Some(&most)];
        let rows = self.tx.ask(doing, text, &params).await?;
        let read: Option<Vec<_>> = changes(rows.iter(), 0);
        let read = read.ok_or_else(|| Fault::new(doing, "a row without its fields"))?;
        Ok(self.hand_out(entities, read))
    }

    fn hand_out(
        &mut self,
        entities: &str,
        read: impl IntoIterator<Item = (u64, Change)>,
    ) -> Vec<Change> {
        let (counts, changes): (Vec<u64>, Vec<Change>) = read.into_iter().unzip();
        self.images += counts.iter().sum::<u64>();
        if let Some(last) = changes.last() {
            self.read.insert(entities.to_owned(), last.number);
        }
        changes
    }

    /// Runs one of the compiler's statements.
    ///
    /// # Errors
    /// What the statement breaks.
    pub async fn query(&mut self, sql: &Sql) -> Result<Vec<Row>, Error> {
        self.tx.query(sql).await
    }

    /// PostgreSQL's own state of the statement that failed in this step.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.tx.state()
    }

    /// Parks a unit that fails with this error, of which PostgreSQL said this state: it is tried again later, and shown
    /// until then.
    ///
    /// # Errors
    /// Faults only.
    pub async fn park(
        &mut self,
        unit: &[String],
        error: &Error,
        sqlstate: Option<&str>,
    ) -> Result<(), Error> {
        let (state, words) = error.of_postgres();
        let state = sqlstate.map_or(state, str::to_owned);
        self.any_parked = true;
        let text = "select freehold.park($1, $2::text::integer, $3::text::text[], $4, $5)::text";
        let (version, unit) = (self.version(), list(unit.iter().map(String::as_str)));
        let params = [&*self.projection.model, &version, &unit, &state, &words].map(Some);
        self.tx.ask("parking a unit", text, &params).await.map(drop)
    }

    /// Takes a unit that was parked out again.
    ///
    /// # Errors
    /// Faults only.
    pub async fn unpark(&mut self, unit: &[String]) -> Result<(), Error> {
        let text = "select freehold.unpark($1, $2::text::integer, $3::text::text[])::text";
        let (version, unit) = (self.version(), list(unit.iter().map(String::as_str)));
        let params = [&*self.projection.model, &version, &unit].map(Some);
        self.tx.ask("taking a unit out", text, &params).await.map(drop)
    }

    /// Parked units, at most so many, and whether their time has come to be tried again; those first whose it is soonest.
    ///
    /// # Errors
    /// Faults only.
    pub async fn parked(&mut self, most: usize) -> Result<Vec<(Vec<String>, bool)>, Error> {
        if !self.any_parked {
            return Ok(Vec::new());
        }
        let text =
            "select unit, due from freehold.parked_due($1, $2::text::integer, $3::text::bigint)";
        let (version, most) = (self.version(), most.to_string());
        let params = [&*self.projection.model, &version, &most].map(Some);
        let rows = self.tx.ask("looking for parked units", text, &params).await?;
        let parked = rows.iter().filter_map(|row| Some((present(row.texts(0)?), row.bool(1)?)));
        Ok(parked.collect())
    }

    /// Gives it up, and waits until the projection is free again.
    ///
    /// # Errors
    /// Faults only.
    pub async fn give_up(self) -> Result<(), Error> {
        self.tx.roll_back().await
    }

    /// Ends the window: all its images count as seen. Without a call of [`Step::images`] that said `None` for each entity,
    /// changes are lost.
    ///
    /// # Errors
    /// A fault if the projection is to be filled first; `TryAgain` if another worker was faster.
    pub async fn finish(self) -> Result<(), Error> {
        self.demand_steady()?;
        let params = self.finishing();
        let params = params.each_ref().map(|param| Some(param.as_str()));
        self.commit_with("finishing a step", FINISH, &params).await.map(drop)
    }

    /// [`Step::finish`] after one of the compiler's statements, sent together with it. If that fails, the projection is free
    /// again.
    ///
    /// # Errors
    /// What the statement breaks; as [`Step::finish`].
    pub async fn finish_with(self, sql: &Sql) -> Result<(), Error> {
        self.demand_steady()?;
        let params = self.finishing();
        let params = params.each_ref().map(|param| Some(param.as_str()));
        self.tx.commit_after(sql, "finishing a step", FINISH, &params).await?;
        self.store.0.feed.stepped.notify_waiters();
        Ok(())
    }

    fn finishing(&self) -> [String; 4] {
        let model = self.projection.model.clone();
        [model, self.version(), self.resumed.to_string(), self.images.to_string()]
    }

    /// Ends one transaction of a fill, of so many `units`: it has rows for all of them up to `after`, or for all there are.
    ///
    /// # Errors
    /// As [`Step::finish`].
    pub async fn filled(self, after: Option<&[String]>, units: usize) -> Result<(), Error> {
        let text = "select freehold.step_filled($1, $2::text::integer, $3::text::text[], $4::text::boolean, $5::text::bigint)::text";
        let (version, whole) = (self.version(), after.is_none().to_string());
        let place = after.map(|unit| list(unit.iter().map(String::as_str)));
        let model = self.projection.model.clone();
        let units = units.to_string();
        let params = [Some(&*model), Some(&version), place.as_deref(), Some(&whole), Some(&units)];
        self.commit_with("noting how far a fill is", text, &params).await.map(drop)
    }

    pub(super) async fn commit_with(
        self,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        let rows = self.tx.commit_with(doing, text, params).await?;
        self.store.0.feed.stepped.notify_waiters();
        Ok(rows)
    }

    pub(super) fn demand_steady(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Steady(_) | Phase::Window(_) => Ok(()),
            Phase::Fill(_) => {
                Err(Fault::new("finishing a step", "the projection is to be filled first").into())
            }
        }
    }

    pub(super) fn version(&self) -> String {
        self.projection.version.to_string()
    }
}

pub(super) fn present(texts: Vec<Option<String>>) -> Vec<String> {
    texts.into_iter().flatten().collect()
}
