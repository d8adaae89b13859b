//! The functions, aggregates and window functions that a definition may call: all of them always give the same value
//! for the same arguments, in a session whose time zone is UTC.

use crate::{
    entity::Scalar::{
        self, BigInt, Boolean, Bytea, Date, Double, Integer, Jsonb, SmallInt, Text, TimestampTz,
        Uuid,
    },
    view::typing::Base,
};

const NUMERIC: Scalar = Scalar::Numeric(None);

const T: Base = Base::Scalar(Text);
const H: Base = Base::Scalar(SmallInt);
const I: Base = Base::Scalar(Integer);
const B: Base = Base::Scalar(BigInt);
const N: Base = Base::Scalar(NUMERIC);
const F: Base = Base::Scalar(Double);
const L: Base = Base::Scalar(Boolean);
const U: Base = Base::Scalar(Uuid);
const Z: Base = Base::Scalar(TimestampTz);
const D: Base = Base::Scalar(Date);
const J: Base = Base::Scalar(Jsonb);
const Y: Base = Base::Scalar(Bytea);
const V: Base = Base::Interval;
const S: Base = Base::Timestamp;

/// A function of fixed types.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// What PostgreSQL is given.
    pub(crate) sql: &'static str,
    pub(crate) args: &'static [Base],
    pub(crate) gives: Base,
    /// Whether it may be null although no argument is.
    pub(crate) may_miss: bool,
}

const fn f(name: &'static str, sql: &'static str, args: &'static [Base], gives: Base) -> Function {
    Function { name, sql, args, gives, may_miss: false }
}

const fn m(name: &'static str, sql: &'static str, args: &'static [Base], gives: Base) -> Function {
    Function { name, sql, args, gives, may_miss: true }
}

