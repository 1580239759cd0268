//! Owns CSV and TSV: the shape is verified first, then polars reads the columns, all as text.

use std::io::Cursor;
use std::sync::Arc;

use polars::prelude::{CsvParseOptions, CsvReadOptions, DataFrame, DataType, Schema, SerReader};

use super::records::Records;
use super::{Located, Place, Problem, Request, Table};

/// Reads delimited text.
pub(super) fn parse(text: &str, separator: u8, request: &Request<'_>) -> Result<Table, Located> {
    let mut records = Records::new(text, separator);
    let names = match request.columns {
        Some(names) => names.to_vec(),
        None if text.is_empty() => return Err((None, Problem::NoRows)),
        None => records.next_fields().map_err(|problem| (Some(Place { row: None, line: 1 }), problem))?,
    };
    let twice = |(i, name): (usize, &String)| names[..i].contains(name).then(|| name.clone());
    let unnamed = names.iter().find(|name| name.is_empty()).cloned();
    if let Some(name) = unnamed.or_else(|| names.iter().enumerate().find_map(twice)) {
        return Err((None, Problem::ColumnName(name)));
    }
    let start = records.offset();
    let (rows, end) = verify(records, names.len())?;
    let wanted = request.existing(&names);
    let columns = if wanted.is_empty() {
        DataFrame::empty()
    } else {
        read_columns(&text[start..end], separator, &names, &wanted)
            .map_err(|error| (None, Problem::Reader(error.to_string())))?
    };
    if !wanted.is_empty() && columns.height() != rows {
        let detail = format!("{} rows where {rows} were counted", columns.height());
        return Err((None, Problem::Reader(detail)));
    }
    Ok(Table { rows, names, columns })
}

/// Line at which a row begins; rows count from 0, lines from 1.
pub(super) fn line_of_row(
    text: &str,
    separator: u8,
    columns: Option<&[String]>,
    row: usize,
) -> Option<usize> {
    let header = usize::from(columns.is_none());
    let record = Records::new(text, separator).nth(row + header)?;
    record.ok().map(|record| record.line)
}

/// Number of rows and the offset behind the last one. Blank lines at the end are no rows.
fn verify(records: Records<'_>, expected: usize) -> Result<(usize, usize), Located> {
    let (mut rows, mut end) = (0, None);
    let mut blank = None;
    for (row, record) in (1..).zip(records) {
        let record = record.map_err(|(line, problem)| (Some(Place { row: Some(row), line }), problem))?;
        if record.blank {
            blank.get_or_insert((row, record));
            continue;
        }
        (rows, end) = (row, Some(record.end));
        for (row, record) in blank.take().into_iter().chain([(row, record)]) {
            if record.fields != expected {
                let place = Place { row: Some(row), line: record.line };
                return Err((Some(place), Problem::Ragged { found: record.fields, expected }));
            }
        }
    }
    end.map(|end| (rows, end)).ok_or((None, Problem::NoRows))
}

fn read_columns(
    body: &str,
    separator: u8,
    names: &[String],
    wanted: &[&str],
) -> polars::prelude::PolarsResult<DataFrame> {
    let schema: Schema = names.iter().map(|name| (name.into(), DataType::String)).collect();
    let options = CsvParseOptions::default().with_separator(separator).with_missing_is_null(false);
    CsvReadOptions::default()
        .with_has_header(false)
        .with_schema(Some(Arc::new(schema)))
        .with_infer_schema_length(Some(0))
        .with_columns(Some(wanted.iter().map(|name| (*name).into()).collect()))
        .with_parse_options(options)
        .into_reader_with_file_handle(Cursor::new(body.as_bytes()))
        .finish()
}
