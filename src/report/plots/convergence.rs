//! Owns the convergence chart: training loss and validation accuracy over optimiser steps. Pure.

use crate::report::curves::Curve;
use crate::report::findings::{Entry, Findings};
use crate::report::summary::trials_of;
use crate::run::record::TrialRecord;

use super::place::spread;
use super::scale::{Frame, Scale};
use super::scene::{Anchor, Font, Form, GREY, PALETTE, Point, Rgb, Scene, Stroke, TEXT_PX, text_width};
use super::{Chart, method_color};

/// With more configurations than this, the best of each method alone is coloured.
const MOST_COLOURED: usize = 12;
/// With more coloured lines than this, the best of each method alone has a band.
const MOST_BANDS: usize = 6;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 364.0;
const HEIGHT: f64 = 420.0;
const LOSS: (f64, f64) = (64.0, 414.0);
const ACCURACY: (f64, f64) = (484.0, 834.0);
const LABELS: f64 = 864.0;
/// Grey dark enough to read.
const NOTE: Rgb = Rgb(110, 110, 110);
const LABEL_GAP: f64 = 1.4 * TEXT_PX;

/// A configuration's curves and how they are drawn.
struct Line<'a> {
    entry: &'a Entry,
    loss: Option<Curve>,
    accuracy: Option<Curve>,
    stroke: Stroke,
    band: bool,
    labelled: bool,
}

/// The chart; `None` while there is no measurement.
pub(super) fn chart(findings: &Findings<'_>) -> Option<Chart> {
    let lines = lines(findings);
    if lines.is_empty() {
        return None;
    }
    let labelled: Vec<&Line<'_>> = lines.iter().filter(|line| line.labelled).collect();
    let rest = lines.len() - labelled.len();
    let note = if rest > 0 { format!("grey: {rest} other configurations") } else { String::new() };
    let names = labelled.iter().map(|line| line.entry.label.as_str()).chain([note.as_str()]);
    let widest = names.map(|name| text_width(name, TEXT_PX)).fold(0.0, f64::max);
    let mut scene = Scene::new((LABELS + 24.0 + widest + 12.0).ceil(), HEIGHT);
    let last = lines.iter().flat_map(|l| [&l.loss, &l.accuracy]).flatten().filter_map(|c| c.steps.last());
    let steps = (0.0, last.copied().fold(1.0, f64::max));
    let loss: Vec<_> = lines.iter().map(|line| (line, line.loss.as_ref(), 1.0)).collect();
    panel(&mut scene, &loss, (steps, LOSS, "Training loss (nats per row)"));
    let accuracy: Vec<_> = lines.iter().map(|line| (line, line.accuracy.as_ref(), 100.0)).collect();
    let frame = panel(&mut scene, &accuracy, (steps, ACCURACY, "Validation accuracy (%)"));
    end_labels(&mut scene, &labelled, &frame);
    if rest > 0 {
        scene.text((LABELS, BOTTOM + 14.0), note, Font { color: NOTE, ..Font::plain(Anchor::Start) });
    }
    Some(Chart { name: "convergence", title: "Convergence", caption: caption(rest), scene })
}

fn caption(rest: usize) -> String {
    let which =
        if rest > 0 { " Coloured: the best configuration of each method; grey: the others." } else { "" };
    format!(
        "Training loss and validation accuracy by optimiser step. Lines are means over folds, bands reach \
         from the lowest to the highest fold. Loss is smoothed by a moving average over a twentieth of \
         training, accuracy is as measured.{which}"
    )
}

fn lines<'a>(findings: &'a Findings<'_>) -> Vec<Line<'a>> {
    let best: Vec<&str> = findings.best_per_method().iter().map(|entry| entry.label.as_str()).collect();
    let crowded = findings.entries.len() > MOST_COLOURED;
    let mut others = others();
    let mut lines: Vec<Line<'_>> = findings
        .entries
        .iter()
        .filter_map(|entry| {
            let trials: Vec<&TrialRecord> = trials_of(findings.record, entry.summary.configuration.id);
            let is_best = best.contains(&entry.label.as_str());
            let labelled = is_best || !crowded;
            let loss = Curve::training_loss(&trials).map(|c| c.smoothed((c.steps.len() / 20).max(1)));
            let accuracy = Curve::validation_accuracy(&trials);
            if loss.is_none() && accuracy.is_none() {
                return None;
            }
            let stroke = if is_best {
                Stroke::solid(method_color(&entry.summary.configuration.method), 2.4)
            } else if crowded {
                Stroke::solid(GREY, 0.8)
            } else {
                others.next()?
            };
            let band = is_best || findings.entries.len() <= MOST_BANDS;
            Some(Line { entry, loss, accuracy, stroke, band, labelled })
        })
        .collect();
    // The best are drawn last, over the others.
    lines.reverse();
    lines.sort_by_key(|line| (line.labelled, line.band));
    lines
}

