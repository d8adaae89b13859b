//! What is not in tables: locks, messages, large objects, others' backends; and what one session can take from all.

use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena},
};

pub(super) const ATTACKS: &[Attack] = &[
    EFFECTS.run(
        ["E01", "ending others", "Cancels and ends B's backend, which logs in with the same role."],
        "kernel",
        |arena| Box::pin(ending(arena)),
    )
    .needs_lockdown(),
    EFFECTS.refused(
        ["E02", "advisory locks", "Takes locks under numbers that others might use, and leaves them."],
        "kernel",
        &["select pg_advisory_lock(7)", "select pg_try_advisory_lock(7)", "select pg_advisory_xact_lock(7)", "select pg_try_advisory_xact_lock_shared(7, 7)", "select pg_advisory_unlock_all()"],
    )
    .needs_lockdown(),
    EFFECTS.refused(
        ["E03", "large objects", "Keeps data in large objects, which know owners and no tenants."],
        "kernel",
        &["select lo_create(0)", "select lo_creat(-1)", "select lo_from_bytea(0, 'x')", "select lo_put(1, 0, 'x')", "select lo_get(1)", "select lo_open(1, 131072)", "select lo_unlink(1)", "select lo_import('/etc/passwd')", "select * from pg_largeobject", "select * from pg_largeobject_metadata"],
    )
    .needs_lockdown(),
    EFFECTS.refused(
        ["E04", "messages by function", "Sends notifications from a SELECT, and reads who listens."],
        "kernel",
        &["select pg_notify('freehold', 'x')", "select * from pg_listening_channels()", "select pg_notification_queue_usage()"],
    )
    .needs_lockdown(),
    EFFECTS.refused(
        ["E05", "messages by command", "Listens, and wakes whoever listens."],
        "kernel",
        &["listen freehold", "notify freehold, 'x'"],
    )
    .residual("LISTEN and NOTIFY need no right; Freehold sends and hears none, so two tenants' SQL could talk, and nothing of Freehold's is told"),
    EFFECTS.refused(
        ["E06", "replication", "Writes into the log that logical decoding reads, and makes slots that read everything."],
        "kernel",
        &["select pg_logical_emit_message(true, 'freehold', 'x')", "select pg_create_logical_replication_slot('mine', 'test_decoding')", "select pg_create_physical_replication_slot('mine')", "select * from pg_replication_slots", "select pg_drop_replication_slot('mine')", "select pg_switch_wal()", "select pg_create_restore_point('mine')", "select pg_reload_conf()", "select pg_rotate_logfile()"],
    ),
    RESOURCES.refused(
        ["R01", "lock on a table", "Locks a table that all tenants share (in the proof beside real tenants: not tried)."],
        "kernel",
        &["lock table {t} in access exclusive mode nowait", "lock table {t} in exclusive mode nowait", "lock table {t} in share mode nowait"],
    )
    .residual("DELETE on a table, which drivers need, allows LOCK TABLE; the watchdog ends the backend within about a second")
    .not_in_production(),
    RESOURCES.refused(
        ["R02", "limits lifted", "Lifts the limits on its time."],
        "kernel",
        &["set local statement_timeout = 0", "set local lock_timeout = 0", "set local idle_in_transaction_session_timeout = 0", "set session statement_timeout = 0"],
    )
    .residual("every role may set its own timeouts; the watchdog ends statements after a minute and transactions after five"),
    RESOURCES.refused(
        ["R03", "memory", "Raises what a statement may take of memory."],
        "kernel",
        &["set local work_mem = '2GB'", "set local maintenance_work_mem = '2GB'", "set local hash_mem_multiplier = 1000"],
    )
    .residual("every role may set its own memory; the watchdog ends backends beyond 1 GiB where PostgreSQL runs beside the server, elsewhere a limit of the system has to"),
    RESOURCES.run(
        ["R04", "temporary files", "Lifts the limit on temporary files, which would fill the disk."],
        "kernel",
        |arena| Box::pin(temporary_files(arena)),
    )
    .needs_lockdown(),
    RESOURCES.run(
        ["R05", "serializable", "Makes transactions of others fail by reading in isolation level serializable."],
        "kernel",
        |arena| Box::pin(serializable(arena)),
    )
    .residual("predicate locks are on pages that tenants share; servers work at read committed, which such locks do not touch"),
    RESOURCES.refused(
        ["R06", "sleeping", "Keeps a connection by sleeping."],
        "kernel",
        &["select pg_sleep(0)", "select pg_sleep_for('0')", "select pg_sleep_until(now())"],
    )
    .needs_lockdown(),
];

const EFFECTS: Class = Class::Effects;
const RESOURCES: Class = Class::Resources;

async fn ending(arena: &Arena) -> Result<Found, Error> {
    let (eve, bob) = (arena.eve().await?, arena.eve().await?);
    let mut leaks = Vec::new();
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        let sql = format!("select {function}({})", bob.pid);
        if eve.within(arena.a(), &sql).await.is_yes() {
            leaks.push(function.to_owned());
        }
    }
    if !bob.open(arena.b()).await.is_yes() {
        leaks.push("B's backend is gone".to_owned());
    }
    Ok(Found::of(&leaks))
}

async fn temporary_files(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let limit = eve.within(arena.a(), "select current_setting('temp_file_limit')").await;
    let lifted = eve.within(arena.a(), "set local temp_file_limit = -1").await;
    let mut leaks = Vec::new();
    if limit.text().trim() == "-1" {
        leaks.push("there is no limit".to_owned());
    }
    if lifted.is_yes() {
        leaks.push("it was lifted".to_owned());
    }
    Ok(Found::of(&leaks))
}

async fn serializable(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let set = eve.say("begin isolation level serializable").await;
    Ok(if set.is_yes() { Found::Leak("it is allowed".into()) } else { Found::Nothing })
}
