//! What names mean at a place in the SQL, and what is known about the tables they lead to.

use std::collections::BTreeSet;

use sqlparser::ast::{self, Ident};

use crate::{
    entity::{Entity, Kind, Scalar},
    suggest::suggest,
    view::{
        error::{Checked, Fault, Spot, Wrong},
        graph::{Equality, Region, RegionId},
        ir::{self, Expr, TableId},
        typing::Type,
    },
};

/// A table of the definition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Where its rows take part.
    pub(crate) region: RegionId,
    pub(crate) what: What,
    /// Where it is named.
    pub(crate) at: Spot,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The entity at this place of the model.
    Base(usize),
    Derived(Vec<DerivedColumn>),
}

/// A column of a subquery in `from`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DerivedColumn {
    pub(crate) name: String,
    pub(crate) typ: Type,
    pub(crate) nullable: bool,
    /// The same value, of columns of entities, if each of its rows comes from rows with just that value.
    pub(crate) origin: Option<Expr>,
}

/// The tables that a `select` sees.
#[derive(Debug, Default)]
pub(crate) struct Level {
    pub(crate) items: Vec<Item>,
    /// Where those begin that `on` may name.
    pub(crate) from: usize,
    /// Whether its `group by` names something.
    pub(crate) grouping: bool,
    /// While a subquery is read that does not see them.
    pub(crate) hidden: bool,
}

/// A table under its name.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) alias: String,
    pub(crate) table: TableId,
    /// Whether an outer join may have made all of it null.
    pub(crate) nullable: bool,
    /// Columns that `using` gives to another table.
    pub(crate) merged: BTreeSet<String>,
}

/// A `with` query that can be named.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: String,
    pub(crate) query: &'a ast::Query,
    pub(crate) columns: &'a [ast::TableAliasColumnDef],
    /// Which levels it sees.
    pub(crate) levels: usize,
}

/// What may stand in the expression that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) aggregates: bool,
    pub(crate) windows: bool,
    /// Where it stands, such as `where`.
    pub(crate) place: &'static str,
}

/// Reads the SQL of one read model.
pub(crate) struct Translator<'a> {
    pub(crate) entities: &'a [Entity],
    pub(crate) reads: &'a [String],
    pub(crate) tables: Vec<Table>,
    pub(crate) regions: Vec<Region>,
    pub(crate) equalities: Vec<Equality>,
    /// Those of columns that are no entity's, such as a row's number.
    pub(crate) others: Vec<Equality>,
    pub(crate) levels: Vec<Level>,
    pub(crate) named: Vec<Named<'a>>,
    /// Columns that a condition has shown not to be null.
    pub(crate) proven: Vec<(TableId, String)>,
    pub(crate) region: RegionId,
    pub(crate) allowed: Allowed,
    pub(crate) depth: usize,
}

/// An identifier as PostgreSQL reads it.
pub(crate) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

impl<'a> Translator<'a> {
    pub(crate) fn new(entities: &'a [Entity], reads: &'a [String]) -> Self {
        Self {
            entities,
            reads,
            tables: Vec::new(),
            regions: vec![Region { parent: None, certain: true, needs: Vec::new() }],
            equalities: Vec::new(),
            others: Vec::new(),
            levels: Vec::new(),
            named: Vec::new(),
            proven: Vec::new(),
            region: 0,
            allowed: Allowed { aggregates: false, windows: false, place: "select" },
            depth: 0,
        }
    }

    /// Another region inside the current one.
    pub(crate) fn region_within(&mut self, certain: bool) -> RegionId {
        self.regions.push(Region { parent: Some(self.region), certain, needs: Vec::new() });
        self.regions.len() - 1
    }

    pub(crate) fn add_table(&mut self, what: What, at: Spot) -> TableId {
        self.tables.push(Table { region: self.region, what, at });
        self.tables.len() - 1
    }

