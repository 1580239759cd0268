//! Owns the class names of the values in the label column, from the task's `labels` or from names that a file
//! records. Pure; reports no error.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::sources::canonical_number;

use super::raw::task::RawTask;
use super::source::{At, Place};
use super::value::Labels;

/// The name for labels whose rows are left out.
pub(super) const DROP: &str = "drop";

/// The names of label values; values without an entry are names already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// From values to class names.
    pub(super) map: BTreeMap<String, String>,
    /// Values whose rows are left out.
    pub(super) dropped: BTreeSet<String>,
    /// A note on a list whose first name is not for 0.
    pub(super) note: Option<String>,
}

/// Why a list of class names does not match.
#[derive(Debug)]
pub(super) struct ListFault {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: String,
}

/// The names for these values of the training file, which come with their number of rows. `recorded` are the
/// file's own names for 0, 1, 2 …; the task's names take precedence.
///
/// A list names 0, 1, 2 … in order. Where the values are the same number of consecutive integers with another
/// start, it names them in order and adds a note; -1 for a missing label then has no name.
///
/// # Errors
/// Where a list and the values match in neither way.
pub(super) fn names(
    task: &RawTask,
    values: &BTreeMap<String, usize>,
    recorded: &[String],
) -> Result<Names, ListFault> {
    match &task.labels {
        Some(At { value: Labels::Map(pairs), .. }) => {
            let mut names = numbered(0, recorded);
            for (value, name) in pairs {
                let keys = keys_of(&value.value, &names);
                for key in keys {
                    names.say(key, &name.value);
                }
            }
            Ok(names)
        }
        Some(At { value: Labels::List(list), place }) => {
            let list: Vec<String> = list.iter().map(|name| name.value.clone()).collect();
            let tags = task.given.text("tags").unwrap_or("label");
            let column = task.label.as_ref().map_or(tags, |at| at.value.as_str());
            listed(&list, values, column).map_err(|(message, hint)| ListFault {
                place: *place,
                message,
                hint,
            })
        }
        None => Ok(numbered(0, recorded)),
    }
}

/// The values that a key of a mapping means: itself, or the values with this recorded name.
fn keys_of(key: &str, names: &Names) -> Vec<String> {
    let number = canonical_number(key);
    let same = |value: &&String| number.is_some() && canonical_number(value) == number;
    if let Some(value) = names.map.keys().find(same) {
        return vec![value.clone()];
    }
    let called: Vec<String> =
        names.map.iter().filter(|(_, name)| *name == key).map(|(value, _)| value.clone()).collect();
    if called.is_empty() { vec![key.to_owned()] } else { called }
}

/// Names for whole numbers, beginning with `first`.
fn numbered(first: i64, list: &[String]) -> Names {
    let mut names = Names::default();
    for (number, name) in (first..).zip(list) {
        names.say(number.to_string(), name);
    }
    names
}

impl Names {
    fn say(&mut self, value: String, name: &str) {
        if name == DROP {
            self.map.remove(&value);
            self.dropped.insert(value);
        } else {
            self.map.insert(value, name.to_owned());
        }
    }
}

fn listed(
    list: &[String],
    values: &BTreeMap<String, usize>,
    column: &str,
) -> Result<Names, (String, String)> {
    let mut numbers = BTreeSet::new();
    for value in values.keys().filter(|value| !value.trim().is_empty()) {
        match canonical_number(value).and_then(|number| number.parse::<i64>().ok()) {
            Some(number) => numbers.insert(number),
            None => {
                let message =
                    format!("a list names whole numbers, and column `{column}` has the value `{value}`");
                return Err((message, "give a mapping: `labels: {VALUE: NAME}`".to_owned()));
            }
        };
    }
    let (Some(&least), Some(&most)) = (numbers.first(), numbers.last()) else { return Ok(Names::default()) };
    let last = i64::try_from(list.len()).unwrap_or(i64::MAX) - 1;
    let from_zero = least == 0 && most <= last;
    // Data sets of the hub mark a missing label like this.
    let with_missing = least == -1 && most == last && numbers.contains(&0);
    if from_zero || with_missing {
        return Ok(numbered(0, list));
    }
    if least > 0 && most - least == last {
        let note = format!(
            "the values of column `{column}` begin at {least}: `labels` calls {least} `{}` and {most} `{}`",
            list.first().map_or("", String::as_str),
            list.last().map_or("", String::as_str),
        );
        return Ok(Names { note: Some(note), ..numbered(least, list) });
    }
    let message = format!(
        "there {} {} name{}, and column `{column}` goes from {least} to {most}",
        if list.len() == 1 { "is" } else { "are" },
        list.len(),
        if list.len() == 1 { "" } else { "s" }
    );
    let fits = numbers.len() == list.len();
    let mapping: Vec<String> =
        numbers.iter().zip(list).map(|(number, name)| format!("{number}: {}", written(name))).collect();
    let hint = if fits {
        format!("a list names 0, 1, 2 … in order; say which is which: `labels: {{{}}}`", mapping.join(", "))
    } else {
        "a list names 0, 1, 2 … in order: give a name for every number, or a mapping: \
         `labels: {0: first, 1: second}`"
            .to_owned()
    };
    Err((message, hint))
}

/// A value in the notation of a YAML mapping on one line.
pub(super) fn written(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == ' ';
    let begins = text.chars().next().is_some_and(char::is_alphanumeric);
    let is_word = ["null", "true", "false"].contains(&text.to_lowercase().as_str());
    let is_negative = text.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok());
    if is_negative || (begins && !is_word && text.trim() == text && text.chars().all(plain)) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
