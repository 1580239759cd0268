//! Owns the check of `grid`: names, axes, zips and exclusions of each block, and the size of the whole. Pure.

use std::collections::HashSet;

use crate::values::quantity;

use super::zip;
use crate::spec::error::{Problem, Report};
use crate::spec::grid::{self, MAX_POINTS};
use crate::spec::point::{ALPHA, Given, LEARNING_RATE, METHOD, MODEL, Point, RANK, TASK};
use crate::spec::raw::{RawAxis, RawBlock, RawSweep};
use crate::spec::read::missing;
use crate::spec::source::At;
use crate::spec::space;
use crate::spec::words::{quoted, short};
use crate::values::axes::AXES;
use crate::values::{MethodKind, Setting};

/// Most comparisons of a point with an exclusion.
const MAX_COMPARISONS: u64 = 100_000_000;

/// The grid's points that remain after exclusions and `--only`, in the file's order. They are valid only if the
/// report has no error.
pub(in crate::spec) fn check<'a>(raw: &'a RawSweep, only: &[RawAxis], report: &mut Report) -> Vec<Point<'a>> {
    let tasks = Names::new(raw.tasks.iter().map(|task| &task.name));
    let models = Names::new(raw.models.iter().map(|model| &model.name));
    for block in &raw.grid {
        tasks.check(values(block, TASK).filter_map(Given::name), Problem::UnknownTask, report);
        models.check(values(block, MODEL).filter_map(Given::name), Problem::UnknownModel, report);
        inapplicable(block, report);
        without_effect(block, report);
        zip::check(block, report);
        learning_rate(block, raw, report);
    }
    let used = |row| raw.grid.iter().flat_map(move |block| values(block, row)).filter_map(Given::name);
    tasks.warn_of_unused("task", used(TASK), report);
    models.warn_of_unused("model", used(MODEL), report);
    let count = raw.grid.iter().map(grid::count).fold(0, u64::saturating_add);
    if count > MAX_POINTS {
        let points = if count == u64::MAX {
            "more than 10^19 points".to_owned()
        } else {
            format!("{} points", quantity::count(count))
        };
        let error = report.error(raw.grid_place, Problem::GridTooLarge { points });
        error
            .allowed(format!("up to {}", quantity::count(MAX_POINTS)))
            .hint("shorten the axes that matter least");
        return Vec::new();
    }
    let exclusions = raw.grid.iter().map(|block| block.exclusions.len() as u64).max().unwrap_or(0);
    if count.saturating_mul(exclusions) > MAX_COMPARISONS {
        let points = format!("{} points and up to {exclusions} exclusions a block", quantity::count(count));
        let error = report.error(raw.grid_place, Problem::GridTooLarge { points });
        error.hint("write blocks that have less to exclude");
        return Vec::new();
    }
    let points = expand(raw, only, report);
    only_matches(raw, only, report);
    if points.is_empty() && count > 0 && !report.has_errors() {
        report.error(raw.grid_place, Problem::EmptyGrid("no point of the grid is left"));
    }
    vary_the_learning_rate(raw, &points, report);
    points
}

/// The names of `tasks` or `models`.
struct Names<'a> {
    in_order: Vec<&'a At<String>>,
    known: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    fn new(names: impl Iterator<Item = &'a At<String>>) -> Self {
        let in_order: Vec<_> = names.collect();
        let known = in_order.iter().map(|name| name.value.as_str()).collect();
        Self { in_order, known }
    }

    /// Checks that every name in a block exists.
    fn check<'b>(
        &self,
        used: impl Iterator<Item = At<&'b str>>,
        problem: fn(String) -> Problem,
        report: &mut Report,
    ) {
        for name in used.filter(|name| !self.known.contains(name.value)) {
            let error = report.error(name.place, problem(short(name.value)));
            error.one_of(name.value, self.in_order.iter().map(|known| known.value.as_str()));
        }
    }

    fn warn_of_unused<'b>(&self, noun: &str, used: impl Iterator<Item = At<&'b str>>, report: &mut Report) {
        let used: HashSet<&str> = used.map(|name| name.value).collect();
        // If no block names any, the missing keys are reported already.
        for name in
            self.in_order.iter().filter(|name| !used.is_empty() && !used.contains(name.value.as_str()))
        {
            report.warn(name.place, format!("{noun} `{}` is not used", name.value));
        }
    }
}

fn values(block: &RawBlock, row: usize) -> impl Iterator<Item = &Given> {
    block.axes.iter().filter(move |axis| axis.row == row).flat_map(|axis| &axis.values)
}

fn methods(block: &RawBlock) -> impl Iterator<Item = MethodKind> {
    values(block, METHOD).filter_map(Given::method)
}

/// Reports axes that none of the block's methods has, which would silently do nothing.
fn inapplicable(block: &RawBlock, report: &mut Report) {
    let methods: Vec<MethodKind> = methods(block).collect();
    if methods.is_empty() {
        return;
    }
    for RawAxis { row, place, .. } in &block.axes {
        let axis = &AXES[*row];
        if methods.iter().any(|method| axis.applies_to(*method)) {
            continue;
        }
        let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        let problem = Problem::InapplicableAxis { axis: axis.name, methods: quoted(&names) };
        let hint = if axis.applies_to(MethodKind::Full) {
            "remove it, or add a method that trains to the block's methods"
        } else {
            "remove it, or add `lora` or `dora` to the block's methods"
        };
        report.error(*place, problem).hint(hint);
    }
}

