//! Owns the charts of a metric against trainable parameters, with their Pareto front. Configurations that train
//! nothing do not fit on a logarithmic axis: each is a line across the plot, or a note next to it where it is
//! too far off. Pure.

use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::measure::Measure;
use crate::report::warnings;
use crate::values::{Method, MethodKind};

use super::pareto::front;
use super::place::{Bounds, around, is_free, overlap};
use super::scale::{Frame, Scale};
use super::scene::{Anchor, Font, Form, GREY, INK, PAPER, Point, Rgb, Scene, Stroke, TEXT_PX, text_width};
use super::{Chart, against_parameters, method_color};

const PAGE: (f64, f64) = (820.0, 480.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 424.0;
const RADIUS: f64 = 5.5;
/// Distance between points with the same number of parameters, and the largest width of a row of them.
const DODGE: (f64, f64) = (13.0, 34.0);
/// With more points than this, only those on the front and the best of each method are named.
const MOST_NAMED: usize = 16;

/// A configuration on the page.
struct Dot<'a> {
    entry: &'a Entry,
    at: Point,
    /// Ends of the error bar: highest and lowest pixel.
    bar: Option<(f64, f64)>,
    on_front: bool,
}

/// A configuration that trains nothing.
struct Reference {
    label: String,
    /// Its score in the axis' unit.
    value: f64,
    /// Whether its label includes the score.
    valued: bool,
    color: Rgb,
    width: f64,
}

impl Reference {
    fn base(base: &Entry, measure: Measure) -> Self {
        let color = method_color(&base.summary.configuration.method);
        Self { label: base.label.clone(), value: place(base, measure).1, valued: false, color, width: 1.4 }
    }

    fn constant(task: &TaskFindings<'_>, measure: Measure) -> Option<Self> {
        let baseline = task.baseline.as_ref()?;
        let spread = baseline.reported(measure.metric)?;
        Some(Self {
            label: warnings::labelled(baseline, measure, &spread),
            value: measure.factor() * spread.mean,
            valued: true,
            color: GREY,
            width: 1.0,
        })
    }
}

/// References further from the other scores than this share of their range are not drawn to scale.
const FARTHEST: f64 = 0.6;

/// The chart; `None` while no configuration that trains has a score.
pub(super) fn chart(task: &TaskFindings<'_>, measure: Measure) -> Option<Chart> {
    let has_score = |e: &&Entry| e.summary.reported(measure.metric).is_some();
    let (bases, entries): (Vec<&Entry>, Vec<&Entry>) =
        task.entries.iter().filter(has_score).partition(|e| e.summary.params.trainable == 0);
    if entries.is_empty() {
        return None;
    }
    let rows = if task.task.is_tested() { "Test" } else { "Validation" };
    let mut scene = Scene::new(PAGE.0, PAGE.1);
    let title = format!("{rows} {}", measure.heading());
    let (x, y) = ranges(&entries, measure);
    let untrained: Vec<Reference> = bases
        .iter()
        .map(|base| Reference::base(base, measure))
        .chain(Reference::constant(task, measure))
        .collect();
    let (near, far): (Vec<&Reference>, Vec<&Reference>) =
        untrained.iter().partition(|one| is_near(one.value, y));
    let y = near.iter().map(|one| one.value).fold(y, |y, v| (y.0.min(v), y.1.max(v)));
    let frame = frame(x, y, &title, measure);
    frame.draw(&mut scene);
    let dots = dots(&entries, &frame, measure);
    let taken = references(&mut scene, &near, &far, &frame, measure);
    legend(&mut scene, &dots);
    scene.line(&stairs(&dots), FRONT);
    for dot in &dots {
        draw_dot(&mut scene, dot);
    }
    name_dots(&mut scene, &dots, task, taken);
    Some(Chart {
        name: against_parameters(measure.metric),
        title: format!("{} against trainable parameters", capital(measure.title())),
        task: None,
        caption: caption(task, rows, measure, !untrained.is_empty()),
        scene,
    })
}

