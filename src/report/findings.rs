//! Owns the results of a record: within each task, the ranking of configurations, the selected one, and which
//! differences from it are more than chance. Pure.
//!
//! Selection is by the mean of the metric that selects, on validation rows, over all folds and seeds: seeds
//! repeat a configuration and do not compete. Nothing is selected where the best is better than no training
//! only by chance; a head with random weights is never selected, nor what was stopped early. Test rows take no part
//! in selection, and nothing is ranked across tasks.

use polars::prelude::PolarsResult;

use crate::record::{RunRecord, TrialRecord};
use crate::tasks::{Objective, Task};
use crate::values::{Configuration, Method, MethodKind, Metric, Naming};

use super::baseline::Baseline;
use super::chance::{Against, Chance};
use super::entry::{self, Entry};
use super::left::Left;
use super::measure::Measure;
use super::pool::{Pool, pools};
use super::seeds;
use super::summary::{ConfigurationSummary, Digest};

/// Where a task has more configurations than this, several tasks get separate tables and charts.
const MOST_SIDE_BY_SIDE: usize = 3;

/// A record, digested.
pub struct Findings<'a> {
    /// The record it was made from.
    pub record: &'a RunRecord,
    /// Each task by itself, in the order of their names.
    pub tasks: Vec<TaskFindings<'a>>,
    /// Configurations that differ only in the task, taken over all tasks; empty for one task.
    pub pools: Vec<Pool>,
}

/// The results of one task.
pub struct TaskFindings<'a> {
    /// The record it was made from.
    pub record: &'a RunRecord,
    /// The task.
    pub task: &'a Task,
    /// The metric that selects.
    pub measure: Measure,
    /// Complete configurations by mean validation score, best first; then those with one answer to every row,
    /// then the unfinished ones, both in grid order; then untrained bases, those with random heads last. Without
    /// those that were stopped early.
    pub entries: Vec<Entry>,
    /// Configurations that were stopped early: bracket by bracket, those that came furthest first. They are censored, and
    /// in no ranking, mean or comparison.
    pub stopped: Vec<Entry>,
    /// The score of the best constant answer; `None` where the kind of task has none, or no result stores it.
    pub baseline: Option<Baseline>,
    /// The comparison of the best configuration with no training; `None` where it is unknown.
    pub chance: Option<Chance>,
}

impl<'a> Findings<'a> {
    /// Digests a record.
    ///
    /// # Panics
    /// When a frame lacks a column, which would be a mistake in `long` or `grouped`.
    #[must_use]
    pub fn of(record: &'a RunRecord) -> Self {
        Self::digest(record).expect("the frames have the columns that are grouped")
    }

    fn digest(record: &'a RunRecord) -> PolarsResult<Self> {
        let digest = Digest::of(record)?;
        let used = |task: &&Task| record.sweep.configurations.iter().any(|c| c.task == task.name);
        let tasks: Vec<TaskFindings<'a>> = record
            .sweep
            .tasks
            .values()
            .map(AsRef::as_ref)
            .filter(used)
            .map(|task| TaskFindings::of(&digest, task))
            .collect();
        let entries: Vec<&Entry> = tasks.iter().flat_map(TaskFindings::all).collect();
        let pools = if tasks.len() > 1 { pools(&digest, &entries)? } else { Vec::new() };
        Ok(Self { record, tasks, pools })
    }

