//! Owns the check of classes: their names, their number, labels that look like typing errors or like missing
//! labels, and labels that training never sees. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::data::sources::canonical_number;
use crate::tasks::KeyValue;
use crate::values::quantity::counted;

use super::task::Surveyed;
use crate::spec::error::{Problem, Report};
use crate::spec::label_names::{self, ListFault, written};
use crate::spec::raw::task::RawTask;
use crate::spec::source::At;
use crate::spec::survey::TaskFacts;
use crate::spec::value::Labels;
use crate::spec::words::{quoted, short};

/// Most labels named in one message.
const MOST_NAMED: usize = 5;
/// What programs write for a missing label.
const NOTHING: [&str; 16] = [
    "-", "--", "?", "nan", "NaN", "NAN", "None", "null", "NULL", "Null", "NA", "N/A", "n/a", "<NA>", "#N/A",
    "NaT",
];

/// Checks that names and classes match.
pub(super) fn check(task: &RawTask, facts: &TaskFacts, train: Option<Surveyed<'_>>, report: &mut Report) {
    match label_names::names(task, &facts.label_values, facts.recorded_names()) {
        Err(ListFault { place, message, hint }) => {
            report.error(place, Problem::BadLabels(message)).hint(hint);
        }
        Ok(names) => {
            if let (Some(note), Some(labels)) = (names.note, &task.labels) {
                report.warn(labels.place, note);
            }
        }
    }
    if let Some(At { value: Labels::Map(pairs), .. }) = &task.labels {
        unused(pairs, facts, report);
    }
    weights(task, train, report);
    nothing_to_learn(task, train, report);
    let (Some(train), Some(label)) = (train, &task.label) else { return };
    let unsaid = unsaid(facts);
    like_nothing(task, label, &unsaid, report);
    alike(task, label, &unsaid, report);
    // Without any name the column is missing, which is reported already.
    if let [only] = train.survey.label_names.as_slice() {
        let column = label.value.clone();
        let problem = Problem::TooFewClasses { column, found: format!("one class only, `{only}`") };
        report.error(label.place, problem).allowed("two classes or more");
    }
}

/// Reports a column without any label, or with one tag only.
fn nothing_to_learn(task: &RawTask, train: Option<Surveyed<'_>>, report: &mut Report) {
    let Some(train) = train.filter(|_| !task.has_classes()) else { return };
    let column = task.named_columns().find(|column| {
        let is_label = task.label.as_ref().is_some_and(|label| label.value == column.value);
        is_label || task.given.text("tags") == Some(column.value.as_str())
    });
    // A missing column is reported already.
    let there = column.filter(|column| train.survey.columns.contains(&column.value));
    let found = match (train.survey.label_names.as_slice(), &task.label) {
        ([], _) => "no label in any row".to_owned(),
        ([only], None) => format!("one tag only, `{only}`"),
        _ => return,
    };
    if let Some(At { value: column, place }) = there {
        report.error(place, Problem::TooFewClasses { column, found }).allowed("two or more");
    }
}

/// Reports a weight for a class that there is not.
fn weights(task: &RawTask, train: Option<Surveyed<'_>>, report: &mut Report) {
    let known = train.map_or(&[][..], |train| train.survey.label_names.as_slice());
    for key in task.kind.keys().iter().filter(|key| matches!(key.value, KeyValue::Weights(_))) {
        let named = task.given.weights(key.name).into_iter().flat_map(|weights| weights.keys());
        for name in named.filter(|name| !known.is_empty() && !known.contains(name)) {
            let place = task.places.get(key.name).copied().unwrap_or(task.place);
            let (key, found) =
                (format!("`{}`", key.name), format!("a weight for class `{name}`, which no row has"));
            let error = report.error(place, Problem::BadValue { key, found });
            error.one_of(name, known.iter().map(String::as_str));
        }
    }
}

/// A value that no row has is most often a typing error, and then the intended class keeps its old name.
fn unused(pairs: &[(At<String>, At<String>)], facts: &TaskFacts, report: &mut Report) {
    let files = [&facts.train, &facts.validation, &facts.test];
    let surveys = files.into_iter().flatten().filter_map(|file| file.found.as_ref().ok());
    let others = surveys.flat_map(|found| found.label_values.keys());
    let mut known: HashSet<String> = HashSet::new();
    for value in facts.label_values.keys().chain(others) {
        known.insert(value.clone());
        known.extend(canonical_number(value));
        known.extend(value.trim().is_empty().then(String::new));
    }
    known.extend(facts.recorded_names().iter().cloned());
    let has = |value: &String| {
        known.contains(value) || canonical_number(value).is_some_and(|number| known.contains(&number))
    };
    for (value, _) in pairs.iter().filter(|(value, _)| !known.is_empty() && !has(&value.value)) {
        let near = facts.label_values.keys().find(|known| known.eq_ignore_ascii_case(&value.value));
        let next = match near {
            Some(near) => format!("; did you mean `{near}`?"),
            None if facts.label_values.len() <= MOST_NAMED => {
                let there: Vec<&String> = facts.label_values.keys().collect();
                format!("; its labels are {}", quoted(&there))
            }
            None => String::new(),
        };
        report.warn(value.place, format!("no training row has the label `{}`{next}", value.value));
    }
}

/// The training file's labels for which the task gives no name, with their rows, except the empty label.
fn unsaid(facts: &TaskFacts) -> BTreeMap<&str, usize> {
    let said: HashSet<&String> = facts.names.map.keys().chain(&facts.names.dropped).collect();
    let numbers: HashSet<String> = said.iter().filter_map(|value| canonical_number(value)).collect();
    let is_said = |value: &String| {
        said.contains(value) || canonical_number(value).is_some_and(|number| numbers.contains(&number))
    };
    let values = facts.label_values.iter().filter(|(value, _)| !value.trim().is_empty() && !is_said(value));
    values.map(|(value, rows)| (value.as_str(), *rows)).collect()
}

