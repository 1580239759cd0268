//! Owns the texts of warnings: what is wrong, how much of it, and what to do. Finds none itself.

use std::fmt;

use super::{Shared, Warning};
use crate::values::{Part, quantity};

/// Most names in one message.
const MOST_NAMED: usize = 5;

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyTexts { files } => {
                let parts: Vec<String> = files
                    .iter()
                    .map(|(part, empty, all)| format!("{} of {}", count(*empty), rows(*all, *part)))
                    .collect();
                write!(
                    f,
                    "{} have an empty text: there is nothing to learn from them; leave them out with \
                     `cleaning: {{min_words: 1}}`",
                    parts.join(" and ")
                )
            }
            Self::Leak { shared, folds } => write_leak(f, *shared, *folds),
            Self::Contradicting { texts, rows } => write!(
                f,
                "{} more than one label ({}): correct them, or remove them from the file",
                match texts {
                    1 => "1 text of the training rows occurs with".to_owned(),
                    more => format!("{} texts of the training rows occur with", count(*more)),
                },
                quantity::counted(*rows, "row"),
            ),
            Self::NoLabel { values } => write_no_label(f, values),
            Self::Spellings { groups } => write_spellings(f, groups),
            Self::Numbers { column, different, least, most } => {
                write_numbers(f, column, *different, (*least, *most))
            }
            Self::OneNumber { column, number } => write_one_number(f, column, *number),
            Self::OneRow { classes } => write!(
                f,
                "{} one row only, which stays in training: nothing tells how well such a class is predicted; add \
                 rows, join classes with `labels`, or leave small ones out with `cleaning: {{min_label_rows: 2}}`",
                have(classes)
            ),
            Self::InOneFold { classes } => write!(
                f,
                "{} all rows in one fold, which is then validated on without having seen the class; remove \
                 `stratified: false`",
                have(classes)
            ),
            Self::MoreHeldOut { key, held, wanted } => write!(
                f,
                "`{key}` would hold out {}, and {} are: one of each class with two rows or more; use more rows, \
                 or join small classes with `labels`",
                quantity::counted(*wanted, "row"),
                count(*held)
            ),
            Self::Cut { cut, of, max_length, enough, longest, models } => {
                write_cut(f, &percent(*cut, *of), *max_length, models)?;
                write_enough(f, *max_length, *enough, *longest)
            }
            Self::Unfit { rows, of, max_length } => write_unfit(f, (*rows, *of), *max_length),
            Self::SameFile { part } => write_same_file(f, *part),
            Self::AllWarmUp { configurations, steps } => write!(
                f,
                "{}every optimiser step is warm-up ({}), so the learning rate never gets to its value; train \
                 longer (`training.epochs`), in smaller batches (`training.batch_size`), or set \
                 `training.warmup: 0`",
                these(*configurations),
                span(*steps)
            ),
            Self::FewSteps { configurations, steps } => write!(
                f,
                "{}a trial is {} long, which is most often too short to learn from; train longer \
                 (`training.epochs`) or in smaller batches (`training.batch_size`)",
                these(*configurations),
                span(*steps)
            ),
            Self::OneEvaluation { configurations, every } => write!(
                f,
                "{}a trial is validated at its end only, so that nothing tells whether it still learned or had \
                 begun to overfit; set `training.evaluate_every: {every}`",
                these(*configurations)
            ),
        }
    }
}

fn write_unfit(f: &mut fmt::Formatter<'_>, (rows, of): (usize, usize), max_length: usize) -> fmt::Result {
    write!(
        f,
        "{} of {} training rows are left out: not even the first exchange of such a conversation fits into \
         {max_length} tokens; raise `max_length`",
        count(rows),
        count(of)
    )
}

fn write_numbers(
    f: &mut fmt::Formatter<'_>,
    column: &str,
    different: usize,
    (least, most): (f64, f64),
) -> fmt::Result {
    write!(
        f,
        "column `{column}` holds numbers, {} different ones from {least} to {most}, and each is a class \
         of its own: classification does not know that one is near another; learn the numbers themselves \
         with `kind: regression`, name a column of classes, or put ranges of these numbers into one",
        count(different)
    )
}

fn write_one_number(f: &mut fmt::Formatter<'_>, column: &str, number: f64) -> fmt::Result {
    write!(
        f,
        "column `{column}` has the number {number} in every row that is drawn: there is nothing to learn, and \
         no correlation is defined; name the column of the numbers to be learned"
    )
}

fn write_no_label(f: &mut fmt::Formatter<'_>, values: &[(String, usize)]) -> fmt::Result {
    write!(
        f,
        "{}, which most often {} no label; leave such rows out with `labels: {{{}}}`",
        match values {
            [_] => format!("the label {} counts as a class", listed(values)),
            _ => format!("the labels {} count as classes", listed(values)),
        },
        if values.len() == 1 { "means that there is" } else { "mean that there is" },
        entries(values.iter().map(|(name, _)| (name.as_str(), "drop"))),
    )
}

