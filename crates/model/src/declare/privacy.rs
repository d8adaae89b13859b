//! Personal data: its classes, which fields are of them, whose they are, and what an erasure does to rows.

use std::collections::BTreeMap;

use super::{
    codes,
    entities::Draft,
    field,
    report::{Report, Span as Place, a, did_you_mean},
    tree::{Pair, Word},
    walk::{Found, text, walk_named},
};
use crate::{
    entity::{
        Class, Entity, Field, Keep, Kind, Lookup, OnDelete, OnErase, Personal, Privacy, Scalar,
        Span, Whose,
    },
    names::Name,
};

/// The classes of a model, as far as they could be read.
pub(super) struct Classes<'t> {
    declared: Vec<(&'t Word, Option<Class>)>,
}

/// Reads `[personal.…]`.
pub(super) fn classes<'t>(pairs: &'t [Pair], report: &mut Report) -> Classes<'t> {
    let one = |pair: &'t Pair| {
        super::names::read(&pair.key, report);
        let class = walk_named(pair, &super::grammar::PERSONAL, report)
            .and_then(|found| class(&found, report));
        (&pair.key, class)
    };
    Classes { declared: pairs.iter().map(one).collect() }
}

fn class(found: &Found<'_>, report: &mut Report) -> Option<Class> {
    let (retention, at) = found.text("retention")?;
    let retention = match Span::read(retention) {
        Ok(span) => Some(span),
        Err(_) if retention == "until erased" => None,
        Err(rule) => {
            report
                .error(codes::PERSONAL_RETENTION, at, rule)
                .help("write `3 years`, or `until erased`");
            return None;
        }
    };
    let recipients = found.items("recipients").unwrap_or_default();
    Some(Class {
        purpose: found.owned("purpose")?,
        basis: found.owned("basis")?,
        retention,
        about: found.owned("about"),
        recipients: recipients.iter().filter_map(text).map(|(text, _)| text.to_owned()).collect(),
    })
}

impl Classes<'_> {
    /// The classes of the model, once every field has been read.
    pub(super) fn finish(self, entities: &[Entity], report: &mut Report) -> BTreeMap<Name, Class> {
        let fields = || entities.iter().flat_map(|entity| &entity.fields);
        let uses = |name: &str| {
            fields().any(|field| matches!(&field.privacy, Some(Privacy::Personal(personal)) if *personal.class == *name))
        };
        if report.is_sound() {
            for (word, _) in self.declared.iter().filter(|(word, _)| !uses(&word.text)) {
                report
                    .warn(
                        codes::PERSONAL_UNUSED,
                        &word.at,
                        format!("no field is of the class `{}`", word.text),
                    )
                    .help(format!("remove it, or write `personal = \"{}\"` at a field", word.text));
            }
        }
        let named =
            |(word, class): (&Word, Option<Class>)| Some((Name::new(&word.text).ok()?, class?));
        self.declared.into_iter().filter_map(named).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.declared.iter().map(|(word, _)| word.text.as_str())
    }
}

