//! Owns the columns of Parquet and Arrow as text: numbers of any width, truth values, categories and text of
//! any layout. A missing value is an empty text and is noted as a gap. Gold answers stay lists.

use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{Column, DataFrame, DataType, PolarsError, PolarsResult, Series};
use serde_json::{Map, Value};

use super::Problem;
use super::answers::{self, Answers};
use super::chats;
use super::table::{ANSWERS, Gap, Located, Place, Request, Table};

/// Runs a reader that panics on some damaged files; nothing shared outlives such a panic.
pub(super) fn guarded(
    kind: &'static str,
    read: impl FnOnce() -> Result<Table, Located>,
) -> Result<Table, Located> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let detail = "its pages contradict each other".to_owned();
        Err((None, Problem::Broken { kind, detail }))
    })
}

/// A reader's error, as one about its file.
pub(super) fn broken(kind: &'static str) -> impl Fn(PolarsError) -> Located {
    move |error| (None, Problem::Broken { kind, detail: error.to_string() })
}

/// Takes the wanted columns of a frame, and the gold answers if wanted.
pub(super) fn take(
    table: &mut Table,
    frame: &DataFrame,
    (wanted, request): (&[&str], &Request<'_>),
    kind: &'static str,
) -> Result<(), Located> {
    for name in wanted {
        let column = frame.column(name).map_err(broken(kind))?;
        let values = if column.dtype().is_list() && request.lists.contains(name) {
            lists(column.as_materialized_series(), kind)?
        } else {
            texts(column, kind)?
        };
        let mut gap = Gap::default();
        values.iter().enumerate().filter(|(_, value)| value.is_none()).for_each(|(row, _)| gap.note(row));
        if gap.rows > 0 {
            table.gaps.insert((*name).to_owned(), gap);
        }
        table.texts.insert((*name).to_owned(), values.into_iter().map(Option::unwrap_or_default).collect());
    }
    if request.answers && table.has(ANSWERS) {
        let column = frame.column(ANSWERS).map_err(broken(kind))?;
        let column = column.as_materialized_series();
        table.answers =
            if column.dtype().is_string() { written(column)? } else { gold(column).map_err(broken(kind))? };
    }
    Ok(())
}

/// Takes the conversations in these columns; each is a row of the table.
pub(super) fn converse(
    table: &mut Table,
    frame: &DataFrame,
    columns: &[&str],
    kind: &'static str,
) -> Result<(), Located> {
    if columns.is_empty() {
        return Ok(());
    }
    let mut rows = vec![Map::new(); table.rows];
    for name in columns {
        let column = frame.column(name).map_err(broken(kind))?;
        let values = nested(column.as_materialized_series()).map_err(broken(kind))?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert((*name).to_owned(), value);
        }
    }
    for (at, row) in rows.into_iter().enumerate() {
        let place = Place { row: Some(at + 1), line: None };
        table.conversations.extend(chats::of_row(row).map_err(|problem| (Some(place), problem))?);
    }
    table.rows = table.conversations.len();
    Ok(())
}

/// A column's values with the lists and structs in them; all else is text.
fn nested(series: &Series) -> PolarsResult<Vec<Value>> {
    if let DataType::Struct(fields) = series.dtype() {
        let mut rows: Vec<Map<String, Value>> = vec![Map::new(); series.len()];
        for field in fields {
            let values = nested(&series.struct_()?.field_by_name(&field.name)?)?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.insert(field.name.to_string(), value);
            }
        }
        return Ok(rows.into_iter().map(Value::Object).collect());
    }
    if let DataType::List(_) = series.dtype() {
        let row = |row: Option<Series>| row.map_or(Ok(Value::Null), |list| nested(&list).map(Value::Array));
        return series.list()?.series_iter().map(row).collect();
    }
    let texts = series.cast(&DataType::String)?;
    Ok(texts.str()?.iter().map(|text| text.map_or(Value::Null, Value::from)).collect())
}

/// The columns that the reader must load.
pub(super) fn needed(wanted: &[&str], answers: bool, more: &[&str]) -> Vec<String> {
    let all = wanted.iter().chain(more).copied().chain(answers.then_some(ANSWERS));
    all.map(str::to_owned).collect()
}

