//! Owns the sentences that warn a reader against wrong conclusions: nothing learned, one answer to every row,
//! ties, few seeds. Sentences that the terminal shows too have no full stop. Pure.

use crate::values::{MethodKind, quantity};

use super::baseline::Baseline;
use super::chance::{Chance, Grounds, bonferroni};
use super::entry::Entry;
use super::findings::{Findings, TaskFindings};
use super::format;
use super::measure::Measure;
use super::statistics::{Spread, mean};

/// With more tasks than this, all tasks on which nothing was learned are named in one sentence.
const MOST_TOLD: usize = 5;

/// One sentence for each task on which no configuration is better than no training by more than chance.
#[must_use]
pub(super) fn unproven(findings: &Findings<'_>) -> Vec<String> {
    let told: Vec<(&TaskFindings<'_>, &Entry, &Chance)> = findings
        .tasks
        .iter()
        .filter_map(|task| task.unproven().map(|(best, chance)| (task, best, chance)))
        .collect();
    if told.len() > MOST_TOLD {
        let names: Vec<&str> = told.iter().map(|(task, ..)| task.task.name.as_str()).collect();
        return vec![format!(
            "On {} of {} tasks no configuration beats {} beyond chance, and none is selected: `{}`",
            told.len(),
            findings.tasks.len(),
            told[0].2.than,
            names.join("`, `"),
        )];
    }
    let one = |(task, best, chance): (&TaskFindings<'_>, &Entry, &Chance)| {
        let said = nothing_learned(task, best, chance);
        if findings.has_tasks() {
            format!("Task `{}`: {said}", task.task.name)
        } else {
            said[..1].to_uppercase() + &said[1..]
        }
    };
    told.into_iter().map(one).collect()
}

/// Why nothing is selected for a task, as a clause.
pub(super) fn nothing_learned(task: &TaskFindings<'_>, best: &Entry, chance: &Chance) -> String {
    let measure = task.measure;
    let constant = task.task.objective.words().constant;
    let its = chance.its.map_or_else(|| undefined(measure), |its| measure.said(&measure.value(its)));
    let tried = task.tried();
    let best_of =
        if tried > 1 { format!("the best of {tried}, {},", best.label) } else { best.label.clone() };
    let test = match chance.grounds {
        Grounds::Constant if tried > 1 => {
            return format!(
                "every configuration{} {}, which alone gives {its}: none is selected",
                if task.stopped.is_empty() { "" } else { " that was not stopped early" },
                constant.does
            );
        }
        Grounds::Constant => {
            let does = constant.does;
            return format!("{} {does}, which alone gives {its}: it is not selected", best.label);
        }
        Grounds::Rows { rows, p, tried } => {
            format!(" (one-sided binomial test on {}: {})", validation_rows(rows), corrected(p, tried))
        }
        Grounds::Recall { rows, p, tried } => {
            let test = "one-sided test of macro recall against 1 / number of classes";
            format!(" ({test}, on {}: {})", validation_rows(rows), corrected(p, tried))
        }
        Grounds::Correlation { rows, p, tried } => {
            format!(" (one-sided test of Fisher's z on {}: {})", validation_rows(rows), corrected(p, tried))
        }
        Grounds::Folds { p } => format!(" (corrected resampled t-test over folds: p {})", p_sentence(p)),
        Grounds::Means => String::new(),
    };
    let own = measure.spread(best.summary.selecting());
    format!(
        "no configuration beats {} beyond chance: {best_of} has validation {} against {}{test}; none is \
         selected",
        chance.than,
        measure.said(&own),
        chance.its.map_or_else(|| format::NONE.to_owned(), |its| with_unit(measure, its)),
    )
}

fn validation_rows(rows: u64) -> String {
    format!("{} validation rows", quantity::count(rows))
}

fn corrected(p: f64, tried: usize) -> String {
    let own = p_sentence(p);
    if tried < 2 {
        return format!("p {own}");
    }
    let all = format::p_value(bonferroni(p, tried));
    format!("p {own}; {all} after Bonferroni's correction for {tried} configurations")
}

/// A p value with its relation sign: `= 0.031`.
pub(super) fn p_sentence(p: f64) -> String {
    let text = format::p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

/// How many configurations and trials give one answer to every row, and the score of that answer; `None` where
/// none does.
#[must_use]
pub(super) fn constant(task: &TaskFindings<'_>) -> Option<String> {
    let trained = || task.entries.iter().filter(|entry| !entry.summary.is_base());
    let constant = || trained().filter(|entry| entry.summary.constant > 0);
    let trials: usize = constant().map(|entry| entry.summary.constant).sum();
    if trials == 0 {
        return None;
    }
    let done: usize = trained().map(|entry| entry.summary.done).sum();
    let alone = task.baseline.as_ref().and_then(|baseline| baseline.validation(task.measure.metric));
    let alone = alone.map(|spread| spread.mean).or_else(|| of_constants(constant()));
    let alone = alone.map_or_else(|| undefined(task.measure), |alone| with_unit(task.measure, alone));
    let words = task.task.objective.words().constant;
    Some(format!(
        "{} of {}{} ({trials} of {}) {}; that alone gives {alone}",
        constant().count(),
        quantity::counted(trained().count(), "configuration"),
        if task.stopped.is_empty() { "" } else { " that were not stopped early" },
        quantity::counted(done, "trial"),
        if constant().count() == 1 { words.does } else { words.do_plural },
    ))
}

/// The mean score of the folds with one answer; `None` where it is undefined.
fn of_constants<'a>(constant: impl Iterator<Item = &'a Entry>) -> Option<f64> {
    let folds = constant.flat_map(|entry| &entry.summary.folds).filter(|fold| fold.constant);
    let scores: Vec<f64> = folds.map(|fold| fold.score).collect();
    (!scores.is_empty()).then(|| mean(&scores))
}

/// What is said of a metric that one and the same answer does not have.
fn undefined(measure: Measure) -> String {
    format!("no {} (undefined where all answers are the same)", measure.title())
}

/// A value with its unit; the title of a share is left out where it is the metric that selects.
fn with_unit(measure: Measure, value: f64) -> String {
    let text = measure.value(value);
    if measure.metric.is_share() { format!("{text} %") } else { text }
}

/// The configurations tied with the selected one, to the last digit; `None` without any.
#[must_use]
pub(super) fn tie(task: &TaskFindings<'_>) -> Option<String> {
    let tied: Vec<&str> = task.tied().map(|entry| entry.label.as_str()).collect();
    let selected = task.selected()?;
    (!tied.is_empty()).then(|| {
        format!(
            "{} is tied with {}, to the last digit: of equals the one that trains less is selected, then the \
             first of the grid",
            selected.label,
            tied.join(" and "),
        )
    })
}

/// The best constant answer in words; `None` without one.
#[must_use]
pub(super) fn constant_answer(task: &TaskFindings<'_>) -> Option<String> {
    let baseline = task.baseline.as_ref()?;
    let which = match &baseline.answers[..] {
        [only] => format!("`{only}`"),
        several => format!("on some folds or others `{}`", several.join("`, `")),
    };
    Some(which)
}

/// A baseline with its value: `majority class 38.7 %`.
#[must_use]
pub(super) fn labelled(baseline: &Baseline, measure: Measure, spread: &Spread) -> String {
    format!("{} {}", baseline.label, with_unit(measure, spread.mean))
}

/// What a reader of the result must keep in mind, one sentence each.
#[must_use]
pub(super) fn cautions(findings: &Findings<'_>) -> Vec<String> {
    let of_task = |task: &TaskFindings<'_>| {
        let of = if findings.has_tasks() { format!("`{}`: ", task.task.name) } else { String::new() };
        constant(task).map(|said| format!("{of}{said}."))
    };
    let mut all: Vec<String> = findings.tasks.iter().filter_map(of_task).collect();
    let largest = findings.tasks.iter().max_by_key(|task| task.tried());
    let most = largest.map_or(0, TaskFindings::tried);
    if most > 1 && findings.tasks.iter().any(|task| task.selected().is_some()) {
        let report = match findings.is_tested() {
            true => "The test score is the one to report.",
            false => "There are no test rows: say so when you report this score.",
        };
        let of_each = if findings.has_tasks() { " of its task" } else { "" };
        let of = match largest.map_or(0, |task| task.stopped.len()) {
            0 => format!("of {most}{of_each}, and"),
            stopped => {
                format!("of the {} of {most}{of_each} that were not stopped early, and", most - stopped)
            }
        };
        all.push(format!(
            "The selected configuration has the best validation {} {of} a best of {most} is optimistic. {report}",
            findings.selecting(|_| true),
        ));
    }
    all.extend(unequal_seeds(findings));
    all.extend(one_seed(findings));
    all.extend(no_reference(findings));
    let splits = findings.record.sweep.splitting.splits();
    if (2..=3).contains(&splits) && most > 1 {
        all.push(format!(
            "With {splits} folds a test has {}: only large and steady differences can be significant.",
            if splits == 2 { "1 degree of freedom" } else { "2 degrees of freedom" },
        ));
    }
    let ranked = findings.tasks.iter().flat_map(|task| &task.entries);
    let incomplete = ranked.filter(|entry| !entry.summary.is_complete()).count();
    if incomplete > 0 {
        all.push(format!(
            "{} lack{} trials: their means are over those they have, and they cannot be selected.",
            quantity::counted(incomplete, "configuration"),
            if incomplete == 1 { "s" } else { "" },
        ));
    }
    all
}

