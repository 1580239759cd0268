//! Owns the arithmetic of the report: spread over folds, paired tests, correction for many tests.
//!
//! Pure functions of numbers: they know no trial and no configuration.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Coverage of the confidence intervals.
const CONFIDENCE: f64 = 0.95;
/// Differences that vary less than this are equal up to rounding.
const ROUNDING: f64 = 1e-12;

/// How values spread over folds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); absent for one value.
    pub std: Option<f64>,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// 95 % confidence interval of the mean, from Student's t with n - 1 degrees of freedom. It treats folds as
    /// independent, which they are not, so it is too narrow. Comparisons use [`corrected_t_test`] instead.
    pub interval: Option<(f64, f64)>,
}

impl Spread {
    /// The spread of some values; `None` without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let std = (values.len() > 1).then(|| variance(values).sqrt());
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self::of_moments(values.len(), mean(values), std, (min, max)))
    }

    /// The spread of `n` values with this mean and sample standard deviation, and with these smallest and
    /// largest values.
    #[must_use]
    pub fn of_moments(n: usize, mean: f64, std: Option<f64>, (min, max): (f64, f64)) -> Self {
        let interval = std.map(|std| {
            let quantile = student(n - 1).inverse_cdf(0.5 + CONFIDENCE / 2.0);
            let half = quantile * std / as_f64(n).sqrt();
            (mean - half, mean + half)
        });
        Self { n, mean, std, min, max, interval }
    }
}

/// A test of whether two configurations differ, on the same folds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedTest {
    /// Number of folds that both have.
    pub folds: usize,
    /// Mean difference.
    pub difference: f64,
    /// The test statistic, to be read with `folds - 1` degrees of freedom.
    pub t: f64,
    /// Two-sided p value, before any correction for many tests.
    pub p: f64,
}

/// The corrected resampled t-test of Nadeau & Bengio (2003, "Inference for the Generalization
/// Error", Machine Learning 52, section 3): training sets of folds overlap, so the variance of the
/// mean difference is `(1/J + n_held_out/n_trained)` times the sample variance, not `1/J` times.
///
/// `None` with fewer than two folds, and where the difference is the same on all folds: without variance
/// nothing can be tested.
#[must_use]
pub fn corrected_t_test(differences: &[f64], held_out_to_trained: f64) -> Option<PairedTest> {
    if differences.len() < 2 {
        return None;
    }
    let (difference, variance) = (mean(differences), variance(differences));
    if variance.sqrt() < ROUNDING {
        return None;
    }
    let t = difference / ((1.0 / count(differences) + held_out_to_trained) * variance).sqrt();
    let p = 2.0 * student(differences.len() - 1).sf(t.abs());
    Some(PairedTest { folds: differences.len(), difference, t, p })
}

/// A 95 % interval of the difference of two shares of correct rows, each measured on the same `rows` rows by
/// models of several folds with these differences. Normal approximation, from the binomial variance of the rows
/// and the variance of the mean over folds. The errors of the two are treated as independent, which makes it
/// too wide where both get the same rows wrong. `None` with fewer than two folds.
#[must_use]
pub fn share_interval(shares: [f64; 2], rows: usize, differences: &[f64]) -> Option<(f64, f64)> {
    if differences.len() < 2 || rows == 0 {
        return None;
    }
    let of_rows: f64 = shares.iter().map(|share| share * (1.0 - share) / as_f64(rows)).sum();
    let of_folds = variance(differences) / count(differences);
    let half = Normal::standard().inverse_cdf(0.5 + CONFIDENCE / 2.0) * (of_rows + of_folds).sqrt();
    let difference = shares[0] - shares[1];
    Some((difference - half, difference + half))
}

/// Holm's step-down correction (1979): p values, in the order given, that keep the chance of any
/// false rejection among all of them at the level they are compared with.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut so_far = 0.0_f64;
    for (left, &i) in (1..=p.len()).rev().zip(&order) {
        so_far = so_far.max((as_f64(left) * p[i]).min(1.0));
        adjusted[i] = so_far;
    }
    adjusted
}

