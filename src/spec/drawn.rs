//! Owns the points of a block that has ranges, and the values of axes that are tied to others. Pure: a point is a
//! function of the sweep file.
//!
//! In such a block every axis has a dimension, in the file's order (`space`), and a point takes from a list what lies at
//! its place there. Tasks and seeds are not drawn: each point has all of them, since they repeat a configuration.
//! Axes that do not apply to a point's method are left out as in any block, and points that are then the same are
//! trained once. Of points that are proposed while the sweep runs the first generation is drawn here.

use std::collections::HashSet;

use super::error::{Problem, Report};
use super::point::{Given, repeats};
use super::raw::{Drawn, Form, RawAxis, RawBlock, RawSearch, RawSweep};
use super::source::At;
use super::space;
use super::value::Tie;
use crate::search::{Draw, MOST_POINTS, Sampler};
use crate::sweep::{Block, Proposing, multiple};
use crate::values::axes::AXES;
use crate::values::{Point, Setting, quantity};

/// Points of a generation where the file does not say: a balanced start of a Sobol sequence, and few enough for what
/// was learned to count soon.
const GENERATION: u32 = 8;

/// How the points of blocks with ranges are drawn.
#[derive(Clone, Copy)]
struct How {
    draw: Draw,
    /// Points of each block.
    trials: u32,
    /// Points of a generation, where they are proposed in generations.
    generation: u32,
    /// Seconds that all runs may take.
    budget_s: Option<f64>,
}

impl How {
    /// Whether points are proposed while the sweep runs.
    fn proposes(self) -> bool {
        self.draw.sampler == Sampler::Tpe || self.budget_s.is_some()
    }

    /// How that is done in these blocks.
    fn proposing(self, blocks: Vec<Block>) -> Proposing {
        let Self { draw: Draw { sampler, seed }, trials, generation, budget_s } = self;
        Proposing { sampler, seed, trials, generation, budget_s, blocks }
    }
}

/// Draws the points of every block with a range, and gives tied axes their values. `only` is what `--only` keeps.
pub(super) fn complete(raw: &mut RawSweep, only: &[RawAxis], report: &mut Report) {
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
    let mut blocks = Vec::new();
    for block in &mut raw.grid {
        check_zips(block, report);
        tie(block, report);
        let Some(how) = how.filter(|_| has_range(block)) else { continue };
        let of_block = space::of(block, &raw.training, only);
        block.drawn = Some(drawn(block, &of_block, how, report));
        if how.proposes() {
            let mut outline = space::outline(block);
            // What is wrong with a list is told already.
            if !report.has_errors() {
                tie(&mut outline, report);
            }
            block.outline = Some(Box::new(outline));
            blocks.push(of_block);
        }
    }
    raw.proposing = how.filter(|_| !blocks.is_empty()).map(|how| how.proposing(blocks));
}

fn has_range(block: &RawBlock) -> bool {
    block.axes.iter().any(|axis| axis.spread().is_some())
}

/// How points are drawn.
fn how(search: Option<&RawSearch>, has_ranges: bool, report: &mut Report) -> Option<How> {
    let search = search?;
    let sampler = search.sampler.as_ref().map_or(Sampler::Sobol, |at| at.value);
    if sampler == Sampler::Grid && has_ranges {
        let place = search.sampler.as_ref().map_or(search.place, |at| at.place);
        let problem = Problem::BadValue { key: "`sampler`".to_owned(), found: "`grid`".to_owned() };
        report.error(place, problem).allowed("`sobol`, `random` or `tpe`, since an axis has a range");
        return None;
    }
    let budget_s = budget(search, has_ranges, report);
    let draws_all = sampler != Sampler::Tpe && search.budget.is_none();
    if let Some(generation) = search.generation.as_ref().filter(|_| draws_all) {
        let whose = "a search that draws all points at once".to_owned();
        let problem = Problem::InapplicableKey { key: "generation", whose };
        let error = report.error(generation.place, problem);
        error.hint("points are proposed in generations by `sampler: tpe`, and with a `budget`");
    }
    let Some(trials) = &search.trials else {
        // A bad one is reported already.
        if has_ranges && !search.has_trials {
            let problem = Problem::MissingKey { key: "trials".to_owned(), section: "`search`".to_owned() };
            report.error(search.place, problem).hint("how many configurations each block with a range has");
        }
        return None;
    };
    let size = |size: usize| u32::try_from(size).unwrap_or(MOST_POINTS).min(MOST_POINTS);
    let generation = search.generation.as_ref().map_or(GENERATION, |at| size(at.value));
    let count = size(trials.value);
    if sampler == Sampler::Tpe && has_ranges && count <= generation {
        let message = format!("all {count} trials are of the first generation, which is drawn as by `sobol`");
        report.warn(trials.place, message);
    }
    Some(How { draw: Draw { sampler, seed: search.seed }, trials: count, generation, budget_s })
}

