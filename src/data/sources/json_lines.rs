//! Owns JSON Lines: one object a line, its values text, numbers or booleans, but for gold answers.

use serde_json::{Map, Value};

use super::Problem;
use super::squad::{gold, reason};
use super::table::{ANSWERS, Located, Place, Request, Table};

/// Reads JSON Lines. The first object's keys are the columns.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let mut table = Table::default();
    let mut wanted = Vec::new();
    let mut columns: Vec<Vec<String>> = Vec::new();
    for (line, text) in lines(text) {
        let place = Some(Place { row: Some(table.rows + 1), line: Some(line) });
        let mut object: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| (place, Problem::NotAnObject(reason(&error))))?;
        if table.rows == 0 {
            table.names = object.keys().cloned().collect();
            wanted = request.existing(&table.names);
            columns.resize(wanted.len(), Vec::new());
        }
        table.rows += 1;
        table.lines.push(line);
        if request.answers && table.has(ANSWERS) {
            table.answers.push(object.remove(ANSWERS).map(gold).unwrap_or_default());
        }
        for (values, name) in columns.iter_mut().zip(&wanted) {
            let value = text_of(object.remove(*name));
            let not_text = |found| (place, Problem::NotText { column: (*name).to_owned(), found });
            values.push(value.map_err(not_text)?);
        }
    }
    if table.rows == 0 {
        return Err((None, Problem::NoRows));
    }
    table.texts = wanted.into_iter().map(str::to_owned).zip(columns).collect();
    Ok(table)
}

/// Lines that are not blank, each with its number from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

fn text_of(value: Option<Value>) -> Result<String, &'static str> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(truth)) => Ok(truth.to_string()),
        Some(Value::Null) => Err("null"),
        Some(Value::Array(_)) => Err("a list"),
        Some(Value::Object(_)) => Err("an object"),
        None => Err("nothing"),
    }
}