/// Labels that may mean a missing label: a word for nothing, or -1 besides numbers from 0 on.
fn like_nothing(task: &RawTask, label: &At<String>, unsaid: &BTreeMap<&str, usize>, report: &mut Report) {
    let number = |value: &str| canonical_number(value);
    let counts = |value: &str| number(value).is_some_and(|number| !number.starts_with('-'));
    let others = unsaid.keys().filter(|value| number(value).as_deref() != Some("-1"));
    // With 1 as the only other label, -1 is a class: negative and positive.
    let is_sign =
        others.clone().next().is_some() && others.clone().all(|value| number(value).as_deref() == Some("1"));
    let all_count = !is_sign && others.clone().all(|value| counts(value));
    for (value, rows) in unsaid {
        let minus_one = number(value).as_deref() == Some("-1") && all_count;
        if NOTHING.contains(value) || minus_one {
            let key = written(value);
            let [dropping, keeping] =
                [label_names::DROP, &key].map(|name| with(task, &[format!("{key}: {name}")]));
            let message = format!(
                "column `{}` has the label `{value}` in {}, which is a class of its own; where it means that there \
                 is no label, `{dropping}` leaves these rows out, and `{keeping}` keeps the class",
                label.value,
                counted(*rows, "row"),
            );
            report.warn(label.place, message);
        }
    }
}

/// The task's `labels` with additional pairs.
fn with(task: &RawTask, more: &[String]) -> String {
    let pair = |(value, name): (&str, &str)| format!("{}: {}", written(value), written(name));
    let mut pairs: Vec<String> = match &task.labels {
        Some(At { value: Labels::Map(pairs), .. }) => {
            pairs.iter().map(|(value, name)| pair((&value.value, &name.value))).collect()
        }
        Some(At { value: Labels::List(names), .. }) => (0..)
            .zip(names)
            .map(|(number, name): (usize, _)| pair((&number.to_string(), &name.value)))
            .collect(),
        None => Vec::new(),
    };
    if pairs.len() > MOST_NAMED {
        pairs = vec!["…".to_owned()];
    }
    pairs.extend_from_slice(more);
    format!("labels: {{{}}}", pairs.join(", "))
}

/// Labels that differ only in white space or case.
fn alike(task: &RawTask, label: &At<String>, unsaid: &BTreeMap<&str, usize>, report: &mut Report) {
    let mut groups: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
    for (value, rows) in unsaid.iter().filter(|(value, _)| canonical_number(value).is_none()) {
        let folded = value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        groups.entry(folded).or_default().push((value, *rows));
    }
    for mut group in groups.into_values().filter(|group| group.len() > 1) {
        group.sort_by_key(|(value, rows)| (std::cmp::Reverse(*rows), value.trim() != *value, *value));
        let name = group[0].0.trim();
        let told: Vec<String> = group
            .iter()
            .take(MOST_NAMED)
            .map(|(value, rows)| format!("`{}` ({})", short(value), counted(*rows, "row")))
            .collect();
        let others = group.iter().filter(|(value, _)| *value != name);
        let merges: Vec<String> = others
            .take(MOST_NAMED)
            .map(|(value, _)| format!("{}: {}", written(value), written(name)))
            .collect();
        let message = format!(
            "labels of column `{}` differ by white space or letter case alone, and each is a class of its own: {}; \
             `{}` makes them one",
            label.value,
            told.join(", "),
            with(task, &merges),
        );
        report.warn(label.place, message);
    }
}

/// A label that training never sees cannot be learned; most often it is a typing error in the file.
pub(super) fn unseen(train: Option<Surveyed<'_>>, other: Surveyed<'_>, report: &mut Report) {
    let Some(known) = train.map(|train| &train.survey.label_names).filter(|names| !names.is_empty()) else {
        return;
    };
    if let Some((message, names)) = other_order(train, other) {
        report.error(other.name.place, Problem::BadLabels(message)).hint(format!(
            "write both files with the names in one order (`Dataset.cast_column` of `datasets` does), here {names}"
        ));
        return;
    }
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
    let key = written(unseen[0]);
    let problem = Problem::UnseenLabels { labels, file: other.name.value.clone(), occur };
    let error = report.error(other.name.place, problem);
    if other.survey.label_names.iter().all(|name| canonical_number(name).as_deref() == Some("-1")) {
        error.hint(
            "all rows have -1, so the file has no labels, as the test files of many public tasks: name the \
             validation file instead, or hold out a `test_fraction`",
        );
        return;
    }
    error.hint(format!(
        "what training never sees cannot be learned: correct the file, or leave such rows out: \
         `labels: {{{key}: drop}}`"
    ));
    if canonical_number(unseen[0]).is_some() {
        // A number that is close to another is not a misspelling of it.
        error.allowed(quoted(&known[..known.len().min(MOST_NAMED)]));
    } else {
        error.one_of(unseen[0], known.iter().map(String::as_str));
    }
}

/// The class names of another file and of the training file, where the two record different names for the same
/// numbers.
fn other_order(train: Option<Surveyed<'_>>, other: Surveyed<'_>) -> Option<(String, String)> {
    let (ours, theirs) = (&train?.survey.class_names, &other.survey.class_names);
    if ours.is_empty() || theirs.is_empty() || ours == theirs {
        return None;
    }
    let listed = |names: &[String]| quoted(&names[..names.len().min(MOST_NAMED)]);
    let (file, names) = (&other.name.value, listed(ours));
    let message = format!(
        "`{file}` records the classes {} and the training file {names}: a number would mean another class in each",
        listed(theirs)
    );
    Some((message, names))
}
