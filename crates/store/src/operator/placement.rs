//! Placement: which tenants have partitions of their own, by whose decision, and the way there and back.

mod cost;
mod decide;
mod demote;
mod graphs;
mod policy;
mod promote;
mod swap;

pub use decide::{DISPLACES, Decision};
pub use policy::{Limit, Origin, Policy};

use freehold_model::{
    Code, Model, Name, Refusal,
    ddl::own::{Own, Places},
    declare,
    entity::Entity,
};
use uuid::Uuid;

use super::{Operator, tenants::missing};
use crate::{
    apply::{self, is_in_the_way, rest},
    error::{Error, Fault},
    param,
    refusal::explain,
    session::Session,
};

const DOING: &str = "moving a tenant";

/// How often a step is tried again when others hold what it needs: about a minute in all.
const TRIES: u32 = 40;

/// Longest wait for a lock. Whoever waits for one makes everybody behind it wait, too; and it must be shorter than the
/// second after which PostgreSQL looks for deadlocks, so that the mover is who gives way.
pub(super) const LOCK_WAIT: &str = "set local lock_timeout = '300ms'";

/// What is known of where a tenant's rows are.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The tenant's name.
    pub tenant: String,
    /// The entity.
    pub entity: String,
    /// `shelf`, `moving` or `own`.
    pub state: String,
    /// While moving, what was last done.
    pub step: Option<String>,
    /// `own` or `shelf` if somebody decided it; workers decide otherwise.
    pub pinned: Option<String>,
    /// Rows when they were last counted.
    pub rows: Option<u64>,
    /// Milliseconds that measuring all of them takes, by what a row of the entity takes here; unknown until workers measured it.
    pub exact_ms: Option<f64>,
    /// Bytes of its partition with all indexes.
    pub bytes: Option<u64>,
    /// Since when it is in this state; RFC 3339 in UTC.
    pub since: String,
    /// Whether it would have a partition if the entity had not as many as it may have.
    pub waits: bool,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moving {
    /// `beginning`, `copying`, `indexing`, `catching up`, `joining`, `leaving` or `done`.
    pub step: &'static str,
    /// Rows, or whatever the step counts.
    pub done: u64,
    /// Of how many; 0 if nobody knows.
    pub total: u64,
    /// How often it was tried because others were in the way.
    pub tries: u32,
}

/// A tenant and an entity, found in the database.
struct Place {
    tenant: String,
    state: String,
    step: String,
    suffix: String,
}

impl Operator {
    /// All placements that are not simply shelves, and those that were counted; of one tenant, or of all.
    ///
    /// # Errors
    /// `NoSuchTenant`.
    pub async fn placed(&mut self, tenant: Option<&str>) -> Result<Vec<Placed>, Error> {
        let text = "select t.name, p.entity, p.state, p.step, p.pinned, p.rows, p.bytes, \
                    to_char(p.since, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), (p.rows * c.row_ns / 1e6)::text, \
                    p.state = 'shelf' and p.pinned is distinct from 'shelf' and t.state = 'active' \
                      and (select count(*) from freehold.placement o where o.entity = p.entity and o.state <> 'shelf') >= y.own_max \
                      and coalesce(p.pinned = 'own' or p.rows >= coalesce(y.promote_rows, y.exact_ms * 1e6 / c.row_ns), false) \
                    from freehold.placement p cross join freehold.placement_policy y \
                    join freehold.tenant t on t.id = p.tenant_id left join freehold.placement_cost c on c.entity = p.entity \
                    where $1::text is null or t.name = $1 order by t.name, p.entity";
        let rows = self.as_gate(text, &[tenant]).await?;
        if let (Some(name), true) = (tenant, rows.is_empty()) {
            let known = "select from freehold.tenant where name = $1 and state <> 'deleting'";
            if self.as_gate(known, &[Some(name)]).await?.is_empty() {
                return Err(missing(name).into());
            }
        }
        let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let placed = rows.iter().map(|row| Placed {
            tenant: row.text(0).unwrap_or_default().to_owned(),
            entity: row.text(1).unwrap_or_default().to_owned(),
            state: row.text(2).unwrap_or_default().to_owned(),
            step: owned(row.text(3)),
            pinned: owned(row.text(4)),
            rows: count(row.int(5)),
            exact_ms: row.text(8).and_then(|ms| ms.parse().ok()),
            bytes: count(row.int(6)),
            since: row.text(7).unwrap_or_default().to_owned(),
            waits: row.bool(9) == Some(true),
        });
        Ok(placed.collect())
    }

