//! Owns the check of how training rows are divided: into folds, a held-out share or files, in the same way for
//! every task. Pure.

use crate::data::{card, sample};
use crate::tasks::held_out_rows;
use crate::values::Splitting;
use crate::values::quantity::counted;

use crate::spec::error::{Problem, Report};
use crate::spec::raw::task::RawTask;
use crate::spec::raw::{RawKFold, RawSplit, RawSweep};
use crate::spec::source::{At, Place};
use crate::spec::survey::{Survey, TaskFacts};

/// How the training rows of all tasks are divided; `None` where an error was reported.
pub(super) fn splitting(raw: &RawSweep, survey: &Survey, report: &mut Report) -> Option<Splitting> {
    let has_file = conflicts(raw, report);
    let tasks: Vec<Drawn<'_>> =
        raw.tasks.iter().zip(&survey.tasks).filter_map(|(task, facts)| Drawn::new(task, facts)).collect();
    tasks.iter().for_each(|drawn| drawn.warn_of_empty_classes(report));
    match (&raw.kfold, &raw.split) {
        (Some(kfold), _) => k_fold(kfold, raw, &tasks, report),
        (None, _) if has_file => Some(Splitting::File),
        (None, split) => hold_out(split.as_ref(), raw, &tasks, report),
    }
}

/// Reports ways to divide rows that exclude each other, and returns whether tasks have validation files.
fn conflicts(raw: &RawSweep, report: &mut Report) -> bool {
    let mut conflict = |place: Place, key: &str, other: &str| {
        let problem = Problem::Conflict { key: key.to_owned(), other: other.to_owned() };
        report.error(place, problem).hint("keep one of them");
    };
    let with_file = raw.tasks.iter().find(|task| task.validation.is_some());
    if let Some(task) = with_file {
        let validation = format!("{}.validation", task.path);
        let ways = [
            ("kfold", raw.kfold.as_ref().map(|it| it.place)),
            ("split", raw.split.as_ref().map(|it| it.place)),
        ];
        for (key, place) in ways {
            if let Some(place) = place {
                conflict(place, key, &validation);
            }
        }
    }
    if let (Some(split), Some(_)) = (&raw.split, &raw.kfold) {
        conflict(split.place, "split", "kfold");
    }
    let without = raw.tasks.iter().find(|task| task.validation.is_none());
    if let (Some(with), Some(without)) = (with_file, without)
        && let Some(file) = &with.validation
    {
        let [with, without] = [with, without].map(|task| &task.name.value);
        let message = format!("task `{with}` has a `validation` file, and task `{without}` has none");
        let error = report.error(file.place, Problem::MixedTasks(message));
        error.hint("all tasks of a sweep are validated in one way: give each a file, or none");
    }
    with_file.is_some()
}

/// The training rows that a sweep draws for a task.
struct Drawn<'a> {
    task: &'a RawTask,
    rows: usize,
    /// Rows of each class; empty where there are no classes.
    sizes: Vec<(usize, &'a str)>,
}

impl<'a> Drawn<'a> {
    fn new(task: &'a RawTask, facts: &'a TaskFacts) -> Option<Self> {
        let train = facts.train.as_ref()?.found.as_ref().ok()?;
        let wanted = task.rows.as_ref().map(|at| at.value);
        if task.objective(&[], &facts.names).is_some_and(|objective| objective.joins_rows()) {
            // Blocks rather than rows are divided, and their number is not known yet.
            return None;
        }
        if !task.has_classes() {
            let all = wanted.map_or(train.rows, |rows| rows.min(train.rows));
            return Some(Self { task, rows: all - held_out(task, all), sizes: Vec::new() });
        }
        if train.row_labels.is_empty() {
            return None;
        }
        let drawn = drawn_labels(&train.row_labels, wanted, task.sample_seed);
        let tested = match (&task.test_fraction, &task.test) {
            (Some(fraction), None) => sample::test_rows(&drawn, fraction.value, task.sample_seed),
            (Some(_), Some(_)) | (None, _) => Vec::new(),
        };
        let mut sizes: Vec<_> = train.label_names.iter().map(|name| (0, name.as_str())).collect();
        drawn.iter().for_each(|label| sizes[*label as usize].0 += 1);
        tested.iter().for_each(|row| sizes[drawn[*row as usize] as usize].0 -= 1);
        Some(Self { task, rows: drawn.len() - tested.len(), sizes })
    }

    fn warn_of_empty_classes(&self, report: &mut Report) {
        let Some(rows) = &self.task.rows else { return };
        for (_, class) in self.sizes.iter().filter(|(size, _)| *size == 0) {
            report.warn(rows.place, format!("class `{class}` has no row among the {} drawn", self.rows));
        }
    }

    /// What to do where a class, or all data, has `least` rows, fewer than the `k` folds.
    fn too_few_for(&self, k: usize, least: usize) -> String {
        let path = &self.task.path;
        let draw = match &self.task.rows {
            Some(_) => format!("draw more rows with `{path}.rows`"),
            None => "use more rows".to_owned(),
        };
        match (least, self.sizes.is_empty()) {
            // Two folds are the minimum.
            (0 | 1, true) => format!("folds take two rows or more: {draw}"),
            (0 | 1, false) => format!(
                "{draw}, join small classes with `{path}.labels`, or leave them out with \
                 `{path}.cleaning.min_label_rows: {k}`"
            ),
            (_, true) => format!("lower `k`, or {draw}"),
            (_, false) => format!("lower `k`, {draw}, or join small classes"),
        }
    }

