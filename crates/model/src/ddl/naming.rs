//! What things are called in PostgreSQL.

use crate::sql::ident;

/// Longest name of an index, constraint, trigger or function. PostgreSQL keeps 63 bytes; the rest is for the suffix
/// of a partition.
const DERIVED_BYTES_MAX: usize = 52;

/// Joins `parts` with `~`; a name that would be too long is cut and ends in a hash of the whole.
pub(crate) fn derived(parts: &[&str]) -> String {
    let whole = parts.join("~");
    if whole.len() <= DERIVED_BYTES_MAX {
        return whole;
    }
    let hash = format!("~{:012x}", fnv1a(&whole) & 0xffff_ffff_ffff);
    format!("{}{hash}", &whole[..whole.floor_char_boundary(DERIVED_BYTES_MAX - hash.len())])
}

/// The generated column that makes `field` searchable by words.
pub(crate) fn search_column(field: &str) -> String {
    format!("{field}~search")
}

/// The hidden column in which new vectors of `field` gather while the old ones serve.
pub(crate) fn next_column(field: &str) -> String {
    format!("{field}~next")
}

/// The table of an entity: the root of its partitions.
pub(crate) fn root(entity: &str) -> String {
    format!("app.{}", ident(entity))
}

/// The partition of an entity's table with this suffix.
pub(crate) fn part(entity: &str, suffix: &str) -> String {
    shelf(&format!("{entity}~{suffix}"))
}

/// Something in the schema that nobody but the owner may use.
pub(crate) fn shelf(name: &str) -> String {
    format!("freehold_shelf.{}", ident(name))
}

/// The suffix of the default partition, which is the parent of the shelves.
pub(crate) const DEFAULT_PART: &str = "d";

/// The suffixes of the partitions that hold rows.
pub(crate) fn leaves() -> impl Iterator<Item = String> {
    (0..super::SHELVES).map(|shelf| shelf.to_string())
}

/// The suffixes of all partitions, the default one first.
pub(crate) fn parts() -> impl Iterator<Item = String> {
    std::iter::once(DEFAULT_PART.to_owned()).chain(leaves())
}

/// `names` quoted, with commas between.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(ident).collect::<Vec<_>>().join(", ")
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character_and_stays_distinct() {
        let long = "ä".repeat(24);
        let one = derived(&[&long, "a", "idx"]);
        let two = derived(&[&long, "b", "idx"]);
        assert!(one.len() <= DERIVED_BYTES_MAX && two.len() <= DERIVED_BYTES_MAX);
        assert_ne!(one, two);
        assert_eq!(derived(&["person", "handle", "key"]), "person~handle~key");
    }
}
