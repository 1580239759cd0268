//! Owns the table printed at the end of a run, as text. Prints nothing.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};

use crate::record::RunRecord;
use crate::values::{Metric, quantity};

use super::baseline::Baseline;
use super::entry::Entry;
use super::findings::{Findings, TaskFindings};
use super::format::{self, NONE};
use super::headline::{Counts, counts, why_none};
use super::measure::Measure;
use super::{stopped, warnings};

/// A row: a configuration, or the best constant answer of a task.
#[derive(Clone, Copy)]
enum Row<'a> {
    Entry(&'a Entry, &'a TaskFindings<'a>),
    Baseline(&'a Baseline, &'a TaskFindings<'a>),
}

impl Row<'_> {
    fn task(&self) -> &TaskFindings<'_> {
        match self {
            Row::Entry(_, task) | Row::Baseline(_, task) => task,
        }
    }

    /// A metric on the rows of a part.
    fn score(&self, part: &str, measure: Measure) -> String {
        let spread = match (self, part) {
            (Row::Entry(entry, _), "test") => entry.summary.test.get(&measure.metric).copied(),
            (Row::Entry(entry, _), _) => entry.summary.validation.get(&measure.metric).copied(),
            (Row::Baseline(baseline, _), "test") => baseline.test(measure.metric),
            (Row::Baseline(baseline, _), _) => baseline.validation(measure.metric),
        };
        measure.spread(spread.as_ref())
    }
}

/// A column.
struct Column {
    title: String,
    /// Order in which columns are dropped on a narrow terminal: higher numbers first.
    leaves: u8,
    cell: Box<dyn Fn(Row<'_>) -> String>,
}

impl Column {
    /// A column that is empty for a baseline.
    fn new(title: &str, leaves: u8, cell: impl Fn(&Entry) -> String + 'static) -> Self {
        let cell = move |row: Row<'_>| match row {
            Row::Entry(entry, _) => cell(entry),
            Row::Baseline(..) => NONE.to_owned(),
        };
        Self { title: title.to_owned(), leaves, cell: Box::new(cell) }
    }

    /// A metric on the rows of a part.
    fn score(part: &'static str, measure: Measure, leaves: u8) -> Self {
        let unit = if measure.metric.is_share() { " %" } else { "" };
        let title = match (measure.metric, leaves) {
            (Metric::Accuracy, 0) => format!("{part}{unit}"),
            (_, 0) => format!("{part} {}{unit}", measure.title()),
            (_, 1..) => format!("{}{unit}", measure.title()),
        };
        let cell = move |row: Row<'_>| row.score(part, measure);
        Self { title, leaves, cell: Box::new(cell) }
    }

    /// On the rows of a part, the metric that selects on the row's task, with its name.
    fn own_score(part: &'static str) -> Self {
        let cell = |row: Row<'_>| {
            let measure = row.task().measure;
            match row.score(part, measure) {
                score if score == NONE => score,
                score => measure.said(&score),
            }
        };
        Self { title: part.to_owned(), leaves: 0, cell: Box::new(cell) }
    }
}

fn columns(findings: &Findings<'_>) -> Vec<Column> {
    let trials = if findings.seeds() > 1 { "trials" } else { "folds" };
    let mut columns = vec![Column::new(trials, 1, |e| format!("{}/{}", e.summary.done, e.summary.planned))];
    match findings.all_alike() {
        Some(task) => {
            columns.push(Column::score("validation", task.measure, 0));
            columns.extend(findings.is_tested().then(|| Column::score("test", task.measure, 0)));
            let part = if findings.is_tested() { "test" } else { "validation" };
            columns.extend(task.shown().get(1).map(|second| Column::score(part, *second, 4)));
        }
        None => {
            columns.push(Column::own_score("validation"));
            columns.extend(findings.is_tested().then(|| Column::own_score("test")));
        }
    }
    columns.extend([
        Column::new("trainable", 2, |e| quantity::count(e.summary.params.trainable)),
        Column::new("of total %", 5, |e| format::parameter_share(e.summary.params.trainable_percent())),
        Column::new("time", 3, |e| {
            e.summary.wall_s.map_or_else(|| NONE.into(), |s| quantity::measured(s.mean))
        }),
        Column::new("MiB", 6, |e| {
            e.summary.peak_memory_mib.map_or_else(|| NONE.into(), |m| format!("{:.0}", m.max))
        }),
    ]);
    columns
}

