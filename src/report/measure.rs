//! Owns how a metric is written: its title with the unit, its values, and differences between them, whose
//! better direction depends on the metric. Pure.

use crate::tasks::Objective;
use crate::values::{Digits, Metric, Unit, quantity};

use super::format::NONE;
use super::statistics::Spread;

/// A metric of an objective, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The metric.
    pub metric: Metric,
    /// Unit of its values; empty where the title includes it or there is none.
    unit: &'static str,
}

impl Measure {
    /// A metric with the unit that it has for an objective.
    #[must_use]
    pub fn new(metric: Metric, objective: &Objective) -> Self {
        let unit = match metric.row().unit {
            Unit::Share => "%",
            Unit::Loss => objective.words().loss_unit,
            Unit::Of(unit) => unit,
            Unit::Title | Unit::None => "",
        };
        Self { metric, unit }
    }

    /// The metrics in tables, the one that selects first.
    #[must_use]
    pub fn shown(selecting: Metric, objective: &Objective) -> Vec<Self> {
        let others = objective.words().shown.iter().copied().filter(|metric| *metric != selecting);
        std::iter::once(selecting).chain(others).map(|metric| Self::new(metric, objective)).collect()
    }

    /// Its name in sentences: `accuracy`.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.metric.title()
    }

    /// Its name as the heading of a column or an axis: `accuracy (%)`.
    #[must_use]
    pub fn heading(self) -> String {
        if self.unit.is_empty() {
            self.title().to_owned()
        } else {
            format!("{} ({})", self.title(), self.unit)
        }
    }

    /// The unit of its values in brackets, after a space: ` (%)`; empty without one.
    #[must_use]
    pub fn in_unit(self) -> String {
        if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) }
    }

    /// Factor from a value to the number shown.
    #[must_use]
    pub fn factor(self) -> f64 {
        if self.metric.is_share() { 100.0 } else { 1.0 }
    }

    /// A value in the heading's unit: `86.3`, `3.121`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is shown to the unit")]
    pub fn value(self, value: f64) -> String {
        let shown = self.factor() * value;
        match self.metric.row().digits {
            Digits::Decimals(decimals) => format!("{shown:.decimals$}"),
            Digits::OneOrWhole if shown.is_finite() && shown >= 1e4 => quantity::count(shown.round() as u64),
            Digits::OneOrWhole => format!("{shown:.1}"),
            Digits::Significant(digits) => quantity::significant(shown, digits),
        }
    }

    /// Mean and sample standard deviation: `86.3 ± 0.4`.
    #[must_use]
    pub fn spread(self, spread: Option<&Spread>) -> String {
        match spread {
            None => NONE.to_owned(),
            Some(Spread { mean, std: None, .. }) => self.value(*mean),
            Some(Spread { mean, std: Some(std), .. }) => {
                format!("{} ± {}", self.value(*mean), self.value(*std))
            }
        }
    }

    /// A written value or spread with its metric: `accuracy 86.3 %`, `4.503 bits per token`.
    #[must_use]
    pub fn said(self, text: &str) -> String {
        match self.metric.row().unit {
            Unit::Title => format!("{text} {}", self.title()),
            Unit::Share | Unit::Loss | Unit::Of(_) | Unit::None if self.unit.is_empty() => {
                format!("{} {text}", self.title())
            }
            Unit::Share | Unit::Loss | Unit::Of(_) | Unit::None => {
                format!("{} {text} {}", self.title(), self.unit)
            }
        }
    }

    /// The unit of differences: points for shares.
    #[must_use]
    pub fn difference_unit(self) -> &'static str {
        if self.metric.is_share() { "points" } else { self.unit }
    }

    /// The unit of differences in brackets, after a space: ` (points)`; empty without one.
    #[must_use]
    pub fn in_difference_unit(self) -> String {
        let unit = self.difference_unit();
        if unit.is_empty() { String::new() } else { format!(" ({unit})") }
    }

    /// A difference with its sign, in its unit: `−1.2`.
    #[must_use]
    pub fn difference(self, difference: f64) -> String {
        let text = self.value(difference.abs());
        let zero = text.chars().all(|c| matches!(c, '0' | '.'));
        let sign = match (zero, difference < 0.0) {
            (true, _) => "",
            (false, true) => "−",
            (false, false) => "+",
        };
        format!("{sign}{text}")
    }

    /// A difference in words: `1.2 points lower`, `0.120 nats per token lower, which is better`.
    #[must_use]
    pub fn apart(self, difference: f64) -> String {
        let size = self.value(difference.abs());
        let share = self.metric.is_share();
        if size.chars().all(|c| matches!(c, '0' | '.')) {
            let smallest = match self.metric.row().digits {
                Digits::Decimals(_) | Digits::OneOrWhole if share => " to a tenth of a point",
                Digits::Decimals(_) | Digits::OneOrWhole => " to a thousandth",
                Digits::Significant(_) => "",
            };
            return format!("equal{smallest}");
        }
        let side = if difference < 0.0 { "lower" } else { "higher" };
        let judged = match (share, self.metric.better(difference, 0.0)) {
            (true, _) => "",
            (false, true) => ", which is better",
            (false, false) => ", which is worse",
        };
        let unit = self.difference_unit();
        let space = if unit.is_empty() { "" } else { " " };
        format!("{size}{space}{unit} {side}{judged}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::QuestionAnswering;

    fn measure(metric: Metric) -> Measure {
        let questions = QuestionAnswering { template: String::new(), max_new_tokens: 1, unanswerable: None };
        Measure::new(metric, &Objective::QuestionAnswering(questions))
    }

    #[test]
    fn shares_are_read_in_percent_and_points() {
        let f1 = measure(Metric::F1);
        assert_eq!([-0.012, 0.5, -0.0001].map(|d| f1.difference(d)), ["−1.2", "+50.0", "0.0"]);
        assert_eq!(f1.spread(Spread::of(&[0.84, 0.86, 0.88]).as_ref()), "86.0 ± 2.0");
        assert_eq!(f1.spread(Spread::of(&[0.845]).as_ref()), "84.5");
        assert_eq!(f1.apart(-0.036), "3.6 points lower");
        assert_eq!((f1.heading(), f1.said("86.0")), ("F1 (%)".to_owned(), "F1 86.0 %".to_owned()));
    }

    #[test]
    fn losses_are_better_below() {
        let loss = measure(Metric::Loss);
        assert_eq!(loss.apart(-0.12), "0.120 nats per token lower, which is better");
        assert_eq!(loss.apart(0.12), "0.120 nats per token higher, which is worse");
        assert_eq!(loss.apart(0.0001), "equal to a thousandth");
        assert_eq!(loss.said(&loss.value(3.1211)), "loss 3.121 nats per token");
    }

    #[test]
    fn what_follows_from_a_loss_needs_no_unit() {
        let (perplexity, bits) = (measure(Metric::Perplexity), measure(Metric::BitsPerToken));
        assert_eq!((perplexity.heading(), bits.heading()), ("perplexity".into(), "bits per token".into()));
        assert_eq!([22.649, 49_020.8].map(|v| perplexity.value(v)), ["22.6", "49,021"]);
        assert_eq!(bits.said("4.503"), "4.503 bits per token");
    }
}
