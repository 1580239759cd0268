//! Owns the notes on how a report's numbers were made. Pure.

use crate::report::chance::Test;
use crate::report::curves::CONVERGED_SHARE;
use crate::report::findings::{Findings, TaskFindings};
use crate::report::measure::Measure;
use crate::report::{stopped, warnings};
use crate::values::{Method, quantity};

const TEST_INTERVAL: &str = "The 95 % interval of a difference on test rows is normal, from the number of rows \
    and from the spread of the difference over folds. It takes folds as independent, and the errors of the two, \
    which makes it too wide where both miss the same rows.";

/// How the numbers were made, in one or a few sentences each.
#[must_use]
pub fn method_notes(findings: &Findings<'_>) -> Vec<String> {
    let folds = findings.record.sweep.splitting.splits();
    let seeds = findings.seeds() > 1;
    let within = if findings.has_tasks() { " within each task" } else { "" };
    let mut notes = vec![format!(
        "★ marks the selected configuration. Configurations are ranked and selected{within} by {} over {}{}, of equals the one that trains fewer parameters, then the first of the \
         grid; test rows are evaluated once per trial and take no part in it.{}",
        best_mean(findings),
        quantity::counted(folds, "fold"),
        if seeds { " and all seeds" } else { "" },
        match (folds > 1, seeds) {
            (true, false) => " ± is the sample standard deviation over folds.",
            (false, true) => " ± is the sample standard deviation over seeds.",
            (true, true) => " ± is the sample standard deviation over the trials of all folds and seeds.",
            (false, false) => "",
        },
    )];
    notes.extend(findings.stopped().next().map(|_| stopped::NOTE.to_owned()));
    notes.extend(against_nothing(findings));
    notes.extend(over_folds(findings));
    notes.extend(convergence(findings));
    notes.extend(once(findings, |tasks| tasks[0].objective().words().metrics_note.map(str::to_owned)));
    if findings.record.sweep.configurations.iter().any(|c| c.method == Method::Base) {
        notes.push(
            "A base that is not trained is evaluated as it is, with its own head or, where the task needs \
             another, a fresh one: a reference, never selected while anything trains."
                .to_owned(),
        );
    }
    if seeds {
        notes.push(
            "Configurations that differ in the seed alone are one configuration: seeds repeat it, and none is \
             picked for being lucky. Seeds of one split share its rows, so they are no independent samples of \
             the data: their spread is that of training alone. Configurations are therefore compared over \
             folds, each fold's score being its mean over seeds, and not tested where there is one split."
                .to_owned(),
        );
    }
    notes.push(
        "Parameters are counted from tensor shapes, each tensor once. LoRA (Hu et al. 2021): adapters and \
         saved modules train. Time is the mean over folds, evaluation included; memory is the largest of all \
         folds."
            .to_owned(),
    );
    notes
}

/// The mean by which configurations are ranked: `the highest mean validation accuracy`.
fn best_mean(findings: &Findings<'_>) -> String {
    let side =
        |measure: Measure| if measure.metric.higher_is_better() { "the highest" } else { "the lowest" };
    let means = once(findings, |tasks| {
        let measure = tasks[0].measure;
        Some(format!("{} mean validation {}", side(measure), measure.title()))
    });
    match findings.all_alike() {
        Some(_) => means.concat(),
        None => format!("the metric that selects on the task ({})", means.join("; ")),
    }
}

/// What is said of each group of tasks that are judged alike, each sentence once.
fn once(findings: &Findings<'_>, said: impl Fn(&[&TaskFindings<'_>]) -> Option<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for sentence in findings.alike().iter().filter_map(|tasks| said(tasks)) {
        if !all.contains(&sentence) {
            all.push(sentence);
        }
    }
    all
}