    /// The tasks, those together that are of one kind and select by one metric. There is at least one such group.
    #[must_use]
    pub fn alike(&self) -> Vec<Vec<&TaskFindings<'a>>> {
        let mut groups: Vec<Vec<&TaskFindings<'a>>> = Vec::new();
        for task in &self.tasks {
            match groups.iter_mut().find(|group| group[0].is_judged_like(task)) {
                Some(group) => group.push(task),
                None => groups.push(vec![task]),
            }
        }
        groups
    }

    /// The first task, where all are of one kind and select by one metric.
    #[must_use]
    pub fn all_alike(&self) -> Option<&TaskFindings<'a>> {
        let (first, others) = self.tasks.split_first()?;
        others.iter().all(|task| first.is_judged_like(task)).then_some(first)
    }

    /// The metrics of all tasks, each once.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for metric in self.tasks.iter().flat_map(|task| task.task.objective.metrics()) {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        metrics
    }

    /// The metrics that select and are `wanted`, each once, in words: `accuracy or Matthews correlation`; empty without
    /// any.
    #[must_use]
    pub fn selecting(&self, wanted: impl Fn(Measure) -> bool) -> String {
        let mut titles: Vec<&str> = Vec::new();
        for title in self.tasks.iter().map(|task| task.measure).filter(|one| wanted(*one)).map(Measure::title)
        {
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        titles.join(" or ")
    }

    /// Whether there are several tasks.
    #[must_use]
    pub fn has_tasks(&self) -> bool {
        self.tasks.len() > 1
    }

    /// Whether the tasks share tables and charts: there is only one, or they are judged alike and each has few
    /// configurations.
    #[must_use]
    pub fn are_side_by_side(&self) -> bool {
        let is_short = |task: &TaskFindings<'_>| task.all().count() <= MOST_SIDE_BY_SIDE;
        !self.has_tasks() || (self.all_alike().is_some() && self.tasks.iter().all(is_short))
    }

    /// Whether any task has test rows.
    #[must_use]
    pub fn is_tested(&self) -> bool {
        self.tasks.iter().any(|task| task.task.is_tested())
    }

    /// The largest number of seeds of a configuration.
    #[must_use]
    pub fn seeds(&self) -> usize {
        self.entries().map(|entry| entry.stability.planned).max().unwrap_or(1)
    }

    /// The configuration that a trial is of.
    #[must_use]
    pub fn entry_of(&self, trial: &TrialRecord) -> Option<&Entry> {
        self.entries().find(|entry| entry.summary.replicates.contains(&trial.trial.configuration.id))
    }

    /// All configurations, task by task; those that were stopped early behind the others of their task.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.iter().flat_map(TaskFindings::all)
    }

    /// The configurations that were stopped early, task by task.
    pub fn stopped(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.iter().flat_map(|task| &task.stopped)
    }

    /// A configuration's name where its task is not shown next to it.
    #[must_use]
    pub fn full_label(&self, entry: &Entry) -> String {
        self.of_task(&entry.summary.configuration.task, &entry.label)
    }

    /// The name of an item of a task, where the task is not shown next to it.
    #[must_use]
    pub fn of_task(&self, task: &str, name: &str) -> String {
        if self.has_tasks() { format!("{task}: {name}") } else { name.to_owned() }
    }
}

impl<'a> TaskFindings<'a> {
    fn of(digest: &Digest<'a>, task: &'a Task) -> Self {
        let record = digest.record;
        let configurations: Vec<&Configuration> =
            record.sweep.configurations.iter().map(AsRef::as_ref).filter(|c| c.task == task.name).collect();
        let groups = || {
            let all = digest.groups.iter().enumerate();
            all.filter(|(_, group)| group.configuration.task == task.name)
        };
        let seedless: Vec<Configuration> =
            groups().map(|(_, group)| seeds::seedless(group.configuration)).collect();
        let labels = Naming::labels(&seedless.iter().collect::<Vec<_>>());
        let (mut stopped, mut entries): (Vec<Entry>, Vec<Entry>) = groups()
            .zip(labels)
            .filter_map(|((group, _), label)| {
                Some(Entry {
                    label,
                    group,
                    summary: digest.summary(group)?,
                    stability: digest.stability(group),
                    course: digest.course(group),
                    left: digest.left(group).cloned(),
                    selected: false,
                    place: 0,
                    comparison: None,
                })
            })
            .partition(|entry: &Entry| entry.left.is_some());
        stopped.sort_by_cached_key(|entry| entry.left.as_ref().map(Left::order));
        entry::sort(&mut entries);
        let baseline = Baseline::of(record, task);
        let best = entries.first().filter(|entry| can_be_selected(&entry.summary, &configurations));
        // The best of all that were tried was chosen, whether the others finished or not.
        let tried = entries.iter().chain(&stopped).filter(|entry| !entry.summary.is_base()).count().max(1);
        let chance = best.and_then(|best| chance(best, tried, &entries, baseline.as_ref(), record));
        let selects = best.is_some_and(|best| !best.summary.drawn_head)
            && chance.as_ref().is_none_or(|chance| chance.beaten);
        if let Some(first) = entries.first_mut().filter(|_| selects) {
            first.selected = true;
        }
        entry::compare_with_selected(&mut entries, record.sweep.splitting);
        let measure = Measure::new(record.sweep.selecting(task), &task.objective);
        Self { record, task, measure, entries, stopped, baseline, chance }
    }

