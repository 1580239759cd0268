//! Owns what a record says: within each task the ranking of configurations, which one is selected,
//! and which differences from it are more than chance. Pure.
//!
//! Selection is by the mean over all folds and seeds of the metric that selects, on validation rows:
//! seeds repeat a configuration, and do not compete. Where the best is no better than no training but
//! for chance, none is selected. Test rows never take part in it, and nothing is
//! ever ranked across tasks.

use std::cmp::Ordering;

use crate::record::{RunRecord, TrialRecord};
use crate::tasks::{Objective, Task};
use crate::values::{Configuration, Method, Naming, Splitting};

use super::baseline::Baseline;
use super::chance::{Against, Chance};
use super::measure::Measure;
use super::pool::{Pool, pools};
use super::seeds::{self, Stability};
use super::statistics::{PairedTest, corrected_t_test, holm};
use super::summary::{ConfigurationSummary, FoldScore, summarise};

/// A record, digested.
pub struct Findings<'a> {
    /// What it was made from.
    pub record: &'a RunRecord,
    /// Each task by itself, in the order of their names.
    pub tasks: Vec<TaskFindings<'a>>,
    /// Configurations that differ in the task alone, over all tasks; empty for one task.
    pub pools: Vec<Pool>,
}

/// What a record says of one task.
pub struct TaskFindings<'a> {
    /// What it was made from.
    pub record: &'a RunRecord,
    /// The task.
    pub task: &'a Task,
    /// The metric that selects.
    pub measure: Measure,
    /// Complete configurations by mean validation score, best first; then those that answer one class, and
    /// then the unfinished ones, both in grid order; then bases that are not trained, unless there is
    /// nothing else to select.
    pub entries: Vec<Entry>,
    /// What the best constant answer scores; `None` where the kind of task has none, or no result tells.
    pub baseline: Option<Baseline>,
    /// How the best configuration compares with no training; `None` where nothing tells.
    pub chance: Option<Chance>,
}

/// One configuration, with all its seeds.
pub struct Entry {
    /// Short name without the seed, unique in the task.
    pub label: String,
    /// What it achieved.
    pub summary: ConfigurationSummary,
    /// How steady that is over its seeds.
    pub stability: Stability,
    /// Whether it is the one selected for its task.
    pub selected: bool,
    /// Its place by validation score, from 1; equal ones have the same.
    pub place: u64,
    /// How it differs from the selected one; `None` for that one and where nothing can be tested.
    pub comparison: Option<Comparison>,
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

impl<'a> Findings<'a> {
    /// Digests a record.
    #[must_use]
    pub fn of(record: &'a RunRecord) -> Self {
        let used = |task: &&Task| record.sweep.configurations.iter().any(|c| c.task == task.name);
        let tasks: Vec<TaskFindings<'a>> = record
            .sweep
            .tasks
            .values()
            .map(AsRef::as_ref)
            .filter(used)
            .map(|task| TaskFindings::of(record, task))
            .collect();
        let pools = if tasks.len() > 1 { pools(record, &tasks) } else { Vec::new() };
        Self { record, tasks, pools }
    }

    /// The objective that all tasks of a sweep have in common.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        &self.record.sweep.first_task().objective
    }

    /// The metric that selects, the same for all tasks.
    #[must_use]
    pub fn measure(&self) -> Measure {
        Measure::new(self.record.sweep.selecting(), self.objective())
    }

    /// The metrics that tables show, the one that selects first.
    #[must_use]
    pub fn shown(&self) -> Vec<Measure> {
        Measure::shown(self.record.sweep.selecting(), self.objective())
    }

    /// Whether there are several tasks.
    #[must_use]
    pub fn has_tasks(&self) -> bool {
        self.tasks.len() > 1
    }

    /// Whether any task has test rows.
    #[must_use]
    pub fn is_tested(&self) -> bool {
        self.tasks.iter().any(|task| task.task.is_tested())
    }

    /// The most seeds that a configuration has.
    #[must_use]
    pub fn seeds(&self) -> usize {
        self.entries().map(|entry| entry.stability.planned).max().unwrap_or(1)
    }

