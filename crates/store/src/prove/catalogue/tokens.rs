//! Tokens: forged, old, meant for others, used twice.

use uuid::Uuid;

use crate::{
    error::Error,
    prove::{
        Attack, Class, Found,
        arena::Arena,
        eve::Eve,
        forge::{Forge, Token},
    },
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["C01", "forged token", "Makes a token of B from its own: another tenant, a changed MAC, parts cut off or put in."],
        "gate",
        |arena| Box::pin(forged(arena)),
    ),
    CLASS.run(
        ["C02", "forged token, typed", "The same with the arguments that servers pass, and with nulls among them."],
        "gate",
        |arena| Box::pin(forged_typed(arena)),
    ),
    CLASS.run(
        ["C03", "token out of its time", "Replays an old token of B, and one that is good for too long."],
        "gate",
        |arena| Box::pin(all(arena, &[("expired", |f| f.life = -1), ("long expired", |f| f.life = -86_400), ("good for 90 s", |f| f.life = 90), ("good for years", |f| f.life = 1 << 40)])),
    ),
    CLASS.run(
        ["C04", "token of another backend", "Replays a fresh token of B, overheard on its way to another connection."],
        "gate",
        |arena| Box::pin(other_backend(arena)),
    ),
    CLASS.run(
        ["C05", "token for others", "Uses tokens of B that were signed for another database or another login."],
        "gate",
        |arena| Box::pin(all(arena, &[("another database", |f| f.database = Some("other")), ("the superuser", |f| f.login = "postgres"), ("freehold_control", |f| f.login = "freehold_control"), ("no login", |f| f.login = "")])),
    ),
    CLASS.run(
        ["C06", "token of another key", "Names another key: the one of tickets, one that is not there, a negative one."],
        "gate",
        |arena| Box::pin(all(arena, &[("kid 0", |f| f.kid = 0), ("kid 2", |f| f.kid = 2), ("kid 999", |f| f.kid = 999)])),
    ),
    CLASS.run(
        ["C08", "token of a key that is gone", "Uses tokens of B in the name of an API key that is not there, or is another tenant's."],
        "gate",
        |arena| Box::pin(all(arena, &[("no such key", |f| f.principal = Uuid::from_u128(7)), ("any bits", |f| f.principal = Uuid::from_u128(u128::MAX))])),
    ),
    CLASS.run(
        ["C07", "who is there", "Asks by tokens that are not genuine whether a tenant of some id exists."],
        "gate",
        |arena| Box::pin(who_is_there(arena)),
    ),
];

const CLASS: Class = Class::Context;

type Change = fn(&mut Forge<'static>);

async fn all(arena: &Arena, changes: &[(&str, Change)]) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for (what, change) in changes {
        let mut forge = Forge::none(arena.b().tenant.id(), eve.pid);
        change(&mut forge);
        let token = arena.token(&forge);
        for call in [token.call(), token.typed()] {
            if reads(arena, &eve, &call).await {
                leaks.push((*what).to_owned());
            }
        }
    }
    Ok(Found::of(&leaks))
}

async fn forged(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let own = arena.token(&Forge::none(arena.a().tenant.id(), eve.pid)).text();
    let (a, b) = (arena.a().tenant.id().simple(), arena.b().tenant.id().simple());
    let swapped = own.replace(&a.to_string(), &b.to_string());
    let last = if own.ends_with('0') { '1' } else { '0' };
    let (head, mac) = swapped.split_at(108);
    let forgeries = [
        ("tenant", swapped.clone()),
        ("one bit", format!("{}{last}", &swapped[..swapped.len() - 1])),
        ("no MAC", head.to_owned()),
        ("half a MAC", format!("{head}{}", &mac[..32])),
        ("zeros", format!("{head}{}", "0".repeat(64))),
        ("two MACs", format!("{swapped}{mac}")),
        ("version", swapped.replacen("v3", "v2", 1)),
        ("capitals", swapped.to_uppercase()),
        ("a line after", format!("{swapped}\n")),
        ("injected", format!("{}'||'{}", &swapped[..80], &swapped[80..])),
        ("empty", String::new()),
        ("unsigned", format!("v3.0001.0002.{b}")),
    ];
    let mut leaks = Vec::new();
    for (what, token) in forgeries {
        let call = format!("call freehold.open('{}')", token.replace('\'', "''"));
        if reads(arena, &eve, &call).await {
            leaks.push(what.to_owned());
        }
    }
    if reads(arena, &eve, "call freehold.open(null::text)").await {
        leaks.push("null".to_owned());
    }
    Ok(Found::of(&leaks))
}

