//! Owns the opening sentences of a report: what was compared, on which data, and the result. Pure.

use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::tasks::{DataFile, Task};
use crate::values::{MethodKind, Metric, quantity};

use super::chance::Grounds;
use super::entry::{Comparison, Entry};
use super::findings::{Findings, TaskFindings};
use super::format;
use super::measure::Measure;
use super::pool::{self, Pool};
use super::{stopped, warnings};

/// A report's opening.
pub struct Headline {
    /// First of all: that nothing was learned, for each task where that is so.
    pub unproven: Vec<String>,
    /// What was compared.
    pub compared: String,
    /// On which data.
    pub data: String,
    /// What was stopped early, and what is not known for that.
    pub stopped: Vec<String>,
    /// Which configuration is selected, and its score; over all tasks where there are several.
    pub result: String,
    /// The selected configuration against the best of each other method; with several tasks, the selection on
    /// each.
    pub against: Vec<String>,
    /// What a reader must keep in mind.
    pub cautions: Vec<String>,
}

impl Headline {
    /// The opening of a report on these findings.
    #[must_use]
    pub fn of(findings: &Findings<'_>) -> Self {
        Self {
            unproven: warnings::unproven(findings).into_iter().map(|said| said + ".").collect(),
            compared: compared(findings),
            data: data(findings),
            stopped: stopped::told(findings),
            result: result(findings),
            against: against(findings),
            cautions: warnings::cautions(findings),
        }
    }
}

/// How many trials have which fate.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) stopped: usize,
    /// None yet.
    pub(super) left: usize,
}

pub(super) fn counts(record: &RunRecord) -> Counts {
    let mut counts = Counts::default();
    for trial in &record.trials {
        match trial.state {
            TrialState::Done => counts.done += 1,
            TrialState::Failed { .. } => counts.failed += 1,
            TrialState::Stopped { .. } => counts.stopped += 1,
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Interrupted => counts.left += 1,
        }
    }
    counts
}

/// How many trials of some tasks may still change what is selected: they are neither done nor failed, nor stopped
/// early.
pub(super) fn unfinished(record: &RunRecord, is_wanted: &dyn Fn(&str) -> bool) -> usize {
    let of_task = |trial: &&TrialRecord| is_wanted(&trial.trial.configuration.task);
    record.trials.iter().filter(of_task).filter(|trial| !trial.state.is_settled()).count()
}

fn compared(findings: &Findings<'_>) -> String {
    let mut methods: Vec<MethodKind> = Vec::new();
    for kind in findings.record.sweep.configurations.iter().map(|one| one.method.kind()) {
        if !methods.contains(&kind) {
            methods.push(kind);
        }
    }
    let of = |kind: MethodKind| findings.entries().filter(move |entry| entry.summary.method() == kind);
    let methods: Vec<String> =
        methods.into_iter().map(|kind| format!("{} {}", of(kind).count(), kind.title())).collect();
    let Counts { done, failed, stopped, left } = counts(findings.record);
    let mut state = format!("{done} done");
    for (n, what) in [(stopped, "stopped early"), (failed, "failed"), (left, "unfinished")] {
        if n > 0 {
            state.push_str(&format!(", {n} {what}"));
        }
    }
    let tasks =
        if findings.has_tasks() { format!("{} tasks and ", findings.tasks.len()) } else { String::new() };
    let seeds = match findings.seeds() {
        0 | 1 => String::new(),
        seeds => format!(" with {seeds} seeds"),
    };
    format!(
        "{} ({}) on {tasks}{}{seeds}, {}: {state}.",
        quantity::counted(findings.entries().count(), "configuration"),
        methods.join(", "),
        quantity::counted(findings.record.sweep.splitting.splits(), "fold"),
        quantity::counted(findings.record.trials.len(), "trial"),
    )
}

fn data(findings: &Findings<'_>) -> String {
    let tasks: Vec<&Task> = findings.tasks.iter().map(|task| task.task).collect();
    if let [task] = tasks[..] {
        return data_of(task);
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let sum = |rows: fn(&Task) -> usize| quantity::counted(tasks.iter().map(|task| rows(task)).sum(), "row");
    let test =
        if findings.is_tested() { format!("tested on {}", sum(Task::test_rows)) } else { NO_TEST.into() };
    format!("Data: `{}`, {} in all; {test}.", names.join("`, `"), sum(Task::train_rows))
}

const NO_TEST: &str = "no test rows";

fn data_of(task: &Task) -> String {
    let test = match &task.test {
        Some(file) => format!("tested on {}", rows(task.test_rows(), file)),
        None if task.is_tested() => {
            format!("tested on {} held out", quantity::counted(task.test_rows(), "row"))
        }
        None => NO_TEST.to_owned(),
    };
    let validated = task.validation.as_ref().map(|file| format!("validated on {}, ", rows(file.rows, file)));
    let test = validated.unwrap_or_default() + &test;
    let from = rows(task.train_rows(), &task.train);
    let told = task.objective.data_told().map_or_else(String::new, |told| format!(" {told}"));
    format!("Data: {from}{told}; {test}.")
}

/// The used rows of a file; where cleaning removed some, also the number before it.
fn rows(used: usize, file: &DataFile) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
    let left = quantity::counted(file.rows, "row");
    let all = used == file.rows;
    match file.rows_read.filter(|read| *read > file.rows) {
        Some(read) => {
            let read = quantity::count(read as u64);
            let left = format!("the {left} left by cleaning, of {read} in `{name}`");
            if all { left } else { format!("{} of {left}", quantity::count(used as u64)) }
        }
        None if all => format!("{left} of `{name}`"),
        None => format!("{} of {left} of `{name}`", quantity::count(used as u64)),
    }
}

