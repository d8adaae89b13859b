//! What a provider answers, none of it trusted: neither its size, nor its form, nor its numbers.

use reqwest::Response;
use serde::Deserialize;

use super::Failure;

/// Bytes a number of an embedding takes in JSON, generously.
const NUMBER_BYTES: usize = 32;
/// Dimensions to expect even if fewer are asked for: a provider may have to be told first.
const DIMENSIONS_EXPECTED: usize = 4096;
const ERROR_BYTES_MAX: usize = 16 << 10;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    /// Providers write NaN as `null`.
    embedding: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Option<serde_json::Value>,
    r#type: Option<String>,
}

/// The vectors of a good answer, in the order of the `wanted` texts.
pub(super) async fn vectors(
    response: Response,
    wanted: usize,
    dimensions: u32,
) -> Result<Vec<Vec<f32>>, Failure> {
    let limit = wanted * DIMENSIONS_EXPECTED.max(dimensions as usize) * NUMBER_BYTES;
    let body = read(response, limit)
        .await?
        .ok_or_else(|| Failure::passing("its answer is far too long"))?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| Failure::passing("its answer is not a list of embeddings"))?;
    let made = answer.data.len();
    let ordered = in_order(answer.data, wanted).ok_or_else(|| {
        Failure::passing(format!("it did not answer one vector for each text: {made} for {wanted}"))
    })?;
    let finite = |vector: Vec<Option<f64>>| {
        let narrow = |x: Option<f64>| x.map(|x| x as f32).filter(|x| x.is_finite());
        vector.into_iter().map(narrow).collect()
    };
    ordered
        .into_iter()
        .map(finite)
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::passing("its answer has a number that is not finite"))
}

/// The provider's own short word for an error, such as `model_not_found`. Its message is not for us: it may repeat the key
/// or the text.
pub(super) async fn error_word(response: Response) -> Option<String> {
    let body = read(response, ERROR_BYTES_MAX).await.ok()??;
    let error = serde_json::from_slice::<ErrorAnswer>(&body).ok()?.error;
    let code = error.code.and_then(|code| code.as_str().map(String::from));
    let is_word = |word: &String| {
        (1..=48).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    code.filter(is_word).or(error.r#type.filter(is_word))
}

/// The body, or `None` if it is longer than `limit` bytes.
async fn read(mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, Failure> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::transport)? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Sorted by `index`, or as they come if none has one; `None` unless there is exactly one for each text.
fn in_order(items: Vec<Item>, wanted: usize) -> Option<Vec<Vec<Option<f64>>>> {
    if items.len() != wanted {
        return None;
    }
    if items.iter().all(|item| item.index.is_none()) {
        return Some(items.into_iter().map(|item| item.embedding).collect());
    }
    let mut ordered: Vec<_> = (0..wanted).map(|_| None).collect();
    for item in items {
        let place = ordered.get_mut(item.index?)?;
        if place.replace(item.embedding).is_some() {
            return None;
        }
    }
    ordered.into_iter().collect()
}
