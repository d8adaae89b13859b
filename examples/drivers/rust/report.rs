//! `cargo run -- "$(freehold login)" pass acme`: tenants of Freehold over tokio-postgres. `pass` is what
//! `freehold login --passfile pass` wrote.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use tokio_postgres::{Client, Config, NoTls, Transaction};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("URL PASSFILE TENANT");
    let (url, passfile, tenant) = (next()?, next()?, next()?);
    for line in report(&url, &passfile, &tenant, Signer::start(Command::new("freehold"))?).await? {
        println!("{line}");
    }
    Ok(())
}

/// One `freehold token --stdin` for the whole process: it reads the root key, this process never does. Whoever can write
/// to it can open every tenant.
pub(crate) struct Signer {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Signer {
    pub(crate) fn start(mut freehold: Command) -> Outcome<Self> {
        freehold.args(["token", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = freehold.spawn()?;
        let ask = child.stdin.take().ok_or("no pipe")?;
        let answer = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, ask, answer })
    }

    fn token(&mut self, backend: i32, tenant: &str) -> Outcome<String> {
        writeln!(self.ask, "{backend} {tenant}")?;
        let mut line = String::new();
        self.answer.read_line(&mut line)?;
        let token = line.trim();
        if token.starts_with("v3.") { Ok(token.to_owned()) } else { Err(token.into()) }
    }

    /// A transaction with the tenant open; dropped, it is rolled back.
    async fn open<'a>(&mut self, client: &'a mut Client, tenant: &str) -> Outcome<Transaction<'a>> {
        let tx = client.transaction().await?;
        let backend: i32 = tx.query_one("select pg_backend_pid()", &[]).await?.get(0);
        let token = self.token(backend, tenant)?;
        // A simple query: what has a name in the backend, others can replace.
        tx.batch_execute(&format!("call freehold.open('{token}')")).await?;
        Ok(tx)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn report(
    url: &str,
    passfile: &str,
    tenant: &str,
    mut signer: Signer,
) -> Outcome<Vec<String>> {
    let mut config: Config = url.parse()?;
    let line = std::fs::read_to_string(passfile)?;
    config.password(line.trim_end().rsplit(':').next().ok_or("no password")?);
    let (mut client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);

    // Prepared once in the protocol: it stays from transaction to transaction and from tenant to tenant.
    let tx = signer.open(&mut client, tenant).await?;
    let nearest = tx
        .prepare(
            "select t.title, a.handle from ticket t left join agent a on a.id = t.agent
             where t.number <> 1 order by t.embedding <=> $1::text::vector limit 2",
        )
        .await?;
    let first: String =
        tx.query_one("select embedding::text from ticket where number = 1", &[]).await?.get(0);
    let mut lines = Vec::new();
    for row in tx.query(&nearest, &[&first]).await? {
        let (title, agent): (&str, Option<&str>) = (row.get(0), row.get(1));
        lines.push(format!("{title} ({})", agent.unwrap_or("nobody")));
    }
    tx.commit().await?;

    let mut tx = signer.open(&mut client, tenant).await?;
    let add = "insert into agent (handle, team) values ('ada', 'second')";
    let inner = tx.savepoint("one").await?;
    if let Err(error) = inner.execute(add, &[]).await {
        lines.push(error.as_db_error().map_or_else(String::new, |said| said.message().to_owned()));
    }
    inner.rollback().await?;
    let agents: i64 = tx.query_one("select count(*) from agent", &[]).await?.get(0);
    lines.push(format!("{agents} agents"));
    tx.commit().await?;
    drop(client);
    connection.await??;
    Ok(lines)
}