    /// The task's name, in messages of sweeps with several tasks.
    fn of_task(&self, raw: &RawSweep) -> String {
        if raw.tasks.len() > 1 { format!(" of {}", self.task.title) } else { String::new() }
    }
}

/// A warning about classes that are numbers.
fn numbers(task: &RawTask, sizes: &[(usize, &str)]) -> Option<String> {
    let classes: Vec<(&str, usize)> = sizes.iter().map(|(size, name)| (*name, *size)).collect();
    Some(card::numbers(&task.label.as_ref()?.value, &classes)?.to_string())
}

/// The classes of the rows drawn from these.
pub(super) fn drawn_labels(row_labels: &[u32], wanted: Option<usize>, seed: u64) -> Vec<u32> {
    let drawn = sample::draw(row_labels, wanted, seed);
    drawn.into_iter().map(|row| row_labels[row as usize]).collect()
}

/// Number of test rows held out of `rows` rows without classes.
fn held_out(task: &RawTask, rows: usize) -> usize {
    match (&task.test_fraction, &task.test) {
        (Some(fraction), None) => held_out_rows(rows, fraction.value),
        (Some(_), Some(_)) | (None, _) => 0,
    }
}

/// Whether folds or shares keep the classes in proportion: if there are classes, unless the sweep says no.
fn stratified(asked: Option<&At<bool>>, raw: &RawSweep, report: &mut Report) -> bool {
    let classes = raw.tasks.iter().any(RawTask::has_classes);
    if let (Some(At { value: true, place }), false) = (asked, classes) {
        report.warn(*place, "`stratified` has no effect: there are no classes".to_owned());
    }
    classes && asked.is_none_or(|at| at.value)
}

fn k_fold(kfold: &RawKFold, raw: &RawSweep, tasks: &[Drawn<'_>], report: &mut Report) -> Option<Splitting> {
    let stratified = stratified(kfold.stratified.as_ref(), raw, report);
    let k = kfold.k.as_ref()?;
    let mut fits = true;
    for drawn in tasks {
        let of_task = drawn.of_task(raw);
        let (least, whose) = match drawn.sizes.iter().min() {
            Some((size, class)) if stratified => {
                (*size, format!("class `{class}` has {size} of the {} training rows{of_task}", drawn.rows))
            }
            Some(_) | None => {
                let are = if drawn.rows == 1 { "is" } else { "are" };
                (drawn.rows, format!("there {are} {}{of_task}", counted(drawn.rows, "training row")))
            }
        };
        if k.value <= least {
            continue;
        }
        fits = false;
        let problem = Problem::TooFewRows(format!("`k` is {}, but {whose}", k.value));
        let hint = numbers(drawn.task, &drawn.sizes).unwrap_or_else(|| drawn.too_few_for(k.value, least));
        let error = report.error(k.place, problem).hint(hint);
        if least >= 2 {
            error.allowed(format!("2 to {least}"));
        }
    }
    fits.then_some(Splitting::KFold { k: k.value, stratified, seed: kfold.seed })
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn hold_out(
    split: Option<&RawSplit>,
    raw: &RawSweep,
    tasks: &[Drawn<'_>],
    report: &mut Report,
) -> Option<Splitting> {
    let fraction = split.and_then(|split| split.fraction.as_ref()).map_or(0.1, |at| at.value);
    let stratified = stratified(split.and_then(|split| split.stratified.as_ref()), raw, report);
    let seed = split.map_or(42, |split| split.seed);
    let mut fits = true;
    for Drawn { task, rows, sizes } in tasks {
        let place = split
            .and_then(|split| split.fraction.as_ref().map(|at| at.place))
            .or_else(|| task.rows.as_ref().map(|at| at.place))
            .or_else(|| task.train.as_ref().map(|at| at.place))
            .unwrap_or_default();
        if !sizes.is_empty() && sizes.iter().all(|(size, _)| *size <= 1) {
            fits = false;
            let message =
                format!("no class of {} has two training rows, so no row can be held out", task.title);
            let column = task.label.as_ref().map_or("label", |at| at.value.as_str());
            let hint = numbers(task, sizes).unwrap_or_else(|| {
                format!(
                    "does column `{column}` hold the classes? Otherwise use more rows, or a `validation` file"
                )
            });
            report.error(place, Problem::TooFewRows(message)).hint(hint);
            continue;
        }
        if *rows >= 2 && (*rows as f64) * fraction >= 1.0 && (*rows as f64) * (1.0 - fraction) >= 1.0 {
            continue;
        }
        fits = false;
        let rows = counted(*rows, "training row");
        let message = format!("holding out {fraction} of {rows} leaves one side empty");
        report.error(place, Problem::TooFewRows(message)).hint("use more rows, or a `validation` file");
    }
    fits.then_some(Splitting::HoldOut { fraction, stratified, seed })
}