fn caption(task: &TaskFindings<'_>, rows: &str, measure: Measure, has_base: bool) -> String {
    let (side, more) = if measure.metric.higher_is_better() { ("high", "higher") } else { ("low", "lower") };
    let over = task.averaged();
    let spread =
        over.map(|over| format!(" (mean over {over}, bars: ± one standard deviation)")).unwrap_or_default();
    let base = if has_base {
        " What is not trained has no place on that scale: its score is a dashed line across, or a note where it \
         lies outside the axis."
    } else {
        ""
    };
    let stopped = match task.stopped.len() {
        0 => String::new(),
        n => format!(" Without the {n} that were stopped early."),
    };
    format!(
        "{rows} {}{spread} against the number of trainable parameters, on a logarithmic scale. Dashed stairs: the \
         Pareto front. No other configuration has as few or fewer trainable parameters and as {side} or {more} a \
         mean as one on it, one of the two strictly. Points with equal \
         counts are set side by side. A hollow point lacks trials and is not on the front. The front describes; \
         the selection is made on validation rows.{base}{stopped}",
        measure.title(),
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Number of trainable parameters, and mean score in the axis' unit.
fn place(entry: &Entry, measure: Measure) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let parameters = entry.summary.params.trainable as f64;
    let mean = entry.summary.reported(measure.metric).map_or(0.0, |spread| spread.mean);
    (parameters, measure.factor() * mean)
}

fn deviation(entry: &Entry, measure: Measure) -> Option<f64> {
    Some(measure.factor() * entry.summary.reported(measure.metric)?.std?)
}

/// The ranges of both axes that the configurations cover.
fn ranges(entries: &[&Entry], measure: Measure) -> ((f64, f64), (f64, f64)) {
    let (mut x, mut y) = ((f64::INFINITY, 0.0_f64), (f64::INFINITY, f64::NEG_INFINITY));
    for entry in entries {
        let ((parameters, mean), reach) = (place(entry, measure), deviation(entry, measure).unwrap_or(0.0));
        x = (x.0.min(parameters), x.1.max(parameters));
        y = (y.0.min(mean - reach), y.1.max(mean + reach));
    }
    (x, y)
}

/// Whether a value can share the axis without squeezing the others together.
fn is_near(value: f64, (low, high): (f64, f64)) -> bool {
    let reach = FARTHEST * (high - low);
    value >= low - reach && value <= high + reach
}

fn frame<'a>(x: (f64, f64), y: (f64, f64), y_title: &'a str, measure: Measure) -> Frame<'a> {
    let room = (0.12 * (y.1 - y.0)).max(0.01 * measure.factor());
    let widened = (x.1 / x.0).powf(0.12).max(1.5);
    Frame {
        x: Scale::logarithmic((x.0 / widened, x.1 * widened), (LEFT, RIGHT)),
        y: Scale::linear((y.0 - room, y.1 + room), (BOTTOM, TOP)),
        x_title: "Trainable parameters",
        y_title,
    }
}

/// Draws the configurations that train nothing: a line across where one is near, a note over the plot where it
/// is far (for at most two; the table has them all). Returns the areas of the plot that this takes.
fn references(
    scene: &mut Scene,
    near: &[&Reference],
    far: &[&Reference],
    frame: &Frame<'_>,
    measure: Measure,
) -> Vec<Bounds> {
    let mut taken = Vec::new();
    let font = Font { px: TEXT_PX - 1.0, ..Font::plain(Anchor::Start) };
    for one in near {
        let y = frame.y.at(one.value);
        scene.line(&[(LEFT, y), (RIGHT, y)], Stroke { color: one.color, width: one.width, dashed: true });
        taken.push((LEFT, y - 2.0, RIGHT, y + 2.0));
        let size = (text_width(&one.label, TEXT_PX - 1.0), 1.25 * TEXT_PX);
        let away = 3.0 + size.1 / 2.0;
        let beside = |side: f64| around((LEFT + 6.0 + size.0 / 2.0, y + side * away), size);
        let page = (LEFT, TOP - 8.0, RIGHT, BOTTOM - 2.0);
        if let Some(side) = [-1.0, 1.0].into_iter().find(|&side| is_free(beside(side), page, &taken)) {
            scene.text((LEFT + 6.0, y + side * away), one.label.clone(), font);
            taken.push(beside(side));
        }
    }
    for (one, row) in far.iter().zip([40.0, 58.0]) {
        let side = if frame.y.at(one.value) > BOTTOM { "below" } else { "above" };
        let text = match one.valued {
            true => format!("{}, {side} the axis", one.label),
            false => {
                format!("{}: {}, {side} the axis", one.label, measure.value(one.value / measure.factor()))
            }
        };
        scene.text((RIGHT, row), text, Font { anchor: Anchor::End, ..font });
    }
    taken
}

