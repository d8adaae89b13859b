//! `sql`: a prompt inside a tenant's wall. Every line that ends in `;` is a transaction of its own.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use freehold_engine::{Engine, Error, Tenant};

use super::Site;
use crate::{
    config::Config,
    output::{self, Failure},
};

pub(super) async fn sql(
    config: &Config,
    tenant: &str,
    command: Option<String>,
) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = engine.tenant(tenant).await?;
    if let Some(text) = command {
        return Ok(run(config, &engine, &tenant, &text).await?);
    }
    let interactive = std::io::stdin().is_terminal();
    let mut statement = String::new();
    loop {
        if interactive {
            prompt(tenant.name(), statement.is_empty())?;
        }
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0
            || matches!(line.trim(), "\\q" | "exit" | "quit")
        {
            return Ok(());
        }
        statement.push_str(&line);
        if !statement.trim_end().ends_with(';') {
            continue;
        }
        let text = std::mem::take(&mut statement);
        match run(config, &engine, &tenant, &text).await {
            Err(error) if interactive => {
                let _ = output::failure(&error.into(), config.json);
            }
            outcome => outcome?,
        }
    }
}

async fn run(config: &Config, engine: &Engine, tenant: &Tenant, text: &str) -> Result<(), Error> {
    for table in engine.raw_sql(tenant, text).await? {
        if config.json {
            output::say(serde_json::json!({
                "columns": table.columns, "rows": table.rows, "count": table.count,
            }));
            continue;
        }
        if !table.columns.is_empty() {
            let titles: Vec<&str> = table.columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = table
                .rows
                .iter()
                .map(|row| {
                    row.iter().map(|cell| cell.clone().unwrap_or_else(|| "∅".into())).collect()
                })
                .collect();
            output::table(&titles, &rows);
        }
        output::note(format!("{} rows", table.count));
    }
    Ok(())
}

fn prompt(tenant: &str, fresh: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    write!(out, "{tenant}{} ", if fresh { "=>" } else { "->" })?;
    out.flush()
}
