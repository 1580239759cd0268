//! Owns JSON Lines: one object a line, its values text, numbers or booleans.

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use serde_json::{Map, Value};

use super::{Located, Place, Problem, Request, Table};

/// Reads JSON Lines. The first object's keys are the columns.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    if request.columns.is_some() {
        return Err((None, Problem::ColumnsGiven));
    }
    let mut objects = lines(text).enumerate().map(|(row, (line, text))| {
        let place = Place { row: Some(row + 1), line };
        let object = serde_json::from_str::<Map<String, Value>>(text);
        object.map(|object| (place, object)).map_err(|error| {
            let detail = error.to_string();
            // The position in the message is that within the line.
            let detail = detail.split(" at line ").next().unwrap_or_default().to_owned();
            (Some(place), Problem::NotAnObject(detail))
        })
    });
    let first = objects.next().ok_or((None, Problem::NoRows))??;
    let names: Vec<String> = first.1.keys().cloned().collect();
    let wanted = request.existing(&names);
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); wanted.len()];
    let mut rows = 0;
    for object in std::iter::once(Ok(first)).chain(objects) {
        let (place, mut object) = object?;
        rows += 1;
        for (values, name) in columns.iter_mut().zip(&wanted) {
            let value = text_of(object.remove(*name))
                .map_err(|found| (Some(place), Problem::NotText { column: (*name).to_owned(), found }))?;
            values.push(value);
        }
    }
    let columns =
        wanted.iter().zip(columns).map(|(name, values)| Column::from(Series::new((*name).into(), values)));
    let columns =
        DataFrame::new(rows, columns.collect()).map_err(|e| (None, Problem::Reader(e.to_string())))?;
    Ok(Table { rows, names, columns })
}

/// Line of a row; rows count from 0, lines from 1.
pub(super) fn line_of_row(text: &str, row: usize) -> Option<usize> {
    lines(text).nth(row).map(|(line, _)| line)
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
