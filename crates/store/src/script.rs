//! SQL text cut into statements, as far as a prompt must understand it.

use std::iter;

/// The whole statements at the beginning of a text, each with its `;`, and what is left after them.
///
/// A `;` in quotes, comments, dollar quotes or parentheses ends nothing. What is left is empty when only space and comments
/// are.
#[must_use]
pub fn split(text: &str) -> (Vec<&str>, &str) {
    let (mut statements, mut begin, mut depth, mut blank) = (Vec::new(), 0, 0_u32, true);
    for (at, part) in parts(text) {
        match part {
            Part::Blank(_) => continue,
            Part::Sign('(') => depth += 1,
            Part::Sign(')') => depth = depth.saturating_sub(1),
            Part::Sign(';') if depth == 0 => {
                if !blank {
                    statements.push(text[begin..=at].trim_start());
                }
                (begin, blank) = (at + 1, true);
                continue;
            }
            _ => {}
        }
        blank = false;
    }
    (statements, if blank && !is_open(&text[begin..]) { "" } else { text[begin..].trim_start() })
}

/// The first words of a statement in small letters; anything that is not a word ends them.
#[must_use]
pub fn words(statement: &str) -> Vec<String> {
    let seen =
        parts(statement).map(|(_, part)| part).filter(|part| !matches!(part, Part::Blank(_)));
    seen.map_while(|part| match part {
        Part::Word(word) => Some(word.to_ascii_lowercase()),
        _ => None,
    })
    .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Word(&'a str),
    Sign(char),
    /// Anything in quotes; the end of the text ends it, too.
    Quoted(&'a str),
    /// Space or a comment.
    Blank(&'a str),
}

/// Whether the text ends inside a comment of several lines.
fn is_open(text: &str) -> bool {
    matches!(parts(text).last(), Some((_, Part::Blank(last))) if last.starts_with("/*") && comment(last).is_none())
}

fn parts(text: &str) -> impl Iterator<Item = (usize, Part<'_>)> {
    let mut at = 0;
    iter::from_fn(move || {
        let rest = &text[at..];
        let part = part(rest)?;
        let begin = at;
        at += match part {
            Part::Word(text) | Part::Quoted(text) | Part::Blank(text) => text.len(),
            Part::Sign(sign) => sign.len_utf8(),
        };
        Some((begin, part))
    })
}

fn part(rest: &str) -> Option<Part<'_>> {
    let first = rest.chars().next()?;
    let upto = |end: Option<usize>| &rest[..end.unwrap_or(rest.len())];
    let while_true = |so: fn(char) -> bool| upto(rest.find(|c| !so(c)));
    Some(match first {
        _ if first.is_whitespace() => Part::Blank(while_true(char::is_whitespace)),
        '-' if rest.starts_with("--") => Part::Blank(upto(rest.find('\n'))),
        '/' if rest.starts_with("/*") => Part::Blank(upto(comment(rest))),
        '\'' => Part::Quoted(upto(quoted(rest, 1, false))),
        'e' | 'E' if rest[1..].starts_with('\'') => Part::Quoted(upto(quoted(rest, 2, true))),
        '"' => Part::Quoted(upto(rest[1..].find('"').map(|end| end + 2))),
        '$' => match dollar(rest) {
            Some(tag) => {
                Part::Quoted(upto(rest[tag..].find(&rest[..tag]).map(|end| end + tag + tag)))
            }
            None => Part::Sign('$'),
        },
        _ if first.is_alphabetic() || first == '_' => {
            Part::Word(while_true(|c| c.is_alphanumeric() || c == '_' || c == '$'))
        }
        _ => Part::Sign(first),
    })
}

/// Where a comment, with those inside of it, ends.
fn comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Where a text ends that begins before `at`. A doubled quote is read as two texts, which comes to the same.
fn quoted(rest: &str, at: usize, escapes: bool) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(at) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if escapes => escaped = true,
            b'\'' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// The length of `$$` or `$tag$` at the beginning.
fn dollar(rest: &str) -> Option<usize> {
    let end = rest[1..].find('$')? + 1;
    let tag = &rest[1..end];
    let named = tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    (named && !tag.starts_with(|c: char| c.is_ascii_digit())).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_postgresql_ends_them() {
        for (text, statements, rest) in [
            ("select 1; select 2", vec!["select 1;"], "select 2"),
            ("select ';''; '; x;", vec!["select ';''; ';", "x;"], ""),
            (r"select e'\';'; y", vec![r"select e'\';';"], "y"),
            (r"select '\'; y", vec![r"select '\';"], "y"),
            ("select $$;$$, $a$;$$;$a$;", vec!["select $$;$$, $a$;$$;$a$;"], ""),
            ("select $1; z", vec!["select $1;"], "z"),
            ("select \"a;b\"\";\"; z", vec!["select \"a;b\"\";\";"], "z"),
            ("-- a;\nselect 1 -- ;\n;", vec!["-- a;\nselect 1 -- ;\n;"], ""),
            ("/* ; /* ; */ ; */ select 1;", vec!["/* ; /* ; */ ; */ select 1;"], ""),
            ("(select 1; select 2);", vec!["(select 1; select 2);"], ""),
            (";; ;", vec![], ""),
            ("select 1; -- done", vec!["select 1;"], ""),
            ("select 1; /* not", vec!["select 1;"], "/* not"),
            ("select 'open; ", vec![], "select 'open; "),
            ("größe; 'ß;'; é", vec!["größe;", "'ß;';"], "é"),
        ] {
            assert_eq!(split(text), (statements, rest), "{text}");
        }
    }

    #[test]
    fn words_end_with_the_first_sign() {
        assert_eq!(words("/* a */ Rollback\n TO x;"), ["rollback", "to", "x"]);
        assert_eq!(words("select count(*)"), ["select", "count"]);
        assert!(words("(select 1)").is_empty());
    }
}
