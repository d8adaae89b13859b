//! `missing=default`: what a row leaves out of the columns written is its default, not null.

use serde_json::Value;

use super::{Insert, body};
use crate::entity::{DefaultValue, Kind, Scalar};

impl Insert {
    /// Gives each row the defaults of the columns it lacks and others have.
    pub fn missing_are_defaults(&mut self) {
        for (name, _) in body::columns(&self.entity, |name| self.writes(name)) {
            if name == "id" {
                self.ids_may_lack = true;
                continue;
            }
            let Some(field) = self.entity.field(&name) else { continue };
            let default = match &field.default {
                // PostgreSQL reads the word as the time its transaction began, which is what the default gives.
                Some(DefaultValue::Now) => Value::String("now".into()),
                Some(DefaultValue::Constant(text)) => match &field.kind {
                    Kind::Scalar(Scalar::Jsonb) => {
                        serde_json::from_str(text).unwrap_or(Value::Null)
                    }
                    _ => Value::String(text.clone()),
                },
                _ => continue,
            };
            for row in &mut self.rows {
                row.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
    }
}
