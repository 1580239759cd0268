//! Owns the lines of a starter sweep, with comments on why and on how to extend it. Guesses nothing.

use std::fmt::Write as _;

use crate::values::quantity;

use super::columns::Column;
use super::guess::Guess;
use super::settings::{Division, Model, Settings};
use super::{Starter, one_line, quote};
use crate::tasks::TaskKind;

/// Adds a line with its comment.
pub(super) fn line(task: &mut String, text: &str, comment: &str) {
    // Writing to a String cannot fail.
    let _ = if comment.is_empty() {
        writeln!(task, "  {text}")
    } else {
        writeln!(task, "  {text:<20}  # {}", one_line(comment))
    };
}

/// Adds how many of all rows are drawn, or how to say it, with an example.
pub(super) fn draw(task: &mut String, rows: Option<usize>, all: usize, example: usize) {
    if let Some(rows) = rows {
        let what =
            format!("of {}, for a quick first look; remove it to train on all", quantity::count(all as u64));
        line(task, &format!("rows: {rows}"), &what);
    } else {
        let what = "draw this many training rows, for a quick first look";
        line(task, &format!("# rows: {example}"), what);
    }
}

/// Adds a comment that names other possible columns, if there are any.
pub(super) fn others(task: &mut String, role: &str, names: Vec<String>) {
    if !names.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(task, "  # not used, but could be the {role}: {}", one_line(&names.join(", ")));
    }
}

/// Column names, or a list of them, in YAML.
pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() {
        Starter::TO_CHANGE.to_owned()
    } else {
        names.iter().map(|n| quote(n)).collect::<Vec<_>>().join(", ")
    }
}

/// The label, its classes, and any peculiarities of them.
pub(super) fn label_lines(guess: &Guess) -> String {
    let mut lines = String::new();
    let Some(label) = &guess.label else {
        line(&mut lines, &format!("label: {}", Starter::TO_CHANGE), "name the column with the label");
        return lines;
    };
    if let Some(range) = &label.numbers {
        let what = format!("numbers from {} to {}", range.least, range.most);
        line(&mut lines, &format!("label: {}", quote(&label.name)), &what);
        if label.empty > 0 {
            let rows = quantity::counted(label.empty, "row");
            lines += &format!("  # {rows} have no number, and must be removed from the file\n");
        }
        let found = |column: &Column| quote(&column.name);
        others(&mut lines, "label", guess.other_labels.iter().map(found).collect());
        return lines;
    }
    let rows: usize = label.classes.values().sum();
    let largest = label.classes.iter().max_by_key(|(_, rows)| **rows).map_or("", |(name, _)| name);
    let what = format!(
        "{} classes; {} of {} rows are {}",
        label.classes.len(),
        quantity::count(label.largest() as u64),
        quantity::count(rows as u64),
        quoted_short(largest),
    );
    line(&mut lines, &format!("label: {}", quote(&label.name)), &what);
    if label.empty > 0 {
        let what = format!("{} without a label are left out", quantity::counted(label.empty, "row"));
        line(&mut lines, "labels: {\"\": drop}", &what);
    }
    if label.smallest() < 5 {
        let rare: Vec<String> = label
            .classes
            .iter()
            .filter(|(_, rows)| **rows < 5)
            .map(|(name, rows)| format!("{} ({rows})", quoted_short(name)))
            .collect();
        lines += &format!("  # classes with fewer than 5 rows: {}\n", one_line(&rare.join(", ")));
        lines += "  # `cleaning: {min_label_rows: 5}` leaves them out\n";
    }
    let found = |column: &Column| format!("{} ({} classes)", quote(&column.name), column.classes.len());
    others(&mut lines, "label", guess.other_labels.iter().map(found).collect());
    lines
}

/// A value in backticks, shortened if it is long.
pub(super) fn quoted_short(name: &str) -> String {
    let mut short: String = name.chars().take(40).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("`{short}`")
}

/// How the rows are divided, with a comment on another division.
pub(super) fn division(kind: &dyn TaskKind, division: Division) -> String {
    let has_classes = kind.fields().has_classes();
    let stratified = if has_classes { "stratified: true, " } else { "" };
    match division {
        Division::Folds(k) => format!(
            "# Each configuration trains {k} times, every time with another fold held out to select on.\n\
             # Quicker: `split: {{fraction: 0.2, seed: 42}}` trains each once.\n\
             kfold: {{k: {k}, {stratified}seed: 42}}"
        ),
        Division::HoldOut(share) => {
            format!(
                "# A share of the rows is held out to select on; `kfold: {{k: 3, seed: 42}}` takes turns instead.\n\
                 split: {{fraction: {}, {stratified}seed: 42}}",
                if share == 5 { 0.2 } else { 0.1 }
            )
        }
    }
}

pub(super) fn training(settings: &Settings) -> String {
    let Settings { epochs, batch, steps, evaluate_every, .. } = settings;
    let lines = [
        (format!("epochs: {epochs}"), String::new()),
        (format!("batch_size: {batch}"), format!("{steps} optimiser steps per trial")),
        ("schedule: linear".to_owned(), String::new()),
        ("warmup: 0.1".to_owned(), "share of the steps".to_owned()),
        (
            format!("evaluate_every: {evaluate_every}"),
            format!("optimiser steps: {} validations per trial", steps / evaluate_every),
        ),
        ("seed: 42".to_owned(), "a list of seeds in a block trains each point once per seed".to_owned()),
    ];
    let mut text = String::new();
    for (setting, comment) in lines {
        line(&mut text, &setting, &comment);
    }
    text
}

/// Blocks that suit an encoder: LoRA's learning rates are about ten times those of full fine-tuning.
pub(super) fn encoder_grid(model: &Model) -> String {
    let targets = model.top_targets().map_or_else(String::new, |targets| {
        format!(
            "    # The two top layers, so that trials train together and share the layers below. Without this line every layer.\n    \
             targets: [{}]\n",
            targets.join(", ")
        )
    });
    format!(
        "  - method: lora\n    model: base\n    rank: [4, 16]        # widen: [4, 8, 16, 32]; `alpha: [16, 32]` is an axis as well\n{targets}    \
         learning_rate: [2e-3, 5e-3]\n  - method: full\n    model: base\n    learning_rate: 2e-4  # widen: [5e-5, 1e-4, 2e-4]\n"
    )
}

/// Blocks that suit a language model.
pub(super) fn decoder_grid(model: &Model) -> String {
    let full = "  - method: full\n    model: base\n    learning_rate: 5e-5\n";
    let base = "  - {method: base, model: base}    # before any training\n";
    let targets = model.top_targets().is_some();
    let widen = if targets {
        "    # `targets: [10.attn.c_attn, 11.attn.c_attn]` adapts the top layers alone, which is quicker\n"
    } else {
        ""
    };
    format!(
        "{base}  - method: lora\n    model: base\n    rank: [4, 16]\n{widen}    learning_rate: [5e-4, 1e-3]\n{full}"
    )
}
