//! Owns a configuration's entry in a report: its rank within its task, and how it differs from the selected
//! one. Selects nothing. Pure.

use std::cmp::Ordering;

use crate::values::{Metric, Splitting};

use super::left::Left;
use super::seeds::Stability;
use super::statistics::{PairedTest, corrected_t_test, holm, share_interval};
use super::summary::{ConfigurationSummary, Course, FoldScore};

/// One configuration, with all its seeds.
pub struct Entry {
    /// Short name without the seed, unique in the task.
    pub label: String,
    /// Its group's index in the record.
    pub(super) group: usize,
    /// Its results.
    pub summary: ConfigurationSummary,
    /// How much they vary over its seeds.
    pub stability: Stability,
    /// How they came about.
    pub(super) course: Course,
    /// Where it left, if it was stopped early. It has no rank then, is never selected and compared with nothing.
    pub left: Option<Left>,
    /// Whether it is the one selected for its task.
    pub selected: bool,
    /// Its rank by validation score, from 1; equal scores have equal ranks. 0 for one that was stopped early.
    pub place: u64,
    /// How it differs from the selected one; `None` for that one and where nothing can be tested.
    pub comparison: Option<Comparison>,
}

impl Entry {
    /// A 95 % interval of its lead over another entry in the share of correct test rows, over the folds that
    /// both have; `None` where the metric is not such a share. See [`share_interval`].
    pub(super) fn test_lead(&self, other: &Self, rows: usize) -> Option<(f64, f64)> {
        if !self.summary.primary.counts_right_rows() {
            return None;
        }
        let its = |fold: usize| other.summary.folds.iter().find(|one| one.fold == fold)?.test;
        let differences: Vec<f64> =
            self.summary.folds.iter().filter_map(|own| Some(own.test? - its(own.fold)?)).collect();
        let mean = |entry: &Self| Some(entry.summary.test.get(&entry.summary.primary)?.mean);
        share_interval([mean(self)?, mean(other)?], rows, &differences)
    }
}

/// How a validation score differs from the best one's, on the folds that both have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The test; its difference is this score minus the best one's.
    pub test: PairedTest,
    /// Its p value after Holm's correction over all comparisons with the best one.
    pub p_holm: f64,
}

impl Comparison {
    /// The level at which a difference counts as significant.
    pub const LEVEL: f64 = 0.05;

    /// Whether the difference is significant after correction.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.p_holm < Self::LEVEL
    }
}

/// Sorts entries and ranks them; entries that differ only in size or position in the grid get equal ranks.
pub(super) fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| rank(&a.summary, &b.summary));
    for index in 0..entries.len() {
        let before = index.checked_sub(1).map(|before| &entries[before]);
        let same = before.filter(|before| by_score(&before.summary, &entries[index].summary).is_eq());
        entries[index].place = same.map_or(index as u64 + 1, |same| same.place);
    }
}

/// References last; complete before incomplete; entries with one answer to every row after those without, and
/// unordered among themselves; better scores first; of equal scores the one that trains fewer parameters. The
/// sort is stable, so the grid's order decides the rest.
fn rank(a: &ConfigurationSummary, b: &ConfigurationSummary) -> Ordering {
    by_score(a, b).then_with(|| match a.is_complete() && !a.is_constant() {
        true => a.params.trainable.cmp(&b.params.trainable),
        false => Ordering::Equal,
    })
}

/// The order of configurations; equal where only size or position in the grid would decide.
fn by_score(a: &ConfigurationSummary, b: &ConfigurationSummary) -> Ordering {
    let sort = |s: &ConfigurationSummary| (s.is_base(), s.drawn_head, !s.is_complete(), s.is_constant());
    sort(a).cmp(&sort(b)).then_with(|| {
        if !a.is_complete() || a.is_constant() {
            return Ordering::Equal;
        }
        let mean = |s: &ConfigurationSummary| s.selecting().map(|spread| spread.mean);
        best_first(a.primary, mean(a), mean(b))
    })
}

/// The order of two values of a metric: the better first, absent values last. Means of the same total may
/// differ in their last bits, which does not count as a difference.
pub(super) fn best_first(metric: Metric, a: Option<f64>, b: Option<f64>) -> Ordering {
    let round = |value: f64| (value * 1e12).round();
    match (a, b) {
        (Some(a), Some(b)) if metric.higher_is_better() => round(b).total_cmp(&round(a)),
        (Some(a), Some(b)) => round(a).total_cmp(&round(b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Tests each entry against the selected one, where there is one.
pub(super) fn compare_with_selected(entries: &mut [Entry], splitting: Splitting) {
    let Some(best) = entries.iter().position(|entry| entry.selected) else { return };
    // Where every row gets one answer, nothing was learned that could be compared.
    let tested = |entry: &Entry| !entry.summary.is_constant();
    let folds: Vec<&[FoldScore]> = entries
        .iter()
        .map(|entry| if tested(entry) { entry.summary.folds.as_slice() } else { &[] })
        .collect();
    let comparisons = compare(&folds, best, splitting);
    for (entry, comparison) in entries.iter_mut().zip(comparisons) {
        entry.comparison = comparison;
    }
}

/// Tests each configuration's scores against those at index `best`, fold by fold.
fn compare(folds: &[&[FoldScore]], best: usize, splitting: Splitting) -> Vec<Option<Comparison>> {
    let best_at = |fold: usize| folds[best].iter().find(|one| one.fold == fold);
    let test = |(index, own): (usize, &&[FoldScore])| {
        let differences: Vec<f64> =
            own.iter().filter_map(|one| Some(one.score - best_at(one.fold)?.score)).collect();
        (index != best).then(|| corrected_t_test(&differences, held_out_to_trained(splitting))).flatten()
    };
    let tests: Vec<Option<PairedTest>> = folds.iter().enumerate().map(test).collect();
    let p: Vec<f64> = tests.iter().flatten().map(|test| test.p).collect();
    let mut adjusted = holm(&p).into_iter();
    let comparison =
        |test: Option<PairedTest>| test.and_then(|test| Some(Comparison { test, p_holm: adjusted.next()? }));
    tests.into_iter().map(comparison).collect()
}

/// Rows held out divided by rows trained on, for the corrected test.
pub(super) fn held_out_to_trained(splitting: Splitting) -> f64 {
    match splitting {
        #[expect(clippy::cast_precision_loss, reason = "folds are few")]
        Splitting::KFold { k, .. } => 1.0 / (k - 1) as f64,
        Splitting::HoldOut { fraction, .. } => fraction / (1.0 - fraction),
        // One split or none: no test is possible, and the ratio is not used.
        Splitting::File | Splitting::All => 0.0,
    }
}