    /// The configuration that a trial is of.
    #[must_use]
    pub fn entry_of(&self, trial: &TrialRecord) -> Option<&Entry> {
        self.entries().find(|entry| entry.summary.replicates.contains(&trial.trial.configuration.id))
    }

    /// All configurations, task by task.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.iter().flat_map(|task| &task.entries)
    }

    /// A configuration's name where its task does not stand beside it.
    #[must_use]
    pub fn full_label(&self, entry: &Entry) -> String {
        self.of_task(&entry.summary.configuration.task, &entry.label)
    }

    /// The name of something of a task, where the task does not stand beside it.
    #[must_use]
    pub fn of_task(&self, task: &str, name: &str) -> String {
        if self.has_tasks() { format!("{task}: {name}") } else { name.to_owned() }
    }
}

impl<'a> TaskFindings<'a> {
    fn of(record: &'a RunRecord, task: &'a Task) -> Self {
        let configurations: Vec<&Configuration> =
            record.sweep.configurations.iter().map(AsRef::as_ref).filter(|c| c.task == task.name).collect();
        let groups = seeds::groups(&configurations);
        let seedless: Vec<Configuration> = groups.iter().map(|(one, _)| seeds::seedless(one)).collect();
        let labels = Naming::labels(&seedless.iter().collect::<Vec<_>>());
        let mut entries: Vec<Entry> = groups
            .iter()
            .zip(labels)
            .filter_map(|((_, replicates), label)| {
                let summary = summarise(record, replicates)?;
                let stability = Stability::of(record, replicates);
                Some(Entry { label, summary, stability, selected: false, place: 0, comparison: None })
            })
            .collect();
        entries.sort_by(|a, b| rank(&a.summary, &b.summary));
        number(&mut entries);
        let baseline = Baseline::of(record, task);
        let best = entries.first().filter(|entry| can_be_selected(&entry.summary, &configurations));
        let chance = best.and_then(|best| chance(best, &entries, (baseline.as_ref(), record)));
        let selects = best.is_some() && chance.as_ref().is_none_or(|chance| chance.beaten);
        if let Some(first) = entries.first_mut().filter(|_| selects) {
            first.selected = true;
        }
        compare_with_selected(&mut entries, record.sweep.splitting);
        let measure = Measure::new(record.sweep.selecting(), &task.objective);
        Self { record, task, measure, entries, baseline, chance }
    }

    /// The configuration that is best but for chance, where none is better than no training.
    #[must_use]
    pub fn unproven(&self) -> Option<(&Entry, &Chance)> {
        self.entries.first().zip(self.chance.as_ref()).filter(|(_, chance)| !chance.beaten)
    }

    /// Configurations whose score is that of the selected one, to the last digit.
    pub fn tied(&self) -> impl Iterator<Item = &Entry> {
        let place = self.selected().map(|selected| selected.place);
        self.entries.iter().filter(move |entry| !entry.selected && Some(entry.place) == place)
    }

    /// The metrics that tables show, the one that selects first.
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

    /// Over what scores are means, if over anything.
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
        self.entries.iter().any(|entry| entry.stability.planned > 1)
    }

    /// The best complete configuration of each method that has one: LoRA, full, scratch, base.
    #[must_use]
    pub fn best_per_method(&self) -> Vec<&Entry> {
        let best = |name: &&str| {
            let holds =
                |e: &&Entry| e.summary.is_complete() && e.summary.configuration.method.name() == *name;
            self.entries.iter().find(holds)
        };
        ["lora", "full", "scratch", "base"].iter().filter_map(best).collect()
    }
}

/// Complete, with a score, and not a mere reference while something trains.
fn can_be_selected(summary: &ConfigurationSummary, all: &[&Configuration]) -> bool {
    let scored = summary.selecting().is_some() || summary.answers_one_class();
    summary.is_complete() && scored && (!summary.is_base() || all.iter().all(|c| c.method == Method::Base))
}

