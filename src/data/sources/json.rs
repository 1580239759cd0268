//! Owns JSON: one object per line, or a document that holds rows. The content decides which, not the extension.
//! Values are text, numbers or truth values, except gold answers.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Problem;
use super::answers;
use super::chats;
use super::squad;
use super::table::{ANSWERS, IS_IMPOSSIBLE, Located, Place, Request, Table};

type Object = Map<String, Value>;

/// Reads JSON Lines, a list of rows, SQuAD's nesting, or one of the shapes that pandas writes.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let Some((number, first)) = lines.next() else { return Err((None, Problem::NoRows)) };
    match serde_json::from_str::<Object>(first) {
        Ok(_) if lines.next().is_some() => rows_of_lines(text, request),
        Ok(object) => {
            let whole = Value::Object(object);
            let whole = if is_row(&whole, request) { Value::Array(vec![whole]) } else { whole };
            let mut table = document(whole, request)?;
            if table.rows == 1 {
                table.lines = vec![number];
            }
            Ok(table)
        }
        Err(in_line) => match serde_json::from_str::<Value>(text) {
            Ok(whole) => document(whole, request),
            // A document that is cut off, or lines of which the first is wrong.
            Err(error) if text.trim_start().starts_with('[') || error.line() > number => {
                let place = Place { row: None, line: Some(error.line()) };
                Err((Some(place), Problem::NotJson(reason(&error))))
            }
            Err(_) => {
                let place = Place { row: Some(1), line: Some(number) };
                Err((Some(place), Problem::NotAnObject(reason(&in_line))))
            }
        },
    }
}

/// Whether an object is a row with lists in it, and no object of columns: a column of lists is a list of lists.
fn is_row(object: &Value, request: &Request<'_>) -> bool {
    let list = |name: &&str| object.get(name).and_then(Value::as_array);
    request.lists.iter().filter_map(list).any(|list| list.iter().all(|item| !item.is_array()))
}

fn rows_of_lines(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let mut rows = Rows::new(request);
    for (line, text) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let place = Some(Place { row: Some(rows.table.rows + 1), line: Some(line) });
        let object =
            serde_json::from_str(text).map_err(|error| (place, Problem::NotAnObject(reason(&error))))?;
        rows.add(object, Some(line))?;
    }
    rows.finish()
}

/// The rows of a document, by its shape.
fn document(document: Value, request: &Request<'_>) -> Result<Table, Located> {
    match document {
        Value::Array(rows) if nests(&rows) => squad::table(Value::Array(rows), request),
        Value::Array(rows) => rows_of_list(rows, request),
        Value::Object(object) if request.conversations && chats::is_row(&object) => {
            rows_of_list(vec![Value::Object(object)], request)
        }
        Value::Object(mut object) => {
            let list = match object.get("data") {
                Some(Value::Array(_)) => Some("data".to_owned()),
                Some(_) | None => only_list(&object),
            };
            match list.and_then(|key| object.remove(&key)) {
                Some(Value::Array(rows)) if nests(&rows) => squad::table(Value::Array(rows), request),
                Some(Value::Array(rows)) if rows.first().is_some_and(Value::is_array) => {
                    let names = object.remove("columns").unwrap_or_default();
                    rows_of_list(split(&names, rows), request)
                }
                Some(Value::Array(rows)) => rows_of_list(rows, request),
                Some(_) | None => rows_of_list(columns(object)?, request),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err((None, Problem::NoRowsInside(Vec::new())))
        }
    }
}

/// Whether these are SQuAD's articles.
fn nests(rows: &[Value]) -> bool {
    rows.first().is_some_and(|first| first.get("paragraphs").is_some())
}

/// The only key of an object with a list of objects.
fn only_list(object: &Object) -> Option<String> {
    let objects = |value: &Value| {
        value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object))
    };
    let mut keys = object.iter().filter(|(key, value)| *key != ANSWERS && objects(value)).map(|(key, _)| key);
    keys.next().filter(|_| keys.next().is_none()).cloned()
}

