//! Row triggers of tables, and what keeps a vector that is made from texts true to them.

use crate::{
    ddl::{
        blob,
        column::made_from,
        copy::Copy,
        hold,
        naming::{derived, list, root, shelf},
    },
    entity::{Field, VectorForm},
    sql::{ident, literal},
};

/// A row trigger of an entity's table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    /// The column it watches over.
    pub(crate) column: String,
    /// The function it has to itself: its name and the statement that makes it.
    function: Option<(String, String)>,
    create: String,
    /// What the platform is told when it comes and when it goes.
    told: Option<String>,
}

impl Trigger {
    /// All of a field's: none, unless it is made from texts, a blob, or a reference to a data subject.
    pub(crate) fn all(entity: &str, field: &Field) -> Vec<Self> {
        let copy = Copy::of(entity, field);
        let copied = copy.iter().flat_map(|copy| copy.triggers(entity, field));
        if made_from(field).is_none() {
            let blob = blob::trigger(entity, field);
            let whose = blob::owner_trigger(entity, field);
            let held = hold::of_reference(entity, field);
            return blob.into_iter().chain(whose).chain(held).chain(copied).collect();
        }
        let made = [Self::outdated(entity, field, &field.name), Self::due(entity, field)];
        made.into_iter().chain(copied).collect()
    }

    /// Empties the vector in `column` when a text changes and it does not. PostgreSQL decides in its own code whether
    /// to call the function, and asks only where the update names one of the texts.
    pub(crate) fn outdated(entity: &str, field: &Field, column: &str) -> Self {
        let name = derived(&[entity, column, "outdated"]);
        let texts = made_from(field).map_or(&[][..], |vector| &vector.of);
        let row = |version: &str| {
            let texts = texts.iter().map(|text| format!("{version}.{}", ident(text)));
            format!("row({})", texts.collect::<Vec<_>>().join(", "))
        };
        let equals = match &field.kind {
            crate::entity::Kind::Vector(vector)
                if vector.form != VectorForm::Bit && field.sealed().is_none() =>
            {
                "operator(freehold_ext.=)"
            }
            _ => "operator(pg_catalog.=)",
        };
        let column_name = ident(column);
        let function = format!(
            "create function {}() returns trigger language plpgsql as {}",
            shelf(&name),
            literal(&format!("begin new.{column_name} := null; return new; end")),
        );
        let create = format!(
            "create trigger {} before update of {} on {} for each row\n  when ({} is distinct from {} and old.{column_name} {equals} new.{column_name})\n  execute function {}()",
            ident(&name),
            list(texts.iter().map(|text| &**text)),
            root(entity),
            row("old"),
            row("new"),
            shelf(&name),
        );
        let function = Some((name.clone(), function));
        Self { name, column: column.into(), function, create, told: None }
    }

    /// Notes the tenant when a row is left without its vector.
    fn due(entity: &str, field: &Field) -> Self {
        let name = derived(&[entity, &field.name, "due"]);
        let texts = made_from(field).map_or(&[][..], |vector| &vector.of);
        let create = format!(
            "create trigger {} after insert or update of {} on {} for each row\n  when (new.{} is null) execute function freehold.embedding_due({}, {})",
            ident(&name),
            list(texts.iter().map(|text| &**text).chain([&*field.name])),
            root(entity),
            ident(&field.name),
            literal(entity),
            literal(&field.name),
        );
        Self { name, column: field.name.to_string(), function: None, create, told: None }
    }

    /// One with a function of its own.
    pub(crate) fn with_function(
        name: String,
        column: String,
        function: String,
        create: String,
    ) -> Self {
        Self { name: name.clone(), column, function: Some((name, function)), create, told: None }
    }

    /// The same, of which the platform is told.
    pub(crate) fn telling(self, told: String) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Makes it.
    pub(crate) fn add(&self) -> Vec<String> {
        let function = self.function.iter().map(|(_, create)| create.clone());
        function.chain([self.create.clone()]).chain(self.told.clone()).collect()
    }

    /// Removes it from the table of `entity`.
    pub(crate) fn remove(&self, entity: &str) -> Vec<String> {
        let trigger = format!("drop trigger {} on {}", ident(&self.name), root(entity));
        [trigger].into_iter().chain(self.remove_function()).chain(self.told.clone()).collect()
    }

    /// Removes its function, once the trigger is gone.
    pub(crate) fn remove_function(&self) -> Option<String> {
        self.function.as_ref().map(|(name, _)| format!("drop function {}()", shelf(name)))
    }
}
