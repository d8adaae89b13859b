//! Random rows and random changes of them, and a change log as the contract says it.

use freehold_model::{Model, view::Capture};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio_postgres::Client;

pub(crate) const TENANTS: [&str; 2] =
    ["00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"];

/// How many rows of each entity there may be.
const ROWS: u32 = 12;

/// Random, but the same for the same test.
pub(crate) struct Dice(TestRunner);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(TestRunner::deterministic())
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        (0..n).new_tree(&mut self.0).expect("a number").current()
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

use proptest::strategy::ValueTree as _;

fn id(entity: &str, n: u32) -> String {
    let kind = match entity {
        "region" => 1,
        "person" => 2,
        "commit" => 3,
        "file" => 4,
        "node" => 5,
        _ => 6,
    };
    format!("'00000000-0000-0000-{kind:04}-{n:012}'")
}

/// A value for a field, as SQL.
fn value(dice: &mut Dice, entity: &str, field: &str) -> String {
    let one = dice.below(6);
    let or_null =
        |dice: &mut Dice, value: String| if dice.chance(30) { "null".into() } else { value };
    match (entity, field) {
        (_, "home") => {
            let home = id("region", dice.below(4));
            or_null(dice, home)
        }
        (_, "author" | "person") => id("person", dice.below(5)),
        (_, "reviewer") => {
            let reviewer = id("person", dice.below(5));
            or_null(dice, reviewer)
        }
        (_, "commit") => id("commit", dice.below(ROWS)),
        (_, "parent") => {
            let parent = id("node", dice.below(ROWS));
            or_null(dice, parent)
        }
        (_, "born") => or_null(dice, format!("date '2000-01-0{}'", one + 1)),
        (_, "at") => format!(
            "timestamptz '202{}-02-15 23:30:00Z' + interval '{} hours'",
            dice.below(3) + 2,
            one * 400
        ),
        (_, "day") => or_null(dice, format!("date '2024-02-0{}'", one + 1)),
        ("region", "size") => if one < 3 { "'small'" } else { "'large'" }.into(),
        (_, "status") => if one < 3 { "'open'" } else { "'merged'" }.into(),
        (_, "files") => ["'{}'", "'{a}'", "'{a,b}'", "'{b,null}'", "'{\"c d\",a}'", "'{b}'"]
            [one as usize]
            .into(),
        (_, "added") => (dice.below(7) * 5).to_string(),
        (_, "size") => or_null(dice, format!("{}", 10_000_000_000_u64 + u64::from(one))),
        (_, "weight") => or_null(dice, format!("{one}.25")),
        (_, "ratio") => ["0.1", "0.2", "0.3", "1e-9", "1e9", "0.7"][one as usize].into(),
        (_, "signed") => if one < 3 { "true" } else { "false" }.into(),
        (_, "meta") => [
            "'{}'",
            "'{\"a\": 1}'",
            "'{\"a\": 2, \"n\": 7}'",
            "'{\"b\": [1]}'",
            "'{\"n\": 3}'",
            "'[]'",
        ][one as usize]
            .into(),
        (_, "raw") => or_null(dice, format!("'\\x0{one}'::bytea")),
        (_, "meaning") => {
            let other = dice.below(3);
            or_null(dice, format!("'[{},{other},0.5]'", one + 1))
        }
        (_, "lines") => (dice.below(4) * 9).to_string(),
        (_, "path" | "name") => {
            ["'a0'", "'b1'", "'c2'", "'a'", "'b1'", "'a\\b\"{,}'"][one as usize].into()
        }
        (_, "body") => {
            or_null(dice, ["''", "'x'", "'y'", "' '", "'ä'", "'z'"][one as usize].into())
        }
        _ => ["'a'", "'ab'", "'b'", "'xa'", "'A'", "'ä'"][one as usize].into(),
    }
}

