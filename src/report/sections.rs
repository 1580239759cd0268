//! Owns the content of a report below its opening, the same on the page and in Markdown: the sections and what
//! each contains. Pure.

use crate::record::{TrialRecord, TrialState};
use crate::sweep::card::Card;
use crate::tasks::Task;
use crate::values::{Count, quantity};

use super::findings::{Findings, TaskFindings};
use super::plots::Chart;
use super::tables::{self, Table};
use super::{data, foreseen};

/// A part of the report under a heading.
pub struct Section<'a> {
    /// The heading.
    pub title: String,
    /// Its content.
    pub blocks: Vec<Block<'a>>,
}

/// An element of a section.
pub enum Block<'a> {
    /// A smaller heading.
    Heading(&'static str),
    /// A paragraph.
    Text(String),
    /// A table whose cells do not break.
    Wide(Table),
    /// A table whose cells may break.
    Narrow(Table),
    /// A chart.
    Chart(&'a Chart),
    /// Sentences.
    List(Vec<String>),
}

/// The sections of a report, in order.
#[must_use]
pub fn sections<'a>(findings: &Findings<'_>, charts: &'a [Chart]) -> Vec<Section<'a>> {
    let mut sections: Vec<_> = data_section(&findings.record.sweep.cards).into_iter().collect();
    if let Some(table) = tables::all_tasks(findings) {
        sections
            .push(section("All tasks together", vec![Block::Text(together(findings)), Block::Wide(table)]));
    }
    if findings.are_side_by_side() {
        sections.extend(of_tasks(findings, &findings.tasks, charts, None));
    } else {
        for task in &findings.tasks {
            sections.extend(of_tasks(findings, std::slice::from_ref(task), charts, Some(task)));
        }
    }
    let over_seeds = over_seeds(findings);
    if !over_seeds.is_empty() {
        let text = "Each configuration over its seeds, which the tables above take together. The seeds of one \
                    split share its rows: they are no independent samples of the data, and their spread says \
                    how much training varies, not how sure a difference is on other data.";
        let blocks = std::iter::once(Block::Text(text.to_owned())).chain(over_seeds).collect();
        sections.push(section("Stability over seeds", blocks));
    }
    sections.extend(missing(findings));
    sections.push(settings(findings));
    let mut notes = tables::method_notes(findings);
    notes.extend(foreseen::line(findings.record).map(|line| format!("The run's own forecast: {line}.")));
    sections.push(section("How the numbers were made", vec![Block::List(notes)]));
    sections
}

/// The section on data; `None` for runs of versions that did not write data cards.
fn data_section<'a>(cards: &[Card]) -> Option<Section<'a>> {
    let mut blocks = Vec::new();
    for card in cards {
        if card.task != Task::ONLY {
            blocks.push(Block::Text(format!("Task `{}`:", card.task)));
        }
        blocks.push(Block::Narrow(data::overview(card)));
        blocks.extend(data::classes(card).map(Block::Narrow));
    }
    let warnings: Vec<String> = cards.iter().flat_map(Card::warning_lines).collect();
    if !warnings.is_empty() {
        blocks.extend([Block::Heading("Warnings of the data"), Block::List(warnings)]);
    }
    (!cards.is_empty()).then(|| section("Data", blocks))
}

fn section<'a>(title: &str, blocks: Vec<Block<'a>>) -> Section<'a> {
    Section { title: title.to_owned(), blocks }
}

/// Results, charts and statistics of some tasks; for one of several tasks, with its name in the headings.
fn of_tasks<'a>(
    findings: &Findings<'_>,
    tasks: &[TaskFindings<'_>],
    charts: &'a [Chart],
    one: Option<&TaskFindings<'_>>,
) -> Vec<Section<'a>> {
    let titled = |title: &str| match one {
        Some(task) => format!("Task `{}`: {title}", task.task.name),
        None => title.to_owned(),
    };
    let lower = |title: &'static str, low: &'static str| titled(if one.is_some() { low } else { title });
    let drawn: Vec<Block<'a>> = charts
        .iter()
        .filter(|chart| chart.task.as_deref() == one.map(|task| task.task.name.as_str()))
        .map(Block::Chart)
        .collect();
    let mut results = vec![Block::Wide(tables::results(tasks))];
    if let Some(table) = tables::stopped(tasks) {
        let text = "Not in the ranking above, and without a mean: what each had when it left, on the rows by which it \
                    was compared. `lorasweep run SPEC --no-stop` trains them to their end.";
        results.extend([Block::Heading("Stopped early"), Block::Text(text.to_owned()), Block::Wide(table)]);
    }
    let mut sections = vec![Section { title: lower("Results", "results"), blocks: results }];
    if !drawn.is_empty() {
        sections.push(Section { title: lower("Charts", "charts"), blocks: drawn });
    }
    let course = course(tasks);
    if !course.is_empty() {
        sections.push(Section { title: lower("Course of training", "course of training"), blocks: course });
    }
    if findings.record.sweep.splitting.splits() > 1 {
        let title = tasks.first().map_or("score", |task| task.measure.title());
        let mut blocks = vec![Block::Wide(tables::statistics(tasks))];
        if let Some(table) = tables::folds(tasks) {
            blocks.push(Block::Heading("Each fold"));
            blocks.push(Block::Wide(table));
        }
        let title = match one {
            Some(_) => titled(&format!("statistics on validation {title}")),
            None => format!("Statistics on validation {title}"),
        };
        sections.push(Section { title, blocks });
    }
    sections
}

