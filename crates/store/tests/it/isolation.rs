//! Everything that can be tried on every table of a model, by whom, and what comes of it: `isolation/matrix.txt`,
//! made for people to read. `UPDATE_EXPECT=1` records it anew.
//!
//! The statements are plain SQL of somebody who has the servers' role and can do more than they ever would.

mod attempts;

use std::{fmt::Write as _, path::Path};

use freehold_model::{
    Model, declare,
    entity::{Entity, Kind, Scalar, VectorForm},
    plan::{Target, plan},
};
use freehold_store::{Apply, Config, Mode, Operator, RootKey, Store, Tenant};
use freehold_testkit::TestDb;
use tokio_postgres::Client;

use crate::fixture::{Forge, House, ROOT, backend};
use attempts::{Attempt, attempts};

pub(crate) const MODEL: &str = include_str!("isolation/model.toml");
const TENANTS: [&str; 4] = ["a", "b", "suspended", "deleting"];
const HEAD: &str = "\
What comes of every attempt on every table, for whoever has the servers' role `freehold_app`.

own        tenant a is open; the row and the tenant named in the statement are its own
other      tenant a is open; they are those of tenant b
none       no tenant is open; they are those of tenant a
suspended  tenant a is being opened, and suspended
deleting   tenant a is being opened, and deleted

How many rows were read or written, or how it was refused:
42501      no right to it, or outside of the tenant's wall
23503      no such row to refer to, or one that is referred to
FH002      the tenant is not active
0A000      PostgreSQL does not do that on tables with a wall
";

/// Who tries, and on whose rows.
const SITUATIONS: [(&str, Option<&str>, &str); 5] = [
    ("own", Some("a"), "a"),
    ("other", Some("a"), "b"),
    ("none", None, "a"),
    ("suspended", Some("suspended"), "suspended"),
    ("deleting", Some("deleting"), "deleting"),
];

#[tokio::test]
async fn the_wall_stands_wherever_it_is_tried() {
    let model = declare::read(MODEL).unwrap().model;
    for mode in [Mode::Seal, Mode::Ticket] {
        let street = Street::new(mode, &model).await;
        let mut matrix = HEAD.to_owned();
        for entity in model.entities() {
            street.of(&model, entity, &mut matrix).await;
        }
        compare(&matrix, mode);
    }
}

/// A house with one row of each entity for each tenant, its number the tenant's.
struct Street {
    house: House,
    tenants: Vec<Tenant>,
}

impl Street {
    async fn new(mode: Mode, model: &Model) -> Self {
        let db = database(mode, model).await;
        let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
        let mut tenants = Vec::new();
        for name in TENANTS {
            tenants.push(store.tenant_named(name).await.unwrap());
        }
        let admin = db.client().await;
        for (number, tenant) in tenants.iter().enumerate() {
            for entity in model.entities() {
                let id = id(number, entity);
                let row = attempts::insert(entity, tenant, Some(&id), number, "");
                admin.batch_execute(&row).await.unwrap_or_else(|error| panic!("{row}: {error:?}"));
            }
        }
        let state =
            "update freehold.tenant set state = name where name in ('suspended', 'deleting')";
        admin.batch_execute(state).await.unwrap();
        let (a, b) = (tenants[0].clone(), tenants[1].clone());
        Self { house: House { db, store, a, b }, tenants }
    }

    async fn of(&self, model: &Model, entity: &Entity, matrix: &mut String) {
        let _ = write!(matrix, "\n{:<44}", &*entity.name);
        for (situation, ..) in SITUATIONS {
            let _ = write!(matrix, "{situation:<11}");
        }
        *matrix = matrix.trim_end().to_owned() + "\n";
        let attacker = self.house.attacker().await;
        let pid = backend(&attacker).await;
        let mut tokens = Vec::new();
        for tenant in &self.tenants {
            tokens.push(self.house.token(tenant, Forge::none(pid)).await);
        }
        for Attempt { what, of_the_opened, sql } in attempts(model, entity) {
            let _ = write!(matrix, "  {what:<42}");
            for (situation, opened, on) in SITUATIONS {
                let token = opened.map(|name| tokens[self.number(name)].as_str());
                let sql = sql(self.number(on), &self.tenants);
                let outcome = self.outcome(&attacker, token, &sql).await;
                let got_through = outcome.contains("row") && outcome != "0 rows";
                assert!(
                    !got_through || situation == "own" || situation == "other" && of_the_opened,
                    "{}: {what}, {situation}: {outcome}",
                    entity.name
                );
                let _ = write!(matrix, "{outcome:<11}");
            }
            *matrix = matrix.trim_end().to_owned() + "\n";
        }
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

pub(crate) async fn database(mode: Mode, model: &Model) -> TestDb {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        assert_eq!(operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap(), mode);
        for name in TENANTS {
            operator.create_tenant(name).await.unwrap();
        }
        let major = operator.check_server().await.unwrap().major;
        let plan = plan(&Model::default(), model, Target { major }).unwrap();
        let wanted = Apply { plan: &plan, from_version: 0, model, text: MODEL, allowed: &[] };
        operator.apply(wanted, async |_| Ok(()), |_| {}).await.unwrap();
    };
    TestDb::from_template(&format!("isolation {} {MODEL}", mode.as_str()), build).await
}

/// The id of the row of a tenant.
fn id(tenant: usize, entity: &Entity) -> String {
    let of: u32 = entity.name.bytes().map(u32::from).sum();
    format!("00000000-0000-0000-{of:04}-00000000000{tenant}")
}

fn value(kind: &Kind, tenant: usize, model_id: impl Fn(&str) -> String) -> String {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Text | Scalar::Uuid => "gen_random_uuid()".to_owned(),
        Scalar::Boolean => "true".into(),
        Scalar::TimestampTz | Scalar::Date => "'2024-01-01'".into(),
        Scalar::Jsonb => "'{}'".into(),
        Scalar::Bytea => r"'\x00'".into(),
        _ => tenant.to_string(),
    };
    match kind {
        Kind::Scalar(kind) => scalar(kind),
        Kind::Array(_) => "'{}'".into(),
        Kind::Enum(values) => format!("'{}'", values[0]),
        Kind::Ref(to) => format!("'{}'", model_id(&to.entity)),
        Kind::Vector(vector) => {
            let ones = vec!["1"; vector.dimensions as usize];
            match vector.form {
                VectorForm::Vector | VectorForm::Halfvec => format!("'[{}]'", ones.join(",")),
                VectorForm::Sparsevec => format!("'{{1:1}}/{}'", vector.dimensions),
                VectorForm::Bit => format!("b'{}'", ones.concat()),
            }
        }
    }
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
