//! Everything that can be tried on every table of a model, by whom, and what comes of it: `isolation/matrix.txt`,
//! made for people to read. `UPDATE_EXPECT=1` records it anew.
//!
//! The statements are plain SQL of somebody who has the servers' role and can do more than they ever would.

mod attempts;

use std::{fmt::Write as _, path::Path, sync::LazyLock};

use freehold_model::{Model, declare};
use freehold_store::{Config, Mode, Operator, RootKey, Store, Tenant};
use freehold_testkit::TestDb;
use tokio_postgres::Client;

use crate::fixture::{Forge, House, ROOT, apply, backend};
use attempts::{Attempt, HELD, Reach, WAITING, attempts, of_read_model, platform};

pub(crate) const MODEL: &str = include_str!("isolation/model.toml");
const TENANTS: [&str; 4] = ["a", "b", "suspended", "deleting"];
const HEAD: &str = "\
What comes of every attempt on every table, for whoever has the servers' role `freehold_app`.

own        tenant a is open; the row and the tenant named in the statement are its own
other      tenant a is open; they are those of tenant b
none       no tenant is open; they are those of tenant a
suspended  tenant a is being opened, and suspended
deleting   tenant a is being opened, and deleted
expired    tenant a is being opened, by a token whose time is over
elsewhere  tenant a is being opened, by a token of another connection

How many rows were read or written, or how it was refused:
42501      no right to it, or outside of the tenant's wall
23503      no such row to refer to, or one that is referred to
28000      the token is refused
FH002      the tenant is not active
0A000      PostgreSQL does not do that on tables with a wall
";

/// Who tries, and on whose rows.
type Situation = (&'static str, Option<(&'static str, Wrong)>, &'static str);

const SITUATIONS: [Situation; 7] = [
    ("own", Some(("a", Wrong::Nothing)), "a"),
    ("other", Some(("a", Wrong::Nothing)), "b"),
    ("none", None, "a"),
    ("suspended", Some(("suspended", Wrong::Nothing)), "suspended"),
    ("deleting", Some(("deleting", Wrong::Nothing)), "deleting"),
    ("expired", Some(("a", Wrong::Time)), "a"),
    ("elsewhere", Some(("a", Wrong::Backend)), "a"),
];

/// What is wrong with a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Time,
    Backend,
}

#[tokio::test]
async fn the_wall_stands_wherever_it_is_tried() {
    let model = declare::read(MODEL).unwrap().model;
    for mode in [Mode::Seal, Mode::Ticket] {
        let street = Street::new(mode, &model).await;
        let mut matrix = HEAD.to_owned();
        for entity in model.entities() {
            street.of(&entity.name, attempts(&model, entity), &mut matrix).await;
        }
        for read in model.reads() {
            street.of(read.name(), of_read_model(read), &mut matrix).await;
        }
        for (name, attempts) in platform() {
            street.of(name, attempts, &mut matrix).await;
        }
        compare(&matrix, mode);
    }
}

#[tokio::test]
async fn whatever_the_login_can_reach_is_in_the_matrix() {
    let matrix = include_str!("isolation/matrix.txt");
    for mode in [Mode::Seal, Mode::Ticket] {
        let db = database(mode).await;
        let admin = db.client().await;
        let reached = async |sql: &str| {
            let rows = admin.query(sql, &[]).await.unwrap();
            rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
        };
        let missing = |names: Vec<String>| {
            let names = names.into_iter();
            names
                .filter(|name| {
                    !matrix.lines().any(|line| line.split(' ').next() == Some(name.as_str()))
                })
                .collect::<Vec<_>>()
        };
        let (relations, functions) = (reached(RELATIONS).await, reached(FUNCTIONS).await);
        assert!(relations.len() > 4 && functions.len() == 11, "{relations:?} {functions:?}");
        assert_eq!(missing(relations), Vec::<String>::new());
        assert_eq!(missing(functions), Vec::<String>::new());
        // And it would find one that is not.
        admin
            .batch_execute("create view app.everything as select 1; grant select on app.everything to freehold_app")
            .await
            .unwrap();
        assert_eq!(missing(reached(RELATIONS).await), ["everything"]);
    }
}