#[expect(clippy::cast_precision_loss, reason = "the number of configurations is small")]
fn dots<'a>(entries: &[&'a Entry], frame: &Frame<'_>, measure: Measure) -> Vec<Dot<'a>> {
    let places: Vec<(f64, f64)> = entries.iter().map(|entry| place(entry, measure)).collect();
    let complete: Vec<usize> = (0..entries.len()).filter(|&i| entries[i].summary.is_complete()).collect();
    let up = if measure.metric.higher_is_better() { 1.0 } else { -1.0 };
    let candidates: Vec<(f64, f64)> = complete.iter().map(|&i| (places[i].0, up * places[i].1)).collect();
    let front: Vec<usize> = front(&candidates).into_iter().map(|i| complete[i]).collect();
    let mut by_score: Vec<usize> = (0..entries.len()).collect();
    by_score.sort_by(|&a, &b| places[a].1.total_cmp(&places[b].1));
    (0..entries.len())
        .map(|i| {
            let same = |other: &&usize| entries[**other].summary.params == entries[i].summary.params;
            let twins: Vec<usize> = by_score.iter().filter(same).copied().collect();
            let nth = twins.iter().position(|&twin| twin == i).unwrap_or(0);
            let gaps = (twins.len() - 1) as f64;
            let shift = DODGE.0.min(DODGE.1 / gaps.max(1.0)) * (nth as f64 - gaps / 2.0);
            let (x, y) = frame.at(places[i].0, places[i].1);
            let bar = deviation(entries[i], measure)
                .map(|d| (frame.y.at(places[i].1 + d), frame.y.at(places[i].1 - d)));
            Dot { entry: entries[i], at: (x + shift, y), bar, on_front: front.contains(&i) }
        })
        .collect()
}

fn form(method: &Method) -> Form {
    match method {
        Method::Lora(_) => Form::Circle,
        Method::Dora(_) => Form::Tip,
        Method::Full => Form::Square,
        Method::Scratch => Form::Triangle,
        Method::Base => Form::Diamond,
    }
}

fn legend(scene: &mut Scene, dots: &[Dot<'_>]) {
    let mut x = LEFT - 34.0;
    let mut named: Vec<MethodKind> = Vec::new();
    for dot in dots {
        let method = &dot.entry.summary.configuration.method;
        let kind = method.kind();
        if !named.contains(&kind) {
            named.push(kind);
            scene.mark((x, 22.0), form(method), RADIUS, method_color(method));
            scene.text((x + 12.0, 22.0), kind.title(), Font::plain(Anchor::Start));
            x += 12.0 + text_width(kind.title(), TEXT_PX) + 24.0;
        }
    }
    scene.line(&[(x, 22.0), (x + 30.0, 22.0)], FRONT);
    scene.text((x + 38.0, 22.0), "Pareto front", Font::plain(Anchor::Start));
}

const FRONT: Stroke = Stroke { color: GREY, width: 1.4, dashed: true };

/// The front as a staircase: the best score at each number of parameters.
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

/// Names the points where there is room, the selected one and those on the front first. The others stay
/// unnamed; the table has them.
fn name_dots(scene: &mut Scene, dots: &[Dot<'_>], task: &TaskFindings<'_>, mut taken: Vec<Bounds>) {
    let best: Vec<&str> = task.best_per_method().iter().map(|entry| entry.label.as_str()).collect();
    let mut labels: Vec<Bounds> = taken.clone();
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

/// Puts the name close to the point if possible, else further up or down with a thin line to the point.
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
