//! `bench api`: requests per second over HTTP, against pgbench running the same statement as fast as it can. Reads are measured
//! twice: as a server answers them that keeps nothing, and as one does by default, which compares what it keeps.

mod load;
mod peer;

use std::{path::Path, time::Duration};

use freehold_engine::{
    Yardstick,
    write::{Operation, Verb},
};
use freehold_model::query;
use serde_json::{Value, json};

use self::{
    load::{Load, Pgbench},
    peer::Peer,
};
use super::{
    Ground,
    report::{Goal, Report, Row, quantile},
};
use crate::{config::server::ServerConfig, http::Server, output::Failure};

const CLIENTS: [usize; 3] = [1, 8, 64];
const ROWS: u32 = 5000;
/// In less, 64 clients of pgbench may not have done anything.
const PGBENCH_SECONDS: u64 = 4;
/// Items that have remarks, and how many each.
const TALKED_ABOUT: usize = 500;
const REMARKS: usize = 4;
/// What is asked, up to the id.
const POINT: &str = "select=id,label,amount&id=eq.";
const EMBED: &str = "select=text,item(label,amount)&item=eq.";

/// What clients do over and over.
struct Case {
    name: &'static str,
    requests: Vec<String>,
    script: String,
    /// Whether each answer is another one.
    changes: bool,
    goal: Goal,
}

pub(super) async fn run(
    ground: &mut Ground<'_>,
    program: Option<&Path>,
) -> Result<Report, Failure> {
    ground.bar.set_message("filling the tables");
    let tenant = super::tenant(ground, "acme").await?;
    let role = freehold_engine::Role::Writer;
    let key = ground.operator.create_key("acme", "bench", role, Some(86_400)).await?.secret;
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), tenant.clone()).await?;
    yardstick.fill(ROWS).await?;
    let ids = yardstick.ids(1000).await?;
    remark(ground, &tenant, &ids).await?;
    let cases = cases(ground, &yardstick, &ids, &key)?;
    let peer = match program {
        Some(program) => {
            let user = yardstick.fill_peer().await?;
            Some(Peer::start(program, &ground.url, &user).await?)
        }
        None => None,
    };
    let config = ServerConfig::default();
    let server = Server::of("127.0.0.1:0", ground.engine.clone(), config).await?;
    let keeping = Server::bind("127.0.0.1:0", ground.engine.clone()).await?;
    let (address, keeper) = (server.address()?, keeping.address()?);
    let serving = async {
        let stop = std::future::pending;
        tokio::try_join!(server.run(stop()), keeping.run(stop())).map(drop)
    };
    let seconds = if ground.quick { 2 } else { 4 };
    let rounds = if ground.quick { 1 } else { 7 };
    let measuring = async {
        let mut rows = Vec::new();
        for case in &cases {
            let load = Load::new(address, case.requests.clone());
            let kept = (!case.changes).then(|| Load::new(keeper, case.requests.clone()));
            let beside = match &peer {
                Some(peer) => Some(peer.load(&load, case.changes).await?),
                None => None,
            };
            let pgbench = Pgbench::new(ground, &case.script)?;
            for clients in CLIENTS {
                ground.bar.set_message(format!("{}, {clients} clients", case.name));
                let measured = Measured {
                    case,
                    ours: &load,
                    kept: kept.as_ref(),
                    pgbench: &pgbench,
                    peer: beside.as_ref().zip(peer.as_ref()),
                };
                rows.extend(measured.run(clients, seconds, rounds).await?);
            }
        }
        Ok::<_, Failure>(rows)
    };
    let rows = tokio::select! {
        measured = measuring => measured?,
        served = serving => return Err(served.err().map_or_else(|| Failure::Machine("the server stopped".into()), Into::into)),
    };
    Ok(Report {
        bench: "api",
        about: "HTTP requests per second against pgbench with the same statement and as many clients, and how long requests \
                take; each read asks PostgreSQL, but where answers are kept and compared, as they are by default. \
                An insert is compared with one into a table without wall, references or log. Beside a peer: its \
                requests are the same, on tables of one tenant's rows that have no wall. Server, client and \
                PostgreSQL share this machine"
            .into(),
        rows,
    })
}

async fn remark(
    ground: &Ground<'_>,
    tenant: &freehold_engine::Tenant,
    ids: &[String],
) -> Result<(), Failure> {
    let rows: Vec<Value> = ids
        .iter()
        .take(TALKED_ABOUT)
        .flat_map(|id| {
            (0..REMARKS).map(move |n| json!({ "item": id, "text": format!("remark {n}") }))
        })
        .collect();
    let insert = Operation {
        entity: "remark".into(),
        verb: Verb::Insert(rows.into(), None),
        query: String::new(),
        returning: false,
    };
    ground.engine.write(tenant, insert).await?;
    Ok(())
}

