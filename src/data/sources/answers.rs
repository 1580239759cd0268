//! Owns the shapes in which gold answers are written, in JSON and in what pandas makes of them in a
//! table.

use serde_json::Value;

use super::python;

/// Most characters of a value that a message shows.
const LONGEST_SHOWN: usize = 40;

/// What a field of a table holds where gold answers are wanted.
pub(super) enum Answers {
    /// A text, which is the answer itself.
    Text,
    /// A list of answers, or SQuAD's object of them.
    Listed(Vec<String>),
    /// The beginning of SQuAD's object.
    Cut,
}

/// Gold answers: a text, a list of texts, or either as the field `text` of an object. What is
/// anything else is no answer.
pub(super) fn gold(answers: Value) -> Vec<String> {
    match answers {
        Value::String(text) => vec![text],
        Value::Array(list) => list.into_iter().flat_map(gold).collect(),
        Value::Object(mut fields) => fields.remove("text").map(gold).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// What is written in a field: JSON, or Python's way of writing the same.
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

/// Whether every value of a column that is not empty is a Python or JSON list or dict; one of them.
pub(super) fn structured(values: &[String]) -> Option<&str> {
    let mut filled = values.iter().filter(|value| !value.trim().is_empty()).take(50).peekable();
    let first = filled.peek()?.as_str();
    let is_value = |value: &String| {
        python::begins(value)
            && (serde_json::from_str::<Value>(value).is_ok() || python::value(value).is_some())
    };
    filled.all(is_value).then_some(first)
}
