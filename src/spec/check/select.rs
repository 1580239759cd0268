//! Owns the check of `select`: which metric selects on each task. Pure.

use std::collections::BTreeMap;

use crate::tasks::{Task, kind};
use crate::values::{Metric, Select};

use crate::spec::error::{Problem, Report};
use crate::spec::label_names::Names;
use crate::spec::raw::RawSweep;
use crate::spec::raw::task::RawTask;
use crate::spec::source::At;
use crate::spec::words::{quoted, short};

/// The metrics that the file names, by task: a task's own `select`, or the sweep's.
pub(in crate::spec) type Named = BTreeMap<String, Metric>;

/// Reads the metrics that the file names. Each bad one is reported once.
pub(in crate::spec) fn check(raw: &RawSweep, report: &mut Report) -> Named {
    let mut named = Named::new();
    let mut is_told = false;
    for task in &raw.tasks {
        let found = match (&task.select, &raw.select) {
            (Some(own), _) => metric(task, "`select`", own, report),
            (None, Some(_)) if is_told => None,
            (None, Some(all)) => {
                let found = of_all(raw, task, "`select`", all, report);
                is_told = found.is_none();
                found
            }
            (None, None) => None,
        };
        named.extend(found.map(|metric| (task.name.value.clone(), metric)));
    }
    named
}

/// The metrics that select on these tasks: those that are named, and those of the tasks whose labels leave out the one
/// of their kind.
pub(in crate::spec) fn chosen<'t>(tasks: impl ExactSizeIterator<Item = &'t Task>, named: &Named) -> Select {
    let all = tasks.len();
    let other = |task: &Task| {
        let metric = named.get(&task.name).copied().unwrap_or_else(|| task.objective.primary());
        let usual = kind(task.objective.name())?.metrics().first().copied();
        (Some(metric) != usual).then(|| (task.name.clone(), metric))
    };
    Select::on(tasks.filter_map(other).collect(), all)
}

/// Reports metrics that are not defined for tasks with these labels.
pub(super) fn fits(raw: &RawSweep, tasks: &[Task], named: &Named, report: &mut Report) {
    for task in tasks {
        let own = raw.tasks.iter().find(|known| known.name.value == task.name);
        let at = own.and_then(|own| own.select.as_ref()).or(raw.select.as_ref());
        let (Some(metric), Some(at)) = (named.get(&task.name), at) else { continue };
        if task.objective.metrics().contains(metric) {
            continue;
        }
        let (labels, name) = (task.objective.labels().len(), metric.name());
        let found = format!("`{name}`, which {labels} labels such as these do not have");
        let problem = Problem::BadValue { key: "`select`".to_owned(), found };
        let names: Vec<&str> = task.objective.metrics().iter().map(|metric| metric.name()).collect();
        report.error(at.place, problem).allowed(quoted(&names));
        if own.is_none_or(|own| own.select.is_none()) {
            return;
        }
    }
}

/// A metric that a key names for all tasks; `None` where some task lacks it, which is reported.
pub(super) fn on_all(raw: &RawSweep, key: &str, at: &At<String>, report: &mut Report) -> Option<Metric> {
    let mut found = None;
    for task in &raw.tasks {
        found = Some(of_all(raw, task, key, at, report)?);
    }
    found
}

/// The metric of a task that is named for all tasks.
fn of_all(raw: &RawSweep, task: &RawTask, key: &str, at: &At<String>, report: &mut Report) -> Option<Metric> {
    let others = raw.tasks.iter().filter(|other| known(other).iter().any(|metric| metric.name() == at.value));
    if others.count() == 0 || known(task).iter().any(|metric| metric.name() == at.value) {
        return metric(task, key, at, report);
    }
    let (name, whose) = (short(&at.value), &task.name.value);
    let found = format!("`{name}`, which task `{whose}` of kind `{}` does not have", task.kind.name());
    let hint = match key {
        "`select`" => "give tasks of different kinds a `select` each, inside the task",
        _ => "remove it: by default they are ranked by their loss, which every task has",
    };
    report.error(at.place, Problem::BadValue { key: key.to_owned(), found }).hint(hint);
    None
}

/// The metric of a task that a key names; `None` where it has none of this name, which is reported.
fn metric(task: &RawTask, key: &str, at: &At<String>, report: &mut Report) -> Option<Metric> {
    let known = known(task);
    if let Some(metric) = known.iter().copied().find(|metric| metric.name() == at.value) {
        return Some(metric);
    }
    let problem = Problem::BadValue { key: key.to_owned(), found: format!("`{}`", short(&at.value)) };
    let error = report.error(at.place, problem);
    error.one_of(&at.value, known.iter().map(|metric| metric.name()));
    let of_kind = |names: String| format!("{names} for tasks of kind `{}`", task.kind.name());
    error.allowed = error.allowed.take().map(of_kind);
    if let Some(meant) = meant(&at.value, &known) {
        error.hint = Some(format!("did you mean `{}`?", meant.name()));
    }
    None
}

/// The metrics of a task, as far as they are known without its files: they may depend on other settings.
fn known(task: &RawTask) -> Vec<Metric> {
    let objective = task.objective(&[], &Names::default());
    objective.as_ref().map_or_else(|| task.kind.metrics(), |objective| objective.metrics()).to_vec()
}

/// The metric that another tool calls by this name.
fn meant(name: &str, known: &[Metric]) -> Option<Metric> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_lowercase();
    let plain =
        ["eval", "validation", "val"].iter().find_map(|word| plain.strip_prefix(word)).unwrap_or(&plain);
    known.iter().copied().find(|metric| metric.is_called(plain))
}
