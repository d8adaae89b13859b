//! What notes the changes of an entity's rows in the change log.
//!
//! Four triggers per table, one for each kind of statement, each once per statement and not per row: a batch of thousands
//! makes a handful of log rows. They fire for whoever writes, and take the tenant from the row. Their functions belong to
//! the owner of the tables and have a `search_path` of their own.

use crate::{
    Name,
    ddl::{
        naming::{derived, list, root, shelf},
        read::WRITER,
    },
    entity::{Entity, Kind, Scalar},
    sql::{ident, literal},
    view::Capture,
};

/// Images in one row of the log, at most. A reader takes rows whole.
const PACKED: usize = 250;

/// Begins to note the changes of `entity`'s rows as its `capture` says, or goes on with another one. Also lets the workers
/// read what is used.
///
/// To be run in one transaction by the owner of the table. It waits for all who are writing, so that what is written
/// afterwards is noted as it says here.
#[must_use]
pub fn capture(entity: &Entity, capture: &Capture) -> Vec<String> {
    let Capture { used, links, .. } = capture;
    let table = root(&entity.name);
    let mut statements = vec![format!("lock table {table} in share row exclusive mode")];
    for event in [Event::Insert, Event::Update, Event::Delete] {
        let name = event.name(&entity.name);
        statements.push(format!(
            "create or replace function {}() returns trigger\n  language plpgsql security definer set search_path = pg_catalog, pg_temp{} as {}",
            shelf(&name),
            settings(entity, links),
            literal(&event.body(entity, used, links)),
        ));
        statements.push(format!(
            "create or replace trigger {} after {} on {table}\n  {} for each statement execute function {}()",
            ident(&name),
            event.verb(),
            event.tables(),
            shelf(&name)
        ));
    }
    statements.push(format!(
        "create or replace trigger {} after truncate on {table}\n  for each statement execute function freehold.capture_truncate({})",
        ident(&truncate_name(&entity.name)),
        literal(&entity.name),
    ));
    let columns = ["tenant_id", "id"].into_iter().chain(used.iter().map(|name| &**name));
    let mut columns: Vec<&str> = columns.collect();
    columns.dedup();
    statements.push(format!("revoke select on {table} from {WRITER}"));
    statements.push(format!("grant select ({}) on {table} to {WRITER}", list(columns)));
    statements.push(format!("drop policy if exists project on {table}"));
    statements
        .push(format!("create policy project on {table} for select to {WRITER} using (true)"));
    statements
}

/// Notes the changes of `entity`'s rows no more.
#[must_use]
pub fn release(entity: &Entity) -> Vec<String> {
    let table = root(&entity.name);
    let events =
        [Event::Insert, Event::Update, Event::Delete].map(|event| event.name(&entity.name));
    let truncate = truncate_name(&entity.name);
    let triggers = events.iter().chain([&truncate]);
    let mut statements: Vec<String> =
        triggers.map(|name| format!("drop trigger {} on {table}", ident(name))).collect();
    statements.extend(events.iter().map(|name| format!("drop function {}()", shelf(name))));
    statements.push(format!("revoke select on {table} from {WRITER}"));
    statements.push(format!("drop policy project on {table}"));
    statements
}

/// Removes what noted the changes of an entity whose table is gone.
#[must_use]
pub(crate) fn drop_functions(entity: &str) -> Vec<String> {
    let names = [Event::Insert, Event::Update, Event::Delete].map(|event| event.name(entity));
    names.iter().map(|name| format!("drop function {}()", shelf(name))).collect()
}

