//! Calling: a function of the operator's, under the tenant's wall.
//!
//! find the function → check arguments and query → embed the question, if it is text → one transaction → answer.

mod hidden;

use freehold_model::catalogue;
pub use freehold_model::catalogue::{Argument, Arguments, Function, Returns};
use freehold_store::{Access, Row, Tenant};

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal,
    read::{Answer, Shape, count, csv, embed_questions, missing_anchor},
    write::Terms,
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
    /// How the values are written (the body of CSV begins with the line of names), and what has to hold of what is changed.
    pub terms: &'a Terms,
}

/// What a function gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// Its values: a JSON array, or one value if [`Called::single`].
    pub answer: Answer,
    /// What it returns.
    pub returns: Returns,
    /// What shows what it wrote, for a read that has to; none if it wrote nothing.
    pub token: Option<String>,
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
    /// Refuses arguments, a JSON object, in which a number has more digits than would be given to the function.
    ///
    /// # Errors
    /// `InvalidValue`.
    pub fn check_digits(&self, function: &str, body: &str) -> Result<(), Refusal> {
        catalogue::check_digits(&self.snapshot().model, function, body)
    }

    /// Calls a function in the tenant's name. One that is not VOLATILE runs in a transaction that only reads.
    ///
    /// # Errors
    /// `NoSuchFunction`, `AmbiguousFunction`; `ReadOnly` for a VOLATILE one whose arguments are in the query string, as
    /// in a GET; `Raised` with what the function says; what is wrong with arguments and query; what the
    /// terms refuse, and then nothing is changed.
    pub async fn call(&self, tenant: &Tenant, asked: Call<'_>) -> Result<Called, Error> {
        let snapshot = self.snapshot();
        snapshot.permit(tenant, asked.function, Access::Call)?;
        let mut call = catalogue::call(
            &snapshot.model,
            asked.function,
            &asked.arguments,
            asked.query,
            &self.limits_of(tenant),
        )
        .map_err(|refusal| snapshot.veiled(tenant, refusal))?;
        if call.function.volatile && asked.arguments == Arguments::InQuery {
            let message =
                format!("{} may change something and is not called with GET", asked.function);
            return Err(Refusal::new(Code::ReadOnly, message)
                .hint("call it with POST, or declare it STABLE if it only reads")
                .into());
        }
        call.shaped(asked.terms.shape);
        if let Some(query) = call.query() {
            snapshot.permit_embeds(tenant, query)?;
            if asked.count {
                query.count_exact();
            }
            embed_questions(&snapshot, query).await?;
            self.bind_lookups(tenant, query).await?;
        }
        let tag = call.query().and_then(personal::tag);
        let judgement = Judgement::of(&asked, &call.function, call.offset());
        let (sql, zone) = (call.render(), asked.terms.zone.as_ref());
        let called = if call.function.volatile && judgement.is_needed() {
            self.store.call_if(tenant, &sql, zone, |row| judgement.judge(row)).await
        } else {
            self.store.call(tenant, &sql, zone, !call.function.volatile).await
        };
        let (row, position) = called.map_err(|error| snapshot.refine(error))?;
        judgement.judge(&row)?;
        if row.bool(3) == Some(false) {
            return Err(missing_anchor().into());
        }
        let opened = match (&tag, row.text(0)) {
            (Some(tag), Some(body)) => Some(
                self.open_body(&snapshot, tenant, body, tag, asked.terms.purpose.as_ref().into())
                    .await?,
            ),
            _ => None,
        };
        let body = opened.as_deref().or(row.text(0));
        let answer = Answer {
            body: match asked.terms.shape {
                Shape::Csv => csv(&call.names(), body),
                Shape::Json | Shape::Stripped => {
                    hidden::without_tenant(body.unwrap_or("null"), tenant.id()).into_owned()
                }
            },
            rows: count(row.int(1)),
            total: row.int(2).map(|total| count(Some(total))),
            offset: call.offset(),
            search: None,
        };
        let token = position.map(|position| self.store.position_text(position));
        Ok(Called { answer, returns: call.function.returns, token })
    }
}

/// What has to hold of a call before what it changed may stand.
struct Judgement<'a> {
    terms: &'a Terms,
    /// Whether it returns several rows or values, which can be counted.
    many: bool,
    must_be_one: bool,
    /// Rows that are passed over, where the total is known.
    offset: u64,
}

impl<'a> Judgement<'a> {
    fn of(asked: &Call<'a>, function: &Function, offset: u64) -> Self {
        let (is_row, many) = match &function.returns {
            Returns::Nothing => (false, false),
            Returns::Values { many, .. } => (false, *many),
            Returns::Rows { many, .. } => (true, *many),
        };
        let terms = asked.terms;
        let offset = if asked.count { offset } else { 0 };
        Self { terms, many, must_be_one: terms.single && (is_row || many), offset }
    }

    fn is_needed(&self) -> bool {
        self.terms.roll_back
            || self.must_be_one
            || self.offset > 0
            || self.terms.max_affected.is_some()
    }

    /// Whether it may stand.
    fn judge(&self, row: &Row) -> Result<bool, Refusal> {
        let (rows, total) = (count(row.int(1)), row.int(2).map(|total| count(Some(total))));
        let max_affected = self.terms.max_affected;
        if max_affected.is_some() && !self.many {
            return Err(Refusal::new(
                Code::Preference,
                "max-affected is for functions that return several rows or values",
            )
            .hint("let it return SETOF or TABLE, or leave the preference away"));
        }
        if let Some(total) = total.filter(|total| self.offset > *total) {
            return Err(Refusal::new(Code::Range, "the rows asked for begin after the last one")
                .detail(format!("offset {}, {total} rows", self.offset)));
        }
        Terms { single: self.must_be_one, max_affected, ..Terms::default() }.check(rows)?;
        Ok(!self.terms.roll_back)
    }
}
