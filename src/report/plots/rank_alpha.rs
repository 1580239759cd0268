//! Owns the heat map of the validation metric by rank and alpha. Pure.
//!
//! Each combination of the other varying settings has its own map, unless there are too many; a combination
//! with a single pair of rank and alpha has none. There is no map where most cells would be empty, as those of drawn
//! points are, and none where the means of cells would be over different settings: what was stopped early is missing.

use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::format;
use crate::report::measure::Measure;
use crate::values::Lora;
use crate::values::axes::{self, Axis, SEED};

use super::Chart;
use super::scene::{Anchor, Font, GRID, INK, PAPER, Rgb, Scene, TEXT_PX, text_width};

/// With more combinations of the other settings than this, their results are averaged.
const MOST_PANELS: usize = 6;
const PANELS_PER_ROW: usize = 3;
const CELL: (f64, f64) = (74.0, 46.0);
const MARGIN: (f64, f64) = (58.0, 28.0);
const HEADING: f64 = 30.0;
const FOOT: f64 = 62.0;

/// One combination of the other settings, and its configurations.
struct Panel<'a> {
    title: String,
    entries: Vec<&'a Entry>,
}

impl Panel<'_> {
    /// Whether it has more than one pair of rank and alpha.
    fn is_map(&self) -> bool {
        let pair = |e: &Entry| lora(e).map(|l| (l.rank, l.alpha.to_bits()));
        self.entries.iter().any(|e| pair(e) != pair(self.entries[0]))
    }
}

/// The chart; `None` unless ranks or alphas vary and some score is known.
pub(super) fn chart(task: &TaskFindings<'_>) -> Option<Chart> {
    let measure = task.measure;
    let entries: Vec<&Entry> = task.entries.iter().filter(|entry| lora(entry).is_some()).collect();
    let ranks = distinct(entries.iter().filter_map(|e| lora(e)).map(|l| l.rank), Ord::cmp);
    let alphas = distinct(entries.iter().filter_map(|e| lora(e)).map(|l| l.alpha), f64::total_cmp);
    if ranks.len().max(alphas.len()) < 2 {
        return None;
    }
    let (panels, averaged) = panels(&entries);
    let (ranks, alphas) = (ranks.as_slice(), alphas.as_slice());
    if !is_full(&panels, averaged, ranks, alphas) {
        return None;
    }
    let values: Vec<f64> = panels
        .iter()
        .flat_map(|panel| ranks.iter().flat_map(move |r| alphas.iter().map(move |a| (panel, *r, *a))))
        .filter_map(|(panel, rank, alpha)| Some(cell(panel, rank, alpha)?.0))
        .collect();
    let range = values.iter().fold(None, |range: Option<(f64, f64)>, &v| {
        Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
    })?;
    let scene = draw(&panels, ranks, alphas, range, measure);
    let seeds = if task.has_seeds() { " Cells are means over seeds." } else { "" };
    let rest = if averaged > 0 {
        format!("Each cell is the mean over {averaged} combinations of the other settings.")
    } else if panels.len() > 1 {
        "One panel per combination of the other settings that vary.".to_owned()
    } else {
        String::new()
    };
    let alone = task.baseline.as_ref().and_then(|baseline| {
        let spread = baseline.validation(measure.metric)?;
        Some(format!(" The {} alone gives {}.", baseline.label, measure.value(spread.mean)))
    });
    let caption = format!(
        "Mean validation {} of LoRA configurations, by rank r and alpha; darker is {}. Where trials are \
         missing, the number of trials is given; an empty cell has no result{}.{}{seeds} {rest}",
        measure.heading(),
        if measure.metric.higher_is_better() { "higher" } else { "lower, which is better" },
        if task.stopped.is_empty() { "" } else { ", as those of configurations that were stopped early" },
        alone.unwrap_or_default(),
    );
    Some(Chart {
        name: "rank-alpha".to_owned(),
        title: format!("Validation {} by rank and alpha", measure.title()),
        task: None,
        caption: caption.trim_end().to_owned(),
        scene,
    })
}

