//! From the text of a `select` and its key to a [`ReadModel`].

use sqlparser::{
    ast::{self, Statement},
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, Tokenizer},
};

use crate::{
    entity::{Bounds, Entity, Field, Key, Kind, Scalar},
    names::Name,
    suggest::suggest,
    view::{
        ReadModel, derive,
        error::{Checked, Fault, Spot, Wrong},
        ir::{Distinct, Output, Query},
        render,
        scope::{Translator, quoted},
        select::Use,
        typing::{Base, Type},
        unique,
    },
};

/// Longest SQL in bytes, and most words and signs in it: what is nested in it must fit the stack.
const BYTES_MAX: usize = 32 * 1024;
const TOKENS_MAX: usize = 4_000;

/// Columns of a key, and of a read model.
const KEY_MAX: usize = 8;
const COLUMNS_MAX: usize = 300;

/// A read model as its author wrote it.
pub(crate) struct Written<'a> {
    pub(crate) name: &'a Name,
    pub(crate) about: Option<String>,
    pub(crate) key: &'a [&'a str],
    pub(crate) sql: &'a str,
    pub(crate) indexes: Vec<Key>,
    /// Text search configuration by column.
    pub(crate) search: &'a [(&'a str, String)],
    pub(crate) entities: &'a [Entity],
    /// The names of all read models.
    pub(crate) reads: &'a [String],
}

/// A compiled read model, and what its author may want to think about.
pub(crate) struct Compiled {
    pub(crate) model: ReadModel,
    pub(crate) warning: Option<String>,
}

/// Compiles a read model.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn compile(written: Written<'_>) -> Checked<Compiled> {
    let statement = parse(written.sql)?;
    let select = select(&statement)?;
    let mut reader = Translator::new(written.entities, written.reads);
    let query = reader.query(select, Use::Table)?;
    whole(&query, &reader)?;
    let fields = fields(&query, written.search)?;
    let key = key(&written, &query, &fields)?;
    if !unique::told_apart(&reader, &query, written.key) {
        return Err(twice(&query, written.key));
    }
    let derived = derive::derive(&reader, &query, written.key)?;
    let shape = Entity {
        name: written.name.clone(),
        was: None,
        about: written.about,
        fields,
        uniques: vec![Key { fields: key.clone() }],
        indexes: written.indexes,
        key: Some(key.clone()),
        subject: false,
        expires: Vec::new(),
        slices: None,
        anonymous: false,
    };
    let unit = derived.unit.iter().filter_map(|name| Name::new(name).ok()).collect();
    let model = ReadModel {
        shape,
        key,
        unit,
        text: written.sql.to_owned(),
        definition: render::definition(&query),
        sources: derived.sources,
        touches: derived.touches,
        said: derived.said,
        anchor: derived.anchor,
    };
    Ok(Compiled { model, warning: derived.warning })
}

fn parse(sql: &str) -> Checked<Vec<Statement>> {
    let nowhere = Spot::empty();
    let too_long = || {
        Fault::form(
            nowhere,
            "the SQL is too long",
            format!("write at most {BYTES_MAX} bytes and {TOKENS_MAX} words and signs"),
        )
    };
    if sql.len() > BYTES_MAX {
        return Err(too_long());
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| {
        let at = Spot::new(error.location, error.location);
        Fault::new(
            Wrong::Syntax,
            at,
            format!("this is no SQL: {}", lowered(&error.message)),
            "close what is open here, or remove it",
        )
    })?;
    if tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count()
        > TOKENS_MAX
    {
        return Err(too_long());
    }
    Parser::new(&dialect).with_tokens_with_locations(tokens).parse_statements().map_err(|error| {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => "it is nested too deep".into(),
        };
        let (message, at) = located(&text);
        Fault::new(
            Wrong::Syntax,
            at,
            format!("this is no SQL: {}", lowered(message)),
            "write one `select`, in PostgreSQL's SQL",
        )
    })
}

/// The parser says places in words, at the end.
fn located(text: &str) -> (&str, Spot) {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let parts = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Location::new(number(line)?, number(column)?)))
    });
    match parts {
        Some((message, at)) => (message, Spot::new(at, at)),
        None => (text, Spot::empty()),
    }
}