fn write_spellings(f: &mut fmt::Formatter<'_>, groups: &[Vec<(String, usize)>]) -> fmt::Result {
    write!(
        f,
        "classes differ in upper and lower case or white space only: {}; make them one with `labels: {{{}}}`",
        groups.iter().map(|group| listed(group)).collect::<Vec<_>>().join("; "),
        entries(
            groups
                .iter()
                .flat_map(|group| { group[1..].iter().map(|(name, _)| (name.as_str(), group[0].0.trim())) })
        ),
    )
}

fn write_leak(f: &mut fmt::Formatter<'_>, shared: Shared, folds: usize) -> fmt::Result {
    let Shared { part, rows: copies, of } = shared;
    let copies = count(copies);
    match part {
        Part::Train if folds > 1 => write!(
            f,
            "{copies} of {} have a copy in another fold, so they are validated on by a model that was trained on \
             their text; remove the copies from the training file",
            rows(of, part)
        ),
        Part::Train => write!(
            f,
            "{copies} of {} have the text of a row that is trained on, so that validation scores are too good; \
             remove the copies from the training file",
            quantity::counted(of, "validation row")
        ),
        Part::Validation | Part::Test => write!(
            f,
            "{copies} of {} have the text of a training row, so that {} scores are too good; remove these rows \
             from one of the two",
            rows(of, part),
            noun(part)
        ),
    }
}

fn write_same_file(f: &mut fmt::Formatter<'_>, part: Part) -> fmt::Result {
    let part = noun(part);
    write!(
        f,
        "the {part} file has the content of the training file, so that {part} scores say how well the text is known \
         by heart; name another file, or hold out a share of the training file"
    )
}

fn write_cut(f: &mut fmt::Formatter<'_>, share: &str, max_length: usize, models: &[String]) -> fmt::Result {
    write!(f, "{share} of the training rows are cut at {max_length} tokens")?;
    let names = some(models.iter().map(|name| named(name)));
    match models {
        [] => Ok(()),
        [_] => write!(f, " by the tokenizer of model {names}"),
        [_, _, ..] => write!(f, " by the tokenizer of models {names}"),
    }
}

/// Writes how long sequences would have to be, after the number of cut rows.
fn write_enough(f: &mut fmt::Formatter<'_>, max_length: usize, enough: usize, longest: usize) -> fmt::Result {
    f.write_str("; ")?;
    if enough <= longest {
        write!(f, "`max_length: {enough}` cuts at most 5 %")
    } else if max_length < longest {
        write!(f, "`max_length: {longest}` is the most that the model reads; {enough} would cut at most 5 %")
    } else {
        write!(
            f,
            "the model reads no more, and {enough} would cut at most 5 %: choose another model, or let the text \
             begin with what matters"
        )
    }
}

/// A share in percent: `12.5 %`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn count(n: usize) -> String {
    quantity::count(n as u64)
}

fn noun(part: Part) -> &'static str {
    match part {
        Part::Train => "training",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

fn rows(n: usize, part: Part) -> String {
    quantity::counted(n, &format!("{} row", noun(part)))
}

/// Values with their rows: `` `-` (2 rows), `nan` (1 row) ``.
fn listed(values: &[(String, usize)]) -> String {
    let one =
        |(name, rows): &(String, usize)| format!("{} ({})", named(name), quantity::counted(*rows, "row"));
    some(values.iter().map(one))
}

/// The first items of a list, and the number of further ones.
fn some(mut all: impl ExactSizeIterator<Item = String>) -> String {
    let beyond = all.len().saturating_sub(MOST_NAMED);
    let mut text = all.by_ref().take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if beyond > 0 {
        text += &format!(" and {beyond} more");
    }
    text
}

/// A name in backticks, on one line, so that commas and spaces in it are not misread.
#[must_use]
pub fn named(name: &str) -> String {
    format!("`{}`", name.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

/// `class `a` has`, `classes `a`, `b` have`.
fn have(classes: &[String]) -> String {
    let names = some(classes.iter().map(|name| named(name)));
    if classes.len() == 1 { format!("class {names} has") } else { format!("classes {names} have") }
}

/// Entries of a YAML mapping, ready to be pasted.
fn entries<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let one = |(from, to): (&str, &str)| format!("{}: {}", quoted(from), plain(to));
    pairs.map(one).collect::<Vec<_>>().join(", ")
}

/// A text in YAML's double quotes.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The same, without quotes where YAML needs none.
fn plain(text: &str) -> String {
    let bare = text.chars().all(|c| c.is_alphabetic() || c == '_')
        && !matches!(text, "true" | "false" | "null" | "");
    if bare { text.to_owned() } else { quoted(text) }
}

/// `in all 4 configurations `, `in 2 of 4 configurations `; empty where there is one.
fn these((some, all): (usize, usize)) -> String {
    match (some, all) {
        (_, 1) => String::new(),
        (some, all) if some == all => format!("in all {} ", quantity::counted(all, "configuration")),
        (some, all) => format!("in {} of {} ", count(some), quantity::counted(all, "configuration")),
    }
}

/// `19 optimiser steps`, `19 to 38 optimiser steps`.
fn span((least, most): (u64, u64)) -> String {
    if least == most {
        let noun = if most == 1 { "optimiser step" } else { "optimiser steps" };
        format!("{} {noun}", quantity::count(most))
    } else {
        format!("{} to {} optimiser steps", quantity::count(least), quantity::count(most))
    }
}
