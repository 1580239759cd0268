//! Owns charts over optimiser steps: how each configuration is drawn, panels of curves, and the names next to
//! them. Pure.

use crate::report::curves::Curve;
use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;

use super::method_color;
use super::place::spread;
use super::scale::{Frame, Scale};
use super::scene::{Anchor, Font, Form, GREY, PALETTE, Point, Rgb, Scene, Stroke, TEXT_PX, text_width};

/// With more configurations than this, only the best of each method is coloured.
const MOST_COLOURED: usize = 12;
/// With more coloured lines than this, only the best of each method has a band.
const MOST_BANDS: usize = 6;
/// Top of all panels.
pub(super) const TOP: f64 = 44.0;
/// Bottom of all panels.
pub(super) const BOTTOM: f64 = 364.0;
const HEIGHT: f64 = 420.0;
/// Grey dark enough to read.
const NOTE: Rgb = Rgb(110, 110, 110);
const LABEL_GAP: f64 = 1.4 * TEXT_PX;

/// A configuration and how its curves are drawn.
pub(super) struct Line<'a> {
    pub(super) entry: &'a Entry,
    pub(super) name: String,
    pub(super) stroke: Stroke,
    pub(super) band: bool,
    pub(super) labelled: bool,
}

impl Line<'_> {
    /// The curve of a number in the metric lines.
    pub(super) fn curve(&self, name: &str) -> Option<&Curve> {
        self.entry.course.curves.get(name)
    }

    /// A training curve, smoothed by a moving average over a twentieth of training: of whole training, where it was
    /// stopped early.
    pub(super) fn smoothed(&self, name: &str) -> Option<Curve> {
        let curve = self.curve(name)?;
        let steps = self.entry.left.as_ref().and_then(|left| Some((left.steps?, left.step.max(1))));
        let (all, done) = steps.unwrap_or((1, 1));
        let whole = curve.steps.len() * usize::try_from(all.div_ceil(done)).unwrap_or(1);
        Some(curve.smoothed((whole / 20).max(1)))
    }

    fn is_stopped(&self) -> bool {
        self.entry.left.is_some()
    }
}

