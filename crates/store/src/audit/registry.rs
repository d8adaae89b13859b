//! The checks, read once from their files.
//!
//! A check is a comment and a query: `-- FH-W01 not-forced severe managed: same`, then `-- what:`, `-- why:` and
//! `-- mend:`, a line each, then the query, which answers with rows of an object and a detail.

use std::sync::LazyLock;

use super::{Check, OnManaged, Severity};

const FILES: [&str; 10] = [
    include_str!("checks/roles.sql"),
    include_str!("checks/walls.sql"),
    include_str!("checks/grants.sql"),
    include_str!("checks/keys.sql"),
    include_str!("checks/partitions.sql"),
    include_str!("checks/functions.sql"),
    include_str!("checks/lockdown.sql"),
    include_str!("checks/modes.sql"),
    include_str!("checks/settings.sql"),
    include_str!("checks/privacy.sql"),
];

static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    FILES
        .iter()
        .flat_map(|file| file.split("-- FH-").skip(1))
        .map(|text| read(text).unwrap_or_else(|| panic!("not a check: {text}")))
        .collect()
});

/// All checks, by subject.
#[must_use]
pub fn checks() -> &'static [Check] {
    &CHECKS
}

fn read(text: &str) -> Option<Check> {
    let (head, rest) = text.split_once('\n')?;
    let (head, managed) = head.split_once(" managed: ")?;
    let mut words = head.split(' ');
    let line = |key: &str| {
        let said = rest.lines().find_map(|line| line.strip_prefix("-- ")?.strip_prefix(key));
        said.map(str::to_owned)
    };
    let id = format!("FH-{}", words.next()?);
    let name = words.next()?.to_owned();
    let severity = severity(words.next()?)?;
    let query: Vec<&str> = rest.lines().filter(|line| !line.starts_with("--")).collect();
    Some(Check {
        id,
        name,
        severity,
        what: line("what: ")?,
        why: line("why: ")?,
        mend: line("mend: ")?,
        managed: match managed.split_once(' ') {
            Some(("residual", text)) => OnManaged::Residual(text.to_owned()),
            None if managed == "same" => OnManaged::Same,
            None if managed == "no" => OnManaged::No,
            _ => return None,
        },
        sql: query.join("\n").trim().to_owned(),
    })
}

fn severity(word: &str) -> Option<Severity> {
    [Severity::Severe, Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .find(|severity| severity.as_str() == word)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_check_can_be_read_and_has_an_id_of_its_own() {
        let ids: HashSet<_> = checks().iter().map(|check| &check.id).collect();
        assert_eq!(ids.len(), checks().len());
        let names: HashSet<_> = checks().iter().map(|check| &check.name).collect();
        assert_eq!(names.len(), checks().len());
        assert_eq!(
            checks().len(),
            FILES.iter().map(|file| file.matches("\n-- what: ").count()).sum::<usize>()
        );
        for check in checks() {
            assert!(check.sql.starts_with("select "), "{}", check.id);
            assert!(!check.sql.contains(';'), "{}", check.id);
        }
    }
}
