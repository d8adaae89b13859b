//! Required references that go round in a circle: the first row of such entities could never be written.

use std::collections::BTreeMap;

use super::{
    codes,
    entities::Draft,
    report::{Report, Span},
};
use crate::entity::Kind;

/// A required reference: to which entity, and where that is said.
type Edge<'d> = (&'d str, &'d Span);

pub(super) fn check(entities: &[Draft], report: &mut Report) {
    let mut required: BTreeMap<&str, Vec<Edge>> = BTreeMap::new();
    for entity in entities {
        let edges = required.entry(entity.word.text.as_str()).or_default();
        for (draft, field) in
            entity.fields.iter().filter_map(|draft| Some((draft, draft.field.as_ref()?)))
        {
            let Kind::Ref(to) = &field.kind else { continue };
            let Some(place) = draft.found.as_ref().and_then(|found| found.value("ref")) else {
                continue;
            };
            if field.optional {
                continue;
            }
            if *to.entity == entity.word.text {
                report
                    .warn(codes::ENTITY_SELF, &place.at, format!("every `{}` must refer to a `{}`, so the first one can only refer to itself", to.entity, to.entity))
                    .help("add `optional = true` if there are ones at the top");
            } else {
                edges.push((to.entity.as_str(), &place.at));
            }
        }
    }
    // What needs nothing, or only what can be written already, can be written; the rest waits for a circle.
    loop {
        let free: Vec<&str> =
            required.iter().filter(|(_, edges)| edges.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        required.retain(|name, _| !free.contains(name));
        for edges in required.values_mut() {
            edges.retain(|(to, _)| !free.contains(to));
        }
    }
    while let Some((start, _)) = required.first_key_value() {
        let circle = follow(start, &required);
        for (from, _) in &circle {
            required.remove(from);
        }
        describe(&circle, report);
        prune(&mut required);
    }
}

/// Goes along first references from `start` until it comes back somewhere; the part that is a circle.
fn follow<'d>(
    start: &'d str,
    required: &BTreeMap<&'d str, Vec<Edge<'d>>>,
) -> Vec<(&'d str, Edge<'d>)> {
    let mut path: Vec<(&str, Edge)> = Vec::new();
    let mut at = start;
    loop {
        if let Some(i) = path.iter().position(|(from, _)| *from == at) {
            return path.split_off(i);
        }
        // Everything left refers to something left, or it would have been taken out.
        let Some(edge) = required
            .get(at)
            .and_then(|edges| edges.iter().find(|(to, _)| required.contains_key(to)))
        else {
            return path;
        };
        path.push((at, *edge));
        at = edge.0;
    }
}

/// Takes out what only waited for a circle that is reported already.
fn prune(required: &mut BTreeMap<&str, Vec<Edge>>) {
    loop {
        let left: Vec<&str> = required.keys().copied().collect();
        let before = required.len();
        required.retain(|_, edges| {
            edges.retain(|(to, _)| left.contains(to));
            !edges.is_empty()
        });
        if required.len() == before {
            return;
        }
    }
}

fn describe(circle: &[(&str, Edge)], report: &mut Report) {
    let [(first, (_, at)), rest @ ..] = circle else { return };
    let way: Vec<String> = circle.iter().map(|(from, _)| format!("`{from}`")).collect();
    let mut entry = report
        .error(
            codes::ENTITY_CYCLE,
            at,
            format!(
                "{} → `{first}` must each refer to the next, so the first row can never be written",
                way.join(" → ")
            ),
        )
        .help("make one of these references `optional = true`");
    for (from, (to, place)) in rest {
        entry = entry.also(place, format!("`{from}` needs a `{to}`"));
    }
}
