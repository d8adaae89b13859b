//! `rank`: one order made of several, such as by words and by meaning.

use super::{
    Limits,
    ast::{self, At, Fusion, Measure, Tree},
    conds,
    level::{By, Cond, Level, Part, Rank, Ranker},
    lexer::{Cursor, shorten},
};
use crate::{Code, Refusal, entity::Entity, suggest::did_you_mean};

/// The constant of reciprocal rank fusion, unless it is said.
const C_DEFAULT: u64 = 60;

/// Greatest constant that may be said.
const C_MAX: u64 = 1_000_000;

/// Candidates of a ranker that says no `k:`, at least: a row that is 30th in both orders may be first in their sum.
const CANDIDATES: u64 = 100;

/// Reads `rrf(t,v,c:60)` or `wsum(t,v)`.
pub(crate) fn read(value: &str) -> Result<ast::Rank, Refusal> {
    let mut cursor = Cursor::new("rank", value);
    let how = cursor.word()?.text;
    let fusion = match how.as_str() {
        "rrf" => Fusion::Reciprocal,
        "wsum" => Fusion::Weighted,
        _ => {
            let refusal = Refusal::new(Code::Syntax, format!("rank cannot be {}", shorten(&how)))
                .hint("write rank=rrf(t,v) or rank=wsum(t,v), with the names given by as:");
            return Err(refusal.detail("a field of this name is written \"rank\" in quotes"));
        }
    };
    cursor.expect("(")?;
    let (mut names, mut c) = (Vec::new(), None);
    loop {
        let name = cursor.word()?.text;
        if cursor.eat(":") {
            let number = cursor.take_while(|letter| letter.is_ascii_digit());
            let known = name == "c" && fusion == Fusion::Reciprocal && c.is_none();
            match number.parse() {
                Ok(number) if known && number <= C_MAX => c = Some(number),
                _ => {
                    return Err(cursor.wrong(&format!(
                        "rrf takes names and one c:, a whole number up to {C_MAX}; wsum takes names"
                    )));
                }
            }
        } else {
            names.push(name);
        }
        if !cursor.eat(",") {
            cursor.expect(")")?;
            cursor.end()?;
            return Ok(ast::Rank { fusion, names, c });
        }
    }
}

