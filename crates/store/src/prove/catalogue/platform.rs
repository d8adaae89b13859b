//! Freehold's own tables and functions, from a tenant's session; and what an ordinary request needs.

use super::schema::shape;
use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.refused(
        ["P01", "questions of servers", "Asks what only servers may: which tenants and keys there are, what is due, the model."],
        "kernel",
        &[
            "select freehold.platform()",
            "select freehold.tenant_named('x')",
            "select freehold.key_holder('00')",
            "select freehold.tenant_known('{b}')",
            "select freehold.keys_of('{b}', '00000000-0000-0000-0000-000000000000')",
            "select freehold.add_key('{b}', '00000000-0000-0000-0000-000000000000', '00', 'x', 'x', 3, null, null)",
            "select freehold.end_key('{b}', '00000000-0000-0000-0000-000000000000', 'x')",
            "select freehold.current_model()",
            "select freehold.due()",
            "select freehold.pulse()",
            "select freehold.wall_faults()",
        ],
    ),
    CLASS.refused(
        ["P02", "the watchdog", "Ends backends and resets the login by the functions of the watchdog."],
        "kernel",
        &["select freehold.watch('1 h', '1 h', '{}')", "select freehold.repair_login()"],
    ),
    CLASS.refused(
        ["P03", "tables of the platform", "Reads and changes tenants, API keys, models, logs."],
        "kernel",
        &[
            "select * from freehold.tenant",
            "select name from freehold.tenant where id = '{a}'",
            "insert into freehold.tenant (id, name) values ('{x}', 'mine')",
            "update freehold.tenant set state = 'suspended' where id = '{b}'",
            "delete from freehold.tenant where id = '{b}'",
            "select * from freehold.api_key",
            "select prefix from freehold.api_key",
            "insert into freehold.api_key (hash, tenant_id, name, prefix) values (repeat('a', 32)::bytea, '{b}', 'mine', 'mine')",
            "update freehold.api_key set revoked_at = now()",
            "select text from freehold.model_version",
            "insert into freehold.model_version (text, checksum) values ('', '')",
            "select * from freehold.apply_run",
            "select * from freehold.platform_version",
            "update freehold.platform_version set mode = 'ticket'",
        ],
    ),
    CLASS.refused(
        ["P04", "tracks", "Reads, writes and wipes the logs of operators and of changes of the schema."],
        "kernel",
        &[
            "select * from freehold.operator_log",
            "insert into freehold.operator_log (reason) values ('x')",
            "delete from freehold.operator_log",
            "select * from freehold.ddl_log",
            "insert into freehold.ddl_log (tag) values ('x')",
            "update freehold.ddl_log set who = 'x'",
            "delete from freehold.ddl_log",
            "truncate freehold.ddl_log",
        ],
    ),
    CLASS.run(
        ["P05", "notes of vectors to be made", "Reads, makes and clears the notes of B, which would stop its vectors or make the worker act for it."],
        "kernel",
        |arena| Box::pin(notes(arena)),
    ),
    CLASS.run(
        ["P06", "marks of imports", "Reads, moves and removes how far B's imports are."],
        "kernel",
        |arena| Box::pin(marks(arena)),
    ),
    CLASS.refused(
        ["P07", "functions of the shelves", "Calls the trigger functions of tenants' tables and lists their schema."],
        "kernel",
        &[
            "select * from {leaf}",
            "select freehold_shelf.due()",
            "create table freehold_shelf.mine (id int)",
            "select freehold.embedding_due()",
            "select freehold.no_ddl()",
            "select freehold.guard()",
            "select freehold.note_ddl()",
        ],
    ),
    CLASS.run(
        ["P08", "functions it may call", "Looks for functions outside PostgreSQL and pgvector beyond those that a request needs."],
        "schema",
        |arena| Box::pin(shape(arena, FUNCTIONS)),
    ),
    CLASS.run(
        ["P09", "an ordinary request", "The control: its own rows can be read, changed and deleted, also by prepared statements, cursors and savepoints."],
        "gate",
        |arena| Box::pin(ordinary(arena)),
    ),
    CLASS.refused(
        ["P10", "blobs and their keys", "Reads keys and places of blobs, notes uploads, takes and drops blobs, changes quotas."],
        "kernel",
        &[
            "select key from freehold.blob",
            "select object from freehold.blob",
            "select * from freehold.tenant_key",
            "select * from freehold.subject_key",
            "select * from freehold.sealed_field",
            "select * from freehold.legal_hold",
            "select * from freehold.erasure",
            "select * from freehold.receipt",
            "select * from freehold.opened",
            "update freehold.legal_hold set released_at = now()",
            "delete from freehold.receipt",
            "select freehold.subject_keys('{b}', array['{x}'::uuid])",
            "select freehold.erasure_begin('{b}', '{x}', 'x', '{x}')",
            "select freehold.hold_release('{x}')",
            "select freehold.refuse_held('{b}', '{x}')",
            "select freehold.field_sealed('x', 'y')",
            "select * from freehold.removal_permit",
            "select freehold.removal_permit('{a}')",
            "select * from freehold.rows_gone",
            "insert into freehold.rows_gone (tenant_id, entity, rule, rows, cut_off) values ('{a}', 'x', 'y', 1, now())",
            "select freehold.rows_removed('{x}', 'x', 'y', now(), 1)",
            "select * from freehold.erasure_rows",
            "select freehold.rows_erased('{x}', '{x}', 'x', 'deleted', 1)",
            "select * from freehold.blob_usage",
            "update freehold.blob_usage set bytes_max = null",
            "insert into freehold.blob (tenant_id, id, entity, field, type, size, object, key) values ('{a}', '{x}', 'x', 'y', 'a/b', 1, 'o', '')",
            "update freehold.blob set state = 'live'",
            "delete from freehold.blob",
            "select freehold.blob_place('{b}', '{x}')",
            "select freehold.tenant_key_of('{b}', null, 0)",
            "select * from freehold.keystore",
            "select freehold.tenant_keys_all('{x}', 10)",
            "select freehold.subject_keys_all('{b}', '{x}', 0, 0, 10)",
            "select freehold.blob_keys_all('{b}', '{x}', 10)",
            "select * from freehold.blob_offer",
            "insert into freehold.blob_offer (tenant_id, blob_id, subject, class, gen, wrapped) values ('{a}', '{x}', '{x}', 0, 0, '')",
            "select freehold.blob_keys_of('{b}', array['{x}']::uuid[])",
            "select freehold.blobs_unowned_of('{b}', null, 10)",
            "select freehold.blobs_unowned_by('{b}', '{x}', null, 10)",
            "select freehold.blobs_offer('{a}', array['{x}']::uuid[], array['{x}']::uuid[], '{0}', '{0}', '{00}')",
            "select freehold.blobs_own('{b}', 0, array['{x}']::uuid[], '{00}', '{null}', '{null}', '{0}', '{null}', '{00}')",
            "select freehold.blob_owned('{b}', '{x}', '{x}', 0::smallint)",
            "select freehold.blobs_to_own('x', 'y')",
            "select key_subject from freehold.blob",
            "select freehold.epoch_begin(9)",
            "select freehold.receipt_restore(9, '{}', '', '')",
            "select freehold.blobs_of('{b}', null, 10)",
            "select freehold.blob_drop('{b}', '{x}')",
            "select freehold.blob_take('{b}', '{x}', 'x', 'y', '{x}', 1, '{}', 'z')",
            "select freehold.blob_give_up('{b}', '{x}', true)",
            "select freehold.blob_totals()",
            "select * from freehold.blob_name",
            "insert into freehold.blob_name (object, tenant_id) values ('o', '{a}')",
            "select freehold.blob_names('{b}', '{o}')",
        ],
    ),
    CLASS.run(
        ["P11", "blobs of others", "Reads what is known of B's blobs."],
        "kernel",
        |arena| Box::pin(blobs(arena)),
    ),
];