/// How intervals and comparisons over folds are made; empty with one split.
fn over_folds(findings: &Findings<'_>) -> Vec<String> {
    if findings.record.sweep.splitting.splits() < 2 {
        return Vec::new();
    }
    let mut notes = vec![
        "The 95 % interval is Student's t over folds. It takes folds as independent, which they are not, and is \
         too narrow; comparisons do not use it."
            .to_owned(),
        format!(
            "Comparisons are the corrected resampled t-test on validation {} of the same folds (Nadeau & Bengio \
             2003, Machine Learning 52), with Holm's correction (1979) over all comparisons with the selected \
             configuration{}. That the selected one was chosen for being best makes its lead optimistic.",
            findings.selecting(|_| true),
            if findings.has_tasks() { " of a task" } else { "" },
        ),
    ];
    let counts = |task: &TaskFindings<'_>| task.task.is_tested() && task.measure.metric.counts_right_rows();
    if findings.tasks.iter().any(counts) {
        notes.push(TEST_INTERVAL.to_owned());
    }
    notes
}

/// The references that configurations must beat before one is selected.
fn against_nothing(findings: &Findings<'_>) -> Vec<String> {
    let mut answers: Vec<(&str, Vec<String>)> = Vec::new();
    for task in &findings.tasks {
        let Some(answer) = warnings::constant_answer(task) else { continue };
        let answer = if findings.has_tasks() { format!("{answer} in `{}`", task.task.name) } else { answer };
        let note = task.objective().words().baseline_note;
        match answers.iter_mut().find(|(known, _)| *known == note) {
            Some((_, others)) => others.push(answer),
            None => answers.push((note, vec![answer])),
        }
    }
    let told = |(note, answers): (&str, Vec<String>)| note.replace("{}", &answers.join(", "));
    let mut notes: Vec<String> = answers.into_iter().map(told).collect();
    notes.extend(once(findings, |tasks| tasks[0].objective().words().constant.note.map(str::to_owned)));
    notes.extend(once(findings, how_tested));
    notes
}

/// How the best configuration of tasks that are judged alike is compared with no training; `None` where nothing is.
fn how_tested(tasks: &[&TaskFindings<'_>]) -> Option<String> {
    tasks.iter().find(|task| task.chance.is_some())?;
    let baseline = tasks[0].objective().words().baseline;
    let against = tasks.iter().find_map(|task| task.baseline.as_ref());
    let (than, test) = match Test::of(tasks[0].measure.metric, against) {
        Test::Rows => (
            baseline,
            "by a one-sided exact binomial test of the rows of all folds that are right, times the number of \
             configurations (Bonferroni), at 0.05",
        ),
        Test::Recall => (
            baseline,
            "in it, and in macro recall 1 / number of classes by a one-sided normal test with the largest \
             variance that guesses can have, times the number of configurations (Bonferroni), at 0.05",
        ),
        Test::Correlation => (
            None,
            "by a one-sided normal test of Fisher's z over the validation rows of all folds, times the number of \
             configurations (Bonferroni), at 0.05",
        ),
        Test::Folds => (
            Some(baseline.unwrap_or("untrained base")),
            "by the corrected resampled t-test at 0.05 where there are folds, by its mean alone where there is one \
             split",
        ),
    };
    let than = than.map_or_else(|| "a correlation of 0".to_owned(), |than| format!("the {than}"));
    Some(format!("A configuration is selected only if the best one beats {than} beyond chance: {test}."))
}

/// When a configuration has converged: one sentence for all metrics of which it is said in the same words.
fn convergence(findings: &Findings<'_>) -> Vec<String> {
    let share = 100.0 * CONVERGED_SHARE;
    let goals = [
        (true, format!("reaches {share:.0} % of that configuration's best")),
        (false, format!("has come {share:.0} % of the way from that configuration's first to its best")),
    ];
    let said = |(of_shares, goal): (bool, String)| {
        let titles = findings.selecting(|measure| measure.metric.is_share() == of_shares);
        (!titles.is_empty()).then(|| {
            format!(
                "Convergence is the first step at which the mean validation {titles}, smoothed over three \
                 evaluations, {goal}."
            )
        })
    };
    goals.into_iter().filter_map(said).collect()
}
