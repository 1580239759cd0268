//! Owns how scores and statistics are written in tables, labels and sentences; plain quantities are
//! [`crate::quantity`]'s. Pure.

use super::statistics::Spread;

/// What stands where there is no value.
pub const NONE: &str = "–";

/// A share as a percentage without its sign: `86.3`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// Mean and sample standard deviation of shares, in percent: `86.3 ± 0.4`.
#[must_use]
pub fn percent_spread(spread: Option<&Spread>) -> String {
    match spread {
        None => NONE.to_owned(),
        Some(Spread { mean, std: None, .. }) => percent(*mean),
        Some(Spread { mean, std: Some(std), .. }) => format!("{} ± {}", percent(*mean), percent(*std)),
    }
}

/// A difference of shares in percentage points, with its sign: `−1.2`.
#[must_use]
pub fn points(difference: f64) -> String {
    let text = format!("{:.1}", 100.0 * difference.abs());
    let sign = if text == "0.0" {
        ""
    } else if difference < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{text}")
}

/// A number with its sign, to two places: `−4.85`.
#[must_use]
pub fn signed(value: f64) -> String {
    format!("{}{:.2}", if value < 0.0 { "−" } else { "" }, value.abs())
}

/// A difference of shares in words: `1.2 points lower`.
#[must_use]
pub fn points_apart(difference: f64) -> String {
    let size = format!("{:.1}", 100.0 * difference.abs());
    if size == "0.0" {
        return "equal to a tenth of a point".to_owned();
    }
    format!("{size} points {}", if difference < 0.0 { "lower" } else { "higher" })
}

/// A p value: `0.031`, `< 0.001`.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A small number by its power of ten: `5e-3`.
#[must_use]
pub fn scientific(value: f64) -> String {
    format!("{value:e}")
}

/// A share of parameters in percent, exact enough for small adapters: `0.32 %`, `100 %`.
#[must_use]
pub fn parameter_share(percent: f64) -> String {
    if percent >= 99.995 { "100".to_owned() } else { format!("{percent:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([points(-0.012), points(0.5), points(-0.0001)], ["−1.2", "+50.0", "0.0"]);
        assert_eq!([p_value(0.0309), p_value(0.000_2)], ["0.031", "< 0.001"]);
        assert_eq!([scientific(0.005), scientific(2e-4)], ["5e-3", "2e-4"]);
        assert_eq!(percent_spread(Spread::of(&[0.84, 0.86, 0.88]).as_ref()), "86.0 ± 2.0");
        assert_eq!(percent_spread(Spread::of(&[0.845]).as_ref()), "84.5");
    }
}