/// Strokes for lines that are not the best of their method: first the colours that no method has,
/// then all of them dashed.
fn others() -> impl Iterator<Item = Stroke> {
    let solid = PALETTE[3..].iter().map(|&color| Stroke::solid(color, 1.5));
    solid.chain(PALETTE.iter().map(|&color| Stroke { color, width: 1.5, dashed: true })).cycle()
}

/// Draws one panel. The curves come with the factor from their unit to the axis'.
fn panel<'a>(
    scene: &mut Scene,
    curves: &[(&Line<'_>, Option<&Curve>, f64)],
    (steps, pixels, y_title): ((f64, f64), (f64, f64), &'a str),
) -> Frame<'a> {
    let drawn = || curves.iter().filter_map(|(line, curve, factor)| Some((*line, (*curve)?, *factor)));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (line, curve, factor) in drawn() {
        let (below, above) = if line.band { (&curve.low, &curve.high) } else { (&curve.mean, &curve.mean) };
        low = below.iter().map(|v| v * factor).fold(low, f64::min);
        high = above.iter().map(|v| v * factor).fold(high, f64::max);
    }
    let range =
        if low <= high { (low - 0.04 * (high - low), high + 0.04 * (high - low)) } else { (0.0, 1.0) };
    let frame = Frame {
        x: Scale::linear(steps, pixels),
        y: Scale::linear(range, (BOTTOM, TOP)),
        x_title: "Optimiser step",
        y_title,
    };
    frame.draw(scene);
    let points = |curve: &Curve, values: &[f64], factor: f64| -> Vec<Point> {
        curve.steps.iter().zip(values).map(|(step, value)| frame.at(*step, value * factor)).collect()
    };
    for (line, curve, factor) in drawn().filter(|(line, curve, _)| line.band && curve.folds > 1) {
        let mut outline = points(curve, &curve.low, factor);
        outline.extend(points(curve, &curve.high, factor).into_iter().rev());
        scene.area(outline, line.stroke.color, 0.15);
    }
    for (line, curve, factor) in drawn() {
        let points = points(curve, &curve.mean, factor);
        match points.as_slice() {
            [only] => scene.mark(*only, Form::Circle, 4.0, line.stroke.color),
            points => scene.line(points, line.stroke),
        }
    }
    frame
}

/// Names each line beside its end in the accuracy panel, with a thin line to it.
fn end_labels(scene: &mut Scene, lines: &[&Line<'_>], frame: &Frame<'_>) {
    let end = |line: &Line<'_>| {
        let curve = line.accuracy.as_ref()?;
        Some(frame.at(*curve.steps.last()?, curve.mean.last()? * 100.0))
    };
    let ends: Vec<Option<Point>> = lines.iter().map(|line| end(line)).collect();
    let wanted: Vec<f64> = ends.iter().map(|end| end.map_or(BOTTOM, |(_, y)| y)).collect();
    let heights = spread(&wanted, LABEL_GAP, (TOP, BOTTOM));
    for ((line, end), y) in lines.iter().zip(ends).zip(heights) {
        if let Some(end) = end {
            let leader = Stroke::solid(line.stroke.color, 0.6);
            scene.line(&[(end.0 + 2.0, end.1), (LABELS - 4.0, y)], leader);
        }
        scene.line(&[(LABELS, y), (LABELS + 20.0, y)], line.stroke);
        let font = Font { bold: line.entry.selected, ..Font::plain(Anchor::Start) };
        scene.text((LABELS + 26.0, y), line.entry.label.clone(), font);
    }
}
