//! Which known name was probably meant.

/// The candidate that differs from `name` in fewest characters, if it is close enough to be a slip.
pub(crate) fn suggest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer texts are no slip of a name, and the comparison is quadratic.
    const CHARS_MAX: usize = 64;
    let name: Vec<char> = name.chars().take(CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    if name.len() > CHARS_MAX {
        return None;
    }
    let near =
        candidates.into_iter().map(|candidate| (distance(&name, candidate), candidate)).min()?;
    (near.0 <= (name.len() / 3).max(1)).then_some(near.1)
}

/// Insertions, removals, replacements and swaps of neighbours.
fn distance(name: &[char], candidate: &str) -> usize {
    let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in name.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, d) in other.iter().enumerate() {
            let mut least = (above[j + 1] + 1).min(row[j] + 1).min(above[j] + usize::from(c != d));
            if i > 0 && j > 0 && *c == other[j - 1] && name[i - 1] == *d {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn slips() {
        let known = ["handle", "author", "at"];
        assert_eq!(suggest("hnadle", known), Some("handle"));
        assert_eq!(suggest("Auther", known), Some("author"));
        assert_eq!(suggest("embedding", known), None);
        assert_eq!(suggest("", []), None);
    }
}
