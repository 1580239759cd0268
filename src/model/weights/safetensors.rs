//! Owns the safetensors format: finds the tensors of one file. Checks no names, copies no bytes.

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, SafeTensorError};

use super::error::Fault;
use super::tensor::{Kind, Stored};

/// Bytes of the header's length at the start of the file.
const LENGTH_BYTES: usize = 8;

/// Most bytes of a header, as in the format's own library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The tensors of a file with this content.
pub(super) fn tensors(file: &[u8]) -> Result<Vec<(String, Stored)>, Fault> {
    let header = header(file)?;
    let metadata: Metadata = serde_json::from_slice(header).map_err(|_| wrong_header(file, header))?;
    let start = LENGTH_BYTES + header.len();
    check_length(file.len(), start.saturating_add(metadata.data_len()))?;
    let found: Result<Vec<_>, Fault> = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let dtype = info.dtype.to_string();
            let Some(kind) = Kind::from_safetensors(&dtype) else {
                return Err(Fault::UnknownKind { tensor: name, found: dtype });
            };
            let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
            Ok((name, Stored { kind, shape: info.shape.clone(), strides: None, bytes }))
        })
        .collect();
    let mut found = found?;
    found.extend(aliases(metadata.metadata().as_ref(), &found));
    Ok(found)
}

/// Tensors left out because they equal another one: `safetensors.torch.save_model` notes both names in the
/// file's metadata.
fn aliases(metadata: Option<&HashMap<String, String>>, found: &[(String, Stored)]) -> Vec<(String, Stored)> {
    let named = |name: &str| found.iter().find(|(known, _)| known == name);
    let alias = |(left_out, kept): (&String, &String)| match named(left_out) {
        Some(_) => None,
        None => named(kept).map(|(_, stored)| (left_out.clone(), stored.clone())),
    };
    metadata.into_iter().flatten().filter_map(alias).collect()
}

fn header(file: &[u8]) -> Result<&[u8], Fault> {
    let length = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let end = length.saturating_add(LENGTH_BYTES as u64);
    let there = usize::try_from(end).ok().and_then(|end| file.get(LENGTH_BYTES..end));
    let there = there.ok_or(Fault::Truncated { needed: end, found: file.len() as u64 })?;
    if length > MAX_HEADER_BYTES {
        let what = "the header".to_owned();
        return Err(Fault::Oversized { what, claimed: length, limit: MAX_HEADER_BYTES });
    }
    Ok(there)
}

/// The header was checked for gaps, so all tensors are in the file exactly when the last one ends with it.
fn check_length(found: usize, promised: usize) -> Result<(), Fault> {
    if promised > found {
        return Err(Fault::Truncated { needed: promised as u64, found: found as u64 });
    }
    if promised < found {
        return Err(Fault::damaged(format!("{} bytes follow the last tensor", found - promised)));
    }
    Ok(())
}

/// What is wrong with a header that could not be read.
fn wrong_header(file: &[u8], header: &[u8]) -> Fault {
    match SafeTensors::read_metadata(file) {
        Err(SafeTensorError::InvalidOffset(tensor)) => Fault::Outside { tensor },
        Err(error) => unknown_kind(header).unwrap_or_else(|| Fault::damaged(error.to_string())),
        Ok(_) => Fault::damaged("its header is read in two ways"),
    }
}

/// The first tensor whose type in the header is unknown, if that is what is wrong.
fn unknown_kind(header: &[u8]) -> Option<Fault> {
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    entries.into_iter().find_map(|(tensor, info)| {
        let found = info.get("dtype")?.as_str()?;
        let unknown = tensor != "__metadata__" && Kind::from_safetensors(found).is_none();
        unknown.then(|| Fault::UnknownKind { found: found.to_owned(), tensor })
    })
}
