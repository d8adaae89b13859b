//! From a check to a statement that PostgreSQL runs, and from the severe ones to a function.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use super::{Check, OnManaged, Severity, checks};
use crate::{key::hex, platform::VERSION};

const PRELUDE: &str = include_str!("prelude.sql");

const PLATFORM: [&str; 7] = [
    include_str!("../platform/gate.sql"),
    include_str!("../platform/seal.sql"),
    include_str!("../platform/ticket.sql"),
    include_str!("../platform/control.sql"),
    include_str!("../platform/exposed.sql"),
    include_str!("../platform/watch.sql"),
    include_str!("../platform/lockdown.sql"),
];

/// The bodies that PostgreSQL keeps as it understood them, as it writes them down again: a name and a SHA-256 a line.
const UNDERSTOOD: &str = include_str!("bodies.txt");

/// What a check needs to know besides the catalogue.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The entities of the applied model.
    pub entities: Vec<String>,
    /// Those of them, and read models, that anybody may read without a key.
    pub open: Vec<String>,
    /// Vectors of personal data that are kept in the open, `entity.field`, and why.
    pub vectors: Vec<(String, String)>,
    /// The tables in which sealed vectors are searched, which are among the entities, too.
    pub copies: Vec<String>,
}

impl Check {
    /// A query for what is wrong: rows of two texts, the object and the detail.
    #[must_use]
    pub fn statement(&self, facts: &Facts) -> String {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            format!("array[{}]::text[]", names.join(", "))
        };
        let (vectors, reasons): (Vec<String>, Vec<String>) = facts.vectors.iter().cloned().unzip();
        let sql = self.sql.replace("{entities}", &list(&facts.entities));
        let sql = sql.replace("{open}", &list(&facts.open));
        let sql = sql.replace("{copies}", &list(&facts.copies));
        let sql = sql.replace("{vectors}", &list(&vectors)).replace("{reasons}", &list(&reasons));
        if !sql.contains("{bodies}") {
            return whole(&sql);
        }
        // The function of the severe checks cannot know itself; this one can.
        let boot = boot_sql();
        let body = boot.split("$wall$").nth(1).unwrap_or_default();
        let bodies = known_bodies(Some(("wall_faults".to_owned(), body)));
        whole(&sql.replace("{bodies}", &bodies))
    }
}

/// The statement that makes `freehold.wall_faults()`: the severe checks as one function of `freehold_gate`, which must
/// have what PUBLIC lost of the catalogue. Run it as a superuser or as `freehold_gate`.
///
/// Answers with rows only where something is wrong. What a managed server cannot hold is asked only where the catalogue is
/// locked down, which the checks look up themselves.
#[must_use]
pub fn boot_sql() -> String {
    let mut body = String::from("#variable_conflict use_column\nbegin\n");
    for check in checks() {
        if check.severity == Severity::Severe && check.managed != OnManaged::No {
            let sql = whole(&check.sql.replace("{bodies}", &known_bodies(None)));
            let _ =
                writeln!(body, "return query select '{}'::text, q.* from (\n{sql}\n) q;", check.id);
        }
    }
    body.push_str("end");
    format!(
        "create or replace function freehold.wall_faults() returns table (id text, object text, detail text)\n\
         language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $wall${body}$wall$;\n\
         alter function freehold.wall_faults() owner to freehold_gate;\n\
         revoke all on function freehold.wall_faults() from public;\n\
         grant execute on function freehold.wall_faults() to freehold_control;\n"
    )
}

/// The query with the parts of the prelude that it speaks of, as two texts a row.
fn whole(sql: &str) -> String {
    let parts = parts();
    let mut needed = vec![false; parts.len()];
    let mut texts = vec![sql];
    while let Some(text) = texts.pop() {
        for (part, needed) in parts.iter().zip(&mut needed) {
            if !*needed && speaks_of(text, part.0) {
                *needed = true;
                texts.push(part.1);
            }
        }
    }
    let with: Vec<&str> =
        parts.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(part, _)| part.1).collect();
    let with = if with.is_empty() { String::new() } else { format!("with {}\n", with.join(",\n")) };
    let sql = sql.replace("{version}", &VERSION.to_string());
    format!(
        "{with}select q.object::text, q.detail::text from (\n{sql}\n) q (object, detail) order by 1, 2"
    )
}

/// The named queries of the prelude, each with its name. One begins where a line does with a letter.
fn parts() -> Vec<(&'static str, &'static str)> {
    let is_start = |at: usize| {
        let before = at == 0 || PRELUDE.as_bytes()[at - 1] == b'\n';
        before && PRELUDE.as_bytes()[at].is_ascii_lowercase()
    };
    let starts: Vec<usize> = (0..PRELUDE.len()).filter(|at| is_start(*at)).collect();
    let ends = starts.iter().skip(1).copied().chain([PRELUDE.len()]);
    let parts = starts.iter().zip(ends).map(|(start, end)| {
        let text = &PRELUDE[*start..end];
        let text = text.split("\n-- ").next().unwrap_or(text).trim_end().trim_end_matches(',');
        (text.split(' ').next().unwrap_or_default(), text)
    });
    parts.collect()
}

fn speaks_of(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(|c| is_word(c) || c == '.')
            && !text[at + name.len()..].starts_with(|c| is_word(c) || c == '.')
    })
}

/// The SHA-256 of each body between `$$` of the platform's functions, as a list of values. A function that is another in
/// each mode is there twice.
fn known_bodies(also: Option<(String, &str)>) -> String {
    // The function of the severe checks has no way to judge itself.
    let judges_itself = also.is_none();
    let mut known: Vec<(String, &str)> = also.into_iter().collect();
    for file in PLATFORM {
        for made in file.split("create or replace ").skip(1) {
            let name = made.split_once("freehold.").and_then(|(_, rest)| rest.split('(').next());
            let mut quoted = made.split("$$");
            let head = quoted.next().unwrap_or_default();
            // Another statement may come between a function without a quoted body and the next $$.
            if let (Some(name), Some(body)) = (name, quoted.next())
                && head.ends_with(" as ")
            {
                known.push((name.to_owned(), body));
            }
        }
    }
    let values = known.iter().map(|(name, body)| {
        let hash = digest::digest(&digest::SHA256, body.as_bytes());
        format!("({}, {})", quoted(name), quoted(&hex(hash.as_ref())))
    });
    let understood = UNDERSTOOD
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| !(judges_itself && *name == "wall_faults"));
    let values = values
        .chain(understood.map(|(name, hash)| format!("({}, {})", quoted(name), quoted(hash))));
    format!("(values {})", values.collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_is_made_of_named_queries() {
        let names: Vec<&str> = parts().iter().map(|(name, _)| *name).collect();
        assert_eq!(names[0], "home");
        assert!(names.contains(&"setting"), "{names:?}");
        for (name, text) in parts() {
            assert!(text.ends_with(')') && text.starts_with(name), "{text}");
        }
    }

    #[test]
    fn a_statement_has_what_it_speaks_of_and_no_more() {
        let sql = whole("select login.name from login");
        assert!(sql.starts_with("with login (oid, name) as ("), "{sql}");
        assert!(!sql.contains("piece"));
    }

    #[test]
    fn the_bodies_of_the_platform_are_known() {
        let known = known_bodies(None);
        for name in
            ["open", "refuse", "tenant", "watch", "repair_login", "guard", "no_ddl", "note_ddl"]
        {
            assert!(known.contains(&format!("('{name}', ")), "{name}");
        }
        assert_eq!(known.matches("('open', ").count(), 3, "for a text, and typed in each mode");
    }
}