/// Fields whose values are unique, and so made of the row's number.
fn unique(entity: &str, field: &str) -> bool {
    matches!((entity, field), ("region", "name") | ("person", "handle") | ("commit", "sha"))
}

/// A change as SQL; one that only adds if it is to `grow`. It may fail: a reference may lead to nothing.
pub(crate) fn change(dice: &mut Dice, model: &Model, grow: bool) -> String {
    let weights = [
        "region", "person", "person", "commit", "commit", "commit", "commit", "file", "file",
        "file", "node", "node", "Odd name",
    ];
    let name = weights[dice.below(u32::try_from(weights.len()).expect("few")) as usize];
    let entity = model.entity(name).expect("an entity of the base");
    let n = dice.below(match name {
        "region" => 4,
        "person" => 5,
        _ => ROWS,
    });
    let row = id(name, n);
    if !grow && dice.chance(14) {
        // Also several at once, as an update or a deletion may do.
        return if dice.chance(80) {
            format!("delete from app.\"{name}\" where id = {row}")
        } else {
            format!("delete from app.\"{name}\" where id >= {row} and id < {}", id(name, n + 3))
        };
    }
    if !grow && dice.chance(40) {
        let fields: Vec<_> =
            entity.fields.iter().filter(|field| !unique(name, &field.name)).collect();
        if !fields.is_empty() {
            let field =
                &fields[dice.below(u32::try_from(fields.len()).expect("few")) as usize].name;
            let value = value(dice, name, field);
            let wide = if dice.chance(20) { format!("id >= {row}") } else { format!("id = {row}") };
            return format!("update app.\"{name}\" set \"{field}\" = {value} where {wide}");
        }
    }
    let mut columns = vec!["id".to_owned()];
    let mut values = vec![row];
    for field in &entity.fields {
        columns.push(format!("\"{}\"", field.name));
        values.push(if unique(name, &field.name) {
            // Now and then a name moves from one row to another.
            format!(
                "'{}{}'",
                ["a", "b", "c"][(n % 3) as usize],
                n + if dice.chance(20) { 1 } else { 0 }
            )
        } else {
            value(dice, name, &field.name)
        });
    }
    let sets: Vec<String> =
        columns[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "insert into app.\"{name}\" ({}) values ({}) on conflict (tenant_id, id) do update set {}",
        columns.join(", "),
        values.join(", "),
        sets.join(", ")
    )
}

/// Makes a log of images as the contract says it: by statement, with the rows whose used columns differ.
pub(crate) async fn capture(client: &Client, captures: &[Capture]) {
    let mut sql = String::from(
        "create table public.log (seq bigint generated always as identity, tenant_id uuid, entity text, links text[][]);
         grant all on public.log to public;",
    );
    for Capture { entity, used, links } in captures {
        let quoted = |names: &[freehold_model::Name]| {
            names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        // pgvector's `except` needs no operator by name: a type has its own order.
        let all = format!("tenant_id, id as \"~id\", {}", quoted(used));
        let image: Vec<String> = links.iter().map(|name| format!("\"{name}\"::text")).collect();
        let image = format!("array[{}]", image.join(", "));
        for (event, tables, rows) in [
            ("insert", "new table as n", format!("select {all} from n")),
            ("delete", "old table as o", format!("select {all} from o")),
            (
                "update",
                "old table as o new table as n",
                format!(
                    "(select {all} from o except select {all} from n) union all (select {all} from n except select {all} from o)"
                ),
            ),
        ] {
            let function = format!("public.\"{entity}~{event}\"");
            sql.push_str(&format!(
                "create function {function}() returns trigger language plpgsql security definer as $$ begin
                   insert into public.log (tenant_id, entity, links) select tenant_id, '{entity}', {image} from ({rows}) as r;
                   return null; end $$;
                 create trigger \"~log~{event}\" after {event} on app.\"{entity}\" referencing {tables} for each statement execute function {function}();"
            ));
        }
    }
    client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}
