//! Owns the sentences that open a report: what was compared, on what, and what came of it. Pure.

use crate::quantity;
use crate::run::record::{RunRecord, TrialState};
use crate::task::{DataFile, Objective, Task};

use super::axes::method_name;
use super::findings::{Entry, Findings};
use super::format;

/// A report's opening.
pub struct Headline {
    /// What was compared.
    pub compared: String,
    /// On which data.
    pub data: String,
    /// Which configuration is selected, and its score.
    pub result: String,
    /// How the selected configuration compares with the best of each other method.
    pub against: Vec<String>,
    /// What a reader must keep in mind.
    pub cautions: Vec<String>,
}

impl Headline {
    /// The opening of a report on these findings.
    #[must_use]
    pub fn of(findings: &Findings<'_>) -> Self {
        let selected = findings.selected();
        Self {
            compared: compared(findings),
            data: data(findings.record.sweep.first_task()),
            result: selected.map_or_else(
                || "No configuration has all its folds yet, so none is selected.".to_owned(),
                result,
            ),
            against: selected.map(|selected| against(findings, selected)).unwrap_or_default(),
            cautions: cautions(findings),
        }
    }
}

/// How many trials are done, failed and neither.
pub(super) fn counts(record: &RunRecord) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for trial in &record.trials {
        match trial.state {
            TrialState::Done => counts.0 += 1,
            TrialState::Failed { .. } => counts.1 += 1,
            TrialState::Waiting | TrialState::Running { .. } | TrialState::Interrupted => counts.2 += 1,
        }
    }
    counts
}

fn compared(findings: &Findings<'_>) -> String {
    let mut methods: Vec<(&'static str, usize)> = Vec::new();
    for configuration in &findings.record.sweep.configurations {
        let name = method_name(&configuration.method);
        match methods.iter_mut().find(|(known, _)| *known == name) {
            Some((_, n)) => *n += 1,
            None => methods.push((name, 1)),
        }
    }
    let methods: Vec<String> = methods.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let (done, failed, left) = counts(findings.record);
    let mut state = format!("{done} done");
    for (n, what) in [(failed, "failed"), (left, "unfinished")] {
        if n > 0 {
            state.push_str(&format!(", {n} {what}"));
        }
    }
    format!(
        "{} ({}) on {}, {}: {state}.",
        quantity::counted(findings.entries.len(), "configuration"),
        methods.join(", "),
        quantity::counted(findings.record.sweep.splitting.splits(), "fold"),
        quantity::counted(findings.record.trials.len(), "trial"),
    )
}

fn data(task: &Task) -> String {
    let test = match &task.test {
        Some(file) => format!("tested on {}", rows(task.test_rows(), file)),
        None if task.is_tested() => {
            format!("tested on {} held out", quantity::counted(task.test_rows(), "row"))
        }
        None => "no test rows".to_owned(),
    };
    let from = rows(task.train_rows(), &task.train);
    match &task.objective {
        Objective::Classification(c) => format!(
            "Data: {from} with {} in `{}`, text from `{}`; {test}.",
            quantity::counted(c.labels.len(), "label"),
            c.label,
            [&c.text[..], &c.pair].concat().join("`, `"),
        ),
        Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => format!("Data: {from}; {test}."),
    }
}

fn rows(used: usize, file: &DataFile) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
    if used == file.rows {
        format!("{} of `{name}`", quantity::counted(used, "row"))
    } else {
        format!("{} of {} of `{name}`", quantity::count(used as u64), quantity::counted(file.rows, "row"))
    }
}

fn result(selected: &Entry) -> String {
    let (summary, params) = (&selected.summary, &selected.summary.params);
    let (what, score) = match &summary.test_accuracy {
        Some(test) => ("test", Some(test)),
        None => ("validation", summary.validation_accuracy.as_ref()),
    };
    format!(
        "Selected on validation: {} of model `{}`, {what} accuracy {} % (mean ± standard deviation over {}), \
         training {} of {} parameters ({} %).",
        selected.label,
        summary.configuration.model,
        format::percent_spread(score),
        quantity::counted(summary.done, "fold"),
        quantity::count(params.trainable),
        quantity::count(params.total),
        format::parameter_share(params.trainable_percent()),
    )
}

fn against(findings: &Findings<'_>, selected: &Entry) -> Vec<String> {
    let own = selected.summary.configuration.method.name();
    findings
        .best_per_method()
        .into_iter()
        .filter(|entry| entry.summary.configuration.method.name() != own)
        .map(|entry| versus(selected, entry))
        .collect()
}

fn versus(selected: &Entry, other: &Entry) -> String {
    let test = match (&selected.summary.test_accuracy, &other.summary.test_accuracy) {
        (Some(own), Some(its)) => format!(
            "the selected one is {} on test rows ({} against {} %); ",
            format::points_apart(own.mean - its.mean),
            format::percent_spread(Some(own)),
            format::percent_spread(Some(its)),
        ),
        (Some(_) | None, _) => String::new(),
    };
    let tested = match &other.comparison {
        Some(comparison) => format!(
            "on validation rows it is {}, {} (corrected resampled t-test: p {}; {} after Holm's correction)",
            format::points_apart(-comparison.test.difference),
            if comparison.is_significant() { "a significant difference" } else { "not significant" },
            p_sentence(comparison.test.p),
            format::p_value(comparison.p_holm),
        ),
        None => "the difference on validation rows cannot be tested (fewer than two shared folds, or no \
                 variance between them)"
            .to_owned(),
    };
    let lora = other.summary.configuration.method.lora();
    let best = if lora.is_some() { "the best adapter, " } else { "" };
    format!("Against {best}{}: {test}{tested}.", other.label)
}

/// A p value with its relation sign: `= 0.031`.
fn p_sentence(p: f64) -> String {
    let text = format::p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

fn cautions(findings: &Findings<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let n = findings.entries.len();
    if n > 1 && findings.selected().is_some() {
        let report = match findings.record.sweep.first_task().is_tested() {
            true => "The test score is the one to report.",
            false => "There are no test rows: report this score with that said.",
        };
        all.push(format!(
            "The selected configuration has the best validation accuracy of {n}, and a best of {n} is \
             optimistic. {report}"
        ));
    }
    let splits = findings.record.sweep.splitting.splits();
    if (2..=3).contains(&splits) && n > 1 {
        all.push(format!(
            "With {splits} folds a test has {}: only large and steady differences can be significant.",
            if splits == 2 { "1 degree of freedom" } else { "2 degrees of freedom" },
        ));
    }
    let incomplete = findings.entries.iter().filter(|entry| !entry.summary.is_complete()).count();
    if incomplete > 0 {
        all.push(format!(
            "{} lack{} folds: their means are over the folds they have, and they cannot be selected.",
            quantity::counted(incomplete, "configuration"),
            if incomplete == 1 { "s" } else { "" },
        ));
    }
    all
}
