//! Characters of a query: percent-decoding, and a cursor that knows where it is when something is wrong.

use crate::{Code, Refusal};

/// One `key=value` of the query string, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Param {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Splits a raw query string. `+` is a space.
///
/// # Errors
/// `Syntax` for a part without `=` (a filter that is dropped would widen what a request touches) or a broken `%`;
/// `InvalidText` for bytes that are not UTF-8 or hold a NUL.
pub(crate) fn params(query: &str) -> Result<Vec<Param>, Refusal> {
    let parts = query.strip_prefix('?').unwrap_or(query).split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Refusal::new(Code::Syntax, "a part of the query has no `=`")
                    .detail(shorten(part))
                    .hint("write filters as field=operator.value"));
            };
            Ok(Param { key: decode(key)?, value: decode(value)? })
        })
        .collect()
}

/// Without percents; `+` is a space.
///
/// # Errors
/// As [`params`].
pub(crate) fn decode(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(Refusal::new(
                        Code::Syntax,
                        "a `%` in the query is not followed by two hex digits",
                    )
                    .detail(shorten(text))
                    .hint("write a percent sign as %25"));
                }
            },
            other => other,
        });
    }
    let invalid = |what: &str| {
        Refusal::new(Code::InvalidText, format!("the query {what}")).detail(shorten(text))
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    if text.contains('\0') { Err(invalid("contains a NUL character")) } else { Ok(text) }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// `text`, cut so that a message stays readable.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A name as written. A quoted one is never a keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Word {
    pub(crate) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// Reads one parameter from left to right.
pub(crate) struct Cursor<'a> {
    what: &'a str,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// `what` is the parameter's key, for messages.
    pub(crate) fn new(what: &'a str, text: &'a str) -> Self {
        Self { what, text, at: 0 }
    }

    pub(crate) fn ahead(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.ahead().chars().next()
    }

    pub(crate) fn done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let found = self.ahead().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(crate) fn expect(&mut self, text: &str) -> Result<(), Refusal> {
        if self.eat(text) { Ok(()) } else { Err(self.fail(&format!("`{text}`"))) }
    }

    pub(crate) fn spaces(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let ahead = self.ahead();
        let taken = &ahead[..ahead.find(|c| !wanted(c)).unwrap_or(ahead.len())];
        self.at += taken.len();
        taken
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a str {
        let rest = self.ahead();
        self.at = self.text.len();
        rest
    }

    pub(crate) fn end(&self) -> Result<(), Refusal> {
        if self.done() { Ok(()) } else { Err(self.fail("the end")) }
    }

    /// What is wrong at this place.
    pub(crate) fn fail(&self, expected: &str) -> Refusal {
        let found = match self.peek() {
            Some(c) => format!("`{c}`"),
            None => "the end".into(),
        };
        let place = self.text[..self.at].chars().count() + 1;
        Refusal::new(Code::Syntax, format!("the parameter {} cannot be read", shorten(self.what)))
            .detail(format!(
                "expected {expected} at character {place} of `{}`, found {found}",
                shorten(self.text)
            ))
    }

    /// The same for something that was read but means nothing.
    pub(crate) fn wrong(&self, problem: &str) -> Refusal {
        Refusal::new(Code::Syntax, format!("the parameter {} cannot be read", shorten(self.what)))
            .detail(format!("{problem} in `{}`", shorten(self.text)))
    }

    /// A name, quoted or plain.
    pub(crate) fn word(&mut self) -> Result<Word, Refusal> {
        self.spaces();
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            if text.is_empty() {
                return Err(self.fail("a name between the quotes before it"));
            }
            self.spaces();
            return Ok(Word { text, quoted: true });
        }
        let from = self.at;
        loop {
            self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
            let ahead = self.ahead();
            if !ahead.starts_with('-') || ahead.starts_with("->") || self.at == from {
                break;
            }
            self.at += 1;
        }
        let text = self.text[from..self.at].trim();
        if text.is_empty() {
            return Err(self.fail("a name"));
        }
        Ok(Word { text: text.to_owned(), quoted: false })
    }

    /// A text in double quotes, where `\` takes the next character as it is.
    pub(crate) fn quoted(&mut self) -> Result<String, Refusal> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.ahead().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                other => text.push(other),
            }
        }
        self.at = self.text.len();
        Err(self.fail("a closing `\"`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        let read = params("a%20b=c+d&&x==%3D%C3%A4").unwrap();
        assert_eq!(read[0], Param { key: "a b".into(), value: "c d".into() });
        assert_eq!(read[1], Param { key: "x".into(), value: "==ä".into() });
        for (text, code) in
            [("a", Code::Syntax), ("a=%4", Code::Syntax), ("a=%ff", Code::InvalidText)]
        {
            assert_eq!(params(text).unwrap_err().code, code, "{text}");
        }
        assert_eq!(params("a=%00").unwrap_err().code, Code::InvalidText);
    }

    #[test]
    fn words() {
        let mut cursor = Cursor::new("x", r#" a b-c ->"d\"e" "#);
        assert_eq!(cursor.word().unwrap().text, "a b-c");
        cursor.expect("->").unwrap();
        assert_eq!(cursor.word().unwrap(), Word { text: "d\"e".into(), quoted: true });
        assert!(cursor.word().is_err());
    }
}
