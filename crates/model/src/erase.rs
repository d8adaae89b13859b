//! What an erasure does to rows, and what expiry does: some rows at a time, so that nobody waits for it.
//!
//! Each statement answers with one row of `body text` and `rows bigint`, how many it touched or counted. They run inside
//! the tenant's wall, with the rights of any write, and so meet the triggers that keep what is held.

use crate::{
    Model, Name, Sql,
    entity::{
        Coarser, Entity, Expiry, Field, Kind, OnErase, Privacy, Remains, Scalar, Whose,
        lookup_column,
    },
    query::cut::Cut,
    sql::ident,
};

/// What is to be done with the rows of an entity that are about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The entity.
    pub entity: Name,
    /// The reference to the person; none if the row is the person.
    pub reference: Option<Name>,
    /// What becomes of the rows.
    pub way: OnErase,
    /// Columns that are emptied.
    empties: Vec<String>,
}

/// What is to be done when a person of the entity `subject` is erased, in this order: rows that go before rows that stay, and
/// the person last.
#[must_use]
pub fn duties(model: &Model, subject: &Entity) -> Vec<Duty> {
    let mut duties: Vec<Duty> = Vec::new();
    for entity in model.entities() {
        for field in &entity.fields {
            let (Kind::Ref(to), Some(way)) = (&field.kind, &field.on_erase) else { continue };
            if to.entity == subject.name {
                let mut empties =
                    personal(entity, &|whose| *whose == Whose::Of(field.name.clone()));
                empties.extend((*way == OnErase::Unlink).then(|| field.name.to_string()));
                duties.push(Duty {
                    entity: entity.name.clone(),
                    reference: Some(field.name.clone()),
                    way: way.clone(),
                    empties,
                });
            }
        }
    }
    duties.sort_by_key(|duty| duty.way != OnErase::Delete);
    let stays = duties.iter().any(|duty| matches!(duty.way, OnErase::Blank | OnErase::Keep(_)));
    duties.push(Duty {
        entity: subject.name.clone(),
        reference: None,
        way: if stays { OnErase::Blank } else { OnErase::Delete },
        empties: personal(subject, &|whose| *whose == Whose::Itself),
    });
    duties
}

/// The columns that hold what is personal of whoever `is` says.
fn personal(entity: &Entity, is: &dyn Fn(&Whose) -> bool) -> Vec<String> {
    let of = |field: &Field| match &field.privacy {
        Some(Privacy::Personal(personal)) if is(&personal.whose) => {
            let lookup = field.lookup().map(|_| lookup_column(&field.name));
            [field.name.to_string()].into_iter().chain(lookup).collect()
        }
        _ => Vec::new(),
    };
    entity.fields.iter().flat_map(of).collect()
}

impl Duty {
    /// Counts what is still to be done; of what is kept, how many rows that are.
    #[must_use]
    pub fn left(&self, person: &str) -> Sql {
        let mut sql = Sql::new();
        sql.raw("select '[]'::text as body, count(*) as rows from ").table(&self.entity);
        sql.raw(" t where ");
        self.theirs(&mut sql, "t", person);
        sql
    }

    /// What is done with the rows, in a word.
    #[must_use]
    pub fn done(&self) -> &'static str {
        match self.way {
            OnErase::Delete => "deleted",
            OnErase::Blank => "emptied",
            OnErase::Unlink => "unlinked",
            OnErase::Keep(_) => "kept",
        }
    }

    /// Does it for some rows; none if there is nothing to do with them. With them a note of how many is committed for the
    /// `erasure` of this id, for which it needs the tenant's `permit`.
    #[must_use]
    pub fn some(&self, person: &str, permit: &str, erasure: &str, most: u32) -> Option<Sql> {
        let mut sql = Sql::new();
        sql.raw("with done as (");
        match &self.way {
            OnErase::Keep(_) => return None,
            OnErase::Delete => {
                sql.raw("delete from ").target(&self.entity).raw(" x");
            }
            OnErase::Blank | OnErase::Unlink if self.empties.is_empty() => return None,
            OnErase::Blank | OnErase::Unlink => {
                sql.raw("update ").target(&self.entity).raw(" x set ").raw(&emptied(&self.empties));
            }
        }
        sql.raw(" where x.id = any (array(select t.id from ").table(&self.entity).raw(" t where ");
        self.theirs(&mut sql, "t", person);
        sql.raw(" order by t.id limit ").param(Some(most.to_string())).raw(")) and ");
        // Once more of the row itself: who waited for another that did it finds nothing to do.
        self.theirs(&mut sql, "x", person);
        sql.target_ends("x").writing().raw(" returning 1)");
        sql.raw(" select '[]'::text as body, freehold.rows_erased(");
        sql.param(Some(permit.to_owned())).raw("::uuid, ");
        sql.param(Some(erasure.to_owned())).raw("::uuid, ");
        sql.param(Some(self.entity.to_string())).raw("::text, ");
        sql.param(Some(self.done().to_owned())).raw("::text, (select count(*) from done)) as rows");
        Some(sql)
    }

    fn theirs(&self, sql: &mut Sql, alias: &str, person: &str) {
        sql.raw(alias).raw(".").ident(self.reference.as_deref().unwrap_or("id")).raw(" = ");
        sql.param(Some(person.to_owned())).raw("::uuid");
        if self.way == OnErase::Blank {
            sql.raw(" and ").raw(&filled(&self.empties, alias));
        }
    }
}

