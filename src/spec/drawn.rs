//! Owns the points of a block that has ranges, and the values of axes that are tied to others. Pure: a point is a
//! function of the sweep file.
//!
//! In such a block every axis has a dimension, in the file's order, and a point takes from a list what lies at its
//! place there. Tasks and seeds are not drawn: each point has all of them, since they repeat a configuration.
//! Axes that do not apply to a point's method are left out as in any block, and points that are then the same are
//! trained once.

use std::collections::HashSet;

use super::error::{Problem, Report};
use super::grid;
use super::point::{Given, repeats};
use super::range;
use super::raw::{Drawn, Form, RawAxis, RawBlock, RawSearch, RawSweep};
use super::source::At;
use super::value::Tie;
use crate::search::{Draw, MOST_POINTS, Sampler};
use crate::values::axes::AXES;
use crate::values::{Setting, quantity};

/// Draws the points of every block with a range, and gives tied axes their values.
pub(super) fn complete(raw: &mut RawSweep, report: &mut Report) {
    let has_ranges = raw.grid.iter().any(has_range);
    let how = how(raw.search.as_ref(), has_ranges, report);
    let draws =
        |search: &&RawSearch| search.sampler.is_some() || search.has_trials || search.stop.stop.is_none();
    if !has_ranges && let Some(search) = raw.search.as_ref().filter(draws) {
        report.warn(search.place, "`search` draws nothing, since no axis has a range".to_owned());
    }
    if has_ranges && raw.search.is_none() {
        let place = raw.grid.iter().flat_map(|block| &block.axes).find(|axis| axis.spread().is_some());
        let place = place.map_or(raw.grid_place, |axis| axis.place);
        let problem =
            Problem::MissingKey { key: "search".to_owned(), section: "a sweep with ranges".to_owned() };
        report.error(place, problem).hint("for example `search: {sampler: sobol, trials: 32}`");
    }
    for block in &mut raw.grid {
        check_zips(block, report);
        for at in 0..block.axes.len() {
            if let Some(tied) = tied_values(block, at, report) {
                block.axes[at].tied = tied;
            }
        }
        if let Some((draw, trials)) = how.filter(|_| has_range(block)) {
            block.drawn = Some(drawn(block, draw, trials, report));
        }
    }
}

fn has_range(block: &RawBlock) -> bool {
    block.axes.iter().any(|axis| axis.spread().is_some())
}

/// How points are drawn, and how many for each block.
fn how(search: Option<&RawSearch>, has_ranges: bool, report: &mut Report) -> Option<(Draw, u32)> {
    let search = search?;
    let sampler = search.sampler.as_ref().map_or(Sampler::Sobol, |at| at.value);
    if sampler == Sampler::Grid && has_ranges {
        let place = search.sampler.as_ref().map_or(search.place, |at| at.place);
        let problem = Problem::BadValue { key: "`sampler`".to_owned(), found: "`grid`".to_owned() };
        report.error(place, problem).allowed("`sobol` or `random`, since an axis has a range");
        return None;
    }
    let Some(trials) = &search.trials else {
        // A bad one is reported already.
        if has_ranges && !search.has_trials {
            let problem = Problem::MissingKey { key: "trials".to_owned(), section: "`search`".to_owned() };
            report.error(search.place, problem).hint("how many configurations each block with a range has");
        }
        return None;
    };
    let trials = u32::try_from(trials.value).unwrap_or(MOST_POINTS).min(MOST_POINTS);
    Some((Draw { sampler, seed: search.seed }, trials))
}

/// A zip pairs lists; a range or a multiple has none.
fn check_zips(block: &RawBlock, report: &mut Report) {
    for name in block.zips.iter().flat_map(|zip| &zip.value) {
        let is_it = |axis: &&RawAxis| axis.name() == name.value && !matches!(axis.form, Form::Listed);
        if block.axes.iter().any(|axis| is_it(&axis)) {
            let message = format!("`{}` has no list to pair", name.value);
            report
                .error(name.place, Problem::BadZip(message))
                .hint("give it a list, or leave it out of the zip");
        }
    }
}

/// The axis that a tied one is a multiple of.
fn other<'b>(block: &'b RawBlock, tie: &Tie) -> Option<&'b RawAxis> {
    block.axes.iter().find(|axis| axis.name() == tie.times.value && axis.tie().is_none())
}

