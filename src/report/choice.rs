//! Owns the choice of what a refit trains: the configuration that a report selects for each task, or one that a
//! person names. Selects nothing itself: what is selected is in `findings`. Pure.

use std::sync::Arc;

use crate::record::{RunRecord, TrialRecord};
use crate::sweep::{Chosen, Refit};
use crate::values::{ConfigurationId, Keep, MetricLine, Scores, Splitting, TrialResult, quantity};

use super::entry::Entry;
use super::findings::{Findings, TaskFindings};
use super::measure::Measure;
use super::statistics::Spread;
use super::{headline, summary, warnings};

/// What to choose from a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The only task; all of them where absent.
    pub task: Option<&'a str>,
    /// The configuration that a person names; the selected ones where absent.
    pub configuration: Option<ConfigurationId>,
    /// Trials that are not finished do not matter.
    pub partial: bool,
}

/// What is chosen, at least one configuration.
#[derive(Debug)]
pub struct Choices {
    /// At most one configuration for each task.
    pub all: Vec<Choice>,
    /// Why there is none for other tasks, each in a sentence.
    pub skipped: Vec<String>,
}

/// A configuration that is chosen.
#[derive(Debug)]
pub struct Choice {
    /// The configuration.
    pub chosen: Chosen,
    /// Why it is this one.
    pub why: String,
    /// What is different about its weights without validation rows; `None` where nothing is.
    pub note: Option<String>,
}

/// Why nothing is chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// The run is a refit itself.
    #[error("`{run}` is a refit itself, of `{of}`")]
    OfRefit {
        /// The run.
        run: String,
        /// The run from which it was chosen.
        of: String,
    },
    /// The sweep has no such task.
    #[error("the sweep has no task `{name}`")]
    NoTask {
        /// The task that was named.
        name: String,
        /// Those that there are.
        tasks: Vec<String>,
    },
    /// Trials may still change what is selected.
    #[error(
        "{} not finished, so that another configuration may yet be selected",
        are(*.left, "trial")
    )]
    Unfinished {
        /// Their number.
        left: usize,
    },
    /// The named configuration lacks trials.
    #[error("{label} has {done} of {} done", quantity::counted(*.planned, "trial"))]
    Incomplete {
        /// Its name.
        label: String,
        /// Its trials that are done.
        done: usize,
        /// Its trials.
        planned: usize,
    },
    /// There is nothing to train.
    #[error("{0}")]
    Base(String),
    /// No task has a selected configuration.
    #[error("{}", .why.join("\n"))]
    Unselected {
        /// The reason for each task.
        why: Vec<String>,
        /// The configuration that could be named instead.
        best: Option<ConfigurationId>,
    },
}

impl NoChoice {
    /// What to do next; `run` names the run on a command line, and `again` is the command that continues it.
    #[must_use]
    pub fn hint(&self, run: &str, again: &str) -> String {
        match self {
            Self::OfRefit { of, .. } => format!("`lorasweep refit {of}` refits what `{of}` selects"),
            Self::NoTask { tasks, .. } => format!("its tasks: `{}`", tasks.join("`, `")),
            Self::Unfinished { .. } => format!(
                "`{again}` continues the run; `--partial` chooses among the configurations that are done, and \
                 `--configuration ID` names one of them"
            ),
            Self::Incomplete { .. } => {
                format!(
                    "`{again}` continues the run, and `lorasweep keep {run} TRIAL` what was stopped early of it; \
                     `--partial` refits it as it is"
                )
            }
            Self::Base(_) => format!(
                "`lorasweep export {run} TRIAL --out DIR` exports a base with its head; a block with another \
                 method in the sweep file trains"
            ),
            Self::Unselected { best: Some(best), .. } => format!(
                "`lorasweep refit {run} --configuration {best}` refits the best of them nevertheless; \
                 `lorasweep report {run}` says more"
            ),
            Self::Unselected { best: None, .. } => {
                format!("`lorasweep status {run}` shows where the run stands; `{again}` continues it")
            }
        }
    }
}

/// Chooses from a record, whose metric lines are needed for [`Choice::note`] alone.
///
/// # Errors
/// Why there is nothing to refit.
pub fn choose(record: &RunRecord, wanted: Wanted<'_>) -> Result<Choices, NoChoice> {
    let sweep = &record.sweep;
    if let Some(refit) = sweep.refits.first() {
        return Err(NoChoice::OfRefit { run: sweep.name.clone(), of: refit.of.clone() });
    }
    let findings = Findings::of(record);
    if let Some(id) = wanted.configuration {
        return named(&findings, id, wanted.partial)
            .map(|choice| Choices { all: vec![choice], skipped: vec![] });
    }
    let is_wanted = |name: &str| wanted.task.is_none_or(|task| task == name);
    let tasks: Vec<&TaskFindings<'_>> =
        findings.tasks.iter().filter(|task| is_wanted(&task.task.name)).collect();
    if let (Some(name), true) = (wanted.task, tasks.is_empty()) {
        let tasks = findings.tasks.iter().map(|task| task.task.name.clone()).collect();
        return Err(NoChoice::NoTask { name: name.to_owned(), tasks });
    }
    let trained = || tasks.iter().flat_map(|task| task.all()).filter(|entry| !entry.summary.is_base());
    if trained().next().is_none() {
        let why = "every configuration is an untrained base, so that there is nothing to train on more rows";
        return Err(NoChoice::Base(why.to_owned()));
    }
    let left = headline::unfinished(record, &is_wanted);
    if left > 0 && !wanted.partial {
        return Err(NoChoice::Unfinished { left });
    }
    let (mut all, mut skipped) = (Vec::new(), Vec::new());
    for task in &tasks {
        match task.selected() {
            Some(entry) => all.push(choice(&findings, task, entry, true)),
            None => skipped.push(findings.of_task(&task.task.name, &why_none(task))),
        }
    }
    if all.is_empty() {
        let best = trained().find(|entry| entry.summary.is_complete());
        return Err(NoChoice::Unselected {
            why: skipped,
            best: best.map(|best| best.summary.configuration.id),
        });
    }
    Ok(Choices { all, skipped })
}

