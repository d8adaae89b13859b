//! What PostgreSQL calls the types of fields, and pgvector their distances.

use super::{Kind, Metric, Scalar, Vector, VectorForm};

impl Scalar {
    /// PostgreSQL's name of the type.
    #[must_use]
    pub fn sql_type(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::SmallInt => "smallint".into(),
            Self::Integer => "integer".into(),
            Self::BigInt => "bigint".into(),
            Self::Numeric(None) => "numeric".into(),
            Self::Numeric(Some((precision, scale))) => format!("numeric({precision},{scale})"),
            Self::Double => "double precision".into(),
            Self::Boolean => "boolean".into(),
            Self::Uuid => "uuid".into(),
            Self::TimestampTz => "timestamptz".into(),
            Self::Date => "date".into(),
            Self::Jsonb => "jsonb".into(),
            Self::Bytea => "bytea".into(),
        }
    }
}

impl Vector {
    /// The type with its dimensions, qualified: pgvector lives in the schema `freehold_ext`.
    #[must_use]
    pub fn sql_type(&self) -> String {
        let n = self.dimensions;
        match self.form {
            VectorForm::Vector => format!("freehold_ext.vector({n})"),
            VectorForm::Halfvec => format!("freehold_ext.halfvec({n})"),
            VectorForm::Sparsevec => format!("freehold_ext.sparsevec({n})"),
            VectorForm::Bit => format!("bit({n})"),
        }
    }
}

impl Kind {
    /// PostgreSQL's type of the column. Enums are `text` with a check.
    #[must_use]
    pub fn sql_type(&self) -> String {
        match self {
            Self::Scalar(scalar) => scalar.sql_type(),
            Self::Array(scalar) => format!("{}[]", scalar.sql_type()),
            Self::Enum(_) => "text".into(),
            Self::Vector(vector) => vector.sql_type(),
            Self::Ref(_) | Self::Blob(_) => "uuid".into(),
        }
    }
}

impl Metric {
    /// pgvector's operator, qualified so that no search path can change its meaning.
    #[must_use]
    pub fn operator(self) -> &'static str {
        match self {
            Self::Cosine => "operator(freehold_ext.<=>)",
            Self::L2 => "operator(freehold_ext.<->)",
            Self::Ip => "operator(freehold_ext.<#>)",
            Self::L1 => "operator(freehold_ext.<+>)",
            Self::Hamming => "operator(freehold_ext.<~>)",
            Self::Jaccard => "operator(freehold_ext.<%>)",
        }
    }
}