/// Takes `as:`, `w:` or `k:`; says whether the modifier is one of these.
///
/// # Errors
/// What is wrong with its value.
pub(crate) fn told(part: &mut Part, key: &str, value: &str, k_max: u64) -> Result<bool, String> {
    let value = value.trim();
    match key {
        "as" if value.is_empty() => return Err("as: takes a name".into()),
        "as" => part.label = Some(value.to_owned()),
        "w" => match value.parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight >= 0.0 => {
                part.weight = Some(weight.to_string());
            }
            _ => return Err("w: takes a number that is not negative".into()),
        },
        "k" => match value.parse::<u64>() {
            Ok(k) if (1..=k_max).contains(&k) => part.k = Some(k),
            _ => return Err(format!("k: takes a whole number from 1 to {k_max}")),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether a search of words has a name that `rank` may use.
pub(crate) fn is_ranker(tree: &Tree) -> bool {
    matches!(tree, Tree::Test { not: false, test: ast::Test::Search { mods, .. }, .. }
        if mods.iter().any(|text| text.starts_with("as:")))
}

/// Whether a condition is about the score alone.
pub(crate) fn is_of_score(tree: &Tree) -> bool {
    matches!(tree, Tree::Test { operand, .. } if operand.measure == Some(Measure::Score))
}

/// Finds the rankers of `rank`, of which there is one for every name that a clause was given.
pub(crate) fn prepare(
    entity: &Entity,
    level: &mut Level,
    rank: Option<ast::Rank>,
    words: Vec<At<Tree>>,
    limits: &Limits,
) -> Result<(), Refusal> {
    let mut rankers = Vec::new();
    for at in words {
        let (operand, test, part) = conds::words(entity, level, at.it, limits.rows_max)?;
        rankers.push(Ranker { by: By::Words { operand, test }, part });
    }
    for (index, nearest) in level.nearest.iter().enumerate() {
        rankers.push(Ranker { by: By::Nearest(index), part: nearest.part.clone() });
    }
    let Some(rank) = rank else {
        let named = |ranker: &&Ranker| ranker.part.label.is_some() || ranker.part.weight.is_some();
        return match rankers.iter().find(named) {
            None => Ok(()),
            Some(_) => Err(Refusal::new(Code::Syntax, "as: and w: have no meaning without rank")
                .hint("add rank=rrf(…) with the names")),
        };
    };
    let mut chosen: Vec<Ranker> = Vec::new();
    for name in &rank.names {
        let found: Vec<usize> = (0..rankers.len())
            .filter(|at| rankers[*at].part.label.as_deref() == Some(name))
            .collect();
        match found[..] {
            [at] => chosen.push(rankers.remove(at)),
            [] if chosen.iter().any(|ranker| ranker.part.label.as_ref() == Some(name)) => {
                return Err(twice(name));
            }
            [] => return Err(unknown(name, &rankers)),
            _ => return Err(twice(name)),
        }
    }
    if let Some(left) = rankers.first() {
        let what = left.part.label.as_deref().map_or("a nearest without as:".to_owned(), shorten);
        return Err(Refusal::new(Code::Syntax, format!("rank does not name {what}"))
            .hint("with rank every nearest is named, and every name is used"));
    }
    let c = rank.c.unwrap_or(C_DEFAULT);
    level.rank = Some(Rank { fusion: rank.fusion, c, rankers: chosen, conds: Vec::new() });
    Ok(())
}

fn twice(name: &str) -> Refusal {
    Refusal::new(Code::Syntax, format!("rank has {} twice", shorten(name)))
        .hint("every name belongs to one clause and is ranked by once")
}

fn unknown(name: &str, rankers: &[Ranker]) -> Refusal {
    let refusal =
        Refusal::new(Code::Syntax, format!("rank names {}, which is no clause", shorten(name)));
    let names = rankers.iter().filter_map(|ranker| ranker.part.label.as_deref());
    refusal.hint(did_you_mean(name, names).unwrap_or_else(|| {
        format!("give a clause the name: nearest(as:{0}).… or wfts(as:{0}).…", shorten(name))
    }))
}

/// Takes conditions on the score, which hold of rows that are ranked already.
pub(crate) fn bounds(
    entity: &Entity,
    level: &mut Level,
    filters: Vec<At<Tree>>,
) -> Result<(), Refusal> {
    for at in filters {
        let cond = conds::check(entity, level, at.it)?;
        if let (Some(rank), Cond::Test { not, test, .. }) = (&mut level.rank, cond) {
            rank.conds.push((not, test));
        }
    }
    Ok(())
}

/// Decides how many candidates each ranker gives, if `wanted` rows are.
pub(crate) fn candidates(level: &mut Level, wanted: u64, limits: &Limits) -> Result<(), Refusal> {
    let Some(rank) = &mut level.rank else { return Ok(()) };
    if wanted > limits.rows_max {
        return Err(Refusal::new(
            Code::Limit,
            format!("rank looks at {} rows at most", limits.rows_max),
        )
        .detail(format!("limit and offset ask for {wanted}")));
    }
    for ranker in &mut rank.rankers {
        ranker.part.k.get_or_insert(wanted.max(CANDIDATES).min(limits.rows_max));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds() {
        let rank = read("rrf(t, v,c:10)").unwrap();
        assert_eq!((rank.fusion, rank.c), (Fusion::Reciprocal, Some(10)));
        assert_eq!(rank.names, ["t", "v"]);
        assert_eq!(read("wsum(t)").unwrap().fusion, Fusion::Weighted);
        for bad in ["", "max(a)", "rrf", "rrf()", "rrf(a,c:x)", "wsum(a,c:1)", "rrf(a)b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
