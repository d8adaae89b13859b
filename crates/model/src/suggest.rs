//! Which known word was probably meant by one that is not known.

/// Longer texts are no slip of a name, and the comparison is quadratic.
const CHARS_MAX: usize = 64;

/// The word among `known` that differs from `word` in fewest characters, if it is close enough to be a slip; of several
/// the first.
pub(crate) fn suggest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed: Vec<char> = word.chars().take(CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    if typed.len() > CHARS_MAX {
        return None;
    }
    let allowed = (typed.len() / 3).clamp(1, 3);
    let slips = known.into_iter().filter_map(|candidate| {
        let other: Vec<char> = candidate.to_lowercase().chars().collect();
        if typed.len().abs_diff(other.len()) > allowed {
            return None;
        }
        let far = distance(&typed, &other);
        // Where a word is changed as a whole it is another one, but for one letter in another's place.
        (far <= allowed && far < other.len().max(2)).then_some((far, candidate))
    });
    slips.min_by_key(|(far, _)| *far).map(|(_, candidate)| candidate)
}

/// The hint of a refusal about a word of a query, if one is known that was probably meant.
pub(crate) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    suggest(word, known).map(|near| format!("did you mean {near}?"))
}

/// Insertions, removals, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, d) in b.iter().enumerate() {
            let mut least = (above[j + 1] + 1).min(row[j] + 1).min(above[j] + usize::from(c != d));
            if i > 0 && j > 0 && *c == b[j - 1] && a[i - 1] == *d {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_slip_finds_its_word() {
        let known = ["optional", "on_delete", "unique", "min", "max", "author", "at", "v"];
        for (slip, word) in [
            ("optoinal", "optional"),
            ("Unique", "unique"),
            ("mim", "min"),
            ("Auther", "author"),
            ("t", "at"),
            ("x", "v"),
        ] {
            assert_eq!(suggest(slip, known), Some(word), "{slip}");
        }
    }

    #[test]
    fn what_is_no_slip_finds_none() {
        let known = ["optional", "unique", "min"];
        for word in ["colour", "embedding", "x", ""] {
            assert_eq!(suggest(word, known), None, "{word}");
        }
        assert_eq!(suggest("x", []), None);
        let long = "a".repeat(65);
        assert_eq!(suggest(&long, [long.as_str()]), None);
    }
}
