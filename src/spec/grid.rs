//! Owns the expansion of the grid: blocks to points, points to configurations. Pure.
//!
//! A block is the product of its dimensions; a dimension is an axis, or the axes of a zip. The
//! method's dimension comes first, and then axes that do not apply to the method are left out, so
//! that they never multiply it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::families::ModelSpec;
use crate::sweep::Family;
use crate::tasks::Task;
use crate::values::{Configuration, Keep, Lora, Method, Metric, Training};

use super::raw::{RawAxis, RawBlock};
use super::setting::{Axis, MethodName, Point, Setting};
use super::source::At;

/// Most points that a sweep may have, before equal ones are taken together.
pub(super) const MAX_POINTS: u64 = 1_000_000;

/// Settings that change together, for each step of a dimension.
type Dimension<'a> = Vec<Vec<&'a At<Setting>>>;

/// Number of points of a block, without its exclusions; the largest number where it is beyond that.
pub(super) fn count(block: &RawBlock) -> u64 {
    let product = |dimensions: &[Dimension<'_>]| {
        dimensions.iter().fold(1_u64, |product, dimension| product.saturating_mul(dimension.len() as u64))
    };
    per_method(block).iter().map(|(_, dimensions)| product(dimensions)).fold(0, u64::saturating_add)
}

/// Calls `visit` with every point of a block: its method's dimension outermost, then the axes in
/// the file's order, the last one fastest. `training` gives what the block does not.
pub(super) fn for_each_point<'a>(
    block: &'a RawBlock,
    training: &'a [RawAxis],
    mut visit: impl FnMut(Point<'a>),
) {
    let mut base = Point::default();
    training.iter().flat_map(|axis| &axis.values).for_each(|at| at.value.apply(&mut base));
    // A zip with an axis whose values were all bad has no steps.
    let has_points =
        |(_, dimensions): &(_, Vec<Dimension<'_>>)| dimensions.iter().all(|steps| !steps.is_empty());
    for (first, dimensions) in per_method(block).into_iter().filter(has_points) {
        let mut start = base.clone();
        first.iter().for_each(|at| at.value.apply(&mut start));
        let mut digits = vec![0; dimensions.len()];
        loop {
            let mut point = start.clone();
            for (dimension, digit) in dimensions.iter().zip(&digits) {
                dimension[*digit].iter().for_each(|at| at.value.apply(&mut point));
            }
            visit(point);
            if !advance(&mut digits, &dimensions) {
                break;
            }
        }
    }
}

/// The next digits of the odometer; false after the last.
fn advance(digits: &mut [usize], dimensions: &[Dimension<'_>]) -> bool {
    for (digit, dimension) in digits.iter_mut().zip(dimensions).rev() {
        *digit += 1;
        if *digit < dimension.len() {
            return true;
        }
        *digit = 0;
    }
    false
}

/// For each step of the method's dimension: its settings, and the other dimensions that apply.
fn per_method<'a>(block: &'a RawBlock) -> Vec<(Vec<&'a At<Setting>>, Vec<Dimension<'a>>)> {
    let (first, rest): (Vec<_>, Vec<_>) =
        dimensions(block).into_iter().partition(|(axes, _)| axes.contains(&Axis::Method));
    let Some((_, steps)) = first.into_iter().next() else { return Vec::new() };
    let with_others = |step: Vec<&'a At<Setting>>| {
        let method = step.iter().find_map(|at| at.value.method());
        let applies = |axis: &Axis| method.is_none_or(|method| axis.applies_to(method));
        let applicable = rest.iter().filter(|(axes, _)| axes.iter().any(applies));
        (step, applicable.map(|(_, dimension)| dimension.clone()).collect())
    };
    steps.into_iter().map(with_others).collect()
}

/// A block's dimensions with their axes, in the file's order. Values that were bad are not there.
fn dimensions(block: &RawBlock) -> Vec<(Vec<Axis>, Dimension<'_>)> {
    let mut dimensions = Vec::new();
    let mut zipped = HashSet::new();
    for axis in &block.axes {
        if !zipped.insert(axis.axis) || axis.values.is_empty() {
            continue;
        }
        let zip = block.zips.iter().find(|zip| zip.value.iter().any(|name| name.value == axis.axis.name()));
        let group: Vec<&RawAxis> = match zip {
            None => vec![axis],
            Some(zip) => {
                let named = |member: &&RawAxis| zip.value.iter().any(|n| n.value == member.axis.name());
                block.axes.iter().filter(named).filter(|member| !member.values.is_empty()).collect()
            }
        };
        zipped.extend(group.iter().map(|member| member.axis));
        let length = group.iter().map(|member| member.values.len()).min().unwrap_or(0);
        let step = |index: usize| group.iter().map(|member| &member.values[index]).collect();
        dimensions.push((group.iter().map(|member| member.axis).collect(), (0..length).map(step).collect()));
    }
    dimensions
}

