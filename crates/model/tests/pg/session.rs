//! One transaction in PostgreSQL, with parameters sent as the store sends them: as text, of no type.

use bytes::BytesMut;
use freehold_testkit::TestDb;
use tokio_postgres::{
    Client, NoTls, Row,
    types::{Format, IsNull, ToSql, Type, to_sql_checked},
};

use crate::Sql;

const SETUP: &str = include_str!("setup.sql");

/// Statements to run in order.
#[derive(Default)]
pub(super) struct Session {
    script: Vec<Step>,
}

enum Step {
    Tenant(String),
    Statement(Sql),
}

/// What one statement answered: its row, or the SQLSTATE it failed with. Messages differ between versions.
pub(super) type Answer = Result<Vec<Option<String>>, String>;

impl Session {
    /// Goes on as this tenant.
    pub(super) fn tenant(&mut self, tenant: &str) {
        self.script.push(Step::Tenant(tenant.to_owned()));
    }

    /// Adds a statement; its answer has the number returned.
    pub(super) fn add(&mut self, sql: &Sql) -> usize {
        self.script.push(Step::Statement(sql.clone()));
        self.script.iter().filter(|step| matches!(step, Step::Statement(_))).count() - 1
    }

    /// Runs everything as the servers' role, in a database of its own.
    pub(super) fn run(self) -> Vec<Answer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let db = TestDb::from_template(SETUP, async |url: &str| {
                connect(url).await.batch_execute(SETUP).await.unwrap();
            })
            .await;
            let client = db.client().await;
            client.batch_execute("set session authorization freehold_app; begin").await.unwrap();
            let mut answers = Vec::new();
            for step in &self.script {
                match step {
                    Step::Tenant(tenant) => {
                        let set = format!("set local test.tenant = '{tenant}'");
                        client.batch_execute(&set).await.unwrap();
                    }
                    Step::Statement(sql) => answers.push(answer(&client, sql).await),
                }
            }
            answers
        })
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn answer(client: &Client, sql: &Sql) -> Answer {
    client.batch_execute("savepoint one").await.unwrap();
    let params: Vec<Text<'_>> = sql.params().iter().map(|param| Text(param.as_deref())).collect();
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
    match row(client, sql.text(), &params).await {
        Ok(row) => {
            client.batch_execute("release one").await.unwrap();
            Ok(row)
        }
        Err(error) => {
            client.batch_execute("rollback to one").await.unwrap();
            Err(error.code().unwrap_or_else(|| panic!("{error}: {}", sql.text())).code().to_owned())
        }
    }
}

/// The statement's row, or how many rows it wrote if it gives none.
async fn row(
    client: &Client,
    text: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Option<String>>, tokio_postgres::Error> {
    let statement = client.prepare(text).await?;
    if statement.columns().is_empty() {
        return Ok(vec![Some(client.execute(&statement, params).await?.to_string())]);
    }
    let row = client.query_one(&statement, params).await?;
    Ok((0..row.len()).map(|at| value(&row, at)).collect())
}

fn value(row: &Row, at: usize) -> Option<String> {
    match *row.columns()[at].type_() {
        Type::INT8 => row.get::<_, Option<i64>>(at).map(|number| number.to_string()),
        Type::BOOL => {
            row.get::<_, Option<bool>>(at).map(|it| if it { "t" } else { "f" }.to_owned())
        }
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