    /// The entity that is the table, if it is one.
    pub(crate) fn entity_of(&self, table: TableId) -> Option<&'a Entity> {
        match self.tables[table].what {
            What::Base(at) => Some(&self.entities[at]),
            What::Derived(_) => None,
        }
    }

    /// The columns of a table, in order.
    pub(crate) fn columns_of(&self, table: TableId) -> Vec<String> {
        match &self.tables[table].what {
            What::Base(at) => {
                let open =
                    self.entities[*at].fields.iter().filter(|field| field.sealed().is_none());
                let fields = open.map(|field| field.name.to_string());
                std::iter::once("id".to_owned()).chain(fields).collect()
            }
            What::Derived(columns) => columns.iter().map(|column| column.name.clone()).collect(),
        }
    }

    /// The column `name` of a table.
    pub(crate) fn column(&self, table: TableId, name: &str, may_miss: bool) -> Option<Expr> {
        let (typ, nullable) = match &self.tables[table].what {
            What::Base(_) if name == "id" => (Type::scalar(Scalar::Uuid), false),
            What::Base(at) => {
                let field = self.entities[*at].field(name)?;
                let made = matches!(&field.kind, Kind::Vector(vector) if !vector.of.is_empty());
                // Of a blob a read model has the id: what it points at is not the model's.
                let typ = match &field.kind {
                    Kind::Blob(_) => Type::scalar(Scalar::Uuid),
                    kind => Type::Of(kind.clone()),
                };
                (typ, field.optional || made)
            }
            What::Derived(columns) => {
                let column = columns.iter().find(|column| column.name == name)?;
                (column.typ.clone(), column.nullable)
            }
        };
        let proven = self.proven.iter().any(|(at, column)| *at == table && column == name);
        let kind = ir::Kind::Column { table, name: name.to_owned() };
        Some(Expr::new(kind, typ, (nullable || may_miss) && !proven))
    }

    /// What `name`, or `qualifier.name`, means here.
    pub(crate) fn resolve_name(&self, qualifier: Option<&Ident>, ident: &Ident) -> Checked<Expr> {
        let name = folded(ident);
        if name == "tenant_id" {
            return Err(Fault::form(
                ident.span,
                "`tenant_id` cannot be named",
                "leave it out: every row that is read, joined or written is of the same tenant anyway",
            ));
        }
        let found = match qualifier {
            Some(table) => self.qualified(table, ident, &name),
            None => self.unqualified(ident, &name),
        }?;
        self.refuse_sealed(&found, ident.span)?;
        Ok(found)
    }

    /// PostgreSQL cannot see what is sealed, and a copy of it would outlive its row.
    pub(crate) fn refuse_sealed(&self, expr: &Expr, at: Spot) -> Checked<()> {
        let ir::Kind::Column { table, name } = &expr.kind else { return Ok(()) };
        let field = self.entity_of(*table).and_then(|entity| entity.field(name));
        match field.and_then(|field| field.sealed()) {
            None => Ok(()),
            Some(_) => Err(Fault::form(
                at,
                format!(
                    "`{name}` is personal data and sealed, so no read model can be made from it"
                ),
                "leave it out, and read it from the entity with an embed",
            )),
        }
    }

    fn qualified(&self, table: &Ident, ident: &Ident, name: &str) -> Checked<Expr> {
        let alias = folded(table);
        for level in self.levels.iter().rev() {
            let Some(at) = level.items.iter().position(|item| item.alias == alias) else {
                continue;
            };
            if level.hidden || at < level.from {
                return Err(out_of_sight(table, &alias));
            }
            let item = &level.items[at];
            return self.column(item.table, name, item.nullable).ok_or_else(|| {
                let columns = self.columns_of(item.table);
                self.no_column(ident, &format!("`{alias}` has no column `{name}`"), &columns)
            });
        }
        let aliases: Vec<&str> = self.visible().map(|(_, item)| item.alias.as_str()).collect();
        let help = match suggest(&alias, aliases.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("name it in `from`; there are {}", quoted(&aliases)),
        };
        Err(Fault::new(Wrong::Name, table.span, format!("there is no table `{alias}` here"), help))
    }

    fn unqualified(&self, ident: &Ident, name: &str) -> Checked<Expr> {
        for level in self.levels.iter().rev().filter(|level| !level.hidden) {
            let having: Vec<(&Item, Expr)> = level.items[level.from..]
                .iter()
                .filter(|item| !item.merged.contains(name))
                .filter_map(|item| Some((item, self.column(item.table, name, item.nullable)?)))
                .collect();
            match having.as_slice() {
                [] => {}
                [(_, one)] => return Ok(one.clone()),
                several => {
                    let ways: Vec<String> =
                        several.iter().map(|(item, _)| format!("{}.{name}", item.alias)).collect();
                    let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
                    return Err(Fault::new(
                        Wrong::Name,
                        ident.span,
                        format!("`{name}` is a column of several tables"),
                        format!("write one of {}", quoted(&ways)),
                    ));
                }
            }
        }
        let columns: Vec<String> =
            self.visible().flat_map(|(_, item)| self.columns_of(item.table)).collect();
        Err(self.no_column(ident, &format!("there is no column `{name}` here"), &columns))
    }

    fn visible(&self) -> impl Iterator<Item = (&Level, &Item)> {
        let levels = self.levels.iter().rev().filter(|level| !level.hidden);
        levels.flat_map(|level| level.items[level.from..].iter().map(move |item| (level, item)))
    }

    fn no_column(&self, ident: &Ident, message: &str, known: &[String]) -> Box<Fault> {
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let cased = known.iter().find(|name| {
            ident.quote_style.is_none() && name.to_lowercase() == ident.value.to_lowercase()
        });
        let help = match (cased, suggest(&ident.value, known.iter().copied())) {
            (Some(name), _) => {
                format!("write `\"{name}\"`: names with capital letters need quotes")
            }
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!("there are {}", quoted(&known)),
        };
        Fault::new(Wrong::Name, ident.span, message, help)
    }

    /// The place in the model of the entity that `ident` names.
    pub(crate) fn entity_named(&self, ident: &Ident) -> Checked<usize> {
        let name = folded(ident);
        if let Some(at) = self.entities.iter().position(|entity| *entity.name == *name) {
            return Ok(at);
        }
        if self.reads.contains(&name) {
            return Err(Fault::form(
                ident.span,
                format!("`{name}` is a read model, and a read model is made from entities"),
                format!("put the `select` of `{name}` here, in parentheses or in a `with`"),
            ));
        }
        let known: Vec<&str> = self.entities.iter().map(|entity| &*entity.name).collect();
        let cased = known.iter().find(|known| known.to_lowercase() == ident.value.to_lowercase());
        let help = match (cased, suggest(&name, known.iter().copied())) {
            (Some(name), _) => {
                format!("write `\"{name}\"`: names with capital letters need quotes")
            }
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) if known.is_empty() => "the model has no entities yet".into(),
            (None, None) => format!("there are {}", quoted(&known)),
        };
        Err(Fault::new(Wrong::Name, ident.span, format!("there is no entity `{name}`"), help))
    }

    /// `expr` in columns of entities alone, if each row's value comes from rows with that value.
    pub(crate) fn origin(&self, expr: &Expr) -> Option<Expr> {
        if let ir::Kind::Column { table, name } = &expr.kind {
            return match &self.tables[*table].what {
                What::Base(_) => Some(expr.clone()),
                What::Derived(columns) => {
                    columns.iter().find(|column| column.name == *name)?.origin.clone()
                }
            };
        }
        expr.map_plain(&|child| self.origin(child))
    }
}

fn out_of_sight(table: &Ident, alias: &str) -> Box<Fault> {
    Fault::new(
        Wrong::Name,
        table.span,
        format!("`{alias}` cannot be named here"),
        "write `lateral` before the subquery if it is to see the tables to the left; `on` sees the tables of its own join",
    )
}

/// `a`, `b` and so on, at most twenty.
pub(crate) fn quoted(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

/// Where an AST node stands, or nowhere.
pub(crate) fn spot(node: &impl ast::Spanned) -> Spot {
    node.span()
}