/// How training ended and the scores after each epoch; where rows are answered one by one, the charts show
/// this.
fn course<'a>(tasks: &[TaskFindings<'_>]) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    if !tasks.first().is_some_and(|task| task.objective().by_token()) {
        return blocks;
    }
    if let Some(table) = tables::training(tasks) {
        blocks.extend([Block::Heading("End of training"), Block::Wide(table)]);
    }
    if let Some(table) = tables::by_epoch(tasks) {
        blocks.extend([Block::Heading("By epoch"), Block::Wide(table)]);
    }
    blocks
}

/// The spread over seeds: of all tasks in one table where they are judged alike, else of each task; empty where no
/// configuration has several seeds.
fn over_seeds<'a>(findings: &Findings<'_>) -> Vec<Block<'a>> {
    if findings.all_alike().is_some() {
        return tables::seeds(&findings.tasks).map(Block::Wide).into_iter().collect();
    }
    let of_task = |task: &TaskFindings<'_>| {
        let table = tables::seeds(std::slice::from_ref(task))?;
        Some([Block::Text(format!("Task `{}`:", task.task.name)), Block::Wide(table)])
    };
    findings.tasks.iter().filter_map(of_task).flatten().collect()
}

fn together(findings: &Findings<'_>) -> String {
    let counts_tokens =
        |task: &TaskFindings<'_>| task.objective().tally().scores().count(Count::Tokens).is_some();
    let how = match findings.all_alike() {
        Some(task) if counts_tokens(task) => {
            "the loss is the mean over all evaluated tokens of all tasks, and perplexity and bits per token follow \
             from it"
        }
        Some(_) => "scores are means over tasks, each counting the same",
        None => {
            "each task by the metric that selects on it, on test rows where it has some. The mean is over tasks, each \
             counting the same, times 100, where all of these metrics have 1 as their best value and a lowest one"
        }
    };
    format!(
        "Configurations that differ in the task alone, over the tasks on which they are done: {how}. Rows with \
         different numbers of tasks cannot be compared."
    )
}

/// What is missing from the record; `None` where nothing is.
fn missing<'a>(findings: &Findings<'_>) -> Option<Section<'a>> {
    let record = findings.record;
    let mut notes: Vec<String> =
        record.failed_jobs.iter().map(|(key, failure)| format!("Job `{key}` failed: {failure}.")).collect();
    if !record.removed.is_empty() {
        let n = record.removed.len();
        notes.push(format!(
            "{} on disk {} no longer part of the sweep and {} not shown.",
            quantity::counted(n, "trial"),
            if n == 1 { "is" } else { "are" },
            if n == 1 { "is" } else { "are" },
        ));
    }
    // The run itself writes the report, as its last job, when nothing else is left to do.
    let to_come = |trial: &TrialRecord| match trial.state {
        TrialState::Waiting | TrialState::Running { .. } | TrialState::Paused { .. } => true,
        TrialState::Interrupted
        | TrialState::Done
        | TrialState::Stopped { .. }
        | TrialState::Failed { .. } => false,
    };
    if record.live && record.trials.iter().any(to_come) {
        notes.push("The sweep was still running when this report was written.".to_owned());
    }
    let mut blocks: Vec<Block<'a>> =
        tables::without_result(findings).map(Block::Narrow).into_iter().collect();
    if !notes.is_empty() {
        blocks.push(Block::List(notes));
    }
    (!blocks.is_empty()).then(|| section("Failed and unfinished", blocks))
}

fn settings<'a>(findings: &Findings<'_>) -> Section<'a> {
    let mut blocks: Vec<Block<'a>> = tables::tasks(findings).map(Block::Narrow).into_iter().collect();
    if !blocks.is_empty() {
        blocks.push(Block::Heading("Of all tasks"));
    }
    blocks.push(Block::Narrow(tables::settings(findings)));
    // Warnings about the data are shown with the data.
    let warnings = &findings.record.sweep.warnings;
    if !warnings.is_empty() {
        blocks.extend([Block::Heading("Warnings"), Block::List(warnings.clone())]);
    }
    section("Settings", blocks)
}

/// What wrote the report, and which state it shows. Times are the record's, in UTC.
#[must_use]
pub fn colophon(findings: &Findings<'_>) -> String {
    let record = findings.record;
    let when = match (record.started_at, record.updated_at) {
        (Some(start), Some(end)) => {
            format!(
                " Run started {}, last change {} (UTC).",
                start.strftime("%Y-%m-%d %H:%M"),
                end.strftime("%Y-%m-%d %H:%M")
            )
        }
        (Some(_) | None, _) => String::new(),
    };
    format!(
        "Written by lorasweep {}.{when} The numbers behind every table, unrounded: `trials.csv`, \
         `configurations.csv`.",
        env!("CARGO_PKG_VERSION")
    )
}