/// The best against no training. What a base can be held against is the best constant answer alone.
fn chance(
    best: &Entry,
    entries: &[Entry],
    (baseline, record): (Option<&Baseline>, &RunRecord),
) -> Option<Chance> {
    let bases = || entries.iter().filter(|entry| entry.summary.is_base() && entry.summary.is_complete());
    let own = |base: &&Entry| base.summary.configuration.model == best.summary.configuration.model;
    let objective = &record.sweep.task(&best.summary.configuration).objective;
    let base = match objective.words().baseline {
        Some(_) => None,
        None => bases().find(own).or_else(|| bases().next()).filter(|_| !best.summary.is_base()),
    };
    let tried = entries.iter().filter(|entry| !entry.summary.is_base()).count().max(1);
    let against = Against { baseline, base, splitting: record.sweep.splitting };
    Chance::of(best, tried, against, objective.words().constant)
}

/// References last; complete before incomplete; what answers one class behind what does not, and in no
/// order; better scores first; of equals the one that trains less. The sort is stable, so the grid's
/// order decides the rest.
fn rank(a: &ConfigurationSummary, b: &ConfigurationSummary) -> Ordering {
    by_score(a, b).then_with(|| match a.is_complete() && !a.answers_one_class() {
        true => a.params.trainable.cmp(&b.params.trainable),
        false => Ordering::Equal,
    })
}

/// The order of configurations, equal where nothing but their size or their place in the grid decides.
fn by_score(a: &ConfigurationSummary, b: &ConfigurationSummary) -> Ordering {
    let sort = |s: &ConfigurationSummary| (s.is_base(), !s.is_complete(), s.answers_one_class());
    sort(a).cmp(&sort(b)).then_with(|| {
        if !a.is_complete() || a.answers_one_class() {
            return Ordering::Equal;
        }
        let mean = |s: &ConfigurationSummary| s.selecting().map(|spread| spread.mean);
        best_first(a.primary, mean(a), mean(b))
    })
}

/// Numbers sorted entries; those that nothing but size or the grid's order keeps apart alike.
fn number(entries: &mut [Entry]) {
    for index in 0..entries.len() {
        let before = index.checked_sub(1).map(|before| &entries[before]);
        let same = before.filter(|before| by_score(&before.summary, &entries[index].summary).is_eq());
        entries[index].place = same.map_or(index as u64 + 1, |same| same.place);
    }
}

/// The order of two values of a metric: the better first, absent ones last. Means of the same total may
/// differ in their last bits; those are no difference.
pub(super) fn best_first(metric: crate::values::Metric, a: Option<f64>, b: Option<f64>) -> Ordering {
    let round = |value: f64| (value * 1e12).round();
    match (a, b) {
        (Some(a), Some(b)) if metric.higher_is_better() => round(b).total_cmp(&round(a)),
        (Some(a), Some(b)) => round(a).total_cmp(&round(b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn compare_with_selected(entries: &mut [Entry], splitting: Splitting) {
    let Some(best) = entries.iter().position(|entry| entry.selected) else { return };
    // Nothing was learned where one class is answered: there is nothing to compare.
    let tested = |entry: &Entry| !entry.summary.answers_one_class();
    let folds: Vec<&[FoldScore]> = entries
        .iter()
        .map(|entry| if tested(entry) { entry.summary.folds.as_slice() } else { &[] })
        .collect();
    let comparisons = compare(&folds, best, splitting);
    for (entry, comparison) in entries.iter_mut().zip(comparisons) {
        entry.comparison = comparison;
    }
}

/// Tests each one's scores against those of the one at `best`, fold by fold.
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

/// Rows held out over rows trained on, as the corrected test needs it.
pub(super) fn held_out_to_trained(splitting: Splitting) -> f64 {
    match splitting {
        #[expect(clippy::cast_precision_loss, reason = "folds are few")]
        Splitting::KFold { k, .. } => 1.0 / (k - 1) as f64,
        Splitting::HoldOut { fraction, .. } => fraction / (1.0 - fraction),
        // One split only: no test is possible, and the ratio is not used.
        Splitting::File => 0.0,
    }
}