/// Whether at least a third of the cells have a configuration, and each of these as many as any other.
fn is_full(panels: &[Panel<'_>], averaged: usize, ranks: &[usize], alphas: &[f64]) -> bool {
    let cells = panels.iter().flat_map(|panel| {
        ranks.iter().flat_map(move |rank| alphas.iter().map(move |alpha| here(panel, *rank, *alpha).count()))
    });
    let filled: Vec<usize> = cells.filter(|count| *count > 0).collect();
    let is_dense = 3 * filled.len() >= panels.len() * ranks.len() * alphas.len();
    is_dense && (averaged == 0 || filled.iter().all(|count| *count == averaged))
}

/// The configurations of a cell.
fn here<'a>(panel: &'a Panel<'a>, rank: usize, alpha: f64) -> impl Iterator<Item = &'a Entry> {
    let is_here = move |lora: &Lora| lora.rank == rank && lora.alpha.total_cmp(&alpha).is_eq();
    panel.entries.iter().copied().filter(move |entry| lora(entry).is_some_and(is_here))
}

fn lora(entry: &Entry) -> Option<&Lora> {
    entry.summary.configuration.method.lora()
}

fn distinct<T: PartialEq>(
    values: impl Iterator<Item = T>,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    values.dedup();
    values
}

/// Configurations grouped by the settings other than rank and alpha; where there are too many groups, one panel
/// of all, with the number of combinations.
fn panels<'a>(entries: &[&'a Entry]) -> (Vec<Panel<'a>>, usize) {
    let configurations: Vec<_> = entries.iter().map(|e| e.summary.configuration.as_ref()).collect();
    let axes: Vec<_> = axes::shown()
        .filter(|axis| !matches!(axis.name, "rank" | "alpha" | SEED) && axis.varies(&configurations))
        .collect();
    let mut panels: Vec<Panel<'a>> = Vec::new();
    for &entry in entries {
        let part =
            |axis: &&Axis| Some(format!("{}{}", axis.short, axis.value(&entry.summary.configuration)?));
        let title = axes.iter().filter_map(part).collect::<Vec<_>>().join(", ");
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.entries.push(entry),
            None => panels.push(Panel { title, entries: vec![entry] }),
        }
    }
    panels.sort_by(|a, b| a.title.cmp(&b.title));
    if panels.iter().any(Panel::is_map) {
        panels.retain(Panel::is_map);
    }
    if panels.len() > MOST_PANELS {
        let title = format!("mean over {} combinations", panels.len());
        return (vec![Panel { title, entries: entries.to_vec() }], panels.len());
    }
    (panels, 0)
}

/// Mean score of a cell, with a note on its completeness where trials are missing.
fn cell(panel: &Panel<'_>, rank: usize, alpha: f64) -> Option<(f64, Option<String>)> {
    let here: Vec<&Entry> = here(panel, rank, alpha).collect();
    let means: Vec<f64> =
        here.iter().filter_map(|e| e.summary.selecting()).map(|spread| spread.mean).collect();
    if means.is_empty() {
        return None;
    }
    let (done, planned) =
        here.iter().fold((0, 0), |(done, planned), e| (done + e.summary.done, planned + e.summary.planned));
    let note = (done < planned).then(|| format!("{done} of {planned} trials"));
    Some((crate::report::statistics::mean(&means), note))
}

