//! Embeddings: texts become vectors, by whichever provider the model declares. Every vector that leaves here is finite,
//! has unit length and the number of dimensions asked for; whatever a provider answers otherwise is an error.

mod http;
mod lexical;
mod local;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use freehold_model::entity::{Embedder, Kind, Vector};
use freehold_model::{Code, Model, Name, Refusal};
use futures_util::future::BoxFuture;

pub use lexical::VERSION as LEXICAL_VERSION;

/// Longest text that is embedded, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// All embedders of a model. Cheap to clone; clones share loaded models and connections.
#[derive(Clone)]
pub struct Embedders {
    providers: Arc<BTreeMap<Name, Arc<dyn Provider>>>,
}

/// Why there is no embedding.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// Trying again changes nothing: a text that cannot be embedded, wrong dimensions, a refused key, a broken folder.
    #[error("{0}")]
    Refused(Refusal),
    /// The provider is down, too slow, or answers nonsense; later it may work.
    #[error("{refusal}")]
    Unavailable {
        /// What to tell the caller.
        refusal: Refusal,
        /// What happened underneath, for the log; never holds a key or a text.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl EmbedError {
    /// What to tell the caller.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Refused(refusal) | Self::Unavailable { refusal, .. } => refusal,
        }
    }
}

/// One source of embeddings.
trait Provider: Send + Sync {
    /// One vector for each of `texts`, in order. Neither length nor values are to be trusted: [`Embedders::embed`] checks.
    fn embed<'a>(
        &'a self,
        dimensions: u32,
        texts: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>>;

    /// Whether it can make vectors of so many dimensions at all, as far as that is known beforehand.
    fn offers(&self, dimensions: u32) -> Result<(), Refusal>;
}

impl Embedders {
    /// The embedders of `model`, whose paths are relative to `base_dir`, the folder of the model file. Local models are
    /// loaded when they are first used.
    ///
    /// # Errors
    /// A path that does not exist, a folder that is not of a known model, a field whose dimensions its embedder cannot make.
    pub fn new(model: &Model, base_dir: &Path) -> Result<Self, Refusal> {
        let embedders = Self::declared(model.embedders(), base_dir)?;
        for entity in model.entities() {
            for field in &entity.fields {
                let Kind::Vector(Vector { dimensions, of, embedder, .. }) = &field.kind else {
                    continue;
                };
                if of.is_empty() {
                    continue;
                }
                embedders.provider(embedder)?.offers(*dimensions).map_err(|mut refusal| {
                    refusal.message =
                        format!("{}.{}: {}", entity.name, field.name, refusal.message);
                    refusal
                })?;
            }
        }
        Ok(embedders)
    }

    /// The same from declarations alone, without the fields that use them.
    ///
    /// # Errors
    /// A path that does not exist, a folder that is not of a known model.
    pub fn declared(declared: &BTreeMap<Name, Embedder>, base_dir: &Path) -> Result<Self, Refusal> {
        let mut providers: BTreeMap<Name, Arc<dyn Provider>> = BTreeMap::new();
        let lexical = Name::new("lexical").expect("a plain word is a name");
        providers.insert(lexical, Arc::new(lexical::Lexical));
        for (name, embedder) in declared {
            let provider: Arc<dyn Provider> = match embedder {
                Embedder::Lexical => Arc::new(lexical::Lexical),
                Embedder::Http { url, model, key_file, timeout_s, batch } => {
                    Arc::new(http::Http::new(http::Declared {
                        name,
                        url,
                        model,
                        key_file: key_file.as_deref(),
                        timeout_s: *timeout_s,
                        batch: *batch,
                        base_dir,
                    })?)
                }
                Embedder::Local { path, pooling } => {
                    Arc::new(local::Local::new(name, path, *pooling, base_dir)?)
                }
            };
            providers.insert(name.clone(), provider);
        }
        Ok(Self { providers: Arc::new(providers) })
    }

    /// One vector of `dimensions` for each text, in order, finite and of unit length.
    ///
    /// # Errors
    /// [`EmbedError`]; then there is no vector for any of the texts. An empty text is refused: it means nothing.
    pub async fn embed(
        &self,
        embedder: &Name,
        dimensions: u32,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let provider = self.provider(embedder).map_err(EmbedError::Refused)?;
        provider.offers(dimensions).map_err(EmbedError::Refused)?;
        for text in texts {
            check_text(text).map_err(EmbedError::Refused)?;
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut vectors = provider.embed(dimensions, texts).await?;
        if vectors.len() != texts.len() {
            let detail = format!("{} vectors for {} texts", vectors.len(), texts.len());
            return Err(nonsense(embedder, detail));
        }
        for vector in &mut vectors {
            if vector.len() != dimensions as usize {
                return Err(EmbedError::Refused(wrong_dimensions(
                    embedder,
                    vector.len(),
                    dimensions,
                )));
            }
            if !normalise(vector) {
                return Err(nonsense(embedder, "a vector that is zero or not finite".into()));
            }
        }
        Ok(vectors)
    }

    fn provider(&self, embedder: &Name) -> Result<&dyn Provider, Refusal> {
        self.providers.get(embedder).map(|provider| &**provider).ok_or_else(|| {
            Refusal::new(Code::Embedder, format!("there is no embedder called {embedder:?}"))
        })
    }
}

impl std::fmt::Debug for Embedders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

fn check_text(text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(Code::InvalidText, "an empty text has no embedding"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::new(Code::InvalidText, "a text is too long to be embedded")
            .detail(format!("{} bytes, of at most {TEXT_BYTES_MAX}", text.len())));
    }
    Ok(())
}

/// Makes the length one; false if there is none to make.
fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return false;
    }
    for x in vector {
        *x = (f64::from(*x) / length) as f32;
    }
    true
}

fn nonsense(embedder: &Name, detail: String) -> EmbedError {
    let refusal =
        Refusal::new(Code::Embedder, format!("the embedder {embedder:?} answered nonsense"))
            .detail(detail);
    EmbedError::Unavailable { refusal, source: None }
}

fn wrong_dimensions(embedder: &Name, made: usize, wanted: u32) -> Refusal {
    Refusal::new(
        Code::Vector,
        format!("the embedder {embedder:?} makes vectors of {made} dimensions, not {wanted}"),
    )
    .hint(format!("declare the field with vector = {made}, or choose another embedder"))
}
