//! Numbers in the one form in which they are sealed: that in which PostgreSQL would have given them back.

use crate::{Code, Refusal};

/// The digits of a `numeric` on either side of its point.
const WHOLE_MAX: usize = 131_072;
const FRACTION_MAX: usize = 16_383;

/// A `numeric`, rounded to its scale half away from zero, as PostgreSQL does.
///
/// # Errors
/// `InvalidValue`, `OutOfRange`.
pub(super) fn numeric(
    name: &str,
    text: &str,
    digits: Option<(u16, u16)>,
) -> Result<String, Refusal> {
    if let Some(word) = word(text) {
        // PostgreSQL knows no infinite number of so many digits.
        return if digits.is_some() && word != "NaN" { Err(beyond(name)) } else { Ok(word.into()) };
    }
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| no(name))?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        || whole.len() + fraction.len() == 0
    {
        return Err(no(name));
    }
    if exponent.unsigned_abs() as usize > WHOLE_MAX + FRACTION_MAX {
        return Err(beyond(name));
    }
    let (whole, fraction) = moved(whole, fraction, exponent);
    let (whole, fraction) = match digits {
        Some((_, scale)) => rounded(&whole, &fraction, usize::from(scale)),
        None => (whole, fraction),
    };
    let whole = whole.trim_start_matches('0');
    let fits = digits.is_none_or(|(precision, scale)| {
        let (precision, scale) = (usize::from(precision), usize::from(scale));
        let empty = scale.saturating_sub(precision);
        whole.len() <= precision.saturating_sub(scale)
            && fraction.bytes().take(empty).all(|byte| byte == b'0')
    });
    if !fits || whole.len() > WHOLE_MAX || fraction.len() > FRACTION_MAX {
        return Err(beyond(name));
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    let zero = whole.bytes().chain(fraction.bytes()).all(|byte| byte == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

/// A `numeric` as it is looked up: numbers that are equal are written alike.
pub(super) fn alike(canonical: &str) -> &str {
    if canonical.contains('.') {
        canonical.trim_end_matches('0').trim_end_matches('.')
    } else {
        canonical
    }
}

/// A `double precision`: its shortest digits, as PostgreSQL writes them.
///
/// # Errors
/// `InvalidValue`, `OutOfRange`.
pub(super) fn double(name: &str, text: &str) -> Result<String, Refusal> {
    if let Some(word) = word(text) {
        return Ok(word.into());
    }
    let number: f64 = text.parse().map_err(|_| no(name))?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !mantissa.contains(|c: char| ('1'..='9').contains(&c));
    if !number.is_finite() || number == 0.0 && !is_zero {
        return Err(beyond(name));
    }
    let size = number.abs();
    if number == 0.0 || (1e-4..1e15).contains(&size) {
        return Ok(number.to_string());
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    Ok(format!("{mantissa}e{sign}{exponent:0>2}"))
}

fn word(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some("NaN"),
        "inf" | "infinity" | "+inf" | "+infinity" => Some("Infinity"),
        "-inf" | "-infinity" => Some("-Infinity"),
        _ => None,
    }
}

/// The point moved by so many digits.
fn moved(whole: &str, fraction: &str, by: i32) -> (String, String) {
    let digits = by.unsigned_abs() as usize;
    if by >= 0 {
        let taken = digits.min(fraction.len());
        let zeros = "0".repeat(digits - taken);
        return (format!("{whole}{}{zeros}", &fraction[..taken]), fraction[taken..].to_owned());
    }
    let taken = digits.min(whole.len());
    let (left, right) = whole.split_at(whole.len() - taken);
    (left.to_owned(), format!("{}{right}{fraction}", "0".repeat(digits - taken)))
}

/// So many digits behind the point.
fn rounded(whole: &str, fraction: &str, scale: usize) -> (String, String) {
    if fraction.len() <= scale {
        return (whole.to_owned(), format!("{fraction:0<scale$}"));
    }
    let up = fraction.as_bytes()[scale] >= b'5';
    let mut digits: Vec<u8> = [b"0", whole.as_bytes(), &fraction.as_bytes()[..scale]].concat();
    if up {
        // There is a zero in front, so it ends.
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                break;
            }
        }
    }
    let text: String = digits.into_iter().map(char::from).collect();
    let (whole, fraction) = text.split_at(text.len() - scale);
    (whole.to_owned(), fraction.to_owned())
}

fn no(name: &str) -> Refusal {
    Refusal::new(Code::InvalidValue, format!("a value of {name} is not a number in plain digits"))
        .hint("write it like -12.5 or 1e3")
}

fn beyond(name: &str) -> Refusal {
    Refusal::new(Code::OutOfRange, format!("a value of {name} is out of range"))
}
