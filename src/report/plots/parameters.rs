//! Owns the chart of accuracy against trainable parameters, with its Pareto front. Pure.

use crate::report::axes::method_name;
use crate::report::findings::{Entry, Findings};
use crate::trial::Method;

use super::pareto::front;
use super::place::{Bounds, around, is_free, overlap};
use super::scale::{Frame, Scale};
use super::scene::{Anchor, Font, Form, GREY, INK, PAPER, Point, Scene, Stroke, TEXT_PX, text_width};
use super::{Chart, method_color};

const PAGE: (f64, f64) = (820.0, 480.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 424.0;
const RADIUS: f64 = 5.5;
/// Distance between points that have the same number of parameters, and the most that a row of
/// them takes.
const DODGE: (f64, f64) = (13.0, 34.0);
/// With more points than this, those on the front and the best of each method alone are named.
const MOST_NAMED: usize = 16;

/// A configuration on the page.
struct Dot<'a> {
    entry: &'a Entry,
    at: Point,
    /// Ends of the error bar: highest and lowest pixel.
    bar: Option<(f64, f64)>,
    on_front: bool,
}

/// The chart; `None` while no configuration has a score.
pub(super) fn chart(findings: &Findings<'_>) -> Option<Chart> {
    let tested = findings.record.sweep.first_task().is_tested();
    let entries: Vec<&Entry> =
        findings.entries.iter().filter(|e| e.summary.reported_accuracy().is_some()).collect();
    if entries.is_empty() {
        return None;
    }
    let mut scene = Scene::new(PAGE.0, PAGE.1);
    let frame = frame(&entries, tested);
    frame.draw(&mut scene);
    let dots = dots(&entries, &frame);
    legend(&mut scene, &dots);
    scene.line(&stairs(&dots), FRONT);
    for dot in &dots {
        draw_dot(&mut scene, dot);
    }
    name_dots(&mut scene, &dots, findings);
    let rows = if tested { "Test" } else { "Validation" };
    let caption = format!(
        "{rows} accuracy (mean over folds, bars: ± one standard deviation) against the number of trainable \
         parameters, on a logarithmic scale. Dashed: the Pareto front, where no configuration has both fewer \
         trainable parameters and a higher mean. Points with equal counts are set side by side. A hollow \
         point lacks folds and is not on the front. The front describes; the selection is made on validation rows."
    );
    Some(Chart {
        name: "accuracy-vs-parameters",
        title: "Accuracy against trainable parameters",
        caption,
        scene,
    })
}

/// Number of trainable parameters, and mean accuracy in percent.
fn place(entry: &Entry) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let parameters = entry.summary.params.trainable as f64;
    (parameters, entry.summary.reported_accuracy().map_or(0.0, |accuracy| 100.0 * accuracy.mean))
}

fn deviation(entry: &Entry) -> Option<f64> {
    Some(100.0 * entry.summary.reported_accuracy()?.std?)
}

fn frame(entries: &[&Entry], tested: bool) -> Frame<'static> {
    let (mut x, mut y) = ((f64::INFINITY, 0.0_f64), (f64::INFINITY, f64::NEG_INFINITY));
    for entry in entries {
        let ((parameters, mean), reach) = (place(entry), deviation(entry).unwrap_or(0.0));
        x = (x.0.min(parameters), x.1.max(parameters));
        y = (y.0.min(mean - reach), y.1.max(mean + reach));
    }
    let room = (0.12 * (y.1 - y.0)).max(1.0);
    let widened = (x.1 / x.0).powf(0.12).max(1.5);
    Frame {
        x: Scale::logarithmic((x.0 / widened, x.1 * widened), (LEFT, RIGHT)),
        y: Scale::linear((y.0 - room, y.1 + room), (BOTTOM, TOP)),
        x_title: "Trainable parameters",
        y_title: if tested { "Test accuracy (%)" } else { "Validation accuracy (%)" },
    }
}

