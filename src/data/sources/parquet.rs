//! Owns Parquet: columns of text, numbers and truth values become text, gold answers stay lists.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{Column, DataType, ParallelStrategy, ParquetReader, PolarsResult, SerReader, Series};

use super::Problem;
use super::table::{ANSWERS, Located, Place, Request, Table};

/// Reads the wanted columns.
pub(super) fn parse(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    // The reader panics on some damaged files; it holds nothing that outlives it.
    catch_unwind(AssertUnwindSafe(|| read(bytes, request))).unwrap_or_else(|_| {
        let detail = "its pages contradict each other".to_owned();
        Err((None, Problem::Broken { kind: "Parquet", detail }))
    })
}

fn read(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    let broken = |error: polars::prelude::PolarsError| {
        (None, Problem::Broken { kind: "Parquet", detail: error.to_string() })
    };
    // On this thread alone, so that a panic stays on it.
    let mut reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
    let rows = reader.num_rows().map_err(broken)?;
    let names: Vec<String> = reader.schema().map_err(broken)?.iter_names().map(ToString::to_string).collect();
    if rows == 0 {
        return Err((None, Problem::NoRows));
    }
    let mut table = Table { rows, names, ..Table::default() };
    let wanted = request.existing(&table.names);
    let lists = request.answers && table.has(ANSWERS);
    let read: Vec<String> =
        wanted.iter().copied().chain(lists.then_some(ANSWERS)).map(str::to_owned).collect();
    if read.is_empty() {
        return Ok(table);
    }
    let frame = reader.with_columns(Some(read)).finish().map_err(broken)?;
    for name in wanted {
        let values = texts(frame.column(name).map_err(broken)?)?;
        table.texts.insert(name.to_owned(), values);
    }
    if lists {
        let column = frame.column(ANSWERS).map_err(broken)?;
        table.answers = gold(column.as_materialized_series()).map_err(broken)?;
    }
    Ok(table)
}

/// A column's values as text.
fn texts(column: &Column) -> Result<Vec<String>, Located> {
    let not_text = |place, found| (place, Problem::NotText { column: column.name().to_string(), found });
    let kind = column.dtype();
    if !(kind.is_string() || kind.is_primitive_numeric() || kind.is_bool()) {
        let found = if kind.is_nested() { "a list or a struct" } else { "neither text nor numbers" };
        return Err(not_text(None, found));
    }
    let values = column
        .cast(&DataType::String)
        .map_err(|error| (None, Problem::Broken { kind: "Parquet", detail: error.to_string() }))?;
    let values = values.str().expect("the column was cast to text");
    let value = |(row, value): (usize, Option<&str>)| {
        let place = Place { row: Some(row + 1), line: None };
        value.map(str::to_owned).ok_or_else(|| not_text(Some(place), "null"))
    };
    values.iter().enumerate().map(value).collect()
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