    /// Decides where a tenant's rows of an entity stay: `own`, `shelf`, or by what the workers measure. Moves nothing.
    ///
    /// # Errors
    /// `NoSuchTenant`, `NoSuchEntity`.
    pub async fn pin_placement(
        &mut self,
        tenant: &str,
        entity: &str,
        pinned: Option<&str>,
    ) -> Result<(), Error> {
        self.moved_entity(entity).await?;
        let text = "insert into freehold.placement (tenant_id, entity, pinned) select id, $2, $3 from freehold.tenant \
                    where name = $1 on conflict (tenant_id, entity) do update set pinned = excluded.pinned returning 1::bigint";
        match self.as_gate(text, &[Some(tenant), Some(entity), pinned]).await?.first() {
            Some(_) => Ok(()),
            None => Err(missing(tenant).into()),
        }
    }

    /// The partitions of tenants' own, and slices of time, for plans that carry them along.
    ///
    /// # Errors
    /// Faults only.
    pub async fn places(&mut self) -> Result<Places, Error> {
        let there = "select to_regclass('freehold.placement') is not null";
        let rows = self.session.select(DOING, there, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) != Some(true) {
            return Ok(Places::default());
        }
        let text = "select entity, suffix from freehold.placement where state = 'own' union all \
                    select r.relname::text, substr(c.relname::text, length(r.relname::text) + 2) from pg_class r \
                    join pg_inherits i on i.inhparent = r.oid join pg_class c on c.oid = i.inhrelid \
                    where r.relnamespace = 'app'::regnamespace and r.relkind = 'p' and pg_get_expr(c.relpartbound, c.oid) ~ '^FOR VALUES FROM' order by 1, 2";
        let rows = self.as_gate(text, &[]).await?;
        let pair = |row: &crate::row::Row| Some((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        Ok(Places::new(rows.iter().filter_map(pair)))
    }

    /// Undoes what interrupted moves have left, of one tenant (by id) or of all.
    ///
    /// # Errors
    /// Faults, if others hold what is to be removed for too long.
    pub(crate) async fn undo_moves(&mut self, tenant: Option<&str>) -> Result<(), Error> {
        let text = "select tenant_id::text, entity, suffix from freehold.placement where state = 'moving' \
                    and ($1::text is null or tenant_id = $1::text::uuid)";
        let rows = self.as_gate(text, &[tenant]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (_, model) = self.read_model().await?;
        for row in &rows {
            let (tenant, entity) =
                (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
            let suffix = row.text(2).unwrap_or_default();
            if let Some(entity) = model.entity(entity) {
                self.undo(&Own::new(entity, suffix, tenant), tenant, suffix).await?;
            }
        }
        Ok(())
    }

    /// Drops the partitions of a tenant whose rows are gone.
    pub(super) async fn drop_partitions(&mut self, tenant: &str) -> Result<(), Error> {
        let text = "select entity, suffix from freehold.placement where state = 'own' and tenant_id = $1::text::uuid";
        let rows = self.as_gate(text, &[Some(tenant)]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (_, model) = self.read_model().await?;
        for row in &rows {
            let suffix = row.text(1).unwrap_or_default();
            let Some(entity) = row.text(0).and_then(|entity| model.entity(entity)) else {
                continue;
            };
            let own = Own::new(entity, suffix, tenant);
            let mut statements = as_owner(demote::locks(&own, entity, &model));
            statements.extend(own.leave());
            statements.push("set local role freehold_gate".into());
            statements.push(format!("delete from freehold.placement where suffix = '{suffix}'"));
            statements.push(CHANGED.into());
            in_turn(&mut self.session, &statements).await?;
        }
        Ok(())
    }

    async fn undo(&mut self, own: &Own<'_>, tenant: &str, suffix: &str) -> Result<(), Error> {
        end_others(&mut self.session, suffix).await?;
        let mut statements = as_owner(Vec::new());
        // Top down, as whoever reads takes them.
        statements.push(format!("lock table {} in access exclusive mode", own.shelves()));
        statements.extend(own.undo());
        statements.push("set local role freehold_gate".into());
        statements.push(format!(
            "delete from freehold.move_queue q using freehold.placement p where p.suffix = '{suffix}' \
             and q.tenant_id = p.tenant_id and q.entity = p.entity"
        ));
        statements.push(format!(
            "update freehold.placement set state = 'shelf', suffix = null, step = null, since = now() \
             where tenant_id = '{tenant}' and suffix = '{suffix}'"
        ));
        in_turn(&mut self.session, &statements).await
    }

    pub(super) async fn read_model(&mut self) -> Result<(i64, Model), Error> {
        let Some((version, text)) = self.current_model().await? else {
            return Ok((0, Model::default()));
        };
        match declare::read(&text) {
            Ok(checked) => Ok((version, checked.model)),
            Err(_) => Err(Refusal::new(Code::Model, "the applied model is of another Freehold")
                .hint("use the version that applied it, or a newer one")
                .into()),
        }
    }

    async fn moved_entity(&mut self, entity: &str) -> Result<(Model, Entity), Error> {
        let (_, model) = self.read_model().await?;
        let found = model.entity(entity).cloned();
        match found {
            Some(entity) => Ok((model, entity)),
            None => Err(Refusal::new(Code::NoSuchEntity, "the model has no such entity")
                .detail(entity)
                .into()),
        }
    }

    // Where it is now. Only while nobody else applies or moves.
    async fn place(&mut self, tenant: &str, entity: &Name) -> Result<Place, Error> {
        let text = "select t.id::text, coalesce(p.state, 'shelf'), coalesce(p.step, ''), coalesce(p.suffix, ''), t.state \
                    from freehold.tenant t left join freehold.placement p on p.tenant_id = t.id and p.entity = $2 where t.name = $1";
        let rows = self.as_gate(text, &[Some(tenant), Some(entity)]).await?;
        let row = rows.first().ok_or_else(|| missing(tenant))?;
        if row.text(4) == Some("deleting") {
            return Err(missing(tenant).into());
        }
        let word = |at| row.text(at).unwrap_or_default().to_owned();
        Ok(Place { tenant: word(0), state: word(1), step: word(2), suffix: word(3) })
    }

    /// Workers name the tenant whose rows they read, as servers do, or they would lock every tenant's partition: in all tables of a
    /// statement, also those that nobody has a partition of. In databases whose read models are older they may not yet.
    async fn let_workers_name_tenants(&mut self, model: &Model) -> Result<(), Error> {
        let mut grants = Vec::new();
        for capture in model.captures() {
            let text = "select has_column_privilege('freehold_project', $1, 'tenant_id', 'select')";
            let table = format!("app.\"{}\"", capture.entity);
            let rows = self.session.select(DOING, text, &[Some(&table)]).await?;
            if rows.first().and_then(|row| row.bool(0)) != Some(true) {
                grants.push(capture.name_tenants());
            }
        }
        if grants.is_empty() {
            return Ok(());
        }
        let mut statements = as_owner(grants);
        statements.extend(["reset role".to_owned(), CHANGED.to_owned()]);
        in_turn(&mut self.session, &statements).await
    }

    // Nobody else applies or moves meanwhile, and the user may do what moving takes.
    async fn take_turn(&mut self) -> Result<(), Error> {
        let text = "select rolsuper or (rolbypassrls and has_parameter_privilege(current_user, 'session_replication_role', 'set')) \
                    from pg_roles where rolname = current_user";
        let rows = self.session.select(DOING, text, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) != Some(true) {
            return Err(Refusal::new(Code::Server, "this user may not move tenants")
                .detail("rows are moved past references and row-level security")
                .hint("use a superuser; or a user with bypassrls and, on the parameter session_replication_role, the right to set it")
                .into());
        }
        apply::take_turn(&mut self.session, DOING).await?;
        if self.unfinished_apply().await?.is_some() {
            self.end_turn().await?;
            return Err(Refusal::new(
                Code::ApplyConflict,
                "an apply was interrupted and has to be finished first",
            )
            .hint("freehold apply --resume")
            .into());
        }
        Ok(())
    }

    async fn end_turn(&mut self) -> Result<(), Error> {
        apply::end_turn(&mut self.session, DOING).await
    }

    async fn remainder(&mut self, own: &Own<'_>, tenant: &str) -> Result<u16, Error> {
        let text = format!(
            "select n::bigint from generate_series(0, {shelves} - 1) n \
             where satisfies_hash_partition('{}'::regclass::oid, {shelves}, n, $1::text::uuid)",
            own.shelves(),
            shelves = freehold_model::ddl::SHELVES,
        );
        let rows = self.session.select(DOING, &text, &[Some(tenant)]).await?;
        let found = rows.first().and_then(|row| row.int(0)).and_then(|n| u16::try_from(n).ok());
        Ok(found.ok_or_else(|| Fault::new(DOING, "no leaf holds the tenant"))?)
    }
}

/// Says that servers have to look again.
pub(super) const CHANGED: &str = "select nextval('freehold.placement_change')";

/// The name of the connection that works for a move, by which a later one finds it.
pub(super) fn worker_name(suffix: &str) -> String {
    format!("freehold move {suffix}")
}

// A build goes on for a while after whoever began it is gone.
async fn end_others(session: &mut Session, suffix: &str) -> Result<(), Error> {
    let text = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid() \
                and datname = current_database()";
    session.select(DOING, text, &[Some(&worker_name(suffix))]).await.map(drop)
}

/// These statements in the name of the owner, who makes walls itself.
pub(super) fn as_owner(statements: Vec<String>) -> Vec<String> {
    let head = ["set local role freehold_owner", "set local freehold.applying = 'on'"];
    head.into_iter().map(str::to_owned).chain(statements).collect()
}

/// All statements in one transaction that waits for no lock for long, tried again while others are in the way.
pub(super) async fn in_turn(session: &mut Session, statements: &[String]) -> Result<(), Error> {
    for tries in 1.. {
        let tried = async {
            session.batch(&format!("begin; {LOCK_WAIT}")).await?;
            for statement in statements {
                session.batch(statement).await?;
            }
            session.batch("commit").await
        };
        let Err(error) = tried.await else { return Ok(()) };
        session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
        if !is_in_the_way(&error) || tries == TRIES {
            return Err(explain(DOING, error));
        }
        rest(tries).await;
    }
    Ok(())
}

/// A name nobody can learn anything from: ten letters and digits without vowels, so that no word comes out.
fn new_suffix() -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjkmnpqrstvwxz23456789";
    let bytes = Uuid::new_v4().into_bytes();
    // Bytes 6 and 8 have fixed bits.
    let letters = bytes.iter().enumerate().filter(|(at, _)| !matches!(at, 6 | 8)).take(10);
    letters.map(|(_, byte)| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn ids(text: Option<&str>) -> String {
    text.map_or_else(|| param::list(Vec::<&str>::new()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::new_suffix;

    #[test]
    fn a_suffix_says_nothing_and_fits_a_name() {
        let all: std::collections::HashSet<String> = (0..1000).map(|_| new_suffix()).collect();
        assert_eq!(all.len(), 1000);
        assert!(
            all.iter()
                .all(|suffix| suffix.len() == 10 && !suffix.contains(['a', 'e', 'i', 'o', 'u']))
        );
    }
}
