//! Owns the reading of Apache Arrow's stream format, as saved by `datasets`. Judges no row.

use std::io::Cursor;

use polars::prelude::{IpcStreamReader, SerReader};

use super::Problem;
use super::chats;
use super::frame::{broken, converse, guarded, needed, no_text, note_classes, take};
use super::table::{ANSWERS, Located, Request, Table};

const KIND: &str = "Arrow";
/// First bytes of Arrow's file format.
const FILE_FORMAT: &[u8] = b"ARROW1";
/// Metadata key under which `datasets` describes the columns.
const FEATURES: &str = "huggingface";

/// Reads the wanted columns.
pub(super) fn parse(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    if bytes.starts_with(FILE_FORMAT) {
        return Err((None, Problem::Feather));
    }
    guarded(KIND, || read(bytes, request))
}

fn read(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    let mut reader = IpcStreamReader::new(Cursor::new(bytes));
    let schema = reader.arrow_schema().map_err(broken(KIND))?;
    let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    let recorded = reader.custom_metadata().map_err(broken(KIND))?;
    let mut table = Table { names, ..Table::default() };
    if let Some(features) = recorded.as_deref().and_then(|recorded| recorded.get(FEATURES)) {
        note_classes(&mut table, features);
    }
    let wanted = request.existing(&table.names);
    let kinds = schema.iter_values().map(|field| (field.name.to_string(), format!("{:?}", field.dtype)));
    no_text(kinds, &wanted)?;
    let answers = request.answers && table.has(ANSWERS);
    let chats = if request.conversations { chats::columns(&table.names) } else { Vec::new() };
    let mut needed = needed(&wanted, answers, &chats);
    if needed.is_empty() {
        // Counting the rows needs at least one column.
        needed.extend(table.names.first().cloned());
    }
    let frame = reader.with_columns(Some(needed)).finish().map_err(broken(KIND))?;
    table.rows = frame.height();
    if table.rows == 0 {
        return Err((None, Problem::NoRows));
    }
    take(&mut table, &frame, (&wanted, request), KIND)?;
    converse(&mut table, &frame, &chats, KIND)?;
    Ok(table)
}
