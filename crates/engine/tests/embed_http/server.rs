//! An embeddings server on a real socket that behaves as badly as it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers well, the vectors in reverse order, each of so many dimensions.
    Well(usize),
    /// The same, but makes as many dimensions as it is told.
    AsTold(usize),
    /// The same after a while.
    Late(Duration),
    /// Answers with this status, these further headers and this body.
    Answers(u16, String, String),
    /// Never answers.
    Hangs,
    /// Resets the connection.
    Resets,
    /// Breaks off in the middle of the body.
    BreaksOff,
    /// Sends a byte now and then.
    Trickles,
    /// Says that a terabyte follows.
    SaysHuge,
    /// Sends chunks for ever.
    SendsHuge,
}

pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) head: String,
    pub(crate) body: Value,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    script: Mutex<VecDeque<Does>>,
    seen: Mutex<Vec<Seen>>,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

impl Server {
    /// Does what `script` says, request by request; the last entry for ever.
    pub(crate) async fn that(script: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State {
            script: Mutex::new(script.into_iter().collect()),
            seen: Mutex::default(),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { url, state }
    }

    /// The same under another address.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.into(), state: self.state.clone() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// The most requests it had under way at a time.
    pub(crate) fn busiest(&self) -> usize {
        self.state.busiest.load(SeqCst)
    }
}

/// The vector of a text, not of unit length.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let seed: u32 = text.bytes().map(u32::from).sum();
    (0..dimensions).map(|d| ((seed + 7 * d as u32) % 13) as f32 - 5.5).collect()
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let does = {
            let mut script = state.script.lock().unwrap();
            if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
        };
        let body = seen.body.clone();
        state.seen.lock().unwrap().push(seen);
        let busy = state.busy.fetch_add(1, SeqCst) + 1;
        state.busiest.fetch_max(busy, SeqCst);
        let goes_on = answer(&mut stream, does, &body).await;
        state.busy.fetch_sub(1, SeqCst);
        if !goes_on {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or(Value::Null);
                buffer.drain(..whole);
                return Some(Seen { at: Instant::now(), head, body });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, does: Does, body: &Value) -> bool {
    let head = |status: u16, headers: &str, length: u64| {
        format!(
            "HTTP/1.1 {status} Whatever\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let told = |otherwise| body["dimensions"].as_u64().map_or(otherwise, |told| told as usize);
    match does {
        Does::Well(dimensions) => well(stream, body, dimensions, head).await,
        Does::AsTold(dimensions) => well(stream, body, told(dimensions), head).await,
        Does::Late(delay) => {
            // Plays: a server that takes its time.
            tokio::time::sleep(delay).await;
            well(stream, body, 4, head).await
        }
        Does::Answers(status, headers, text) => {
            let text = format!("{}{text}", head(status, &headers, text.len() as u64));
            stream.write_all(text.as_bytes()).await.is_ok()
        }
        Does::Hangs => std::future::pending().await,
        Does::Resets => {
            stream.set_zero_linger().unwrap();
            false
        }
        Does::BreaksOff => {
            let _ = stream.write_all((head(200, "", 1000) + "{\"data\": [").as_bytes()).await;
            false
        }
        Does::Trickles => {
            let text = head(200, "", 10_000) + &" ".repeat(10_000);
            for byte in text.as_bytes() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                // Plays: a server that trickles.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Does::SaysHuge => stream.write_all((head(200, "", 1 << 40) + "{").as_bytes()).await.is_ok(),
        Does::SendsHuge => {
            let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            let mut sent = stream.write_all(start.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(chunk.as_bytes()).await;
            }
            false
        }
    }
}

async fn well(
    stream: &mut TcpStream,
    body: &Value,
    dimensions: usize,
    head: impl Fn(u16, &str, u64) -> String,
) -> bool {
    let texts = body["input"].as_array().unwrap();
    let item = |(index, text): (usize, &Value)| json!({ "index": index, "embedding": vector(text.as_str().unwrap(), dimensions) });
    let data: Vec<Value> = texts.iter().enumerate().map(item).rev().collect();
    let text =
        json!({ "object": "list", "data": data, "usage": { "total_tokens": 1 } }).to_string();
    stream.write_all((head(200, "", text.len() as u64) + &text).as_bytes()).await.is_ok()
}