fn result(findings: &Findings<'_>) -> String {
    if findings.record.sweep.is_refit() {
        return "Refitted on all training rows; nothing is compared or selected here.".to_owned();
    }
    match &findings.tasks[..] {
        [task] => match (task.selected(), task.unproven()) {
            (Some(selected), _) => format!("Selected on validation: {}.", selection(task, selected)),
            (None, Some((_, chance))) if chance.grounds == Grounds::Constant => {
                "No configuration is selected.".to_owned()
            }
            (None, Some((best, _))) => {
                format!("The best on validation, not selected: {}.", selection(task, best))
            }
            (None, None) => format!("{}, so none is selected.", why_none(task)),
        },
        _ => findings
            .pools
            .iter()
            .find(|pool| pool.best)
            .map_or_else(|| over_none(findings).to_owned(), |best| over_tasks(findings, best)),
    }
}

/// Why no configuration is selected, where the reason is what they lack.
pub(super) fn why_none(task: &TaskFindings<'_>) -> String {
    if task.tried() > 0
        && task.entries.iter().all(|entry| entry.summary.is_base())
        && !task.stopped.is_empty()
    {
        return "Nothing was trained to its end: every configuration was stopped early".to_owned();
    }
    if task.entries.first().is_some_and(|entry| entry.summary.drawn_head) {
        return "Nothing was trained, and the heads were drawn at random".to_owned();
    }
    if task.entries.iter().any(|entry| entry.summary.is_complete() && !entry.summary.is_base()) {
        return format!("No configuration has a {} on all its folds", task.measure.title());
    }
    "No configuration has all its folds yet".to_owned()
}

/// A configuration of a task, its scores and its size.
fn selection(task: &TaskFindings<'_>, selected: &Entry) -> String {
    let (summary, params) = (&selected.summary, &selected.summary.params);
    let scores =
        if summary.test.is_empty() { ("validation", &summary.validation) } else { ("test", &summary.test) };
    let value = |measure: Measure| Some(measure.said(&measure.spread(scores.1.get(&measure.metric))));
    let folds = task.record.sweep.splitting.splits();
    let over = match (folds, selected.stability.planned) {
        (0 | 1, 0 | 1) => String::new(),
        (folds, 0 | 1) => format!(" (mean ± standard deviation over {folds} folds)"),
        (0 | 1, seeds) => format!(" (mean ± standard deviation over {seeds} seeds)"),
        (folds, seeds) => format!(" (mean ± standard deviation over {seeds} seeds × {folds} folds)"),
    };
    format!(
        "{} of model `{}`, {} {}{over}, training {} of {} parameters ({} %)",
        selected.label,
        summary.configuration.model,
        scores.0,
        scores_said(task, value),
        quantity::count(params.trainable),
        quantity::count(params.total),
        format::parameter_share(params.trainable_percent()),
    )
}