/// The configurations with measurements from training, in drawing order: later ones are drawn over earlier
/// ones. Those that were stopped early are grey and have no name.
pub(super) fn lines<'a>(tasks: &'a [TaskFindings<'_>]) -> Vec<Line<'a>> {
    let is_measured = |entry: &&Entry| !entry.summary.is_base() && !entry.course.curves.is_empty();
    let measured = tasks.iter().flat_map(|task| task.entries.iter().map(move |entry| (task, entry)));
    let measured: Vec<(&TaskFindings<'_>, &Entry)> =
        measured.filter(|(_, entry)| is_measured(entry)).collect();
    let many = measured.len();
    let crowded = many > MOST_COLOURED;
    let best: Vec<&str> = match tasks {
        [task] => task.best_per_method().iter().map(|entry| entry.label.as_str()).collect(),
        _ => Vec::new(),
    };
    let mut others = others(tasks.len() > 1);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (task, entry) in measured {
        let is_best = best.contains(&entry.label.as_str());
        let stroke = if is_best {
            Stroke::solid(method_color(&entry.summary.configuration.method), 2.4)
        } else if crowded && tasks.len() == 1 {
            Stroke::solid(GREY, 0.8)
        } else {
            others.next().unwrap_or(Stroke::solid(GREY, 0.8))
        };
        let alone = task.tried() == 1;
        let name = match (tasks.len(), alone) {
            (1, _) => entry.label.clone(),
            (_, true) => task.task.name.clone(),
            (_, false) => format!("{}: {}", task.task.name, entry.label),
        };
        let labelled = is_best || !crowded || tasks.len() > 1;
        let band = is_best || many <= MOST_BANDS;
        lines.push(Line { entry, name, stroke, band, labelled });
    }
    let stopped = tasks.iter().flat_map(|task| &task.stopped).filter(is_measured);
    lines.extend(stopped.map(|entry| Line {
        entry,
        name: entry.label.clone(),
        stroke: Stroke::solid(GREY, 0.8),
        band: false,
        labelled: false,
    }));
    // The best are drawn last, over the others.
    lines.reverse();
    lines.sort_by_key(|line| (line.labelled, line.band));
    lines
}

/// Strokes for lines that are not the best of their method: first the unused colours (no method has them, or
/// there are several tasks), then all of them dashed.
fn others(all_free: bool) -> impl Iterator<Item = Stroke> {
    let free = if all_free { &PALETTE[..] } else { &PALETTE[3..6] };
    let solid = free.iter().map(|&color| Stroke::solid(color, 1.5));
    solid.chain(PALETTE.iter().map(|&color| Stroke { color, width: 1.5, dashed: true })).cycle()
}

/// A panel: its position, and what its vertical axis shows.
pub(super) struct Panel<'a> {
    /// Left and right edge.
    pub(super) pixels: (f64, f64),
    /// Title with the unit.
    pub(super) title: &'a str,
    /// Factor from the curves' unit to the axis's.
    pub(super) factor: f64,
    /// Range of steps.
    pub(super) steps: (f64, f64),
    /// Scores of references that do not train, each with its name, in the curves' unit: thin dashed lines
    /// across.
    pub(super) levels: &'a [(String, f64)],
}

/// Levels further from the curves than this share of their range are noted, not drawn.
const FARTHEST: f64 = 1.0;

impl<'a> Panel<'a> {
    /// Draws one curve for each line that has one.
    pub(super) fn draw(&self, scene: &mut Scene, lines: &[Line<'_>], curves: &[Option<Curve>]) -> Frame<'a> {
        let drawn = || lines.iter().zip(curves).filter_map(|(line, curve)| Some((line, curve.as_ref()?)));
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (line, curve) in drawn() {
            let (below, above) =
                if line.band { (&curve.low, &curve.high) } else { (&curve.mean, &curve.mean) };
            low = below.iter().map(|v| v * self.factor).fold(low, f64::min);
            high = above.iter().map(|v| v * self.factor).fold(high, f64::max);
        }
        let reach = FARTHEST * (high - low);
        let (near, far): (Vec<_>, Vec<_>) = self.levels.iter().partition(|(_, value)| {
            let value = value * self.factor;
            value >= low - reach && value <= high + reach
        });
        for (_, value) in &near {
            (low, high) = (low.min(value * self.factor), high.max(value * self.factor));
        }
        let room = 0.04 * (high - low);
        let frame = Frame {
            x: Scale::linear(self.steps, self.pixels),
            y: Scale::linear(if low <= high { (low - room, high + room) } else { (0.0, 1.0) }, (BOTTOM, TOP)),
            x_title: "Optimiser step",
            y_title: self.title,
        };
        frame.draw(scene);
        self.draw_levels(scene, &frame, &near, &far);
        let points = |curve: &Curve, values: &[f64]| -> Vec<Point> {
            curve.steps.iter().zip(values).map(|(step, v)| frame.at(*step, v * self.factor)).collect()
        };
        for (line, curve) in drawn().filter(|(line, curve)| line.band && curve.folds > 1) {
            let mut outline = points(curve, &curve.low);
            outline.extend(points(curve, &curve.high).into_iter().rev());
            scene.area(outline, line.stroke.color, 0.15);
        }
        for (line, curve) in drawn() {
            let points = points(curve, &curve.mean);
            match points.as_slice() {
                [_] if line.is_stopped() => {}
                [only] => scene.mark(*only, Form::Circle, 4.0, line.stroke.color),
                points => scene.line(points, line.stroke),
            }
            if let Some(end) = points.last().filter(|_| line.is_stopped()) {
                cross(scene, *end);
            }
        }
        frame
    }

    /// Lines across, each with its name at its start; those far away are noted at the panel's edge.
    fn draw_levels(&self, scene: &mut Scene, frame: &Frame<'_>, near: &[&Level], far: &[&Level]) {
        let (left, right) = self.pixels;
        let small = Font { px: TEXT_PX - 2.0, color: NOTE, ..Font::plain(Anchor::End) };
        for (name, value) in near {
            let (_, y) = frame.at(0.0, value * self.factor);
            scene.line(&[(left, y), (right, y)], Stroke { color: GREY, width: 1.0, dashed: true });
            let side = if y - 9.0 < TOP { 1.0 } else { -1.0 };
            scene.text((right - 4.0, y + side * 9.0), name.clone(), small);
        }
        for (name, value) in far {
            let (_, y) = frame.at(0.0, value * self.factor);
            let (side, at) = if y > BOTTOM { ("below", BOTTOM - 9.0) } else { ("above", TOP + 9.0) };
            scene.text((right - 4.0, at), format!("{name}, {side} the axis"), small);
        }
    }
}

/// The mark where a curve ends since its configuration was stopped early.
fn cross(scene: &mut Scene, (x, y): Point) {
    const HALF: f64 = 3.5;
    for side in [-HALF, HALF] {
        scene.line(&[(x - HALF, y - side), (x + HALF, y + side)], Stroke::solid(NOTE, 1.3));
    }
}

/// The score of a reference that does not train, with its name.
type Level = (String, f64);

/// The range of steps over all curves.
pub(super) fn steps(curves: &[&[Option<Curve>]]) -> (f64, f64) {
    let last = curves.iter().flat_map(|curves| curves.iter().flatten()).filter_map(|c| c.steps.last());
    (0.0, last.copied().fold(1.0, f64::max))
}

/// An empty page for panels that end at `labels`, wide and tall enough for all names beyond them.
pub(super) fn page(lines: &[Line<'_>], labels: f64) -> Scene {
    let notes = notes(lines);
    let names = || lines.iter().filter(|line| line.labelled).map(|line| line.name.as_str());
    let texts = || names().chain(notes.iter().map(String::as_str));
    let widest = texts().map(|name| text_width(name, TEXT_PX)).fold(0.0, f64::max);
    let needed = texts().fold(TOP + 40.0, |height, _| height + LABEL_GAP);
    Scene::new((labels + 24.0 + widest + 12.0).ceil(), HEIGHT.max(needed.ceil()))
}

/// How many lines have no name, without those that were stopped early.
pub(super) fn unnamed(lines: &[Line<'_>]) -> usize {
    lines.iter().filter(|line| !line.labelled && !line.is_stopped()).count()
}

/// How many lines are of configurations that were stopped early.
fn stopped(lines: &[Line<'_>]) -> usize {
    lines.iter().filter(|line| line.is_stopped()).count()
}

/// What lines without a name are.
fn notes(lines: &[Line<'_>]) -> Vec<String> {
    let told = [
        (unnamed(lines), "grey: {} other configurations"),
        (stopped(lines), "grey, ending in ×: {} stopped early"),
    ];
    told.into_iter().filter(|(n, _)| *n > 0).map(|(n, text)| text.replace("{}", &n.to_string())).collect()
}

/// A sentence for captions on the lines of what was stopped early.
pub(super) fn ended(lines: &[Line<'_>]) -> &'static str {
    if stopped(lines) == 0 {
        return "";
    }
    " Lines that end in × are over the stopped trials of configurations that were stopped early: how they would have \
     gone on is not known."
}

/// Names the lines in a column: each at the height of its end, with a thin line to it, and lines without an end
/// from the top down in the given order.
pub(super) fn names(scene: &mut Scene, lines: &[Line<'_>], ends: &[Option<Point>], left: f64) {
    let named: Vec<(&Line<'_>, Option<Point>)> =
        lines.iter().zip(ends.iter().copied()).filter(|(line, _)| line.labelled).collect();
    let wanted: Vec<f64> = named.iter().map(|(_, end)| end.map_or(TOP, |(_, y)| y)).collect();
    let heights = spread(&wanted, LABEL_GAP, (TOP, BOTTOM));
    // Where every line is its task's selected configuration, none is emphasised.
    let stands_out = named.iter().any(|(line, _)| !line.entry.selected);
    for ((line, end), y) in named.into_iter().zip(heights.iter().copied()) {
        if let Some(end) = end {
            let leader = Stroke::solid(line.stroke.color, 0.6);
            scene.line(&[(end.0 + 2.0, end.1), (left - 4.0, y)], leader);
        }
        scene.line(&[(left, y), (left + 20.0, y)], line.stroke);
        let font = Font { bold: line.entry.selected && stands_out, ..Font::plain(Anchor::Start) };
        scene.text((left + 26.0, y), line.name.clone(), font);
    }
    let mut y = heights.iter().copied().fold(BOTTOM, f64::max) + 14.0;
    for note in notes(lines) {
        scene.text((left, y), note, Font { color: NOTE, ..Font::plain(Anchor::Start) });
        y += LABEL_GAP;
    }
}
