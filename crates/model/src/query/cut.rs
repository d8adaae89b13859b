//! What has expired: reads keep to the rules, whether it is removed yet or not.

use super::level::Level;
use crate::{
    entity::{Coarser, Entity, Expiry, Kind, Remains, Scalar},
    sql::ident,
};

/// A rule of expiry, as reads keep to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    pub(crate) since: String,
    /// The time up to which rows are expired.
    pub(crate) until: String,
    /// The fields that are empty then; none if it does not empty any.
    pub(crate) blank: Option<Vec<String>>,
    /// The fields that say less then.
    coarser: Vec<Coarser>,
}

impl Cut {
    /// The rules of an entity.
    pub(crate) fn all(entity: &Entity) -> Vec<Self> {
        let one = |rule: &Expiry| {
            // By UTC, whatever zone the caller is told times in.
            let until = format!("(now() at time zone 'UTC' - interval '{}')", rule.span);
            let date = entity
                .field(&rule.since)
                .is_some_and(|field| field.kind == Kind::Scalar(Scalar::Date));
            Self {
                since: rule.since.to_string(),
                until: if date {
                    format!("{until}::date")
                } else {
                    format!("({until} at time zone 'UTC')")
                },
                blank: match &rule.remains {
                    Remains::Without(fields) => {
                        Some(fields.iter().map(ToString::to_string).collect())
                    }
                    Remains::Nothing | Remains::Coarser(_) => None,
                },
                coarser: match &rule.remains {
                    Remains::Coarser(fields) => fields.clone(),
                    Remains::Nothing | Remains::Without(_) => Vec::new(),
                },
            }
        };
        entity.expires.iter().map(one).collect()
    }

    /// Whether the row is gone then.
    pub(crate) fn deletes(&self) -> bool {
        self.blank.is_none() && self.coarser.is_empty()
    }

    /// Whether the column is emptied by it.
    pub(crate) fn empties(&self, column: &str) -> bool {
        self.blank.as_ref().is_some_and(|fields| fields.iter().any(|name| name == column))
    }

    /// That a row has not expired: `(a."at" is null or a."at" > …)`.
    pub(crate) fn spares(&self, alias: &str) -> String {
        let since = format!("{alias}.{}", ident(&self.since));
        format!("({since} is null or {since} > {})", self.until)
    }
}

impl Level {
    /// The rules by which the column is emptied.
    pub(crate) fn cuts_of<'l>(&'l self, column: &'l str) -> impl Iterator<Item = &'l Cut> {
        self.cuts.iter().filter(|cut| cut.empties(column))
    }

    /// What may be shown of a column: `(case when a."at" > … then a."born" end)`.
    pub(crate) fn what_is_left(&self, name: &str, alias: &str, mut column: String) -> String {
        for cut in &self.cuts {
            for coarser in cut.coarser.iter().filter(|coarser| &*coarser.field == name) {
                let (spares, less) = (cut.spares(alias), coarser.of(&column));
                column = format!("(case when {spares} then {column} else {less} end)");
            }
        }
        let spared: Vec<String> = self.cuts_of(name).map(|cut| cut.spares(alias)).collect();
        if spared.is_empty() {
            return column;
        }
        format!("(case when {} then {column} end)", spared.join(" and "))
    }
}
