//! The bearer key of a provider. It is read for each call, so that a new key takes effect at once, and it is nowhere kept.

use std::path::{Path, PathBuf};

use freehold_model::{Code, Name, Refusal};
use reqwest::header::HeaderValue;
use tokio::io::AsyncReadExt;

const KEY_BYTES_MAX: u64 = 16 << 10;

pub(super) struct KeyFile {
    embedder: Name,
    named: String,
    path: PathBuf,
}

impl KeyFile {
    /// The file called `named`, seen from `base_dir`; it must exist.
    pub(super) fn new(embedder: &Name, named: &str, base_dir: &Path) -> Result<Self, Refusal> {
        let key =
            Self { embedder: embedder.clone(), named: named.into(), path: base_dir.join(named) };
        match std::fs::metadata(&key.path) {
            Ok(metadata) if metadata.is_file() => Ok(key),
            Ok(_) => Err(key.refusal("is not a file")),
            Err(error) => Err(key.unreadable(&error)),
        }
    }

    /// The file as the model names it.
    pub(super) fn named(&self) -> &str {
        &self.named
    }

    /// The value of the header `Authorization`, marked so that nothing prints it.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, Refusal> {
        let mut key = String::new();
        let file = tokio::fs::File::open(&self.path).await.map_err(|e| self.unreadable(&e))?;
        file.take(KEY_BYTES_MAX).read_to_string(&mut key).await.map_err(|e| self.unreadable(&e))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(self.refusal("is empty"));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| self.refusal("holds more than one line"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unreadable(&self, error: &std::io::Error) -> Refusal {
        match error.kind() {
            std::io::ErrorKind::NotFound => self.refusal("does not exist"),
            std::io::ErrorKind::InvalidData => self.refusal("is not text"),
            _ => self.refusal("cannot be read"),
        }
    }

    fn refusal(&self, what: &str) -> Refusal {
        Refusal::new(Code::Embedder, format!("the embedder {:?} has no key", self.embedder))
            .detail(format!("the key_file {:?} {what}", self.named))
            .hint(
                "its path is relative to the model file; it holds the bearer key and nothing else",
            )
    }
}