/// One line per configuration, task by task, best first, no wider than `width` columns: columns are dropped
/// first, then long names wrap. Above the table, whether nothing was learned; below it, the meaning of the
/// marks and what is missing.
#[must_use]
pub fn terminal_table(record: &RunRecord, width: usize) -> String {
    let findings = Findings::of(record);
    let columns = columns(&findings);
    let least = columns.iter().map(|column| column.leaves).max().unwrap_or(0);
    let kept = |keep: u8| columns.iter().filter(move |column| column.leaves <= keep).collect::<Vec<_>>();
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let whole = (0..=least).rev().map(|keep| table(&findings, &kept(keep), None)).find(fits);
    let mut text = whole.unwrap_or_else(|| table(&findings, &kept(0), Some(width)));
    let first = warnings::unproven(&findings).into_iter().map(|said| wrapped(&said, width) + "\n");
    text.insert_str(0, &first.collect::<String>());
    for note in notes(&findings) {
        text.push('\n');
        text.push_str(&wrapped(&note, width));
    }
    text
}

/// A sentence in lines of at most `width` columns, as far as its words allow.
fn wrapped(sentence: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// The table at its natural width, or at most `width` wide.
fn table(findings: &Findings<'_>, columns: &[&Column], width: Option<usize>) -> String {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections)
        .set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let titles = columns.iter().map(|column| right(column.title.clone()));
    table.set_header(std::iter::once(Cell::new("  configuration")).chain(titles));
    let mut add = |mark: &str, name: &str, row: Row<'_>| {
        let cells = columns.iter().map(|column| right((column.cell)(row)));
        let name = Cell::new(format!("{mark}\u{a0}{name}"));
        table.add_row(std::iter::once(name).chain(cells));
    };
    for task in &findings.tasks {
        for entry in &task.entries {
            add(mark(entry), &findings.full_label(entry), Row::Entry(entry, task));
        }
        if let Some(baseline) = &task.baseline {
            add(PLAIN, &findings.of_task(&task.task.name, baseline.label), Row::Baseline(baseline, task));
        }
    }
    let text = table.to_string().replace('\u{a0}', " ");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// No mark: a no-break space, kept where a long name wraps.
const PLAIN: &str = "\u{a0}";

/// `*` for the selected entry, `=` for an entry with one answer to every row in some trial.
fn mark(entry: &Entry) -> &'static str {
    match (entry.selected, entry.summary.constant > 0) {
        (true, _) => "*",
        (false, true) => "=",
        (false, false) => PLAIN,
    }
}

fn notes(findings: &Findings<'_>) -> Vec<String> {
    let selected = findings.tasks.iter().filter(|task| task.selected().is_some()).count();
    let of_task = if findings.has_tasks() { " within its task" } else { "" };
    let report = if findings.is_tested() { "; the test score is the one to report" } else { "" };
    let over = match findings.seeds() {
        0 | 1 => String::new(),
        seeds => format!(", mean over {seeds} seeds"),
    };
    let unproven = findings.tasks.iter().any(|task| task.unproven().is_some());
    let mut notes = match (selected, unproven) {
        // The first line already says it.
        (0, true) => Vec::new(),
        (0, false) => {
            let why = findings.tasks.first().map(why_none).unwrap_or_default();
            vec![format!("none is selected: {}", why.replacen('N', "n", 1))]
        }
        _ => vec![format!("* selected on validation{over}{of_task}{report}")],
    };
    for task in &findings.tasks {
        let of = if findings.has_tasks() { format!("{}: ", task.task.name) } else { String::new() };
        notes.extend(warnings::tie(task).map(|said| format!("{of}{said}")));
        notes.extend(warnings::constant(task).map(|said| format!("= {of}{said}")));
    }
    notes.extend(lower_is_better(findings));
    let Counts { failed, left, .. } = counts(findings.record);
    notes.extend(stopped::by_rung(findings));
    if failed > 0 {
        notes.push(format!("{} failed", quantity::counted(failed, "trial")));
    }
    if left > 0 {
        notes.push(format!("{} not finished", quantity::counted(left, "trial")));
    }
    notes
}

/// The metrics of which lower values are better, with their units, where the titles do not include them.
fn lower_is_better(findings: &Findings<'_>) -> Vec<String> {
    let measures = findings.alike().into_iter().map(|tasks| tasks[0].measure);
    let mut notes: Vec<String> = measures
        .filter(|measure| !measure.metric.higher_is_better())
        .map(|measure| format!("{}: lower is better", measure.heading()))
        .collect();
    notes.dedup();
    notes
}
