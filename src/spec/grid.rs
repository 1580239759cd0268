//! Owns the expansion of the grid: blocks to points, points to configurations. Pure.
//!
//! A block is the product of its dimensions; a dimension is an axis, or the axes of a zip. The
//! method's dimension comes first, and then axes that do not apply to the method are left out, so
//! that they never multiply it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::families::ModelSpec;
use crate::sweep::Template;
use crate::tasks::Task;
use crate::values::axes::AXES;
use crate::values::{Configuration, Keep, Lora, Method, MethodKind, Metric, Training};

use super::point::{Given, LEARNING_RATE, METHOD, MODULES_TO_SAVE, Point, TARGETS};
use super::raw::{RawAxis, RawBlock};

/// Most points that a sweep may have, before equal ones are taken together.
pub(super) const MAX_POINTS: u64 = 1_000_000;

/// Values that change together, each with its axis's row, for each step of a dimension.
type Dimension<'a> = Vec<Step<'a>>;
type Step<'a> = Vec<(usize, &'a Given)>;

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
    let last = |axis: &'a RawAxis| axis.values.last().map(|given| (axis.row, given));
    give(&mut base, training.iter().filter_map(last));
    // A zip with an axis whose values were all bad has no steps.
    let has_points =
        |(_, dimensions): &(_, Vec<Dimension<'_>>)| dimensions.iter().all(|steps| !steps.is_empty());
    for (first, dimensions) in per_method(block).into_iter().filter(has_points) {
        let mut start = base.clone();
        give(&mut start, first.iter().copied());
        let mut digits = vec![0; dimensions.len()];
        loop {
            let mut point = start.clone();
            for (dimension, digit) in dimensions.iter().zip(&digits) {
                give(&mut point, dimension[*digit].iter().copied());
            }
            visit(point);
            if !advance(&mut digits, &dimensions) {
                break;
            }
        }
    }
}

fn give<'a>(point: &mut Point<'a>, values: impl Iterator<Item = (usize, &'a Given)>) {
    values.for_each(|(row, given)| point.give(row, given));
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
fn per_method<'a>(block: &'a RawBlock) -> Vec<(Step<'a>, Vec<Dimension<'a>>)> {
    let (first, rest): (Vec<_>, Vec<_>) =
        dimensions(block).into_iter().partition(|(rows, _)| rows.contains(&METHOD));
    let Some((_, steps)) = first.into_iter().next() else { return Vec::new() };
    let with_others = |step: Step<'a>| {
        let method = step.iter().find_map(|(_, given)| given.method());
        let applies = |row: &usize| method.is_none_or(|method| AXES[*row].applies_to(method));
        let applicable = rest.iter().filter(|(rows, _)| rows.iter().any(applies));
        (step, applicable.map(|(_, dimension)| dimension.clone()).collect())
    };
    steps.into_iter().map(with_others).collect()
}

/// A block's dimensions with their axes' rows, in the file's order. Values that were bad are not there.
fn dimensions(block: &RawBlock) -> Vec<(Vec<usize>, Dimension<'_>)> {
    let mut dimensions = Vec::new();
    let mut zipped = HashSet::new();
    for axis in &block.axes {
        if !zipped.insert(axis.row) || axis.values.is_empty() {
            continue;
        }
        let zip = block.zips.iter().find(|zip| zip.value.iter().any(|name| name.value == axis.name()));
        let group: Vec<&RawAxis> = match zip {
            None => vec![axis],
            Some(zip) => {
                let named = |member: &&RawAxis| zip.value.iter().any(|n| n.value == member.name());
                block.axes.iter().filter(named).filter(|member| !member.values.is_empty()).collect()
            }
        };
        zipped.extend(group.iter().map(|member| member.row));
        let length = group.iter().map(|member| member.values.len()).min().unwrap_or(0);
        let step = |index: usize| group.iter().map(|member| (member.row, &member.values[index])).collect();
        dimensions.push((group.iter().map(|member| member.row).collect(), (0..length).map(step).collect()));
    }
    dimensions
}

