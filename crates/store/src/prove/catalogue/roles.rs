//! A reader who wants to write: each way in which SQL could make a reader's transaction writable, or be rid of the role.

use crate::{
    error::Error,
    prove::{
        Attack, Class, Found,
        arena::Arena,
        eve::{Eve, Said},
        forge::{Forge, Token},
        rows,
    },
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["C21", "a reader's settings", "Opens A as a reader and sets the transaction writable, in every way there is to set it, then deletes A's rows."],
        "kernel",
        |arena| Box::pin(tried(arena, SETTINGS)),
    ),
    CLASS.run(
        ["C22", "a reader's savepoints", "Opens A as a reader within a subtransaction and ends that, rolls it back, or chains another transaction."],
        "kernel",
        |arena| Box::pin(tried(arena, SAVEPOINTS)),
    ),
    CLASS.run(
        ["C23", "a reader's statements", "Brings statements that were prepared before, explains that execute, cursors and blocks."],
        "kernel",
        |arena| Box::pin(statements(arena)),
    ),
    CLASS.run(
        ["C24", "a reader's token", "Changes the role in a reader's token; keeps what holds the context and plants it where the transaction is writable."],
        "gate",
        |arena| Box::pin(tokens(arena)),
    ),
];

const CLASS: Class = Class::Context;

/// Messages of several statements; `|` parts messages, and a deletion follows unless `{write}` stands in the last.
const SETTINGS: &[&str] = &[
    "begin; {reader}",
    "begin read write; {reader}",
    "start transaction read write; {reader}",
    "begin; {reader}|set transaction read write",
    "begin; set transaction read write; {reader}|set transaction read write",
    "begin; {reader}|set transaction isolation level read committed, read write",
    "begin; {reader}|set transaction_read_only = off",
    "begin; {reader}|set local transaction_read_only = off",
    "begin; {reader}|set local transaction_read_only to default",
    "begin; {reader}|reset transaction_read_only",
    "begin; {reader}|reset all",
    "begin; {reader}|select set_config('transaction_read_only', 'off', true)",
    "begin; {reader}|select set_config('transaction_read_only', 'off', false)",
    "begin; {reader}|update pg_settings set setting = 'off' where name = 'transaction_read_only'",
    "begin; {reader}|set session characteristics as transaction read write",
    "set session characteristics as transaction read write|begin; {reader}",
    "begin; {reader}|set default_transaction_read_only = off",
    "begin; {reader}|set role none",
    "begin; {reader}|set session authorization default",
    "{reader}; {write} returning 'DELETED'; begin",
    "{reader}; begin read write; {write}",
    "{reader}; set transaction read write; {write} returning 'DELETED'; begin",
];

const SAVEPOINTS: &[&str] = &[
    "begin; savepoint s; {reader}; release savepoint s",
    "begin; savepoint s; {reader}|release savepoint s",
    "begin; savepoint s; savepoint t; {reader}; release savepoint t|release savepoint s",
    "begin; savepoint s; {reader}; rollback to savepoint s",
    "begin; savepoint s; {reader}; rollback to savepoint s; release savepoint s",
    "begin; {reader}; savepoint s|set transaction read write",
    "begin; {reader}; savepoint s|set transaction_read_only = off|release savepoint s",
    "begin; {reader}; savepoint s; set local transaction_read_only = on; release savepoint s",
    "begin; {reader}; savepoint s; rollback to savepoint s",
    "begin; {reader}; commit and chain",
    "begin; {reader}; rollback and chain",
    "begin; {reader}; commit and chain; set transaction read write; {write}",
    "begin; {reader}; select set_config('freehold.ticket', current_setting('freehold.ticket'), false); commit and chain; {write}",
    "begin; savepoint s; {reader}; select set_config('freehold.ticket', current_setting('freehold.ticket'), false); release savepoint s; {write}",
];

const BLOCKS: &[&str] = &[
    "begin; {reader}|explain analyze {write}",
    "begin; {reader}|with gone as ({write} returning 1) select count(*) from gone having count(*) > 0",
    "begin; {reader}|do $do$ begin {write}; if not found then raise 'nothing'; end if; raise 'DELETED'; end $do$",
    "begin; do $do$ begin {reader}; exception when others then raise; end $do$",
    "do $do$ begin {reader}; {write}; if not found then raise 'nothing was deleted'; end if; raise 'DELETED'; end $do$",
    "begin; do $do$ begin begin {reader}; exception when others then raise; end; {write}; if not found then raise 'nothing'; end if; raise 'DELETED'; end $do$",
];

async fn tried(arena: &Arena, ways: &[&str]) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    for way in ways {
        if writes(arena, way).await? {
            leaks.push((*way).to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn writes(arena: &Arena, way: &str) -> Result<bool, Error> {
    for entity in arena.entities() {
        let eve = arena.eve().await?;
        let reader = reader(arena, &eve).call();
        let write = format!("delete from {}", rows::table(entity));
        let fill = |text: &str| text.replace("{reader}", &reader).replace("{write}", &write);
        let mut messages: Vec<String> = way.split('|').map(fill).collect();
        if !way.contains("{write}") {
            messages.push(write.clone());
        }
        let mut last = None;
        for message in &messages {
            last = Some(eve.say(message).await);
        }
        let wrote = last.is_some_and(|said| did(&said));
        eve.end().await;
        if wrote {
            return Ok(true);
        }
    }
    Ok(false)
}

// Where nothing else would roll it back, `begin` makes a transaction of what was sent. Explained, a deletion answers with its plan; in a block it says so by an error of its own.
fn did(said: &Said) -> bool {
    said.count() > 0 || said.text().contains("DELETED")
}

async fn statements(arena: &Arena) -> Result<Found, Error> {
    match tried(arena, BLOCKS).await? {
        Found::Nothing => {}
        found => return Ok(found),
    }
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let eve = arena.eve().await?;
        let write = format!("delete from {} returning 1", rows::table(entity));
        let Ok(prepared) = eve.prepare(&write).await else { continue };
        let opened = eve.say(&format!("begin; {}", reader(arena, &eve).call())).await;
        if opened.is_yes() && eve.execute(&prepared).await.is_some_and(|rows| rows > 0) {
            leaks.push(write);
        }
        eve.end().await;
    }
    Ok(Found::of(&leaks))
}

async fn tokens(arena: &Arena) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let write = format!("delete from {}", rows::table(entity));
        for stronger in [0, 2, 3, -1] {
            let eve = arena.eve().await?;
            let token = Token { role: stronger, ..reader(arena, &eve) };
            for call in [token.typed(), token.call()] {
                eve.say(&format!("begin; {call}")).await;
                if eve.say(&write).await.count() > 0 {
                    leaks.push(format!("a role of {stronger}"));
                }
                eve.end().await;
            }
        }
        let eve = arena.eve().await?;
        eve.say(&format!("begin; savepoint s; {}", reader(arena, &eve).call())).await;
        let ticket = eve.say("select current_setting('freehold.ticket', true)").await;
        eve.say("rollback to savepoint s").await;
        eve.say(&format!("set local freehold.ticket = '{}'", ticket.text().trim())).await;
        if eve.say(&write).await.count() > 0 {
            leaks.push("a ticket of a subtransaction".to_owned());
        }
        eve.end().await;
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

fn reader(arena: &Arena, eve: &Eve<'_>) -> Token {
    arena.token(&Forge { role: 1, ..Forge::none(arena.a().tenant.id(), eve.pid) })
}
