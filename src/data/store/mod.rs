//! Owns the token store: a task's rows as token ids, targets and gold answers, made once and
//! memory-mapped by every process that trains on them.
//!
//! A store is a folder with one file per part. A file is a header of 88 bytes (magic, version, kind of
//! targets, row count, token count, count of numbers in lists, bytes of answers, BLAKE3 checksum of everything
//! else), then `rows + 1` offsets (u64), the column of targets, the tokens (u32), the starts of second parts
//! (u32) and the numbers in lists (u32), in the machine's byte order, and the answers as JSON: a list of texts
//! per row, nothing where no row has one. Targets are of kind 1, classes (u32), of kind 2, numbers (f64), or of
//! kind 3, lists, of which the column has `rows + 1` offsets (u64). The checksum is verified when a store is
//! opened, so that a damaged store is an error and never a wrong result. Tokenises nothing.

mod build;
mod shape;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

pub use build::PartBuilder;

use self::shape::{COUNTS, HEADER, MAGIC, Shape, TargetColumn, VERSION, checksum};
use crate::disk::layout::Layout;
use crate::disk::mapped;
use crate::tasks::{Row, RowTarget, Task};
use crate::values::{ContentHash, Part};

const PARTS: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

/// A store that cannot be used. Deleting its folder fixes every case, since it is then made again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}; delete its folder, it is made again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A file was written by another version, or does not belong to a store.
    #[error("`{}` is not a token store of this version; delete its folder, it is made again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
    },
    /// A file is shorter or longer than its header requires.
    #[error("`{}` is truncated; delete its folder, it is made again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// A file's content was changed since it was written.
    #[error("`{}` is damaged; delete its folder, it is made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// An open store.
#[derive(Debug)]
pub struct TokenStore {
    parts: [Option<PartView>; 3],
}

/// The rows of one part.
#[derive(Debug)]
pub struct PartView {
    map: Mmap,
    shape: Shape,
    /// Gold answers by row; empty where no row has one.
    answers: Vec<Vec<String>>,
}

/// The name of the token store for a task and a tokenizer: a hash of everything that decides its tokens.
#[must_use]
pub fn store_key(task: &Task, tokenizer_content: ContentHash) -> ContentHash {
    let rows = (task.rows, task.test_rows, task.sample_seed, task.test_fraction);
    let texts = (&task.columns, &task.objective, &task.cleaning);
    ContentHash::of_json(&(VERSION, task.contents(), texts, task.max_length, rows, tokenizer_content))
}

impl TokenStore {
    /// Opens a store and verifies every file in it.
    ///
    /// # Errors
    /// Where it has no training rows, or a file is unreadable, truncated, damaged or of another version.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let mut parts = [None, None, None];
        for (part, view) in PARTS.into_iter().zip(&mut parts) {
            let path = Layout::store_part(folder, part);
            if part == Part::Train || path.exists() {
                *view = Some(PartView::open(&path)?);
            }
        }
        Ok(Self { parts })
    }

    /// The rows of a part; `None` where the task has no such file.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&PartView> {
        PARTS.iter().zip(&self.parts).find_map(|(p, view)| view.as_ref().filter(|_| *p == part))
    }
}

