//! Owns CSV and TSV: the shape is verified first, then polars reads the columns, all as text.

use std::io::Cursor;
use std::sync::Arc;

use polars::prelude::{CsvParseOptions, CsvReadOptions, DataFrame, DataType, Schema, SerReader};

use super::Problem;
use super::records::Records;
use super::table::{ANSWERS, Located, Place, Request, Table};

/// Reads delimited text. A gold answer is a text of its own.
pub(super) fn parse(text: &str, separator: u8, request: &Request<'_>) -> Result<Table, Located> {
    let mut records = Records::new(text, separator);
    let names = match request.columns {
        Some(names) => names.to_vec(),
        None if text.is_empty() => return Err((None, Problem::NoRows)),
        None => {
            records.next_fields().map_err(|problem| (Some(Place { row: None, line: Some(1) }), problem))?
        }
    };
    let twice = |(i, name): (usize, &String)| names[..i].contains(name).then(|| name.clone());
    let unnamed = names.iter().find(|name| name.is_empty()).cloned();
    if let Some(name) = unnamed.or_else(|| names.iter().enumerate().find_map(twice)) {
        return Err((None, Problem::ColumnName(name)));
    }
    let start = records.offset();
    let (lines, end) = verify(records, names.len())?;
    let mut wanted = request.existing(&names);
    let answers = request.answers && names.iter().any(|name| name == ANSWERS);
    wanted.extend(answers.then_some(ANSWERS));
    let mut table = Table { rows: lines.len(), names, lines, ..Table::default() };
    if !wanted.is_empty() {
        let reader = |detail: String| (None, Problem::Reader(detail));
        let frame = read_columns(&text[start..end], separator, &table.names, &wanted)
            .map_err(|error| reader(error.to_string()))?;
        if frame.height() != table.rows {
            return Err(reader(format!("{} rows where {} were counted", frame.height(), table.rows)));
        }
        for name in wanted {
            let column = frame.column(name).and_then(|column| column.str());
            let column = column.map_err(|error| reader(error.to_string()))?;
            let values = column.iter().map(|value| value.unwrap_or_default().to_owned()).collect();
            table.texts.insert(name.to_owned(), values);
        }
    }
    if answers {
        let answer = |text: String| if text.is_empty() { vec![] } else { vec![text] };
        table.answers = table.texts.remove(ANSWERS).into_iter().flatten().map(answer).collect();
    }
    Ok(table)
}

/// Line at which each row begins, and the offset behind the last one. Blank lines at the end are no
/// rows.
fn verify(records: Records<'_>, expected: usize) -> Result<(Vec<usize>, usize), Located> {
    let (mut lines, mut end) = (Vec::new(), None);
    let mut blank = Vec::new();
    for record in records {
        let row = lines.len() + blank.len() + 1;
        let record =
            record.map_err(|(line, problem)| (Some(Place { row: Some(row), line: Some(line) }), problem))?;
        if record.blank {
            blank.push(record);
            continue;
        }
        end = Some(record.end);
        for record in blank.drain(..).chain([record]) {
            lines.push(record.line);
            if record.fields != expected {
                let place = Place { row: Some(lines.len()), line: Some(record.line) };
                return Err((Some(place), Problem::Ragged { found: record.fields, expected }));
            }
        }
    }
    end.map(|end| (lines, end)).ok_or((None, Problem::NoRows))
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
