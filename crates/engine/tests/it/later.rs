//! Vectors that may be made later: rows are stored while the embedder is away, and filled when it is back.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use freehold_engine::{Code, fill::Outcome};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::ground::{Ground, body, code, ground, read};

/// An embeddings server on a real socket that is there, away, or never answers.
pub(crate) struct Far {
    pub(crate) url: String,
    is: Arc<Mutex<Is>>,
    asked: watch::Receiver<usize>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Is {
    There,
    Away,
    Silent,
}

impl Far {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let is = Arc::new(Mutex::new(Is::Away));
        let (count, asked) = watch::channel(0);
        let count = Arc::new(count);
        let serving = is.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone(), count.clone()));
            }
        });
        Self { url, is, asked }
    }

    pub(crate) fn be(&self, is: Is) {
        *self.is.lock().unwrap() = is;
    }

    async fn ground(&self) -> Ground {
        let model = format!(
            "[model]\nname = \"later\"\n[embed.far]\nprovider = \"http\"\nurl = \"{}\"\nmodel = \"m\"\ntimeout = 1\n\
             [entity.note.field]\nkey = {{ type = \"text\", unique = true }}\ntext = {{ type = \"text\", optional = true }}\n\
             later = {{ vector = 4, of = [\"text\"], embed = \"far\", when = \"later\" }}\n\
             [entity.now.field]\ntext = {{ type = \"text\" }}\n\
             vector = {{ vector = 4, of = [\"text\"], embed = \"far\", when = \"now\" }}\n",
            self.url
        );
        ground(&model).await
    }
}