impl PartView {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let at = || path.to_path_buf();
        let map = mapped::open(path).map_err(|error| StoreError::Unreadable { path: at(), error })?;
        let header = map.get(..HEADER).ok_or_else(|| StoreError::Truncated { path: at() })?;
        let [magic, version, column, rows, tokens, listed, answer_bytes] = words(&header[..COUNTS]) else {
            unreachable!("the counts are seven words");
        };
        let column = TargetColumn::of_code(*column).filter(|_| [*magic, *version] == [MAGIC, VERSION]);
        let column = column.ok_or_else(|| StoreError::Version { path: at() })?;
        let shape = Shape::of(column, [*rows, *tokens, *listed, *answer_bytes]);
        let shape = shape.filter(|shape| shape.answers().end == map.len());
        let shape = shape.ok_or_else(|| StoreError::Truncated { path: at() })?;
        let intact = checksum(&header[..COUNTS], [&map[HEADER..]]) == header[COUNTS..];
        let answers = if intact { shape.read_answers(&map) } else { None };
        let answers = answers.ok_or_else(|| StoreError::Damaged { path: at() })?;
        let view = Self { map, shape, answers };
        if view.is_in_order() { Ok(view) } else { Err(StoreError::Damaged { path: at() }) }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.rows == 0
    }

    /// A row's token ids, special tokens included.
    #[must_use]
    pub fn tokens(&self, row: u32) -> &[u32] {
        let tokens: &[u32] = bytemuck::cast_slice(&self.map[self.shape.tokens()]);
        &tokens[self.range(row)]
    }

    /// A row.
    #[must_use]
    pub fn row(&self, row: u32) -> Row<'_> {
        Row {
            tokens: self.tokens(row),
            second: self.seconds()[row as usize],
            target: self.target(row),
            answers: self.answers.get(row as usize).map_or(&[], Vec::as_slice),
        }
    }

    /// The target of a row; class 0 where the targets are its tokens.
    #[must_use]
    pub fn target(&self, row: u32) -> RowTarget<&[u32]> {
        let bytes = &self.map[self.shape.targets()];
        match self.shape.column {
            TargetColumn::Classes => RowTarget::Class(bytemuck::cast_slice(bytes)[row as usize]),
            TargetColumn::Numbers => RowTarget::Number(bytemuck::cast_slice(bytes)[row as usize]),
            TargetColumn::Lists => {
                let all: &[u32] = bytemuck::cast_slice(&self.map[self.shape.lists()]);
                RowTarget::List(&all[between(words(bytes), row)])
            }
        }
    }

    /// The targets of all rows.
    #[must_use]
    pub fn targets(&self) -> Vec<RowTarget<&[u32]>> {
        (0..).take(self.len()).map(|row| self.target(row)).collect()
    }

    /// All rows' classes; 0 where there are none.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        self.targets().into_iter().map(|target| target.class().unwrap_or(0)).collect()
    }

    /// A row's number of tokens.
    #[must_use]
    pub fn length(&self, row: u32) -> u32 {
        u32::try_from(self.range(row).len()).expect("a row has at most a task's max_length of tokens")
    }

    /// All rows' numbers of tokens.
    #[must_use]
    pub fn lengths(&self) -> Vec<u32> {
        (0..).take(self.len()).map(|row| self.length(row)).collect()
    }

    fn seconds(&self) -> &[u32] {
        bytemuck::cast_slice(&self.map[self.shape.seconds()])
    }

    fn offsets(&self) -> &[u64] {
        words(&self.map[self.shape.offsets()])
    }

    fn range(&self, row: u32) -> Range<usize> {
        between(self.offsets(), row)
    }

    /// Whether the offsets rise from 0 to the number of tokens, and those of lists to that of their numbers, and
    /// second parts begin within their rows.
    fn is_in_order(&self) -> bool {
        let rise = |offsets: &[u64], end: usize| {
            offsets.is_sorted() && offsets[0] == 0 && offsets[self.shape.rows] == end as u64
        };
        let lists = match self.shape.column {
            TargetColumn::Classes | TargetColumn::Numbers => self.shape.listed == 0,
            TargetColumn::Lists => rise(words(&self.map[self.shape.targets()]), self.shape.listed),
        };
        let offsets = self.offsets();
        lists
            && rise(offsets, self.shape.tokens)
            && offsets.windows(2).zip(self.seconds()).all(|(row, at)| u64::from(*at) <= row[1] - row[0])
    }
}

/// What belongs to a row, between its offset and the next.
fn between(offsets: &[u64], row: u32) -> Range<usize> {
    let [start, end] = [row as usize, row as usize + 1].map(|at| offsets[at] as usize);
    start..end
}

/// The 64-bit words of a mapping, at a multiple of eight bytes from its start.
fn words(bytes: &[u8]) -> &[u64] {
    bytemuck::cast_slice(bytes)
}

#[cfg(test)]
mod tests;