/// Counts rows of read models that still name the person.
#[must_use]
pub fn traces(model: &Model, person: &str) -> Vec<(Name, Sql)> {
    let mut all = Vec::new();
    for read in model.reads() {
        let names =
            |field: &&Field| matches!(field.kind, Kind::Ref(_) | Kind::Scalar(Scalar::Uuid));
        let fields: Vec<&Field> = read.shape().fields.iter().filter(names).collect();
        if fields.is_empty() {
            continue;
        }
        let mut sql = Sql::new();
        sql.raw("select '[]'::text as body, count(*) as rows from ").table(read.name());
        sql.raw(" t where ");
        for (at, field) in fields.iter().enumerate() {
            sql.raw(if at == 0 { "t." } else { " or t." }).ident(&field.name).raw(" = ");
            sql.param(Some(person.to_owned())).raw("::uuid");
        }
        all.push((read.name().clone(), sql));
    }
    all
}

/// Counts the rows of an entity on which a rule of expiry has still to be carried out, and `oldest text`, for how many
/// seconds the first of them has been due.
#[must_use]
pub fn expired(entity: &Entity, rule: &Expiry) -> Sql {
    let mut sql = Sql::new();
    let since = format!("t.{}", ident(&rule.since));
    sql.raw("select '[]'::text as body, count(*) as rows, ");
    sql.raw(&format!(
        "coalesce(floor(extract(epoch from now() - (min({since})::timestamptz at time zone 'UTC' + interval '{}') at time zone 'UTC')), 0)::text as oldest from ",
        rule.span
    ));
    sql.table(&entity.name).raw(" t where ").raw(&over(entity, rule, "t"));
    sql
}

/// In how many seconds the next row will have to go by a rule, as `oldest text`; null if there is none.
#[must_use]
pub fn next(entity: &Entity, rule: &Expiry) -> Sql {
    let mut sql = Sql::new();
    let since = format!("t.{}", ident(&rule.since));
    let lies = rule.within.map_or_else(String::new, |within| format!(" + interval '{within}'"));
    sql.raw("select '[]'::text as body, 0::bigint as rows, ");
    sql.raw(&format!(
        "ceil(extract(epoch from (min({since})::timestamptz at time zone 'UTC' + interval '{}'{lies}) at time zone 'UTC' - now()))::text as oldest from ",
        rule.span
    ));
    sql.table(&entity.name)
        .raw(" t where not coalesce(")
        .raw(&goes(entity, rule, "t"))
        .raw(", false)");
    sql
}