async fn serve(mut stream: TcpStream, is: Arc<Mutex<Is>>, count: Arc<watch::Sender<usize>>) {
    let mut bytes = Vec::new();
    while let Some(body) = request(&mut stream, &mut bytes).await {
        count.send_modify(|count| *count += 1);
        let now = *is.lock().unwrap();
        let (status, body) = match now {
            Is::Silent => return std::future::pending().await,
            Is::Away => ("503 Service Unavailable", String::new()),
            Is::There => {
                let texts = body["input"].as_array().unwrap();
                let data: Vec<Value> = texts
                    .iter()
                    .enumerate()
                    .map(|(index, text)| json!({ "index": index, "embedding": vector(text.as_str().unwrap()) }))
                    .collect();
                ("200 OK", json!({ "data": data }).to_string())
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Value> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length: usize =
                head.split("content-length:").nth(1)?.lines().next()?.trim().parse().ok()?;
            if bytes.len() >= end + 4 + length {
                let body = serde_json::from_slice(&bytes[end + 4..end + 4 + length]).ok();
                bytes.drain(..end + 4 + length);
                return body;
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// An axis for each first letter from `a` to `d`.
fn vector(text: &str) -> [u8; 4] {
    std::array::from_fn(|axis| u8::from(text.as_bytes()[0] == b"abcd"[axis]))
}

/// Fills until nothing is due; the embedder is left alone for a while after it failed.
async fn fill(ground: &Ground) {
    let end = Instant::now() + Duration::from_secs(30);
    while !ground.engine.store().due().await.unwrap().is_empty() {
        assert!(Instant::now() < end, "it is never filled");
        if ground.engine.fill_step().await.unwrap() == Outcome::Away {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn rows_are_stored_and_filled_when_the_embedder_is_back() {
    let far = Far::new().await;
    let ground = far.ground().await;
    for tenant in [&ground.a, &ground.b] {
        let rows = json!([{ "key": "k", "text": "apple" }, { "key": "l", "text": null }]);
        let written = ground.insert(tenant, "note?select=key,later", rows).await;
        assert_eq!(body(&written)[0], json!({ "key": "k", "later": null }));
    }
    let now = freehold_engine::write::Verb::Insert(json!({ "text": "apple" }), None);
    assert_eq!(code(ground.write(&ground.a, "now", now).await), Code::Embedder);
    assert_eq!(ground.read(&ground.a, "now").await, json!([]));
    assert_eq!(ground.engine.fill_step().await.unwrap(), Outcome::Away);
    assert_eq!(ground.engine.store().due().await.unwrap().len(), 2, "still due, for both");
    let id = ground.read(&ground.a, "note?select=id&key=eq.k").await[0]["id"].clone();
    let to_it = format!("note?select=key&later=nearest.row:{}", id.as_str().unwrap());
    assert_eq!(code(read(&ground.engine, &ground.a, &to_it).await), Code::Vector);

    far.be(Is::There);
    fill(&ground).await;
    let wanted = json!([{ "key": "k", "later": [1, 0, 0, 0] }, { "key": "l", "later": null }]);
    for tenant in [&ground.a, &ground.b] {
        assert_eq!(ground.read(tenant, "note?select=key,later&order=key").await, wanted);
    }
    assert_eq!(ground.engine.fill_step().await.unwrap(), Outcome::Idle);
}

#[tokio::test]
async fn an_outdated_vector_is_never_found() {
    let far = Far::new().await;
    let ground = far.ground().await;
    far.be(Is::There);
    for tenant in [&ground.a, &ground.b] {
        let rows = json!([{ "key": "k", "text": "apple" }, { "key": "l", "text": "bread" }]);
        ground.insert(tenant, "note?select=key", rows).await;
    }
    far.be(Is::Away);
    let near = "note?select=key&later=nearest.[1,0,0,0]";
    let updated =
        ground.update(&ground.a, "note?key=eq.k&select=later", json!({ "text": "cake" })).await;
    assert_eq!(body(&updated), json!([{ "later": null }]));
    assert_eq!(ground.read(&ground.a, near).await, json!([{ "key": "l" }]));
    ground.engine.raw_sql(&ground.a, "update app.note set text = 'dough'").await.unwrap();
    assert_eq!(ground.read(&ground.a, near).await, json!([]));
    assert_eq!(ground.read(&ground.b, near).await, json!([{ "key": "k" }, { "key": "l" }]));
    far.be(Is::There);
    fill(&ground).await;
    let all = ground.read(&ground.a, "note?select=later").await;
    assert_eq!(all, json!([{ "later": [0, 0, 0, 1] }, { "later": [0, 0, 0, 1] }]));
}

#[tokio::test]
async fn a_fill_that_dies_leaves_its_rows_due() {
    let mut far = Far::new().await;
    let ground = far.ground().await;
    far.be(Is::There);
    let text = "insert into app.note (key, text) values ('k', 'apple'), ('l', 'bread')";
    for tenant in [&ground.a, &ground.b] {
        ground.engine.raw_sql(tenant, text).await.unwrap();
    }
    far.be(Is::Silent);
    far.asked.mark_unchanged();
    tokio::select! {
        outcome = ground.engine.fill_step() => panic!("it never ends: {outcome:?}"),
        asked = far.asked.changed() => asked.unwrap(),
    }
    assert_eq!(ground.engine.store().due().await.unwrap().len(), 2);
    far.be(Is::There);
    fill(&ground).await;
    let left = ground.truth("select key from app.note where later is null").await;
    assert_eq!(left, json!([]));
}

#[tokio::test]
async fn a_text_that_is_too_long_does_not_keep_others_waiting() {
    let far = Far::new().await;
    let ground = far.ground().await;
    far.be(Is::There);
    let text =
        "insert into app.note (key, text) values ('k', repeat('x', 1100000)), ('l', 'bread')";
    for tenant in [&ground.a, &ground.b] {
        ground.engine.raw_sql(tenant, text).await.unwrap();
    }
    fill(&ground).await;
    for tenant in [&ground.a, &ground.b] {
        let rows = ground.read(tenant, "note?select=key,later&order=key").await;
        let wanted = json!([{ "key": "k", "later": null }, { "key": "l", "later": [0, 1, 0, 0] }]);
        assert_eq!(rows, wanted);
    }
}
