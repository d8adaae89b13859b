//! The two tenants that attack one another.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::rows::NOWHERE;
use crate::{error::Error, key::hex, operator::Operator};

/// How the names of canary tenants begin.
pub const CANARY: &str = "freehold-canary-";

/// Held while a run has canaries, so that another does not take them for left-overs.
const CLAIM: i64 = 0x6361_6e61_7279;

// The second tenant gets an id, while nothing has it yet, by which its rows lie on the shelves of the first: neighbours
// see most of one another.
const NEIGHBOURS: &str = "with shelf as materialized ( \
      select c.oid as parent, count(*)::integer as parts from pg_class c join pg_inherits i on i.inhparent = c.oid \
      where c.relnamespace = 'freehold_shelf'::regnamespace and c.relkind = 'p' group by c.oid order by c.oid limit 1), \
    candidate as materialized (select gen_random_uuid() as id from generate_series(1, 300)), \
    near as materialized (select candidate.id from candidate, freehold.tenant a, shelf, lateral generate_series(0, parts - 1) part \
      where a.name = $1 and satisfies_hash_partition(parent, parts, part, a.id) \
        and satisfies_hash_partition(parent, parts, part, candidate.id) limit 1) \
    update freehold.tenant set id = (select id from near) where name = $2 and exists (select from near) returning name";

impl Operator {
    /// Makes two tenants whose rows lie on the same shelves, after removing those of a run that was killed; gives their names.
    ///
    /// # Errors
    /// `Usage` while another run has canaries in this database; faults.
    pub async fn make_canaries(&mut self) -> Result<[String; 2], Error> {
        let claim = format!("select pg_try_advisory_lock({CLAIM})");
        let rows = self.session.select("making canaries", &claim, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) != Some(true) {
            return Err(Refusal::new(Code::Usage, "another proof runs in this database")
                .hint("wait until it ends")
                .into());
        }
        self.remove_canaries().await?;
        let run = hex(&Uuid::new_v4().as_bytes()[..6]);
        let names = [format!("{CANARY}{run}-a"), format!("{CANARY}{run}-b")];
        for name in &names {
            self.create_tenant(name).await?;
        }
        self.as_gate(NEIGHBOURS, &[Some(&names[0]), Some(&names[1])]).await?;
        Ok(names)
    }

    /// Removes all canary tenants with everything of theirs; gives how many there were.
    ///
    /// # Errors
    /// Faults only; what is left is removed by the next call.
    pub async fn remove_canaries(&mut self) -> Result<usize, Error> {
        let tenants = self.tenants().await?;
        let canaries: Vec<String> = tenants
            .into_iter()
            .map(|tenant| tenant.name)
            .filter(|name| name.starts_with(CANARY))
            .collect();
        for name in &canaries {
            self.delete_unnoted(name, |_| {}).await?;
        }
        let uploads = format!(
            "delete from freehold.blob where starts_with(object, '{NOWHERE}') and state = 'doomed'"
        );
        self.as_gate(&uploads, &[]).await?;
        Ok(canaries.len())
    }
}