/// Those of one name stand together, narrower types first.
pub(crate) static FUNCTIONS: &[Function] = &[
    f("lower", "pg_catalog.lower", &[T], T),
    f("upper", "pg_catalog.upper", &[T], T),
    f("initcap", "pg_catalog.initcap", &[T], T),
    f("length", "pg_catalog.length", &[T], I),
    f("length", "pg_catalog.length", &[Y], I),
    f("char_length", "pg_catalog.char_length", &[T], I),
    f("character_length", "pg_catalog.char_length", &[T], I),
    f("octet_length", "pg_catalog.octet_length", &[T], I),
    f("octet_length", "pg_catalog.octet_length", &[Y], I),
    f("left", "pg_catalog.\"left\"", &[T, I], T),
    f("right", "pg_catalog.\"right\"", &[T, I], T),
    f("lpad", "pg_catalog.lpad", &[T, I], T),
    f("lpad", "pg_catalog.lpad", &[T, I, T], T),
    f("rpad", "pg_catalog.rpad", &[T, I], T),
    f("rpad", "pg_catalog.rpad", &[T, I, T], T),
    f("btrim", "pg_catalog.btrim", &[T], T),
    f("btrim", "pg_catalog.btrim", &[T, T], T),
    f("ltrim", "pg_catalog.ltrim", &[T], T),
    f("ltrim", "pg_catalog.ltrim", &[T, T], T),
    f("rtrim", "pg_catalog.rtrim", &[T], T),
    f("rtrim", "pg_catalog.rtrim", &[T, T], T),
    f("replace", "pg_catalog.replace", &[T, T, T], T),
    f("translate", "pg_catalog.translate", &[T, T, T], T),
    f("reverse", "pg_catalog.reverse", &[T], T),
    f("repeat", "pg_catalog.repeat", &[T, I], T),
    f("strpos", "pg_catalog.strpos", &[T, T], I),
    f("substr", "pg_catalog.substr", &[T, I], T),
    f("substr", "pg_catalog.substr", &[T, I, I], T),
    m("substr", "pg_catalog.\"substring\"", &[T, T], T),
    f("split_part", "pg_catalog.split_part", &[T, T, I], T),
    f("starts_with", "pg_catalog.starts_with", &[T, T], L),
    f("regexp_replace", "pg_catalog.regexp_replace", &[T, T, T], T),
    f("regexp_replace", "pg_catalog.regexp_replace", &[T, T, T, T], T),
    f("md5", "pg_catalog.md5", &[T], T),
    f("sha256", "pg_catalog.sha256", &[Y], Y),
    f("encode", "pg_catalog.encode", &[Y, T], T),
    f("string_to_array", "pg_catalog.string_to_array", &[T, T], Base::Array(Text)),
    f("abs", "pg_catalog.abs", &[H], H),
    f("abs", "pg_catalog.abs", &[I], I),
    f("abs", "pg_catalog.abs", &[B], B),
    f("abs", "pg_catalog.abs", &[N], N),
    f("abs", "pg_catalog.abs", &[F], F),
    f("ceil", "pg_catalog.ceil", &[N], N),
    f("ceil", "pg_catalog.ceil", &[F], F),
    f("ceiling", "pg_catalog.ceil", &[N], N),
    f("ceiling", "pg_catalog.ceil", &[F], F),
    f("floor", "pg_catalog.floor", &[N], N),
    f("floor", "pg_catalog.floor", &[F], F),
    f("round", "pg_catalog.round", &[N], N),
    f("round", "pg_catalog.round", &[F], F),
    f("round", "pg_catalog.round", &[N, I], N),
    f("trunc", "pg_catalog.trunc", &[N], N),
    f("trunc", "pg_catalog.trunc", &[F], F),
    f("trunc", "pg_catalog.trunc", &[N, I], N),
    f("sign", "pg_catalog.sign", &[N], N),
    f("sign", "pg_catalog.sign", &[F], F),
    f("mod", "pg_catalog.mod", &[I, I], I),
    f("mod", "pg_catalog.mod", &[B, B], B),
    f("mod", "pg_catalog.mod", &[N, N], N),
    f("div", "pg_catalog.div", &[N, N], N),
    f("sqrt", "pg_catalog.sqrt", &[F], F),
    f("power", "pg_catalog.power", &[F, F], F),
    f("exp", "pg_catalog.exp", &[F], F),
    f("ln", "pg_catalog.ln", &[F], F),
    f("log", "pg_catalog.log", &[F], F),
    f("date_trunc", "pg_catalog.date_trunc", &[T, Z], Z),
    f("date_trunc", "pg_catalog.date_trunc", &[T, S], S),
    f("date_trunc", "pg_catalog.date_trunc", &[T, V], V),
    f("date_trunc", "pg_catalog.date_trunc", &[T, Z, T], Z),
    f("date_bin", "pg_catalog.date_bin", &[V, Z, Z], Z),
    f("date_part", "pg_catalog.date_part", &[T, D], F),
    f("date_part", "pg_catalog.date_part", &[T, Z], F),
    f("date_part", "pg_catalog.date_part", &[T, S], F),
    f("date_part", "pg_catalog.date_part", &[T, V], F),
    f("extract", "pg_catalog.\"extract\"", &[T, D], N),
    f("extract", "pg_catalog.\"extract\"", &[T, Z], N),
    f("extract", "pg_catalog.\"extract\"", &[T, S], N),
    f("extract", "pg_catalog.\"extract\"", &[T, V], N),
    f("timezone", "pg_catalog.timezone", &[T, Z], S),
    f("timezone", "pg_catalog.timezone", &[T, S], Z),
    f("make_date", "pg_catalog.make_date", &[I, I, I], D),
    f("to_timestamp", "pg_catalog.to_timestamp", &[F], Z),
    f("to_char", "pg_catalog.to_char", &[Z, T], T),
    f("to_char", "pg_catalog.to_char", &[S, T], T),
    f("to_char", "pg_catalog.to_char", &[I, T], T),
    f("to_char", "pg_catalog.to_char", &[B, T], T),
    f("to_char", "pg_catalog.to_char", &[N, T], T),
    f("to_char", "pg_catalog.to_char", &[F, T], T),
    f("jsonb_array_length", "pg_catalog.jsonb_array_length", &[J], I),
    f("jsonb_typeof", "pg_catalog.jsonb_typeof", &[J], T),
    f("jsonb_strip_nulls", "pg_catalog.jsonb_strip_nulls", &[J], J),
    f("uuid_send", "pg_catalog.uuid_send", &[U], Y),
];

