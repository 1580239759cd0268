//! Owns the check of a whole sweep: every part is checked even if others have errors, and a sweep is returned
//! only if there are none. Pure: the content of files comes from the survey. Read this file first, then
//! `task.rs` and `models.rs`.

pub(super) mod drawn;
pub(super) mod grid;
mod heads;
mod labels;
mod models;
mod pairs;
pub(super) mod select;
mod split;
pub(super) mod steps;
mod stop;
mod task;
mod zip;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::spec::error::{Problem, Report};
use crate::spec::grid::configurations;
use crate::spec::point::Point;
use crate::spec::raw::RawSweep;
use crate::spec::source::At;
use crate::spec::survey::Survey;
use crate::spec::words::short;
use crate::sweep::{self, DeviceRequest, SweepParts};

/// The checked sweep, without its data cards and with its warnings still in the report; `None` where the report
/// has errors. `points` are the grid's remaining points, `profile` is the chosen profile.
pub(super) fn check(
    raw: &RawSweep,
    points: &[Point<'_>],
    survey: &Survey,
    profile: Option<&str>,
    report: &mut Report,
) -> Option<SweepParts> {
    let name = name(raw, profile, report);
    let tasks = task::check(raw, survey, report);
    let splitting = split::splitting(raw, survey, report);
    let select = select::check(raw, report);
    let stop = stop::check(raw, report);
    let mut models = models::check(raw, survey, report);
    pairs::check(raw, survey, points, &models, report);
    if report.has_errors() {
        return None;
    }
    let (name, splitting) = (name?, splitting?);
    let mut tasks: BTreeMap<_, _> =
        tasks.into_iter().map(|task| (task.name.clone(), Arc::new(task))).collect();
    let configurations = configurations(points, &tasks, &models, select);
    heads::check(points, &tasks, &models, report);
    tasks.retain(|name, _| configurations.iter().any(|configuration| configuration.task == *name));
    models.retain(|name, _| configurations.iter().any(|configuration| configuration.model == *name));
    let devices = raw.devices.as_ref().map_or(DeviceRequest::Auto, |at| at.value.clone());
    let (only, warnings, cards) = (Vec::new(), Vec::new(), Vec::new());
    Some(SweepParts {
        name,
        tasks,
        models,
        configurations,
        splitting,
        select,
        stop,
        drawn: drawn::drawn(raw),
        only,
        devices,
        warnings,
        cards,
    })
}

/// The name of the sweep, followed by its profile's, so that results of profiles stay separate.
fn name(raw: &RawSweep, profile: Option<&str>, report: &mut Report) -> Option<String> {
    for profile in &raw.profiles {
        folder_name("a profile", profile, &profile.value, report);
    }
    let at = raw.name.as_ref()?;
    let name = profile.map_or_else(|| at.value.clone(), |profile| format!("{}-{profile}", at.value));
    folder_name("`name`", at, &name, report).then_some(name)
}

/// Whether a name can be a folder name on every system.
fn folder_name(title: &str, at: &At<String>, name: &str, report: &mut Report) -> bool {
    let good = sweep::is_folder_name(name);
    if !good {
        let problem = Problem::BadValue { key: title.to_owned(), found: format!("`{}`", short(name)) };
        report
            .error(at.place, problem)
            .allowed("a plain folder name: letters, digits, `-`, `_`, spaces, and dots inside")
            .hint("it names the sweep's folders under results/ and reports/");
    }
    good
}