const CLASS: Class = Class::Platform;

const FUNCTIONS: &str = "select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
    where n.nspname not in ('pg_catalog', 'information_schema', 'freehold_ext') and has_schema_privilege('freehold_app', n.oid, 'usage') \
      and has_function_privilege('freehold_app', p.oid, 'execute') and not (n.nspname = 'freehold' and p.proname in ('open', 'tenant', 'uuidv7', 'position', 'stamp', 'copy_is_whole', 'copy_lacks', 'copy_refused', 'rows_removed', 'rows_erased'))";

async fn notes(arena: &Arena) -> Result<Found, Error> {
    own_tables(
        arena,
        &[
            "select tenant_id, entity, field from freehold.embedding_due",
            "select from freehold.embedding_due where tenant_id = '{b}'",
            "delete from freehold.embedding_due where tenant_id = '{b}'",
            "insert into freehold.embedding_due (tenant_id, entity, field) values ('{b}', 'x', 'y')",
            "update freehold.embedding_due set tenant_id = '{b}'",
        ],
    )
    .await
}

async fn blobs(arena: &Arena) -> Result<Found, Error> {
    own_tables(
        arena,
        &[
            "select tenant_id, name from freehold.blob",
            "select from freehold.blob where tenant_id = '{b}'",
            "select hash from freehold.blob where tenant_id = '{b}'",
        ],
    )
    .await
}

