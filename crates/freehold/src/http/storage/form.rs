//! The file in a body of `multipart/form-data`, passed on as it comes.

use axum::body::{BodyDataStream, Bytes};
use freehold_engine::{Code, Refusal};
use futures_util::{Stream, StreamExt as _, stream};

use super::super::request::plain_said;

/// Bytes of a part's headers, and of a field that is no file.
const SMALL: usize = 64 << 10;

/// Characters of a boundary, by RFC 2046.
const BOUNDARY: usize = 70;

/// The file of a form.
pub(super) struct FormFile<S> {
    pub(super) content_type: Option<String>,
    pub(super) bytes: S,
}

/// The boundary, if the body is a form.
///
/// # Errors
/// `Body` if it is a form that has none: its file could not be told from what is around it.
pub(super) fn boundary(content_type: &str) -> Result<Option<&str>, Refusal> {
    let (media, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim().trim_matches('"'))
    });
    let value = value.filter(|value| (1..=BOUNDARY).contains(&value.len()));
    value.map(Some).ok_or_else(|| {
        Refusal::new(Code::Body, "the form has no boundary that can be read")
            .hint(format!("send Content-Type: multipart/form-data; boundary=…, of 1 to {BOUNDARY} characters; or the bytes alone, with their own type"))
    })
}

/// Skips the fields before the file; those after it are not read.
pub(super) async fn file(
    body: BodyDataStream,
    boundary: &str,
) -> Result<FormFile<impl Stream<Item = Result<Bytes, String>> + Unpin>, Refusal> {
    let mut form = Form {
        body,
        // The first boundary need not have a line break before it.
        held: b"\r\n".to_vec(),
        mark: format!("\r\n--{boundary}").into_bytes(),
    };
    form.until_mark().await?;
    loop {
        let head = form.head().await?.ok_or_else(|| wrong("it has no file"))?;
        let line = |name: &str| {
            head.lines().find_map(|line| {
                let (said, value) = line.split_once(':')?;
                said.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let about = line("content-disposition").unwrap_or_default();
        let content_type = line("content-type");
        if let Some(said) = line("content-encoding") {
            plain_said(&said)?;
        }
        if about.contains("filename=") || about.contains("filename*=") || content_type.is_some() {
            let bytes = stream::unfold(Some(form), |form| async move {
                let mut form = form?;
                match form.some().await {
                    Ok(Some(bytes)) => Some((Ok(bytes), Some(form))),
                    Ok(None) => None,
                    Err(refusal) => Some((Err(refusal.to_string()), None)),
                }
            });
            return Ok(FormFile { content_type, bytes: Box::pin(bytes) });
        }
        form.until_mark().await?;
    }
}

struct Form {
    body: BodyDataStream,
    held: Vec<u8>,
    mark: Vec<u8>,
}

impl Form {
    async fn more(&mut self) -> Result<(), Refusal> {
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.held.extend_from_slice(&bytes);
                Ok(())
            }
            _ => Err(wrong("it ends in the middle")),
        }
    }

    /// Skips what is before the next boundary, and the boundary.
    async fn until_mark(&mut self) -> Result<(), Refusal> {
        loop {
            if let Some(at) = find(&self.held, &self.mark) {
                self.held.drain(..at + self.mark.len());
                return Ok(());
            }
            if self.held.len() > SMALL {
                return Err(wrong("a field before the file is too long"));
            }
            self.more().await?;
        }
    }

    /// The headers of the part behind a boundary; none if it was the last.
    async fn head(&mut self) -> Result<Option<String>, Refusal> {
        loop {
            if self.held.starts_with(b"--") {
                return Ok(None);
            }
            if let Some(at) = find(&self.held, b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..at + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.held.len() > SMALL {
                return Err(wrong("the headers of a part are too long"));
            }
            self.more().await?;
        }
    }

    /// Some bytes of the file; none behind its end.
    async fn some(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Some(at) = find(&self.held, &self.mark) {
                if at == 0 {
                    return Ok(None);
                }
                return Ok(Some(self.held.drain(..at).collect::<Vec<u8>>().into()));
            }
            // A boundary may begin in what is held and end in what comes.
            if self.held.len() >= self.mark.len() {
                let sure = self.held.len() - (self.mark.len() - 1);
                let rest = self.held.split_off(sure);
                return Ok(Some(std::mem::replace(&mut self.held, rest).into()));
            }
            self.more().await?;
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == mark[0]) {
        if bytes[from + at..].starts_with(mark) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn wrong(what: &str) -> Refusal {
    Refusal::new(Code::Body, "the body is no form with a file")
        .detail(what)
        .hint("one part has to have a filename or a Content-Type; or send the bytes alone, with their own type")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(text: &'static [u8], step: usize) -> Result<(Option<String>, Vec<u8>), String> {
        let parts = text.chunks(step).map(|part| Ok::<_, std::io::Error>(Bytes::from_static(part)));
        let body = Body::from_stream(stream::iter(parts.collect::<Vec<_>>()));
        let mut file =
            file(body.into_data_stream(), "XX").await.map_err(|refusal| refusal.to_string())?;
        let mut bytes = Vec::new();
        while let Some(some) = file.bytes.next().await {
            bytes.extend_from_slice(&some?);
        }
        Ok((file.content_type, bytes))
    }

    #[tokio::test]
    async fn the_file_is_found_however_the_body_is_cut() {
        let text = b"--XX\r\nContent-Disposition: form-data; name=\"cacheControl\"\r\n\r\n3600\r\n--XX\r\n\
            Content-Disposition: form-data; name=\"\"; filename=\"blob\"\r\nContent-Type: image/png\r\n\r\n\
            a\r\n--X\r\n--XY\r\nb\r\n--XX--\r\n";
        for step in 1..text.len() {
            let (content_type, bytes) = read(text, step).await.unwrap();
            assert_eq!(content_type.as_deref(), Some("image/png"), "{step}");
            assert_eq!(bytes, b"a\r\n--X\r\n--XY\r\nb", "{step}");
        }
    }

    #[tokio::test]
    async fn a_form_that_ends_early_is_none() {
        let whole =
            b"--XX\r\nContent-Disposition: form-data; filename=\"f\"\r\n\r\nabc\r\n--XX--\r\n";
        for end in 0..whole.len() - 4 {
            assert!(read(&whole[..end], 7).await.is_err() || end == 0, "{end}");
        }
        assert!(read(b"--XX--\r\n", 3).await.is_err());
    }

    #[test]
    fn boundaries_are_read_from_the_header() {
        let read = |content_type| boundary(content_type).map_err(|refusal| refusal.code);
        assert_eq!(read("multipart/form-data; boundary=XX"), Ok(Some("XX")));
        assert_eq!(read("Multipart/Form-Data; charset=x; boundary=\"X Y\""), Ok(Some("X Y")));
        assert_eq!(read("text/plain; boundary=x"), Ok(None));
        let long = |length| format!("multipart/form-data; boundary={}", "x".repeat(length));
        assert!(boundary(&long(70)).is_ok_and(|boundary| boundary.is_some()));
        for wrong in ["multipart/form-data", "multipart/form-data; boundary=", &long(71)] {
            assert_eq!(read(wrong), Err(Code::Body), "{wrong}");
        }
    }
}
