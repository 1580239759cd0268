//! Owns the notations of gold answers, in JSON and in tables that pandas wrote. Scores none.

use serde_json::Value;

use super::python;

/// Longest value shown in a message, in characters.
const LONGEST_SHOWN: usize = 40;

/// The content of a table's field with gold answers.
pub(super) enum Answers {
    /// A text, which is itself the answer.
    Text,
    /// A list of answers, or SQuAD's object with them.
    Listed(Vec<String>),
    /// The beginning of SQuAD's object, cut off.
    Cut,
}

/// Gold answers: a text, a list of texts, or either as the field `text` of an object. Any other value gives
/// none.
pub(super) fn gold(answers: Value) -> Vec<String> {
    match answers {
        Value::String(text) => vec![text],
        Value::Array(list) => list.into_iter().flat_map(gold).collect(),
        Value::Object(mut fields) => fields.remove("text").map(gold).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The content of a field, in JSON or in Python's notation.
pub(super) fn written(field: &str) -> Answers {
    if !python::begins(field) {
        return Answers::Text;
    }
    let value = serde_json::from_str(field).ok().or_else(|| python::value(field));
    match value {
        Some(Value::Object(fields)) if fields.contains_key("text") => {
            Answers::Listed(gold(Value::Object(fields)))
        }
        Some(Value::Array(items)) if items.iter().all(holds_text) => {
            Answers::Listed(gold(Value::Array(items)))
        }
        None if ["{'text'", "{\"text\""].iter().any(|start| field.trim_start().starts_with(start)) => {
            Answers::Cut
        }
        Some(_) | None => Answers::Text,
    }
}

fn holds_text(item: &Value) -> bool {
    match item {
        Value::String(_) => true,
        Value::Object(fields) => fields.contains_key("text"),
        Value::Array(items) => items.iter().all(holds_text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The beginning of a value, for messages.
pub(super) fn beginning(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_SHOWN).collect();
    if line.len() < text.len() { line + "…" } else { line }
}

/// One value of a column, if all its non-empty values are Python or JSON lists or dicts.
pub(super) fn structured(values: &[String]) -> Option<&str> {
    let mut filled = values.iter().filter(|value| !value.trim().is_empty()).take(50).peekable();
    let first = filled.peek()?.as_str();
    let is_value = |value: &String| {
        python::begins(value)
            && (serde_json::from_str::<Value>(value).is_ok() || python::value(value).is_some())
    };
    filled.all(is_value).then_some(first)
}
