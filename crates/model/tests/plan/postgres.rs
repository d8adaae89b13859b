//! The property that carries plans, for the pairs: what a plan makes of the old tables is what the new model makes on
//! empty ground.

use freehold_model::{
    Model,
    plan::{Action, Plan, Target, plan},
};
use freehold_testkit::{CATALOGUE, TestDb};
use tokio_postgres::Client;

use crate::pairs;

#[tokio::test]
async fn a_plan_makes_what_the_new_model_makes() {
    let mut compared = 0;
    for (name, old, new) in pairs() {
        compared += usize::from(same(&name, &old, &new).await);
    }
    assert!(compared >= 14, "{compared}");
}

#[tokio::test]
async fn so_does_the_plan_back() {
    let mut compared = 0;
    for (name, old, new) in pairs() {
        compared += usize::from(same(&name, &new, &old).await);
    }
    assert!(compared >= 8, "{compared}");
}

/// Compares the two ways to `new`. Changes that are refused have nothing to compare: `false`.
pub(crate) async fn same(what: &str, old: &Model, new: &Model) -> bool {
    let ground = Ground::new().await;
    let Ok(change) = plan(old, new, ground.target) else { return false };
    let (one, other) = (ground.client().await, Ground::new().await);
    let first = plan(&Model::default(), old, ground.target).expect("a model can be made");
    apply(&one, &first, what).await;
    apply(&one, &change, what).await;
    let fresh = other.client().await;
    let whole = plan(&Model::default(), new, ground.target).expect("a model can be made");
    apply(&fresh, &whole, what).await;
    let (planned, fresh) = (catalogue(&one).await, catalogue(&fresh).await);
    let only = |these: &[String], those: &[String], sign: &str| {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .map(|line| format!("{sign} {line}\n"))
            .collect::<String>()
    };
    let difference = only(&planned, &fresh, "+") + &only(&fresh, &planned, "-");
    assert!(
        planned == fresh,
        "{what}: planned (+) and made anew (-) differ\n{difference}\n{}",
        change.render()
    );
    assert!(
        planned.len() > 20 || new.entities().is_empty(),
        "{what}: the catalogue was not read: {planned:?}"
    );
    true
}

/// A database with the part of the platform that plans stand on.
pub(crate) struct Ground {
    db: TestDb,
    pub(crate) target: Target,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let prelude = include_str!("prelude.sql");
        let db = TestDb::from_template(prelude, async |url: &str| {
            connect(url).await.batch_execute(prelude).await.expect("built")
        })
        .await;
        let version: i32 = db
            .client()
            .await
            .query_one("select current_setting('server_version_num')::integer", &[])
            .await
            .expect("a version")
            .get(0);
        Self { db, target: Target { major: u16::try_from(version / 10_000).expect("small") } }
    }

    /// Connected as the superuser.
    pub(crate) async fn client(&self) -> Client {
        self.db.client().await
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    client
}

/// Runs all steps; fills columns with vectors of nothing but halves.
pub(crate) async fn apply(client: &Client, plan: &Plan, what: &str) {
    for (position, _) in plan.steps.iter().enumerate() {
        if let Err(error) = step(client, plan, position).await {
            panic!("{what}: step {}: {error:?}\n{}", position + 1, plan.render());
        }
    }
}

/// Runs one step.
pub(crate) async fn step(
    client: &Client,
    plan: &Plan,
    position: usize,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("set role freehold_owner; set search_path to ''").await?;
    let done = match &plan.steps[position].action {
        Action::Transaction(statements) => {
            client.batch_execute(&format!("begin;\n{};\ncommit", statements.join(";\n"))).await
        }
        Action::Concurrently(statements) => one_by_one(client, statements).await,
        Action::Fill { entity, column, .. } => fill(client, entity, column).await,
        // There are no rows.
        Action::Build { .. } => Ok(()),
    };
    client.batch_execute("rollback; reset role; reset search_path").await?;
    done
}

async fn one_by_one(client: &Client, statements: &[String]) -> Result<(), tokio_postgres::Error> {
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

async fn fill(client: &Client, entity: &str, column: &str) -> Result<(), tokio_postgres::Error> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (table, column) = (format!("app.{}", quoted(entity)), quoted(column));
    let type_of = "select format_type(atttypid, atttypmod), atttypmod from pg_attribute where attrelid = $1::text::regclass and attname = $2";
    client.batch_execute("reset role").await?;
    let row = client.query_one(type_of, &[&table, &column.trim_matches('"')]).await?;
    let (vector, dimensions): (String, i32) = (row.get(0), row.get(1));
    let update = format!(
        "update {table} set {column} = array_fill(0.5::real, array[{dimensions}])::{vector} where {column} is null"
    );
    client.batch_execute(&update).await
}

/// The lines of [`CATALOGUE`].
async fn catalogue(client: &Client) -> Vec<String> {
    client.query(CATALOGUE, &[]).await.expect("a catalogue").iter().map(|row| row.get(0)).collect()
}
