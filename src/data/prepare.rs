//! Owns the making of a token store: reads a task's files, draws rows, tokenises texts on all cores, and puts
//! the store in place as a whole. Trains nothing, and makes no folds.

use std::fs;
use std::io;
use std::path::Path;

use crate::data::sample;
use crate::data::sources::{self, SourceError};
use crate::data::store::{PartBuilder, TokenStore};
use crate::disk::layout::Layout;
use crate::disk::{files, lock};
use crate::job::Prepare;
use crate::tasks::{DataFile, Encoder, Examples, Task};
use crate::tokenizer::Tokenizer;
use crate::values::{Failure, Part};

/// Makes the store, unless it exists and is intact. A damaged one is made again.
///
/// A store appears by rename, so a reader always sees all of it. Processes that need the same store wait for
/// each other, and the second one finds it finished.
///
/// # Errors
/// Where a data file or the tokenizer has changed since the check, or the disk is full.
pub fn run(prepare: &Prepare, stores: &Path) -> Result<(), Failure> {
    let folder = Layout::store(stores, prepare.store);
    let on_disk = |error: &io::Error| {
        let message = format!(
            "cannot write the token store to `{}`: {error}; make room or choose another folder with --results",
            stores.display()
        );
        Failure::of_system(message, error)
    };
    fs::create_dir_all(stores).map_err(|e| on_disk(&e))?;
    let _lock = lock::wait(&Layout::store_lock(stores, prepare.store)).map_err(|e| on_disk(&e))?;
    if is_intact(&folder, &prepare.task) {
        return Ok(());
    }
    // We hold the lock, so a draft was left by an earlier process that was killed.
    let draft = Layout::store_draft(stores, prepare.store);
    discard(&draft).and_then(|()| fs::create_dir(&draft)).map_err(|e| on_disk(&e))?;
    let tokenizer = Tokenizer::load(&prepare.tokenizer);
    let tokenizer = tokenizer.map_err(|error| Failure::of(&error))?;
    let made = parts(&prepare.task, &tokenizer).and_then(|parts| {
        let write = |(part, rows): &(Part, PartBuilder)| rows.write(&draft, *part);
        parts.iter().try_for_each(write).map_err(|e| on_disk(&e))
    });
    let placed = made.and_then(|()| put_in_place(&draft, &folder).map_err(|e| on_disk(&e)));
    if placed.is_err() {
        // If this fails, the next attempt removes it.
        let _ = discard(&draft);
    }
    placed
}

/// Tokenises the rows of each part.
fn parts(task: &Task, tokenizer: &Tokenizer) -> Result<Vec<(Part, PartBuilder)>, Failure> {
    let mut parts = Vec::new();
    let by = Encoder { tokenizer, max_length: task.max_length };
    let mut add = |part, file: &DataFile, rows| {
        let encode = |error| Failure::told(in_file(file, &format!("{error}")), &error);
        let encoded = task.objective.encode(&rows, by).map_err(encode)?;
        let built = PartBuilder::from_iter(encoded);
        if built.is_empty() {
            let detail = "no row has enough tokens to learn from; use longer texts";
            return Err(Failure::BadData { message: in_file(file, detail) });
        }
        parts.push((part, built));
        Ok(())
    };
    let (train, held_out) = hold_out(drawn(&task.train, task, task.rows)?, task);
    add(Part::Train, &task.train, train)?;
    if let Some(file) = &task.validation {
        add(Part::Validation, file, drawn(file, task, None)?)?;
    }
    if let Some(file) = &task.test {
        add(Part::Test, file, drawn(file, task, task.test_rows)?)?;
    } else if let Some(rows) = held_out {
        add(Part::Test, &task.train, rows)?;
    }
    Ok(parts)
}

/// Draws `rows` rows of a file, or all of them.
fn drawn(file: &DataFile, task: &Task, rows: Option<usize>) -> Result<Examples, Failure> {
    let all = sources::read(file, task).map_err(unread)?;
    let wanted = sample::draw(&all.labels(), rows, task.sample_seed);
    Ok(all.split(&wanted).0)
}

/// Divides rows into training rows and, where these are a share of them, test rows.
fn hold_out(rows: Examples, task: &Task) -> (Examples, Option<Examples>) {
    let (None, Some(fraction)) = (&task.test, task.test_fraction) else { return (rows, None) };
    let chosen = sample::test_rows(&rows.labels(), fraction, task.sample_seed);
    let (test, train) = rows.split(&chosen);
    let wanted = sample::draw(&test.labels(), task.test_rows, task.sample_seed);
    (train, Some(test.split(&wanted).0))
}

/// Whether the folder holds every part of the task, undamaged.
fn is_intact(folder: &Path, task: &Task) -> bool {
    let wanted =
        [(Part::Train, true), (Part::Validation, task.validation.is_some()), (Part::Test, task.is_tested())];
    TokenStore::open(folder)
        .is_ok_and(|store| wanted.iter().all(|(part, wanted)| store.part(*part).is_some() == *wanted))
}

fn put_in_place(draft: &Path, folder: &Path) -> io::Result<()> {
    files::sync_folder(draft)?;
    discard(folder)?;
    fs::rename(draft, folder)?;
    folder.parent().map_or(Ok(()), files::sync_folder)
}

/// Removes a folder that may not be there.
fn discard(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The failure to read a file; a system error about memory or a disk is not a fault of the data.
fn unread(error: SourceError) -> Failure {
    Failure::told(format!("{error}; {}", error.hint()), &error)
}

fn in_file(file: &DataFile, detail: &str) -> String {
    format!("`{}`: {detail}", file.path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sources::Problem;

    #[test]
    fn a_file_that_memory_was_too_small_for_is_no_bad_data() {
        let of = |kind: io::ErrorKind| {
            let problem = Box::new(Problem::Unreadable(kind.into()));
            unread(SourceError { path: "a.csv".into(), place: None, problem, way_out: None })
        };
        assert_eq!(of(io::ErrorKind::OutOfMemory), Failure::OutOfMemory);
        assert!(matches!(of(io::ErrorKind::StorageFull), Failure::Unwritable { .. }));
        let Failure::BadData { message } = of(io::ErrorKind::NotFound) else {
            panic!("the data is not there")
        };
        assert!(message.contains("a.csv") && message.contains("; check the path"), "{message}");
    }
}
