//! Owns the repository's side of the cache: which commit a revision points to there, which files it holds, and
//! how a finished file gets its name. Asks no hub.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Missing;
use super::listing::is_commit;
use super::repository::Repository;
use super::{Problem, Select, Snapshot};

/// Whether there is a file of this length at a path.
pub(super) fn has_length(path: &Path, length: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == length)
}

/// A file system error about a path, as a hub problem.
pub(super) fn trouble(path: &Path) -> impl Fn(io::Error) -> Problem + '_ {
    |error| {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Problem::DiskFull(path.to_path_buf())
        } else {
            Problem::Cache(path.to_path_buf(), error)
        }
    }
}

impl Repository<'_> {
    /// The files of a commit, under their own names.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// What the cache holds of the revision, without asking the hub.
    pub(super) fn found_in_cache(&self, select: &Select<'_>) -> Result<Snapshot, Missing> {
        let revision = self.reference.revision();
        let nothing = || Missing::Revision(revision.to_owned());
        let commit = if is_commit(revision) {
            revision.to_owned()
        } else {
            let text = fs::read_to_string(self.reference_file()).ok().ok_or_else(nothing)?;
            Some(text.trim().to_owned()).filter(|commit| is_commit(commit)).ok_or_else(nothing)?
        };
        let mut paths = Vec::new();
        list(&self.snapshot(&commit), "", &mut paths).map_err(|_| nothing())?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let files = select(&paths).map_err(|problem| Missing::Files(Box::new(problem)))?;
        Ok(self.describe(&commit, files))
    }

    /// The snapshot that a caller gets for these files of a commit.
    pub(super) fn describe(&self, commit: &str, files: Vec<String>) -> Snapshot {
        let folder = self.snapshot(commit);
        let files = files.iter().map(|file| folder.join(file)).collect();
        Snapshot { folder, files, commit: commit.to_owned() }
    }

    /// The content of a file, under its sum.
    pub(super) fn blob(&self, sum: &str) -> PathBuf {
        self.folder().join("blobs").join(sum)
    }

    /// The file that holds the commit of the revision in the cache.
    fn reference_file(&self) -> PathBuf {
        self.folder().join("refs").join(self.reference.revision())
    }

    /// Points the revision to a commit in the cache.
    pub(super) fn set_reference(&self, commit: &str) -> Result<(), Problem> {
        if self.reference.revision() == commit {
            return Ok(());
        }
        let file = self.reference_file();
        let folder = file.parent().expect("a reference lies in a folder");
        // A branch may have slashes in its name.
        fs::create_dir_all(folder).and_then(|()| fs::write(&file, commit)).map_err(trouble(&file))
    }

    /// Gives a blob its name in a commit's folder, by a relative link as Python makes it.
    pub(super) fn link(&self, commit: &str, path: &str, blob: &str) -> Result<(), Problem> {
        let link = self.snapshot(commit).join(path);
        let up = "../".repeat(2 + path.matches('/').count());
        let make = || {
            fs::create_dir_all(link.parent().expect("a file of a snapshot lies in its folder"))?;
            match fs::remove_file(&link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            std::os::unix::fs::symlink(format!("{up}blobs/{blob}"), &link)
        };
        make().map_err(trouble(&link))
    }
}

/// All files below a folder, with slashes. Links to deleted blobs do not count.
fn list(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), paths)?;
        } else if entry.path().is_file() {
            paths.push(path);
        }
    }
    Ok(())
}
