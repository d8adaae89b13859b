//! Vectors: what they are made of, by which embedder, and whether they can be found fast.

use super::{
    codes,
    embedder::Embedders,
    field::{Draft, spoken},
    report::{Report, a, alternatives},
    tree::Data,
    walk::{Found, items, text},
};
use crate::entity::{Kind, Scalar, Vector, VectorForm};

/// Dimensions of vectors that the built-in embedder makes.
const LEXICAL_DIMENSIONS: std::ops::RangeInclusive<u32> = 16..=4096;

/// Fields that a vector is made from.
const SOURCES_MAX: usize = 32;

/// Checks the vectors of one entity, whose fields are all `fields`.
pub(super) fn check(fields: &[Draft], embedders: &mut Embedders, report: &mut Report) {
    for draft in fields {
        let (Some(found), Some(Kind::Vector(vector))) =
            (&draft.found, draft.field.as_ref().map(|field| &field.kind))
        else {
            continue;
        };
        size(vector, found, report);
        sources(draft, found, fields, report);
        made_by(vector, found, embedders, report);
    }
}

fn size(vector: &Vector, found: &Found, report: &mut Report) {
    let (most, help) = match vector.form {
        VectorForm::Vector => (
            2000,
            "use `halfvec` for up to 4000, or a model with shorter vectors; every search will read all of a tenant's rows",
        ),
        VectorForm::Halfvec => (
            4000,
            "use a model with shorter vectors; every search will read all of a tenant's rows",
        ),
        VectorForm::Sparsevec | VectorForm::Bit => return,
    };
    if let (true, Some(place)) =
        (vector.dimensions > most, found.variant.and_then(|form| found.value(form)))
    {
        report
            .warn(
                codes::VECTOR_NOT_INDEXABLE,
                &place.at,
                format!("an approximate index of this type has at most {most} dimensions"),
            )
            .help(help);
    }
}

/// `of` names text fields of the same entity, each once.
fn sources(draft: &Draft, found: &Found, fields: &[Draft], report: &mut Report) {
    let Some(of) = found.value("of") else {
        for key in ["embed", "when"] {
            if let Some(pair) = found.pair(key) {
                report
                    .error(
                        codes::VECTOR_NEEDS_OF,
                        &pair.key.at,
                        format!("`{key}` says how text becomes a vector, but there is no `of`"),
                    )
                    .help("add `of = [\"…\"]` with the fields whose text it is, or remove it");
            }
        }
        return;
    };
    if items(of).is_empty() {
        report.error(codes::VECTOR_OF_INVALID, &of.at, "`of` names no field").help(
            "name the text fields to embed, or remove `of` if you bring the vectors yourself",
        );
    }
    let names = report.within(items(of), |item| &item.at, SOURCES_MAX, "a vector", "sources");
    let mut seen: Vec<&str> = Vec::new();
    for (name, at) in names.iter().filter_map(text) {
        if seen.contains(&name) {
            report
                .error(codes::VECTOR_OF_INVALID, at, format!("`of` names `{name}` twice"))
                .help("remove one of the two");
            continue;
        }
        seen.push(name);
        let Some(source) = fields.iter().find(|field| field.word.text == name) else {
            let texts = fields
                .iter()
                .filter(|field| field.field.as_ref().is_some_and(|field| is_text(&field.kind)));
            let texts: Vec<&str> = texts.map(|field| field.word.text.as_str()).collect();
            report
                .error(
                    codes::KEY_FIELDS_UNKNOWN,
                    at,
                    format!("there is no field `{name}` to embed"),
                )
                .help(alternatives(name, texts.iter().copied()));
            continue;
        };
        if let Some(kind) =
            source.field.as_ref().map(|field| &field.kind).filter(|kind| !is_text(kind))
        {
            let what = if std::ptr::eq(source.word, draft.word) {
                "itself".into()
            } else {
                format!("`{name}`, {}", a(&spoken(kind)))
            };
            report
                .error(codes::VECTOR_OF_INVALID, at, format!("a vector cannot be made from {what}"))
                .also(&source.word.at, "this field")
                .help("only fields of type `text` and enums are embedded");
        }
    }
    if let Some(pair) =
        found.pair("optional").filter(|pair| matches!(pair.value.data, Data::Boolean(false)))
    {
        report
            .error(codes::VECTOR_OPTIONAL, &pair.value.at, "a vector made from text is empty until it is made, so it cannot be required")
            .help("remove `optional`; with `when = \"now\"` every row with text has its vector when the write is done");
    }
}

fn made_by(vector: &Vector, found: &Found, embedders: &mut Embedders, report: &mut Report) {
    let Some(of) = found.pair("of") else { return };
    let at = found.value("embed").map_or(&of.key.at, |value| &value.at);
    let lexical = embedders.is_lexical(&vector.embedder, at, report);
    let size = found.variant.and_then(|form| found.value(form));
    if let (Some(true), Some(size)) = (lexical, size)
        && !LEXICAL_DIMENSIONS.contains(&vector.dimensions)
    {
        let (least, most) = LEXICAL_DIMENSIONS.into_inner();
        report
            .error(
                codes::VECTOR_LEXICAL,
                &size.at,
                format!(
                    "the embedder `{}` makes vectors of {least} to {most} dimensions",
                    vector.embedder
                ),
            )
            .help("choose a size in between, such as 384, or name another embedder with `embed`");
    }
}

fn is_text(kind: &Kind) -> bool {
    matches!(kind, Kind::Scalar(Scalar::Text) | Kind::Enum(_))
}
