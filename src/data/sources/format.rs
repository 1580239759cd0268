//! Owns which format a file's ending names, and the unpacking of compressed files.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Problem;

/// Most bytes that any packed file may have unpacked.
const MAX_UNPACKED: u64 = 64 << 20;
/// Most bytes unpacked for each byte packed, in larger files: texts have three to thirty.
const MAX_RATIO: u64 = 200;

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

/// A file's bytes, unpacked. A small file that unpacks to a very large one fills no memory.
pub(super) fn unpack(bytes: &[u8], packing: Option<Packing>) -> Result<Cow<'_, [u8]>, Problem> {
    match packing {
        None => Ok(Cow::Borrowed(bytes)),
        // Also a file that is several compressed ones in a row.
        Some(Packing::Gzip) => unpacked("gzip", MultiGzDecoder::new(bytes), bytes.len()),
        Some(Packing::Zstd) => match zstd::Decoder::with_buffer(bytes) {
            Ok(decoder) => unpacked("zstd", decoder, bytes.len()),
            Err(error) => Err(Problem::Broken { kind: "zstd", detail: error.to_string() }),
        },
    }
}

fn unpacked(
    kind: &'static str,
    unpacking: impl Read,
    packed_bytes: usize,
) -> Result<Cow<'static, [u8]>, Problem> {
    let most = MAX_UNPACKED.max(packed_bytes as u64 * MAX_RATIO);
    let mut whole = Vec::new();
    match unpacking.take(most + 1).read_to_end(&mut whole) {
        Err(error) => Err(Problem::Broken { kind, detail: error.to_string() }),
        Ok(length) if length as u64 > most => Err(Problem::Bomb { most_mib: most >> 20 }),
        Ok(_) => Ok(Cow::Owned(whole)),
    }
}
