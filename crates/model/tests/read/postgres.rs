//! A database with the tables of a model and of its read models.

use bytes::BytesMut;
use freehold_model::{
    Model, Sql,
    plan::{Action, Target, plan},
};
use freehold_testkit::TestDb;
use tokio_postgres::{
    Client, Row,
    types::{Format, IsNull, ToSql, Type, to_sql_checked},
};

pub(crate) struct Ground {
    db: TestDb,
}

impl Ground {
    /// Only what stands there before any model.
    pub(crate) async fn new() -> Self {
        let prelude = include_str!("../plan/prelude.sql");
        let db = TestDb::from_template(prelude, async |url: &str| {
            let (client, connection) =
                tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connected");
            tokio::spawn(connection);
            client.batch_execute(prelude).await.expect("built");
        })
        .await;
        Self { db }
    }

    /// Connected as the superuser.
    pub(crate) async fn client(&self) -> Client {
        let client = self.db.client().await;
        run(&client, "set timezone to 'UTC'; set search_path to ''; set jit to off").await;
        client
    }
}

/// Makes the tables of the entities, which the writer may read; those of read models are each test's own affair.
pub(crate) async fn lay(client: &Client, model: &Model) {
    let plan = plan(&Model::default(), model, Target { major: 16 }).expect("a plan");
    run(client, "set role freehold_owner").await;
    for step in &plan.steps {
        match &step.action {
            Action::Transaction(statements) if !step.title.contains("read model") => {
                run(client, &statements.join(";\n")).await;
            }
            _ => {}
        }
    }
    run(client, "reset role").await;
}

pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The rows of a statement, whose columns are texts, numbers or truths.
pub(crate) async fn rows(client: &Client, sql: &Sql) -> Vec<Vec<Option<String>>> {
    let params: Vec<Text<'_>> = sql.params().iter().map(|param| Text(param.as_deref())).collect();
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
    let rows = client
        .query(sql.text(), &params)
        .await
        .unwrap_or_else(|error| panic!("{}\n{:?}\n{error:?}", sql.text(), sql.params()));
    rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect()
}

fn value(row: &Row, at: usize) -> Option<String> {
    match *row.columns()[at].type_() {
        Type::INT8 => row.get::<_, Option<i64>>(at).map(|number| number.to_string()),
        Type::BOOL => row.get::<_, Option<bool>>(at).map(|truth| truth.to_string()),
        _ => row.get(at),
    }
}

#[derive(Debug)]
struct Text<'a>(Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(text) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
