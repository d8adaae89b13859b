//! Broken rules in the words of the model.

use freehold_model::{
    Code, Model, Refusal,
    ddl::{self, Violation as Rule},
};

use crate::{error::Error, refusal::Violation};

impl Error {
    /// Says a broken rule in the words of the model; everything else stays as it is.
    #[must_use]
    pub fn refine(self, model: &Model) -> Self {
        match self {
            Self::Violated(violation) => Self::Refused(refined(&violation, model)),
            other => other,
        }
    }
}

fn refined(violation: &Violation, model: &Model) -> Refusal {
    if let (Code::Required, Some(column)) = (violation.code, &violation.column) {
        return Refusal::new(Code::Required, format!("{column} is required")).hint("give it a value in every row");
    }
    let rule = violation.constraint.as_deref().and_then(|name| ddl::violation(model, name));
    match rule {
        Some(Rule::PrimaryKey { entity }) => {
            Refusal::new(Code::Conflict, format!("there is a {entity} of this id")).detail("id")
        }
        Some(Rule::Unique { entity, fields }) => {
            let fields: Vec<&str> = fields.iter().map(|field| &**field).collect();
            Refusal::new(Code::Conflict, format!("there is a {entity} with the same {}", fields.join(", ")))
                .detail(fields.join(", "))
                .hint(format!("update it, or upsert with on_conflict={}", fields.join(",")))
        }
        Some(Rule::Reference { entity, field, target } | Rule::StillReferenced { entity, field, target })
            if violation.code == Code::Reference =>
        {
            // One name serves both directions where PostgreSQL does not tell them apart.
            Refusal::new(Code::Reference, format!("{field} of {entity} must refer to a {target} that is there"))
                .detail(format!("{entity}.{field}"))
                .hint(format!("write the {target} first; to delete it, change what refers to it first"))
        }
        Some(Rule::Check { entity, field, what }) => {
            Refusal::new(Code::Check, format!("{field} of {entity} breaks its check: {what}")).detail(field.to_string())
        }
        _ => violation.refusal(),
    }
}
