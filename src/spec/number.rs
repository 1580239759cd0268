//! Owns the notation of numbers in a sweep file: one rule, whatever the key and the YAML version of the program
//! that wrote the file. Knows no range.
//!
//! A number is decimal (`8`, `8.0`, `1_000`, `+1e-2`, `5.e-3`, `.002`), hexadecimal (`0x10`), octal
//! (`0o10`) or binary (`0b10`), with or without quotes. A whole number may be written in any of these
//! ways. A zero before other digits is refused: `010` is 8 in YAML 1.1 and 10 in YAML 1.2.

/// A number as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number that is not negative.
    Whole(u64),
    /// Any other.
    Real(f64),
    /// The digits after a leading zero: decimal to some programs, octal to others.
    LeadingZero(String),
}

/// Every whole number below this has an exact floating-point form.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// The number that a text is, if it is one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, body) = match text.strip_prefix('-') {
            Some(body) => (true, body),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let body = without_underscores(body)?;
        if let Some((radix, digits)) = prefixed(&body) {
            let whole = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))?;
            return Some(if negative { Self::Real(-as_real(whole)) } else { Self::Whole(whole) });
        }
        if body.len() > 1 && body.starts_with('0') && body.as_bytes()[1].is_ascii_digit() {
            let rest = body.trim_start_matches('0');
            return plain(&body)
                .then(|| Self::LeadingZero(if rest.is_empty() { "0" } else { rest }.to_owned()));
        }
        if let (false, Ok(whole)) = (negative || body.starts_with('+'), body.parse()) {
            return Some(Self::Whole(whole));
        }
        let real: f64 = body.parse().ok().filter(|_| plain(&body))?;
        Some(Self::Real(if negative { -real } else { real }))
    }

    /// The whole number, where it is one: `8.0` and `1e3` are.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    pub(super) fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(whole) => Some(*whole),
            Self::Real(real) if real.fract() == 0.0 && (0.0..EXACT).contains(real) => Some(*real as u64),
            Self::Real(_) | Self::LeadingZero(_) => None,
        }
    }

    /// The number, unless it is ambiguous.
    pub(super) fn real(&self) -> Option<f64> {
        match self {
            Self::Whole(whole) => Some(as_real(*whole)),
            // -0 becomes 0.
            Self::Real(real) => Some(real + 0.0),
            Self::LeadingZero(_) => None,
        }
    }
}

/// Whether 64 bits can hold the written number only as 0 or as infinity.
fn is_out_of_range(text: &str, number: f64) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    number.is_infinite() || (number == 0.0 && digits.contains(|c| ('1'..='9').contains(&c)))
}

/// The correct notation for a text that is not a number, where it is clear what was meant.
pub(super) fn advice(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(Number::LeadingZero(rest)) = Number::read(text) {
        let octal = u64::from_str_radix(&rest, 8).ok().filter(|octal| octal.to_string() != rest);
        let octal = octal.map(|octal| format!(", or `{octal}` if it is octal")).unwrap_or_default();
        return Some(format!("a number does not begin with 0: write `{rest}`{octal}"));
    }
    let number = Number::read(text).and_then(|number| number.real());
    if number.is_some_and(|number| is_out_of_range(text, number)) {
        let what = if number == Some(0.0) { "small" } else { "large" };
        return Some(format!("`{text}` is too {what} for a number of 64 bits"));
    }
    if let Some(percent) = text.strip_suffix('%').and_then(Number::read).and_then(|number| number.real()) {
        return Some(format!("write `{}`", percent / 100.0));
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let number = |part: &&str| Number::read(part).is_some();
    match &parts[..] {
        [_] => None,
        [first, rest @ ..] if thousands(first, rest) => Some(format!("write `{}`", parts.concat())),
        ["0", fraction] if fraction.bytes().all(|b| b.is_ascii_digit()) && !fraction.is_empty() => {
            Some(format!("write `0.{fraction}`"))
        }
        _ if parts.iter().all(number) => Some(format!("write a list: `[{}]`", parts.join(", "))),
        _ => None,
    }
}

/// Whether these are groups of three digits after a first group, as in `1,000`.
fn thousands(first: &str, rest: &[&str]) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&first.len())
        && digits(first)
        && !first.starts_with('0')
        && rest.iter().all(|group| group.len() == 3 && digits(group))
}

