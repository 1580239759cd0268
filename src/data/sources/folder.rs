//! Owns the meaning of a folder given as a data file: saved by `datasets`, one folder of texts for each class,
//! or neither, with advice on what to name instead. Reads names, and no row.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Problem;

/// The file that lists the files of a data set saved by `save_to_disk`.
const STATE: &str = "state.json";
/// The file that lists the parts of several data sets saved together.
const PARTS: &str = "dataset_dict.json";
/// Extensions of files that can be named with a `*`.
const DATA: [&str; 8] = ["csv", "tsv", "jsonl", "ndjson", "parquet", "arrow", "json", "txt"];

/// What a folder holds.
#[derive(Debug)]
pub(super) enum Folder {
    /// Arrow files, in order.
    Arrow(Vec<PathBuf>),
    /// Texts, each with the class that its folder is named after.
    Classes(Vec<(PathBuf, String)>),
}

/// Determines what a folder is.
pub(super) fn look(folder: &Path) -> Result<Folder, Problem> {
    if let Some(parts) = parts(folder) {
        return Err(Problem::Parts(parts));
    }
    let here = children(folder)?;
    let saved = saved(folder).unwrap_or_else(|| with_ending(&here, "arrow"));
    if !saved.is_empty() {
        return Ok(Folder::Arrow(saved));
    }
    let folders: Vec<&PathBuf> = here.iter().filter(|path| path.is_dir()).collect();
    let mut texts = Vec::new();
    let mut deeper = Vec::new();
    for class in folders {
        let inner = children(class)?;
        let has_texts = |path: &PathBuf| {
            path.is_dir() && children(path).is_ok_and(|all| !with_ending(&all, "txt").is_empty())
        };
        if inner.iter().any(has_texts) {
            deeper.push(name(class));
        }
        texts.extend(with_ending(&inner, "txt").into_iter().map(|text| (text, name(class))));
    }
    if !deeper.is_empty() {
        return Err(Problem::Parts(deeper));
    }
    if texts.is_empty() { Err(Problem::Folder(data_files(&here))) } else { Ok(Folder::Classes(texts)) }
}

/// The parts of data sets that were saved together, or the subfolders that were saved one by one.
fn parts(folder: &Path) -> Option<Vec<String>> {
    let listed = read(&folder.join(PARTS)).and_then(|list| {
        Some(list.get("splits")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    });
    let inside = || {
        let all = children(folder).ok()?;
        let saved: Vec<String> =
            all.iter().filter(|path| path.join(STATE).is_file()).map(|path| name(path)).collect();
        (!saved.is_empty()).then_some(saved)
    };
    listed.or_else(inside)
}

/// The Arrow files in the folder's state file.
fn saved(folder: &Path) -> Option<Vec<PathBuf>> {
    let state = read(&folder.join(STATE))?;
    let names =
        state.get("_data_files")?.as_array()?.iter().filter_map(|file| file.get("filename")?.as_str());
    // Only plain names are accepted, since a path could lead anywhere.
    let files: Vec<PathBuf> =
        names.filter_map(|name| Some(folder.join(Path::new(name).file_name()?))).collect();
    (!files.is_empty()).then_some(files)
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The visible content of a folder, in the order of names.
fn children(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(Problem::Unreadable)? {
        let path = entry.map_err(Problem::Unreadable)?.path();
        if !name(&path).starts_with('.') {
            all.push(path);
        }
    }
    all.sort_unstable();
    Ok(all)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn with_ending(files: &[PathBuf], wanted: &str) -> Vec<PathBuf> {
    files.iter().filter(|path| ending(path) == wanted && path.is_file()).cloned().collect()
}

/// The data files of a folder, as a sweep would name them: one by its name, several by a pattern.
fn data_files(files: &[PathBuf]) -> Vec<String> {
    let mut by_ending: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    for path in files.iter().filter(|path| DATA.contains(&ending(path).as_str()) && path.is_file()) {
        by_ending.entry(ending(path)).or_default().push(path);
    }
    let named = |(ending, files): (String, Vec<&PathBuf>)| match files[..] {
        [only] => name(only),
        _ => format!("*.{ending}"),
    };
    by_ending.into_iter().map(named).collect()
}
