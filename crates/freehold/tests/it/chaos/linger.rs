//! Transactions that stay open for long: what they wrote is committed late, or never.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_postgres::{Client, Error, NoTls};

use super::{Chance, Tally, house::TENANTS};

/// As the superuser, whom no watchdog ends.
pub(super) async fn linger(url: String, mut chance: Chance, over: Arc<AtomicBool>, tally: Tally) {
    while !over.load(Ordering::Relaxed) {
        if let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
            let connection = tokio::spawn(connection);
            while !over.load(Ordering::Relaxed) {
                let Ok(()) = late(&client, &mut chance).await else { break };
                tally.lock().unwrap().kept_open += 1;
            }
            connection.abort();
        }
        // Polls: the server is down and does not say when it will be up again.
        tokio::time::sleep(chance.between(20, 200)).await;
    }
}

async fn late(client: &Client, chance: &mut Chance) -> Result<(), Error> {
    let (number, tenant) = (chance.below(1_000_000), chance.below(TENANTS.len() as u64));
    let tenant = TENANTS[usize::try_from(tenant).unwrap()];
    // With a snapshot of its own, too, which sees nothing of what happens meanwhile.
    let level = if chance.below(2) == 0 { "repeatable read" } else { "read committed" };
    client.batch_execute(&format!("begin isolation level {level}")).await?;
    let person = format!(
        "insert into app.person (tenant_id, handle) select id, 'late {number}' from freehold.tenant where name = '{tenant}' \
         and (select count(*) from app.person p where p.tenant_id = tenant.id) < 60"
    );
    client.batch_execute(&person).await?;
    // Plays: a transaction that takes its time.
    tokio::time::sleep(chance.between(100, 8000)).await;
    let task = format!(
        "insert into app.task (tenant_id, number, person, label, points) \
         select tenant_id, 2000000 + {number}, id, 'label {}', 7 from app.person where handle = 'late {number}'",
        number % 20
    );
    client.batch_execute(&task).await?;
    client.batch_execute(if chance.below(4) == 0 { "rollback" } else { "commit" }).await
}