#[expect(clippy::cast_precision_loss, reason = "the number of configurations is small")]
fn dots<'a>(entries: &[&'a Entry], frame: &Frame<'_>) -> Vec<Dot<'a>> {
    let places: Vec<(f64, f64)> = entries.iter().map(|entry| place(entry)).collect();
    let complete: Vec<usize> = (0..entries.len()).filter(|&i| entries[i].summary.is_complete()).collect();
    let candidates: Vec<(f64, f64)> = complete.iter().map(|&i| places[i]).collect();
    let front: Vec<usize> = front(&candidates).into_iter().map(|i| complete[i]).collect();
    let mut by_accuracy: Vec<usize> = (0..entries.len()).collect();
    by_accuracy.sort_by(|&a, &b| places[a].1.total_cmp(&places[b].1));
    (0..entries.len())
        .map(|i| {
            let same = |other: &&usize| entries[**other].summary.params == entries[i].summary.params;
            let twins: Vec<usize> = by_accuracy.iter().filter(same).copied().collect();
            let nth = twins.iter().position(|&twin| twin == i).unwrap_or(0);
            let gaps = (twins.len() - 1) as f64;
            let shift = DODGE.0.min(DODGE.1 / gaps.max(1.0)) * (nth as f64 - gaps / 2.0);
            let (x, y) = frame.at(places[i].0, places[i].1);
            let bar =
                deviation(entries[i]).map(|d| (frame.y.at(places[i].1 + d), frame.y.at(places[i].1 - d)));
            Dot { entry: entries[i], at: (x + shift, y), bar, on_front: front.contains(&i) }
        })
        .collect()
}

fn form(method: &Method) -> Form {
    match method {
        Method::Lora(_) => Form::Circle,
        Method::Full => Form::Square,
        Method::Scratch => Form::Triangle,
        Method::Base => Form::Diamond,
    }
}

