//! Owns the convergence chart: training loss and the validation metric over optimiser steps. Pure.

use crate::report::curves::Curve;
use crate::report::findings::TaskFindings;
use crate::report::long::{Part, name};
use crate::report::warnings;

use super::Chart;
use super::lines::{Line, Panel, ended, names, page, steps, unnamed};
use super::scene::Point;

const LOSS: (f64, f64) = (64.0, 414.0);
const VALIDATION: (f64, f64) = (484.0, 834.0);
const LABELS: f64 = 864.0;

/// The chart; `None` while there is no measurement.
pub(super) fn chart(tasks: &[TaskFindings<'_>], lines: &[Line<'_>]) -> Option<Chart> {
    let task = tasks.first().filter(|_| !lines.is_empty())?;
    let measure = task.measure;
    let loss: Vec<Option<Curve>> = lines.iter().map(|line| line.smoothed(name::LOSS)).collect();
    let validation: Vec<Option<Curve>> =
        lines.iter().map(|line| line.curve(&Part::Validation.of(measure.metric)).cloned()).collect();
    let steps = steps(&[&loss, &validation]);
    let mut scene = page(lines, LABELS);
    let title = format!("Training loss ({})", task.task.objective.words().loss_unit);
    Panel { pixels: LOSS, title: &title, factor: 1.0, steps, levels: &[] }.draw(&mut scene, lines, &loss);
    let title = format!("Validation {}", measure.heading());
    let (always, levels) = levels(tasks).unzip();
    let levels: Vec<(String, f64)> = levels.into_iter().collect();
    let panel = Panel { pixels: VALIDATION, title: &title, factor: measure.factor(), steps, levels: &levels };
    let frame = panel.draw(&mut scene, lines, &validation);
    let end = |curve: &Option<Curve>| -> Option<Point> {
        let curve = curve.as_ref()?;
        Some(frame.at(*curve.steps.last()?, curve.mean.last()? * measure.factor()))
    };
    let ends: Vec<Option<Point>> = validation.iter().map(end).collect();
    names(&mut scene, lines, &ends, LABELS);
    Some(Chart {
        name: "convergence".to_owned(),
        title: "Convergence".to_owned(),
        task: None,
        caption: caption(measure.title(), lines, always),
        scene,
    })
}

/// The name of a single task's best constant answer, and its level with that name; the levels of several tasks
/// would overlap.
fn levels(tasks: &[TaskFindings<'_>]) -> Option<(&'static str, (String, f64))> {
    let [task] = tasks else { return None };
    let baseline = task.baseline.as_ref()?;
    let spread = baseline.validation(task.measure.metric)?;
    Some((baseline.label, (warnings::labelled(baseline, task.measure, &spread), spread.mean)))
}

fn caption(metric: &str, lines: &[Line<'_>], always: Option<&str>) -> String {
    let which = if unnamed(lines) > 0 {
        " Coloured: the best configuration of each method; grey: the others."
    } else {
        ""
    };
    let validation = if metric == "loss" { "validation loss" } else { metric };
    format!(
        "Training loss and validation {metric} by optimiser step. {}Loss is smoothed by a moving average over a \
         twentieth of training, {validation} is as measured.{which}{}{}",
        means(lines),
        ended(lines),
        always.map_or_else(String::new, |answer| format!(" Dashed: always answering the {answer}.")),
    )
}

/// What lines and bands mean, where they combine several trials.
pub(super) fn means(lines: &[Line<'_>]) -> &'static str {
    let seeds = lines.iter().any(|line| line.entry.stability.planned > 1);
    let folds = lines.iter().any(|line| line.entry.summary.planned > line.entry.stability.planned);
    match (folds, seeds) {
        (false, false) => "",
        (true, false) => "Lines are means over folds, bands reach from the lowest to the highest fold. ",
        (false, true) => "Lines are means over seeds, bands reach from the lowest to the highest seed. ",
        (true, true) => "Lines are means over folds and seeds, bands reach from the lowest to the highest. ",
    }
}