/// For each value of the other axis, the values of a tied one; empty where that has a range. `None` where the axis is
/// not tied, or not well.
fn tied_values(block: &RawBlock, at: usize, report: &mut Report) -> Option<Vec<Vec<Given>>> {
    let axis = &block.axes[at];
    let tie = axis.tie()?;
    let is_of_numbers = |other: &&RawAxis| {
        let domain = AXES[other.row].domain;
        (domain.is_number() || domain.is_count()) && !repeats(other.row)
    };
    let Some(other) = other(block, tie).filter(is_of_numbers) else {
        let numbers = block.axes.iter().filter(is_of_numbers).filter(|other| other.tie().is_none());
        let names: Vec<&str> = numbers.map(RawAxis::name).collect();
        let problem =
            Problem::BadValue { key: "`times`".to_owned(), found: format!("`{}`", tie.times.value) };
        let error = report.error(tie.times.place, problem);
        error.one_of(&tie.times.value, names.iter().copied());
        error.hint(format!("give this block `{}`, or name an axis of it with numbers", tie.times.value));
        return None;
    };
    let mut good = true;
    let values = other.values.iter().map(|given| {
        let products = tie.by.iter().filter_map(|by| {
            let product = product(axis.row, &given.setting, by);
            good &= product.is_some();
            product
        });
        products.collect()
    });
    let values: Vec<Vec<Given>> = values.collect();
    if !good {
        not_whole(axis, report);
    }
    good.then_some(values)
}

/// A value of a tied axis.
fn product(row: usize, other: &Setting, by: &At<f64>) -> Option<Given> {
    let domain = AXES[row].domain.plain();
    // Without what a multiplication in binary adds: 0.1 times 3 is 0.3.
    let product = format!("{:.12e}", range::as_number(other)? * by.value).parse().ok()?;
    let setting = range::setting(&domain, product)?;
    domain.holds(&setting).then(|| Given { setting, place: by.place, items: Vec::new() })
}

fn not_whole(axis: &RawAxis, report: &mut Report) {
    let problem = Problem::BadValue {
        key: format!("`{}`", axis.name()),
        found: "a multiple out of its range".to_owned(),
    };
    report.error(axis.place, problem).allowed(AXES[axis.row].domain.to_string());
}

/// The points of a block.
fn drawn(block: &RawBlock, draw: Draw, trials: u32, report: &mut Report) -> Vec<Drawn> {
    let dimensions: Vec<Vec<&RawAxis>> = grid::groups(block)
        .into_iter()
        .filter(|group| !group.iter().any(|axis| repeats(axis.row)))
        .filter(|group| group.iter().all(|axis| axis.tie().is_none()))
        .collect();
    let ties: Vec<&RawAxis> = block.axes.iter().filter(|axis| axis.tie().is_some()).collect();
    let mut bad: HashSet<usize> = HashSet::new();
    let points = (0..trials).map(|number| {
        let mut shares = (0_u32..).map(|dimension| draw.share(number, dimension));
        let mut share = || shares.next().unwrap_or_default();
        let mut point: Drawn = Vec::new();
        for group in &dimensions {
            let share = share();
            for axis in group {
                let given = match axis.spread() {
                    Some(spread) => {
                        Some(Given { setting: spread.at(share), place: axis.place, items: Vec::new() })
                    }
                    None => axis.values.get(place(share, axis.values.len())).cloned(),
                };
                point.extend(given.map(|given| (axis.row, given)));
            }
        }
        for axis in &ties {
            let Some(tie) = axis.tie() else { continue };
            let by = &tie.by[place(share(), tie.by.len())];
            let other = point.iter().find(|(row, _)| AXES[*row].name == tie.times.value);
            // One that is not there is reported already.
            let Some((_, other)) = other else { continue };
            match product(axis.row, &other.setting, by) {
                Some(given) => point.push((axis.row, given)),
                None => _ = bad.insert(axis.row),
            }
        }
        point
    });
    let points: Vec<Drawn> = points.collect();
    ties.iter().filter(|axis| bad.contains(&axis.row)).for_each(|axis| not_whole(axis, report));
    let settings = |point: &Drawn| point.iter().map(|(_, given)| given.setting.clone()).collect();
    let different: HashSet<Vec<Setting>> = points.iter().map(settings).collect();
    if different.len() < points.len() {
        let (drawn, left) = (quantity::counted(points.len(), "point"), different.len());
        report.warn(block.place, format!("{drawn} drawn, {left} left: the others repeat one of them"));
    }
    points
}

/// The position in a list of so many values that lies at a share of it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is below 1")]
#[expect(clippy::cast_precision_loss, reason = "lists are short")]
fn place(share: f64, length: usize) -> usize {
    (share * length as f64) as usize
}
