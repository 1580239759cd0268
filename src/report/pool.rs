//! Owns results over all tasks: configurations that differ only in the task, taken together. Pure.
//!
//! Language models are pooled by token: the loss over all evaluated tokens of all tasks, from which perplexity
//! and bits per token follow. Other scores are means over tasks, each with the same weight. Tasks of different kinds, or
//! that select by different metrics, have one mean: that of the metric that selects on each (as GLUE's score is, Wang et
//! al. 2019).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use polars::prelude::PolarsResult;

use crate::values::{Configuration, ContentHash, Method, Metric, Naming, Scores};

use super::entry::{Entry, best_first};
use super::grouped::{self, ByName};
use super::long::{self, Part};
use super::seeds;
use super::statistics::{Spread, mean};
use super::summary::{ConfigurationSummary, Digest};

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
    /// The groups of its configuration on each task.
    pub(super) members: Vec<usize>,
    /// Whether it has the best validation score of those that trained and are done on the most tasks.
    pub best: bool,
}

/// Scores over tasks.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pooled {
    /// Each metric that can be pooled.
    pub scores: BTreeMap<Metric, f64>,
    /// The mean over tasks of the metric that selects on each; `None` where these metrics have no common scale.
    pub own: Option<f64>,
    /// Evaluated tokens behind mean losses, counting one trial per task; zero except for language models.
    pub tokens: u64,
}

impl Pooled {
    /// Whether there are no scores.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty() && self.own.is_none()
    }
}

/// A mean over metrics with different units: times 100, with one decimal.
#[must_use]
pub fn hundredfold(mean: f64) -> String {
    format!("{:.1}", 100.0 * mean)
}

impl Pool {
    /// Scores on test rows where there are any, else on validation rows.
    #[must_use]
    pub fn reported(&self) -> &Pooled {
        if self.test.is_empty() { &self.validation } else { &self.test }
    }
}

/// The pools of all configurations: those done on the most tasks first, then the best first.
///
/// # Errors
/// Only if a frame lacked a column.
pub(super) fn pools(digest: &Digest<'_>, entries: &[&Entry]) -> PolarsResult<Vec<Pool>> {
    let mut known: HashMap<ContentHash, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Entry>> = Vec::new();
    for entry in entries {
        let index = *known.entry(seeds::key(&entry.summary.configuration)).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    groups.retain(|group| group.iter().any(|entry| entry.left.is_none()));
    if groups.iter().all(|group| group.len() < 2) {
        return Ok(Vec::new());
    }
    let alike = Alike::of(digest, entries);
    let scores = PooledScores::of(digest, &groups, alike)?;
    let seedless: Vec<Configuration> =
        groups.iter().map(|group| seeds::seedless(&group[0].summary.configuration)).collect();
    let named = groups.iter().zip(Naming::labels(&seedless.iter().collect::<Vec<_>>()));
    let mut pools: Vec<Pool> =
        named.enumerate().map(|(number, (group, label))| scores.pool(number, group, label)).collect();
    let is_base = |pool: &Pool| pool.configuration.method == Method::Base;
    pools.sort_by(|a, b| {
        // Means over different metrics are there only where higher is better on each.
        let metric = alike.map_or(Metric::Accuracy, |alike| alike.selecting);
        let score = |pool: &Pool| pool.validation.own;
        is_base(a)
            .cmp(&is_base(b))
            .then(b.done.cmp(&a.done))
            .then_with(|| best_first(metric, score(a), score(b)))
    });
    let any_selected = entries.iter().any(|entry| entry.selected);
    if let Some(best) = pools.first_mut().filter(|pool| pool.validation.own.is_some() && any_selected) {
        best.best = true;
    }
    Ok(pools)
}

/// What tasks have in common that are of one kind and select by one metric.
#[derive(Clone, Copy)]
struct Alike<'a> {
    selecting: Metric,
    metrics: &'a [Metric],
}

impl<'a> Alike<'a> {
    /// What the tasks of these entries have in common; `None` where they are judged differently.
    fn of(digest: &Digest<'a>, entries: &[&Entry]) -> Option<Self> {
        let sweep = &digest.record.sweep;
        let objective = |entry: &Entry| &sweep.task(&entry.summary.configuration).objective;
        let (first, others) = entries.split_first()?;
        let is_like = |entry: &&Entry| {
            objective(entry).name() == objective(first).name()
                && entry.summary.primary == first.summary.primary
        };
        let metrics = objective(first).metrics();
        others.iter().all(is_like).then_some(Self { selecting: first.summary.primary, metrics })
    }
}

