//! Embedders behind an OpenAI-compatible `POST {url}/embeddings`. A call tries again what may pass (no connection, 429, 5xx,
//! nonsense), as long as its whole time lasts; a provider that keeps failing is left alone for a while.

mod answer;
mod circuit;
mod key;

use std::collections::BTreeSet;
use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use freehold_model::{Code, Name, Refusal};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::{EmbedError, Provider, wrong_dimensions};
use circuit::Circuit;
use key::KeyFile;

/// Calls under way at a time.
const CONCURRENCY: usize = 4;
/// Bytes of text in one call, beyond which a batch is cut before it is full.
const BATCH_BYTES: usize = 1 << 20;
/// Tries of one call.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A longer wait is as good as this one: no call lasts so long.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
const CONNECT: Duration = Duration::from_secs(5);

/// A declaration of such an embedder.
pub(super) struct Declared<'a> {
    pub(super) name: &'a Name,
    pub(super) url: &'a str,
    pub(super) model: &'a str,
    pub(super) key_file: Option<&'a str>,
    pub(super) timeout_s: u32,
    pub(super) batch: u32,
    pub(super) base_dir: &'a Path,
}

pub(super) struct Http {
    name: Name,
    client: Client,
    url: Url,
    model: String,
    key: Option<KeyFile>,
    timeout: Duration,
    batch: usize,
    calls: Semaphore,
    circuit: Circuit,
    /// Dimensions the provider must be told, because it makes others when left to itself.
    told: Mutex<BTreeSet<u32>>,
}

/// Why one try failed.
enum Failure {
    /// The next would fail too.
    Final(Refusal),
    /// The next may not.
    Passing { detail: String, source: Option<Box<dyn Error + Send + Sync>>, wait: Option<Duration> },
}

impl Failure {
    fn passing(detail: impl Into<String>) -> Self {
        Self::Passing { detail: detail.into(), source: None, wait: None }
    }

    /// An error of the transport, without the URL, which may hold a secret.
    fn transport(error: reqwest::Error) -> Self {
        let detail = match &error {
            e if e.is_timeout() => "it did not answer in time",
            e if e.is_connect() => "it cannot be reached",
            _ => "the connection broke",
        };
        Self::Passing {
            detail: detail.into(),
            source: Some(Box::new(error.without_url())),
            wait: None,
        }
    }
}

impl Http {
    pub(super) fn new(declared: Declared<'_>) -> Result<Self, Refusal> {
        let name = declared.name;
        let broken = |detail: String| {
            Refusal::new(Code::Embedder, format!("the embedder {name:?} cannot be used"))
                .detail(detail)
        };
        let mut url =
            Url::parse(declared.url).map_err(|e| broken(format!("its url cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(broken("its url is neither http nor https".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(broken("its url holds a secret".into())
                .hint("put the secret in a file and name it with key_file"));
        }
        url.path_segments_mut().expect("http URLs have paths").pop_if_empty().push("embeddings");
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(30));
        if is_loopback(&url) {
            client = client.no_proxy();
        } else if url.scheme() == "http" && declared.key_file.is_some() {
            tracing::warn!(embedder = %name, "the embedder's key travels unencrypted: its url is http");
        }
        Ok(Self {
            name: name.clone(),
            client: client.build().map_err(|e| broken(format!("no HTTP client: {e}")))?,
            url,
            model: declared.model.into(),
            key: declared
                .key_file
                .map(|file| KeyFile::new(name, file, declared.base_dir))
                .transpose()?,
            timeout: Duration::from_secs(declared.timeout_s.max(1).into()),
            batch: declared.batch.max(1) as usize,
            calls: Semaphore::new(CONCURRENCY),
            circuit: Circuit::default(),
            told: Mutex::default(),
        })
    }

    /// One batch, with all its tries.
    async fn call(&self, dimensions: u32, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let deadline = Instant::now() + self.timeout;
        let late = || self.unavailable(format!("no answer in {} s", self.timeout.as_secs()), None);
        let Ok(permit) = timeout_at(deadline, self.calls.acquire()).await else {
            return Err(late());
        };
        let _permit = permit.expect("the semaphore is never closed");
        for tried in 1.. {
            if let Some(left) = self.circuit.closed_for(Instant::now()) {
                let detail =
                    format!("it failed repeatedly and is left alone for {} s", left.as_secs() + 1);
                return Err(self.unavailable(detail, None));
            }
            let Ok(outcome) = timeout_at(deadline, self.attempt(dimensions, texts)).await else {
                self.circuit.failed(Instant::now(), None);
                return Err(late());
            };
            let (detail, source, wait) = match outcome {
                Ok(vectors) => {
                    self.circuit.worked();
                    return Ok(vectors);
                }
                Err(Failure::Final(refusal)) => {
                    self.circuit.worked();
                    return Err(EmbedError::Refused(refusal));
                }
                Err(Failure::Passing { detail, source, wait }) => (detail, source, wait),
            };
            let pause = wait.unwrap_or_else(|| backoff(tried));
            if tried == TRIES || Instant::now() + pause >= deadline {
                self.circuit.failed(Instant::now(), wait);
                return Err(self.unavailable(detail, source));
            }
            tracing::debug!(embedder = %self.name, tried, detail, ?pause, "the embedder failed; trying again");
            sleep(pause).await;
        }
        unreachable!("the loop ends by returning")
    }

