//! Owns how files of a run are created: written aside, made durable where it matters, renamed into place.
//!
//! A reader therefore sees the old file or the new one, never a part. Builds no path itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::values::ContentHash;

/// Prefix of the names of files written aside.
const ASIDE: &str = ".new-";

/// The field with the checksum of all others.
const SEAL: &str = "checksum";

/// Replaces a file as a whole; creates its folder where there is none.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |aside| {
        let mut file = File::create(aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    })?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Lets `fill` write a file aside, with the same extension, which then replaces `path`; creates its folder
/// where there is none. A file that must survive a power failure needs [`write_atomic`] or [`sync`].
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn replace(path: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!("{ASIDE}{}-{name}", std::process::id()));
    let placed = fill(&aside).and_then(|()| fs::rename(&aside, path));
    if placed.is_err() {
        remove(&aside)?;
    }
    placed
}

/// Copies a file, which appears as a whole and survives a power failure.
///
/// # Errors
/// When one cannot be read or the other written.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    replace(to, |aside| {
        fs::copy(from, aside)?;
        sync(aside)
    })?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Writes a file in a folder, or in the nearest one above it that exists, and removes it again: whether
/// anything can be written there.
///
/// # Errors
/// When it cannot be written.
pub fn try_write(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok());
    let tried = there.unwrap_or_else(|| Path::new(".")).join(format!("{ASIDE}{}", std::process::id()));
    let written = File::create(&tried).and_then(|mut file| {
        file.write_all(ASIDE.as_bytes())?;
        // A full disk may say so only here.
        file.sync_all()
    });
    let removed = remove(&tried);
    written.and(removed)
}

/// Replaces a file with a value's JSON text.
///
/// # Errors
/// When the value has no JSON form or the file cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// The same for a file that need not survive a power failure.
///
/// # Errors
/// When the value has no JSON form or the file cannot be written.
pub fn put_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    replace(path, |aside| fs::write(aside, serde_json::to_vec_pretty(value)?))
}

/// Reads a value from a JSON file; `None` where there is no such file.
///
/// # Errors
/// When the file cannot be read or does not hold such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file with a value's JSON object that includes its own checksum, so that a reader can tell whether
/// it was changed.
///
/// # Errors
/// When the value is not a JSON object or the file cannot be written.
pub fn write_sealed<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(value)?)?;
    let seal = ContentHash::of_json(&fields).to_string();
    fields.insert(SEAL.to_owned(), seal.into());
    write_json(path, &fields)
}

/// Reads what [`write_sealed`] wrote; `None` where there is no such file.
///
/// # Errors
/// When the file cannot be read, was changed, or does not hold such a value.
pub fn read_sealed<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let Some(mut fields) = read_json::<Map<String, Value>>(path)? else { return Ok(None) };
    let seal = fields.remove(SEAL);
    let expected = ContentHash::of_json(&fields).to_string();
    if seal.as_ref().and_then(Value::as_str) != Some(&expected) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not match"));
    }
    Ok(Some(serde_json::from_value(Value::Object(fields))?))
}

/// Whether a name belongs to a file written aside by a process that was killed.
#[must_use]
pub fn is_left_aside(name: &str) -> bool {
    name.starts_with(ASIDE)
}

/// Removes a file that may not be there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a file durable that [`replace`] has put in place.
///
/// # Errors
/// When it or its folder cannot be opened or synced.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/value.json");
        for value in [1, 2] {
            write_json(&path, &value).unwrap();
            assert_eq!(read_json::<i32>(&path).unwrap(), Some(value));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read_json::<i32>(&path).unwrap(), None);
    }

    #[test]
    fn what_is_tried_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("deep/deeper");
        try_write(&inside).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("deep"), "no folder").unwrap();
        assert_eq!(try_write(&inside).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_sealed_file_is_what_was_written_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        let value = (BTreeMap::from([("b", 0.1 + 0.2), ("a", 1e-300)]), u64::MAX);
        let value = BTreeMap::from([("deep", value)]);
        write_sealed(&path, &value).unwrap();
        let whole = fs::read(&path).unwrap();
        for (position, bit) in (0..whole.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            if let Ok(read) = read_sealed::<serde_json::Value>(&path) {
                assert_eq!(read, Some(serde_json::to_value(&value).unwrap()), "byte {position}");
            }
        }
        write_json(&path, &value).unwrap();
        assert!(read_sealed::<serde_json::Value>(&path).is_err(), "a file without a seal");
        remove(&path).unwrap();
        assert_eq!(read_sealed::<serde_json::Value>(&path).unwrap(), None);
    }

    #[test]
    fn a_file_of_something_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        write_atomic(&path, b"{\"half\":").unwrap();
        assert!(read_json::<i32>(&path).is_err());
    }
}
