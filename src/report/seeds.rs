//! Owns the treatment of seeds in a report: they repeat a configuration, and show how much it varies. Pure.
//!
//! Seeds of one split share their rows. They show how much training varies by chance, but nothing about how
//! much results vary with the data: configurations are compared over folds, never over seeds.

use std::collections::HashMap;

use crate::record::RunRecord;
use crate::values::{Configuration, ConfigurationId, ContentHash, Training};

use super::statistics::Spread;
use super::summary::{ConfigurationSummary, summarise};

/// How a configuration varies over its seeds. Each spread is over seeds; a seed's value is its mean over folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stability {
    /// Seeds with all folds done.
    pub done: usize,
    /// Seeds of the sweep.
    pub planned: usize,
    /// The metric that selects, on validation rows.
    pub validation: Option<Spread>,
    /// The same on test rows.
    pub test: Option<Spread>,
    /// Steps to convergence.
    pub convergence_step: Option<Spread>,
}

impl Stability {
    /// The stability of the configuration with these ids, one for each of its seeds.
    #[must_use]
    pub fn of(record: &RunRecord, replicates: &[ConfigurationId]) -> Self {
        let each: Vec<ConfigurationSummary> =
            replicates.iter().filter_map(|id| summarise(record, &[*id])).collect();
        let over_seeds = |value: &dyn Fn(&ConfigurationSummary) -> Option<f64>| {
            Spread::of(&each.iter().filter_map(value).collect::<Vec<_>>())
        };
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
        let convergence = |s: &ConfigurationSummary| s.convergence_step.map(|step| step as f64);
        Self {
            done: each.iter().filter(|s| s.is_complete()).count(),
            planned: replicates.len(),
            validation: over_seeds(&|s| s.selecting().map(|spread| spread.mean)),
            test: over_seeds(&|s| s.test.get(&s.primary).map(|spread| spread.mean)),
            convergence_step: over_seeds(&convergence),
        }
    }
}

/// Configurations grouped with those that differ only in the seed: each group with its ids, one for each seed,
/// in the order of first appearance.
pub(super) fn groups<'a>(
    configurations: &[&'a Configuration],
) -> Vec<(&'a Configuration, Vec<ConfigurationId>)> {
    let mut known: HashMap<ContentHash, usize> = HashMap::new();
    let mut groups: Vec<(&Configuration, Vec<ConfigurationId>)> = Vec::new();
    for &one in configurations {
        let index = *known.entry(key(one)).or_insert(groups.len());
        match groups.get_mut(index) {
            Some((_, ids)) => ids.push(one.id),
            None => groups.push((one, vec![one.id])),
        }
    }
    groups
}

/// A key shared by configurations that differ only in the task or the seed.
pub(super) fn key(one: &Configuration) -> ContentHash {
    ContentHash::of_json(&(&one.model, &one.method, &Training { seed: 0, ..one.training.clone() }))
}

/// A configuration with its seed set to the same value as all others, for names that leave the seed out.
pub(super) fn seedless(one: &Configuration) -> Configuration {
    Configuration { training: Training { seed: 0, ..one.training.clone() }, ..one.clone() }
}
