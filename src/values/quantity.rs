//! Owns how counts, times and sizes are written for people, the same in every table and sentence.
//! Pure.

use std::time::Duration;

/// A count with its digits in groups of three: `4,386,436`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 fold`, `1,500 rows`. The noun's plural ends with s.
#[must_use]
pub fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// A measured time in seconds: `8.4 s`, `2 min 05 s`, `3 h 07 min`.
#[must_use]
pub fn measured(seconds: f64) -> String {
    if seconds.round() < 60.0 { format!("{seconds:.1} s") } else { whole(seconds) }
}

/// A predicted time in seconds, without meaningless tenths: `under 1 s`, `8 s`, `2 min 05 s`.
#[must_use]
pub fn predicted(seconds: f64) -> String {
    if seconds.round() < 1.0 { "under 1 s".to_owned() } else { whole(seconds) }
}

/// A predicted time in a sentence: `under 1 s`, `about 2 min 05 s`.
#[must_use]
pub fn about(seconds: f64) -> String {
    if seconds.round() < 1.0 { predicted(seconds) } else { format!("about {}", predicted(seconds)) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration in seconds")]
fn whole(seconds: f64) -> String {
    match seconds.round() as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min {:02} s", s / 60, s % 60),
        s @ 3_600.. => format!("{} h {:02} min", s / 3_600, s % 3_600 / 60),
    }
}

/// Reads a length of time as people write it: `90s`, `30m`, `1h 30m`. `None` where it is none, or zero.
#[must_use]
pub fn time(text: &str) -> Option<Duration> {
    let time: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(time).ok().filter(|time| !time.is_zero())
}

/// An amount of memory or disk in MiB, rounded up below one GiB: `12 MiB`, `1.5 GiB`.
#[must_use]
pub fn mib(mib: f64) -> String {
    // The sum of no amounts is -0.
    let mib = mib + 0.0;
    if mib >= 1_024.0 { format!("{:.1} GiB", mib / 1_024.0) } else { format!("{:.0} MiB", mib.ceil()) }
}

/// Names in a row, quoted where a comma within a name could be taken for the end of it.
#[must_use]
pub fn listed(names: &[String]) -> String {
    if names.iter().any(|name| name.contains(',')) {
        names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(", ")
    } else {
        names.join(", ")
    }
}

/// A number with this many significant digits: `3.142`, `0.002500`, `1.250e-7`; a larger number is written
/// whole.
#[must_use]
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "powers of ten are small")]
    let power = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(i32::try_from(digits).unwrap_or(4) - 1 - power).unwrap_or(0);
    if (-4..15).contains(&power) { format!("{value:.decimals$}") } else { format!("{value:.*e}", digits - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        assert_eq!([count(0), count(999), count(4_386_436)], ["0", "999", "4,386,436"]);
        assert_eq!([counted(1, "row"), counted(1_500, "row")], ["1 row", "1,500 rows"]);
        assert_eq!([measured(8.44), measured(59.7), measured(125.0)], ["8.4 s", "1 min 00 s", "2 min 05 s"]);
        assert_eq!(
            [predicted(0.3), predicted(8.44), predicted(11_220.0)],
            ["under 1 s", "8 s", "3 h 07 min"]
        );
        assert_eq!([about(0.3), about(249.7)], ["under 1 s", "about 4 min 10 s"]);
        let read = |text| time(text).map(|time| time.as_secs());
        assert_eq!(["90s", "30m", "1h 30m", "2h"].map(read), [Some(90), Some(1800), Some(5400), Some(7200)]);
        assert_eq!(["30", "", "-5m", "0s", "soon"].map(read), [None; 5]);
        assert_eq!([mib(-0.0), mib(0.2), mib(1_536.0)], ["0 MiB", "1 MiB", "1.5 GiB"]);
    }
}
