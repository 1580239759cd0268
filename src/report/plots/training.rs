//! Owns the chart of how training ran: gradient norm, learning rate and speed over optimiser steps.
//! Pure.

use crate::report::curves::Curve;
use crate::report::long::name;

use super::Chart;
use super::convergence::means;
use super::lines::{Line, Panel, ended, names, page, steps, unnamed};

/// Width of a panel, and from the left of one to the left of the next.
const PANEL: (f64, f64) = (230.0, 300.0);
const LEFT: f64 = 64.0;
const LABELS: f64 = LEFT + 2.0 * PANEL.1 + PANEL.0 + 24.0;

/// Each panel's title, and the number it shows.
const PANELS: [(&str, &str); 3] = [
    ("Gradient norm", name::GRAD_NORM),
    ("Learning rate", name::LEARNING_RATE),
    ("Tokens per second", name::TOKENS_PER_S),
];

/// The chart; `None` while there is no measurement.
pub(super) fn chart(lines: &[Line<'_>]) -> Option<Chart> {
    let curves = PANELS
        .map(|(_, curve)| -> Vec<Option<Curve>> { lines.iter().map(|line| line.smoothed(curve)).collect() });
    if curves.iter().flatten().all(Option::is_none) {
        return None;
    }
    let steps = steps(&[&curves[0], &curves[1], &curves[2]]);
    let mut scene = page(lines, LABELS);
    let mut left = LEFT;
    for ((title, _), curves) in PANELS.into_iter().zip(&curves) {
        let panel = Panel { pixels: (left, left + PANEL.0), title, factor: 1.0, steps, levels: &[] };
        panel.draw(&mut scene, lines, curves);
        left += PANEL.1;
    }
    names(&mut scene, lines, &vec![None; lines.len()], LABELS);
    let which = if unnamed(lines) > 0 { " Grey: other configurations." } else { "" };
    let caption = format!(
        "Gradient norm before clipping, learning rate, and training tokens per second (padding not counted) by \
         optimiser step, each smoothed by a moving average over a twentieth of training. {}{}{}",
        means(lines).trim_end(),
        which,
        ended(lines),
    );
    Some(Chart {
        name: "training".to_owned(),
        title: "Training".to_owned(),
        task: None,
        caption: caption.trim_end().to_owned(),
        scene,
    })
}
