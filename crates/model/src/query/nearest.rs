//! `nearest`: what it may be told, and the forms a vector can be written in.

use super::{
    level::{Anchor, Form, Nearest, Part},
    lexer::{Cursor, shorten},
    parse::not_built,
    rank, value,
};
use crate::{
    Code, Name, Refusal,
    ddl::copy_name,
    entity::{Entity, Field, Kind, Metric, Vector, VectorForm},
};

const METRICS: [(&str, Metric); 6] = [
    ("cosine", Metric::Cosine),
    ("l2", Metric::L2),
    ("ip", Metric::Ip),
    ("l1", Metric::L1),
    ("hamming", Metric::Hamming),
    ("jaccard", Metric::Jaccard),
];

/// Numbers given to texts and row operands, counted over the whole query.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) slots: usize,
    pub(crate) anchors: usize,
}

/// Checks `nearest(mods).operand` on `field`.
pub(crate) fn check(
    entity: &Entity,
    field: &Field,
    mods: &[String],
    operand: &str,
    k_max: u64,
    numbers: &mut Numbers,
) -> Result<Nearest, Refusal> {
    let Kind::Vector(vector) = &field.kind else {
        return Err(Refusal::new(
            Code::Syntax,
            format!("nearest needs a vector field, and {} is none", field.name),
        ));
    };
    let mut nearest = Nearest {
        field: field.name.clone(),
        copy: field.copied().map(|_| copy_name(&entity.name, &field.name)),
        form: vector.form,
        dimensions: vector.dimensions,
        metric: vector.metric,
        declared: true,
        part: Part::default(),
        capped: false,
        max: None,
        min: None,
        anchor: anchor(entity, field, vector, operand, numbers)?,
        sealed: match super::sealed::shown(entity, field) {
            Some(Form::Sealed(shown)) if field.copied().is_none() => Some(shown),
            _ => None,
        },
        found: None,
    };
    for text in mods {
        modify(&mut nearest, text, k_max)?;
    }
    Ok(nearest)
}

/// That a sealed vector cannot be searched so.
pub(crate) fn sealed(entity: &str, field: &str, what: &str) -> Refusal {
    Refusal::new(Code::Sealed, format!("{field} of {entity} is a sealed vector and {what}")).hint(
        "nearest on it alone, of the entity itself, measures every row that fits; or declare it with stored = \"derived\", which is searched in a copy that is in no backup",
    )
}

fn modify(nearest: &mut Nearest, text: &str, k_max: u64) -> Result<(), Refusal> {
    let field = nearest.field.clone();
    let wrong = |problem: String| {
        let message = format!("nearest of {} cannot be told `{}`", field, shorten(text));
        Refusal::new(Code::Syntax, message).detail(problem)
    };
    if let Some((_, metric)) = METRICS.iter().find(|(name, _)| *name == text) {
        let of_bits = matches!(metric, Metric::Hamming | Metric::Jaccard);
        if of_bits != (nearest.form == VectorForm::Bit) {
            return Err(wrong(format!(
                "{} has vectors of another kind than this metric compares",
                nearest.field
            )));
        }
        nearest.declared = nearest.metric == *metric;
        nearest.metric = *metric;
        return Ok(());
    }
    let Some((key, value)) = text.split_once(':') else {
        return Err(wrong(
            "it takes a metric (cosine, l2, ip, l1, hamming, jaccard), k:, max:, min:, as: and w:"
                .into(),
        ));
    };
    let bound = || match value.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number.to_string())),
        _ => Err(wrong(format!("{key}: takes a number"))),
    };
    match key {
        "max" => nearest.max = bound()?,
        "min" => nearest.min = bound()?,
        _ if rank::told(&mut nearest.part, key, value, k_max).map_err(wrong)? => {}
        _ => return Err(wrong("it takes a metric, k:, max:, min:, as: and w:".into())),
    }
    Ok(())
}

fn anchor(
    entity: &Entity,
    field: &Field,
    vector: &Vector,
    operand: &str,
    numbers: &mut Numbers,
) -> Result<Anchor, Refusal> {
    if let Some(text) = operand.strip_prefix("text:") {
        return text_anchor(field, vector, text, numbers);
    }
    if let Some(row) = operand.strip_prefix("row:") {
        let (column, value) = row_key(entity, row)?;
        numbers.anchors += 1;
        return Ok(Anchor::Row { number: numbers.anchors - 1, column, value });
    }
    if operand.starts_with('$') {
        return Err(not_built("a vector bound from the request's body")
            .detail(format!("{}=nearest.{}", field.name, shorten(operand)))
            .hint("write the vector out; POST /rest/v1/query/… takes a long query as its body"));
    }
    let packed = [("f32:", 4), ("f16:", 2)].into_iter().find_map(|(prefix, width)| {
        operand
            .strip_prefix(prefix)
            .map(|text| unpack(text, width).map_err(|problem| (prefix, problem)))
    });
    match packed {
        None => {
            value::check_text(&field.name, &field.kind, operand).map_err(|refusal| match refusal.hint {
                Some(_) if operand.starts_with(['[', '{', '0', '1']) => refusal,
                _ if operand.starts_with('[') => refusal,
                _ => refusal.hint("write nearest.[0.1,…], nearest.row:<id>, nearest.text:<words> or nearest.f32:<base64url>"),
            })?;
            Ok(Anchor::Given(operand.trim().to_owned()))
        }
        Some(Err((prefix, problem))) => Err(Refusal::new(
            Code::Vector,
            format!("a vector for {} cannot be read after {prefix}", field.name),
        )
        .detail(problem)
        .hint("it is base64url of little-endian numbers")),
        Some(Ok(_)) if vector.form == VectorForm::Bit => Err(Refusal::new(
            Code::Vector,
            format!("a vector for {} is written in bits", field.name),
        )),
        Some(Ok(numbers)) => {
            let finite = numbers
                .iter()
                .map(|number| Some(f64::from(*number)).filter(|number| number.is_finite()));
            value::check_elements(&field.name, finite, vector.dimensions, vector.form)?;
            Ok(Anchor::Given(vector_text(vector.form, &numbers)))
        }
    }
}

