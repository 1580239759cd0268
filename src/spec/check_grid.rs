//! Owns the judgement of `grid`: names, axes, zips and exclusions of each block, the size of the
//! whole, and what models and methods make of each other at its points. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::arch::ModelSpec;
use crate::quantity;

use super::error::{Problem, Report, quoted};
use super::grid::{self, MAX_POINTS};
use super::raw::{RawAxis, RawBlock, RawModel, RawSweep};
use super::read::missing;
use super::setting::{Axis, MethodName, Point, Setting};
use super::source::{At, Place};

/// The points of the grid that are left after exclusions and `--only`, in the file's order. They
/// mean something only where the report has no error.
pub(super) fn check<'a>(
    raw: &'a RawSweep,
    models: &BTreeMap<String, ModelSpec>,
    only: &[RawAxis],
    report: &mut Report,
) -> Vec<Point<'a>> {
    for block in &raw.grid {
        model_names(block, raw, report);
        inapplicable(block, report);
        super::check_zip::check(block, report);
        learning_rate(block, raw, report);
    }
    unused_models(raw, report);
    let count = raw.grid.iter().map(grid::count).fold(0, u64::saturating_add);
    if count > MAX_POINTS {
        let points = if count == u64::MAX { "more than 10^19".to_owned() } else { quantity::count(count) };
        let error = report.error(raw.grid_place, Problem::GridTooLarge { points });
        error
            .allowed(format!("up to {}", quantity::count(MAX_POINTS)))
            .hint("shorten the axes that matter least");
        return Vec::new();
    }
    let points = expand(raw, only, report);
    only_matches(raw, only, report);
    combinations(raw, &points, models, report);
    if points.is_empty() && count > 0 && !report.has_errors() {
        report.error(raw.grid_place, Problem::EmptyGrid("no point of the grid is left"));
    }
    vary_the_learning_rate(raw, &points, report);
    points
}

fn model_names(block: &RawBlock, raw: &RawSweep, report: &mut Report) {
    for model in values(block, Axis::Model).filter_map(|at| at.value.model()) {
        if !raw.models.iter().any(|known| known.name.value == model.value) {
            let known = raw.models.iter().map(|known| known.name.value.as_str());
            let error = report.error(model.place, Problem::UnknownModel(model.value.clone()));
            error.one_of(&model.value, known);
        }
    }
}

fn values(block: &RawBlock, axis: Axis) -> impl Iterator<Item = &At<Setting>> {
    block.axes.iter().filter(move |known| known.axis == axis).flat_map(|axis| &axis.values)
}

/// An axis that none of the block's methods has would silently do nothing.
fn inapplicable(block: &RawBlock, report: &mut Report) {
    let methods: Vec<MethodName> = values(block, Axis::Method).filter_map(|at| at.value.method()).collect();
    if methods.is_empty() {
        return;
    }
    for axis in &block.axes {
        if methods.iter().any(|method| axis.axis.applies_to(*method)) {
            continue;
        }
        let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        let problem = Problem::InapplicableAxis { axis: axis.axis.name(), methods: quoted(&names) };
        report.error(axis.place, problem).hint("remove it, or add `lora` to the block's methods");
    }
}

fn learning_rate(block: &RawBlock, raw: &RawSweep, report: &mut Report) {
    let has = |axes: &[RawAxis]| axes.iter().any(|axis| axis.axis == Axis::LearningRate);
    if !has(&block.axes) && !has(&raw.training) {
        missing("learning_rate", "a grid block", block.place, report)
            .hint("give it here or in `training`; LoRA wants about ten times that of full fine-tuning");
    }
}

fn unused_models(raw: &RawSweep, report: &mut Report) {
    let named: HashSet<&str> = raw
        .grid
        .iter()
        .flat_map(|block| values(block, Axis::Model))
        .filter_map(|at| Some(at.value.model()?.value.as_str()))
        .collect();
    // Without any model in the grid the missing keys are errors already.
    for name in raw.models.iter().map(|model| &model.name).filter(|_| !named.is_empty()) {
        if !named.contains(name.value.as_str()) {
            report.warn(name.place, format!("model `{}` is not used", name.value));
        }
    }
}

