//! Which fields a value may have been for that PostgreSQL could not take. It does not say which, so it is said of all that may
//! be: those whose type can fail so, and that were given a value.

use super::level::{Cond, Form, Level, Operand, Output, Test};
use crate::{
    Code, Model,
    entity::{Entity, Kind, Scalar},
};

/// Whether a value of this kind can be refused so.
pub(crate) fn can_fail(kind: &Kind, code: Code) -> bool {
    let scalar = match kind {
        Kind::Scalar(scalar) | Kind::Array(scalar) => *scalar,
        Kind::Ref(_) | Kind::Blob(_) => Scalar::Uuid,
        Kind::Enum(_) | Kind::Vector(_) => return false,
    };
    let is_number = matches!(
        scalar,
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_) | Scalar::Double
    );
    let is_time = matches!(scalar, Scalar::TimestampTz | Scalar::Date);
    match code {
        Code::InvalidTime => is_time,
        Code::OutOfRange => is_number,
        // An array of texts is read, too.
        Code::InvalidValue => {
            !is_time && (scalar != Scalar::Text || matches!(kind, Kind::Array(_)))
        }
        _ => false,
    }
}

/// The fields among `names` that a value may have been for.
pub(crate) fn of_fields<'n>(
    entity: &Entity,
    names: impl Iterator<Item = &'n String>,
    code: Code,
) -> Vec<String> {
    let fails = |name: &&String| match entity.field(name) {
        Some(field) => can_fail(&field.kind, code),
        None => *name == "id" && can_fail(&Kind::Scalar(Scalar::Uuid), code),
    };
    let mut fields: Vec<String> = names.filter(fails).cloned().collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The same of a query's filters and casts.
pub(crate) fn of_query(model: &Model, level: &Level, code: Code) -> Vec<String> {
    let mut fields = Vec::new();
    for level in level.walk() {
        let Some(entity) = model.relations().find(|entity| entity.name == level.entity) else {
            continue;
        };
        let mut compared = Vec::new();
        level.conds.iter().for_each(|cond| names(cond, entity, code, &mut compared));
        fields.extend(compared);
        fields.extend(level.outputs.iter().filter_map(|output| match output {
            Output::Column(column) if matches!(column.form, Form::Cast(_)) => {
                Some(column.name.clone())
            }
            _ => None,
        }));
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn names(cond: &Cond, entity: &Entity, code: Code, found: &mut Vec<String>) {
    match cond {
        Cond::Group { parts, .. } => {
            parts.iter().for_each(|part| names(part, entity, code, found));
        }
        Cond::Test { operand, test, .. } => match operand {
            Operand::Column(name) => {
                let pattern = matches!(
                    test,
                    Test::Binary { op: "~" | "~*", .. } | Test::Each { op: "~" | "~*", .. }
                );
                if pattern && code == Code::InvalidValue {
                    found.push(name.clone());
                } else if !matches!(test, Test::Is(_)) {
                    found.extend(of_fields(entity, std::iter::once(name), code));
                }
            }
            Operand::Json { column, .. } if code == Code::InvalidValue => {
                found.push(column.clone());
            }
            _ => {}
        },
        Cond::Embed { .. } => {}
    }
}