    /// Whether another task is of the same kind and selects by the same metric.
    #[must_use]
    pub fn is_judged_like(&self, other: &TaskFindings<'_>) -> bool {
        self.task.objective.name() == other.task.objective.name() && self.measure == other.measure
    }

    /// What it learns.
    #[must_use]
    pub fn objective(&self) -> &'a Objective {
        &self.task.objective
    }

    /// All configurations; those that were stopped early last.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.stopped)
    }

    /// How many configurations were tried, whether they were stopped early or not: all but untrained bases.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.all().filter(|entry| !entry.summary.is_base()).count()
    }

    /// The best configuration, where no configuration is better than no training by more than chance.
    #[must_use]
    pub fn unproven(&self) -> Option<(&Entry, &Chance)> {
        self.entries.first().zip(self.chance.as_ref()).filter(|(_, chance)| !chance.beaten)
    }

    /// Configurations whose score equals the selected one's to the last digit.
    pub fn tied(&self) -> impl Iterator<Item = &Entry> {
        let place = self.selected().map(|selected| selected.place);
        self.entries.iter().filter(move |entry| !entry.selected && Some(entry.place) == place)
    }

    /// The metrics in tables, the one that selects first.
    #[must_use]
    pub fn shown(&self) -> Vec<Measure> {
        Measure::shown(self.measure.metric, &self.task.objective)
    }

    /// The selected configuration; `None` while no configuration has all its folds, and where none is better
    /// than no training.
    #[must_use]
    pub fn selected(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.selected)
    }

    /// What scores are averaged over, if anything.
    #[must_use]
    pub fn averaged(&self) -> Option<&'static str> {
        match (self.record.sweep.splitting.splits() > 1, self.has_seeds()) {
            (false, false) => None,
            (true, false) => Some("folds"),
            (false, true) => Some("seeds"),
            (true, true) => Some("folds and seeds"),
        }
    }

    /// Whether a configuration has several seeds.
    #[must_use]
    pub fn has_seeds(&self) -> bool {
        self.all().any(|entry| entry.stability.planned > 1)
    }

    /// The best complete configuration of each method that has one.
    #[must_use]
    pub fn best_per_method(&self) -> Vec<&Entry> {
        let best = |kind: &MethodKind| {
            self.entries.iter().find(|entry| entry.summary.is_complete() && entry.summary.method() == *kind)
        };
        MethodKind::ALL.iter().filter_map(best).collect()
    }
}

/// Whether it is complete, has a score, and is not merely a reference while other configurations train.
fn can_be_selected(summary: &ConfigurationSummary, all: &[&Configuration]) -> bool {
    let scored = summary.selecting().is_some() || summary.is_constant();
    summary.is_complete() && scored && (!summary.is_base() || all.iter().all(|c| c.method == Method::Base))
}

/// The comparison of the best configuration with no training. A base is compared only with the best constant
/// answer.
fn chance(
    best: &Entry,
    tried: usize,
    entries: &[Entry],
    baseline: Option<&Baseline>,
    record: &RunRecord,
) -> Option<Chance> {
    let bases = || entries.iter().filter(|entry| entry.summary.is_base() && entry.summary.is_complete());
    let own = |base: &&Entry| base.summary.configuration.model == best.summary.configuration.model;
    let objective = &record.sweep.task(&best.summary.configuration).objective;
    let base = match objective.words().baseline {
        Some(_) => None,
        None => bases().find(own).or_else(|| bases().next()).filter(|_| !best.summary.is_base()),
    };
    let against = Against { baseline, base, splitting: record.sweep.splitting };
    Chance::of(best, tried, against, objective.words().constant)
}
