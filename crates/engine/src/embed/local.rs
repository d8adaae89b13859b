//! Embedders that run here: a folder of a BERT-style sentence model (MiniLM, BGE, E5, GTE …) as it is published.

mod bert;
mod config;
mod kernels;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use freehold_model::entity::Pooling;
use freehold_model::{Code, Name, Refusal};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use tokenizers::{Tokenizer, TruncationParams};
use tokio::sync::{OnceCell, Semaphore};

use super::{EmbedError, Provider, wrong_dimensions};
use bert::Bert;
use config::Config;

/// Tokens one thread works on at a time: enough to keep it busy, few enough to share the machine and the memory.
const TOKENS_AT_A_TIME: std::ops::RangeInclusive<usize> = 128..=1024;
/// No tokenizer makes a token of more bytes than this of ordinary text: what lies beyond the window is not even read.
const BYTES_PER_TOKEN: usize = 128;

/// Threads of this process that compute, all local models together.
static THREADS: LazyLock<Threads> = LazyLock::new(|| {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Threads { count, free: Arc::new(Semaphore::new(count)) }
});

struct Threads {
    count: usize,
    free: Arc<Semaphore>,
}

pub(super) struct Local {
    name: Name,
    folder: Folder,
    config: Config,
    pooling: Pooling,
    loaded: OnceCell<Arc<Loaded>>,
}

/// Where a model lies, and how to speak of it.
#[derive(Clone)]
struct Folder {
    embedder: Name,
    named: String,
    path: PathBuf,
}

struct Loaded {
    tokenizer: Tokenizer,
    bert: Bert,
    bytes_read: usize,
}

impl Local {
    pub(super) fn new(
        name: &Name,
        named: &str,
        pooling: Pooling,
        base_dir: &Path,
    ) -> Result<Self, Refusal> {
        let folder =
            Folder { embedder: name.clone(), named: named.into(), path: base_dir.join(named) };
        if !folder.path.is_dir() {
            return Err(folder.refusal("the folder does not exist"));
        }
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            if !folder.path.join(file).is_file() {
                return Err(folder.refusal(&format!("{file} is missing")));
            }
        }
        let config = Config::read(&folder)?;
        if config.pooling.is_some_and(|meant| meant != pooling) {
            tracing::warn!(embedder = %name, ?pooling, "the folder says that its model is meant to be pooled otherwise");
        }
        Ok(Self { name: name.clone(), folder, config, pooling, loaded: OnceCell::new() })
    }

    async fn loaded(&self) -> Result<Arc<Loaded>, EmbedError> {
        let load = || {
            let (folder, config) = (self.folder.clone(), self.config.clone());
            async move {
                blocking(move || Loaded::read(&folder, &config)).await?.map_err(EmbedError::Refused)
            }
        };
        self.loaded.get_or_try_init(load).await.cloned()
    }
}

impl Provider for Local {
    fn embed<'a>(
        &'a self,
        _dimensions: u32,
        texts: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            let loaded = self.loaded().await?;
            let (model, texts) = (loaded.clone(), texts.to_vec());
            let tokens = blocking(move || model.tokens(&texts)).await??;
            let batches = batches(tokens, THREADS.count).into_iter().map(|batch| {
                let (model, pooling) = (loaded.clone(), self.pooling);
                blocking(move || model.bert.embed(&batch, pooling))
            });
            let vectors: Vec<_> =
                futures_util::stream::iter(batches).buffered(THREADS.count).try_collect().await?;
            Ok(vectors.into_iter().flatten().collect())
        })
    }

    fn offers(&self, dimensions: u32) -> Result<(), Refusal> {
        if dimensions as usize == self.config.hidden_size {
            return Ok(());
        }
        Err(wrong_dimensions(&self.name, self.config.hidden_size, dimensions))
    }
}

impl Loaded {
    fn read(folder: &Folder, config: &Config) -> Result<Arc<Self>, Refusal> {
        let broken = |_| folder.refusal("tokenizer.json is not a tokenizer");
        let mut tokenizer =
            Tokenizer::from_bytes(folder.bytes("tokenizer.json")?).map_err(broken)?;
        let window = TruncationParams { max_length: config.window, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(window)).map_err(broken)?;
        if tokenizer.get_vocab(true).values().any(|&id| id as usize >= config.vocab_size) {
            return Err(folder.refusal("tokenizer.json knows more tokens than config.json says"));
        }
        let bert = Bert::read(folder, config)?;
        tracing::info!(embedder = %folder.embedder, folder = folder.named, window = config.window, "local model loaded");
        Ok(Arc::new(Self { tokenizer, bert, bytes_read: config.window * BYTES_PER_TOKEN }))
    }

    fn tokens(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, EmbedError> {
        let tokens = |text: &String| {
            let read = self.bytes_read.min(text.len());
            let read =
                (0..=read).rev().find(|&at| text.is_char_boundary(at)).map_or("", |at| &text[..at]);
            let encoded =
                self.tokenizer.encode_fast(read, true).map(|encoding| encoding.get_ids().to_vec());
            encoded.ok().filter(|ids| !ids.is_empty()).ok_or_else(|| {
                EmbedError::Refused(Refusal::new(
                    Code::InvalidText,
                    "a text has no words that the local model can read",
                ))
            })
        };
        texts.iter().map(tokens).collect()
    }
}

impl Folder {
    fn bytes(&self, file: &str) -> Result<Vec<u8>, Refusal> {
        std::fs::read(self.path.join(file))
            .map_err(|_| self.refusal(&format!("{file} cannot be read")))
    }

    fn refusal(&self, detail: &str) -> Refusal {
        Refusal::new(Code::Embedder, format!("the local model of the embedder {:?} cannot be used", self.embedder))
            .detail(format!("{:?}: {detail}", self.named))
            .hint("the folder, relative to the model file, holds config.json, tokenizer.json and model.safetensors as published")
    }
}

/// Runs `work` on one of the computing threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EmbedError> {
    let permit = THREADS.free.clone().acquire_owned().await.expect("the semaphore is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| EmbedError::Unavailable {
        refusal: Refusal::new(Code::Embedder, "a local model failed"),
        source: Some(Box::new(error)),
    })
}

/// Cuts `texts` so that each of `threads` has work and none has more tokens at a time than it should.
fn batches(texts: Vec<Vec<u32>>, threads: usize) -> Vec<Vec<Vec<u32>>> {
    let total: usize = texts.iter().map(Vec::len).sum();
    let most = (total / threads).clamp(*TOKENS_AT_A_TIME.start(), *TOKENS_AT_A_TIME.end());
    let mut batches: Vec<Vec<Vec<u32>>> = Vec::new();
    let mut left = 0;
    for text in texts {
        let length = text.len();
        match batches.last_mut() {
            Some(batch) if length <= left => batch.push(text),
            _ => {
                batches.push(vec![text]);
                left = most;
            }
        }
        left = left.saturating_sub(length);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_order_and_measure() {
        let texts: Vec<Vec<u32>> =
            [500, 500, 100, 2000, 1, 1].iter().map(|&n| vec![0; n]).collect();
        let lengths = |threads| -> Vec<Vec<usize>> {
            batches(texts.clone(), threads)
                .iter()
                .map(|b| b.iter().map(Vec::len).collect())
                .collect()
        };
        assert_eq!(lengths(1), [vec![500, 500], vec![100], vec![2000], vec![1, 1]]);
        assert_eq!(lengths(100), [vec![500], vec![500], vec![100], vec![2000], vec![1, 1]]);
    }
}