/// The text without its underscores, each of which must be between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let between = |at: usize| digit(at.checked_sub(1)) && digit(Some(at + 1));
    let good = text.match_indices('_').all(|(at, _)| between(at));
    good.then(|| text.replace('_', ""))
}

/// Radix and digits of a number with a prefix.
fn prefixed(text: &str) -> Option<(u32, &str)> {
    let mut radices = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    radices.find_map(|(prefix, radix)| {
        let start = text.get(..2)?;
        start.eq_ignore_ascii_case(prefix).then(|| (radix, &text[2..]))
    })
}

/// Whether a text has only the characters of decimal numbers: Rust reads `inf` and `nan` as well.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && !text.starts_with(['+', '-'])
}

#[expect(clippy::cast_precision_loss, reason = "settings are far below 2^52")]
fn as_real(whole: u64) -> f64 {
    whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_number_is_that_number() {
        for (text, whole) in [
            ("8", 8),
            ("8.0", 8),
            ("+8", 8),
            ("8.", 8),
            ("8e0", 8),
            ("1_000", 1_000),
            ("1e3", 1_000),
            ("0x10", 16),
            ("0X1F", 31),
            ("0o10", 8),
            ("0b101", 5),
            ("0", 0),
            ("0.0", 0),
            (" 4 ", 4),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(Number::read(text).unwrap().whole(), Some(whole), "{text}");
        }
        for (text, real) in [
            ("1e-3", 1e-3),
            ("1E-3", 1e-3),
            ("5.e-3", 5e-3),
            (".002", 2e-3),
            ("+1e-2", 1e-2),
            ("-1", -1.0),
            ("0.5", 0.5),
            ("1_0.5", 10.5),
            ("-0x10", -16.0),
            ("2e-05", 2e-5),
            ("16", 16.0),
            ("0e0", 0.0),
        ] {
            assert_eq!(Number::read(text).unwrap().real(), Some(real), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", "+", ".", "e", "1e", "e5", "_1", "1_", "1__0", "1,000", "0x", "0xg", "0x+1", "0b2",
            "inf", "nan", ".inf", ".nan", "infinity", "1/3", "10%", "one", "1 000", "1e-3f", "--1", "+-1",
            "0o8",
        ] {
            assert_eq!(Number::read(text), None, "{text}");
        }
        assert_eq!(Number::read("8.5").unwrap().whole(), None);
        assert_eq!(Number::read("-8").unwrap().whole(), None);
        assert_eq!(Number::read("1e16").unwrap().whole(), None, "too large to be exact");
        assert_eq!(Number::read("1e999").unwrap().whole(), None);
    }

    #[test]
    fn a_leading_zero_is_neither_octal_nor_decimal() {
        for text in ["010", "007", "016", "08", "00", "00.5", "01e2", "+010", "0_10"] {
            let number = Number::read(text).unwrap();
            assert!(matches!(number, Number::LeadingZero(_)), "{text}: {number:?}");
            assert_eq!((number.whole(), number.real()), (None, None), "{text}");
        }
    }

    #[test]
    fn advice_names_the_number_that_was_meant() {
        for (text, told) in [
            ("010", "a number does not begin with 0: write `10`, or `8` if it is octal"),
            ("08", "a number does not begin with 0: write `8`"),
            ("007", "a number does not begin with 0: write `7`"),
            ("10%", "write `0.1`"),
            ("1,000", "write `1000`"),
            ("12,345,678", "write `12345678`"),
            ("0,001", "write `0.001`"),
            ("8, 16", "write a list: `[8, 16]`"),
            ("1e-3,1e-4", "write a list: `[1e-3, 1e-4]`"),
        ] {
            assert_eq!(advice(text).as_deref(), Some(told), "{text}");
        }
        for (text, what) in [("1e-400", "small"), ("-0.01e-330", "small"), ("1e999", "large")] {
            let told = format!("`{text}` is too {what} for a number of 64 bits");
            assert_eq!(advice(text), Some(told), "{text}");
        }
        for text in ["one", "8", "a,b", "", "0e5", "-0"] {
            assert_eq!(advice(text), None, "{text}");
        }
    }
}