/// Carries a rule out on some rows, leaving out those of people who are `held` (their ids): the ids of a person's own row and of
/// all references to data subjects. With them a note of how many is committed, for which it needs the tenant's `permit`.
#[must_use]
pub fn expire_some(
    entity: &Entity,
    rule: &Expiry,
    permit: &str,
    held: &[String],
    most: u32,
) -> Sql {
    let mut sql = Sql::new();
    sql.raw("with done as (");
    match &rule.remains {
        Remains::Nothing => {
            sql.raw("delete from ").target(&entity.name).raw(" x");
        }
        Remains::Without(fields) => {
            sql.raw("update ")
                .target(&entity.name)
                .raw(" x set ")
                .raw(&emptied(&columns(entity, fields)));
        }
        Remains::Coarser(fields) => {
            let less = |coarser: &Coarser| {
                let column = ident(&coarser.field);
                format!("{column} = {}", coarser.of(&format!("x.{column}")))
            };
            let less: Vec<String> = fields.iter().map(less).collect();
            sql.raw("update ").target(&entity.name).raw(" x set ").raw(&less.join(", "));
        }
    }
    sql.raw(" where x.id = any (array(select t.id from ").target(&entity.name);
    sql.raw(" t where ").raw(&match rule.within {
        None => over(entity, rule, "t"),
        Some(_) => goes(entity, rule, "t"),
    });
    if !held.is_empty() {
        let people = entity.fields.iter().filter(|field| field.on_erase.is_some());
        let people = people.map(|field| &*field.name).chain(entity.subject.then_some("id"));
        for column in people {
            sql.raw(" and (t.").ident(column).raw(" is null or t.").ident(column).raw(" <> all (");
            sql.param(Some(crate::query::value::array_literal(held))).raw("::uuid[]))");
        }
    }
    sql.target_ends("t").raw(&format!(" order by t.{}, t.id limit ", ident(&rule.since)));
    sql.param(Some(most.to_string())).raw(" for no key update skip locked))");
    sql.target_ends("x").writing().raw(" returning 1)");
    sql.raw(" select '[]'::text as body, freehold.rows_removed(");
    sql.param(Some(permit.to_owned())).raw("::uuid, ");
    sql.param(Some(entity.name.to_string())).raw("::text, ");
    sql.param(Some(rule.to_string())).raw("::text, ").raw(&cut_off(rule));
    sql.raw(", (select count(*) from done)) as rows");
    sql
}

/// What is over now, or with `within` has to be gone by now, is of this time or before.
fn cut_off(rule: &Expiry) -> String {
    let lies = rule.within.map_or_else(String::new, |within| format!(" - interval '{within}'"));
    format!("(now() at time zone 'UTC' - interval '{}'{lies}) at time zone 'UTC'", rule.span)
}

/// That a row is over, and the rule not carried out.
fn over(entity: &Entity, rule: &Expiry, alias: &str) -> String {
    let over = passed(entity, rule, alias);
    match &rule.remains {
        Remains::Nothing => over,
        Remains::Without(fields) => {
            format!("{over} and {}", filled(&columns(entity, fields), alias))
        }
        Remains::Coarser(fields) => {
            let says_more = |coarser: &Coarser| {
                let column = format!("{alias}.{}", ident(&coarser.field));
                format!("{column} is distinct from {}", coarser.of(&column))
            };
            let more: Vec<String> = fields.iter().map(says_more).collect();
            format!("{over} and ({})", more.join(" or "))
        }
    }
}

/// That its time is over.
fn passed(entity: &Entity, rule: &Expiry, alias: &str) -> String {
    let cuts = Cut::all(entity);
    let at = entity.expires.iter().position(|other| other == rule);
    let until = at.and_then(|at| cuts.get(at)).map_or("null", |cut| cut.until.as_str());
    format!("{alias}.{} <= {until}", ident(&rule.since))
}

/// That it has to be gone by now: what may lie until its slice goes has lain for so long.
fn goes(entity: &Entity, rule: &Expiry, alias: &str) -> String {
    match rule.within {
        None => passed(entity, rule, alias),
        // Only rules of a time have one.
        Some(_) => format!("{alias}.{} <= {}", ident(&rule.since), cut_off(rule)),
    }
}

fn columns(entity: &Entity, fields: &[Name]) -> Vec<String> {
    let of = |name: &Name| {
        let lookup = entity.field(name).and_then(Field::lookup).map(|_| lookup_column(name));
        [name.to_string()].into_iter().chain(lookup)
    };
    fields.iter().flat_map(of).collect()
}

fn emptied(columns: &[String]) -> String {
    columns.iter().map(|name| format!("{} = null", ident(name))).collect::<Vec<_>>().join(", ")
}

fn filled(columns: &[String], alias: &str) -> String {
    if columns.is_empty() {
        return "false".into();
    }
    let columns: Vec<String> =
        columns.iter().map(|name| format!("{alias}.{}", ident(name))).collect();
    format!("num_nonnulls({}) > 0", columns.join(", "))
}