/// Relations of which the login may do anything at all with any column.
const RELATIONS: &str = "select case n.nspname when 'app' then c.relname::text else format('%I.%I', n.nspname, c.relname) end \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname <> 'pg_catalog' and has_schema_privilege('freehold_app', n.oid, 'usage') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') \
      and case c.relkind when 'S' then has_sequence_privilege('freehold_app', c.oid, 'select, usage, update') \
        else has_table_privilege('freehold_app', c.oid, 'select, insert, update, delete, truncate, references, trigger') \
          or has_any_column_privilege('freehold_app', c.oid, 'select, insert, update, references') end";

/// Functions it may call, but pgvector's, which read no tables.
const FUNCTIONS: &str = "select case when p.pronargs = 0 then format('%I.%I()', n.nspname, p.proname) else replace(p.oid::regprocedure::text, ' ', '') end \
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
    where n.nspname <> 'pg_catalog' and has_schema_privilege('freehold_app', n.oid, 'usage') and has_function_privilege('freehold_app', p.oid, 'execute') \
      and not exists (select from pg_depend d join pg_extension e on e.oid = d.refobjid where d.objid = p.oid and d.deptype = 'e' and e.extname = 'vector')";

/// A house with one row of each entity for each tenant, its number the tenant's.
struct Street {
    house: House,
    tenants: Vec<Tenant>,
}

impl Street {
    async fn new(mode: Mode, model: &Model) -> Self {
        let db = database(mode).await;
        let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
        let mut tenants = Vec::new();
        for name in TENANTS {
            tenants.push(store.tenant_named(name).await.unwrap());
        }
        let admin = db.client().await;
        for (number, tenant) in tenants.iter().enumerate() {
            // The one that its row takes.
            let held = attempts::upload(model, tenant, number, HELD);
            admin.batch_execute(&held).await.unwrap();
            for entity in model.entities() {
                let id = id(number, &entity.name);
                let row = attempts::insert(entity, tenant, Some(&id), number, "");
                admin.batch_execute(&row).await.unwrap_or_else(|error| panic!("{row}: {error:?}"));
            }
        }
        for (number, tenant) in tenants.iter().enumerate() {
            let waiting = attempts::upload(model, tenant, number, WAITING);
            admin.batch_execute(&waiting).await.unwrap();
        }
        for table in [
            "embedding_due (entity, field, tenant_id)",
            "import_mark (entity, source, rows, digest, tenant_id)",
        ] {
            let values = if table.starts_with("embedding") { "'x', 'f'" } else { "'x', 's', 1, 1" };
            let rows =
                format!("insert into freehold.{table} select {values}, id from freehold.tenant");
            admin.batch_execute(&rows).await.unwrap();
        }
        let rows = "insert into freehold.blob (tenant_id, id, entity, field, type, size, object, key) \
                    select id, gen_random_uuid(), 'x', 'f', 'a/b', 1, id::text, '\\x00' from freehold.tenant";
        admin.batch_execute(rows).await.unwrap();
        for read in model.reads() {
            let rows = format!(
                "insert into app.{} (tenant_id, author) select id, id from freehold.tenant",
                read.name()
            );
            admin.batch_execute(&rows).await.unwrap();
        }
        let state =
            "update freehold.tenant set state = name where name in ('suspended', 'deleting')";
        admin.batch_execute(state).await.unwrap();
        let (a, b) = (tenants[0].clone(), tenants[1].clone());
        Self { house: House { db, store, a, b }, tenants }
    }