/// Rows that are lists, as pandas writes them with `orient="split"`.
fn split(names: &Value, rows: Vec<Value>) -> Vec<Value> {
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let row = |row: Value| match row {
        Value::Array(values) if values.len() == names.len() => {
            names.iter().map(|name| (*name).to_owned()).zip(values).collect::<Object>().into()
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => row,
    };
    rows.into_iter().map(row).collect()
}

/// The rows of an object that is itself a row, or that holds columns: as lists, or as objects by row as pandas
/// writes them.
fn columns(object: Object) -> Result<Vec<Value>, Located> {
    let keys: Vec<String> = object.keys().cloned().collect();
    let lists = |value: &Value| match value {
        Value::Array(list) => Some((false, list.len())),
        Value::Object(fields) => Some((true, fields.len())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let shapes: HashSet<_> = object.values().map(lists).collect();
    let [Some((_, rows @ 1..))] = shapes.iter().copied().collect::<Vec<_>>()[..] else {
        let is_row = object.iter().all(|(key, value)| key == ANSWERS || lists(value).is_none());
        let inside = || (None, Problem::NoRowsInside(keys));
        return if is_row && !object.is_empty() { Ok(vec![Value::Object(object)]) } else { Err(inside()) };
    };
    let mut all = vec![Object::new(); rows];
    for (name, values) in object {
        let values: Vec<Value> = match values {
            Value::Array(list) => list,
            Value::Object(fields) => in_order(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (row, value) in all.iter_mut().zip(values) {
            row.insert(name.clone(), value);
        }
    }
    Ok(all.into_iter().map(Value::Object).collect())
}

/// Values sorted by the number of their row, or by its name.
fn in_order(fields: Object) -> Vec<Value> {
    let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
    fields.sort_by_cached_key(|(row, _)| (row.parse::<u64>().unwrap_or(u64::MAX), row.clone()));
    fields.into_iter().map(|(_, value)| value).collect()
}

fn rows_of_list(list: Vec<Value>, request: &Request<'_>) -> Result<Table, Located> {
    let mut rows = Rows::new(request);
    for row in list {
        let place = Place { row: Some(rows.table.rows + 1), line: None };
        let Value::Object(object) = row else {
            return Err((Some(place), Problem::NotAnObject(format!("found {}", kind(&row)))));
        };
        rows.add(object, None)?;
    }
    rows.finish()
}

/// Rows in their order; the columns are all keys that any row has.
struct Rows<'r> {
    request: &'r Request<'r>,
    table: Table,
    known: HashSet<String>,
    columns: Vec<(&'r str, Vec<String>)>,
}

impl<'r> Rows<'r> {
    fn new(request: &'r Request<'r>) -> Self {
        let wanted: std::collections::BTreeSet<&str> = request.wanted.iter().copied().collect();
        let columns = wanted.into_iter().map(|name| (name, Vec::new())).collect();
        Self { request, table: Table::default(), known: HashSet::new(), columns }
    }

    /// Adds an object, which begins at this line.
    fn add(&mut self, mut object: Object, line: Option<usize>) -> Result<(), Located> {
        let row = self.table.rows;
        self.table.rows += 1;
        self.table.lines.extend(line);
        for key in object.keys().filter(|key| !self.known.contains(*key)).cloned().collect::<Vec<_>>() {
            self.known.insert(key.clone());
            self.table.names.push(key);
        }
        if self.request.conversations {
            let found = chats::of_row(object).map_err(|problem| (Some(self.table.place(row)), problem))?;
            self.table.rows = row + found.len();
            self.table.lines.resize(line.map_or(0, |_| self.table.rows), line.unwrap_or_default());
            self.table.conversations.extend(found);
            return Ok(());
        }
        let impossible = object.get(IS_IMPOSSIBLE).and_then(Value::as_bool) == Some(true);
        if self.request.answers {
            let found = object.remove(ANSWERS).filter(|_| !impossible).map(answers::gold);
            self.table.answers.push(found.unwrap_or_default());
        }
        for (name, values) in &mut self.columns {
            let value = match object.remove(*name) {
                Some(list @ Value::Array(_)) if self.request.lists.contains(name) => {
                    Ok(Some(list.to_string()))
                }
                value => text_of(value),
            };
            let not_text = |found| Problem::NotText { column: (*name).to_owned(), found };
            let value = value.map_err(|found| (Some(self.table.place(row)), not_text(found)))?;
            if value.is_none() {
                self.table.gaps.entry((*name).to_owned()).or_default().note(row);
            }
            values.push(value.unwrap_or_default());
        }
        Ok(())
    }

    fn finish(self) -> Result<Table, Located> {
        let Self { mut table, known, columns, .. } = self;
        if table.rows == 0 {
            return Err((None, Problem::NoRows));
        }
        let there = columns.into_iter().filter(|(name, _)| known.contains(*name));
        table.texts = there.map(|(name, values)| (name.to_owned(), values)).collect();
        table.gaps.retain(|name, _| known.contains(name));
        Ok(table)
    }
}

/// A value as text; `None` for a missing value.
fn text_of(value: Option<Value>) -> Result<Option<String>, &'static str> {
    match value {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::Bool(truth)) => Ok(Some(truth.to_string())),
        None | Some(Value::Null) => Ok(None),
        Some(other @ (Value::Array(_) | Value::Object(_))) => Err(kind(&other)),
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a truth value",
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON error without its position.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