#[derive(Clone, Copy)]
enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    fn verb(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn name(self, entity: &str) -> String {
        derived(&[entity, "capture", self.verb()])
    }

    fn tables(self) -> &'static str {
        match self {
            Self::Insert => "referencing new table as new_rows",
            Self::Update => "referencing old table as old_rows new table as new_rows",
            Self::Delete => "referencing old table as old_rows",
        }
    }

    // One row is what most statements change. Counting and collecting it would cost more than noting it.
    fn body(self, entity: &Entity, used: &[Name], links: &[Name]) -> String {
        let into = "insert into freehold.change_log (tenant_id, entity, op, fields, n, links)";
        let what =
            format!("{}, {}, {}", literal(&entity.name), literal(&self.verb()[..1]), array(links));
        format!(
            "begin\n  if {} then\n    {into}\n    {};\n    return null;\n  end if;\n  {into}\n  {};\n  return null;\nend",
            self.is_one(),
            self.one(&what, used, links),
            self.packed(&what, used, links),
        )
    }

    fn is_one(self) -> &'static str {
        match self {
            Self::Insert => {
                "(select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from new_rows limit 2) few)"
            }
            Self::Delete => {
                "(select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from old_rows limit 2) few)"
            }
            // One whose tenant changed is noted for both.
            Self::Update => {
                "(select pg_catalog.count(*) operator(pg_catalog.=) 1 and pg_catalog.bool_and(few.same) from \
                 (select o.tenant_id operator(pg_catalog.=) n.tenant_id as same from old_rows o cross join new_rows n limit 2) few)"
            }
        }
    }

    fn one(self, what: &str, used: &[Name], links: &[Name]) -> String {
        let (rows, from): (&[&str], String) = match self {
            Self::Insert => (&["r"], "new_rows r".into()),
            Self::Delete => (&["r"], "old_rows r".into()),
            Self::Update => {
                (&["o", "n"], format!("old_rows o cross join new_rows n where {}", differs(used)))
            }
        };
        let texts: Vec<String> = links
            .iter()
            .flat_map(|link| {
                rows.iter().map(|row| format!("{row}.{}::pg_catalog.text", ident(link)))
            })
            .collect();
        format!(
            "select {}.tenant_id, {what}, {}, array[{}]::pg_catalog.text[] from {from}",
            rows[0],
            rows.len(),
            texts.join(", "),
        )
    }

    fn packed(self, what: &str, used: &[Name], links: &[Name]) -> String {
        let lists: Vec<String> =
            (1..=links.len()).map(|i| format!("pg_catalog.array_agg(l{i})")).collect();
        let lists = match links.len() {
            0 => "'{}'::pg_catalog.text[]".to_owned(),
            _ => lists.join(" operator(pg_catalog.||) "),
        };
        format!(
            "select tenant_id, {what}, pg_catalog.count(*), {lists}\n  from (\n    \
             select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) {PACKED} as pack\n    \
             from {}\n  ) packed\n  group by tenant_id, pack",
            self.images(used, links),
        )
    }

    fn images(self, used: &[Name], links: &[Name]) -> String {
        let image = |row: &str| {
            let texts = links.iter().map(|link| format!("{row}.{}::pg_catalog.text", ident(link)));
            std::iter::once(format!("{row}.tenant_id")).chain(texts).collect::<Vec<_>>().join(", ")
        };
        let names: Vec<String> = (1..=links.len()).map(|i| format!(", l{i}")).collect();
        let names = format!("tenant_id{}", names.concat());
        let values = |rows: &str| format!("(values {rows}) image ({names})");
        match self {
            Self::Insert => {
                format!("new_rows r cross join lateral {}", values(&format!("({})", image("r"))))
            }
            Self::Delete => {
                format!("old_rows r cross join lateral {}", values(&format!("({})", image("r"))))
            }
            Self::Update => format!(
                "old_rows o full join new_rows n on n.tenant_id operator(pg_catalog.=) o.tenant_id and n.id operator(pg_catalog.=) o.id\n      \
                 cross join lateral {}\n    where {} and image.tenant_id is not null",
                values(&format!("({}), ({})", image("o"), image("n"))),
                differs(used),
            ),
        }
    }
}

// Whether what is used of the old row `o` differs from that of the new one `n`; byte by byte, as `=` may call equal what is
// not the same.
fn differs(used: &[Name]) -> String {
    let row = |row: &str| {
        let columns = used.iter().map(|name| format!(", {row}.{}", ident(name)));
        format!("row({row}.tenant_id{})::pg_catalog.record", columns.collect::<String>())
    };
    format!("{} operator(pg_catalog.*<>) {}", row("o"), row("n"))
}

fn truncate_name(entity: &str) -> String {
    derived(&[entity, "capture", "truncate"])
}

// The text of some types depends on settings of the session, and the text has to be the value.
fn settings(entity: &Entity, links: &[Name]) -> &'static str {
    let kinds = links.iter().filter_map(|link| entity.field(link)).map(|field| &field.kind);
    let mut all = "";
    for kind in kinds {
        let (Kind::Scalar(scalar) | Kind::Array(scalar)) = kind else { continue };
        if matches!(scalar, Scalar::TimestampTz | Scalar::Date | Scalar::Double | Scalar::Bytea) {
            all = "\n  set datestyle = 'ISO, MDY' set timezone = 'UTC' set extra_float_digits = 1 set bytea_output = 'hex'";
        }
    }
    all
}

fn array(names: &[Name]) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    format!("array[{}]::pg_catalog.text[]", names.join(", "))
}