    async fn of(&self, name: &str, attempts: Vec<Attempt>, matrix: &mut String) {
        let _ = write!(matrix, "\n{name:<44}");
        if name.len() >= 44 {
            let _ = write!(matrix, "\n{:<44}", "");
        }
        for (situation, ..) in SITUATIONS {
            let _ = write!(matrix, "{situation:<11}");
        }
        *matrix = matrix.trim_end().to_owned() + "\n";
        let attacker = self.house.attacker().await;
        let tokens = self.tokens(backend(&attacker).await).await;
        for Attempt { what, reach, sql } in attempts {
            let _ = write!(matrix, "  {what:<42}");
            for ((situation, _, on), token) in SITUATIONS.iter().zip(&tokens) {
                let sql = sql(self.number(on), &self.tenants);
                let outcome = self.outcome(&attacker, token.as_deref(), &sql).await;
                let got_through = outcome.contains("row") && outcome != "0 rows";
                let may = matches!(
                    (*situation, reach),
                    ("own", _)
                        | ("other", Reach::Opened | Reach::Nothing)
                        | ("none", Reach::Nothing)
                );
                assert!(!got_through || may, "{name}: {what}, {situation}: {outcome}");
                let _ = write!(matrix, "{outcome:<11}");
            }
            *matrix = matrix.trim_end().to_owned() + "\n";
        }
    }

    /// One for each situation.
    async fn tokens(&self, pid: i32) -> Vec<Option<String>> {
        let mut tokens = Vec::new();
        for (_, opened, _) in SITUATIONS {
            let Some((name, wrong)) = opened else {
                tokens.push(None);
                continue;
            };
            let forge = match wrong {
                Wrong::Nothing => Forge::none(pid),
                Wrong::Time => Forge { life: -1, ..Forge::none(pid) },
                Wrong::Backend => Forge::none(pid + 1),
            };
            tokens.push(Some(self.house.token(&self.tenants[self.number(name)], forge).await));
        }
        tokens
    }

    fn number(&self, name: &str) -> usize {
        self.tenants.iter().position(|tenant| tenant.name() == name).unwrap()
    }

    async fn outcome(&self, attacker: &Client, token: Option<&str>, sql: &str) -> String {
        attacker.batch_execute("begin").await.unwrap();
        let opened = match token {
            Some(token) => attacker.batch_execute(&format!("call freehold.open('{token}')")).await,
            None => Ok(()),
        };
        let outcome = match opened {
            Ok(()) => run(attacker, sql).await,
            Err(error) => state(&error),
        };
        attacker.batch_execute("rollback").await.unwrap();
        match outcome.as_str() {
            // Each mode of the gate finds out in its own way.
            "22P02" | "28000" if token.is_none() => "no tenant".into(),
            _ => outcome,
        }
    }
}

async fn run(attacker: &Client, sql: &str) -> String {
    if sql.starts_with("copy ") {
        let copied = attacker.batch_execute(sql).await;
        return copied.err().map_or_else(|| "open".into(), |error| state(&error));
    }
    let done = attacker.execute(sql, &[]).await;
    done.map_or_else(
        |error| state(&error),
        |rows| match rows {
            1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        },
    )
}

fn state(error: &tokio_postgres::Error) -> String {
    crate::fixture::state(error).to_owned()
}

pub(crate) async fn database(mode: Mode) -> TestDb {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        assert_eq!(operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap(), mode);
        for name in TENANTS {
            operator.create_tenant(name).await.unwrap();
        }
        apply(&mut operator, MODEL).await;
        operator.tend_slices(usize::MAX, |_, _| ()).await.unwrap();
    };
    TestDb::from_template(&format!("isolation {} {MODEL}", mode.as_str()), build).await
}

/// The id of the row of a tenant: of version 7 and made now, as slices of time demand it.
fn id(tenant: usize, entity: &str) -> String {
    static NOW: LazyLock<String> =
        LazyLock::new(|| uuid::Uuid::now_v7().to_string()[.."xxxxxxxx-xxxx-7xxx".len()].to_owned());
    let of: u32 = entity.bytes().map(u32::from).sum();
    format!("{}-{of:04}-00000000000{tenant}", *NOW)
}

#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
fn compare(matrix: &str, mode: Mode) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/isolation/matrix.txt");
    if std::env::var("UPDATE_EXPECT").is_ok() && mode == Mode::Seal {
        std::fs::write(&path, matrix).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let differs: Vec<_> = recorded.lines().zip(matrix.lines()).filter(|(a, b)| a != b).collect();
    assert!(recorded == matrix, "{mode:?}: recorded and found differ: {differs:#?}");
}