fn text_anchor(
    field: &Field,
    vector: &Vector,
    text: &str,
    numbers: &mut Numbers,
) -> Result<Anchor, Refusal> {
    if vector.of.is_empty() {
        return Err(Refusal::new(
            Code::InvalidValue,
            format!("{} is not made from text", field.name),
        )
        .hint("give it a vector, or a row to compare with"));
    }
    if text.trim().is_empty() {
        return Err(Refusal::new(Code::InvalidValue, "nearest.text: has no text"));
    }
    let (text, embedder) = (text.to_owned(), vector.embedder.clone());
    numbers.slots += 1;
    Ok(Anchor::Text { slot: numbers.slots - 1, text, embedder, bound: None })
}

/// The column and value of `row:<id>` or `row:<unique field>.<value>`.
fn row_key(entity: &Entity, row: &str) -> Result<(String, String), Refusal> {
    if value::is_uuid(row) && entity.key.is_none() {
        return Ok(("id".into(), row.to_owned()));
    }
    let unique: Vec<&Name> = entity
        .uniques
        .iter()
        .filter_map(|key| if let [field] = &key.fields[..] { Some(field) } else { None })
        .filter(|name| entity.field(name).is_none_or(|field| field.sealed().is_none()))
        .collect();
    let refuse = || {
        let known: Vec<String> =
            unique.iter().map(|name| format!(", row:{name}.<value>")).collect();
        Refusal::new(Code::InvalidValue, "nearest.row: does not say a row")
            .detail(shorten(row))
            .hint(format!("write row:<id>{}", known.concat()))
    };
    let mut cursor = Cursor::new("row:", row);
    let name = cursor.word().map_err(|_| refuse())?.text;
    let field =
        unique.iter().find(|field| field.as_str() == name).and_then(|field| entity.field(field));
    match field {
        Some(field) if cursor.eat(".") => {
            let text = cursor.rest();
            value::check_text(&name, &field.kind, text)?;
            Ok((name, text.to_owned()))
        }
        _ => Err(refuse()),
    }
}

/// A vector in its type's text form. Bits are the signs.
pub(crate) fn vector_text(form: VectorForm, numbers: &[f32]) -> String {
    let list = |texts: Vec<String>| texts.join(",");
    match form {
        VectorForm::Vector | VectorForm::Halfvec => {
            format!("[{}]", list(numbers.iter().map(f32::to_string).collect()))
        }
        VectorForm::Bit => {
            numbers.iter().map(|number| if *number > 0.0 { '1' } else { '0' }).collect()
        }
        VectorForm::Sparsevec => {
            let filled = numbers.iter().enumerate().filter(|(_, number)| **number != 0.0);
            let elements = filled.map(|(at, number)| format!("{}:{number}", at + 1)).collect();
            format!("{{{}}}/{}", list(elements), numbers.len())
        }
    }
}

/// Little-endian floats of `width` bytes in base64url.
fn unpack(text: &str, width: usize) -> Result<Vec<f32>, String> {
    let bytes = base64url(text)?;
    if bytes.len() % width != 0 {
        return Err(format!("{} bytes are not a whole number of elements", bytes.len()));
    }
    Ok(bytes
        .chunks_exact(width)
        .map(|chunk| match *chunk {
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            [a, b, ..] => half(u16::from_le_bytes([a, b])),
            _ => f32::NAN,
        })
        .collect())
}

fn base64url(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.trim_end_matches('=').chars() {
        let six = match c {
            'A'..='Z' => u32::from(c) - u32::from('A'),
            'a'..='z' => u32::from(c) - u32::from('a') + 26,
            '0'..='9' => u32::from(c) - u32::from('0') + 52,
            '-' => 62,
            '_' => 63,
            other => return Err(format!("{other:?} is not of base64url")),
        };
        held = held << 6 | six;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    if bits == 6 { Err("it ends in the middle of a byte".into()) } else { Ok(bytes) }
}

/// An IEEE half float.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ] {
            assert!((half(bits) - number).abs() <= number.abs() * 1e-6, "{bits:x}");
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }

    #[test]
    fn unpacks() {
        assert_eq!(unpack("AACAPwAAAMA", 4).unwrap(), [1.0, -2.0]);
        assert_eq!(unpack("ADwAwA==", 2).unwrap(), [1.0, -2.0]);
        assert!(unpack("ADwA", 2).is_err() && unpack("A", 2).is_err() && unpack("+A", 2).is_err());
    }

    #[test]
    fn writes_vectors() {
        assert_eq!(vector_text(VectorForm::Halfvec, &[0.5, -1e-7]), "[0.5,-0.0000001]");
        assert_eq!(vector_text(VectorForm::Sparsevec, &[0.0, 2.0]), "{2:2}/2");
        assert_eq!(vector_text(VectorForm::Bit, &[0.0, 2.0, -1.0]), "010");
    }
}
