//! Owns how files of a run come to be: written aside, made durable where it
//! matters, renamed into place.
//!
//! A reader therefore sees the old file or the new one, never a part. Knows no path by heart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// Lets `fill` write a file aside, of the same ending, that then takes the place of `path`; creates
/// its folder where there is none. What must outlive a power failure goes through [`write_atomic`].
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn replace(path: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".new-{}-{name}", std::process::id()));
    let placed = fill(&aside).and_then(|()| fs::rename(&aside, path));
    if placed.is_err() {
        remove(&aside)?;
    }
    placed
}

/// Replaces a file by a value's JSON text.
///
/// # Errors
/// When the value has no JSON form or the file cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomic(path, &text)
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
    fn a_file_of_something_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        write_atomic(&path, b"{\"half\":").unwrap();
        assert!(read_json::<i32>(&path).is_err());
    }
}