/// The configuration that a person names, by the id of any of its seeds.
fn named(findings: &Findings<'_>, id: ConfigurationId, partial: bool) -> Result<Choice, NoChoice> {
    let found = findings.tasks.iter().find_map(|task| {
        let entry = task.all().find(|entry| entry.summary.replicates.contains(&id))?;
        Some((task, entry))
    });
    let (task, entry) = found.expect("each configuration of a record is in its findings");
    let summary = &entry.summary;
    if summary.is_base() {
        let why =
            format!("{} is an untrained base, so that there is nothing to train on more rows", entry.label);
        return Err(NoChoice::Base(why));
    }
    if !summary.is_complete() && !partial {
        let (label, done, planned) = (findings.full_label(entry), summary.done, summary.planned);
        return Err(NoChoice::Incomplete { label, done, planned });
    }
    let mut choice = choice(findings, task, entry, entry.selected);
    // The named seed comes first.
    let named = findings.record.sweep.configurations.iter().find(|one| one.id == id);
    if let Some(named) = named {
        choice.chosen.configuration = Arc::clone(named);
        choice.chosen.seeds.retain(|seed| *seed != named.training.seed);
        choice.chosen.seeds.insert(0, named.training.seed);
    }
    Ok(choice)
}

fn choice(findings: &Findings<'_>, task: &TaskFindings<'_>, entry: &Entry, selected: bool) -> Choice {
    let record = findings.record;
    let summary = &entry.summary;
    let trials = summary::trials_of(record, &summary.replicates);
    let validation = trials.iter().filter_map(|trial| trial.finished()?.validation.clone());
    let from = Refit {
        of: record.sweep.name.clone(),
        task: task.task.name.clone(),
        configuration: summary.configuration.id,
        label: entry.label.clone(),
        selected,
        splitting: record.sweep.splitting,
        planned: summary.planned,
        validation: validation.collect(),
    };
    let seed = |id: &ConfigurationId| {
        let one = record.sweep.configurations.iter().find(|one| one.id == *id)?;
        Some(one.training.seed)
    };
    let seeds = summary.replicates.iter().filter_map(seed).collect();
    let chosen = Chosen { configuration: Arc::clone(&summary.configuration), seeds, from };
    Choice { chosen, why: why(task, entry, selected), note: note(task, entry, &trials) }
}

/// `selected: validation accuracy 62.4 ± 1.1 % over 3 trials, the best of 6 configurations`.
fn why(task: &TaskFindings<'_>, entry: &Entry, selected: bool) -> String {
    let (measure, summary) = (task.measure, &entry.summary);
    let trials = quantity::counted(summary.done, "trial");
    let score = match summary.selecting() {
        Some(spread) => format!("validation {} over {trials}", measure.said(&measure.spread(Some(spread)))),
        None => format!("{trials} done"),
    };
    match (selected, task.tried()) {
        (true, 1) => format!("selected: {score}, the only configuration that trains"),
        (true, tried) => format!("selected: {score}, the best of {tried} configurations"),
        (false, _) => format!("named by you, not selected: {score}"),
    }
}

/// That the last weights are kept where the trials kept their best ones, with what both scored.
fn note(task: &TaskFindings<'_>, entry: &Entry, trials: &[&TrialRecord]) -> Option<String> {
    let sweep = &task.record.sweep;
    let is_same = sweep.splitting == Splitting::File;
    if is_same || entry.summary.configuration.training.keep == Keep::Last {
        return None;
    }
    let done: Vec<_> = trials.iter().filter_map(|trial| Some((trial, trial.finished()?))).collect();
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    let share = |(_, result): &(&&TrialRecord, &TrialResult)| {
        (result.steps > 0).then(|| result.kept_step as f64 / result.steps as f64)
    };
    let share = Spread::of(&done.iter().filter_map(share).collect::<Vec<_>>())?;
    let measure = task.measure;
    let last = |(trial, _): &(&&TrialRecord, _)| last_validation(trial)?.get(measure.metric);
    let last = Spread::of(&done.iter().filter_map(last).collect::<Vec<_>>());
    let scored = last.map_or_else(String::new, |last| both(measure, &last, entry.summary.selecting()));
    Some(format!(
        "`keep: best` needs validation rows, and a refit has none: it keeps its last weights. The trials kept \
         theirs after {:.0} % of the steps on average{scored}",
        100.0 * share.mean
    ))
}

fn both(measure: Measure, last: &Spread, best: Option<&Spread>) -> String {
    let value = |spread: &Spread| measure.value(spread.mean);
    let best = best.map_or_else(String::new, |best| format!(" against {} with the best ones", value(best)));
    format!("; with their last ones they had validation {}{best}", measure.said(&value(last)))
}

fn last_validation(trial: &TrialRecord) -> Option<&Scores> {
    trial.metrics.iter().rev().find_map(|line| match line {
        MetricLine::Validation { scores, .. } => Some(scores),
        MetricLine::Train { .. } => None,
    })
}

/// Why no configuration of a task is selected.
fn why_none(task: &TaskFindings<'_>) -> String {
    match task.unproven() {
        Some((best, chance)) => warnings::nothing_learned(task, best, chance),
        None => headline::why_none(task),
    }
}

fn are(count: usize, noun: &str) -> String {
    format!("{} {}", quantity::counted(count, noun), if count == 1 { "is" } else { "are" })
}