    /// One try; a second at once if the provider turns out to need the dimensions said.
    async fn attempt(&self, dimensions: u32, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(&dimensions);
        let vectors = self.ask(known.then_some(dimensions), dimensions, texts).await?;
        let Some(made) = vectors.iter().map(Vec::len).find(|&made| made != dimensions as usize)
        else {
            return Ok(vectors);
        };
        let wrong = || Failure::Final(wrong_dimensions(&self.name, made, dimensions));
        if known || made < dimensions as usize {
            return Err(wrong());
        }
        let vectors = match self.ask(Some(dimensions), dimensions, texts).await {
            Ok(vectors) => vectors,
            Err(Failure::Final(_)) => return Err(wrong()),
            Err(passing) => return Err(passing),
        };
        if vectors.iter().any(|vector| vector.len() != dimensions as usize) {
            return Err(wrong());
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(dimensions);
        Ok(vectors)
    }

    async fn ask(
        &self,
        told: Option<u32>,
        dimensions: u32,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let mut body =
            serde_json::json!({ "model": self.model, "input": texts, "encoding_format": "float" });
        if let Some(told) = told {
            body["dimensions"] = told.into();
        }
        let mut request = self.client.post(self.url.clone()).json(&body);
        if let Some(key) = &self.key {
            request = request.header(
                reqwest::header::AUTHORIZATION,
                key.bearer().await.map_err(Failure::Final)?,
            );
        }
        let response = request.send().await.map_err(Failure::transport)?;
        let status = response.status();
        if status == StatusCode::OK {
            return answer::vectors(response, texts.len(), dimensions).await;
        }
        Err(self.refused(status, response).await)
    }

    async fn refused(&self, status: StatusCode, response: Response) -> Failure {
        let wait = retry_after(&response);
        let word = answer::error_word(response).await;
        let detail = match word {
            Some(word) => format!("HTTP {}, {word}", status.as_u16()),
            None => format!("HTTP {}", status.as_u16()),
        };
        let refusal = |what: &str| {
            Refusal::new(Code::Embedder, format!("the embedder {:?} {what}", self.name))
        };
        Failure::Final(match status.as_u16() {
            408 | 425 | 429 | 500.. => return Failure::Passing { detail, source: None, wait },
            300..400 => {
                refusal("sends elsewhere").detail(detail).hint("declare the url it is really at")
            }
            401 | 403 => refusal("does not accept its key").detail(detail).hint(match &self.key {
                Some(key) => format!("check the key in {:?}", key.named()),
                None => "declare a key_file".into(),
            }),
            404 => refusal("does not know the model, or its url is wrong").detail(detail),
            400 | 413 | 422 => refusal("does not accept the texts").detail(detail),
            _ => refusal("answered what it never should").detail(detail),
        })
    }

    fn unavailable(
        &self,
        detail: String,
        source: Option<Box<dyn Error + Send + Sync>>,
    ) -> EmbedError {
        let refusal =
            Refusal::new(Code::Embedder, format!("the embedder {:?} is not available", self.name));
        EmbedError::Unavailable { refusal: refusal.detail(detail), source }
    }
}

impl Provider for Http {
    fn embed<'a>(
        &'a self,
        dimensions: u32,
        texts: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        let call =
            |batch: &'a [String]| -> BoxFuture<'a, _> { Box::pin(self.call(dimensions, batch)) };
        let calls: Vec<_> = batches(texts, self.batch).into_iter().map(call).collect();
        Box::pin(async move {
            let batches: Vec<_> =
                futures_util::stream::iter(calls).buffered(CONCURRENCY).try_collect().await?;
            Ok(batches.into_iter().flatten().collect())
        })
    }

    fn offers(&self, _dimensions: u32) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Cuts `texts` by number and by bytes.
fn batches(texts: &[String], most: usize) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > start && (at - start == most || bytes + text.len() > BATCH_BYTES) {
            batches.push(&texts[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += text.len();
    }
    batches.push(&texts[start..]);
    batches
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Seconds or a date, as HTTP allows both.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Doubles with each try; between half of it and all of it, so that many callers do not come back at once.
fn backoff(tried: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << (tried - 1).min(10)).min(LONGEST_PAUSE);
    let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    full.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_by_number_and_by_bytes() {
        let texts: Vec<String> =
            [10, 10, 10, BATCH_BYTES, 10, BATCH_BYTES - 10].map(|n| "x".repeat(n)).into();
        let cut: Vec<usize> = batches(&texts, 2).iter().map(|batch| batch.len()).collect();
        assert_eq!(cut, [2, 1, 1, 2]);
    }

    #[test]
    fn pauses_double_and_are_never_the_same() {
        for (tried, full) in [(1, 200), (2, 400), (4, 1600), (20, 10_000)] {
            let pause = backoff(tried).as_millis();
            assert!((full / 2..=full).contains(&pause), "{tried}: {pause}");
        }
        let pauses: BTreeSet<_> = (0..20).map(|_| backoff(6)).collect();
        assert!(pauses.len() > 10);
    }

    #[test]
    fn urls_keep_their_path_and_query() {
        let url = |url: &str| {
            let name = Name::new("far").unwrap();
            let declared = Declared {
                name: &name,
                url,
                model: "m",
                key_file: None,
                timeout_s: 1,
                batch: 1,
                base_dir: Path::new("/"),
            };
            Http::new(declared).map(|http| http.url.to_string())
        };
        assert_eq!(
            url("https://api.example.com/v1").unwrap(),
            "https://api.example.com/v1/embeddings"
        );
        assert_eq!(
            url("https://api.example.com/v1/").unwrap(),
            "https://api.example.com/v1/embeddings"
        );
        assert_eq!(url("http://x/d?api-version=3").unwrap(), "http://x/d/embeddings?api-version=3");
        for bad in ["ftp://x/", "x", "https://user:pass@x/v1"] {
            let refusal = url(bad).unwrap_err();
            assert!(!format!("{refusal:?}").contains("pass"), "{refusal:?}");
        }
    }
}
