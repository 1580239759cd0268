//! Owns the judgement of a whole sweep: all parts are checked, whatever is wrong with the others, and
//! a sweep comes out only where nothing is. Pure: what the files hold comes from the survey.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Problem, Report, SpecErrors};
use super::raw::{RawAxis, RawSweep};
use super::survey::Survey;
use super::{DeviceRequest, SweepSpec, check_grid, check_models, check_task, grid};

/// Longest name of a sweep, in bytes: most file systems take 255, and files get endings.
const LONGEST_NAME: usize = 100;

/// The checked sweep, or every error.
pub(super) fn check(
    raw: &RawSweep,
    survey: &Survey,
    only: &[RawAxis],
    mut report: Report,
) -> Result<SweepSpec, SpecErrors> {
    let name = name(raw, &mut report);
    let task = raw.task.as_ref().and_then(|task| check_task::check(task, survey, &mut report));
    let splitting = check_task::splitting(raw, survey, &mut report);
    let mut models = check_models::check(raw, survey, &mut report);
    let points = check_grid::check(raw, &models, only, &mut report);
    if report.has_errors() {
        return Err(report.into_errors());
    }
    let (Some(name), Some(task), Some(splitting)) = (name, task, splitting) else {
        return Err(report.into_errors());
    };
    let configurations = grid::configurations(&points, &task, &models);
    let tasks = BTreeMap::from([(task.name.clone(), Arc::new(task))]);
    let used = |name: &str| points.iter().any(|point| point.model.is_some_and(|model| model.value == name));
    models.retain(|name, _| used(name));
    let devices = raw.devices.as_ref().map_or(DeviceRequest::Auto, |at| at.value);
    let warnings = report.into_warnings();
    Ok(SweepSpec { name, tasks, models, configurations, splitting, devices, warnings })
}

/// A name that can be a folder's on every system.
fn name(raw: &RawSweep, report: &mut Report) -> Option<String> {
    let at = raw.name.as_ref()?;
    let name = &at.value;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let good = name.len() <= LONGEST_NAME
        && name.chars().all(plain)
        && name.trim() == name
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.');
    if !good {
        let problem = Problem::BadValue { key: "`name`".to_owned(), found: format!("`{name}`") };
        report
            .error(at.place, problem)
            .allowed("a plain folder name: letters, digits, `-`, `_`, spaces, and dots inside")
            .hint("it names the sweep's folders under results/ and reports/");
        return None;
    }
    Some(name.clone())
}