/// Whether a point has one of the values of each of these axes.
pub(super) fn matches(axes: &[RawAxis], point: &Point<'_>) -> bool {
    axes.iter().all(|axis| axis.values.iter().any(|given| point.has(axis.row, &given.setting)))
}

/// The configurations of points that were checked, each once, in their order.
pub(super) fn configurations(
    points: &[Point<'_>],
    tasks: &BTreeMap<String, Arc<Task>>,
    models: &BTreeMap<String, ModelSpec>,
    select: Option<Metric>,
) -> Vec<Arc<Configuration>> {
    let templates = Templates::of(points, tasks, models);
    let one = |point: &Point<'_>| configuration(point, &templates, (tasks, models), select);
    let all: Vec<Configuration> = points.par_iter().filter_map(one).collect();
    let mut seen = HashSet::with_capacity(all.len());
    all.into_iter().filter(|configuration| seen.insert(configuration.id)).map(Arc::new).collect()
}

/// Templates by the names of task and model, and by whether they start from scratch.
struct Templates<'a>(HashMap<(&'a str, &'a str, bool), Template>);

impl<'a> Templates<'a> {
    fn of(
        points: &[Point<'a>],
        tasks: &BTreeMap<String, Arc<Task>>,
        models: &BTreeMap<String, ModelSpec>,
    ) -> Self {
        let names: HashSet<_> = points.iter().filter_map(template).collect();
        let template = |name: (&'a str, &'a str, bool)| {
            Some((name, Template::of(tasks.get(name.0)?, models.get(name.1)?, name.2)))
        };
        Self(names.into_iter().filter_map(template).collect())
    }
}

fn template<'a>(point: &Point<'a>) -> Option<(&'a str, &'a str, bool)> {
    Some((point.task()?.value, point.model()?.value, point.method()? == MethodKind::Scratch))
}

fn configuration(
    point: &Point<'_>,
    templates: &Templates<'_>,
    (tasks, models): (&BTreeMap<String, Arc<Task>>, &BTreeMap<String, ModelSpec>),
    select: Option<Metric>,
) -> Option<Configuration> {
    let (task, model) = (tasks.get(point.task()?.value)?, models.get(point.model()?.value)?);
    let template = templates.0.get(&template(point)?)?;
    let (mut method, mut training) = settings(point)?;
    if method != Method::Base {
        point.given(LEARNING_RATE)?;
    }
    match &mut method {
        Method::Lora(lora) => complete(lora, point, task, model),
        Method::Full | Method::Scratch => {}
        // What would change nothing is the same for all.
        Method::Base => (training.learning_rate, training.epochs) = (0.0, 0.0),
    }
    training.keep_by = match training.keep {
        Keep::Best => select,
        Keep::Last => None,
    };
    Some(template.configuration(method, training))
}

/// What a point sets of its method and of the training loop; `None` where it has no method.
pub(super) fn settings(point: &Point<'_>) -> Option<(Method, Training)> {
    let kind = point.method()?;
    let (mut method, mut training) = (Method::of(kind), Training::default());
    for (row, axis) in AXES.iter().enumerate().filter(|(_, axis)| axis.applies_to(kind)) {
        if let Some(given) = point.given(row) {
            axis.set(&mut method, &mut training, &given.setting)?;
        }
    }
    Some((method, training))
}

/// Where the sweep does not say, the architecture has its default targets, and what the weights lack
/// trains beside the head: what is drawn at random should learn. A head that has no tensors is none.
fn complete(lora: &mut Lora, point: &Point<'_>, task: &Task, model: &ModelSpec) {
    if point.given(TARGETS).is_none() {
        lora.targets = model.architecture.default_lora_targets().iter().map(ToString::to_string).collect();
    }
    if point.given(MODULES_TO_SAVE).is_none() {
        lora.modules_to_save.extend(model.parts.fresh.iter().cloned());
    }
    if model.architecture.head_tensors(task.objective.head()).is_empty() {
        lora.modules_to_save.retain(|module| module != Lora::HEAD);
    }
    lora.put_in_order();
}
