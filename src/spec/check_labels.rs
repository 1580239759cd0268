//! Owns the judgement of classes: their names, how many there are, and labels that training never
//! sees. Pure.

use std::collections::{BTreeMap, HashSet};

use super::check_task::Surveyed;
use super::error::{Problem, Report};
use super::raw_task::RawTask;
use super::source::{At, Place};
use super::survey::TaskFacts;
use super::value::Labels;
use super::words::quoted;

/// Most labels that one message names.
const MOST_NAMED: usize = 5;

/// Why a list of class names does not fit.
#[derive(Debug)]
pub(super) struct ListFault {
    place: Place,
    message: String,
}

/// What the file calls a class, to the class's name, by the values that the training file has.
///
/// # Errors
/// Where a list names whole numbers and the file has other values, or more of them than names.
pub(super) fn map(task: &RawTask, values: &[String]) -> Result<BTreeMap<String, String>, ListFault> {
    let Some(labels) = &task.labels else { return Ok(BTreeMap::new()) };
    let names = match &labels.value {
        Labels::Map(pairs) => {
            return Ok(pairs.iter().map(|(value, name)| (value.value.clone(), name.value.clone())).collect());
        }
        Labels::List(names) => names,
    };
    let fault = |message: String| ListFault { place: labels.place, message };
    let column = task.label.as_ref().map_or("label", |at| at.value.as_str());
    if let Some(other) = values.iter().find(|value| value.parse::<i64>().is_err()) {
        return Err(fault(format!(
            "a list names whole numbers, and column `{column}` has the value `{other}`"
        )));
    }
    let numbers = || values.iter().filter_map(|value| value.parse::<i64>().ok());
    let Some((least, most)) = numbers().min().zip(numbers().max()) else { return Ok(BTreeMap::new()) };
    if most.abs_diff(least) >= names.len() as u64 {
        let message =
            format!("there are {} names, and column `{column}` goes from {least} to {most}", names.len());
        return Err(fault(message));
    }
    Ok((least..).zip(names).map(|(number, name)| (number.to_string(), name.value.clone())).collect())
}

/// Whether names and classes fit each other.
pub(super) fn check(task: &RawTask, facts: &TaskFacts, train: Option<Surveyed<'_>>, report: &mut Report) {
    if let Err(ListFault { place, message }) = map(task, &facts.label_values) {
        let error = report.error(place, Problem::BadLabels(message));
        error.hint("give a name for every number, or a mapping: `labels: {0: first, 1: second}`");
    }
    if let Some(At { value: Labels::Map(pairs), .. }) = &task.labels {
        unused(pairs, &facts.label_values, report);
    }
    let (Some(train), Some(label)) = (train, &task.label) else { return };
    // No names at all: the column is missing, and that is told already.
    if let [only] = train.survey.label_names.as_slice() {
        let column = label.value.clone();
        let problem = Problem::TooFewClasses { column, found: format!("one class only, `{only}`") };
        report.error(label.place, problem).allowed("two classes or more");
    }
}

/// A value that no row has is most often a slip, and the class that was meant keeps its old name.
fn unused(pairs: &[(At<String>, At<String>)], values: &[String], report: &mut Report) {
    let known: HashSet<&String> = values.iter().collect();
    for (value, _) in pairs.iter().filter(|(value, _)| !known.is_empty() && !known.contains(&value.value)) {
        report.warn(value.place, format!("no training row has the label `{}`", value.value));
    }
}

/// A label that training never sees cannot be learned; most often it is a slip in the file.
pub(super) fn unseen(train: Option<Surveyed<'_>>, other: Surveyed<'_>, report: &mut Report) {
    let Some(known) = train.map(|train| &train.survey.label_names).filter(|names| !names.is_empty()) else {
        return;
    };
    let seen: HashSet<&String> = known.iter().collect();
    let unseen: Vec<&String> =
        other.survey.label_names.iter().filter(|label| !seen.contains(label)).collect();
    if unseen.is_empty() {
        return;
    }
    let mut labels = quoted(&unseen[..unseen.len().min(MOST_NAMED)]);
    if unseen.len() > MOST_NAMED {
        labels += &format!(" and {} more", unseen.len() - MOST_NAMED);
    }
    let noun = if unseen.len() == 1 { "label" } else { "labels" };
    let labels = format!("{noun} {labels}");
    let occur = if unseen.len() == 1 { "occurs" } else { "occur" };
    report
        .error(other.name.place, Problem::UnseenLabels { labels, file: other.name.value.clone(), occur })
        .hint("what training never sees cannot be learned: correct the file, or remove these rows")
        .one_of(unseen[0], known.iter().map(String::as_str));
}
