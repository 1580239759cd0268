//! Owns the reading of Parquet. Judges no row.

use std::io::Cursor;

use polars::prelude::{ParallelStrategy, ParquetReader, SerReader};

use super::Problem;
use super::chats;
use super::frame::{broken, converse, guarded, needed, no_text, note_classes, take};
use super::table::{ANSWERS, Located, Request, Table};

const KIND: &str = "Parquet";
/// Metadata key under which `datasets` describes the columns.
const FEATURES: &str = "huggingface";

/// Reads the wanted columns.
pub(super) fn parse(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    guarded(KIND, || read(bytes, request))
}

fn read(bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    // On this thread only, so that a panic stays on it.
    let mut reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
    let rows = reader.num_rows().map_err(broken(KIND))?;
    let schema = reader.schema().map_err(broken(KIND))?;
    let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    if rows == 0 {
        return Err((None, Problem::NoRows));
    }
    let mut table = Table { rows, names, ..Table::default() };
    let recorded = reader.get_metadata().map_err(broken(KIND))?.key_value_metadata.iter().flatten();
    for pair in recorded.filter(|pair| pair.key == FEATURES) {
        note_classes(&mut table, pair.value.as_deref().unwrap_or_default());
    }
    let wanted = request.existing(&table.names);
    let kinds = schema.iter_values().map(|field| (field.name.to_string(), format!("{:?}", field.dtype)));
    no_text(kinds, &wanted)?;
    let answers = request.answers && table.has(ANSWERS);
    let chats = if request.conversations { chats::columns(&table.names) } else { Vec::new() };
    let needed = needed(&wanted, answers, &chats);
    if needed.is_empty() {
        return Ok(table);
    }
    let frame = reader.with_columns(Some(needed)).finish().map_err(broken(KIND))?;
    take(&mut table, &frame, (&wanted, request), KIND)?;
    converse(&mut table, &frame, &chats, KIND)?;
    Ok(table)
}
