//! Calling: a function of the operator's, under the tenant's wall.
//!
//! find the function → check arguments and query → embed the question, if it is text → one transaction → answer.

use freehold_model::catalogue;
pub use freehold_model::catalogue::{Argument, Arguments, Function, Returns};
use freehold_store::{Access, Tenant};

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal,
    read::{Answer, Shape, count, csv, embed_questions, missing_anchor},
};

/// What to call, as the caller wrote it.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Where its arguments are.
    pub arguments: Arguments<'a>,
    /// PostgREST's query string, percent-encoded.
    pub query: &'a str,
    /// Whether the total is wanted.
    pub count: bool,
    /// How the values are written; the body of CSV begins with the line of names.
    pub shape: Shape,
    /// What personal data is opened for, if not for what its classes are kept for.
    pub purpose: Option<&'a str>,
}

/// What a function gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// Its values: a JSON array, or one value if [`Called::single`].
    pub answer: Answer,
    /// What it returns.
    pub returns: Returns,
}

impl Called {
    /// Whether the answer is one value or row, not a list.
    #[must_use]
    pub fn single(&self) -> bool {
        match &self.returns {
            Returns::Nothing => true,
            Returns::Values { many, .. } | Returns::Rows { many, .. } => !many,
        }
    }
}

impl Engine {
    /// Calls a function in the tenant's name. One that is not VOLATILE runs in a transaction that only reads.
    ///
    /// # Errors
    /// `NoSuchFunction`, `AmbiguousFunction`; `ReadOnly` for a VOLATILE one whose arguments are in the query string, as
    /// in a GET; `Raised` with what the function says; what is wrong with arguments and query.
    pub async fn call(&self, tenant: &Tenant, asked: Call<'_>) -> Result<Called, Error> {
        let snapshot = self.snapshot();
        snapshot.permit(tenant, asked.function, Access::Call)?;
        let mut call = catalogue::call(
            &snapshot.model,
            asked.function,
            &asked.arguments,
            asked.query,
            &self.limits_of(tenant),
        )?;
        if call.function.volatile && asked.arguments == Arguments::InQuery {
            let message =
                format!("{} may change something and is not called with GET", asked.function);
            return Err(Refusal::new(Code::ReadOnly, message)
                .hint("call it with POST, or declare it STABLE if it only reads")
                .into());
        }
        call.shaped(asked.shape);
        if let Some(query) = call.query() {
            snapshot.permit_embeds(tenant, query)?;
            if asked.count {
                query.count_exact();
            }
            embed_questions(&snapshot, query).await?;
            self.bind_lookups(tenant, query).await?;
        }
        let tag = call.query().and_then(personal::tag);
        let row = self
            .store
            .call(tenant, &call.render(), !call.function.volatile)
            .await
            .map_err(|error| snapshot.refine(error))?;
        if row.bool(3) == Some(false) {
            return Err(missing_anchor().into());
        }
        let opened = match (&tag, row.text(0)) {
            (Some(tag), Some(body)) => {
                Some(self.open_body(&snapshot, tenant, body, tag, asked.purpose.into()).await?)
            }
            _ => None,
        };
        let body = opened.as_deref().or(row.text(0));
        let answer = Answer {
            body: match asked.shape {
                Shape::Csv => csv(&call.names(), body),
                Shape::Json | Shape::Stripped => body.unwrap_or("null").to_owned(),
            },
            rows: count(row.int(1)),
            total: row.int(2).map(|total| count(Some(total))),
            offset: call.offset(),
            search: None,
        };
        Ok(Called { answer, returns: call.function.returns })
    }
}
