//! What is told of requests: a line in the log and numbers for Prometheus. Never a value of a row or of a query.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use uuid::Uuid;

use super::{
    auth::Asking,
    error::{FaultChain, RefusedWith},
};

/// Upper bounds of the histogram, in milliseconds.
const BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 500, 1_000, 5_000];

/// Tenants that are counted by their id; those that come later are counted together.
const TENANTS_MAX: usize = 100;

/// What is counted.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    running: i64,
    routes: BTreeMap<String, Routed>,
    refusals: BTreeMap<&'static str, u64>,
    tenants: BTreeMap<Uuid, u64>,
    /// Of tenants beyond those.
    others: u64,
}

/// Of one route.
#[derive(Default)]
struct Routed {
    answers: BTreeMap<(&'static str, u16), u64>,
    durations: Durations,
}

#[derive(Default)]
struct Durations {
    within: [u64; BOUNDS_MS.len()],
    count: u64,
    sum: Duration,
}

/// Counts a request that works until it is dropped, also when its caller goes away.
struct Running(Counts);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.inner().running -= 1;
    }
}

/// A request that runs: it has an id, its own if it brings one.
pub(super) struct Seen {
    id: String,
    trace: String,
    method: Method,
    begun: Instant,
    running: Running,
}

impl Seen {
    /// Counts it from now on.
    pub(super) fn of(counts: &Counts, request: &Request) -> Self {
        counts.inner().running += 1;
        Self {
            running: Running(counts.clone()),
            id: id_of(request.headers()),
            trace: trace_of(request.headers()),
            method: request.method().clone(),
            begun: Instant::now(),
        }
    }

    /// Counts and logs what it came to, and says its id in the answer.
    pub(super) fn told(self, mut response: Response) -> Response {
        let Self { id, trace, method, begun, running } = self;
        let took = begun.elapsed();
        let status = response.status().as_u16();
        let said = response.extensions();
        let refused = said.get::<RefusedWith>().map(|with| with.0);
        let tenant = said.get::<Asking>().map(|asking| asking.0.id());
        let route = said.get::<MatchedPath>().map(MatchedPath::as_str);
        let route = route.or(said.get::<Route>().map(|route| route.0)).unwrap_or("none");
        running.0.add(method.as_str(), route, status, took, refused, tenant);
        drop(running);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Written only if somebody wants the line.
        let tenant = tracing::field::display(Named(tenant));
        let refused = refused.unwrap_or_default();
        match said.get::<FaultChain>() {
            Some(FaultChain(error)) => {
                tracing::error!(request = %id, trace, %method, route, status, took_us, tenant, error, "request failed");
            }
            None => {
                tracing::info!(request = %id, trace, %method, route, status, took_us, tenant, refused, "request");
            }
        }
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&id) {
            headers.insert("x-request-id", value);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// The route of an answer that no router has found.
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

/// A tenant's id, or nothing.
struct Named(Option<Uuid>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| id.fmt(f))
    }
}

// What somebody sends stands in logs, so it is short and has no sign that a log could take for its own.
fn id_of(headers: &HeaderMap) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match headers.get("x-request-id").and_then(|value| value.to_str().ok()) {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(plain) => id.to_owned(),
        _ => next_id(),
    }
}

/// One of this process's: its own random half, and a count. The system is not asked for random bytes each time.
fn next_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().1);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = Uuid::from_u64_pair(*PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
    id.simple().to_string()
}

fn trace_of(headers: &HeaderMap) -> String {
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let trace = parent.and_then(|parent| parent.split('-').nth(1));
    let hexadecimal =
        |trace: &&str| trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    trace.filter(hexadecimal).unwrap_or_default().to_owned()
}

impl Counts {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        method: &str,
        route: &str,
        status: u16,
        took: Duration,
        refused: Option<&'static str>,
        tenant: Option<Uuid>,
    ) {
        let mut inner = self.inner();
        // A method is whatever somebody sends.
        let known = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "QUERY"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        if !inner.routes.contains_key(route) {
            inner.routes.insert(route.to_owned(), Routed::default());
        }
        let Some(Routed { answers, durations }) = inner.routes.get_mut(route) else { return };
        *answers.entry((method, status)).or_default() += 1;
        for (bound, within) in BOUNDS_MS.iter().zip(&mut durations.within) {
            *within += u64::from(took <= Duration::from_millis(*bound));
        }
        durations.count += 1;
        durations.sum += took;
        if let Some(code) = refused {
            *inner.refusals.entry(code).or_default() += 1;
        }
        if let Some(tenant) = tenant {
            let there = inner.tenants.contains_key(&tenant) || inner.tenants.len() < TENANTS_MAX;
            *if there { inner.tenants.entry(tenant).or_default() } else { &mut inner.others } += 1;
        }
    }

    /// All of it, in Prometheus' text format.
    pub(super) fn text(&self, (working, waiting): (usize, usize)) -> String {
        let inner = self.inner();
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP freehold_{name} {help}\n# TYPE freehold_{name} {kind}");
        };
        head(&mut text, "requests_total", "counter", "Requests that were answered.");
        for (route, routed) in &inner.routes {
            for ((method, status), count) in &routed.answers {
                let _ = writeln!(
                    text,
                    "freehold_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}"
                );
            }
        }
        head(&mut text, "request_seconds", "histogram", "How long requests took.");
        for (route, Routed { durations, .. }) in &inner.routes {
            for (bound, within) in BOUNDS_MS.iter().zip(durations.within) {
                let _ = writeln!(
                    text,
                    "freehold_request_seconds_bucket{{route=\"{route}\",le=\"{}.{:03}\"}} {within}",
                    bound / 1000,
                    bound % 1000
                );
            }
            let _ = writeln!(
                text,
                "freehold_request_seconds_bucket{{route=\"{route}\",le=\"+Inf\"}} {0}\nfreehold_request_seconds_sum{{route=\"{route}\"}} {1:.6}\nfreehold_request_seconds_count{{route=\"{route}\"}} {0}",
                durations.count,
                durations.sum.as_secs_f64()
            );
        }
        head(
            &mut text,
            "refusals_total",
            "counter",
            "Requests that were refused, by the code of the refusal.",
        );
        for (code, count) in &inner.refusals {
            let _ = writeln!(text, "freehold_refusals_total{{code=\"{code}\"}} {count}");
        }
        head(
            &mut text,
            "tenant_requests_total",
            "counter",
            "Requests by tenant, those beyond a hundred together.",
        );
        for (tenant, count) in &inner.tenants {
            let _ = writeln!(text, "freehold_tenant_requests_total{{tenant=\"{tenant}\"}} {count}");
        }
        if inner.others > 0 {
            let count = inner.others;
            let _ = writeln!(text, "freehold_tenant_requests_total{{tenant=\"other\"}} {count}");
        }
        for (name, help, value) in [
            (
                "requests_in_flight",
                "Requests that are not answered yet.",
                usize::try_from(inner.running).unwrap_or_default(),
            ),
            ("requests_working", "Requests that may use the database.", working),
            ("requests_waiting", "Requests that wait for their turn.", waiting),
        ] {
            head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "freehold_{name} {value}");
        }
        text
    }
}
