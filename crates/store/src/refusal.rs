//! What PostgreSQL reports, in Freehold's words. Its own text stays in the log.

use freehold_model::{
    Code, Model, Refusal,
    ddl::{self, Violation as Rule},
};
use tokio_postgres::error::DbError;

use crate::error::{Error, Fault};

/// A broken rule as PostgreSQL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which kind of rule.
    pub code: Code,
    /// The name of the constraint or of the leaf's index.
    pub constraint: Option<String>,
    /// The column, where PostgreSQL names one.
    pub column: Option<String>,
    /// The table, possibly a partition.
    pub table: Option<String>,
}

impl Violation {
    /// The refusal as far as it can be said without the model.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let refusal = Refusal::new(
            self.code,
            match self.code {
                Code::Required => "a required field is missing",
                Code::Reference => {
                    "a reference to a row that is not there, or from one that still is"
                }
                Code::Conflict => "a unique key is taken",
                _ => "a declared check fails",
            },
        );
        match self.column.as_ref().or(self.constraint.as_ref()) {
            Some(name) => refusal.detail(name.clone()),
            None => refusal,
        }
    }
}

impl Error {
    /// The same, with a broken rule told in the words of the model.
    #[must_use]
    pub fn refine(self, model: &Model) -> Self {
        match self {
            Self::Violated(violation) => Self::Refused(violation.refusal_in(model)),
            other => other,
        }
    }
}

impl Violation {
    /// The refusal in the words of the model, as far as it knows the rule.
    #[must_use]
    pub fn refusal_in(&self, model: &Model) -> Refusal {
        let Some(rule) = self.constraint.as_ref().and_then(|name| ddl::violation(model, name))
        else {
            return self.refusal();
        };
        match rule {
            Rule::PrimaryKey { entity } => {
                Refusal::new(Code::Conflict, format!("{entity} has a row with this id"))
                    .detail(format!("{entity}.id"))
            }
            Rule::Unique { entity, fields } => {
                let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
                let fields = fields.join(", ");
                Refusal::new(Code::Conflict, format!("{entity} has a row with the same {fields}"))
                    .detail(format!("{entity}({fields})"))
            }
            Rule::Reference { entity, field, target } => Refusal::new(
                Code::Reference,
                format!("{field} refers to a row of {target} that is not there"),
            )
            .detail(format!("{entity}.{field}")),
            Rule::StillReferenced { entity, field, target } => Refusal::new(
                Code::Reference,
                format!("the row of {target} cannot go: rows of {entity} refer to it"),
            )
            .detail(format!("{entity}.{field}")),
            Rule::Blob { entity, field } if self.code == Code::Check => Refusal::new(
                Code::Check,
                format!("{field} does not take blobs of this size or content type"),
            )
            .detail(format!("{entity}.{field}")),
            Rule::Blob { entity, field } => Refusal::new(
                Code::Reference,
                format!("{field} names no upload for it that is whole and that no row has taken"),
            )
            .detail(format!("{entity}.{field}")),
            Rule::Check { entity, field, what } => {
                if what == "slice" {
                    return Refusal::new(
                        Code::Check,
                        format!("the id of a row of {entity} has to be made when the row is, and {field} cannot be later"),
                    )
                    .detail(format!("{entity}.{field}"))
                    .hint(format!(
                        "leave `id` out, or give a UUID of version 7; {field} may be an hour later than it was made"
                    ));
                }
                let what_is_wrong = match what {
                    "min" => "is less than the least value allowed",
                    "max" => "is more than the greatest value allowed",
                    "min_length" => "is shorter than allowed",
                    "max_length" => "is longer than allowed",
                    "enum" => "is none of the named values",
                    "required" => "is missing",
                    _ => "is not allowed",
                };
                let code = if what == "required" { Code::Required } else { Code::Check };
                Refusal::new(code, format!("{field} {what_is_wrong}"))
                    .detail(format!("{entity}.{field}"))
            }
        }
    }
}

