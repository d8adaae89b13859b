//! Entities that are kept in slices of time: what PostgreSQL cannot hold across slices, or could not let go of by dropping
//! one, is refused with its reason.

use super::{
    codes,
    entities::Draft,
    field,
    report::{Report, Span as Place},
    walk::Found,
};
use crate::entity::{Entity, Kind, Remains, Scalar, Slice};

/// The slices that are asked for.
pub(super) fn wanted(found: &Found<'_>) -> Option<Slice> {
    found.text("slices").and_then(|(word, _)| Slice::read(word))
}

/// Looks at all entities that are kept so, and at those that refer to them.
pub(super) fn check(drafts: &[Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let Some(found) = &draft.found else { continue };
        let Some((slice, at)) = wanted(found).zip(found.pair("slices").map(|pair| &pair.value.at))
        else {
            without(draft, found, report);
            continue;
        };
        expiry(draft, slice, at, report);
        keys(draft, found, report);
        for field in &draft.fields {
            kind(field, report);
        }
        if let Some(pair) = found.pair("subject").filter(|_| found.flag("subject")) {
            wrong(report, &pair.key.at, "people are not dropped by age".into())
                .also(at, "it is kept in slices")
                .help("keep people in an entity without slices, and refer to it with `on_erase`");
        }
        referred(drafts, draft.word.text.as_str(), report);
    }
}

/// A rule that may wait for a slice where there is none.
fn without(draft: &Draft<'_>, found: &Found<'_>, report: &mut Report) {
    if let Some(rule) = draft.expires.iter().find(|rule| rule.within.is_some()) {
        let at = found.pair("expire").map_or(&draft.word.at, |pair| &pair.key.at);
        wrong(
            report,
            at,
            format!("a rule waits for a slice to end, but `{}` has none", draft.word.text),
        )
        .help(format!(
            "remove `within`, and rows are removed as soon as {} after `{}` are over; or add `slices`",
            rule.span, rule.since
        ));
    }
}

fn expiry(draft: &Draft<'_>, slice: Slice, at: &Place, report: &mut Report) {
    let mut deleting = draft.expires.iter().filter(|rule| rule.remains == Remains::Nothing);
    let (Some(rule), None) = (deleting.next(), deleting.next()) else {
        wrong(report, at, "slices need one rule that deletes by age, and not two".into())
            .help("add `[[entity.NAME.expire]]` with `delete = \"90 days after at\"`, where `at` is when the row was made");
        return;
    };
    for blank in draft.expires.iter().filter(|rule| rule.remains != Remains::Nothing) {
        if blank.within.is_some() {
            wrong(report, at, "fields are emptied row by row and wait for no slice".into())
                .help("say `within` at the rule that deletes");
        }
    }
    let since = draft.fields.iter().find(|field| field.word.text == *rule.since);
    let fits = since
        .and_then(|field| field.field.as_ref())
        .is_none_or(|field| field.kind == Kind::Scalar(Scalar::TimestampTz) && !field.optional);
    if let (false, Some(since)) = (fits, since) {
        wrong(
            report,
            &since.word.at,
            format!("rows are sliced by `{}`, so it has to be a `timestamptz` that is always there", rule.since),
        )
        .also(at, "slices of this entity")
        .help("make it `{ type = \"timestamptz\", default = \"now()\" }`: the time at which the row was made");
    }
    let needed = slice.needed(rule.span);
    if needed > Slice::MOST {
        let larger = match slice {
            Slice::Day => "take `week` or `month`, or keep rows for less long",
            Slice::Week => "take `month`, or keep rows for less long",
            Slice::Month => "keep rows for less long, or have no slices",
        };
        wrong(
            report,
            at,
            format!(
                "{} take {needed} slices of a {}, and an entity can have {}",
                rule.span,
                slice.as_str(),
                Slice::MOST
            ),
        )
        .help(larger);
    } else if !slice.outlasted_by(rule.within) {
        report
            .warn(
                codes::ENTITY_SLICES,
                at,
                format!(
                    "rows are removed one by one as they are over, so little is left when a {} can be dropped",
                    slice.as_str()
                ),
            )
            .help(format!(
                "if rows that are over may lie longer, shown to nobody, say so in the rule: `within = \"2 {}s\"`",
                slice.as_str()
            ));
    }
}

fn keys(draft: &Draft<'_>, found: &Found<'_>, report: &mut Report) {
    let mut refuse = |at: &Place| {
        wrong(report, at, "nothing can be unique across slices but the `id`".into())
            .help("keep what is unique in an entity without slices, or make the `id` of it");
    };
    if let Some(pair) = found.pair("unique") {
        refuse(&pair.key.at);
    }
    for field in &draft.fields {
        let found = field.found.as_ref().filter(|found| found.flag("unique"));
        if let Some(pair) = found.and_then(|found| found.pair("unique")) {
            refuse(&pair.key.at);
        }
    }
}

fn kind(field: &field::Draft<'_>, report: &mut Report) {
    let message = match field.field.as_ref().map(|field| &field.kind) {
        Some(Kind::Vector(_)) => "vectors cannot be kept in slices yet",
        Some(Kind::Blob(_)) => {
            "the bytes of a blob go with its row, and dropping a slice removes no rows one by one"
        }
        _ => return,
    };
    wrong(report, &field.word.at, message.into())
        .help("keep it in an entity without slices, and refer to it");
}

fn referred(drafts: &[Draft<'_>], entity: &str, report: &mut Report) {
    for field in drafts.iter().flat_map(|draft| &draft.fields) {
        let to = field.field.as_ref().map(|field| &field.kind);
        if matches!(to, Some(Kind::Ref(to)) if *to.entity == *entity) {
            wrong(
                report,
                &field.word.at,
                format!("`{entity}` is kept in slices, and what is referred to cannot be dropped"),
            )
            .help("make the field a `uuid`, or keep the entity without slices");
        }
    }
}

/// Refuses a read model, by its place in the file, that is made of an entity in slices.
pub(super) fn read_model(entity: &Entity, at: &Place, report: &mut Report) {
    if entity.slices.is_some() {
        wrong(
            report,
            at,
            format!("`{}` is kept in slices: its rows go without a note in the change log, which read models follow", entity.name),
        )
        .help("keep the entity without slices, or ask for its rows as they are");
    }
}

fn wrong<'r>(report: &'r mut Report, at: &Place, message: String) -> super::report::Entry<'r> {
    report.error(codes::ENTITY_SLICES, at, message)
}
