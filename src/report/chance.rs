//! Owns the first question of a report: is the best configuration better than no training at all, by more than
//! chance? Pure.
//!
//! Models are compared with the best constant answer, such as the majority class, where their kind of task has
//! one, else with the untrained base:
//!
//! - Accuracy is tested on rows. In cross-validation each row is judged once, and, given the rows' classes, a
//!   model that learned nothing gets no more of them right than the majority class, up to binomial chance.
//! - In macro averages and other scores of classes a guess may beat a constant answer, so macro recall is tested
//!   instead: its expectation is 1 / number of classes for any guess, and the largest possible variance of a guess
//!   is used.
//! - A correlation is tested against 0, by Fisher's z, since nothing correlates with a constant.
//! - Losses, several labels, tags and generated answers have no such test; their differences on the same folds are
//!   tested.
//!
//! The first three p values are multiplied by the number of configurations, since the best of them was chosen
//! (Bonferroni).

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use crate::tasks::Constant;
use crate::values::{Count, Metric, Splitting};

use super::baseline::Baseline;
use super::entry::{Entry, held_out_to_trained};
use super::statistics::{Spread, corrected_t_test, mean};

/// The level at which a lead counts as more than chance.
pub const LEVEL: f64 = 0.05;

/// The comparison of the best configuration with no training.
#[derive(Clone, Debug, PartialEq)]
pub struct Chance {
    /// What it is compared with, in words.
    pub than: String,
    /// The mean of the metric that selects for that reference, on validation rows, where it is defined.
    pub its: Option<f64>,
    /// The test behind the judgement.
    pub grounds: Grounds,
    /// Whether the best configuration is better by more than chance.
    pub beaten: bool,
}

/// The test behind a judgement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grounds {
    /// The best configuration, and so every other, gives one answer to every row.
    Constant,
    /// A one-sided exact binomial test of the correct rows.
    Rows {
        /// Validation rows of all folds.
        rows: u64,
        /// p, before any correction.
        p: f64,
        /// Configurations that were tried.
        tried: usize,
    },
    /// A one-sided normal test of macro recall.
    Recall {
        /// Validation rows of all folds.
        rows: u64,
        /// p, before any correction.
        p: f64,
        /// Configurations that were tried.
        tried: usize,
    },
    /// A one-sided test of a correlation against 0.
    Correlation {
        /// Validation rows of all folds.
        rows: u64,
        /// p, before any correction.
        p: f64,
        /// Configurations that were tried.
        tried: usize,
    },
    /// The corrected resampled t-test over folds.
    Folds {
        /// Its two-sided p.
        p: f64,
    },
    /// The means alone: there is one split, or all folds have the same difference.
    Means,
}

impl Chance {
    /// The comparison of the best of `tried` configurations; `None` where there is no reference.
    #[must_use]
    pub fn of(best: &Entry, tried: usize, against: Against<'_>, constant: Constant) -> Option<Self> {
        let metric = best.summary.primary;
        let own = best.summary.selecting().map(|own| own.mean);
        if best.summary.is_constant() {
            let its = against.baseline.and_then(|baseline| baseline.validation(metric));
            return Some(Self {
                than: constant.what.to_owned(),
                its: its.map(|its| its.mean).or(own),
                grounds: Grounds::Constant,
                beaten: false,
            });
        }
        let own = own?;
        let test = Test::of(metric, against.baseline);
        let (than, scores) = match test {
            Test::Correlation => (NO_CORRELATION.to_owned(), Vec::new()),
            Test::Rows | Test::Recall | Test::Folds => against.reference(metric)?,
        };
        let its = match test {
            Test::Correlation => 0.0,
            Test::Rows | Test::Recall | Test::Folds => {
                Spread::of(&scores.iter().map(|(_, score)| *score).collect::<Vec<_>>())?.mean
            }
        };
        let grounds = match (test, against.baseline) {
            (Test::Rows, Some(baseline)) => rows(best, baseline, tried),
            (Test::Recall, Some(baseline)) => recall(best, baseline, tried),
            (Test::Correlation, Some(baseline)) => correlation(best, baseline, tried),
            (Test::Rows | Test::Recall | Test::Correlation | Test::Folds, _) => {
                folds(best, &scores, against.splitting)
            }
        };
        let beyond = match grounds {
            Grounds::Constant => false,
            Grounds::Rows { p, tried, .. }
            | Grounds::Recall { p, tried, .. }
            | Grounds::Correlation { p, tried, .. } => bonferroni(p, tried) < LEVEL,
            Grounds::Folds { p } => p < LEVEL,
            Grounds::Means => true,
        };
        Some(Self { than, its: Some(its), grounds, beaten: beyond && metric.better(own, its) })
    }
}

/// How the best configuration is tested against no training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// On the correct rows.
    Rows,
    /// On macro recall.
    Recall,
    /// On the correlation.
    Correlation,
    /// On the differences of folds, or on the means alone.
    Folds,
}

/// The reference of a correlation: answers that are unrelated to the rows.
const NO_CORRELATION: &str = "a correlation of 0";

