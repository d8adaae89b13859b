//! Personal data: which fields are, of which class, whose, and how they are found again.

use super::{
    classes::Classes,
    codes,
    entities::Draft,
    erasure::{owner, stubs},
    field, likeness,
    report::{Report, Span as Place, a, alternatives},
    walk::Found,
};
use crate::{
    entity::{Field, Kind, Lookup, OnDelete, OnErase, Personal, Privacy, Scalar, Stored, Whose},
    names::Name,
};

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
        likeness::made(&mut draft.fields, report);
    }
    stubs(drafts, &subjects, report);
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
                            alternatives(class, self.classes.names())
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
        let stored = match &field.kind {
            // What is made from text is what its texts are: that is seen when all of them are known.
            Kind::Vector(vector) if !vector.of.is_empty() => return None,
            Kind::Vector(vector) => likeness::stored(found, vector, at, report)?,
            _ => Stored::Sealed,
        };
        if matches!(field.kind, Kind::Ref(_)) {
            report
                .error(codes::PERSONAL_KIND, at, format!("{} cannot be sealed yet", a(&field::spoken(&field.kind))))
                .help("hold it as `text` or `jsonb`, or say with `not_personal` why it need not be sealed");
            return None;
        }
        let blob = matches!(field.kind, Kind::Blob(_));
        for key in ["index", "default", "min", "max", "search"] {
            // The `max` of a blob is its size, which is in the open.
            if let Some(pair) = found.pair(key).filter(|_| !blob) {
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
        Some(Personal { class: Name::new(class).ok()?, whose, kept, lookup, stored })
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
                    .help(alternatives(name, self.owners.iter().map(|(name, _)| name.as_str())));
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
            let is_theirs = |draft: &&field::Draft<'_>| {
                draft.field.as_ref().is_some_and(|it| {
                    !it.optional
                        && matches!(&it.privacy, Some(Privacy::Personal(it)) if it.whose == Whose::Of(field.name.clone()))
                })
            };
            let required = draft.fields.iter().find(is_theirs);
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
    let never = matches!(
        field.kind,
        Kind::Blob(_) | Kind::Array(_) | Kind::Scalar(Scalar::Jsonb | Scalar::Double)
    );
    if never || lookup != Lookup::Exact && !text {
        report
            .error(codes::PERSONAL_LOOKUP, at, format!("{} cannot be looked up as `{name}`", a(&field::spoken(&field.kind))))
            .help("texts are looked up as `email`, `phone`, `folded` or `exact`, other values as `exact`; a `double`, `jsonb` and arrays are not looked up: `numeric` is");
        return None;
    }
    let few = match &field.kind {
        Kind::Enum(_) | Kind::Scalar(Scalar::Boolean | Scalar::SmallInt | Scalar::Date) => true,
        Kind::Scalar(Scalar::Numeric(Some((precision, _)))) => *precision < 5,
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