/// Results over the tasks on which a configuration is complete, by the index of its pool.
struct PooledScores<'a> {
    /// `None` where tasks are judged differently.
    alike: Option<Alike<'a>>,
    over_tasks: ByName<1, Spread>,
    over_trials: ByName<1, f64>,
}

impl<'a> PooledScores<'a> {
    fn of(digest: &Digest<'a>, groups: &[Vec<&Entry>], alike: Option<Alike<'a>>) -> PolarsResult<Self> {
        let complete = groups.iter().enumerate().flat_map(|(pool, entries)| {
            let complete = entries.iter().filter(|entry| entry.summary.is_complete());
            complete.map(move |entry| (long::index(entry.group), long::index(pool)))
        });
        let (groups, pools): (Vec<u32>, Vec<u32>) = complete.unzip();
        let members = grouped::members(&groups, &pools)?;
        Ok(Self {
            alike,
            over_tasks: grouped::over_tasks(&digest.results, members.clone())?,
            over_trials: grouped::over_trials(&digest.results, members)?,
        })
    }

    fn pool(&self, number: usize, group: &[&Entry], label: String) -> Pool {
        let complete: Vec<&ConfigurationSummary> =
            group.iter().map(|entry| &entry.summary).filter(|summary| summary.is_complete()).collect();
        let pooled = |part: Part| match self.alike {
            Some(alike) => self.pooled(alike, number, part, complete.first().map_or(1, |one| one.planned)),
            None => Pooled { own: own(&complete, part), ..Pooled::default() },
        };
        Pool {
            label,
            configuration: Arc::clone(&group[0].summary.configuration),
            tasks: group.len(),
            done: complete.len(),
            validation: pooled(Part::Validation),
            test: pooled(Part::Test),
            members: group.iter().map(|entry| entry.group).collect(),
            best: false,
        }
    }

    /// Scores over tasks on the rows of `part`; none for tasks without such rows.
    fn pooled(&self, alike: Alike<'_>, pool: usize, part: Part, trials: usize) -> Pooled {
        let key = [long::index(pool)];
        let sum = |name: &str| self.over_trials.get(&key)?.get(name).copied();
        let mut pooled = match (sum(&part.nats()), sum(&part.tokens())) {
            (Some(nats), Some(tokens)) => by_token(nats, tokens, trials),
            (Some(_) | None, _) => {
                let mean =
                    |&metric: &Metric| Some((metric, self.over_tasks.get(&key)?.get(&part.of(metric))?.mean));
                Pooled { scores: alike.metrics.iter().filter_map(mean).collect(), ..Pooled::default() }
            }
        };
        pooled.own = pooled.scores.get(&alike.selecting).copied();
        pooled
    }
}

/// The mean over tasks of the metric that selects on each, on the rows of `part`; `None` where a task lacks it, or it has
/// no scale of its own.
fn own(complete: &[&ConfigurationSummary], part: Part) -> Option<f64> {
    let score = |summary: &&ConfigurationSummary| {
        let scores = match part {
            Part::Validation => &summary.validation,
            Part::Test => &summary.test,
        };
        scores.get(&summary.primary).filter(|_| summary.primary.has_scale()).map(|spread| spread.mean)
    };
    let scores: Vec<f64> = complete.iter().map(score).collect::<Option<_>>()?;
    (!scores.is_empty()).then(|| mean(&scores))
}

/// The loss over all tokens, from the losses' sum in nats, and the metrics that follow from it. Sequences are
/// not counted, so their mean loss has no pooled value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the sum of token counts is a count far below 2^52"
)]
fn by_token(nats: f64, tokens: f64, trials: usize) -> Pooled {
    let whole = Scores::of("").with(Metric::Loss, nats / tokens.max(1.0));
    let metrics = [Metric::Loss, Metric::Perplexity, Metric::BitsPerToken];
    let scores = metrics.iter().filter_map(|&metric| Some((metric, whole.get(metric)?))).collect();
    Pooled { scores, own: None, tokens: tokens as u64 / trials.max(1) as u64 }
}