async fn forged_typed(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let own = || arena.token(&Forge::none(arena.a().tenant.id(), eve.pid));
    let b = arena.b().tenant.id();
    let swapped = Token { tenant: b, ..own() };
    let flipped = Token { mac: "00".repeat(32), ..Token { tenant: b, ..own() } };
    let short = Token { mac: String::new(), ..Token { tenant: b, ..own() } };
    let principal = Token { principal: Uuid::new_v4(), ..Token { tenant: b, ..own() } };
    let later = Token { expiry: own().expiry + 5, ..own() };
    let calls = [
        ("tenant", swapped.typed()),
        ("zeros", flipped.typed()),
        ("no MAC", short.typed()),
        ("principal", principal.typed()),
        (
            "a later expiry",
            later.typed().replace(&arena.a().tenant.id().to_string(), &b.to_string()),
        ),
        ("no role", swapped.typed().replacen("'2'", "'0'", 1)),
        ("null MAC", swapped.typed().replace(&format!("'\\x{}'", swapped.mac), "null")),
        ("null key", swapped.typed().replacen("'1'", "null", 1)),
        ("null time", swapped.typed().replace(&format!("'{}'", swapped.expiry), "null")),
        ("all null", "call freehold.open(null,null,null,null,null,null,null)".to_owned()),
    ];
    let mut leaks = Vec::new();
    for (what, call) in calls {
        if reads(arena, &eve, &call).await {
            leaks.push(what.to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn other_backend(arena: &Arena) -> Result<Found, Error> {
    let (bob, eve) = (arena.eve().await?, arena.eve().await?);
    let token = arena.token(&Forge::none(arena.b().tenant.id(), bob.pid));
    let mut leaks = Vec::new();
    for call in [token.call(), token.typed()] {
        if reads(arena, &eve, &call).await {
            leaks.push("opened in another backend".to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn who_is_there(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let ask = async |tenant: Uuid| {
        let own = arena.token(&Forge::none(arena.a().tenant.id(), eve.pid));
        let token = Token { tenant, ..own };
        let said = eve.say(&format!("begin; {}", token.call())).await;
        eve.end().await;
        format!("{} {}", said.state(), said.text())
    };
    let (there, nowhere) = (ask(arena.b().tenant.id()).await, ask(Uuid::new_v4()).await);
    Ok(if there == nowhere {
        Found::Nothing
    } else {
        Found::Leak(format!("a tenant that is there: {there}; one that is not: {nowhere}"))
    })
}

/// Whether B's rows can be read after this call.
pub(super) async fn reads(arena: &Arena, eve: &Eve<'_>, call: &str) -> bool {
    let Some(read) = arena.fill("select * from {t}") else { return false };
    let opened = eve.say(&format!("begin; {call}")).await;
    let read = match opened.is_yes() {
        true => arena.spills(call, eve.say(&read).await.text()) || sees_b(arena, eve).await,
        false => false,
    };
    eve.end().await;
    read
}

/// Whether rows of B are there for the session as it is.
pub(super) async fn sees_b(arena: &Arena, eve: &Eve<'_>) -> bool {
    let Some(sql) = arena.fill("select from {t} where tenant_id = '{b}'") else { return false };
    eve.say(&sql).await.count() > 0
}
