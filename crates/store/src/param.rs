//! Parameters on the wire: text for single values, binary arrays for columns of many rows.

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

/// A value in text format, whatever type PostgreSQL infers for it.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Encoded {
        Ok(match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Texts as PostgreSQL writes a `text[]`.
pub(crate) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = texts
        .into_iter()
        .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// One column of many rows for [`crate::TenantTx::load`]; all columns of a load are of one length.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// For a parameter `text[]`: values in their types' text form.
    Text(Vec<Option<String>>),
    /// For a parameter `freehold_ext.vector[]`.
    Vector(Vec<Option<Vec<f32>>>),
    /// For a parameter `freehold_ext.halfvec[]`: the bits of IEEE half-precision numbers.
    Halfvec(Vec<Option<Vec<u16>>>),
}

impl Column {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Vector(values) => values.len(),
            Self::Halfvec(values) => values.len(),
        }
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ToSql for Column {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Encoded {
        let Kind::Array(element) = ty.kind() else {
            return Err("the parameter is not an array".into());
        };
        let wanted = match self {
            Self::Text(_) => "text",
            Self::Vector(_) => "vector",
            Self::Halfvec(_) => "halfvec",
        };
        if element.name() != wanted {
            return Err(format!(
                "the parameter is an array of {}, not of {wanted}",
                element.name()
            )
            .into());
        }
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(element.oid());
        out.put_i32(i32::try_from(self.len())?);
        out.put_i32(1);
        match self {
            Self::Text(values) => each(values, out, |text, out| {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            })?,
            Self::Vector(values) => each(values, out, |vector, out| {
                dimensions(vector.len(), out)?;
                vector.iter().for_each(|number| out.put_f32(*number));
                Ok(())
            })?,
            Self::Halfvec(values) => each(values, out, |vector, out| {
                dimensions(vector.len(), out)?;
                vector.iter().for_each(|bits| out.put_u16(*bits));
                Ok(())
            })?,
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

fn each<T>(
    values: &[Option<T>],
    out: &mut BytesMut,
    put: impl Fn(&T, &mut BytesMut) -> Result<(), Box<dyn std::error::Error + Sync + Send>>,
) -> Result<(), Box<dyn std::error::Error + Sync + Send>> {
    for value in values {
        let at = out.len();
        out.put_i32(-1);
        if let Some(value) = value {
            put(value, out)?;
            let length = i32::try_from(out.len() - at - 4)?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

// pgvector's binary form: the number of dimensions, a reserved zero, the numbers.
fn dimensions(
    count: usize,
    out: &mut BytesMut,
) -> Result<(), Box<dyn std::error::Error + Sync + Send>> {
    out.put_i16(i16::try_from(count)?);
    out.put_i16(0);
    Ok(())
}
