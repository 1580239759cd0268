//! Owns the charts: each a pure function from findings to a scene, drawn as SVG and as PNG by the same code.
//! Computes no statistic.

mod convergence;
mod lines;
mod paint;
mod parameters;
pub mod pareto;
mod place;
mod rank_alpha;
mod scale;
pub mod scene;
mod training;

use std::path::Path;

pub use paint::PaintError;
pub use scene::Scene;

use crate::values::{Method, Metric};

use super::findings::{Findings, TaskFindings};
use super::measure::Measure;
use scene::{PALETTE, Rgb};

/// Prefixes of chart names; where a task has its own charts, the task's name follows.
const NAMES: [&str; 3] = ["convergence", "training", "rank-alpha"];

/// The name of the chart of a metric against trainable parameters.
fn against_parameters(metric: Metric) -> String {
    format!("{}-vs-parameters", metric.name().replace('_', "-"))
}

/// Whether a chart can have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let of_metrics = Metric::ALL.iter().map(|metric| against_parameters(*metric));
    let mut known = NAMES.iter().map(ToString::to_string).chain(of_metrics);
    known.any(|known| name.strip_prefix(&known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

/// A chart with what a reader needs to know to read it.
pub struct Chart {
    /// File name without its extension; see [`is_name`].
    pub name: String,
    /// Title.
    pub title: String,
    /// Its task, where each of several tasks has its own charts.
    pub task: Option<String>,
    /// What is shown, and how it was computed.
    pub caption: String,
    /// What to draw.
    pub scene: Scene,
}

impl Chart {
    /// The chart as SVG text.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn svg(&self) -> Result<String, PaintError> {
        paint::svg(&self.scene)
    }

    /// Writes the chart as a PNG file; the path must end in `.png`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<(), PaintError> {
        paint::png(&self.scene, path)
    }
}

/// The charts with data to show: of all tasks together where they are side by side, else of one task after the
/// other.
#[must_use]
pub fn charts(findings: &Findings<'_>) -> Vec<Chart> {
    if findings.are_side_by_side() {
        let mut charts = courses(&findings.tasks);
        if let [task] = &findings.tasks[..] {
            charts.extend(comparisons(task));
        }
        return charts;
    }
    let mut charts = Vec::new();
    for (task, nth) in findings.tasks.iter().zip(1..) {
        let own = courses(std::slice::from_ref(task)).into_iter().chain(comparisons(task));
        charts.extend(own.map(|chart| of_task(chart, task, nth)));
    }
    charts
}

/// Charts of the course of training.
fn courses(tasks: &[TaskFindings<'_>]) -> Vec<Chart> {
    let lines = lines::lines(tasks);
    let mut charts: Vec<Chart> = convergence::chart(tasks, &lines).into_iter().collect();
    if tasks.first().is_some_and(|task| task.task.objective.by_token()) {
        charts.extend(training::chart(&lines));
    }
    charts
}

/// Charts that compare one task's configurations.
fn comparisons(task: &TaskFindings<'_>) -> impl Iterator<Item = Chart> {
    // Of several losses that follow from one another, one is enough.
    let told = |measure: &Measure| *measure == task.measure || measure.metric.higher_is_better();
    let measures = task.shown().into_iter().filter(told);
    measures.map(|measure| parameters::chart(task, measure)).chain([rank_alpha::chart(task)]).flatten()
}

/// A chart under its task's name. The number separates tasks whose names would give the same file name.
fn of_task(chart: Chart, task: &TaskFindings<'_>, nth: usize) -> Chart {
    let name = &task.task.name;
    let plain = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '-' };
    let file: String = name.chars().map(plain).collect();
    Chart { name: format!("{}-{nth}-{file}", chart.name), task: Some(name.clone()), ..chart }
}

/// The colour of a method, the same in all charts.
fn method_color(method: &Method) -> Rgb {
    match method {
        Method::Lora(_) => PALETTE[0],
        Method::Dora(_) => PALETTE[6],
        Method::Full => PALETTE[1],
        Method::Scratch => PALETTE[2],
        Method::Base => PALETTE[3],
    }
}
