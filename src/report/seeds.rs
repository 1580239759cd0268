//! Owns stability over seeds: configurations that differ in the seed alone, taken together. Pure.
//!
//! Seeds of one split share their rows, so they say how much chance there is in training, and
//! nothing of how much there is in the data: groups are compared over folds, never over seeds.

use crate::content::ContentHash;
use crate::run::record::RunRecord;
use crate::trial::{Configuration, Training};

use super::axes;
use super::findings::{Comparison, TaskFindings, best_first, compare};
use super::statistics::{Spread, mean};
use super::summary::{ConfigurationSummary, FoldScore};

/// A configuration under all its seeds.
pub struct SeedGroup {
    /// Its task.
    pub task: String,
    /// Short name without the seed, unique in the task.
    pub label: String,
    /// Seeds that have all their folds.
    pub seeds: usize,
    /// Seeds of the sweep.
    pub planned: usize,
    /// The metric that selects, on validation rows: over seeds, each the mean of its folds.
    pub validation: Option<Spread>,
    /// The same over all trials.
    pub trials: Option<Spread>,
    /// The metric that selects, on test rows: over seeds.
    pub test: Option<Spread>,
    /// Steps to convergence, over seeds.
    pub convergence_step: Option<Spread>,
    /// Mean over seeds of each fold's score.
    pub folds: Vec<FoldScore>,
    /// Whether it has the best mean of the task's groups that trained and have all seeds.
    pub best: bool,
    /// How it differs from the best.
    pub comparison: Option<Comparison>,
    base: bool,
}

/// The groups of each task, the best first; none where no configurations differ in the seed alone.
pub(super) fn seed_groups(record: &RunRecord, tasks: &[TaskFindings<'_>]) -> Vec<SeedGroup> {
    let all: Vec<SeedGroup> = tasks.iter().flat_map(|task| groups_of(record, task)).collect();
    if all.iter().any(|group| group.planned > 1) { all } else { Vec::new() }
}

fn groups_of(record: &RunRecord, task: &TaskFindings<'_>) -> Vec<SeedGroup> {
    let mut groups: Vec<(ContentHash, Configuration, Vec<&ConfigurationSummary>)> = Vec::new();
    for summary in task.entries.iter().map(|entry| &entry.summary) {
        let c = summary.configuration.as_ref();
        let seedless = Configuration { training: Training { seed: 0, ..c.training.clone() }, ..c.clone() };
        let key = ContentHash::of_json(&(&seedless.model, &seedless.method, &seedless.training));
        match groups.iter_mut().find(|(known, ..)| *known == key) {
            Some((_, _, group)) => group.push(summary),
            None => groups.push((key, seedless, vec![summary])),
        }
    }
    let seedless: Vec<&Configuration> = groups.iter().map(|(_, configuration, _)| configuration).collect();
    let labels = axes::labels(&seedless);
    let mut all: Vec<SeedGroup> =
        groups.iter().zip(labels).map(|((_, _, group), label)| group_of(group, label)).collect();
    let mean_of = |group: &SeedGroup| group.validation.map(|spread| spread.mean);
    all.sort_by(|a, b| {
        (a.base, a.seeds < a.planned)
            .cmp(&(b.base, b.seeds < b.planned))
            .then_with(|| best_first(task.measure.metric, mean_of(a), mean_of(b)))
    });
    if all.first().is_some_and(|first| first.seeds > 0) {
        let folds: Vec<&[FoldScore]> = all.iter().map(|group| group.folds.as_slice()).collect();
        let comparisons = compare(&folds, 0, record.sweep.splitting);
        all[0].best = true;
        for (group, comparison) in all.iter_mut().zip(comparisons) {
            group.comparison = comparison;
        }
    }
    all
}

fn group_of(group: &[&ConfigurationSummary], label: String) -> SeedGroup {
    let over_seeds = |value: &dyn Fn(&ConfigurationSummary) -> Option<f64>| {
        Spread::of(&group.iter().filter_map(|s| value(s)).collect::<Vec<_>>())
    };
    let scores: Vec<FoldScore> = group.iter().flat_map(|s| s.folds.iter().copied()).collect();
    let at = |fold: usize| scores.iter().filter(move |one| one.fold == fold);
    let mut indices: Vec<usize> = scores.iter().map(|one| one.fold).collect();
    indices.sort_unstable();
    indices.dedup();
    let over_fold = |fold: usize| FoldScore {
        fold,
        score: mean(&at(fold).map(|one| one.score).collect::<Vec<_>>()),
        wall_s: mean(&at(fold).map(|one| one.wall_s).collect::<Vec<_>>()),
    };
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    let convergence = |s: &ConfigurationSummary| s.convergence_step.map(|step| step as f64);
    SeedGroup {
        task: group[0].configuration.task.clone(),
        label,
        seeds: group.iter().filter(|s| s.is_complete()).count(),
        planned: group.len(),
        validation: over_seeds(&|s| s.selecting().map(|spread| spread.mean)),
        trials: Spread::of(&scores.iter().map(|one| one.score).collect::<Vec<_>>()),
        test: over_seeds(&|s| s.test.get(&s.primary).map(|spread| spread.mean)),
        convergence_step: over_seeds(&convergence),
        folds: indices.into_iter().map(over_fold).collect(),
        best: false,
        comparison: None,
        base: group[0].is_base(),
    }
}
