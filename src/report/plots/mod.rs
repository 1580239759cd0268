//! Owns the charts: each a pure function from findings to a scene, drawn as SVG and as PNG by the
//! same code.

mod convergence;
mod paint;
mod parameters;
pub mod pareto;
mod place;
mod rank_alpha;
mod scale;
pub mod scene;

use std::path::Path;

pub use paint::PaintError;
pub use scene::Scene;

use crate::trial::Method;

use super::findings::Findings;
use scene::{PALETTE, Rgb};

/// Names of all charts that a report can have.
pub const NAMES: [&str; 3] = ["convergence", "accuracy-vs-parameters", "rank-alpha"];

/// A chart with what a reader needs to know to read it.
pub struct Chart {
    /// File name without its ending; one of [`NAMES`].
    pub name: &'static str,
    /// Title.
    pub title: &'static str,
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

/// The charts that there is something to show in.
#[must_use]
pub fn charts(findings: &Findings<'_>) -> Vec<Chart> {
    [convergence::chart(findings), parameters::chart(findings), rank_alpha::chart(findings)]
        .into_iter()
        .flatten()
        .collect()
}

/// The colour of a method, the same in all charts.
fn method_color(method: &Method) -> Rgb {
    match method {
        Method::Lora(_) => PALETTE[0],
        Method::Full => PALETTE[1],
        Method::Scratch => PALETTE[2],
        Method::Base => PALETTE[3],
    }
}