fn cases(
    ground: &Ground<'_>,
    yardstick: &Yardstick,
    ids: &[String],
    key: &str,
) -> Result<Vec<Case>, Failure> {
    let snapshot = ground.engine.snapshot();
    let read = |name, entity: &str, select: &str, ids: &[String], goal| {
        // The very statement the API runs for such a request.
        let query = format!("{select}{}", ids.first().map_or("", String::as_str));
        let query = query::parse(&snapshot.model, entity, &query, ground.engine.limits())?;
        let request = |id: &String| {
            format!(
                "GET /rest/v1/{entity}?{select}{id} HTTP/1.1\r\nhost: bench\r\napikey: {key}\r\n\r\n"
            )
        };
        let requests = ids.iter().map(request).collect();
        let script = yardstick.pgbench_script(&query.render(), ids);
        Ok::<_, Failure>(Case { name, requests, script, changes: false, goal })
    };
    let body = r#"{"label":"a label","amount":7}"#;
    let insert = format!(
        "POST /rest/v1/item?select=id HTTP/1.1\r\nhost: bench\r\napikey: {key}\r\ncontent-type: application/json\r\n\
         prefer: return=representation\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let talked_about = &ids[..ids.len().min(TALKED_ABOUT)];
    Ok(vec![
        read("point read", "item", POINT, ids, Goal::AtLeast(0.5))?,
        read("four rows with what they refer to", "remark", EMBED, talked_about, Goal::Open)?,
        Case {
            name: "insert",
            requests: vec![insert],
            script: yardstick.pgbench_insert(),
            changes: true,
            goal: Goal::Open,
        },
    ])
}

/// Who is measured, one after the other in each round.
struct Measured<'a> {
    case: &'a Case,
    ours: &'a Load,
    /// The server that keeps answers, for reads.
    kept: Option<&'a Load>,
    pgbench: &'a Pgbench,
    peer: Option<(&'a Load, &'a Peer)>,
}

/// What rounds have shown of one server.
#[derive(Default)]
struct Shown {
    rates: Vec<f64>,
    halves: Vec<f64>,
    tails: Vec<f64>,
}

impl Shown {
    async fn add(&mut self, load: &Load, clients: usize, seconds: u64) -> Result<(), Failure> {
        let took = load.run(clients, Duration::from_secs(seconds)).await?;
        self.rates.push(took.len() as f64 / seconds as f64);
        self.halves.push(quantile(&took, 0.5));
        self.tails.push(quantile(&took, 0.99));
        Ok(())
    }
}

impl Measured<'_> {
    async fn run(self, clients: usize, seconds: u64, rounds: usize) -> Result<Vec<Row>, Failure> {
        let (mut ours, mut kept) = (Shown::default(), Shown::default());
        let (mut plain, mut beside) = (Vec::new(), Shown::default());
        // The first round warms up.
        for round in 0..=rounds {
            ours.add(self.ours, clients, seconds).await?;
            if let Some(load) = self.kept {
                kept.add(load, clients, seconds).await?;
            }
            plain.push(self.pgbench.rate(clients, seconds.max(PGBENCH_SECONDS)).await?);
            if let Some((load, _)) = self.peer {
                beside.add(load, clients, seconds).await?;
            }
            if round == 0 {
                (ours, kept) = (Shown::default(), Shown::default());
                (plain, beside) = (Vec::new(), Shown::default());
            }
        }
        let name = format!("{}, {clients} clients", self.case.name);
        let goal = if clients == 8 { self.case.goal } else { Goal::Open };
        let row = |case: String, unit, ours: &[f64], other: Vec<f64>, goal| Row {
            case,
            ours: ours.to_vec(),
            other,
            unit,
            goal,
        };
        let mut rows = vec![
            row(name.clone(), "requests/s", &ours.rates, plain.clone(), goal),
            row(format!("{name}: median"), "ms", &ours.halves, Vec::new(), Goal::Open),
            row(format!("{name}: 99 of 100 within"), "ms", &ours.tails, Vec::new(), Goal::Open),
        ];
        if self.kept.is_some() {
            let name = format!("{name}, kept and compared");
            rows.push(row(name, "requests/s", &kept.rates, plain, Goal::Open));
        }
        if let Some((_, peer)) = self.peer {
            let name = format!("{name}, beside {}", peer.name());
            rows.push(row(name.clone(), "requests/s", &ours.rates, beside.rates, Goal::Open));
            rows.push(row(
                format!("{name}: median"),
                "ms",
                &ours.halves,
                beside.halves,
                Goal::Open,
            ));
            let tail = format!("{name}: 99 of 100 within");
            rows.push(row(tail, "ms", &ours.tails, beside.tails, Goal::Open));
        }
        Ok(rows)
    }
}
