//! Owns the format of a journal: entries to frames and back. Pure; knows no file.
//!
//! A first line names the version. Then come frames: payload length (u32, little endian), CRC-32 of
//! length and payload, payload (one [`Event`] as JSON).

use serde::Deserialize;

use super::Replay;
use crate::values::Event;

/// The version that is written; it changes when the meaning of the lines after the first does.
pub(super) const VERSION: u64 = 1;

/// The first line of every journal of this version.
pub(super) const HEADER: &[u8] = b"lorasweep journal 1\n";

/// The beginning of every version's first line.
const TITLE: &[u8] = b"lorasweep journal ";

/// The beginning of every payload.
const PAYLOAD: &[u8] = b"{\"at\":";

/// Bytes before a payload.
const FRAME: usize = 8;

/// Why bytes are not a journal that this version reads.
#[derive(Debug, PartialEq)]
pub(super) enum Broken {
    /// They begin differently.
    Header,
    /// They are of another version.
    Version { found: u64 },
    /// A whole frame holds an unknown entry.
    Entry { offset: usize, message: String },
}

/// The frame of an event.
pub(super) fn of(event: &Event) -> Vec<u8> {
    let payload = serde_json::to_vec(event).expect("events are plain structs with string keys");
    let length = u32::try_from(payload.len()).expect("an event is far below 4 GiB").to_le_bytes();
    let mut frame = Vec::with_capacity(FRAME + payload.len());
    frame.extend(length);
    frame.extend(checksum(length, &payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// The events of a journal, as far as its frames are intact.
pub(super) fn replay(bytes: &[u8]) -> Result<Replay, Broken> {
    if bytes.len() < HEADER.len() && HEADER.starts_with(bytes) {
        return Ok(Replay { dropped_bytes: bytes.len(), ..Replay::default() });
    }
    if !bytes.starts_with(HEADER) {
        return Err(version(bytes).map_or(Broken::Header, |found| Broken::Version { found }));
    }
    let mut events = Vec::new();
    let mut offset = HEADER.len();
    while let Some(payload) = whole(&bytes[offset..]) {
        match serde_json::from_slice(payload) {
            Ok(event) => events.push(event),
            Err(_) if is_of_retired_job(payload) => {}
            Err(error) => return Err(Broken::Entry { offset, message: error.to_string() }),
        }
        offset += FRAME + payload.len();
    }
    let rest = &bytes[offset..];
    let (dropped_bytes, dropped_entries) = (rest.len(), count(rest));
    Ok(Replay { events, kept_bytes: offset, dropped_bytes, dropped_entries, ..Replay::default() })
}

/// Whether a payload belongs to a kind of job that only earlier versions had, which wrote a summary of each
/// configuration. Nothing depends on it.
fn is_of_retired_job(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Keyed {
        what: Key,
    }
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    serde_json::from_slice::<Keyed>(payload).is_ok_and(|keyed| keyed.what.key == "summarise")
}

/// The version in a first line.
fn version(bytes: &[u8]) -> Option<u64> {
    let line = bytes.strip_prefix(TITLE)?.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The payload of the frame at the beginning of the bytes, if it is intact.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let payload = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (checksum(*length, payload) == u32::from_le_bytes(*sum)).then_some(payload)
}

/// Number of intact frames anywhere in bytes that do not begin with one.
fn count(mut bytes: &[u8]) -> usize {
    let mut found = 0;
    while let Some(behind) = bytes.get(FRAME..) {
        let payload = if behind.starts_with(PAYLOAD) { whole(bytes) } else { None };
        found += usize::from(payload.is_some());
        bytes = &bytes[payload.map_or(1, |payload| FRAME + payload.len())..];
    }
    found
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}
