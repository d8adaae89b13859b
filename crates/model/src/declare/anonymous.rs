//! What anybody may read without a key: never an entity with personal data, whole as it is.

use super::{codes, entities::Draft, report::Report};

/// Refuses entities that are open and have personal data.
pub(super) fn check(drafts: &[Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let Some(found) = &draft.found else { continue };
        let Some(pair) = found.pair("anonymous") else { continue };
        for field in &draft.fields {
            if field.found.as_ref().is_some_and(|field| field.text("personal").is_some()) {
                report
                    .error(
                        codes::ANONYMOUS_PERSONAL,
                        &pair.key.at,
                        format!("`{}` has personal data and cannot be read without a key", draft.word.text),
                    )
                    .also(&field.word.at, "this field")
                    .help("keep what anybody may read in an entity of its own, or in a read model of the other fields with `anonymous = \"read\"`");
            }
        }
    }
}
