//! Embedders over HTTP against a server that misbehaves in every way a server can.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use freehold_engine::embed::{EmbedError, Embedders};
use freehold_model::entity::Embedder;
use freehold_model::{Code, Name, Refusal};
use server::{Does, Server, vector};

const KEY: &str = "sk-not-for-anybodys-eyes";

#[tokio::test]
async fn texts_go_in_batches_and_vectors_come_back_in_order() {
    let server = Server::that([Does::Well(4)]).await;
    let texts: Vec<String> = (0..10).map(|n| format!("text {n}")).collect();
    let vectors = Far::of(&server).batch(3).embed(4, &texts).await.unwrap();
    for (text, ours) in texts.iter().zip(&vectors) {
        let theirs = vector(text, 4);
        let length = theirs.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(
            ours.iter().zip(&theirs).all(|(ours, theirs)| (ours - theirs / length).abs() < 1e-6),
            "{text}"
        );
    }
    let mut seen = server.seen();
    seen.sort_by_key(|seen| seen.body["input"][0].to_string());
    let sizes: Vec<usize> =
        seen.iter().map(|seen| seen.body["input"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert!(seen[0].head.starts_with("POST /v1/embeddings HTTP/1.1"), "{}", seen[0].head);
    assert_eq!(seen[0].body["model"], "small");
    assert_eq!(seen[0].body["encoding_format"], "float");
    assert_eq!(seen[0].body.get("dimensions"), None);
    assert!(!seen[0].head.to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn few_calls_are_under_way_at_a_time() {
    let server = Server::that([Does::Late(Duration::from_millis(50))]).await;
    let texts: Vec<String> = (0..24).map(|n| format!("text {n}")).collect();
    let far = Far::of(&server).batch(1).embedders().unwrap();
    let (one, two) = tokio::join!(embed(&far, 4, &texts), embed(&far, 4, &texts));
    assert_eq!((one.unwrap().len(), two.unwrap().len()), (24, 24));
    assert!((2..=4).contains(&server.busiest()), "{}", server.busiest());
}

#[tokio::test]
async fn waits_as_long_as_a_busy_server_asks() {
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    let seconds = || "1".to_string();
    for (wait, least) in [(seconds as fn() -> String, 1000), (date, 1500)] {
        let wait = wait();
        let busy = Does::Answers(429, format!("retry-after: {wait}\r\n"), "{}".into());
        let server = Server::that([busy, Does::Well(4)]).await;
        Far::of(&server).embed(4, &["text".into()]).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        let waited = seen[1].at - seen[0].at;
        assert!((least..least + 3000).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun_and_is_kept() {
    let busy = Does::Answers(429, "retry-after: 18446744073709551615\r\n".into(), String::new());
    let server = Server::that([busy, Does::Well(4)]).await;
    let far = Far::of(&server).embedders().unwrap();
    let start = Instant::now();
    unavailable(embed(&far, 4, &["text".into()]).await, "HTTP 429");
    unavailable(embed(&far, 4, &["text".into()]).await, "is left alone for");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn passing_troubles_pass() {
    let status = |status| Does::Answers(status, String::new(), "<html>oh</html>".into());
    for trouble in [status(500), status(503), status(408), Does::Resets, Does::BreaksOff] {
        let server = Server::that([trouble, Does::Well(4)]).await;
        Far::of(&server).embed(4, &["text".into()]).await.unwrap();
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn no_answer_in_time_is_unavailable_in_time() {
    for trouble in [
        Does::Hangs,
        Does::Trickles,
        Does::Answers(502, String::new(), String::new()),
        Does::Resets,
    ] {
        let server = Server::that([trouble]).await;
        let start = Instant::now();
        unavailable(Far::of(&server).timeout(1).embed(4, &["text".into()]).await, "");
        assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    }
    let nobody = Server::that([Does::Hangs]).await.at("http://127.0.0.1:1");
    unavailable(
        Far::of(&nobody).timeout(1).embed(4, &["text".into()]).await,
        "it cannot be reached",
    );
}

#[tokio::test]
async fn nonsense_is_never_an_embedding() {
    let item =
        |index: usize, vector: &str| format!(r#"{{"index": {index}, "embedding": {vector}}}"#);
    let data = |items: &[String]| format!(r#"{{"data": [{}]}}"#, items.join(","));
    let (a, b) = (item(0, "[1, 2]"), item(1, "[3, 4]"));
    for (body, said) in [
        ("".into(), "not a list of embeddings"),
        ("[]".into(), "not a list of embeddings"),
        (r#"{"data": [{"embedding": "AACAPw=="}, {}]}"#.into(), "not a list of embeddings"),
        (data(std::slice::from_ref(&a)), "1 for 2"),
        (data(&[a.clone(), b.clone(), item(2, "[5, 6]")]), "3 for 2"),
        (data(&[a.clone(), a.clone()]), "one vector for each text"),
        (data(&[a.clone(), item(2, "[3, 4]")]), "one vector for each text"),
        (data(&[a.clone(), item(1, "[null, 4]")]), "not finite"),
        (data(&[a.clone(), item(1, "[1e39, 4]")]), "not finite"),
        (data(&[a.clone(), item(1, "[0, 0]")]), "zero or not finite"),
    ] {
        let server = Server::that([Does::Answers(200, String::new(), body)]).await;
        unavailable(Far::of(&server).embed(2, &["a".into(), "b".into()]).await, said);
    }
    let server = Server::that([Does::Answers(200, String::new(), data(&[b, a]))]).await;
    let vectors = Far::of(&server).embed(2, &["a".into(), "b".into()]).await.unwrap();
    assert!(
        (vectors[0][0] - 0.447_213_6).abs() < 1e-6 && (vectors[1][0] - 0.6).abs() < 1e-6,
        "{vectors:?}"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_the_end() {
    for trouble in [Does::SaysHuge, Does::SendsHuge] {
        let server = Server::that([trouble]).await;
        unavailable(Far::of(&server).timeout(2).embed(4, &["text".into()]).await, "far too long");
    }
}

#[tokio::test]
async fn dimensions_are_told_only_to_a_server_that_needs_it() {
    let server = Server::that([Does::AsTold(8)]).await;
    let far = Far::of(&server).embedders().unwrap();
    for _ in 0..2 {
        let vectors = embed(&far, 4, &["text".into()]).await.unwrap();
        assert_eq!(vectors[0].len(), 4);
    }
    let told: Vec<_> = server.seen().iter().map(|seen| seen.body["dimensions"].as_u64()).collect();
    assert_eq!(told, [None, Some(4), Some(4)]);
}

#[tokio::test]
async fn wrong_dimensions_are_refused() {
    let refuses = Does::Answers(400, String::new(), "{}".into());
    for script in [vec![Does::Well(3)], vec![Does::Well(8)], vec![Does::Well(8), refuses]] {
        let server = Server::that(script).await;
        let refusal = refused(Far::of(&server).embed(4, &["text".into()]).await);
        assert_eq!(refusal.code, Code::Vector);
        assert!(refusal.message.contains("not 4"), "{refusal:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_once_and_without_secrets() {
    let echo = format!(
        r#"{{"error": {{"message": "key {KEY}, text secret text", "code": "model_not_found", "type": "{KEY}"}}}}"#
    );
    for (status, message) in [
        (400, "does not accept the texts"),
        (401, "does not accept its key"),
        (403, "does not accept its key"),
        (404, "does not know the model"),
        (413, "does not accept the texts"),
        (307, "sends elsewhere"),
        (418, "answered what it never should"),
        (204, "answered what it never should"),
    ] {
        let server = Server::that([Does::Answers(status, String::new(), echo.clone())]).await;
        let refusal = refused(Far::of(&server).key(KEY).embed(4, &["secret text".into()]).await);
        assert_eq!(refusal.code, Code::Embedder);
        assert!(refusal.message.contains(message), "{refusal:?}");
        if status != 204 {
            assert_eq!(refusal.detail.unwrap(), format!("HTTP {status}, model_not_found"));
        }
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_key_away() {
    let thief = Server::that([Does::Well(4)]).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: {}/embeddings\r\n", thief.url);
        let server = Server::that([Does::Answers(status, location, String::new())]).await;
        let refusal = refused(Far::of(&server).key(KEY).embed(4, &["text".into()]).await);
        assert!(refusal.message.contains("sends elsewhere"), "{refusal:?}");
    }
    assert_eq!(thief.seen().len(), 0);
}

#[tokio::test]
async fn the_key_is_read_anew_for_each_call() {
    let server = Server::that([Does::Well(4)]).await;
    let far = Far::of(&server).key("first\n");
    let embedders = far.embedders().unwrap();
    let file = far.folder.path().join("key");
    embed(&embedders, 4, &["text".into()]).await.unwrap();
    std::fs::write(&file, "  second\r\n").unwrap();
    embed(&embedders, 4, &["text".into()]).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].head.contains("authorization: Bearer first\r\n"), "{}", seen[0].head);
    assert!(seen[1].head.contains("authorization: Bearer second\r\n"), "{}", seen[1].head);
    for (content, said) in [
        (Some("\n"), "is empty"),
        (Some("two\nlines"), "more than one line"),
        (None, "does not exist"),
    ] {
        match content {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let refusal = refused(embed(&embedders, 4, &["text".into()]).await);
        assert!(refusal.detail.as_ref().unwrap().contains(said), "{refusal:?}");
    }
    assert_eq!(server.seen().len(), 0);
    let refusal = far.embedders().unwrap_err();
    assert_eq!(refusal.detail.unwrap(), "the key_file \"key\" does not exist");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_cannot_prove_who_it_is() {
    let server = Server::that([Does::Well(4)]).await;
    let pretender = server.at(&server.url.replace("http:", "https:"));
    unavailable(Far::of(&pretender).key(KEY).timeout(1).embed(4, &["text".into()]).await, "");
    assert!(pretender.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone_for_a_while() {
    let down = Does::Answers(500, "retry-after: 9\r\n".into(), String::new());
    let server = Server::that([down, Does::Hangs, Does::Hangs, Does::Well(4)]).await;
    let far = Far::of(&server).timeout(1).embedders().unwrap();
    let text = ["text".to_string()];
    unavailable(embed(&far, 4, &text).await, "HTTP 500");
    let start = Instant::now();
    unavailable(embed(&far, 4, &text).await, "is left alone for 9 s");
    assert!(start.elapsed() < Duration::from_millis(900));
    assert_eq!(server.seen().len(), 1);

    let server = Server::that([Does::Hangs, Does::Hangs, Does::Hangs, Does::Well(4)]).await;
    let far = Far::of(&server).timeout(1).embedders().unwrap();
    for _ in 0..3 {
        unavailable(embed(&far, 4, &text).await, "no answer in 1 s");
    }
    unavailable(embed(&far, 4, &text).await, "is left alone for 5 s");
    assert_eq!(server.seen().len(), 3);
    // Plays: the rest an embedder is given after failures, which nothing announces the end of.
    tokio::time::sleep(Duration::from_secs(5)).await;
    embed(&far, 4, &text).await.unwrap();
    embed(&far, 4, &text).await.unwrap();
}

/// An embedder called `far`, and the folder of its model file.
struct Far {
    folder: tempfile::TempDir,
    url: String,
    key_file: Option<String>,
    timeout_s: u32,
    batch: u32,
}

impl Far {
    fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, url: server.url.clone(), key_file: None, timeout_s: 5, batch: 32 }
    }

    fn key(mut self, key: &str) -> Self {
        std::fs::write(self.folder.path().join("key"), key).unwrap();
        self.key_file = Some("key".into());
        self
    }

    fn timeout(self, timeout_s: u32) -> Self {
        Self { timeout_s, ..self }
    }

    fn batch(self, batch: u32) -> Self {
        Self { batch, ..self }
    }

    fn embedders(&self) -> Result<Embedders, Refusal> {
        let Self { url, key_file, timeout_s, batch, .. } = self;
        let (url, key_file, timeout_s, batch) = (url.clone(), key_file.clone(), *timeout_s, *batch);
        let embedder = Embedder::Http { url, model: "small".into(), key_file, timeout_s, batch };
        Embedders::declared(&BTreeMap::from([(name(), embedder)]), Path::new(self.folder.path()))
    }

    async fn embed(&self, dimensions: u32, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        embed(&self.embedders().unwrap(), dimensions, texts).await
    }
}

fn name() -> Name {
    Name::new("far").unwrap()
}

async fn embed(
    embedders: &Embedders,
    dimensions: u32,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, EmbedError> {
    embedders.embed(&name(), dimensions, texts).await
}

fn refused(outcome: Result<Vec<Vec<f32>>, EmbedError>) -> Refusal {
    match outcome.unwrap_err() {
        EmbedError::Refused(refusal) => {
            assert_silent(&format!("{refusal:?}"));
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn unavailable(outcome: Result<Vec<Vec<f32>>, EmbedError>, said: &str) {
    let error = outcome.unwrap_err();
    let EmbedError::Unavailable { refusal, .. } = &error else { panic!("{error:?}") };
    assert_eq!(refusal.code, Code::Embedder);
    assert!(refusal.detail.as_ref().unwrap().contains(said), "{refusal:?}");
    let mut all = format!("{error:?} {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        all += &format!(" {cause:?} {cause}");
        source = cause.source();
    }
    assert_silent(&all);
}

fn assert_silent(said: &str) {
    assert!(!said.contains(KEY) && !said.contains("secret text"), "a secret: {said}");
}
