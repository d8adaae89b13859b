//! Functions: what they take and what they give.

use serde_json::Value;

use super::{Catalogue, kind, list, text, view};
use crate::{Model, Name, entity::Kind};

/// A function that can be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name; overloads share it.
    pub name: String,
    /// The operator's words about it (`comment on function`).
    pub about: Option<String>,
    /// What it takes, in its order.
    pub arguments: Vec<Argument>,
    /// What it gives.
    pub returns: Returns,
    /// Whether it may change something: VOLATILE, as PostgreSQL takes it unless it is told otherwise.
    pub volatile: bool,
    /// Whether anybody may call it without a key.
    pub anonymous: bool,
}

/// One argument of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name; empty for the one argument of a function that takes the whole body.
    pub name: String,
    /// PostgreSQL's type.
    pub sql_type: String,
    /// What a field of the type would be.
    pub kind: Option<Kind>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it takes the rest of the values.
    pub variadic: bool,
}

/// What a function gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returns {
    /// Nothing.
    Nothing,
    /// Values of a type of PostgreSQL's.
    Values {
        /// The type.
        sql_type: String,
        /// Whether there may be any number of them.
        many: bool,
    },
    /// Rows.
    Rows {
        /// What [`Model::rows`] knows them as.
        shape: Name,
        /// Whether there may be any number of them.
        many: bool,
    },
}

impl Function {
    /// Whether its one argument is the whole body of the request.
    #[must_use]
    pub fn takes_body(&self) -> bool {
        matches!(&self.arguments[..], [only] if only.name.is_empty())
    }
}

impl Catalogue {
    pub(super) fn read_functions(&mut self, told: &Value, model: &Model) {
        for function in told.as_array().into_iter().flatten() {
            let name = text(function, "name").unwrap_or_default();
            let object = format!("{name}({})", text(function, "signature").unwrap_or_default());
            let read = match text(function, "fault") {
                Some(fault) => Err(fault.to_owned()),
                None => self.function(name, function, model),
            };
            match read {
                Ok(function) => self.functions.push(function),
                Err(why) => self.leave_out(object, why),
            }
        }
    }

    fn function(&mut self, name: &str, told: &Value, model: &Model) -> Result<Function, String> {
        let arguments: Vec<Argument> = list(told, "arguments").map(argument).collect();
        let returns = self.returns(name, &told["returns"], model)?;
        let function = Function {
            name: name.to_owned(),
            about: text(told, "about").map(str::to_owned),
            arguments,
            returns,
            volatile: told["volatile"] != false,
            anonymous: told["anonymous"] == true,
        };
        let nameless = function.arguments.iter().any(|argument| argument.name.is_empty());
        if nameless && !(function.takes_body() && is_json(&function.arguments[0].sql_type)) {
            return Err("an argument has no name".to_owned());
        }
        Ok(function)
    }

    fn returns(&mut self, name: &str, told: &Value, model: &Model) -> Result<Returns, String> {
        let many = told["many"] == true;
        let sql_type = text(told, "type").unwrap_or_default().to_owned();
        if let Some(relation) = text(told, "relation")
            && let Some(shape) =
                model.rows(relation).or_else(|| self.view(relation).map(|view| &view.shape))
        {
            return Ok(Returns::Rows { shape: shape.name.clone(), many });
        }
        if told["columns"].is_array() {
            let count = self.results.len();
            let fields = self.fields(name, list(told, "columns"), |_| None);
            if fields.is_empty() {
                return Err("its rows have no columns that can be given".to_owned());
            }
            // Overloads may return different rows.
            let label =
                match self.results.iter().any(|result| *result.name == *format!("rpc/{name}")) {
                    true => format!("rpc/{name}/{count}"),
                    false => format!("rpc/{name}"),
                };
            let shape = Name::derived(&label);
            self.results.push(view::relation(shape.clone(), None, fields));
            return Ok(Returns::Rows { shape, many });
        }
        match sql_type.as_str() {
            "void" => Ok(Returns::Nothing),
            "record" => Err("it returns a record without columns".to_owned()),
            _ => Ok(Returns::Values { sql_type, many }),
        }
    }
}

pub(super) fn is_json(sql_type: &str) -> bool {
    matches!(sql_type, "json" | "jsonb")
}

fn argument(told: &Value) -> Argument {
    let sql_type = text(told, "type").unwrap_or_default().to_owned();
    Argument {
        name: text(told, "name").unwrap_or_default().to_owned(),
        kind: kind::of(&sql_type),
        sql_type,
        optional: told["optional"] == true,
        variadic: told["variadic"] == true,
    }
}
