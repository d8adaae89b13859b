//! Views: columns in the shape of fields, and where they come from.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Catalogue, View, kind, list, text};
use crate::{
    Model, Name,
    entity::{Bounds, Entity, Field, Kind, OnDelete, Ref},
};

/// How many views may stand one on the other until a column's origin is given up.
const DEPTH_MAX: usize = 16;

impl Catalogue {
    pub(super) fn read_views(&mut self, told: &Value, model: &Model) {
        let all: Vec<&Value> = told.as_array().into_iter().flatten().collect();
        for view in &all {
            let name = text(view, "name").unwrap_or_default();
            if let Some(fault) = text(view, "fault") {
                self.leave_out(name, fault);
                continue;
            }
            match Name::new(name) {
                Err(why) => self.leave_out(name, why),
                Ok(_) if model.rows(name).is_some() => {
                    self.leave_out(name, "the model has something of this name");
                }
                Ok(name) => {
                    let view = self.view_of(name, view, &all, model);
                    self.views.push(view);
                }
            }
        }
    }

    fn view_of(&mut self, name: Name, told: &Value, all: &[&Value], model: &Model) -> View {
        let mut origins = BTreeMap::new();
        for column in list(told, "columns") {
            let origin = origin(column, all, 0);
            let column = text(column, "name").and_then(|name| Name::new(name).ok());
            if let Some((column, (table, field))) = column.zip(origin)
                && let (Ok(table), Ok(field)) = (Name::new(&table), Name::new(&field))
                && model.entity(&table).is_some()
            {
                origins.insert(column, (table, field));
            }
        }
        // Tables are joined within a tenant, so a view that does not say the tenant cannot be joined to.
        let joinable =
            list(told, "columns").any(|column| text(column, "name") == Some("tenant_id"));
        let fields = self.fields(&name, list(told, "columns"), |column| {
            let (table, field) = origins.get(column)?;
            origin_kind(model, table, field, joinable)
        });
        let mut shape = relation(name, text(told, "about"), fields);
        shape.anonymous = told["anonymous"] == true;
        View { shape, origins }
    }

    /// Columns in the shape of fields. `known` says of a column what it is, if it is an entity's.
    pub(super) fn fields<'v>(
        &mut self,
        of: &str,
        columns: impl Iterator<Item = &'v Value>,
        known: impl Fn(&str) -> Option<Kind>,
    ) -> Vec<Field> {
        let mut fields = Vec::new();
        for column in columns {
            let name = text(column, "name").unwrap_or_default();
            let sql_type = text(column, "type").unwrap_or_default();
            if name == "tenant_id" || sql_type == "tsvector" {
                continue;
            }
            let object = format!("{of}.{name}");
            match (Name::new(name), known(name).or_else(|| kind::of(sql_type))) {
                (Err(why), _) => self.leave_out(object, why),
                (_, None) => {
                    let why =
                        format!("no field can be of type {sql_type}; cast it, to text or jsonb");
                    self.leave_out(object, why);
                }
                (Ok(name), Some(kind)) => fields.push(Field {
                    name,
                    was: None,
                    about: text(column, "about").map(str::to_owned),
                    kind,
                    optional: true,
                    default: None,
                    bounds: Bounds::default(),
                    search: None,
                    privacy: None,
                    on_erase: None,
                    generalises: None,
                }),
            }
        }
        fields
    }
}

/// Rows that have no key of their own.
pub(super) fn relation(name: Name, about: Option<&str>, fields: Vec<Field>) -> Entity {
    let key = fields.iter().filter(|field| *field.name == *"id").map(|field| field.name.clone());
    Entity {
        key: Some(key.collect()),
        name,
        was: None,
        about: about.map(str::to_owned),
        fields,
        uniques: Vec::new(),
        indexes: Vec::new(),
        subject: false,
        expires: Vec::new(),
        slices: None,
        anonymous: false,
    }
}

/// The table and column that a view's column is, through views it stands on.
fn origin(column: &Value, all: &[&Value], depth: usize) -> Option<(String, String)> {
    let from = &column["origin"];
    let (table, name) = text(from, "table").zip(text(from, "column"))?;
    let Some(below) = all.iter().find(|view| text(view, "name") == Some(table)) else {
        return Some((table.to_owned(), name.to_owned()));
    };
    let column = list(below, "columns").find(|column| text(column, "name") == Some(name))?;
    (depth < DEPTH_MAX).then(|| origin(column, all, depth + 1)).flatten()
}

fn origin_kind(model: &Model, table: &str, field: &str, joinable: bool) -> Option<Kind> {
    let entity = model.entity(table)?;
    if field == "id" {
        let reference = Ref { entity: entity.name.clone(), on_delete: OnDelete::Restrict };
        return joinable.then_some(Kind::Ref(reference));
    }
    let kind = entity.field(field)?.kind.clone();
    (joinable || !matches!(kind, Kind::Ref(_))).then_some(kind)
}