/// Whether a point has one of the values of each of these axes.
pub(super) fn matches(axes: &[RawAxis], point: &Point<'_>) -> bool {
    axes.iter().all(|axis| axis.values.iter().any(|at| at.value.holds_at(point)))
}

/// The configurations of points that were checked, each once, in their order.
pub(super) fn configurations(
    points: &[Point<'_>],
    tasks: &BTreeMap<String, Arc<Task>>,
    models: &BTreeMap<String, ModelSpec>,
    select: Option<Metric>,
) -> Vec<Arc<Configuration>> {
    let families = Families::of(points, tasks, models);
    let one = |point: &Point<'_>| configuration(point, &families, (tasks, models), select);
    let all: Vec<Configuration> = points.par_iter().filter_map(one).collect();
    let mut seen = HashSet::with_capacity(all.len());
    all.into_iter().filter(|configuration| seen.insert(configuration.id)).map(Arc::new).collect()
}

/// Families by the names of task and model, and by whether they start from scratch.
struct Families<'a>(HashMap<(&'a str, &'a str, bool), Family>);

impl<'a> Families<'a> {
    fn of(
        points: &[Point<'a>],
        tasks: &BTreeMap<String, Arc<Task>>,
        models: &BTreeMap<String, ModelSpec>,
    ) -> Self {
        let names: HashSet<_> = points.iter().filter_map(family).collect();
        let family = |name: (&'a str, &'a str, bool)| {
            Some((name, Family::of(tasks.get(name.0)?, models.get(name.1)?, name.2)))
        };
        Self(names.into_iter().filter_map(family).collect())
    }
}

fn family<'a>(point: &Point<'a>) -> Option<(&'a str, &'a str, bool)> {
    Some((&point.task?.value, &point.model?.value, point.method? == MethodName::Scratch))
}

fn configuration(
    point: &Point<'_>,
    families: &Families<'_>,
    (tasks, models): (&BTreeMap<String, Arc<Task>>, &BTreeMap<String, ModelSpec>),
    select: Option<Metric>,
) -> Option<Configuration> {
    let (task, model) = (tasks.get(&point.task?.value)?, models.get(&point.model?.value)?);
    let family = families.0.get(&family(point)?)?;
    let method = match point.method? {
        MethodName::Full => Method::Full,
        MethodName::Scratch => Method::Scratch,
        MethodName::Base => {
            return Some(family.configuration(Method::Base, idle(&point.training)));
        }
        MethodName::Lora => Method::Lora(Lora {
            rank: point.rank,
            alpha: point.alpha,
            dropout: point.dropout,
            targets: targets(point, model),
            rslora: point.rslora,
            modules_to_save: modules_to_save(point, task, model),
        }),
    };
    let keep_by = match point.training.keep {
        Keep::Best => select,
        Keep::Last => None,
    };
    let training = Training { learning_rate: point.learning_rate?, keep_by, ..point.training.clone() };
    Some(family.configuration(method, training))
}

/// The settings of a model that does not train: what would change nothing is the same for all.
fn idle(training: &Training) -> Training {
    let Training { batch_size, seed, precision, .. } = *training;
    Training { learning_rate: 0.0, epochs: 0.0, batch_size, seed, precision, ..Point::default().training }
}

/// The modules that get an adapter.
fn targets(point: &Point<'_>, model: &ModelSpec) -> Vec<String> {
    match point.targets {
        Some(targets) => in_one_order(targets.iter().map(|target| target.value.clone())),
        None => in_one_order(model.architecture.default_lora_targets().iter().map(ToString::to_string)),
    }
}

/// The modules that train beside the adapters; a head that has no tensors is none. Where the sweep does
/// not say, those that the weights lack train too: what is drawn at random should learn.
fn modules_to_save(point: &Point<'_>, task: &Task, model: &ModelSpec) -> Vec<String> {
    let no_head = model.architecture.head_tensors(task.objective.head()).is_empty();
    let fresh = model.parts.fresh.iter().cloned();
    let head = || std::iter::once(Lora::HEAD.to_owned()).chain(fresh).collect();
    let modules = point.modules_to_save.map(|all| all.iter().map(|at| at.value.clone()).collect());
    let modules: Vec<String> = modules.unwrap_or_else(head);
    in_one_order(modules.into_iter().filter(|module| !(no_head && module == Lora::HEAD)))
}

/// Names in one order, each once: neither changes anything.
fn in_one_order(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}
