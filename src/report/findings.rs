//! Owns what a record says: the ranking of configurations, which one is selected, and which
//! differences from it are more than chance. Pure.
//!
//! Selection is by mean validation accuracy over all folds. Test rows never take part in it.

use std::cmp::Ordering;

use crate::run::record::RunRecord;
use crate::trial::{Configuration, Splitting};

use super::axes;
use super::statistics::{PairedTest, corrected_t_test, holm};
use super::summary::{ConfigurationSummary, summarise};

/// A record, digested.
pub struct Findings<'a> {
    /// What it was made from.
    pub record: &'a RunRecord,
    /// Complete configurations by mean validation accuracy, highest first; then the others in
    /// grid order.
    pub entries: Vec<Entry>,
}

/// One configuration.
pub struct Entry {
    /// Short name, unique in the sweep.
    pub label: String,
    /// What it achieved.
    pub summary: ConfigurationSummary,
    /// Whether it is the one selected.
    pub selected: bool,
    /// How it differs from the selected one; `None` for that one and where nothing can be tested.
    pub comparison: Option<Comparison>,
}

/// How a configuration's validation accuracy differs from the selected one's, on the folds that
/// both have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The test; its difference is this configuration's accuracy minus the selected one's.
    pub test: PairedTest,
    /// Its p value after Holm's correction over all comparisons of the sweep.
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

impl<'a> Findings<'a> {
    /// Digests a record.
    #[must_use]
    pub fn of(record: &'a RunRecord) -> Self {
        let configurations: Vec<&Configuration> =
            record.sweep.configurations.iter().map(AsRef::as_ref).collect();
        let mut entries: Vec<Entry> = configurations
            .iter()
            .zip(axes::labels(&configurations))
            .filter_map(|(configuration, label)| {
                let summary = summarise(record, configuration.id)?;
                Some(Entry { label, summary, selected: false, comparison: None })
            })
            .collect();
        entries.sort_by(|a, b| rank(&a.summary, &b.summary));
        if let Some(first) = entries.first_mut().filter(|entry| entry.summary.is_complete()) {
            first.selected = true;
        }
        compare(&mut entries, held_out_to_trained(record.sweep.splitting));
        Self { record, entries }
    }

    /// The selected configuration; `None` while no configuration has all its folds.
    #[must_use]
    pub fn selected(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.selected)
    }

    /// The complete configuration with the highest mean validation accuracy among those that hold.
    #[must_use]
    pub fn best_where(&self, holds: impl Fn(&Configuration) -> bool) -> Option<&Entry> {
        self.entries.iter().find(|e| e.summary.is_complete() && holds(&e.summary.configuration))
    }

    /// The best complete configuration of each method that has one: LoRA, full, scratch.
    #[must_use]
    pub fn best_per_method(&self) -> Vec<&Entry> {
        ["lora", "full", "scratch"]
            .iter()
            .filter_map(|name| self.best_where(|c| c.method.name() == *name))
            .collect()
    }
}

/// Complete before incomplete; higher accuracy first; of equals the one that trains less. The sort
/// is stable, so the grid's order decides the rest.
fn rank(a: &ConfigurationSummary, b: &ConfigurationSummary) -> Ordering {
    b.is_complete().cmp(&a.is_complete()).then_with(|| {
        if !a.is_complete() {
            return Ordering::Equal;
        }
        let accuracy = |s: &ConfigurationSummary| s.validation_accuracy.map_or(f64::NEG_INFINITY, |v| v.mean);
        accuracy(b).total_cmp(&accuracy(a)).then(a.params.trainable.cmp(&b.params.trainable))
    })
}

/// Rows held out over rows trained on, as the corrected test needs it.
fn held_out_to_trained(splitting: Splitting) -> f64 {
    match splitting {
        #[expect(clippy::cast_precision_loss, reason = "folds are few")]
        Splitting::KFold { k, .. } => 1.0 / (k - 1) as f64,
        Splitting::HoldOut { fraction, .. } => fraction / (1.0 - fraction),
        // One split only: no test is possible, and the ratio is not used.
        Splitting::File => 0.0,
    }
}

fn compare(entries: &mut [Entry], held_out_to_trained: f64) {
    let Some(best) = entries.iter().find(|e| e.selected).map(|e| e.summary.folds.clone()) else {
        return;
    };
    let tests: Vec<Option<PairedTest>> = entries
        .iter()
        .map(|entry| {
            let differences: Vec<f64> = entry
                .summary
                .folds
                .iter()
                .filter_map(|one| Some(one.accuracy - best.iter().find(|b| b.fold == one.fold)?.accuracy))
                .collect();
            (!entry.selected).then(|| corrected_t_test(&differences, held_out_to_trained)).flatten()
        })
        .collect();
    let p: Vec<f64> = tests.iter().flatten().map(|test| test.p).collect();
    let mut adjusted = holm(&p).into_iter();
    for (entry, test) in entries.iter_mut().zip(tests) {
        entry.comparison = test.and_then(|test| Some(Comparison { test, p_holm: adjusted.next()? }));
    }
}
