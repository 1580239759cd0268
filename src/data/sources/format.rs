//! Owns which format a file's ending names, and the unpacking of compressed files.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Problem;

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// CSV and TSV.
    Delimited { separator: u8 },
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Text whose rows are its lines.
    Plain,
    /// The nested JSON in which SQuAD is published.
    Squad,
}

/// How a file is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// What a file's ending says; `None` where it names no format.
pub(super) fn of(path: &Path) -> Option<(Format, Option<Packing>)> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let (name, packing) = match name.rsplit_once('.')? {
        (inner, "gz") => (inner, Some(Packing::Gzip)),
        (inner, "zst") => (inner, Some(Packing::Zstd)),
        _ => (name.as_str(), None),
    };
    let format = match name.rsplit_once('.')?.1 {
        "csv" => Format::Delimited { separator: b',' },
        "tsv" => Format::Delimited { separator: b'\t' },
        "jsonl" | "ndjson" => Format::JsonLines,
        // Parquet compresses its own pages.
        "parquet" if packing.is_none() => Format::Parquet,
        "txt" => Format::Plain,
        "json" => Format::Squad,
        _ => return None,
    };
    Some((format, packing))
}

/// A file's bytes, unpacked.
pub(super) fn unpack(bytes: &[u8], packing: Option<Packing>) -> Result<Cow<'_, [u8]>, Problem> {
    let unpacked = |kind, read: io::Result<Vec<u8>>| {
        read.map(Cow::Owned).map_err(|error| Problem::Broken { kind, detail: error.to_string() })
    };
    match packing {
        None => Ok(Cow::Borrowed(bytes)),
        Some(Packing::Gzip) => {
            let mut whole = Vec::new();
            // Also a file that is several compressed ones in a row.
            unpacked("gzip", MultiGzDecoder::new(bytes).read_to_end(&mut whole).map(|_| whole))
        }
        Some(Packing::Zstd) => unpacked("zstd", zstd::decode_all(bytes)),
    }
}