#[expect(clippy::cast_precision_loss, reason = "panels and cells are few")]
fn draw(panels: &[Panel<'_>], ranks: &[usize], alphas: &[f64], range: (f64, f64), measure: Measure) -> Scene {
    let per_row = panels.len().min(PANELS_PER_ROW);
    let grid = (alphas.len() as f64 * CELL.0, ranks.len() as f64 * CELL.1);
    let titles = panels.iter().map(|p| text_width(&p.title, TEXT_PX + 1.0)).fold(0.0, f64::max);
    let size = ((MARGIN.0 + grid.0 + 22.0).max(titles + 24.0).max(290.0), MARGIN.1 + grid.1 + FOOT);
    let rows = panels.len().div_ceil(per_row);
    let heading = format!("LoRA: mean validation {}", measure.heading());
    let width = (per_row as f64 * size.0).max(text_width(&heading, TEXT_PX + 1.0) + 24.0);
    let mut scene = Scene::new(width, HEADING + rows as f64 * size.1);
    scene.text((12.0, 18.0), heading, Font::heading(Anchor::Start));
    for (i, panel) in panels.iter().enumerate() {
        let corner = ((i % per_row) as f64 * size.0, HEADING + (i / per_row) as f64 * size.1);
        let at = |column: f64, row: f64| {
            (corner.0 + MARGIN.0 + column * CELL.0, corner.1 + MARGIN.1 + row * CELL.1)
        };
        scene.text((corner.0 + 12.0, corner.1 + 16.0), panel.title.clone(), Font::plain(Anchor::Start));
        for (row, &rank) in ranks.iter().rev().enumerate() {
            let (x, y) = at(0.0, row as f64 + 0.5);
            scene.text((x - 8.0, y), rank.to_string(), Font::plain(Anchor::End));
            for (column, &alpha) in alphas.iter().enumerate() {
                let corners = (at(column as f64, row as f64), at(column as f64 + 1.0, row as f64 + 1.0));
                draw_cell(&mut scene, corners, cell(panel, rank, alpha), range, measure);
            }
        }
        let upwards = Font { upwards: true, ..Font::plain(Anchor::Middle) };
        scene.text((corner.0 + 18.0, at(0.0, ranks.len() as f64 / 2.0).1), "rank r", upwards);
        let foot = ranks.len() as f64;
        for (column, alpha) in alphas.iter().enumerate() {
            let (x, y) = at(column as f64 + 0.5, foot);
            scene.text((x, y + 14.0), alpha.to_string(), Font::plain(Anchor::Middle));
        }
        let (x, y) = at(alphas.len() as f64 / 2.0, foot);
        scene.text((x, y + 14.0 + 1.6 * TEXT_PX), "alpha", Font::plain(Anchor::Middle));
    }
    scene
}

fn draw_cell(
    scene: &mut Scene,
    (from, to): ((f64, f64), (f64, f64)),
    value: Option<(f64, Option<String>)>,
    range: (f64, f64),
    measure: Measure,
) {
    let inner = ((from.0 + 1.0, from.1 + 1.0), (to.0 - 1.0, to.1 - 1.0));
    let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
    let Some((mean, note)) = value else {
        scene.rectangle(inner.0, inner.1, GRID);
        scene.text(middle, format::NONE, Font::plain(Anchor::Middle));
        return;
    };
    let share = if range.1 > range.0 { (mean - range.0) / (range.1 - range.0) } else { 0.5 };
    let share = if measure.metric.higher_is_better() { share } else { 1.0 - share };
    scene.rectangle(inner.0, inner.1, shade(share));
    let color = if share > 0.55 { PAPER } else { INK };
    let font = Font { color, px: TEXT_PX + 1.0, ..Font::plain(Anchor::Middle) };
    let up = if note.is_some() { 7.0 } else { 0.0 };
    scene.text((middle.0, middle.1 - up), measure.value(mean), font);
    if let Some(note) = note {
        scene.text((middle.0, middle.1 + 9.0), note, Font { px: TEXT_PX - 3.0, ..font });
    }
}

/// From pale to dark blue: lightness alone shows the order, also in grey print.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a blend of two bytes is a byte")]
fn shade(share: f64) -> Rgb {
    let (pale, dark) = (Rgb(224, 236, 246), Rgb(0, 68, 124));
    let blend = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    Rgb(blend(pale.0, dark.0), blend(pale.1, dark.1), blend(pale.2, dark.2))
}
