//! Owns the making of a token store: a task's files are read, rows drawn, texts tokenised on all
//! cores, and the store put in place as a whole. Trains and splits nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::data::sample;
use crate::data::sources::{self, SourceError};
use crate::data::store::{PartBuilder, TokenStore};
use crate::data::tokenizer::Tokenizer;
use crate::job::Prepare;
use crate::outcome::Failure;
use crate::run::files;
use crate::run::layout::Layout;
use crate::task::{DataFile, Part, Task};

/// A task's part: its file and the number of rows to draw from it.
type Source<'a> = (Part, &'a DataFile, Option<usize>);

/// Makes the store, unless it is there and intact. A damaged one is made again.
///
/// A store appears by rename, so whoever sees one sees all of it. Processes that want the same store
/// wait for each other, and the second finds it made.
///
/// # Errors
/// Where a data file or the tokenizer is not what was checked, or the disk is full.
pub fn run(prepare: &Prepare, stores: &Path) -> Result<(), Failure> {
    let folder = Layout::store(stores, prepare.store);
    let on_disk = |error: &io::Error| {
        bad(format!(
            "cannot write the token store to `{}`: {error}; make room or choose another folder with --results",
            stores.display()
        ))
    };
    fs::create_dir_all(stores).map_err(|e| on_disk(&e))?;
    let _lock = lock(&Layout::store_lock(stores, prepare.store)).map_err(|e| on_disk(&e))?;
    if is_intact(&folder, &prepare.task) {
        return Ok(());
    }
    // The lock is ours, so a draft is one that an earlier process left when it was killed.
    let draft = Layout::store_draft(stores, prepare.store);
    discard(&draft).and_then(|()| fs::create_dir(&draft)).map_err(|e| on_disk(&e))?;
    let tokenizer = Tokenizer::load(&prepare.tokenizer, prepare.task.max_length);
    let tokenizer = tokenizer.map_err(|error| bad(error.to_string()))?;
    let made = sources(&prepare.task).into_iter().try_for_each(|source| {
        let part = tokenise(source, &prepare.task, &tokenizer)?;
        part.write(&draft, source.0).map_err(|e| on_disk(&e))
    });
    let placed = made.and_then(|()| put_in_place(&draft, &folder).map_err(|e| on_disk(&e)));
    if placed.is_err() {
        // What remains is removed by the next attempt too.
        let _ = discard(&draft);
    }
    placed
}

/// The files that a task has.
fn sources(task: &Task) -> Vec<Source<'_>> {
    let validation = task.validation.as_ref().map(|file| (Part::Validation, file, None));
    let test = task.test.as_ref().map(|file| (Part::Test, file, task.test_rows));
    [Some((Part::Train, &task.train, task.rows)), validation, test].into_iter().flatten().collect()
}

/// One file's drawn rows as tokens.
fn tokenise((_, file, rows): Source<'_>, task: &Task, tokenizer: &Tokenizer) -> Result<PartBuilder, Failure> {
    let mut read = sources::read(file, task).map_err(|error| unreadable(&error))?;
    let drawn = sample::draw(&read.labels, rows, task.sample_seed);
    let texts: Vec<String> = drawn.iter().map(|row| std::mem::take(&mut read.texts[*row as usize])).collect();
    let tokens = tokenizer.encode(&texts).map_err(|error| bad(error.to_string()))?;
    let mut part = PartBuilder::default();
    for (row, tokens) in drawn.iter().zip(&tokens) {
        part.push(tokens, read.labels[*row as usize]);
    }
    Ok(part)
}

/// Whether the folder holds every part that the task has, undamaged.
fn is_intact(folder: &Path, task: &Task) -> bool {
    TokenStore::open(folder)
        .is_ok_and(|store| sources(task).iter().all(|(part, ..)| store.part(*part).is_some()))
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

/// Waits for the lock and holds it until the file is dropped, also by the death of the process.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    match file.lock() {
        // Some cluster file systems have no locks. Two processes then may do the same work.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(_) => Ok(file),
    }
}

fn unreadable(error: &SourceError) -> Failure {
    bad(format!("{error}; {}", error.hint()))
}

fn bad(message: String) -> Failure {
    Failure::BadData { message }
}
