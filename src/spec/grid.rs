//! Owns the expansion of the grid: blocks to points, points to configurations. Pure.
//!
//! A block is the product of its dimensions; a dimension is an axis, or the axes of a zip, with the axes that are
//! multiples of these. The method's dimension comes first, and then axes that do not apply to the method are left
//! out, so that they never multiply it. In a block with a range the drawn points are one dimension.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::families::ModelSpec;
use crate::sweep::Templates;
use crate::tasks::Task;
use crate::values::axes::AXES;
use crate::values::{Configuration, Select, Setting};

use super::point::{self, Given, METHOD, Point};
use super::raw::{Form, RawAxis, RawBlock};
use super::value::Tie;

/// Most points of a sweep, counted before duplicates are removed.
pub(super) const MAX_POINTS: u64 = 1_000_000;

/// One axis's value in a step.
#[derive(Clone, Copy)]
struct Put<'a> {
    /// The axis's row.
    row: usize,
    given: &'a Given,
}

/// Values that change together.
type Step<'a> = Vec<Put<'a>>;

/// Axes that change together.
#[derive(Clone)]
struct Dimension<'a> {
    /// The axes' rows.
    rows: Vec<usize>,
    /// Bad values are left out.
    steps: Vec<Step<'a>>,
}

/// One step of the method's dimension, with the dimensions that it is combined with.
struct OfMethod<'a> {
    step: Step<'a>,
    /// The dimensions that apply to its method.
    others: Vec<Dimension<'a>>,
}

/// Number of points of a block, before its exclusions; the largest number if there are more.
pub(super) fn count(block: &RawBlock) -> u64 {
    let product = |dimensions: &[Dimension<'_>]| {
        dimensions.iter().fold(1_u64, |product, one| product.saturating_mul(one.steps.len() as u64))
    };
    per_method(block).iter().map(|one| product(&one.others)).fold(0, u64::saturating_add)
}

/// Calls `visit` with every point of a block: its method's dimension outermost, then the axes in the file's
/// order, the last one fastest. `training` gives the values that the block does not.
pub(super) fn for_each_point<'a>(
    block: &'a RawBlock,
    training: &'a [RawAxis],
    mut visit: impl FnMut(Point<'a>),
) {
    let mut base = Point::default();
    let last = |axis: &'a RawAxis| axis.values.last().map(|given| Put { row: axis.row, given });
    give(&mut base, training.iter().filter_map(last));
    // A zip with an axis that has only bad values has no steps.
    let has_points = |one: &OfMethod<'_>| one.others.iter().all(|dimension| !dimension.steps.is_empty());
    for OfMethod { step, others } in per_method(block).into_iter().filter(has_points) {
        let mut start = base.clone();
        give(&mut start, step.into_iter());
        let mut digits = vec![0; others.len()];
        loop {
            let mut point = start.clone();
            for (dimension, digit) in others.iter().zip(&digits) {
                give(&mut point, dimension.steps[*digit].iter().copied());
            }
            visit(point);
            if !advance(&mut digits, &others) {
                break;
            }
        }
    }
}

fn give<'a>(point: &mut Point<'a>, values: impl Iterator<Item = Put<'a>>) {
    values.for_each(|Put { row, given }| point.give(row, given));
}

/// The next digits of the odometer; false after the last.
fn advance(digits: &mut [usize], dimensions: &[Dimension<'_>]) -> bool {
    for (digit, dimension) in digits.iter_mut().zip(dimensions).rev() {
        *digit += 1;
        if *digit < dimension.steps.len() {
            return true;
        }
        *digit = 0;
    }
    false
}

/// Each step of the method's dimension, with the others that apply.
fn per_method<'a>(block: &'a RawBlock) -> Vec<OfMethod<'a>> {
    let (first, rest): (Vec<_>, Vec<_>) =
        dimensions(block).into_iter().partition(|dimension| dimension.rows.contains(&METHOD));
    let Some(Dimension { steps, .. }) = first.into_iter().next() else { return Vec::new() };
    let with_others = |mut step: Step<'a>| {
        let method = step.iter().find_map(|put| put.given.method());
        let applies = |row: &usize| method.is_none_or(|method| AXES[*row].applies_to(method));
        step.retain(|put| applies(&put.row));
        let others = rest.iter().filter(|dimension| dimension.rows.iter().any(applies)).cloned().collect();
        OfMethod { step, others }
    };
    steps.into_iter().map(with_others).collect()
}