/// Arithmetic mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values)
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count(values) - 1.0)
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, as_f64(freedom)).expect("the degrees of freedom are at least 1")
}

fn count(values: &[f64]) -> f64 {
    as_f64(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "folds and configurations are far below 2^52")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// With 2 degrees of freedom the quantile has a closed form, (2p - 1) / sqrt(2p(1 - p)):
    /// 4.302652729749462 at p = 0.975, so the half width is 4.302652729749462 * 0.02 / sqrt(3).
    #[test]
    fn spread_of_three_folds() {
        let spread = Spread::of(&[0.84, 0.86, 0.88]).unwrap();
        assert_close(spread.mean, 0.86);
        assert_close(spread.std.unwrap(), 0.02);
        let (low, high) = spread.interval.unwrap();
        assert_close(low, 0.810_317_245_764_993_3);
        assert_close(high, 0.909_682_754_235_006_7);
        assert_close(spread.min, 0.84);
        assert_close(spread.max, 0.88);
    }

    #[test]
    fn one_fold_has_a_mean_and_no_spread() {
        let spread = Spread::of(&[0.7]).unwrap();
        assert_eq!((spread.n, spread.std, spread.interval), (1, None, None));
        assert!(Spread::of(&[]).is_none());
    }

    /// Mean 0.0216667, variance 0.000158333; t = mean / sqrt((1/3 + 1/2) * variance). With 2
    /// degrees of freedom p = 1 - t / sqrt(2 + t^2).
    #[test]
    fn corrected_test_on_three_folds() {
        let test = corrected_t_test(&[0.02, 0.035, 0.01], 0.5).unwrap();
        assert_close(test.t, 1.886_238_250_286_030_4);
        assert_close(test.p, 0.199_905_308_634_337_3);
    }

    /// With 4 degrees of freedom and u = t / sqrt(1 + t^2 / 4), p = 1 - 3/4 * u * (1 - u^2 / 12);
    /// agrees with numerical integration of the density.
    #[test]
    fn corrected_test_on_five_folds() {
        let test = corrected_t_test(&[0.013, 0.004, -0.002, 0.021, 0.009], 0.25).unwrap();
        assert_close(test.difference, 0.009);
        assert_close(test.t, 1.533_929_977_694_740_8);
        assert_close(test.p, 0.199_829_185_537_720_1);
    }

    /// Three folds that get 198, 200 and 185 of 300 test rows right against 184, 183 and 184: the rows' standard
    /// error is 3.939 points, that of the mean over folds 1.633, and 1.96 times both together 8.358.
    #[test]
    fn an_interval_of_test_rows_is_of_rows_and_folds() {
        let [own, its] = [[198.0, 200.0, 185.0], [184.0, 183.0, 184.0]].map(|right| right.map(|n| n / 300.0));
        let differences: Vec<f64> = own.iter().zip(its).map(|(own, its)| own - its).collect();
        let (low, high) = share_interval([mean(&own), mean(&its)], 300, &differences).unwrap();
        assert!((low + 0.048).abs() < 5e-4 && (high - 0.119).abs() < 5e-4, "{low} to {high}");
        assert_close(low + high, 2.0 * (mean(&own) - mean(&its)));
        assert!(share_interval([0.5, 0.4], 300, &[0.1]).is_none());
    }

    #[test]
    fn a_difference_without_variance_is_not_tested() {
        assert!(corrected_t_test(&[0.8 - 0.7, 0.9 - 0.8, 0.7 - 0.6], 0.5).is_none());
        assert!(corrected_t_test(&[0.1], 0.5).is_none());
    }

    /// Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, then 0.04 * 1 raised to the 0.06 before it.
    #[test]
    fn holm_by_hand() {
        for (found, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert_close(*found, expected);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