async fn marks(arena: &Arena) -> Result<Found, Error> {
    let bob = arena.eve().await?;
    let mark = &arena.b().mark;
    bob.open(arena.b()).await;
    let made = format!(
        "insert into freehold.import_mark (entity, source, rows, digest) values ('x', '{mark}', 1, 1)"
    );
    let made = bob.say(&made).await;
    bob.say("commit").await;
    let found = own_tables(
        arena,
        &[
            "select tenant_id, source from freehold.import_mark",
            "select from freehold.import_mark where tenant_id = '{b}'",
            "update freehold.import_mark set rows = 7 where tenant_id = '{b}'",
            "delete from freehold.import_mark where tenant_id = '{b}'",
            "insert into freehold.import_mark (tenant_id, entity, source, rows, digest) values ('{b}', 'x', 'y', 1, 1)",
            "update freehold.import_mark set tenant_id = '{b}'",
        ],
    )
    .await?;
    bob.within_committed(arena.b(), "delete from freehold.import_mark", "commit").await;
    Ok(if made.count() == 1 {
        found
    } else {
        Found::NothingThere(format!("B has no mark: {}", made.text()))
    })
}

/// None may touch a row, or show one of B.
async fn own_tables(arena: &Arena, statements: &[&str]) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for template in statements {
        let sql = arena.fill(template).unwrap_or_default();
        let said = eve.within(arena.a(), &sql).await;
        let names_b = sql.contains(&arena.b().tenant.id().to_string());
        if arena.spills(&sql, said.text()) || names_b && said.count() > 0 {
            leaks.push((*template).to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn ordinary(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let Some(entity) = arena.stage() else {
        return Ok(Found::NothingThere(
            "the model has no entity of which a row could be made".into(),
        ));
    };
    let (columns, values) = arena.columns(entity, arena.a());
    let insert = format!("insert into {{t}} ({columns}) values ({values}) returning id");
    let mut broken = Vec::new();
    for template in [
        "select * from {t} where id = '{id_a}'",
        &insert,
        "update {t} set {c} = {c} where id = '{id_a}'",
        "savepoint s; select from {t} where id = '{id_a}'",
        "declare c cursor for select * from {t} where id = '{id_a}'; fetch 1 from c",
        "select freehold.tenant()",
        "select freehold.uuidv7()",
        "select t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace limit 1",
    ] {
        let said = eve.within(arena.a(), &arena.fill(template).unwrap_or_default()).await;
        if said.count() != 1 {
            broken.push(format!("{template}: {} {}", said.state(), said.text()));
        }
    }
    let select = arena.fill("select id from {t} where id = '{id_a}'").unwrap_or_default();
    eve.open(arena.a()).await;
    let prepared = match eve.prepare(&select).await {
        Ok(statement) => eve.execute(&statement).await,
        Err(_) => None,
    };
    eve.say("commit").await;
    // What a driver prepares is no reason to refuse the next transaction.
    if prepared != Some(1) || !eve.open(arena.a()).await.is_yes() {
        broken.push("a prepared statement".to_owned());
    }
    Ok(Found::of(&broken))
}
