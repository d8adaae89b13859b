//! House rules for Rust files.

use crate::tidy::Breach;

const LONGEST: usize = 400;
/// Files that are longer, and how long. Only ever shorten this list.
const LONGER: &[(&str, usize)] = &[];

const VAGUE: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "misc", "types", "shared", "stuff"];

/// What must not be written, with what to do instead. In two parts, lest this file break its own rules.
const FORBIDDEN: [(&str, &str, &str); 5] = [
    ("#[ig", "nore", "a test that does not run proves nothing: mend it or remove it"),
    ("to", "do!(", "do it, or refuse by name what is not built"),
    ("unimpl", "emented!(", "do it, or refuse by name what is not built"),
    ("FIX", "ME", "fix it"),
    ("XX", "X:", "fix it"),
];

/// The breaches in a file; `name` is its path from the root of the repository.
pub(crate) fn check(name: &str, text: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    if !text.starts_with("//! ") {
        found.push(Breach::at(1, "begin the file with a `//!` line that says what it is about"));
    }
    found.extend(length(name, text.lines().count()));
    found.extend(vague(name));
    let tests = in_tests(name, text);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        for (begin, end, instead) in FORBIDDEN {
            if line.contains(&[begin, end].concat()) {
                found.push(Breach::at(number, format!("`{begin}{end}`: {instead}")));
            }
        }
        // `// Polls: …` above it: no event can be had, and there is a deadline. `// Plays: …`: the other side is slow.
        let above =
            index.checked_sub(1).and_then(|above| text.lines().nth(above)).unwrap_or_default();
        let excused = above.contains("// Polls: ") || above.contains("// Plays: ");
        if number >= tests
            && !excused
            && line.replace("pg_sleep", "").contains(concat!("sle", "ep("))
        {
            found.push(Breach::at(number, "a test that waits for time to pass is slow or wrong: wait for the event, with a deadline"));
        }
    }
    found
}

fn length(name: &str, lines: usize) -> Option<Breach> {
    let listed = LONGER.iter().find(|(path, _)| *path == name).map(|(_, lines)| *lines);
    match listed {
        None if lines > LONGEST => Some(Breach::at(
            LONGEST,
            format!("{lines} lines; split the file, {LONGEST} are enough for one subject"),
        )),
        Some(known) if lines > known => {
            Some(Breach::at(known, format!("{lines} lines, {known} are listed; split the file")))
        }
        Some(known) if lines < known => Some(Breach::at(
            1,
            format!("{lines} lines; lower (or remove) its {known} in xtask/src/rust.rs"),
        )),
        _ => None,
    }
}

fn vague(name: &str) -> Option<Breach> {
    let path = name.trim_end_matches(".rs");
    let part = path.split('/').find(|part| VAGUE.contains(part))?;
    Some(Breach::at(1, format!("`{part}` says nothing: name the file after what is in it")))
}

/// The line at which tests begin.
fn in_tests(name: &str, text: &str) -> usize {
    if name.contains("/tests/") || name.starts_with("crates/testkit/") {
        return 1;
    }
    text.lines()
        .position(|line| line.trim() == "#[cfg(test)]")
        .map_or(usize::MAX, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, text: &str) -> Vec<usize> {
        check(name, text).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let fine = "//! About.\nfn f() {}\n";
        assert_eq!(lines("crates/a/src/f.rs", fine), []);
        assert_eq!(lines("crates/a/src/f.rs", "fn f() {}\n"), [1]);
        assert_eq!(lines("crates/a/src/utils.rs", fine), [1]);
        assert_eq!(lines("crates/a/tests/common/mod.rs", fine), [1]);
        for (begin, end, _) in FORBIDDEN {
            assert_eq!(
                lines("crates/a/src/f.rs", &format!("{fine}{begin}{end}\n")),
                [3],
                "{begin}{end}"
            );
        }
        let waits = ["    std::thread::sle", "ep(second);\n"].concat();
        assert_eq!(lines("crates/a/src/f.rs", &format!("{fine}{waits}")), []);
        assert_eq!(lines("crates/a/tests/it/f.rs", &format!("{fine}{waits}")), [3]);
        assert_eq!(lines("crates/a/src/f.rs", &format!("{fine}#[cfg(test)]\n{waits}")), [4]);
        let long = format!("{fine}{}", "//\n".repeat(LONGEST));
        assert_eq!(lines("crates/a/src/f.rs", &long), [LONGEST]);
    }

    #[test]
    fn long_files_that_are_listed_exist() {
        for (name, _) in LONGER {
            assert!(crate::root().join(name).is_file(), "{name} is gone: remove it from the list");
        }
    }
}