/// A block's dimensions in the file's order; the drawn points come last.
fn dimensions<'b>(block: &'b RawBlock) -> Vec<Dimension<'b>> {
    let all = groups(block).into_iter().filter(|group| group.iter().all(|axis| axis.tie().is_none()));
    let Some(drawn) = &block.drawn else { return all.map(|group| product(block, &group)).collect() };
    let repeating = all.filter(|group| group.iter().any(|axis| point::repeats(axis.row)));
    let mut dimensions: Vec<Dimension<'_>> = repeating.map(|group| product(block, &group)).collect();
    let put = |(row, given): &'b (usize, Given)| Put { row: *row, given };
    let steps = drawn.iter().map(|point| point.iter().map(put).collect()).collect();
    let rows = drawn.first().map(|point| point.iter().map(|(row, _)| *row).collect()).unwrap_or_default();
    dimensions.push(Dimension { rows, steps });
    dimensions
}

/// The dimensions of a block that repeat its configurations: the settings of each step.
pub(super) fn repeated(block: &RawBlock) -> Vec<Vec<Vec<(usize, Setting)>>> {
    let is_one = |group: &Vec<&RawAxis>| {
        group.iter().all(|axis| axis.tie().is_none()) && group.iter().any(|axis| point::repeats(axis.row))
    };
    let step = |step: Step<'_>| step.into_iter().map(|put| (put.row, put.given.setting.clone())).collect();
    let steps = |group: Vec<&RawAxis>| product(block, &group).steps.into_iter().map(step).collect();
    groups(block).into_iter().filter(is_one).map(steps).collect()
}

/// The axes of each dimension: one alone, or those of a zip. Lists that have only bad values are left out.
pub(super) fn groups(block: &RawBlock) -> Vec<Vec<&RawAxis>> {
    let mut groups = Vec::new();
    let mut zipped = HashSet::new();
    let has_values = |axis: &RawAxis| !axis.values.is_empty() || !matches!(axis.form, Form::Listed);
    for axis in &block.axes {
        if !zipped.insert(axis.row) || !has_values(axis) {
            continue;
        }
        let zip = block.zips.iter().find(|zip| zip.value.iter().any(|name| name.value == axis.name()));
        let group: Vec<&RawAxis> = match zip {
            None => vec![axis],
            Some(zip) => {
                let named = |member: &&RawAxis| zip.value.iter().any(|n| n.value == member.name());
                block.axes.iter().filter(named).filter(|member| has_values(member)).collect()
            }
        };
        zipped.extend(group.iter().map(|member| member.row));
        groups.push(group);
    }
    groups
}

/// The dimension of a group, with the axes that are multiples of one of it.
fn product<'b>(block: &'b RawBlock, group: &[&'b RawAxis]) -> Dimension<'b> {
    let length = group.iter().map(|member| member.values.len()).min().unwrap_or(0);
    let put = |at: usize| move |member: &&'b RawAxis| Put { row: member.row, given: &member.values[at] };
    let mut rows: Vec<usize> = group.iter().map(|member| member.row).collect();
    let mut steps: Vec<(usize, Step<'b>)> =
        (0..length).map(|at| (at, group.iter().map(put(at)).collect())).collect();
    for tied in &block.axes {
        let is_of_group = |tie: &Tie| group.iter().any(|member| member.name() == tie.times.value);
        if !tied.tie().is_some_and(is_of_group) {
            continue;
        }
        rows.push(tied.row);
        let with = |(at, step): (usize, Step<'b>)| {
            let multiples = tied.tied.get(at).map_or(&[][..], Vec::as_slice);
            let row = tied.row;
            multiples.iter().map(move |given| {
                (at, step.iter().copied().chain([Put { row, given }]).collect::<Step<'b>>())
            })
        };
        steps = steps.into_iter().flat_map(with).collect();
    }
    Dimension { rows, steps: steps.into_iter().map(|(_, step)| step).collect() }
}

/// Whether a point has one of the values of each of these axes.
pub(super) fn matches(axes: &[RawAxis], point: &Point<'_>) -> bool {
    axes.iter().all(|axis| axis.values.iter().any(|given| point.has(axis.row, &given.setting)))
}

/// The configurations of checked points, each once, in their order.
pub(super) fn configurations<'a>(
    points: &[Point<'a>],
    tasks: &'a BTreeMap<String, Arc<Task>>,
    models: &'a BTreeMap<String, ModelSpec>,
    select: &'a Select,
) -> Vec<Arc<Configuration>> {
    let templates = Templates::of(points.iter().map(Point::plain), tasks, models, select);
    let one = |point: &Point<'_>| templates.configuration(&point.plain());
    let all: Vec<Configuration> = points.par_iter().filter_map(one).collect();
    let mut seen = HashSet::with_capacity(all.len());
    all.into_iter().filter(|configuration| seen.insert(configuration.id)).map(Arc::new).collect()
}