/// The time that all runs may take, in seconds.
fn budget(search: &RawSearch, has_ranges: bool, report: &mut Report) -> Option<f64> {
    let At { value: written, place } = search.budget.as_ref()?;
    if !has_ranges {
        let problem =
            Problem::InapplicableKey { key: "budget", whose: "a grid, which is trained whole".to_owned() };
        report.error(*place, problem).hint("give an axis a range, or let `stop: halving` shorten the grid");
        return None;
    }
    let time = quantity::time(written);
    if time.is_none() {
        let problem = Problem::BadValue { key: "`budget`".to_owned(), found: format!("`{written}`") };
        report.error(*place, problem).allowed("a length of time, such as `90m`, `2h` or `1h 30m`");
    }
    time.map(|time| time.as_secs_f64())
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

/// Gives tied axes their values.
fn tie(block: &mut RawBlock, report: &mut Report) {
    for at in 0..block.axes.len() {
        if let Some(tied) = tied_values(block, at, report) {
            block.axes[at].tied = tied;
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
            let product = multiple(axis.row, &given.setting, by.value);
            good &= product.is_some();
            product.map(|setting| Given { setting, place: by.place, items: Vec::new() })
        });
        products.collect()
    });
    let values: Vec<Vec<Given>> = values.collect();
    if !good {
        not_whole(axis, report);
    }
    good.then_some(values)
}

fn not_whole(axis: &RawAxis, report: &mut Report) {
    let problem = Problem::BadValue {
        key: format!("`{}`", axis.name()),
        found: "a multiple out of its range".to_owned(),
    };
    report.error(axis.place, problem).allowed(AXES[axis.row].domain.to_string());
}

/// The points of a block; of one whose points are proposed, its first generation.
fn drawn(block: &RawBlock, of_block: &Block, how: How, report: &mut Report) -> Vec<Drawn> {
    let How { draw, trials, generation, .. } = how;
    let points: Vec<Point> = if how.proposes() {
        how.proposing(Vec::new()).next(of_block, &[])
    } else {
        (0..trials).map(|number| of_block.space.drawn(draw, number)).collect()
    };
    let mut bad: HashSet<usize> = HashSet::new();
    let settings =
        points.iter().filter_map(|point| of_block.settings(point).map_err(|row| bad.insert(row)).ok());
    let settings: Vec<Vec<(usize, Setting)>> = settings.collect();
    block.axes.iter().filter(|axis| bad.contains(&axis.row)).for_each(|axis| not_whole(axis, report));
    let different: HashSet<&Vec<(usize, Setting)>> = settings.iter().collect();
    if different.len() < settings.len() {
        let (drawn, left) = (quantity::counted(settings.len(), "point"), different.len());
        report.warn(block.place, format!("{drawn} drawn, {left} left: the others repeat one of them"));
    } else if points.is_empty() {
        report.warn(block.place, "`exclude` and `--only` leave nothing of this block".to_owned());
    } else if draw.sampler == Sampler::Tpe && points.len() < trials.min(generation) as usize {
        let (wanted, left) = (quantity::counted(trials as usize, "point"), points.len());
        report.warn(block.place, format!("{wanted} asked for, {left} there: the space has no more"));
    }
    settings.into_iter().map(|point| placed(block, point)).collect()
}

/// A point with the places of its settings.
fn placed(block: &RawBlock, point: Vec<(usize, Setting)>) -> Drawn {
    let of = |(row, setting): (usize, Setting)| {
        let axis = block.axes.iter().find(|axis| axis.row == row)?;
        let listed = axis.values.iter().find(|given| given.setting == setting).cloned();
        Some((row, listed.unwrap_or(Given { setting, place: axis.place, items: Vec::new() })))
    };
    point.into_iter().filter_map(of).collect()
}
