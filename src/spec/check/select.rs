//! Owns the check of `select`: which metric of the sweep's kind of task selects. Pure.

use crate::tasks::Task;
use crate::values::Metric;

use crate::spec::error::{Problem, Report};
use crate::spec::label_names::Names;
use crate::spec::raw::RawSweep;
use crate::spec::source::At;
use crate::spec::words::{quoted, short};

/// The metric that selects, if it differs from the tasks' own; also `None` where an error was reported.
pub(in crate::spec) fn check(raw: &RawSweep, report: &mut Report) -> Option<Metric> {
    let known = raw.tasks.first()?.kind.metrics();
    metric(raw, "`select`", raw.select.as_ref()?, report).filter(|metric| Some(metric) != known.first())
}

/// The metric that selects where the sweep names none and the tasks' labels leave out the one of their kind.
pub(super) fn own(tasks: &[Task]) -> Option<Metric> {
    let objective = &tasks.first()?.objective;
    let usual = crate::tasks::kind(objective.name())?.metrics().first().copied();
    Some(objective.primary()).filter(|own| Some(*own) != usual)
}

/// Reports that a metric is not defined for a task with these labels.
pub(super) fn fits(raw: &RawSweep, tasks: &[Task], metric: Option<Metric>, report: &mut Report) {
    let (Some(metric), Some(at)) = (metric, &raw.select) else { return };
    if let Some(task) = tasks.iter().find(|task| !task.objective.metrics().contains(&metric)) {
        let (labels, name) = (task.objective.labels().len(), metric.name());
        let found = format!("`{name}`, which {labels} labels such as these do not have");
        let problem = Problem::BadValue { key: "`select`".to_owned(), found };
        let names: Vec<&str> = task.objective.metrics().iter().map(|metric| metric.name()).collect();
        report.error(at.place, problem).allowed(quoted(&names));
    }
}

/// The metric of the sweep's kind of task that a key names; `None` where an error was reported.
pub(super) fn metric(raw: &RawSweep, key: &str, at: &At<String>, report: &mut Report) -> Option<Metric> {
    let task = raw.tasks.first()?;
    let (kind, objective) = (task.kind, task.objective(&[], &Names::default()));
    // The metrics may depend on other settings.
    let known = objective.as_ref().map_or_else(|| kind.metrics(), |objective| objective.metrics());
    if let Some(metric) = known.iter().copied().find(|metric| metric.name() == at.value) {
        return Some(metric);
    }
    let problem = Problem::BadValue { key: key.to_owned(), found: format!("`{}`", short(&at.value)) };
    let error = report.error(at.place, problem);
    error.one_of(&at.value, known.iter().map(|metric| metric.name()));
    error.allowed = error.allowed.take().map(|names| format!("{names} for tasks of kind `{}`", kind.name()));
    if let Some(meant) = meant(&at.value, known) {
        error.hint = Some(format!("did you mean `{}`?", meant.name()));
    }
    None
}

/// The metric that another tool calls by this name.
fn meant(name: &str, known: &[Metric]) -> Option<Metric> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_lowercase();
    let plain =
        ["eval", "validation", "val"].iter().find_map(|word| plain.strip_prefix(word)).unwrap_or(&plain);
    known.iter().copied().find(|metric| metric.is_called(plain))
}
