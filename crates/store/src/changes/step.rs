//! One transaction that moves a projection on.

use std::collections::HashMap;

use freehold_model::{Code, Name, Sql};

use super::{Projection, due::count};
use crate::{
    error::{Error, Fault},
    param::list,
    role::Role,
    row::Row,
    store::{Store, Wording},
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
}

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

/// Images of changed rows of one entity, as texts: for each link a list, all of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// One list for each link that was asked for, in that order.
    pub links: Vec<Vec<Option<String>>>,
}

impl Images {
    /// Those of changes of one entity.
    ///
    /// # Errors
    /// A fault if changes were noted without one of `links`.
    pub fn of(changes: Vec<Change>, links: &[Name]) -> Result<Self, Error> {
        let mut images = Self { count: 0, links: vec![Vec::new(); links.len()] };
        for mut change in changes {
            images.count += change.images.first().map_or(0, Vec::len);
            for (link, all) in links.iter().zip(&mut images.links) {
                let at = change.fields.iter().position(|field| **field == **link);
                let at = at.ok_or_else(|| {
                    let what = format!("{} was noted without {}", change.entity, &**link);
                    Fault::new("reading changes", what)
                })?;
                all.append(&mut change.images[at]);
            }
        }
        Ok(images)
    }
}

/// A row of the change log: what one statement did to one entity of the tenant, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Grows with the order in which changes depend on one another.
    pub number: i64,
    /// Of which entity.
    pub entity: String,
    /// `i` for insert, `u` for update, `d` for delete.
    pub kind: char,
    /// The fields that `images` have.
    pub fields: Vec<String>,
    /// The values of each field in all images; for an update the old rows' and the new rows'.
    pub images: Vec<Vec<Option<String>>>,
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
        let opened = self.in_time(lease.batch(&opening)).await?;
        opened.map_err(|error| self.not_opened(&projection.tenant, error))?;
        let mut tx = TenantTx::new(lease, self.0.patience, Wording::default());
        let text = "select state, since, changes, place, sources, parked \
                    from freehold.step($1, $2::text::integer, $3::text::bigint)";
        let (version, turn) = (projection.version.to_string(), turn.map(|turn| turn.to_string()));
        let params = [Some(projection.model.as_str()), Some(&version), turn.as_deref()];
        let rows = tx.ask(doing, text, &params).await?;
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
        }))
    }
}

impl Step {
    /// What the projection needs.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
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
        self.read(&list(self.sources.iter().map(String::as_str)), most).await
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
        let changes: Option<Vec<Change>> = rows.iter().map(change).collect();
        let changes = changes.ok_or_else(|| Fault::new(doing, "a row without its fields"))?;
        if let Some(last) = changes.last() {
            self.read.insert(entities.to_owned(), last.number);
        }
        self.images += rows.iter().map(|row| count(row, 3)).sum::<u64>();
        Ok(changes)
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
    pub async fn finish(mut self) -> Result<(), Error> {
        self.demand_steady()?;
        let text = "select freehold.step_done($1, $2::text::integer, $3::text::boolean, $4::text::bigint)::text";
        let (version, images) = (self.version(), self.images.to_string());
        let resumed = self.resumed.to_string();
        let params = [&*self.projection.model, &version, &resumed, &images].map(Some);
        self.tx.ask("finishing a step", text, &params).await?;
        self.commit().await
    }

    /// Ends one transaction of a fill, of so many `units`: it has rows for all of them up to `after`, or for all there are.
    ///
    /// # Errors
    /// As [`Step::finish`].
    pub async fn filled(mut self, after: Option<&[String]>, units: usize) -> Result<(), Error> {
        let text = "select freehold.step_filled($1, $2::text::integer, $3::text::text[], $4::text::boolean, $5::text::bigint)::text";
        let (version, whole) = (self.version(), after.is_none().to_string());
        let place = after.map(|unit| list(unit.iter().map(String::as_str)));
        let model = self.projection.model.clone();
        let units = units.to_string();
        let params = [Some(&*model), Some(&version), place.as_deref(), Some(&whole), Some(&units)];
        self.tx.ask("noting how far a fill is", text, &params).await?;
        self.commit().await
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.tx.commit().await?;
        self.store.0.feed.stepped.notify_waiters();
        Ok(())
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

fn change(row: &Row) -> Option<Change> {
    let fields = present(row.texts(4)?);
    let mut links = row.texts(5)?.into_iter();
    let each = usize::try_from(row.int(3)?).ok()?;
    let images: Vec<Vec<_>> = fields.iter().map(|_| links.by_ref().take(each).collect()).collect();
    let whole = images.iter().all(|image| image.len() == each) && links.next().is_none();
    whole.then_some(Change {
        number: row.int(0)?,
        entity: row.text(1)?.to_owned(),
        kind: row.text(2)?.chars().next()?,
        fields,
        images,
    })
}

fn present(texts: Vec<Option<String>>) -> Vec<String> {
    texts.into_iter().flatten().collect()
}