/// Why nothing is said over all tasks.
fn over_none(findings: &Findings<'_>) -> &'static str {
    let is_pooled = findings.pools.iter().any(|pool| pool.done > 0);
    if is_pooled
        && findings.all_alike().is_none()
        && findings.pools.iter().all(|pool| pool.validation.own.is_none())
    {
        return "The tasks are judged by metrics without a common scale, so nothing is said over all of them.";
    }
    "No configuration is on several tasks, so nothing is said over all of them."
}

fn over_tasks(findings: &Findings<'_>, best: &Pool) -> String {
    let part = if best.test.is_empty() { "validation" } else { "test" };
    let reported = best.reported();
    let scores = match (findings.all_alike(), reported.own) {
        (Some(task), _) => {
            let score =
                |measure: Measure| reported.scores.get(&measure.metric).map(|score| measure.value(*score));
            let how = match reported.tokens {
                0 => "mean over tasks".to_owned(),
                tokens => format!("mean over {} tokens", quantity::count(tokens)),
            };
            let said = scores_said(task, |measure| Some(measure.said(&score(measure)?)));
            format!("{part} {said} ({how})")
        }
        (None, own) => {
            let own = own.map_or_else(|| format::NONE.to_owned(), pool::hundredfold);
            format!("{part} {own} (mean over tasks, each by the metric that selects on it, times 100)")
        }
    };
    format!(
        "Best on validation over {} of {} tasks: {} of model `{}`, {scores}.",
        best.done,
        findings.tasks.len(),
        best.label,
        best.configuration.model,
    )
}

/// The scores that a headline names: `accuracy 82.3 %`, `loss 3.12 nats per token (perplexity 22.6,
/// 4.50 bits per token)`, `F1 61.0 %, exact match 48.2 %`.
fn scores_said(task: &TaskFindings<'_>, said: impl Fn(Measure) -> Option<String>) -> String {
    let objective = task.objective();
    let of = |metric| said(Measure::new(metric, objective)).unwrap_or_else(|| format::NONE.to_owned());
    let selecting = task.measure.metric;
    let named: &[Metric] = objective.words().headline;
    let beside: Vec<String> =
        named.iter().filter(|metric| **metric != selecting).map(|metric| of(*metric)).collect();
    // A metric that repeats another in a different unit is put in brackets.
    let same = named.iter().any(|metric| metric.row().follows.is_some());
    match &beside[..] {
        [] => of(selecting),
        beside if same => format!("{} ({})", of(selecting), beside.join(", ")),
        beside => format!("{}, {}", of(selecting), beside.join(", ")),
    }
}

/// A refitted configuration, and what it was chosen from.
fn refitted(findings: &Findings<'_>, task: &TaskFindings<'_>) -> Vec<String> {
    let Some(from) = findings.record.sweep.refit_of(&task.task.name) else { return Vec::new() };
    let how = if from.selected { "selected in" } else { "chosen by a person in" };
    let of_task = if findings.has_tasks() { format!("`{}`: ", task.task.name) } else { String::new() };
    let told = |entry: &Entry| format!("{of_task}{}; {how} `{}`.", selection(task, entry), from.of);
    task.all().map(told).collect()
}

fn against(findings: &Findings<'_>) -> Vec<String> {
    if findings.record.sweep.is_refit() {
        return findings.tasks.iter().flat_map(|task| refitted(findings, task)).collect();
    }
    let mut all = Vec::new();
    match &findings.tasks[..] {
        [task] => {
            all.extend(stopped::without_first_fold(task));
            all.extend(warnings::tie(task).map(|said| said + "."));
            all.extend(task.selected().map(|selected| others(task, selected)).into_iter().flatten());
        }
        tasks if tasks.len() <= MOST_TOLD => all.extend(tasks.iter().map(|task| match task.selected() {
            Some(selected) => {
                let apart =
                    stopped::without_first_fold(task).map_or_else(String::new, |said| format!(" {said}"));
                format!("`{}`: {}.{apart}", task.task.name, selection(task, selected))
            }
            None if task.unproven().is_some() => format!("`{}`: none is selected.", task.task.name),
            None => format!("`{}`: no configuration has all its folds yet.", task.task.name),
        })),
        _ => {}
    }
    all
}

/// With more tasks than this, the selection on each is shown in the tables only.
const MOST_TOLD: usize = 5;

fn others(task: &TaskFindings<'_>, selected: &Entry) -> Vec<String> {
    let own = selected.summary.method();
    task.best_per_method()
        .into_iter()
        .filter(|entry| entry.summary.method() != own)
        .map(|entry| versus(task, selected, entry))
        .collect()
}

fn versus(task: &TaskFindings<'_>, selected: &Entry, other: &Entry) -> String {
    let measure = task.measure;
    let metric = measure.metric;
    if other.summary.is_constant() {
        let score = measure.said(&measure.spread(other.summary.selecting()));
        let does = task.task.objective.words().constant.does;
        return format!("Against {}: it {does} (validation {score}).", other.label);
    }
    let test = match (selected.summary.test.get(&metric), other.summary.test.get(&metric)) {
        (Some(own), Some(its)) => {
            let unit = if metric.is_share() { " %" } else { "" };
            let interval =
                selected.test_lead(other, task.task.test_rows()).map_or_else(String::new, |(low, high)| {
                    format!(
                        "; 95 % interval {} to {} points",
                        measure.difference(low),
                        measure.difference(high)
                    )
                });
            format!(
                "the selected one is {} on test rows ({} against {}{unit}{interval}); ",
                measure.apart(own.mean - its.mean),
                measure.spread(Some(own)),
                measure.spread(Some(its)),
            )
        }
        (Some(_) | None, _) => String::new(),
    };
    let lora = other.summary.configuration.method.lora();
    let best = if lora.is_some() { "the best adapter, " } else { "" };
    let apart = match (selected.summary.selecting(), other.summary.selecting()) {
        (Some(own), Some(its)) => measure.apart(own.mean - its.mean),
        (Some(_) | None, _) => "not comparable".to_owned(),
    };
    let it =
        if test.is_empty() { "the selected one, on validation rows, is" } else { "on validation rows it is" };
    format!("Against {best}{}: {test}{it} {apart}, {}.", other.label, tested(other.comparison.as_ref()))
}

fn tested(comparison: Option<&Comparison>) -> String {
    match comparison {
        Some(comparison) => format!(
            "{} (corrected resampled t-test: p {}; {} after Holm's correction)",
            if comparison.is_significant() { "a significant difference" } else { "not significant" },
            warnings::p_sentence(comparison.test.p),
            format::p_value(comparison.p_holm),
        ),
        None => {
            "which cannot be tested (fewer than two shared folds, or no variance between them)".to_owned()
        }
    }
}
