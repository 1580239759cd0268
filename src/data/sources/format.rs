//! Owns the format of a file, by its extension or the task's key, and the unpacking of compressed files. Reads
//! no row.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Problem;
use crate::tasks::{FileFormat, Reading};

/// Most unpacked bytes allowed for any packed file, however small.
const MAX_UNPACKED: u64 = 64 << 20;
/// Most unpacked bytes per packed byte in larger files: texts have three to thirty.
const MAX_RATIO: u64 = 200;

/// Compression of a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// The format that the task names or the extension says, and the file's compression.
pub(super) fn of(path: &Path, reading: &Reading) -> Result<(FileFormat, Option<Packing>), Problem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (name, packing) = match name.rsplit_once('.') {
        Some((inner, "gz")) => (inner, Some(Packing::Gzip)),
        Some((inner, "zst")) => (inner, Some(Packing::Zstd)),
        Some(_) | None => (name.as_str(), None),
    };
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let format = reading.format.or(match ending {
        "csv" => Some(FileFormat::Csv),
        "tsv" => Some(FileFormat::Tsv),
        "jsonl" | "ndjson" => Some(FileFormat::Jsonl),
        // Parquet and Arrow compress their own pages.
        "parquet" if packing.is_none() => Some(FileFormat::Parquet),
        "arrow" if packing.is_none() => Some(FileFormat::Arrow),
        "txt" => Some(FileFormat::Text),
        "conll" | "bio" | "iob2" => Some(FileFormat::Conll),
        "json" => Some(FileFormat::Json),
        _ => None,
    });
    format.map(|format| (format, packing)).ok_or_else(|| Problem::Ending(ending.to_owned()))
}

/// A file's bytes, unpacked. A small file that unpacks to a very large one does not fill the memory.
pub(super) fn unpack(bytes: &[u8], packing: Option<Packing>) -> Result<Cow<'_, [u8]>, Problem> {
    match packing {
        None => Ok(Cow::Borrowed(bytes)),
        // Also reads several compressed parts in a row.
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