impl Test {
    /// The test of a metric against a constant answer, where there is one.
    #[must_use]
    pub fn of(metric: Metric, baseline: Option<&Baseline>) -> Self {
        let Some(baseline) = baseline else { return Self::Folds };
        let has_classes = baseline.folds.iter().any(|fold| fold.class_rows.is_some());
        let of_numbers = [Metric::Pearson, Metric::Spearman].contains(&metric);
        if has_classes && metric == Metric::Accuracy {
            Self::Rows
        } else if has_classes && metric.higher_is_better() {
            // Whatever is higher for better answers to rows of classes is so for a higher recall.
            Self::Recall
        } else if of_numbers {
            Self::Correlation
        } else {
            Self::Folds
        }
    }
}

/// The references for configurations.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// The best constant answer, where the kind of task has one.
    pub baseline: Option<&'a Baseline>,
    /// An untrained base, where the kind of task has no constant answer.
    pub base: Option<&'a Entry>,
    /// How rows are divided.
    pub splitting: Splitting,
}

impl Against<'_> {
    /// The reference's name, and its score on each fold.
    fn reference(&self, metric: Metric) -> Option<(String, Vec<(usize, f64)>)> {
        if let Some(baseline) = self.baseline {
            return Some((format!("the {}", baseline.label), baseline.scores(metric)));
        }
        let base = self.base?;
        let scores = base.summary.folds.iter().map(|fold| (fold.fold, fold.score)).collect();
        Some(("the untrained base".to_owned(), scores))
    }
}

/// p for the best of `tried` configurations.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "configurations are few")]
pub fn bonferroni(p: f64, tried: usize) -> f64 {
    (p * tried as f64).min(1.0)
}

/// Correct rows of all folds, against the majority's share of the same number of rows.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "row counts are far below 2^52"
)]
fn rows(best: &Entry, baseline: &Baseline, tried: usize) -> Grounds {
    let (mut all, mut right, mut theirs) = (0_u64, 0.0, 0.0);
    for fold in &baseline.folds {
        let Some(own) = best.summary.folds.iter().find(|own| own.fold == fold.fold) else { continue };
        let Some(class_rows) = &fold.class_rows else { continue };
        let rows: u64 = class_rows.validation.iter().sum();
        all += rows;
        right += own.score * rows as f64;
        theirs += fold.reference.validation.get(Metric::Accuracy).unwrap_or(0.0) * rows as f64;
    }
    // Seeds are averaged, so their mean may lie between two whole numbers of rows.
    let at_least = (right + 1e-6).floor() as u64;
    let share = theirs / (all.max(1)) as f64;
    let p = match Binomial::new(share.clamp(0.0, 1.0), all) {
        Ok(chance) if at_least > 0 => chance.sf(at_least - 1),
        Ok(_) | Err(_) => 1.0,
    };
    Grounds::Rows { rows: all, p, tried }
}

/// Mean macro recall over folds against 1 / number of classes.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn recall(best: &Entry, baseline: &Baseline, tried: usize) -> Grounds {
    let (mut guesses, mut variances, mut rows) = (Vec::new(), Vec::new(), 0);
    for fold in &baseline.folds {
        let Some(class_rows) = &fold.class_rows else { continue };
        let present: Vec<u64> = class_rows.validation.iter().copied().filter(|rows| *rows > 0).collect();
        let classes = present.len() as f64;
        guesses.push(1.0 / classes);
        // A guess picks a class with some probability q, and q (1 − q) is 1/4 at most.
        variances.push(present.iter().map(|rows| 0.25 / *rows as f64).sum::<f64>() / (classes * classes));
        rows += present.iter().sum::<u64>();
    }
    let own = best.summary.validation.get(&Metric::MacroRecall).map_or(0.0, |recall| recall.mean);
    let deviation = (mean(&variances) / guesses.len() as f64).sqrt();
    let p = Normal::standard().sf((own - mean(&guesses)) / deviation);
    Grounds::Recall { rows, p: if p.is_nan() { 1.0 } else { p }, tried }
}

/// The correlations of all folds against 0. Fisher's z of a fold has variance 1 / (n − 3), that of ranks 1.06 /
/// (n − 3) (Fieller, Hartley & Pearson 1957); the larger one is used for both.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn correlation(best: &Entry, baseline: &Baseline, tried: usize) -> Grounds {
    let (mut all, mut sum, mut weights) = (0, 0.0, 0.0);
    for fold in &baseline.folds {
        let rows = fold.reference.validation.count(Count::Rows).unwrap_or(0);
        let Some(own) = best.summary.folds.iter().find(|own| own.fold == fold.fold) else { continue };
        let weight = (rows as f64 - 3.0).max(0.0);
        all += rows;
        // z of a perfect correlation is infinite.
        sum += weight * own.score.clamp(-0.999_999, 0.999_999).atanh();
        weights += weight;
    }
    let z = sum / (1.06 * weights).sqrt();
    let p = if z.is_nan() { 1.0 } else { Normal::standard().sf(z) };
    Grounds::Correlation { rows: all, p, tried }
}

fn folds(best: &Entry, scores: &[(usize, f64)], splitting: Splitting) -> Grounds {
    let its = |fold: usize| scores.iter().find(|(at, _)| *at == fold).map(|(_, score)| *score);
    let differences: Vec<f64> =
        best.summary.folds.iter().filter_map(|own| Some(own.score - its(own.fold)?)).collect();
    corrected_t_test(&differences, held_out_to_trained(splitting))
        .map_or(Grounds::Means, |test| Grounds::Folds { p: test.p })
}