/// Reports several values of an axis on which no result depends: they would be one trial.
fn without_effect(block: &RawBlock, report: &mut Report) {
    for axis in block.axes.iter().filter(|axis| !AXES[axis.row].decides && axis.written > 1) {
        let (key, found) = (format!("`{}`", axis.name()), format!("a list of {} values", axis.written));
        let error = report.error(axis.place, Problem::BadValue { key, found });
        error
            .allowed("one value")
            .hint("the results are the same with each of them, so there is nothing to compare");
    }
}

fn learning_rate(block: &RawBlock, raw: &RawSweep, report: &mut Report) {
    let has = |axes: &[RawAxis]| axes.iter().any(|axis| axis.row == LEARNING_RATE);
    let mut methods = methods(block).peekable();
    if methods.peek().is_some() && methods.all(|method| method == MethodKind::Base) {
        return;
    }
    if !has(&block.axes) && !has(&raw.training) {
        missing("learning_rate", "a grid block", block.place, report)
            .hint("give it here or in `training`; LoRA wants about ten times that of full fine-tuning");
    }
}

/// Expands every block and applies the exclusions and `--only`.
fn expand<'a>(raw: &'a RawSweep, only: &[RawAxis], report: &mut Report) -> Vec<Point<'a>> {
    let mut points = Vec::new();
    for block in &raw.grid {
        let mut matched = vec![false; block.exclusions.len()];
        grid::for_each_point(block, &raw.training, |point| {
            let mut excluded = false;
            for (exclusion, matched) in block.exclusions.iter().zip(&mut matched) {
                if grid::matches(&exclusion.axes, &point) {
                    (excluded, *matched) = (true, true);
                }
            }
            if !excluded && grid::matches(only, &point) {
                points.push(point);
            }
        });
        // What is proposed is left out before.
        let told = |(_, matched): &(_, bool)| !matched && block.outline.is_none();
        for (exclusion, _) in block.exclusions.iter().zip(matched).filter(told) {
            report.warn(exclusion.place, "this exclusion matches no point of its block".to_owned());
        }
    }
    points
}

/// The grid's points, and of blocks whose points are proposed one for each combination that is checked.
pub(in crate::spec) fn possible<'a>(
    raw: &'a RawSweep,
    points: &[Point<'a>],
    only: &[RawAxis],
    report: &mut Report,
) -> Vec<Point<'a>> {
    let mut possible = points.to_vec();
    let told_apart: Vec<RawAxis> = only.iter().filter(|axis| space::tells_apart(axis.row)).cloned().collect();
    for outline in raw.grid.iter().filter_map(|block| block.outline.as_deref()) {
        let count = grid::count(outline);
        if count > MAX_POINTS {
            let points = format!("{} combinations of lists", quantity::count(count));
            let error = report.error(outline.place, Problem::GridTooLarge { points });
            error.allowed(format!("up to {}", quantity::count(MAX_POINTS)));
            continue;
        }
        grid::for_each_point(outline, &raw.training, |point| {
            let excluded = outline.exclusions.iter().any(|one| grid::matches(&one.axes, &point));
            if !excluded && grid::matches(&told_apart, &point) {
                possible.push(point);
            }
        });
    }
    possible
}

/// Reports values of `--only` that the grid does not have, since they are typing errors.
fn only_matches(raw: &RawSweep, only: &[RawAxis], report: &mut Report) {
    for axis in only {
        let of_training = raw.training.iter().filter(|known| known.row == axis.row);
        let in_grid = raw.grid.iter().flat_map(|block| values(block, axis.row));
        let written: Vec<&Given> = in_grid.chain(of_training.flat_map(|known| &known.values)).collect();
        let mut there = vec![false; axis.values.len()];
        for block in &raw.grid {
            grid::for_each_point(block, &raw.training, |point| {
                for (value, there) in axis.values.iter().zip(&mut there) {
                    *there |= point.has(axis.row, &value.setting);
                }
            });
        }
        for (value, _) in axis.values.iter().zip(there).filter(|(_, there)| !there) {
            let mut known: Vec<String> = Vec::new();
            for given in &written {
                let text = AXES[axis.row].text(&given.setting.in_order());
                if !known.contains(&text) {
                    known.push(text);
                }
            }
            let message = format!("no point of the grid has this `{}`", axis.name());
            let error = report.error(value.place, Problem::BadOverride(message));
            if let Some(found) = value.name() {
                error.one_of(found.value, known.iter().map(String::as_str));
            } else if !known.is_empty() {
                error.allowed(quoted(&known));
            }
        }
    }
}

/// With one learning rate, alpha mostly multiplies it, so that comparing alphas or ranks compares learning
/// rates.
fn vary_the_learning_rate(raw: &RawSweep, points: &[Point<'_>], report: &mut Report) {
    let adapted = || points.iter().filter(|point| point.method().is_some_and(MethodKind::adapts));
    let distinct =
        |row: usize| adapted().map(|point| point.setting(row)).collect::<HashSet<Option<&Setting>>>();
    let [ranks, alphas, rates] = [RANK, ALPHA, LEARNING_RATE].map(|row| distinct(row).len());
    if (ranks > 1 || alphas > 1) && rates == 1 {
        let what = match (ranks > 1, alphas > 1) {
            (true, true) => "rank and alpha",
            (true, false) => "rank",
            (false, _) => "alpha",
        };
        report.warn(
            raw.grid_place,
            format!(
                "the grid varies {what} at one learning rate; alpha / rank mostly multiplies the learning \
                 rate, so vary `learning_rate` as well before you compare them"
            ),
        );
    }
}
