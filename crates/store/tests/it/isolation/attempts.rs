//! What is tried on a table.

use freehold_model::{
    Model, ReadModel,
    entity::{Entity, Kind},
};
use freehold_store::{
    Tenant,
    prove::rows::{self, Seed, ident, table},
};

use super::id;

/// Of what the id of a blob is that a row has, and of one that waits for a row.
pub(super) const HELD: &str = "held";
pub(super) const WAITING: &str = "waiting";

/// The statement for the number of the tenant it is tried on.
type Statement = Box<dyn Fn(usize, &[Tenant]) -> String>;

/// Something to try on the row of a tenant, given by its number.
pub(super) struct Attempt {
    pub(super) what: String,
    pub(super) reach: Reach,
    pub(super) sql: Statement,
}

/// Whose rows an answer is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that it is tried on.
    Named,
    /// Those of the opened tenant alone, whatever rows it is tried on.
    Opened,
    /// Nobody's.
    Nothing,
}

pub(super) fn attempts(model: &Model, entity: &Entity) -> Vec<Attempt> {
    let mut all = reads(entity);
    all.extend(writes(entity));
    for field in &entity.fields {
        match &field.kind {
            Kind::Ref(to) => {
                let target = model.entity(&to.entity).unwrap().clone();
                all.extend(related(entity, &field.name, &target));
            }
            Kind::Vector(vector) => {
                let (table, column) = (table(entity), ident(&field.name));
                let operator = vector.metric.operator();
                let seed = Seed { number: 0, mark: None, target: &|_| String::new() };
                let point = rows::value(field, &seed);
                all.push(attempt(format!("nearest by {}", field.name), move |_, tenants| {
                    format!(
                        "select from {table} where tenant_id <> '{}' order by {column} {operator} {point}",
                        tenants[0].id()
                    )
                }));
            }
            Kind::Blob(_) => all.extend(attached(entity, &field.name)),
            _ => {}
        }
    }
    all
}

/// What of the platform's the login can reach: its name, and what is tried on it.
pub(super) fn platform() -> Vec<(&'static str, Vec<Attempt>)> {
    let mut all = of_the_gate();
    all.extend(of_copies());
    all.extend(of_removal());
    all
}

/// What expiry and erasures call with a permit that nobody else gets.
fn of_removal() -> Vec<(&'static str, Vec<Attempt>)> {
    let count = |on: usize, tenants: &[Tenant]| {
        format!(
            "select freehold.rows_removed('{}', 'person', 'delete', now(), 1)",
            tenants[on].id()
        )
    };
    let erased = |on: usize, tenants: &[Tenant]| {
        let id = tenants[on].id();
        format!("select freehold.rows_erased('{id}', '{id}', 'person', 'deleted', 1)")
    };
    vec![
        (
            "freehold.rows_removed(uuid,text,text,timestampwithtimezone,bigint)",
            vec![attempt("removed rows without a permit", count)],
        ),
        (
            "freehold.rows_erased(uuid,uuid,text,text,bigint)",
            vec![attempt("erased rows without a permit", erased)],
        ),
    ]
}

/// What it may call of copies of vectors, which is about its own tenant's alone.
fn of_copies() -> Vec<(&'static str, Vec<Attempt>)> {
    let one = |name, what, sql: &'static str| {
        let made = attempt(what, move |_: usize, _: &[Tenant]| sql.to_owned());
        (name, vec![Attempt { reach: Reach::Nothing, ..made }])
    };
    vec![
        one("freehold.copy_is_whole(oid)", "a copy of vectors", "select freehold.copy_is_whole(1)"),
        one(
            "freehold.copy_lacks(oid)",
            "one's own copy lacks a row",
            "select freehold.copy_lacks(1)",
        ),
        one(
            "freehold.copy_refused(text,text)",
            "a refusal",
            "select freehold.copy_refused('x', 'y')",
        ),
    ]
}

