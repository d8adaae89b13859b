//! `demo`: everything on this machine, with the history of git repositories as real data, and a tour of it.

mod git;
mod load;
mod tour;

use std::path::{Path, PathBuf};

use freehold_engine::{Code, Engine, Refusal};

use crate::{
    cli::{Demo, Global},
    command::{Site, apply_text, bind, key_of, until_stopped},
    config::Config,
    output::{self, Failure},
    stop::Stop,
};

const MODEL: &str = include_str!("demo/model.toml");

/// A tenant and the history it gets.
struct Company {
    name: String,
    repository: PathBuf,
    /// Which part of it.
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    NewerHalf,
    OlderHalf,
}

pub(crate) async fn demo(global: &Global, demo: &Demo) -> Result<(), Failure> {
    // A state folder and a key of its own, so that the tour never touches a user's data.
    let state = global.state.join("demo");
    let config = Config::new(&Global { state, ..global.clone() }).with_own_key();
    let companies = companies(&demo.git)?;
    let site = Site::open(&config).await?;
    apply_text(&config, &site, MODEL.into(), &[]).await?;
    let engine = site.engine(&config).await?;
    // The port is taken first, so that one that is in use is heard of before the work.
    let server = if demo.once { None } else { Some(bind(&engine, &demo.serve).await?) };
    let mut stops = Vec::new();
    for company in &companies {
        let key = key_of(&site, &company.name).await?;
        let tenant = engine.tenant(&company.name).await?;
        fill(&engine, &tenant, company, demo.commits).await?;
        stops.push(tour::Stop { tenant, key });
    }
    let url = match &server {
        Some(server) => format!("http://{}", server.address()?),
        None => format!("http://{}", demo.serve.listen),
    };
    tour::tour(&engine, &stops, &url, &config.state).await?;
    let Some(server) = server else { return Ok(()) };
    let stop = Stop::listen()?;
    output::note("\nserving; Ctrl-C stops, the data stays");
    until_stopped(engine, server, &demo.serve, stop).await
}

async fn fill(
    engine: &Engine,
    tenant: &freehold_engine::Tenant,
    company: &Company,
    newest: u32,
) -> Result<(), Failure> {
    let since = load::newest(engine, tenant).await?;
    let mut commits = git::history(&company.repository, newest, since.as_deref())?;
    let half = commits.len().div_ceil(2);
    match company.part {
        Part::OlderHalf if since.is_some() => return Ok(()),
        Part::OlderHalf => drop(commits.drain(..half)),
        Part::NewerHalf if since.is_none() => commits.truncate(half),
        Part::NewerHalf | Part::All => {}
    }
    if commits.is_empty() {
        return Ok(());
    }
    let bar = output::bar(commits.len() as u64, &company.name, false);
    load::load(engine, tenant, &commits, &bar).await?;
    bar.finish_and_clear();
    output::note(format!(
        "tenant {}: {} commits loaded from {}",
        company.name,
        commits.len(),
        company.repository.display()
    ));
    Ok(())
}

/// Each repository a tenant. A single one is two: the wall needs somebody on its other side.
fn companies(paths: &[PathBuf]) -> Result<Vec<Company>, Refusal> {
    let paths = if paths.is_empty() { vec![PathBuf::from(".")] } else { paths.to_vec() };
    let mut companies: Vec<Company> = Vec::new();
    for path in &paths {
        let repository = git::root(path)?;
        let name = tenant_name(&repository);
        if companies.iter().any(|company| company.name == name) {
            return Err(Refusal::new(Code::Usage, format!("two repositories are called {name}"))
                .hint("each becomes a tenant of its folder's name; rename one folder or leave one out"));
        }
        companies.push(Company { name, repository, part: Part::All });
    }
    if let [only] = &mut companies[..] {
        only.part = Part::NewerHalf;
        let second = Company {
            name: format!("{}-past", only.name),
            repository: only.repository.clone(),
            part: Part::OlderHalf,
        };
        companies.push(second);
    }
    Ok(companies)
}

fn tenant_name(repository: &Path) -> String {
    let folder = repository
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let name: String = folder
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .collect();
    if name.is_empty() { "repository".into() } else { name }
}