/// Expands every block and leaves out what the exclusions and `--only` say.
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
        for (exclusion, _) in block.exclusions.iter().zip(matched).filter(|(_, matched)| !matched) {
            report.warn(exclusion.place, "this exclusion matches no point of its block".to_owned());
        }
    }
    points
}

/// A value of `--only` that the grid does not have is a slip.
fn only_matches(raw: &RawSweep, only: &[RawAxis], report: &mut Report) {
    for axis in only {
        let written: Vec<Place> = raw
            .grid
            .iter()
            .flat_map(|block| values(block, axis.axis))
            .chain(
                raw.training.iter().filter(|known| known.axis == axis.axis).flat_map(|known| &known.values),
            )
            .map(|at| at.place)
            .collect();
        let mut there = vec![false; axis.values.len()];
        for block in &raw.grid {
            grid::for_each_point(block, &raw.training, |point| {
                for (value, there) in axis.values.iter().zip(&mut there) {
                    *there |= value.value.holds_at(&point);
                }
            });
        }
        for (value, _) in axis.values.iter().zip(there).filter(|(_, there)| !there) {
            let mut known: Vec<String> = Vec::new();
            for place in &written {
                let text = report.sources.slice(*place).to_owned();
                if !known.contains(&text) {
                    known.push(text);
                }
            }
            let message = format!("no point of the grid has this `{}`", axis.axis.name());
            let error = report.error(value.place, Problem::BadOverride(message));
            if !known.is_empty() {
                error.allowed(quoted(&known));
            }
        }
    }
}

/// What a method needs of its model, for each pair that some point has.
fn combinations(
    raw: &RawSweep,
    points: &[Point<'_>],
    models: &BTreeMap<String, ModelSpec>,
    report: &mut Report,
) {
    let mut seen = HashSet::new();
    for point in points {
        let (Some(method), Some(model)) = (point.method, point.model) else { continue };
        let targets = point.targets.and_then(|targets| targets.first()).map(|at| at.place);
        if !seen.insert((method, model.place, targets)) {
            continue;
        }
        let random = |known: &RawModel| {
            known.name.value == model.value && known.keys.iter().any(|key| key.value == "architecture")
        };
        if raw.models.iter().any(random) && method != MethodName::Scratch {
            let problem = Problem::NeedsWeights { method: method.name(), model: model.value.clone() };
            report.error(model.place, problem).hint("use `method: scratch`, or a model with `from`");
        }
        if let (MethodName::Lora, Some(spec)) = (method, models.get(&model.value)) {
            targets_exist(point, spec, report);
        }
    }
}

fn targets_exist(point: &Point<'_>, spec: &ModelSpec, report: &mut Report) {
    for target in point.targets.unwrap_or_default() {
        let found = spec.architecture.lora_targets(std::slice::from_ref(&target.value));
        if found.is_empty() {
            let problem = Problem::NoSuchTarget { target: target.value.clone(), model: spec.name.clone() };
            let modules = modules(spec);
            report.error(target.place, problem).one_of(&target.value, modules.iter().map(String::as_str));
        }
    }
}

/// The last parts of the names of all modules that can have an adapter.
fn modules(spec: &ModelSpec) -> Vec<String> {
    let tensors = spec.architecture.tensors();
    let names: Vec<String> =
        tensors.into_iter().filter_map(|t| t.name.strip_suffix(".weight").map(str::to_owned)).collect();
    let mut last: Vec<String> = spec
        .architecture
        .lora_targets(&names)
        .iter()
        .filter_map(|module| module.name.rsplit('.').next().map(str::to_owned))
        .collect();
    last.sort();
    last.dedup();
    last
}

/// With one learning rate, alpha is mostly a multiplier of it, so that a comparison of alphas or
/// ranks is a comparison of learning rates.
fn vary_the_learning_rate(raw: &RawSweep, points: &[Point<'_>], report: &mut Report) {
    let lora = || points.iter().filter(|point| point.method == Some(MethodName::Lora));
    let distinct = |value: fn(&Point<'_>) -> u64| lora().map(value).collect::<HashSet<_>>().len();
    let ranks = distinct(|point| point.rank as u64);
    let alphas = distinct(|point| point.alpha.to_bits());
    let rates = distinct(|point| point.learning_rate.unwrap_or_default().to_bits());
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
