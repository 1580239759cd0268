//! Owns conversations in rows: the columns in which data sets keep them, and what they call a turn's role.
//! Renders none.
//!
//! | columns | a conversation is |
//! |---|---|
//! | `messages` | a list of turns, each with `role` and `content` |
//! | `conversations` | the same, or turns with `from` and `value`, as ShareGPT has them |
//! | `instruction`, `instances` | for each instance the instruction with its `input`, and its `output` |
//! | `instruction`, `output` | the instruction, with `input` where there is one, and the output, as Alpaca has them |
//! | `prompt`, `completion` | two texts, or two lists of turns |
//!
//! With any of them, `system` is what the model is told first. A row without a value is a conversation without
//! turns.

use serde_json::{Map, Value};

use super::{Problem, answers, python};
use crate::tasks::Conversation;
use crate::tokenizer::{Role, Turn};

type Object = Map<String, Value>;

const MESSAGES: &str = "messages";
const CONVERSATIONS: &str = "conversations";
const INSTRUCTION: &str = "instruction";
const INSTANCES: &str = "instances";
const INPUT: &str = "input";
const OUTPUT: &str = "output";
const PROMPT: &str = "prompt";
const COMPLETION: &str = "completion";
const SYSTEM: &str = "system";

/// Columns that together hold conversations, the first ones before the others.
const SHAPES: [&[&str]; 5] =
    [&[MESSAGES], &[CONVERSATIONS], &[INSTRUCTION, INSTANCES], &[INSTRUCTION, OUTPUT], &[PROMPT, COMPLETION]];

/// The columns among these that hold conversations; empty where none do.
pub(super) fn columns(names: &[String]) -> Vec<&'static str> {
    let has = |name: &&str| names.iter().any(|other| other == *name);
    let found = SHAPES.iter().find(|shape| shape.iter().all(has));
    let more = [INPUT, SYSTEM].into_iter().filter(has);
    found.map(|shape| shape.iter().copied().chain(more).collect()).unwrap_or_default()
}

/// Whether an object is itself a row with a conversation.
pub(super) fn is_row(object: &Object) -> bool {
    let lists_texts = |name: &str| {
        object.get(name).and_then(Value::as_array).is_some_and(|list| {
            // Of columns rather than rows, each holds the values of all rows.
            name != MESSAGES && name != CONVERSATIONS && list.first().is_some_and(Value::is_string)
        })
    };
    SHAPES.iter().any(|shape| shape.iter().all(|name| object.contains_key(*name) && !lists_texts(name)))
}

/// The conversations of a row: one, or one for each instance.
pub(super) fn of_row(mut row: Object) -> Result<Vec<Conversation>, Problem> {
    row.retain(|_, value| !value.is_null());
    let shape = SHAPES.iter().find(|shape| shape.iter().all(|name| row.contains_key(*name)));
    let mut take = |name: &str| row.remove(name).unwrap_or_default();
    let system = said(take(SYSTEM), SYSTEM)?;
    let mut all = match shape.copied() {
        None => vec![Vec::new()],
        Some([only]) => vec![turns(take(only), only)?],
        Some([INSTRUCTION, INSTANCES]) => {
            let asked = said(take(INSTRUCTION), INSTRUCTION)?;
            let instance = |instance: Value| {
                let Value::Object(mut one) = instance else { return Err(wrong(INSTANCES, &instance)) };
                let mut part = |name| said(one.remove(name).unwrap_or_default(), name);
                Ok(answered(asked.clone(), &part(INPUT)?, part(OUTPUT)?))
            };
            listed(take(INSTANCES), INSTANCES)?.into_iter().map(instance).collect::<Result<_, _>>()?
        }
        Some([INSTRUCTION, ..]) => {
            let mut part = |name| said(take(name), name);
            vec![answered(part(INSTRUCTION)?, &part(INPUT)?, part(OUTPUT)?)]
        }
        Some(_) => {
            let mut all = side(take(PROMPT), Role::User, PROMPT)?;
            all.extend(side(take(COMPLETION), Role::Assistant, COMPLETION)?);
            vec![all]
        }
    };
    for turns in all.iter_mut().filter(|_| !system.trim().is_empty()) {
        if turns.first().is_none_or(|first| first.role != Role::System) {
            turns.insert(0, Turn::new(Role::System, system.clone()));
        }
    }
    Ok(all.into_iter().map(|turns| Conversation { turns }).collect())
}

/// A question, with what it is about where there is such a thing, and its answer.
fn answered(mut asked: String, about: &str, answer: String) -> Vec<Turn> {
    if !about.trim().is_empty() {
        asked = format!("{asked}\n\n{about}");
    }
    vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, answer)]
}

/// One side of an exchange: turns, or a text of this role.
fn side(value: Value, role: Role, column: &'static str) -> Result<Vec<Turn>, Problem> {
    let Value::String(text) = value else { return turns(value, column) };
    // A text may begin with a bracket and be no list.
    let list = python::begins(&text).then(|| turns(Value::String(text.clone()), column).ok()).flatten();
    Ok(list.unwrap_or_else(|| vec![Turn::new(role, text)]))
}

/// The turns of a list.
fn turns(value: Value, column: &'static str) -> Result<Vec<Turn>, Problem> {
    listed(value, column)?.into_iter().map(|turn| one_turn(turn, column)).collect()
}

fn one_turn(value: Value, column: &'static str) -> Result<Turn, Problem> {
    let Value::Object(mut fields) = value else { return Err(wrong(column, &value)) };
    let mut part = |names: [&str; 2]| names.into_iter().find_map(|name| fields.remove(name));
    let (role, content) = (part(["role", "from"]), part(["content", "value"]));
    let role = match role.as_ref().and_then(Value::as_str) {
        Some("system") => Role::System,
        Some("user" | "human") => Role::User,
        Some("assistant" | "gpt") => Role::Assistant,
        Some(other) => return Err(Problem::UnknownRole(answers::beginning(other))),
        None => return Err(Problem::UnknownRole(String::new())),
    };
    Ok(Turn { role, content: said(content.unwrap_or_default(), column)? })
}

/// The values of a list, which may be in text form.
fn listed(value: Value, column: &'static str) -> Result<Vec<Value>, Problem> {
    let read =
        value.as_str().and_then(|text| serde_json::from_str(text).ok().or_else(|| python::value(text)));
    let value = read.unwrap_or(value);
    if let Value::Array(list) = value { Ok(list) } else { Err(wrong(column, &value)) }
}

/// A text, or one in several parts.
fn said(value: Value, column: &'static str) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Array(parts) => parts.iter().map(|part| one_part(part, column)).collect(),
        other @ Value::Object(_) => Err(wrong(column, &other)),
    }
}

/// One part of a text; pictures and the like are none.
fn one_part(part: &Value, column: &'static str) -> Result<String, Problem> {
    let text = part.get("text").unwrap_or(part).as_str();
    text.map(str::to_owned).ok_or(Problem::NotTurns { column, found: "a part that is no text" })
}

fn wrong(column: &'static str, found: &Value) -> Problem {
    Problem::NotTurns { column, found: super::json::kind(found) }
}

#[cfg(test)]
mod tests;