fn of_the_gate() -> Vec<(&'static str, Vec<Attempt>)> {
    let forged = "0".repeat(32);
    let text = format!(
        "call freehold.open('v3.0001.0002.{forged}.{forged}.{:016x}.{:016x}.{forged}{forged}')",
        0, 0
    );
    let typed = format!(
        "call freehold.open(1::smallint, 2::smallint, '{forged}', '{forged}', 1, 1, '\\x00')"
    );
    let none = |sql: &'static str| move |_: usize, _: &[Tenant]| sql.to_owned();
    let tenant = |on: usize, tenants: &[Tenant]| {
        format!("select from (select freehold.tenant() as id) t where id = '{}'", tenants[on].id())
    };
    vec![
        ("freehold.embedding_due", of_the_platform("embedding_due", "entity, field", "'x', 'y'")),
        (
            "freehold.import_mark",
            of_the_platform("import_mark", "entity, source, rows, digest", "'x', 'y', 1, 1"),
        ),
        (
            "freehold.blob",
            of_the_platform(
                "blob",
                "id, entity, field, type, size, object, key",
                "gen_random_uuid(), 'x', 'y', 'a/b', 1, 'o', '\\x00'",
            ),
        ),
        ("freehold.tenant()", vec![attempt("is it this tenant", tenant)]),
        (
            "freehold.uuidv7()",
            vec![Attempt {
                reach: Reach::Nothing,
                ..attempt("a new id", none("select freehold.uuidv7()"))
            }],
        ),
        (
            "freehold.\"position\"()",
            vec![Attempt {
                reach: Reach::Nothing,
                ..attempt("where a write stands, masked", none("select freehold.position()"))
            }],
        ),
        (
            "freehold.stamp(text[])",
            vec![Attempt {
                reach: Reach::Nothing,
                ..attempt("the stamp of a table", none("select freehold.stamp('{person}')"))
            }],
        ),
        (
            "freehold.open(text)",
            vec![attempt("a token of one's own making", move |_, _| text.clone())],
        ),
        (
            "freehold.open(smallint,smallint,uuid,uuid,bigint,bigint,bytea)",
            vec![attempt("a token of one's own making", move |_, _| typed.clone())],
        ),
    ]
}

fn of_the_platform(
    table: &'static str,
    columns: &'static str,
    values: &'static str,
) -> Vec<Attempt> {
    let on = move |what: &'static str| {
        move |on: usize, tenants: &[Tenant]| {
            what.replace("{t}", table).replace("{b}", &tenants[on].id().to_string())
        }
    };
    let insert = format!("insert into freehold.{table} ({columns}) values ({values})");
    let foreign =
        format!("insert into freehold.{table} (tenant_id, {columns}) values ('{{b}}', {values})");
    vec![
        attempt("select by tenant", on("select from freehold.{t} where tenant_id = '{b}'")),
        Attempt { reach: Reach::Opened, ..attempt("select all", on("select from freehold.{t}")) },
        Attempt { reach: Reach::Opened, ..attempt("insert", move |_, _| insert.clone()) },
        attempt("insert for a tenant", move |on, tenants| {
            foreign.replace("{b}", &tenants[on].id().to_string())
        }),
        attempt(
            "update by tenant",
            on("update freehold.{t} set entity = 'z' where tenant_id = '{b}'"),
        ),
        attempt("update of the tenant", on("update freehold.{t} set tenant_id = '{b}'")),
        attempt("delete by tenant", on("delete from freehold.{t} where tenant_id = '{b}'")),
        attempt("truncate", on("truncate freehold.{t}")),
    ]
}