/// Warns that a mean over few seeds varies more than one over many.
fn unequal_seeds(findings: &Findings<'_>) -> Option<String> {
    let trained = || findings.entries().filter(|entry| !entry.summary.is_base());
    let fewest = trained().map(|entry| entry.stability.planned).min()?;
    let most = trained().map(|entry| entry.stability.planned).max()?;
    (fewest < most).then(|| {
        format!(
            "Configurations have from {fewest} to {most} seeds: a mean over few of them owes more to luck."
        )
    })
}

/// Warns that a result with one seed may be chance.
fn one_seed(findings: &Findings<'_>) -> Option<String> {
    let trained = || findings.entries().filter(|entry| !entry.summary.is_base());
    let seed = trained().next()?.summary.configuration.training.seed;
    let single = trained()
        .all(|entry| entry.stability.planned == 1 && entry.summary.configuration.training.seed == seed);
    single.then(|| {
        format!(
            "One seed, {seed}: all that is said here holds for it; `seed: [1, 2, 3]` in a block repeats it."
        )
    })
}

/// Warns that further training has no untrained reference to compare with.
fn no_reference(findings: &Findings<'_>) -> Option<String> {
    let continues = |entry: &Entry| match entry.summary.method() {
        MethodKind::Lora | MethodKind::Dora | MethodKind::Full => true,
        MethodKind::Scratch | MethodKind::Base => false,
    };
    let has_baseline = findings.tasks.iter().all(|task| task.objective().words().baseline.is_some());
    let has_base = findings.entries().any(|entry| entry.summary.is_base());
    (!has_baseline && findings.entries().any(continues) && !has_base).then(|| {
        "What training adds cannot be said: the untrained base is not among the configurations. A block with \
         `method: base` evaluates it."
            .to_owned()
    })
}