/// Functions that are refused for a reason of their own.
pub(crate) fn refused(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "now"
        | "current_timestamp"
        | "current_date"
        | "current_time"
        | "localtime"
        | "localtimestamp"
        | "clock_timestamp"
        | "statement_timestamp"
        | "transaction_timestamp"
        | "timeofday"
        | "age" => (
            "depends on when it is asked, and a row would be wrong as soon as time went on",
            "leave time out of the SQL, carry the time itself as a column, and compare it with now when you read",
        ),
        "random" | "gen_random_uuid" | "uuidv4" | "uuidv7" | "random_normal" | "nextval"
        | "setseed" => (
            "gives another value each time, so no row would ever be right",
            "carry a column of the rows themselves",
        ),
        "current_user" | "session_user" | "current_role" | "user" | "current_setting"
        | "current_database" | "current_schema" | "pg_backend_pid" | "txid_current" | "version" => {
            ("depends on the session, and rows are made by the workers' sessions", "leave it out")
        }
        "unnest"
        | "generate_series"
        | "jsonb_array_elements"
        | "jsonb_array_elements_text"
        | "jsonb_each"
        | "jsonb_each_text"
        | "jsonb_object_keys"
        | "regexp_split_to_table"
        | "string_to_table"
        | "regexp_matches"
        | "jsonb_to_recordset"
        | "json_array_elements" => (
            "gives several rows, and which of them a change touches cannot be told",
            "make the parts rows of an entity of their own, with a reference to this one",
        ),
        "any_value" => {
            ("may give another value each time it is asked", "write `min(…)` or `max(…)`")
        }
        "json_agg" | "json_object_agg" | "json_build_object" | "json_build_array" | "to_json"
        | "row_to_json" => {
            ("makes `json`, which keeps spaces and has no equality", "write the same with `jsonb`")
        }
        "to_tsvector"
        | "to_tsquery"
        | "plainto_tsquery"
        | "websearch_to_tsquery"
        | "setweight"
        | "ts_rank" => (
            "makes what a read model keeps by itself",
            "let the read model carry the text, and say `search = { column = \"english\" }` beside `sql`",
        ),
        "group_concat" | "listagg" => ("is not PostgreSQL's", "write `string_agg(…, ', ')`"),
        "ifnull" | "nvl" => ("is not PostgreSQL's", "write `coalesce(…)`"),
        "count_distinct" => ("is not PostgreSQL's", "write `count(distinct …)`"),
        "set_config" | "pg_sleep" | "dblink" | "lo_import" | "pg_read_file" | "query_to_xml" => {
            ("does something besides giving a value", "leave it out")
        }
        _ => return None,
    })
}

/// Names to suggest for a mistyped one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    const OTHERS: [&str; 46] = [
        "coalesce",
        "nullif",
        "greatest",
        "least",
        "concat",
        "concat_ws",
        "substring",
        "trim",
        "position",
        "array_length",
        "cardinality",
        "array_position",
        "array_to_string",
        "array_append",
        "array_remove",
        "jsonb_build_object",
        "jsonb_build_array",
        "to_jsonb",
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "bool_and",
        "bool_or",
        "every",
        "array_agg",
        "string_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "stddev",
        "stddev_samp",
        "stddev_pop",
        "variance",
        "var_samp",
        "var_pop",
        "percentile_cont",
        "percentile_disc",
        "row_number",
        "rank",
        "dense_rank",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
    ];
    FUNCTIONS.iter().map(|function| function.name).chain(OTHERS)
}
