//! Back to the shelf, in one transaction.
//!
//! It is for tenants that have shrunk: the shelf gets the rows while everybody who reads the entity waits.

use freehold_model::{Code, Model, Refusal, ddl::own::Own, entity::Entity};

use super::{CHANGED, DOING, LOCK_WAIT, Moving, TRIES, as_owner};
use crate::{
    apply::{is_in_the_way, rest},
    error::Error,
    operator::Operator,
    refusal::explain,
};

/// Most rows that are moved back: about half a second for everybody who waits.
pub(super) const ROWS_MAX: u64 = 50_000;

/// Every lock that leaving takes, in the order in which statements take them.
pub(super) fn locks(own: &Own<'_>, entity: &Entity, model: &Model) -> Vec<String> {
    let root = format!("lock table only app.\"{}\" in access exclusive mode", entity.name);
    let mut statements = vec![root];
    statements.extend(own.locks(model));
    statements.push(format!("lock table {} in access exclusive mode", own.name()));
    statements
}

impl Operator {
    /// Moves a tenant's rows of an entity back to the shelf, or undoes a move that was interrupted. Says how many there are.
    ///
    /// # Errors
    /// As [`Operator::promote`]; `Usage` for a tenant with more rows than everybody should wait for.
    pub async fn demote(
        &mut self,
        tenant: &str,
        entity: &str,
        mut progress: impl FnMut(Moving),
    ) -> Result<u64, Error> {
        self.take_turn().await?;
        let demoted = self.demote_alone(tenant, entity, &mut progress).await;
        let ended = self.end_turn().await;
        let rows = demoted?;
        ended?;
        Ok(rows)
    }

    async fn demote_alone(
        &mut self,
        tenant: &str,
        entity: &str,
        progress: &mut impl FnMut(Moving),
    ) -> Result<u64, Error> {
        let (model, entity) = self.moved_entity(entity).await?;
        let place = self.place(tenant, &entity.name).await?;
        let own = Own::new(&entity, &place.suffix, &place.tenant);
        let rows = self.count(&entity, &place).await?;
        match place.state.as_str() {
            "own" => {}
            "moving" => {
                self.undo(&own, &place.tenant, &place.suffix).await?;
                return Ok(rows);
            }
            _ => return Ok(rows),
        }
        if rows > ROWS_MAX {
            return Err(Refusal::new(Code::Usage, "the tenant is too large to be moved back")
                .detail(format!(
                    "{rows} rows; everybody who reads {} would wait for them",
                    entity.name
                ))
                .hint(format!("up to {ROWS_MAX} rows can be moved back"))
                .into());
        }
        let remainder = self.remainder(&own, &place.tenant).await?;
        let leaf = own.leaf(remainder);
        for tries in 1.. {
            progress(Moving { step: "leaving", done: 0, total: rows, tries });
            let statements = leaving(&own, &entity, &model, &leaf, &place.tenant, &place.suffix);
            let tried = async {
                for statement in &statements {
                    self.session.batch(statement).await?;
                }
                Ok::<_, tokio_postgres::Error>(())
            };
            let Err(error) = tried.await else { break };
            self.session.batch("rollback").await.map_err(|error| explain(DOING, error))?;
            if !is_in_the_way(&error) || tries == TRIES {
                return Err(explain(DOING, error));
            }
            rest(tries.min(4)).await;
        }
        let vacuum = format!("vacuum {leaf}");
        self.session.batch(&vacuum).await.map_err(|error| explain(DOING, error))?;
        progress(Moving { step: "done", done: rows, total: rows, tries: 0 });
        Ok(rows)
    }
}

fn leaving(
    own: &Own<'_>,
    entity: &Entity,
    model: &Model,
    leaf: &str,
    tenant: &str,
    suffix: &str,
) -> Vec<String> {
    let (columns, name) = (own.columns(), own.name());
    let mut statements = vec![
        format!("begin; {LOCK_WAIT}"),
        // A step of a read model that has begun before would look for the rows where they are no more: it is begun again.
        format!("update freehold.projection set turn = turn where tenant_id = '{tenant}'"),
        // Writers wait from here on, readers only for what comes after.
        own.hold_writers(),
        format!("create temp table moving on commit drop as select {columns} from {name}"),
    ];
    statements.extend(as_owner(locks(own, entity, model)));
    statements.extend([
        "reset role".to_owned(),
        // References do not act on what is only moved, and no trigger takes it for a change.
        "set local session_replication_role = replica".to_owned(),
        format!("delete from {name}"),
        "set local session_replication_role = origin".to_owned(),
        "set local role freehold_owner".to_owned(),
    ]);
    statements.extend(own.leave());
    statements.extend([
        "reset role".to_owned(),
        "set local session_replication_role = replica".to_owned(),
        format!("insert into {leaf} ({columns}) select {columns} from pg_temp.moving"),
        "set local session_replication_role = origin".to_owned(),
        format!(
            "update freehold.placement set state = 'shelf', suffix = null, step = null, indexes = '', bytes = null, since = now() \
             where suffix = '{suffix}'"
        ),
        CHANGED.to_owned(),
        "commit".to_owned(),
    ]);
    statements
}
