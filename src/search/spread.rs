//! Owns the range of an axis, and the value at each place of it. Draws none.

use serde::{Deserialize, Serialize};

use crate::values::Setting;

/// Significant digits of a drawn number, and as many more as a narrow range needs: enough to tell any two apart that
/// differ in effect, and few enough to be read in a table.
const DIGITS: usize = 3;
const MOST_MORE: f64 = 9.0;

/// The range of an axis, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Its least value.
    pub low: f64,
    /// Its largest value, above the least.
    pub high: f64,
    /// How its values are spread.
    pub scale: Scale,
    /// Whether they are whole numbers.
    pub whole: bool,
}

/// How the values of a range are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal differences are equally likely.
    Linear,
    /// Equal ratios are equally likely; the range is above 0.
    Log,
}

impl Spread {
    /// The value at a share of the range, from 0 up to but not including 1. Each whole number has a part of the
    /// range; other numbers are rounded to three digits, or to more where the range is narrow.
    #[must_use]
    pub fn at(&self, share: f64) -> Setting {
        self.setting(self.value(share))
    }

    /// The same as a number.
    #[must_use]
    pub fn value(&self, share: f64) -> f64 {
        let Self { low, high, scale, whole } = *self;
        let value = match scale {
            Scale::Linear => low + share * (self.end() - low),
            Scale::Log => (low.ln() + share * (self.end().ln() - low.ln())).exp(),
        };
        // A rounding error must not make 8 a 7.
        if whole {
            (value.clamp(low, high) * (1.0 + 4.0 * f64::EPSILON)).floor()
        } else {
            self.rounded(value)
        }
    }

    /// A value of the range as a setting.
    #[must_use]
    pub fn setting(&self, value: f64) -> Setting {
        if self.whole { Setting::Count(count(value)) } else { Setting::Number(value) }
    }

    pub(super) fn is_sound(&self) -> bool {
        let Self { low, high, scale, whole } = *self;
        let is_whole = |number: f64| number >= 0.0 && number.fract() == 0.0;
        low.is_finite()
            && high.is_finite()
            && low < high
            && (scale == Scale::Linear || low > 0.0)
            && (!whole || is_whole(low) && is_whole(high))
    }

    /// The part of the range that has this value, as shares; its ends are equal where it is not a whole number.
    pub(super) fn part(&self, value: f64) -> (f64, f64) {
        if self.whole {
            (self.share(value), self.share(value + 1.0))
        } else {
            (self.share(value), self.share(value))
        }
    }

    /// Where a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.end() - self.low),
            Scale::Log => (value.ln() - self.low.ln()) / (self.end().ln() - self.low.ln()),
        };
        share.clamp(0.0, 1.0)
    }

    /// Where its last part ends: a whole number's goes up to the next one.
    fn end(&self) -> f64 {
        if self.whole { self.high + 1.0 } else { self.high }
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value) && !(self.whole && value.fract() != 0.0)
    }

    /// How many values it has, where they are whole numbers.
    pub(super) fn count(&self) -> Option<usize> {
        self.whole.then(|| usize::try_from(count(self.high - self.low) + 1).unwrap_or(usize::MAX))
    }

    /// Rounded, but not out of the range.
    fn rounded(&self, value: f64) -> f64 {
        let more = (self.high / (self.high - self.low) / 1.5).log10().ceil().clamp(0.0, MOST_MORE);
        let text = format!("{value:.*e}", DIGITS - 1 + more as usize);
        let rounded = text.parse().expect("what was written as a number is one");
        f64::clamp(rounded, self.low, self.high)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds of counts are counts")]
fn count(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(setting: &Setting) -> f64 {
        setting.to_string().parse().unwrap()
    }

    proptest! {
        #[test]
        fn values_rise_with_their_share_and_stay_inside(
            low in 1_u32..1_000,
            length in 1_u32..1_000,
            log: bool,
            whole: bool,
            shares in (0.0..1.0, 0.0..1.0_f64),
        ) {
            let (low, high) = (f64::from(low), f64::from(low + length));
            let scale = if log { Scale::Log } else { Scale::Linear };
            let spread = Spread { low, high, scale, whole };
            let (one, other) = (number(&spread.at(shares.0)), number(&spread.at(shares.1)));
            prop_assert!((low..=high).contains(&one));
            prop_assert_eq!(shares.0 < shares.1 && one > other, false);
            prop_assert_eq!(number(&spread.at(0.0)), low);
        }
    }

    proptest! {
        #[test]
        fn a_share_is_in_the_part_of_its_value(low in 1_u32..1_000, length in 1_u32..1_000, log: bool, whole: bool, share in 0.0..1.0) {
            let (low, high) = (f64::from(low), f64::from(low + length));
            let scale = if log { Scale::Log } else { Scale::Linear };
            let spread = Spread { low, high, scale, whole };
            let value = spread.value(share);
            let (from, to) = spread.part(value);
            // Numbers that are not whole are rounded.
            let near = if whole { 1e-9 } else { 0.01 };
            prop_assert!(spread.is_sound() && spread.holds(value));
            prop_assert!((from - near..=to + near).contains(&share), "{} {} {}", from, share, to);
        }
    }

    #[test]
    fn whole_numbers_have_equal_parts_or_parts_of_equal_ratios() {
        let counted = |scale, low, high| {
            let spread = Spread { low, high, scale, whole: true };
            let mut counts = std::collections::BTreeMap::new();
            for at in 0..1_000 {
                *counts.entry(number(&spread.at(f64::from(at) / 1_000.0)) as u64).or_insert(0) += 1;
            }
            counts.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(counted(Scale::Linear, 1.0, 4.0), [(1, 250), (2, 250), (3, 250), (4, 250)]);
        // From 1 to 2 is one of the two octaves up to 4.
        assert_eq!(counted(Scale::Log, 1.0, 3.0), [(1, 500), (2, 293), (3, 207)]);
    }

    #[test]
    fn learning_rates_are_written_as_people_write_them() {
        let spread = Spread { low: 1e-4, high: 1e-2, scale: Scale::Log, whole: false };
        let at = |share| spread.at(share).to_string();
        assert_eq!([at(0.0), at(0.25), at(0.5), at(0.777)], ["0.0001", "0.000316", "0.001", "0.00358"]);
    }

    #[test]
    fn a_narrow_range_has_as_many_values_as_a_wide_one() {
        for (low, high) in [(0.998, 0.9999), (1_000.5, 1_001.5), (0.1, 0.2), (1.0, 9.0)] {
            let spread = Spread { low, high, scale: Scale::Linear, whole: false };
            let values: Vec<String> = (0..64).map(|at| spread.at(f64::from(at) / 64.0).to_string()).collect();
            let different: std::collections::BTreeSet<&String> = values.iter().collect();
            assert_eq!(different.len(), 64, "{values:?}");
        }
    }
}