/// On a read model, which its workers alone may write.
pub(super) fn of_read_model(read: &ReadModel) -> Vec<Attempt> {
    let table = format!("app.{}", ident(read.name()));
    let (first, key) = (ident(&read.shape().fields[1].name), ident(&read.key()[0]));
    let statements = [
        ("select by tenant", format!("select from {table} where tenant_id = '{{tenant}}'")),
        (
            "insert",
            format!(
                "insert into {table} (tenant_id, {key}) values ('{{tenant}}', gen_random_uuid())"
            ),
        ),
        ("update", format!("update {table} set {first} = null where tenant_id = '{{tenant}}'")),
        ("delete", format!("delete from {table} where tenant_id = '{{tenant}}'")),
        ("truncate", format!("truncate {table}")),
        ("select from a partition", format!("select from freehold_shelf.\"{}~0\"", read.name())),
    ];
    let mut all: Vec<Attempt> = statements
        .into_iter()
        .map(|(what, sql)| {
            attempt(what, move |on, tenants| sql.replace("{tenant}", &tenants[on].id().to_string()))
        })
        .collect();
    let every = format!("select from {table}");
    all.push(Attempt { reach: Reach::Opened, ..attempt("select all", move |_, _| every.clone()) });
    all
}

/// A row of that tenant with values of all fields; references are to rows of the tenant `number`.
pub(super) fn insert(
    entity: &Entity,
    tenant: &Tenant,
    row: Option<&str>,
    number: usize,
    end: &str,
) -> String {
    let target = |name: &str| id(number, name);
    let seed = Seed { number, mark: None, target: &target };
    rows::insert(entity, &tenant.id().to_string(), row, &seed, end)
}

fn reads(entity: &Entity) -> Vec<Attempt> {
    let name = table(entity);
    let this = entity.clone();
    let by_id = format!("select from {name} where id = ");
    let by_tenant = format!("select from {name} where tenant_id = ");
    let others = format!("select from {name} where tenant_id <> ");
    let all = format!("select from {name}");
    let leaf = format!("select from freehold_shelf.\"{}~0\"", entity.name);
    let middle = format!("select from freehold_shelf.\"{}~d\"", entity.name);
    let locked = format!("select from {name} where id = ");
    let of = entity.clone();
    let mut reads = vec![
        attempt("select by id", move |on, _| format!("{by_id}'{}'", id(on, &this.name))),
        attempt("select by tenant", move |on, tenants| {
            format!("{by_tenant}'{}'", tenants[on].id())
        }),
        attempt("select of all but a", move |_, tenants| format!("{others}'{}'", tenants[0].id())),
        attempt("select for update", move |on, _| {
            format!("{locked}'{}' for update", id(on, &of.name))
        }),
        attempt("select from a partition", move |_, _| leaf.clone()),
        attempt("select from the default partition", move |_, _| middle.clone()),
    ];
    reads.push(Attempt { reach: Reach::Opened, ..attempt("select all", move |_, _| all.clone()) });
    reads
}

fn writes(entity: &Entity) -> Vec<Attempt> {
    let name = table(entity);
    let column = ident(&entity.fields[0].name);
    let [e1, e2, e3, e4, e5, e6] = std::array::from_fn(|_| entity.clone());
    let (t1, t2, t3, t4, t5) =
        (name.clone(), name.clone(), name.clone(), name.clone(), name.clone());
    let (c1, c2) = (column.clone(), column.clone());
    vec![
        attempt("insert", move |on, tenants| insert(&e1, &tenants[on], None, on, "")),
        attempt("insert of many, as a load does", move |on, tenants| {
            let (names, values) = columns(&e2, on);
            format!(
                "insert into {t1} (tenant_id, {names}) select t, {values} from unnest(array['{}']::uuid[]) t",
                tenants[on].id()
            )
        }),
        attempt("copy in", move |_, _| format!("copy {t2} from stdin")),
        attempt("upsert by id", move |on, tenants| {
            let end = format!(" on conflict (tenant_id, id) do update set {c1} = excluded.{c1}");
            insert(&e3, &tenants[on], Some(&id(on, &e3.name)), on, &end)
        }),
        attempt("update by id", move |on, _| {
            format!("update {t3} set {c2} = {c2} where id = '{}'", id(on, &e4.name))
        }),
        attempt("update of the tenant", move |on, tenants| {
            format!("update {t4} set tenant_id = '{}'", tenants[on].id())
        }),
        attempt("delete by id", move |on, _| {
            format!("delete from {t5} where id = '{}'", id(on, &e5.name))
        }),
        attempt("delete by tenant", {
            let name = name.clone();
            move |on, tenants| {
                format!("delete from {name} where tenant_id = '{}'", tenants[on].id())
            }
        }),
        attempt("insert into a partition", move |_, _| {
            format!("insert into freehold_shelf.\"{}~0\" default values", e6.name)
        }),
        attempt("truncate", move |_, _| format!("truncate {name} cascade")),
    ]
}