/// An error if a wanted column holds values without a text form; `kinds` are all columns with the type in their
/// schema.
pub(super) fn no_text(kinds: impl Iterator<Item = (String, String)>, wanted: &[&str]) -> Result<(), Located> {
    let without = ["Date", "Time", "Timestamp", "Duration", "Interval"];
    for (column, kind) in kinds.filter(|(column, _)| wanted.contains(&column.as_str())) {
        if without.iter().any(|name| kind.starts_with(name)) {
            return Err((None, Problem::NotText { column, found: "dates or times" }));
        }
    }
    Ok(())
}

/// Notes the class names that `datasets` recorded for columns of whole numbers, in the JSON text of its
/// features.
pub(super) fn note_classes(table: &mut Table, recorded: &str) {
    let Ok(info) = serde_json::from_str::<Value>(recorded) else { return };
    let features = info.get("info").unwrap_or(&info).get("features").and_then(Value::as_object);
    for (column, feature) in features.into_iter().flatten() {
        let is_class = feature.get("_type").and_then(Value::as_str) == Some("ClassLabel");
        let names = feature.get("names").and_then(Value::as_array).filter(|_| is_class);
        let names = names.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        if let Some(names) = names {
            table.class_names.insert(column.clone(), names);
        }
    }
}

/// A column's values as text; `None` for missing values.
fn texts(column: &Column, kind: &'static str) -> Result<Vec<Option<String>>, Located> {
    let dtype = column.dtype();
    let not_text = |found| (None, Problem::NotText { column: column.name().to_string(), found });
    if dtype.is_nested() {
        return Err(not_text("a list or a struct"));
    }
    if let DataType::Binary = dtype {
        let values = column.binary().map_err(broken(kind))?;
        let text = |(row, value): (usize, Option<&[u8]>)| {
            let place = Place { row: Some(row + 1), line: None };
            let text = value.map(|bytes| std::str::from_utf8(bytes).map(str::to_owned)).transpose();
            let found = "bytes that are not UTF-8 text";
            text.map_err(|_| (Some(place), Problem::NotText { column: column.name().to_string(), found }))
        };
        return values.iter().enumerate().map(text).collect();
    }
    let known = dtype.is_string() || dtype.is_primitive_numeric() || dtype.is_bool() || dtype.is_decimal();
    if !(known || dtype.is_null() || dtype.is_categorical()) {
        return Err(not_text("neither text nor numbers"));
    }
    let cast = column.cast(&DataType::String).map_err(broken(kind))?;
    let values = cast.str().map_err(broken(kind))?;
    // pandas writes missing numbers like this.
    let is_missing = |value: &&str| dtype.is_float() && value.eq_ignore_ascii_case("nan");
    Ok(values.iter().map(|value| value.filter(|value| !is_missing(value)).map(str::to_owned)).collect())
}

/// The values of a column of lists, each as JSON has it.
fn lists(column: &Series, kind: &'static str) -> Result<Vec<Option<String>>, Located> {
    let rows = column.list().map_err(broken(kind))?.series_iter();
    let row = |row: Option<Series>| {
        let Some(list) = row else { return Ok(None) };
        let items = texts(&list.into(), kind)?;
        Ok(Some(
            Value::from(items.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()).to_string(),
        ))
    };
    rows.map(row).collect()
}

/// The gold answers of each row: a text, a list of texts, or either as the field `text` of a struct.
fn gold(answers: &Series) -> PolarsResult<Vec<Vec<String>>> {
    if let DataType::Struct(_) = answers.dtype() {
        return gold(&answers.struct_()?.field_by_name("text")?);
    }
    if let DataType::List(_) = answers.dtype() {
        let row = |row: Option<Series>| row.map_or(Ok(Vec::new()), |list| Ok(gold(&list)?.concat()));
        return answers.list()?.series_iter().map(row).collect();
    }
    Ok(answers.str()?.iter().map(|text| text.map(str::to_owned).into_iter().collect()).collect())
}

/// The gold answers of each row, if these are texts or lists in text form.
fn written(answers: &Series) -> Result<Vec<Vec<String>>, Located> {
    let values = answers.str().map_err(broken("a table"))?;
    let row = |(row, value): (usize, Option<&str>)| match value {
        None => Ok(Vec::new()),
        Some(text) => match answers::written(text) {
            Answers::Text => Ok(vec![text.to_owned()]),
            Answers::Listed(listed) => Ok(listed),
            Answers::Cut => {
                let place = Place { row: Some(row + 1), line: None };
                Err((Some(place), Problem::CutAnswers(answers::beginning(text))))
            }
        },
    };
    values.iter().enumerate().map(row).collect()
}
