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

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::disk::layout::Layout;
use crate::spec::error::{Problem, Report};
use crate::spec::grid::configurations;
use crate::spec::point::Point;
use crate::spec::raw::RawSweep;
use crate::spec::source::At;
use crate::spec::survey::Survey;
use crate::spec::words::short;
use crate::sweep::{self, DeviceRequest, SweepParts};

/// The points of a grid.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    /// Those that remain of it, in its order.
    pub(super) configured: &'a [Point<'a>],
    /// With them, points that differ as all do which may be proposed while the sweep runs.
    pub(super) possible: &'a [Point<'a>],
}

/// The checked sweep, without its data cards and with its warnings still in the report; `None` where the report
/// has errors. `profile` is the chosen profile.
pub(super) fn check(
    raw: &RawSweep,
    points: Points<'_>,
    survey: &Survey,
    profile: Option<&str>,
    report: &mut Report,
) -> Option<SweepParts> {
    let name = name(raw, profile, report);
    let tasks = task::check(raw, survey, report);
    let splitting = split::splitting(raw, survey, report);
    let named = select::check(raw, report);
    select::fits(raw, &tasks, &named, report);
    let select = select::chosen(tasks.iter(), &named);
    let stop = stop::check(raw, report);
    let mut models = models::check(raw, survey, report);
    pairs::check(raw, survey, points.possible, &models, report);
    if report.has_errors() {
        return None;
    }
    let (name, splitting) = (name?, splitting?);
    let mut tasks: BTreeMap<_, _> =
        tasks.into_iter().map(|task| (task.name.clone(), Arc::new(task))).collect();
    let configurations = configurations(points.configured, &tasks, &models, &select);
    stop::warn_of_no_rung(raw, stop.as_ref(), &configurations, report);
    heads::check(points.possible, &tasks, &models, report);
    let used_tasks: HashSet<&str> =
        points.possible.iter().filter_map(|point| Some(point.task()?.value)).collect();
    let used_models: HashSet<&str> =
        points.possible.iter().filter_map(|point| Some(point.model()?.value)).collect();
    tasks.retain(|name, _| used_tasks.contains(name.as_str()));
    models.retain(|name, _| used_models.contains(name.as_str()));
    let devices = raw.devices.as_ref().map_or(DeviceRequest::Auto, |at| at.value.clone());
    let (refits, only, warnings, cards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Some(SweepParts {
        name,
        tasks,
        models,
        configurations,
        proposing: raw.proposing.clone(),
        splitting,
        select,
        stop,
        drawn: drawn::drawn(raw),
        refits,
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
    let is_refit = name.ends_with(Layout::REFIT);
    let good = sweep::is_folder_name(name) && !is_refit;
    if !good {
        let problem = Problem::BadValue { key: title.to_owned(), found: format!("`{}`", short(name)) };
        let hint = if is_refit {
            "the runs of `lorasweep refit` end in `.refit`, and no others"
        } else {
            "it names the sweep's folders under results/ and reports/"
        };
        report
            .error(at.place, problem)
            .allowed("a plain folder name: letters, digits, `-`, `_`, spaces, and dots inside")
            .hint(hint);
    }
    good
}
