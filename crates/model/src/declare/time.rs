//! Dates and instants as text, checked against the calendar.

/// A date in the form `2024-02-29`, and its number of days since the year 1.
pub(crate) fn date(text: &str) -> Result<(String, i64), &'static str> {
    let [year, month, day] =
        numbers(text, "-", [4, 2, 2]).ok_or("a date has the form 2024-02-29")?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if year == 0 {
        return Err("there is no year 0");
    }
    let Some(length) = usize::try_from(month - 1).ok().and_then(|i| lengths.get(i)) else {
        return Err("a year has 12 months");
    };
    if !(1..=*length).contains(&day) {
        return Err("this month has no such day");
    }
    let years = year - 1;
    let before: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap_or(0)).sum();
    Ok((text.to_owned(), years * 365 + years / 4 - years / 100 + years / 400 + before + day))
}

/// An instant such as `2024-02-29 12:00:00.5+01:00`, in one form, and its microseconds since the year 1.
pub(crate) fn instant(text: &str) -> Result<(String, i64), &'static str> {
    const FORM: &str = "a time has the form 2024-02-29T12:00:00Z";
    let (day, rest) = text.split_at_checked(10).ok_or(FORM)?;
    let (_, days) = date(day)?;
    let rest = rest.strip_prefix(['T', 't', ' ']).ok_or(FORM)?;
    let zone_at = rest
        .find(['Z', 'z', '+', '-'])
        .ok_or("a time needs its zone, such as Z or +01:00 at the end")?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = numbers(clock, ":", [2, 2, 2])
        .or_else(|| numbers(clock, ":", [2, 2]).map(|[hour, minute]| [hour, minute, 0]))
        .ok_or(FORM)?;
    if hour > 23 || minute > 59 || second > 59 {
        return Err("there is no such time of day");
    }
    if fraction.len() > 6 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("a second has at most 6 digits after the point");
    }
    let micros: i64 = format!("{fraction:0<6}").parse().map_err(|_| FORM)?;
    let (zone, offset) = zone_offset(zone).ok_or("a zone has the form Z or +01:00")?;
    let point = if fraction.is_empty() { "" } else { "." };
    let normal = format!("{day}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}");
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Ok((normal, seconds * 1_000_000 + micros))
}

/// Whether what TOML takes for a date or time exists: a date, a time of day, or both, with or without a zone.
pub(super) fn exists(text: &str) -> Result<(), &'static str> {
    let dated = text.as_bytes().get(4) == Some(&b'-');
    if dated && text.len() == 10 {
        return date(text).map(drop);
    }
    let full = if dated { text.to_owned() } else { format!("2024-01-01T{text}") };
    let zoned = full.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-']));
    instant(&if zoned { full } else { full + "Z" }).map(drop)
}

/// A zone in one form, and its seconds east of Greenwich.
fn zone_offset(text: &str) -> Option<(String, i64)> {
    if matches!(text, "Z" | "z") {
        return Some(("Z".into(), 0));
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        (_, rest) => (-1, rest),
    };
    let [hours, minutes] =
        numbers(rest, ":", [2, 2]).or_else(|| numbers(rest, ":", [2]).map(|[hours]| [hours, 0]))?;
    (hours <= 15 && minutes <= 59).then(|| {
        (format!("{}{hours:02}:{minutes:02}", &text[..1]), sign * (hours * 3_600 + minutes * 60))
    })
}

/// Numbers of exactly these lengths with `between` between them.
fn numbers<const N: usize>(text: &str, between: &str, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next()?;
        if part.len() != length || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_kept() {
        assert!(date("2024-02-29").is_ok());
        assert!(date("2023-02-29").is_err());
        assert!(date("1900-02-29").is_err());
        assert!(date("2000-02-29").is_ok());
        for text in [
            "0000-01-01",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-1-1",
            "24-01-01",
            "",
            "2024-01-01 ",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
        let days = |text| date(text).unwrap().1;
        assert_eq!(days("0001-01-01"), 1);
        assert_eq!(days("1970-01-01"), 719_163);
        assert_eq!(days("2024-03-01") - days("2024-02-28"), 2);
    }

    #[test]
    fn instants_have_one_form_and_an_order() {
        let form = |text| instant(text).unwrap().0;
        assert_eq!(form("2024-02-29 12:00z"), "2024-02-29T12:00:00Z");
        assert_eq!(form("2024-02-29t12:00:00.5-08"), "2024-02-29T12:00:00.5-08:00");
        let micros = |text| instant(text).unwrap().1;
        assert_eq!(micros("2024-01-01T00:00:00Z"), micros("2024-01-01T01:00:00+01:00"));
        assert_eq!(micros("2024-01-01T00:00:00.25Z") - micros("2023-12-31T23:59:59Z"), 1_250_000);
    }

    #[test]
    fn what_toml_takes_for_a_time_must_exist() {
        for text in [
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-02-29 12:00:00.5-01:00",
            "12:00:00",
            "12:00",
        ] {
            assert_eq!(exists(text), Ok(()), "{text}");
        }
        for text in ["2024-02-30", "2024-02-30T12:00:00", "25:00:00", "12:60"] {
            assert!(exists(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for text in [
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00+16:00",
            "2024-02-30T00:00:00Z",
            "12:00:00Z",
            "2024-01-0é",
        ] {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}
