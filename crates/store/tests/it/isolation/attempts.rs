//! What is tried on a table.

use freehold_model::{
    Model,
    entity::{Entity, Kind},
};
use freehold_store::Tenant;

use super::{id, value};

/// The statement for the number of the tenant it is tried on.
type Statement = Box<dyn Fn(usize, &[Tenant]) -> String>;

/// Something to try on the row of a tenant, given by its number.
pub(super) struct Attempt {
    pub(super) what: String,
    /// Whether it only ever touches rows of the opened tenant, whatever rows it is tried on.
    pub(super) of_the_opened: bool,
    pub(super) sql: Statement,
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
                let point = value(&field.kind, 0, |_| String::new());
                all.push(attempt(format!("nearest by {}", field.name), move |_, tenants| {
                    format!(
                        "select from {table} where tenant_id <> '{}' order by {column} {operator} {point}",
                        tenants[0].id()
                    )
                }));
            }
            _ => {}
        }
    }
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
    let (names, values) = columns(entity, number);
    let id = row.map_or_else(|| "gen_random_uuid()".to_owned(), |id| format!("'{id}'"));
    format!(
        "insert into {} (tenant_id, id, {names}) values ('{}', {id}, {values}){end}",
        table(entity),
        tenant.id()
    )
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
        attempt("select by id", move |on, _| format!("{by_id}'{}'", id(on, &this))),
        attempt("select by tenant", move |on, tenants| {
            format!("{by_tenant}'{}'", tenants[on].id())
        }),
        attempt("select of all but a", move |_, tenants| format!("{others}'{}'", tenants[0].id())),
        attempt("select for update", move |on, _| format!("{locked}'{}' for update", id(on, &of))),
        attempt("select from a partition", move |_, _| leaf.clone()),
        attempt("select from the default partition", move |_, _| middle.clone()),
    ];
    reads.push(Attempt { of_the_opened: true, ..attempt("select all", move |_, _| all.clone()) });
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
            insert(&e3, &tenants[on], Some(&id(on, &e3)), on, &end)
        }),
        attempt("update by id", move |on, _| {
            format!("update {t3} set {c2} = {c2} where id = '{}'", id(on, &e4))
        }),
        attempt("update of the tenant", move |on, tenants| {
            format!("update {t4} set tenant_id = '{}'", tenants[on].id())
        }),
        attempt("delete by id", move |on, _| {
            format!("delete from {t5} where id = '{}'", id(on, &e5))
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
            format!("{up} where t.id = '{}'", id(on, &this))
        }),
        attempt(format!("embed by {field}"), move |on, _| {
            format!("{down} where r.id = '{}'", id(on, &that))
        }),
        attempt(format!("reference by {field}"), move |on, _| {
            let (names, values) = columns(&referring, on);
            format!("insert into {} ({names}) values ({values})", table(&referring))
        }),
    ]
}

fn columns(entity: &Entity, number: usize) -> (String, String) {
    let target = |name: &str| {
        let mut target = entity.clone();
        target.name = freehold_model::Name::new(name).unwrap();
        id(number, &target)
    };
    let names: Vec<String> = entity.fields.iter().map(|field| ident(&field.name)).collect();
    let values: Vec<String> =
        entity.fields.iter().map(|field| value(&field.kind, number, target)).collect();
    (names.join(", "), values.join(", "))
}

fn attempt(what: impl Into<String>, sql: impl Fn(usize, &[Tenant]) -> String + 'static) -> Attempt {
    Attempt { what: what.into(), of_the_opened: false, sql: Box::new(sql) }
}

fn table(entity: &Entity) -> String {
    format!("app.{}", ident(&entity.name))
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
