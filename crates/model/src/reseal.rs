//! Sealing a person's rows anew, some at a time: what is sealed of them is read as it is, and put back only where it is
//! still that.

use serde_json::{Map, Value};

use crate::{
    Model, Name, Sql,
    entity::{Entity, Field, Whose},
    sql::ident,
};

/// The sealed fields of an entity that are a person's by one reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Theirs<'m> {
    /// The entity.
    pub entity: &'m Entity,
    /// The reference to the person; none if the row is the person.
    pub reference: Option<&'m Name>,
    /// The fields.
    pub fields: Vec<&'m Field>,
}

/// All that may be sealed of people who are rows of `subject`.
#[must_use]
pub fn theirs<'m>(model: &'m Model, subject: &Entity) -> Vec<Theirs<'m>> {
    let mut all: Vec<Theirs<'m>> = Vec::new();
    for entity in model.entities() {
        for (field, personal) in entity.sealed_fields() {
            if entity.people_of(&personal.whose) != Some(&subject.name) {
                continue;
            }
            let reference = match &personal.whose {
                Whose::Of(reference) => Some(reference),
                Whose::Itself | Whose::Nobody => None,
            };
            let same = |one: &&mut Theirs<'_>| {
                one.entity.name == entity.name && one.reference == reference
            };
            match all.iter_mut().find(same) {
                Some(one) => one.fields.push(field),
                None => all.push(Theirs { entity, reference, fields: vec![field] }),
            }
        }
    }
    all
}

impl Theirs<'_> {
    /// Some of the person's rows in the order of their ids, from behind `after`, locked: `body` is a JSON array of objects with
    /// `id` and the hexadecimal digits of what is sealed in each field.
    #[must_use]
    pub fn page(&self, person: &str, after: Option<&str>, limit: u32) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select coalesce(json_agg(r.*), '[]')::text as body from (select t.id");
        for field in &self.fields {
            sql.raw(", encode(t.").ident(&field.name).raw(", 'hex') as ").ident(&field.name);
        }
        sql.raw(" from ").target(&self.entity.name).raw(" t where t.");
        sql.ident(self.reference.map_or("id", |name| name)).raw(" = ");
        sql.param(Some(person.to_owned())).raw("::uuid");
        if let Some(after) = after {
            sql.raw(" and t.id > ").param(Some(after.to_owned())).raw("::uuid");
        }
        sql.target_ends("t").raw(" order by t.id limit ").param(Some(limit.to_string()));
        sql.raw(" for no key update of t) r");
        sql
    }

    /// Puts into rows what was sealed anew of them: objects with `id`, and `\\x` and digits for each field.
    #[must_use]
    pub fn put(&self, rows: Vec<Map<String, Value>>) -> Sql {
        let columns: Vec<String> = self.fields.iter().map(|field| ident(&field.name)).collect();
        let sets: Vec<String> = columns.iter().map(|name| format!("{name} = r.{name}")).collect();
        let types: Vec<String> = columns.iter().map(|name| format!("{name} bytea")).collect();
        let mut sql = Sql::new();
        sql.raw("with done as (update ").target(&self.entity.name);
        sql.raw(&format!(" t set {} from json_to_recordset(", sets.join(", ")));
        sql.param(Some(Value::from(rows).to_string()));
        sql.raw(&format!("::json) as r(id uuid, {}) where t.id = r.id", types.join(", ")));
        sql.target_ends("t").writing().raw(" returning 1)");
        sql.raw(" select '[]'::text as body, count(*) as rows from done");
        sql
    }
}
