//! Owns how statistics and shares of parameters are written in tables, labels and sentences; metrics
//! are [`super::measure`]'s, plain quantities [`crate::values::quantity`]'s. Pure.

/// Shown where there is no value.
pub const NONE: &str = "–";

/// A share as a percentage without its sign: `86.3`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// A number with its sign, to two places: `−4.85`.
#[must_use]
pub fn signed(value: f64) -> String {
    format!("{}{:.2}", if value < 0.0 { "−" } else { "" }, value.abs())
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

/// A share of parameters in percent, exact enough for small adapters: `0.32`, `100`.
#[must_use]
pub fn parameter_share(percent: f64) -> String {
    if percent >= 99.995 || percent == 0.0 { format!("{percent:.0}") } else { format!("{percent:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([p_value(0.0309), p_value(0.000_2)], ["0.031", "< 0.001"]);
        assert_eq!([scientific(0.005), scientific(2e-4)], ["5e-3", "2e-4"]);
        assert_eq!([100.0, 0.0, 0.324].map(parameter_share), ["100", "0", "0.32"]);
    }
}
