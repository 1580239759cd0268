//! Owns which files of a data set repository belong to a split, by the hub's naming. Pure: sees paths, never
//! contents.
//!
//! A file belongs to the split named before its part number (`train.csv`, `data/train-00000-of-00002.parquet`)
//! or, where its name is a bare number, to the split that its folder is named after
//! (`default/train/0000.parquet`). The folder above that is the configuration.

use std::collections::BTreeSet;

use super::Problem;
use super::selection::{check_parts, part};

/// Formats, best first, for a split that exists in several.
const ENDINGS: [&str; 5] = ["parquet", "jsonl", "ndjson", "csv", "tsv"];
const COMPRESSIONS: [&str; 3] = ["", ".gz", ".zst"];

/// A data file, by its path.
#[derive(Clone, Copy)]
struct DataFile<'a> {
    path: &'a str,
    folder: &'a str,
    split: &'a str,
    ending: &'a str,
}

/// The files of one split, sorted. Without a folder: the files at the top, else those of the only folder.
/// Without a split: the only one.
pub(super) fn split_files(
    paths: &[&str],
    folder: Option<&str>,
    split: Option<&str>,
) -> Result<Vec<String>, Problem> {
    let mut files: Vec<DataFile<'_>> = paths.iter().filter_map(|path| DataFile::read(path)).collect();
    if files.is_empty() {
        return Err(Problem::NoDataFiles);
    }
    if let Some(folder) = folder {
        let folders = names(&files, |file| file.folder);
        files.retain(|file| file.folder == folder);
        if files.is_empty() {
            return Err(Problem::NoFolder { folder: folder.to_owned(), folders });
        }
    }
    let splits = names(&files, |file| file.split);
    let split = match (split, splits.as_slice()) {
        (Some(split), _) => split.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(Problem::SeveralSplits(splits)),
    };
    files.retain(|file| file.split == split);
    if files.is_empty() {
        return Err(Problem::NoSplit { split, splits });
    }
    one_folder(&mut files)?;
    one_format(files)
}

/// Keeps the files at the top, if there are any.
fn one_folder(files: &mut Vec<DataFile<'_>>) -> Result<(), Problem> {
    let folders = names(files, |file| file.folder);
    if folders.first().is_some_and(String::is_empty) {
        files.retain(|file| file.folder.is_empty());
        Ok(())
    } else if folders.len() == 1 {
        Ok(())
    } else {
        Err(Problem::SeveralFolders(folders))
    }
}

/// Keeps the best format, and checks that all its parts are present.
fn one_format(files: Vec<DataFile<'_>>) -> Result<Vec<String>, Problem> {
    let best = files.iter().map(|file| file.rank()).min();
    let best: Vec<&DataFile<'_>> = files.iter().filter(|file| Some(file.rank()) == best).collect();
    let mut paths: Vec<&str> = best.iter().map(|file| file.path).collect();
    paths.sort_unstable();
    let ending = best.first().map_or("", |file| file.ending);
    check_parts(&paths, ending)?;
    Ok(paths.into_iter().map(str::to_owned).collect())
}

fn names<'a>(files: &[DataFile<'a>], name: impl Fn(&DataFile<'a>) -> &'a str) -> Vec<String> {
    let names: BTreeSet<&str> = files.iter().map(name).collect();
    names.into_iter().map(str::to_owned).collect()
}

impl<'a> DataFile<'a> {
    fn read(path: &'a str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = ENDINGS.iter().find_map(|ending| {
            COMPRESSIONS.iter().find_map(|compression| name.strip_suffix(&format!(".{ending}{compression}")))
        })?;
        let ending = &name[stem.len()..];
        if !folder.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit()) {
            let (folder, split) = folder.rsplit_once('/').unwrap_or(("", folder));
            return Some(Self { path, folder, split, ending });
        }
        let split = part(stem).map_or(stem, |(name, _)| name);
        Some(Self { path, folder, split, ending })
    }

    fn rank(&self) -> (Option<usize>, &'a str) {
        let format = ENDINGS.iter().position(|ending| self.ending[1..].starts_with(ending));
        (format, self.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIKITEXT: [&str; 7] = [
        ".gitattributes",
        "README.md",
        "wikitext-103-raw-v1/test-00000-of-00001.parquet",
        "wikitext-103-raw-v1/train-00001-of-00002.parquet",
        "wikitext-103-raw-v1/train-00000-of-00002.parquet",
        "wikitext-2-raw-v1/test-00000-of-00001.parquet",
        "wikitext-2-raw-v1/train-00000-of-00001.parquet",
    ];

    /// Paths, folder, split, and what is chosen.
    type Case<'a> = (&'a [&'a str], Option<&'a str>, &'a str, &'a [&'a str]);

    #[test]
    fn the_hubs_namings_are_known() {
        let cases: [Case<'_>; 6] = [
            (
                &["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
                None,
                "train",
                &["data/train-00000-of-00001.parquet"],
            ),
            (
                &WIKITEXT,
                Some("wikitext-103-raw-v1"),
                "train",
                &[
                    "wikitext-103-raw-v1/train-00000-of-00002.parquet",
                    "wikitext-103-raw-v1/train-00001-of-00002.parquet",
                ],
            ),
            (
                &["plain_text/train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
                None,
                "train",
                &["plain_text/train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
            ),
            (&["train.csv", "test.csv", "old/train.csv"], None, "train", &["train.csv"]),
            (&["train.csv", "train.jsonl.gz", "train.parquet"], None, "train", &["train.parquet"]),
            (
                &["default/test/0000.parquet", "default/train/0000.parquet", "default/train/0001.parquet"],
                None,
                "train",
                &["default/train/0000.parquet", "default/train/0001.parquet"],
            ),
        ];
        for (paths, folder, split, wanted) in cases {
            assert_eq!(split_files(paths, folder, Some(split)).unwrap(), wanted);
        }
        assert_eq!(split_files(&["train.jsonl", "README.md"], None, None).unwrap(), ["train.jsonl"]);
    }

    #[test]
    fn what_is_open_is_asked_with_the_choices() {
        let text = |folder, split| split_files(&WIKITEXT, folder, split).unwrap_err().to_string();
        let folders = "it is in several folders: `wikitext-103-raw-v1`, `wikitext-2-raw-v1`";
        assert_eq!(text(None, Some("train")), folders);
        assert_eq!(text(Some("wikitext-2-raw-v1"), None), "it has several splits: `test`, `train`");
        assert_eq!(text(None, Some("dev")), "no split `dev`; the splits are `test`, `train`");
        assert!(text(Some("v3"), None).starts_with("no data in a folder `v3`; the folders are `wiki"));
        let incomplete = split_files(&WIKITEXT[..4], None, Some("train")).unwrap_err();
        assert!(matches!(incomplete, Problem::MissingParts { found: 1, expected: 2, .. }));
        assert!(matches!(split_files(&["README.md"], None, None).unwrap_err(), Problem::NoDataFiles));
    }
}
