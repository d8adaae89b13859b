//! Quotes in CSV, as RFC 4180 has them. The reader takes any text for CSV: of `"a` it makes the rest of the body one cell, and of
//! `"a"b` the cell `ab`.

use crate::error::{Code, Refusal};

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Where a cell begins.
    Begin,
    /// In a cell without quotes.
    Bare,
    /// In quotes that were opened in this line.
    Quoted { opened: u64 },
    /// Behind a quote that ends the cell, unless another one follows.
    Closed { opened: u64 },
}

/// Checks that each quote opens a cell, closes it, or is one of two inside.
///
/// # Errors
/// `Body`, with the line, counted from 1.
pub(super) fn check(body: &str) -> Result<(), Refusal> {
    let mut place = Place::Begin;
    let mut line = 1;
    // A mark of the byte order is no part of the first cell.
    let text = body.strip_prefix('\u{feff}').unwrap_or(body).as_bytes();
    for (at, byte) in text.iter().enumerate() {
        let ends_line = *byte == b'\n' || *byte == b'\r' && text.get(at + 1) != Some(&b'\n');
        place = match (place, *byte) {
            (Place::Begin, b'"') => Place::Quoted { opened: line },
            (Place::Closed { opened }, b'"') => Place::Quoted { opened },
            (Place::Quoted { opened }, b'"') => Place::Closed { opened },
            (Place::Quoted { opened }, _) => Place::Quoted { opened },
            (_, b',' | b'\n' | b'\r') => Place::Begin,
            (Place::Bare, b'"') => {
                return Err(refused("a cell of the CSV has a quote inside", line)
                    .hint("put the cell in quotes and write each quote inside twice"));
            }
            (Place::Closed { .. }, _) => {
                return Err(refused("a cell of the CSV goes on behind its closing quote", line)
                    .hint("a comma or the end of the line follows it; a quote inside is written twice"));
            }
            (Place::Begin | Place::Bare, _) => Place::Bare,
        };
        line += u64::from(ends_line);
    }
    match place {
        Place::Quoted { opened } => Err(refused("a quote of the CSV is never closed", opened)
            .hint("close it; a quote inside a cell is written twice")),
        _ => Ok(()),
    }
}

fn refused(message: &str, line: u64) -> Refusal {
    Refusal::new(Code::Body, message).detail(format!("line {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_close_or_are_two() {
        for good in [
            "",
            "a,b\r\n1,2\r\n",
            "a\n\"\"\n",
            "a,b\n\"x, \"\"y\"\"\r\nz\",\"\"\n",
            "\u{feff}\"a\"\nb",
            "a\n\"\"\"\"\n",
            "a b,c\nd e,",
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for (bad, line) in [
            ("a\n\"unclosed", 2),
            ("a\n\"x\ny\nz", 2),
            ("a\n\"a\"b\n", 2),
            ("a\r\nb\r\nc \"d\"\r\n", 3),
            ("a\rb\r\"c\" \r", 3),
            ("a\n\"x\ny\"z", 3),
            ("a\n\"\"\"", 2),
        ] {
            let refusal = check(bad).unwrap_err();
            assert_eq!(
                (refusal.code, refusal.detail),
                (Code::Body, Some(format!("line {line}"))),
                "{bad:?}"
            );
            assert!(refusal.hint.is_some());
        }
    }
}