fn legend(scene: &mut Scene, dots: &[Dot<'_>]) {
    let mut x = LEFT - 34.0;
    let mut named: Vec<&str> = Vec::new();
    for dot in dots {
        let method = &dot.entry.summary.configuration.method;
        if !named.contains(&method.name()) {
            named.push(method.name());
            scene.mark((x, 22.0), form(method), RADIUS, method_color(method));
            scene.text((x + 12.0, 22.0), method_name(method), Font::plain(Anchor::Start));
            x += 12.0 + text_width(method_name(method), TEXT_PX) + 24.0;
        }
    }
    scene.line(&[(x, 22.0), (x + 30.0, 22.0)], FRONT);
    scene.text((x + 38.0, 22.0), "Pareto front", Font::plain(Anchor::Start));
}

const FRONT: Stroke = Stroke { color: GREY, width: 1.4, dashed: true };

/// The front as stairs: the best to be had at each number of parameters.
fn stairs(dots: &[Dot<'_>]) -> Vec<Point> {
    let mut on_front: Vec<Point> = dots.iter().filter(|dot| dot.on_front).map(|dot| dot.at).collect();
    on_front.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut stairs: Vec<Point> = Vec::new();
    for point in on_front {
        if let Some(&(_, before)) = stairs.last() {
            stairs.push((point.0, before));
        }
        stairs.push(point);
    }
    if let Some(&(_, last)) = stairs.last() {
        stairs.push((RIGHT, last));
    }
    stairs
}

fn draw_dot(scene: &mut Scene, dot: &Dot<'_>) {
    let method = &dot.entry.summary.configuration.method;
    let (form, color, (x, y)) = (form(method), method_color(method), dot.at);
    if let Some((high, low)) = dot.bar {
        let thin = Stroke::solid(color, 1.0);
        scene.line(&[(x, high), (x, low)], thin);
        scene.line(&[(x - 3.0, high), (x + 3.0, high)], thin);
        scene.line(&[(x - 3.0, low), (x + 3.0, low)], thin);
    }
    if dot.entry.selected {
        scene.mark((x, y), form, RADIUS + 3.5, INK);
        scene.mark((x, y), form, RADIUS + 2.0, PAPER);
    }
    scene.mark((x, y), form, RADIUS, color);
    if !dot.entry.summary.is_complete() {
        scene.mark((x, y), form, RADIUS - 2.0, PAPER);
    }
}

/// Names the points, the selected one and those on the front first, each where there is room. A
/// name that finds none is left out: the table has it.
fn name_dots(scene: &mut Scene, dots: &[Dot<'_>], findings: &Findings<'_>) {
    let best: Vec<&str> = findings.best_per_method().iter().map(|entry| entry.label.as_str()).collect();
    let (mut taken, mut labels): (Vec<Bounds>, Vec<Bounds>) = Default::default();
    for dot in dots {
        taken.push(around(dot.at, (2.0 * RADIUS, 2.0 * RADIUS)));
        taken.extend(dot.bar.map(|(high, low)| (dot.at.0 - 3.0, high, dot.at.0 + 3.0, low)));
    }
    for pair in stairs(dots).windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        taken.push((x0.min(x1) - 1.0, y0.min(y1) - 1.0, x0.max(x1) + 1.0, y0.max(y1) + 1.0));
    }
    let mut named: Vec<&Dot<'_>> = dots.iter().collect();
    named.sort_by_key(|dot| (!dot.entry.selected, !best.contains(&dot.entry.label.as_str()), !dot.on_front));
    let all = dots.len() <= MOST_NAMED;
    for dot in named {
        if all || dot.on_front || best.contains(&dot.entry.label.as_str()) {
            name_dot(scene, dot, &mut taken, &mut labels);
        }
    }
}

/// Close to the point if possible, else further up or down with a thin line to the point.
fn name_dot(scene: &mut Scene, dot: &Dot<'_>, taken: &mut Vec<Bounds>, labels: &mut Vec<Bounds>) {
    let label = &dot.entry.label;
    let size = (text_width(label, TEXT_PX - 1.0), 1.25 * TEXT_PX);
    let ((x, y), (high, low)) = (dot.at, dot.bar.unwrap_or((dot.at.1, dot.at.1)));
    let (above, below) = (high.min(y - RADIUS - 4.0) - 10.0, low.max(y + RADIUS + 4.0) + 10.0);
    let aside = RADIUS + 7.0 + size.0 / 2.0;
    let close = [(x + aside, y), (x - aside, y), (x, above), (x, below)];
    let far = (1..=6).flat_map(|i| {
        let away = 17.0 * f64::from(i);
        [-0.5, 0.5]
            .into_iter()
            .flat_map(move |side| [(x + side * size.0, above - away), (x + side * size.0, below + away)])
    });
    let page = (LEFT + 2.0, TOP - 8.0, PAGE.0, BOTTOM - 2.0);
    let free = |middle: &Point| is_free(around(*middle, size), page, taken);
    let crosses = |middle: &Point| {
        leader(*middle, size, dot.at).iter().any(|&dash| labels.iter().any(|&label| overlap(dash, label)))
    };
    let near = close.into_iter().find(free);
    let Some(middle) = near.or_else(|| far.into_iter().find(|place| free(place) && !crosses(place))) else {
        return;
    };
    if near.is_none() {
        let line = leader(middle, size, dot.at);
        let points: Vec<Point> = line.iter().map(|dash| (dash.0 + 1.0, dash.1 + 1.0)).collect();
        scene.line(&[points[0], points[points.len() - 1]], LEADER);
        taken.extend(line);
    }
    let font = Font { px: TEXT_PX - 1.0, bold: dot.entry.selected, ..Font::plain(Anchor::Middle) };
    scene.text(middle, label.clone(), font);
    taken.push(around(middle, size));
    labels.push(around(middle, size));
}

/// The line from a label to its point, as small boxes along it.
fn leader(middle: Point, size: Point, (x, y): Point) -> Vec<Bounds> {
    let side = if middle.1 < y { -1.0 } else { 1.0 };
    let from = (middle.0.clamp(x - 20.0, x + 20.0), middle.1 - side * (size.1 / 2.0 + 1.0));
    let to = (x, y + side * (RADIUS + 1.0));
    (0..=24)
        .map(|i| {
            let share = f64::from(i) / 24.0;
            around((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)), (2.0, 2.0))
        })
        .collect()
}

const LEADER: Stroke = Stroke { color: GREY, width: 0.7, dashed: false };