/// Checks what the entities say of personal data, and puts it into their fields.
pub(super) fn check(drafts: &mut [Draft<'_>], classes: &Classes<'_>, report: &mut Report) {
    let is_subject =
        |draft: &Draft<'_>| draft.found.as_ref().is_some_and(|found| found.flag("subject"));
    let subjects: Vec<String> = drafts
        .iter()
        .filter(|draft| is_subject(draft))
        .map(|draft| draft.word.text.clone())
        .collect();
    for draft in &mut *drafts {
        let itself = is_subject(draft);
        let owners: Vec<(String, Option<OnErase>)> =
            draft.fields.iter_mut().filter_map(|draft| owner(draft, &subjects, report)).collect();
        let about = About { itself, owners: &owners, classes };
        for field in &mut draft.fields {
            about.field(field, report);
        }
        about.keys(draft, report);
        about.sources(&draft.fields, report);
    }
    stubs(drafts, &subjects, report);
}

/// Where rows go on referring to an erased person, the person's own row stays without what is personal in it.
fn stubs(drafts: &[Draft<'_>], subjects: &[String], report: &mut Report) {
    let fields = || drafts.iter().flat_map(|draft| &draft.fields);
    for subject in drafts.iter().filter(|draft| subjects.contains(&draft.word.text)) {
        let stays = fields().find(|draft| {
            draft.field.as_ref().is_some_and(|field| {
                matches!(&field.kind, Kind::Ref(to) if *to.entity == *subject.word.text)
                    && matches!(field.on_erase, Some(OnErase::Blank | OnErase::Keep(_)))
            })
        });
        let Some(stays) = stays else { continue };
        let required = subject.fields.iter().find(|draft| {
            draft.field.as_ref().is_some_and(|field| {
                !field.optional && matches!(field.privacy, Some(Privacy::Personal(_)))
            })
        });
        if let Some(required) = required {
            report
                .error(codes::PERSONAL_ERASE, &required.word.at, format!("`{}` is emptied when the person is erased, because rows go on referring to them, but it is required", required.word.text))
                .also(&stays.word.at, "this reference stays")
                .help("make it `optional = true`, or choose `on_erase = \"delete\"` or `\"unlink\"` there");
        }
    }
}

/// The reference to a data subject that the field is, and what becomes of its row.
fn owner(
    draft: &mut field::Draft<'_>,
    subjects: &[String],
    report: &mut Report,
) -> Option<(String, Option<OnErase>)> {
    let (found, field) = (draft.found.as_ref()?, draft.field.as_mut()?);
    let refers =
        matches!(&field.kind, Kind::Ref(to) if subjects.iter().any(|name| **name == *to.entity));
    let said = found.pair("on_erase");
    if !refers {
        for key in ["on_erase", "keep_for", "keep_why"] {
            if let Some(pair) = found.pair(key) {
                report
                    .error(codes::PERSONAL_ERASE, &pair.key.at, format!("`{key}` means nothing here, because `{}` does not refer to a data subject", draft.word.text))
                    .help("remove it, or write `subject = true` at the entity it refers to");
            }
        }
        return None;
    }
    let Some(said) = said else {
        report
            .error(codes::PERSONAL_ERASE, &draft.word.at, format!("`{}` refers to a data subject and does not say what becomes of the row when that person is erased", draft.word.text))
            .help("add `on_erase = \"delete\"`, `\"blank\"`, `\"unlink\"` or `\"keep\"`");
        return Some((draft.word.text.clone(), None));
    };
    field.on_erase = on_erase(found, field, &said.value.at, report);
    Some((draft.word.text.clone(), field.on_erase.clone()))
}

fn on_erase(found: &Found<'_>, field: &Field, at: &Place, report: &mut Report) -> Option<OnErase> {
    let way = found.text("on_erase")?.0;
    let keeps = ["keep_for", "keep_why"].map(|key| found.pair(key));
    if way != "keep" {
        for pair in keeps.into_iter().flatten() {
            report
                .error(
                    codes::PERSONAL_ERASE,
                    &pair.key.at,
                    format!("`{}` belongs to `on_erase = \"keep\"`", pair.key.text),
                )
                .help("remove one of the two");
        }
    }
    match way {
        "delete" => Some(OnErase::Delete),
        "blank" => Some(OnErase::Blank),
        "unlink" if !field.optional => {
            report
                .error(codes::PERSONAL_ERASE, at, "a reference that is required cannot be emptied")
                .help("make it `optional = true`, or choose `delete` or `blank`");
            None
        }
        "unlink" => Some(OnErase::Unlink),
        _ => {
            let why = found.owned("keep_why").filter(|why| !why.trim().is_empty());
            let span = found.text("keep_for").map(|(text, at)| (Span::read(text), at));
            match (why, span) {
                (Some(why), Some((Ok(span), _))) => Some(OnErase::Keep(Keep { why, span })),
                (_, Some((Err(rule), at))) => {
                    report
                        .error(codes::PERSONAL_ERASE, at, rule)
                        .help("write `keep_for = \"10 years\"`");
                    None
                }
                _ => {
                    report
                        .error(
                            codes::PERSONAL_ERASE,
                            at,
                            "what is kept of an erased person needs a duty and an end",
                        )
                        .help("add `keep_for = \"10 years\"` and `keep_why = \"…\"`");
                    None
                }
            }
        }
    }
}

/// What is known about an entity whose fields are checked.
struct About<'a> {
    itself: bool,
    owners: &'a [(String, Option<OnErase>)],
    classes: &'a Classes<'a>,
}

impl About<'_> {
    fn field(&self, draft: &mut field::Draft<'_>, report: &mut Report) {
        let (Some(found), Some(field)) = (&draft.found, &mut draft.field) else { return };
        match (found.text("personal"), found.text("not_personal")) {
            (Some(_), Some((_, at))) => {
                report
                    .error(
                        codes::PERSONAL_BOTH,
                        at,
                        "the field is personal data and says why it is not",
                    )
                    .help("keep one of `personal` and `not_personal`");
            }
            (None, Some((why, at))) => {
                if why.trim().is_empty() {
                    report.error(codes::PERSONAL_OPEN, at, "the reason is empty").help(
                        "say in a word or two what it is, such as `a number of the product's`",
                    );
                }
                field.privacy = Some(Privacy::Not(why.to_owned()));
            }
            (Some((class, at)), None) => {
                if !self.classes.names().any(|name| name == class) {
                    report
                        .error(
                            codes::PERSONAL_CLASS,
                            at,
                            format!("there is no class `{class}` of personal data"),
                        )
                        .help(format!(
                            "declare it under `[personal.{class}]`; {}",
                            did_you_mean(class, self.classes.names())
                        ));
                }
                field.privacy = self
                    .personal(class, found, field, &draft.word.at, report)
                    .map(Privacy::Personal);
            }
            (None, None) => self.unsaid(draft, report),
        }
        let Some(found) = &draft.found else { return };
        if found.text("personal").is_none() {
            for key in ["lookup", "lookup_why", "subject"] {
                if let Some(pair) = found.pair(key) {
                    report
                        .error(codes::PERSONAL_LOOKUP, &pair.key.at, format!("`{key}` belongs to personal data"))
                        .help("add `personal = \"…\"`, or remove it; other fields are looked up by `index` and `unique`");
                }
            }
        }
    }

    /// A field that says nothing. References say with `on_erase` what they have to; what is made from other fields is
    /// what they are.
    fn unsaid(&self, draft: &field::Draft<'_>, report: &mut Report) {
        let concerned = self.itself || !self.owners.is_empty();
        let made = draft.field.as_ref().is_some_and(|field| match &field.kind {
            Kind::Ref(_) => true,
            Kind::Vector(vector) => !vector.of.is_empty(),
            _ => false,
        });
        if concerned && !made {
            let why = if self.itself { "the rows are people" } else { "the rows are about people" };
            report
                .error(codes::PERSONAL_OPEN, &draft.word.at, format!("`{}` does not say whether it is personal data, and {why}", draft.word.text))
                .help("add `personal = \"…\"` with a class of `[personal.…]`, or `not_personal = \"…\"` with the reason");
        }
    }

    fn personal(
        &self,
        class: &str,
        found: &Found<'_>,
        field: &Field,
        at: &Place,
        report: &mut Report,
    ) -> Option<Personal> {
        let sealable = match &field.kind {
            Kind::Scalar(scalar) => {
                !matches!(scalar, Scalar::Numeric(_) | Scalar::Double | Scalar::Bytea)
            }
            Kind::Enum(_) | Kind::Blob(_) => true,
            _ => false,
        };
        if !sealable {
            report
                .error(codes::PERSONAL_KIND, at, format!("{} cannot be sealed yet", a(&field::spoken(&field.kind))))
                .help("hold it as `text` or `jsonb`, or say with `not_personal` why it need not be sealed");
            return None;
        }
        for key in ["index", "default", "min", "max", "search"] {
            if let Some(pair) = found.pair(key) {
                report
                    .error(
                        codes::PERSONAL_KIND,
                        &pair.key.at,
                        format!("PostgreSQL cannot see a sealed value, so it has no `{key}`"),
                    )
                    .help(
                        "remove it; sealed values are found again by equality alone, with `lookup`",
                    );
            }
        }
        let (whose, kept) = self.whose(found, at, report)?;
        let blob = matches!(field.kind, Kind::Blob(_));
        let lookup =
            found.text("lookup").and_then(|(name, at)| lookup(name, at, found, field, report));
        if let (Some(pair), None, false, true) =
            (found.pair("unique"), found.text("lookup"), blob, found.flag("unique"))
        {
            report
                .error(
                    codes::PERSONAL_LOOKUP,
                    &pair.key.at,
                    "a sealed value can be unique only by its lookup",
                )
                .help("add `lookup = \"exact\"`, or another way of looking it up");
        }
        Some(Personal { class: Name::new(class).ok()?, whose, kept, lookup })
    }

    fn whose(&self, found: &Found<'_>, at: &Place, report: &mut Report) -> Option<(Whose, bool)> {
        let of = |(name, way): &(String, Option<OnErase>)| {
            Some((Whose::Of(Name::new(name).ok()?), matches!(way, Some(OnErase::Keep(_)))))
        };
        if let Some((name, at)) = found.text("subject") {
            let Some(owner) = self.owners.iter().find(|(owner, _)| owner == name) else {
                report
                    .error(
                        codes::PERSONAL_WHOSE,
                        at,
                        format!("`{name}` is no reference of this entity to a data subject"),
                    )
                    .help(did_you_mean(name, self.owners.iter().map(|(name, _)| name.as_str())));
                return None;
            };
            return of(owner);
        }
        match self.owners {
            _ if self.itself => Some((Whose::Itself, false)),
            [] => Some((Whose::Nobody, false)),
            [one] => of(one),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                report
                    .error(codes::PERSONAL_WHOSE, at, "the row refers to several data subjects, and the field does not say whose it is")
                    .help(format!("add `subject = \"{}\"`, or another of {}", names[0], super::report::listed(names.iter().copied())));
                None
            }
        }
    }

    /// Sealed fields in keys of several fields; what a person leaves behind.
    fn keys(&self, draft: &Draft<'_>, report: &mut Report) {
        let sealed = |name: &Name| {
            let field = draft.fields.iter().find(|field| field.word.text == **name);
            field.filter(|field| field.field.as_ref().is_some_and(|field| field.sealed().is_some()))
        };
        let several = draft.uniques.iter().filter(|key| key.fields.len() > 1);
        for name in several.chain(&draft.indexes).flat_map(|key| &key.fields) {
            if let Some(field) = sealed(name) {
                report
                    .error(codes::PERSONAL_LOOKUP, &field.word.at, format!("`{name}` is sealed and cannot be part of an index or a key of several fields"))
                    .help("leave it out of there; `lookup` finds it by itself, and `unique = true` makes it unique");
            }
        }
        for field in draft.fields.iter().filter_map(|draft| draft.field.as_ref()) {
            let Kind::Ref(to) = &field.kind else { continue };
            let theirs: Vec<&field::Draft<'_>> = draft
                .fields
                .iter()
                .filter(|draft| {
                    draft
                        .field
                        .as_ref()
                        .and_then(Field::sealed)
                        .is_some_and(|it| it.whose == Whose::Of(field.name.clone()))
                })
                .collect();
            let required = theirs
                .iter()
                .find(|draft| draft.field.as_ref().is_some_and(|field| !field.optional));
            if let (Some(theirs), OnDelete::Unlink) = (theirs.first(), to.on_delete) {
                report
                    .error(codes::PERSONAL_WHOSE, &theirs.word.at, format!("`{}` could not be opened any more once `{}` is emptied, because it is sealed for that person", theirs.word.text, field.name))
                    .help(format!("choose another `on_delete` for `{}`: `cascade` or `restrict`", field.name));
            }
            if let (Some(theirs), Some(OnErase::Blank | OnErase::Unlink)) =
                (required, &field.on_erase)
            {
                report
                    .error(
                        codes::PERSONAL_ERASE,
                        &theirs.word.at,
                        format!(
                            "`{}` is emptied when the person of `{}` is erased, but it is required",
                            theirs.word.text, field.name
                        ),
                    )
                    .help("make it `optional = true`, or choose `on_erase = \"delete\"`");
            }
        }
    }

    /// A vector would carry what is sealed in its texts.
    fn sources(&self, fields: &[field::Draft<'_>], report: &mut Report) {
        for draft in fields {
            let of = draft.found.as_ref().and_then(|found| found.items("of")).unwrap_or_default();
            for (name, at) in of.iter().filter_map(text) {
                let source = fields.iter().find(|field| field.word.text == name);
                if source.and_then(|source| source.field.as_ref()).and_then(Field::sealed).is_some()
                {
                    report
                        .error(
                            codes::PERSONAL_KIND,
                            at,
                            format!("a vector made from `{name}` would tell what is sealed in it"),
                        )
                        .help("leave it out of `of`: vectors of personal data are not built yet");
                }
            }
        }
    }
}