/// Sorts what the driver reports while `doing` something into the caller's and ours.
pub(crate) fn explain(doing: &'static str, error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(reported) => match reported_by_server(reported) {
            Some(explained) => explained,
            None if is_passing(reported.code().code()) => Fault::unavailable(doing, error).into(),
            None => Fault::new(doing, error).into(),
        },
        None if is_lost(&error) => Fault::unavailable(doing, error).into(),
        None => Fault::new(doing, error).into(),
    }
}

/// Whether the state says that the connection, the server or its room is gone for now.
pub(crate) fn is_passing(state: &str) -> bool {
    state.starts_with("08")
        || state.starts_with("53")
        || state.starts_with("57P")
        || state == "25P03"
}

// The connection itself, as against a value that cannot be encoded.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

fn reported_by_server(report: &DbError) -> Option<Error> {
    let state = report.code().code();
    let refuse = |code, message: &str| Some(Error::Refused(Refusal::new(code, message)));
    match state {
        "23502" | "23503" | "23505" | "23514" => Some(Error::Violated(Violation {
            code: match state {
                "23502" => Code::Required,
                "23503" => Code::Reference,
                "23505" => Code::Conflict,
                _ => Code::Check,
            },
            constraint: report.constraint().map(str::to_owned),
            column: report.column().map(str::to_owned),
            table: report.table().map(str::to_owned),
        })),
        "21000" => refuse(Code::Conflict, "two rows of one request have the same key"),
        "22003" => refuse(Code::OutOfRange, "a number is outside its type's range"),
        "22001" | "22021" | "22P05" => {
            refuse(Code::InvalidText, "a text is too long or has bytes that are not text")
        }
        "22007" | "22008" | "22009" => {
            refuse(Code::InvalidTime, "a date or time does not exist or cannot be read")
        }
        "2201W" | "2201X" => refuse(Code::Range, "limit and offset cannot be negative"),
        // pgvector reports everything that is wrong with a vector as a plain data exception.
        "22000" => refuse(
            Code::Vector,
            "the vector has the wrong number of dimensions or a value that is not finite",
        ),
        "22012" => Some(Error::Refused(
            Refusal::new(Code::InvalidValue, "a division by zero").detail("in what is computed"),
        )),
        _ if state.starts_with("22") => {
            refuse(Code::InvalidValue, "a value does not have its field's form")
        }
        "25006" => refuse(Code::Forbidden, "this role reads and does not write"),
        // The words of a search, which to_tsquery reads as an expression of its own.
        "42601" if report.message().contains("tsquery") => Some(Error::Refused(
            Refusal::new(
                Code::InvalidValue,
                "the words searched for are no expression of to_tsquery",
            )
            .hint("join them with & or |, or use plfts, phfts or wfts, which take plain words"),
        )),
        "42501" => refuse(Code::Forbidden, "this is not allowed"),
        "54000" => refuse(Code::Limit, "a value is too big for the index on its field"),
        "57014" => Some(Error::Refused(
            Refusal::new(Code::TooSlow, "the statement took longer than allowed")
                .hint("ask for less at once, or add an index"),
        )),
        "FH081" => Some(Error::Refused(crate::personal::erased())),
        "FH082" => Some(Error::Refused(
            Refusal::new(Code::Held, "a legal hold keeps a row that would be deleted")
                .hint("wait until the hold is released: `freehold hold list` shows it"),
        )),
        "FH083" => Some(Error::Refused(
            Refusal::new(
                Code::CopyNotWhole,
                "the copy in which sealed vectors are searched is being made again",
            )
            .hint("try again; if it lasts, `freehold status` shows how far the workers are"),
        )),
        "40001" | "40P01" | "55P03" => Some(Error::Refused(
            Refusal::new(Code::TryAgain, "another transaction was in the way").hint("try again"),
        )),
        _ => None,
    }
}
