//! Owns results over all tasks: configurations that differ only in the task, taken together. Pure.
//!
//! Language models are pooled by token: the loss over all evaluated tokens of all tasks, from which perplexity
//! and bits per token follow. Other scores are means over tasks, each with the same weight.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::RunRecord;
use crate::values::{Configuration, ContentHash, Count, Method, Metric, Naming, Scores, TrialResult};

use super::entry::{Entry, best_first};
use super::seeds;
use super::statistics::mean;
use super::summary::{ConfigurationSummary, finished, trials_of};

/// A configuration on all tasks that have it.
pub struct Pool {
    /// Short name, unique among pools.
    pub label: String,
    /// The configuration on the first of its tasks.
    pub configuration: Arc<Configuration>,
    /// Number of its tasks.
    pub tasks: usize,
    /// Number of tasks on which all its folds are done; scores are over these.
    pub done: usize,
    /// Scores on validation rows.
    pub validation: Pooled,
    /// Scores on test rows.
    pub test: Pooled,
    /// Whether it has the best validation score of those that trained and are done on the most tasks.
    pub best: bool,
}

/// Scores over tasks.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pooled {
    /// Each metric that can be pooled.
    pub scores: BTreeMap<Metric, f64>,
    /// Evaluated tokens behind mean losses, counting one trial per task; zero except for language models.
    pub tokens: u64,
}

impl Pool {
    /// A metric on test rows where there are any, else on validation rows.
    #[must_use]
    pub fn reported(&self) -> &Pooled {
        if self.test.scores.is_empty() { &self.validation } else { &self.test }
    }
}

/// The pools of all configurations: those done on the most tasks first, then the best first.
pub(super) fn pools(record: &RunRecord, entries: &[&Entry]) -> Vec<Pool> {
    let mut groups: Vec<(ContentHash, Vec<&ConfigurationSummary>)> = Vec::new();
    for summary in entries.iter().map(|entry| &entry.summary) {
        let key = seeds::key(&summary.configuration);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(summary),
            None => groups.push((key, vec![summary])),
        }
    }
    if groups.iter().all(|(_, group)| group.len() < 2) {
        return Vec::new();
    }
    let primary = record.sweep.selecting();
    let seedless: Vec<Configuration> =
        groups.iter().map(|(_, group)| seeds::seedless(&group[0].configuration)).collect();
    let named = groups.iter().zip(Naming::labels(&seedless.iter().collect::<Vec<_>>()));
    let mut pools: Vec<Pool> = named.map(|((_, group), label)| pool(record, group, label)).collect();
    let is_base = |pool: &Pool| pool.configuration.method == Method::Base;
    pools.sort_by(|a, b| {
        let score = |pool: &Pool| pool.validation.scores.get(&primary).copied();
        is_base(a)
            .cmp(&is_base(b))
            .then(b.done.cmp(&a.done))
            .then_with(|| best_first(primary, score(a), score(b)))
    });
    let any_selected = entries.iter().any(|entry| entry.selected);
    if let Some(best) = pools.first_mut().filter(|pool| pool.done > 0 && any_selected) {
        best.best = true;
    }
    pools
}

fn pool(record: &RunRecord, group: &[&ConfigurationSummary], label: String) -> Pool {
    let complete: Vec<&ConfigurationSummary> = group.iter().copied().filter(|s| s.is_complete()).collect();
    Pool {
        label,
        configuration: Arc::clone(&group[0].configuration),
        tasks: group.len(),
        done: complete.len(),
        validation: pooled(record, &complete, |result| Some(&result.validation)),
        test: pooled(record, &complete, |result| result.test.as_ref()),
        best: false,
    }
}

/// Scores over tasks on the rows of `part`; none for tasks without such rows.
fn pooled(
    record: &RunRecord,
    summaries: &[&ConfigurationSummary],
    part: fn(&TrialResult) -> Option<&Scores>,
) -> Pooled {
    let tasks: Vec<Vec<&Scores>> = summaries
        .iter()
        .map(|s| trials_of(record, &s.replicates).into_iter().filter_map(finished).filter_map(part))
        .map(Iterator::collect)
        .filter(|scores: &Vec<&Scores>| !scores.is_empty())
        .collect();
    let counted = |scores: &&Scores| Some((scores.loss()?, scores.count(Count::Tokens)?));
    let by_tokens: Vec<(f64, u64)> = tasks.iter().flatten().filter_map(counted).collect();
    if !by_tokens.is_empty() {
        return by_token(&by_tokens, summaries.first().map_or(1, |summary| summary.planned));
    }
    let metrics = summaries.first().map(|s| s.validation.keys().copied().collect::<Vec<_>>());
    let mean_of = |metric: Metric| {
        // A metric that is undefined on one task has no mean over all.
        let of_task = |task: &Vec<&Scores>| -> Option<f64> {
            Some(mean(&task.iter().map(|scores| scores.get(metric)).collect::<Option<Vec<_>>>()?))
        };
        let means = tasks.iter().map(of_task).collect::<Option<Vec<f64>>>()?;
        (!means.is_empty()).then(|| (metric, mean(&means)))
    };
    Pooled { scores: metrics.into_iter().flatten().filter_map(mean_of).collect(), tokens: 0 }
}

/// The loss over all tokens, from losses with their tokens, and the metrics that follow from it. Sequences are
/// not counted, so their mean loss has no pooled value.
#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn by_token(losses: &[(f64, u64)], folds: usize) -> Pooled {
    let tokens: u64 = losses.iter().map(|(_, tokens)| tokens).sum();
    let nats: f64 = losses.iter().map(|(loss, tokens)| loss * *tokens as f64).sum();
    let whole = Scores::of("").with(Metric::Loss, nats / tokens.max(1) as f64);
    let metrics = [Metric::Loss, Metric::Perplexity, Metric::BitsPerToken];
    let scores = metrics.iter().filter_map(|&metric| Some((metric, whole.get(metric)?))).collect();
    Pooled { scores, tokens: tokens / folds.max(1) as u64 }
}