fn lowered(message: &str) -> String {
    let mut chars = message.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn select(statements: &[Statement]) -> Checked<&ast::Query> {
    use sqlparser::ast::Spanned as _;
    match statements {
        [Statement::Query(query)] => Ok(query),
        [] => Err(Fault::new(
            Wrong::Syntax,
            Spot::empty(),
            "there is no SQL here",
            "write a `select`",
        )),
        [other] => Err(Fault::form(other.span(), "a read model only reads", "write a `select`")),
        [_, second, ..] => Err(Fault::form(
            second.span(),
            "a read model is one statement, and this is a second one",
            "keep the `select`; a second one is another read model",
        )),
    }
}

/// What only the outermost `select` must not have.
fn whole(query: &Query, reader: &Translator<'_>) -> Checked<()> {
    let nowhere = Spot::empty();
    if query.limit.is_some() || query.offset.is_some() {
        return Err(Fault::form(
            nowhere,
            "which rows are among the first of all can change with every row",
            "keep the first n of each group with `cross join lateral (select … where … = … order by … limit n)`, or read with `order` and `limit`",
        ));
    }
    if !query.order.is_empty() && !matches!(query.distinct, Distinct::On(_)) {
        return Err(Fault::form(
            nowhere,
            "a table has no order",
            "remove `order by`, and order when you read",
        ));
    }
    if query.group.as_ref().is_some_and(Vec::is_empty) {
        return Err(Fault::form(
            nowhere,
            "an aggregate without `group by` makes one row of all rows, and every change would read them all",
            "group by something that divides the rows, and add up the few rows when you read",
        ));
    }
    if !(0..reader.tables.len()).any(|table| reader.entity_of(table).is_some()) {
        return Err(Fault::form(
            nowhere,
            "this reads no entity",
            "write `select … from` an entity",
        ));
    }
    if query.outputs.len() > COLUMNS_MAX {
        return Err(Fault::form(
            nowhere,
            format!("a read model has at most {COLUMNS_MAX} columns"),
            "put some of them into a `jsonb_build_object(…)`",
        ));
    }
    Ok(())
}

fn fields(query: &Query, search: &[(&str, String)]) -> Checked<Vec<Field>> {
    let field = |output: &Output| {
        let name = Name::new(&output.name).map_err(|rule| {
            Fault::new(Wrong::Name, Spot::empty(), rule, "give the column another name with `as`")
        })?;
        if ["tenant_id", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"].contains(&&*name)
            || (*name == *"id" && output.expr.typ.base() != Base::Scalar(Scalar::Uuid))
        {
            return Err(Fault::new(
                Wrong::Name,
                Spot::empty(),
                format!("a column cannot be called `{name}`"),
                "give it another name with `as`",
            ));
        }
        let kind = match output.expr.typ.clone() {
            Type::Of(Kind::Vector(vector)) => {
                Kind::Vector(crate::entity::Vector { of: Vec::new(), ..vector })
            }
            Type::Of(kind) => kind,
            Type::Open => Kind::Scalar(Scalar::Text),
            Type::Interval => {
                return Err(Fault::typing(
                    Spot::empty(),
                    format!("the column `{name}` is an interval, which no column can hold"),
                    "write its seconds, `extract(epoch from …)`",
                ));
            }
            Type::Timestamp => {
                return Err(Fault::typing(
                    Spot::empty(),
                    format!(
                        "the column `{name}` is a time without a zone, which no column can hold"
                    ),
                    "say its zone, `… at time zone 'UTC'`, or cast it to `date`",
                ));
            }
        };
        let search = search
            .iter()
            .find(|(column, _)| *column == &*name)
            .map(|(_, language)| language.clone());
        Ok(Field {
            name,
            was: None,
            about: None,
            kind,
            optional: output.expr.nullable,
            default: None,
            bounds: Bounds::default(),
            search,
            privacy: None,
            on_erase: None,
            generalises: None,
        })
    };
    query.outputs.iter().map(field).collect()
}

fn key(written: &Written<'_>, query: &Query, fields: &[Field]) -> Checked<Vec<Name>> {
    let mut key: Vec<Name> = Vec::new();
    let wrong = |at: usize, message: String, help: String| {
        let mut fault = Fault::new(Wrong::Key, Spot::empty(), message, help);
        fault.key = Some(at);
        Err(fault)
    };
    for (at, name) in written.key.iter().enumerate() {
        let Some(field) = fields.iter().find(|field| *field.name == **name) else {
            let known: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
            let help = match suggest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the `select` has {}", quoted(&known)),
            };
            return wrong(at, format!("the `select` has no column `{name}`"), help);
        };
        if key.contains(&field.name) {
            return wrong(
                at,
                format!("`{name}` is in the key twice"),
                "remove one of the two".into(),
            );
        }
        if !matches!(&field.kind, Kind::Scalar(scalar) if *scalar != Scalar::Jsonb)
            && !matches!(&field.kind, Kind::Enum(_) | Kind::Ref(_))
        {
            return wrong(
                at,
                format!(
                    "`{name}` is {}, which cannot be part of a key",
                    Type::Of(field.kind.clone()).base().noun()
                ),
                "choose columns with plain values, such as an `id`".into(),
            );
        }
        if query.outputs.iter().any(|output| output.name == **name && output.expr.nullable) {
            return wrong(at, format!("`{name}` may be null, and a key may not"), "join with `join` instead of `left join`, leave such rows out with `where … is not null`, or name them with `coalesce(…, …)`".into());
        }
        key.push(field.name.clone());
    }
    if key.is_empty() || key.len() > KEY_MAX {
        return wrong(
            0,
            format!("a key has between 1 and {KEY_MAX} columns"),
            "name the columns that tell the rows apart".into(),
        );
    }
    Ok(key)
}

/// That a key does not tell the rows apart.
fn twice(query: &Query, key: &[&str]) -> Box<Fault> {
    let mut fault = match query.group.as_deref() {
        Some(group) => {
            let missing: Vec<&str> = query
                .outputs
                .iter()
                .filter(|output| {
                    group.contains(&output.expr) && !key.contains(&output.name.as_str())
                })
                .map(|output| output.name.as_str())
                .collect();
            let help = if missing.is_empty() {
                "group by the columns of the key and nothing else".into()
            } else {
                format!("add {} to the key, or take it out of `group by`", quoted(&missing))
            };
            Fault::new(
                Wrong::Key,
                Spot::empty(),
                "the groups are finer than the key: two of them may have the same one",
                help,
            )
        }
        None => Fault::new(
            Wrong::Key,
            Spot::empty(),
            "two rows may have the same key",
            "add `group by` with the columns of the key, or put into the key the `id` of each entity that is joined, or a unique field of it",
        ),
    };
    fault.key = Some(0);
    fault
}
