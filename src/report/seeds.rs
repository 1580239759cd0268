//! Owns the treatment of seeds in a report: they repeat a configuration, and show how much it varies. Pure.
//!
//! Seeds of one split share their rows. They show how much training varies by chance, but nothing about how
//! much results vary with the data: configurations are compared over folds, never over seeds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::values::{Configuration, ConfigurationId, ContentHash, Training};

use super::statistics::Spread;

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

/// Configurations of a task that differ only in the seed.
pub(super) struct Group<'a> {
    /// The one with the first seed.
    pub(super) configuration: &'a Arc<Configuration>,
    /// Their ids, one for each seed.
    pub(super) replicates: Vec<ConfigurationId>,
}

/// Groups configurations, in the order of first appearance.
pub(super) fn groups(configurations: &[Arc<Configuration>]) -> Vec<Group<'_>> {
    let mut known: HashMap<(&str, ContentHash), usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in configurations {
        let index = *known.entry((&one.task, key(one))).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.replicates.push(one.id),
            None => groups.push(Group { configuration: one, replicates: vec![one.id] }),
        }
    }
    groups
}

/// A key shared by configurations that differ only in the task or the seed.
pub(super) fn key(one: &Configuration) -> ContentHash {
    ContentHash::of_json(&(&one.model, &one.method, &Training { seed: 0, ..one.training.deciding() }))
}

/// A configuration with its seed set to the same value as all others, for names that leave the seed out.
pub(super) fn seedless(one: &Configuration) -> Configuration {
    Configuration { training: Training { seed: 0, ..one.training.clone() }, ..one.clone() }
}