/// Through a reference: from this table, from the other one, and making one.
fn related(entity: &Entity, field: &str, target: &Entity) -> Vec<Attempt> {
    let join = format!(
        "select from {} t join {} r on r.id = t.{}",
        table(entity),
        table(target),
        ident(field)
    );
    let (up, down) = (join.clone(), join);
    let (this, that, referring) = (entity.clone(), target.clone(), entity.clone());
    let field = field.to_owned();
    vec![
        attempt(format!("embed of {field}"), move |on, _| {
            format!("{up} where t.id = '{}'", id(on, &this.name))
        }),
        attempt(format!("embed by {field}"), move |on, _| {
            format!("{down} where r.id = '{}'", id(on, &that.name))
        }),
        attempt(format!("reference by {field}"), move |on, _| {
            let (names, values) = columns(&referring, on);
            format!("insert into {} ({names}) values ({values})", table(&referring))
        }),
    ]
}

/// The blob that a row has, and an upload that none has, by their ids.
fn attached(entity: &Entity, field: &str) -> Vec<Attempt> {
    let (table, column, name) = (table(entity), ident(field), entity.name.clone());
    let join = format!("select from {table} t join freehold.blob b on b.id = t.{column}");
    let mut all = vec![attempt(format!("blob of {field}"), move |on, _| {
        format!("{join} where t.id = '{}'", id(on, &name))
    })];
    for (what, which) in [("the blob", HELD), ("an upload", WAITING)] {
        let take = format!("update {table} set {column} = ");
        all.push(attempt(format!("what is known of {what} for {field}"), move |on, _| {
            format!("select name, hash from freehold.blob where id = '{}'", id(on, which))
        }));
        all.push(attempt(format!("take {what} for {field}"), move |on, _| {
            format!("{take}'{}'", id(on, which))
        }));
    }
    all
}

/// Notes an upload for each blob that rows of a tenant must have, as whoever owns the platform; its id is of `which`.
pub(super) fn upload(model: &Model, tenant: &Tenant, number: usize, which: &str) -> String {
    let fields = model.entities().iter().flat_map(|entity| {
        let blobs = entity.fields.iter().filter(|field| matches!(field.kind, Kind::Blob(_)));
        blobs.map(|field| (entity.name.clone(), field.name.clone()))
    });
    let values: Vec<String> = fields
        .map(|(entity, field)| {
            let blob = id(number, which);
            format!(
                "('{}', '{blob}', '{entity}', '{field}', 'a name', 'a/b', 1, sha256(''), 'pending', '{blob}', '')",
                tenant.id()
            )
        })
        .collect();
    format!(
        "insert into freehold.blob (tenant_id, id, entity, field, name, type, size, hash, state, object, key) values {}",
        values.join(", ")
    )
}

fn columns(entity: &Entity, number: usize) -> (String, String) {
    let target = |name: &str| id(number, name);
    rows::columns(entity, &Seed { number, mark: None, target: &target })
}

fn attempt(what: impl Into<String>, sql: impl Fn(usize, &[Tenant]) -> String + 'static) -> Attempt {
    Attempt { what: what.into(), reach: Reach::Named, sql: Box::new(sql) }
}