fn lookup(
    name: &str,
    at: &Place,
    found: &Found<'_>,
    field: &Field,
    report: &mut Report,
) -> Option<Lookup> {
    let lookup = Lookup::named(name)?;
    let text = matches!(field.kind, Kind::Scalar(Scalar::Text));
    if matches!(field.kind, Kind::Blob(_) | Kind::Scalar(Scalar::Jsonb))
        || lookup != Lookup::Exact && !text
    {
        report
            .error(codes::PERSONAL_LOOKUP, at, format!("{} cannot be looked up as `{name}`", a(&field::spoken(&field.kind))))
            .help("texts are looked up as `email`, `phone`, `folded` or `exact`, other values as `exact`");
        return None;
    }
    let few = match &field.kind {
        Kind::Enum(_) | Kind::Scalar(Scalar::Boolean | Scalar::SmallInt | Scalar::Date) => true,
        _ => field.bounds.max_length.is_some_and(|most| most < 4),
    };
    let argued = found.text("lookup_why").is_some_and(|(why, _)| !why.trim().is_empty());
    if few && !argued {
        report
            .error(codes::PERSONAL_LOOKUP, at, "the field has few possible values: whoever reads the table could tell them by how often each occurs")
            .help("leave `lookup` out, or say with `lookup_why = \"…\"` why that does no harm");
        return None;
    }
    Some(lookup)
}
