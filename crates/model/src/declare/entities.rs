//! The entities: each with its fields, then all of them together.

use super::{
    anonymous, blob,
    classes::Classes,
    codes, cycles,
    embedder::Embedders,
    expiry, field, generalised, keys, names, privacy,
    report::{Report, Span},
    slices,
    tree::{Pair, Word},
    vector,
    walk::{Found, walk_named},
};
use crate::{
    entity::{Entity, Expiry, Key},
    names::Name,
};

/// Entities of a model.
pub(super) const ENTITIES_MAX: usize = 500;

/// Fields of an entity. Each may have a hidden column beside its own.
pub(super) const FIELDS_MAX: usize = 300;

/// PostgreSQL's limit for a table.
const COLUMNS_MAX: usize = 1600;
const _: () = assert!(2 * FIELDS_MAX + crate::names::RESERVED_FIELDS.len() <= COLUMNS_MAX);

/// An entity as far as it could be read.
#[derive(Debug)]
pub(super) struct Draft<'t> {
    pub(super) word: &'t Word,
    pub(super) fields: Vec<field::Draft<'t>>,
    pub(super) uniques: Vec<Key>,
    pub(super) indexes: Vec<Key>,
    name: Option<Name>,
    was: Option<(Name, Span)>,
    about: Option<String>,
    pub(super) found: Option<Found<'t>>,
    pub(super) expires: Vec<Expiry>,
}

pub(super) fn read(
    pairs: &[Pair],
    classes: &Classes,
    embedders: &mut Embedders,
    report: &mut Report,
) -> Vec<Entity> {
    let pairs = report.within(pairs, |pair| &pair.key.at, ENTITIES_MAX, "a model", "entities");
    let all: Vec<&str> = pairs.iter().map(|pair| pair.key.text.as_str()).collect();
    let mut drafts: Vec<Draft> =
        pairs.iter().map(|pair| draft(pair, &all, embedders, report)).collect();
    let named: Vec<names::Named> = drafts
        .iter()
        .map(|draft| names::Named { word: draft.word, was: draft.was.as_ref() })
        .collect();
    names::together(&named, "entity", report);
    cycles::check(&drafts, report);
    privacy::check(&mut drafts, classes, report);
    generalised::check(&mut drafts, report);
    anonymous::check(&drafts, report);
    expiry::check(&mut drafts, report);
    slices::check(&drafts, report);
    drafts.into_iter().filter_map(finish).collect()
}

fn draft<'t>(
    pair: &'t Pair,
    all: &[&str],
    embedders: &mut Embedders,
    report: &mut Report,
) -> Draft<'t> {
    let name = names::read(&pair.key, report);
    let found = walk_named(pair, &super::grammar::ENTITY, report);
    let mut draft = Draft {
        word: &pair.key,
        fields: Vec::new(),
        name,
        was: None,
        about: None,
        uniques: Vec::new(),
        indexes: Vec::new(),
        found: None,
        expires: Vec::new(),
    };
    if let Some(found) = found {
        draft.was = names::was(&found, report);
        draft.about = found.owned("about");
        draft.fields = fields(pair, &found, all, embedders, report);
        (draft.uniques, draft.indexes) = keys::read(&found, &draft.fields, report);
        draft.found = Some(found);
    }
    draft
}

fn fields<'t>(
    entity: &Pair,
    found: &Found<'t>,
    all: &[&str],
    embedders: &mut Embedders,
    report: &mut Report,
) -> Vec<field::Draft<'t>> {
    let pairs =
        report.within(found.named("field"), |pair| &pair.key.at, FIELDS_MAX, "an entity", "fields");
    if pairs.is_empty() {
        report
            .warn(
                codes::ENTITY_EMPTY,
                &entity.key.at,
                format!("the entity `{}` has no fields", entity.key.text),
            )
            .help(format!(
                "begin a table `[entity.{}.field]` and put fields there",
                entity.key.text
            ));
    }
    let fields: Vec<field::Draft> =
        pairs.iter().map(|pair| field::read(pair, all, report)).collect();
    let named: Vec<names::Named> = fields
        .iter()
        .map(|draft| names::Named { word: draft.word, was: draft.was.as_ref() })
        .collect();
    names::together(&named, "field", report);
    vector::check(&fields, embedders, report);
    blob::check(&fields, report);
    fields
}

/// The entity, if every part of it is sound.
fn finish(draft: Draft) -> Option<Entity> {
    let was = draft.was.map(|(name, _)| name);
    let fields = draft.fields.into_iter().map(|field| field.field).collect::<Option<Vec<_>>>()?;
    Some(Entity {
        name: draft.name?,
        was,
        about: draft.about,
        fields,
        uniques: draft.uniques,
        indexes: draft.indexes,
        key: None,
        subject: draft.found.as_ref().is_some_and(|found| found.flag("subject")),
        expires: draft.expires,
        slices: draft.found.as_ref().and_then(slices::wanted),
        anonymous: draft.found.is_some_and(|found| found.text("anonymous").is_some()),
    })
}
