//! Decimal numbers as text: how many digits they have, and which is greater.

use std::cmp::Ordering;

/// `0.digits × 10^point`, without zeros at either end of the digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// Reads `-12.50`, `1e3`; `None` for anything else, and for exponents beyond what any type holds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole.as_bytes(), fraction.as_bytes()].concat();
        if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all[leading..].iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = all[leading..all.len() - trailing].to_vec();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, point: 0 });
        }
        let point =
            i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + i64::from(exponent);
        Some(Self { negative, digits, point })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Digits before the point.
    pub(super) fn whole_digits(&self) -> i64 {
        self.point.max(0)
    }

    /// Digits after the point.
    pub(super) fn fraction_digits(&self) -> i64 {
        (i64::try_from(self.digits.len()).unwrap_or(i64::MAX) - self.point).max(0)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| if d.is_zero() { 0 } else { 1 - 2 * i8::from(d.negative) };
        let size = || self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_are_counted_on_both_sides() {
        let sides = |text| (decimal(text).whole_digits(), decimal(text).fraction_digits());
        assert_eq!(sides("0"), (0, 0));
        assert_eq!(sides("12.50"), (2, 1));
        assert_eq!(sides("0.001"), (0, 3));
        assert_eq!(sides("1200"), (4, 0));
        assert_eq!(sides("1.5e3"), (4, 0));
        assert_eq!(sides("1.5e-3"), (0, 4));
        assert_eq!(sides("-007"), (1, 0));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1e", "nan", "0x1", "1 ", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(a in -99_999i64..99_999, b in -99_999i64..99_999, places in 0u32..4) {
            let text = |n: i64| {
                let unit = 10_i64.pow(places);
                let sign = if n < 0 { "-" } else { "" };
                format!("{sign}{}.{:0width$}", n.abs() / unit, n.abs() % unit, width = places as usize)
            };
            prop_assert_eq!(decimal(&text(a)).cmp(&decimal(&text(b))), a.cmp(&b));
            prop_assert_eq!(decimal(&format!("{a}e{places}")).cmp(&decimal(&b.to_string())), (a * 10_i64.pow(places)).cmp(&b));
        }
    }
}
