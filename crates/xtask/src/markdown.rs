//! House rules for documents: links lead somewhere.

use std::fs;
use std::path::Path;

use crate::tidy::Breach;

/// The links in a document that lead nowhere; those to other sites are not followed.
pub(crate) fn check(path: &Path, text: &str) -> Vec<Breach> {
    let links = prose(text)
        .flat_map(|(number, line)| links(line).into_iter().map(move |link| (number, link)));
    let local = links.filter(|(_, link)| !link.contains("://") && !link.starts_with("mailto:"));
    local
        .filter_map(|(number, link)| {
            broken(path, text, &link).map(|message| Breach::at(number, message))
        })
        .collect()
}

fn broken(path: &Path, text: &str, link: &str) -> Option<String> {
    let (file, anchor) =
        link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let folder = path.parent().unwrap_or(Path::new("."));
    let target = folder.join(file);
    if !file.is_empty() && !target.exists() {
        return Some(format!("the link {link} leads nowhere"));
    }
    let anchor = anchor?;
    let there = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&target).ok()? };
    let known =
        prose(&there).filter_map(|(_, line)| heading(line)).any(|heading| heading == anchor);
    (!known).then(|| format!("there is no heading for the link {link}"))
}

/// The lines that are not in a block of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!fence && !code).then_some((index + 1, line))
    })
}

/// The targets of `[text](target)` and `![text](target)`; what stands between backticks is code.
fn links(line: &str) -> Vec<String> {
    let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
    let after = plain.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split(' ').next().unwrap_or(link).to_owned())
        .collect()
}

/// The anchor that GitHub gives a heading.
fn heading(line: &str) -> Option<String> {
    let title =
        line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?.trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(&crate::root().join("README.md"), text)
            .into_iter()
            .map(|breach| breach.line)
            .collect()
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(
            lines(
                "[map](ARCHITECTURE.md), [part](ARCHITECTURE.md#in-postgresql), [site](https://a.b/c)"
            ),
            []
        );
        assert_eq!(lines("a\n[gone](no/such.md) and [gone](ARCHITECTURE.md#no-such)"), [2, 2]);
        assert_eq!(
            lines("## What it's `for`\n[here](#what-its-for)\n[not here](#what-its-not-for)"),
            [3]
        );
        assert_eq!(lines("```\n[code](no.md)\n```\n`[code](no.md)`"), []);
    }
}
