//! Owns the token store: a task's rows as token ids and labels, made once and memory-mapped by
//! every process that trains on them.
//!
//! A store is a folder with one file per part. A file is a header of 64 bytes (magic, version, row
//! count, token count, BLAKE3 checksum of everything else), then `rows + 1` offsets (u64), the
//! tokens (u32) and the labels (u32), in the machine's byte order. The checksum is verified when a
//! store is opened, so that a damaged store is an error and never a wrong result. Tokenises nothing.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::mapped;
use crate::run::layout::Layout;
use crate::task::Part;

const MAGIC: u64 = u64::from_ne_bytes(*b"ls-token");
const VERSION: u64 = 1;
/// Magic, version, rows, tokens.
const COUNTS: usize = 4 * size_of::<u64>();
const HEADER: usize = COUNTS + blake3::OUT_LEN;
const PARTS: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

/// A store that cannot be used. Deleting its folder mends every case: it is made again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}; delete its folder, it is made again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file was written by another version, or is no part of a store.
    #[error("`{}` is not a token store of version {VERSION}; delete its folder, it is made again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
    },
    /// A file is shorter or longer than its header says.
    #[error("`{}` is truncated; delete its folder, it is made again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// A file's content is not what was written.
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
}

/// Number of rows and tokens, from which all positions in a file follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    rows: usize,
    tokens: usize,
}

/// The rows of one part while they are gathered.
#[derive(Debug)]
pub struct PartBuilder {
    offsets: Vec<u64>,
    tokens: Vec<u32>,
    labels: Vec<u32>,
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
        let [magic, version, rows, tokens] = words(&header[..COUNTS]) else {
            unreachable!("the counts are four words");
        };
        if (*magic, *version) != (MAGIC, VERSION) {
            return Err(StoreError::Version { path: at() });
        }
        let shape = Shape::of(*rows, *tokens).filter(|shape| shape.labels().end == map.len());
        let shape = shape.ok_or_else(|| StoreError::Truncated { path: at() })?;
        let intact = checksum(&header[..COUNTS], [&map[HEADER..]]) == header[COUNTS..];
        let view = Self { map, shape };
        if intact && view.is_in_order() { Ok(view) } else { Err(StoreError::Damaged { path: at() }) }
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

    /// A row's class, as an index into the task's labels.
    #[must_use]
    pub fn label(&self, row: u32) -> u32 {
        self.labels()[row as usize]
    }

    /// All rows' classes.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        bytemuck::cast_slice(&self.map[self.shape.labels()])
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

    fn offsets(&self) -> &[u64] {
        words(&self.map[self.shape.offsets()])
    }

    fn range(&self, row: u32) -> Range<usize> {
        let [start, end] = [row as usize, row as usize + 1].map(|at| self.offsets()[at] as usize);
        start..end
    }

    /// Whether the offsets go from 0 to the number of tokens without going back.
    fn is_in_order(&self) -> bool {
        let offsets = self.offsets();
        offsets.is_sorted() && offsets[0] == 0 && offsets[self.shape.rows] == self.shape.tokens as u64
    }
}

impl Shape {
    /// The shape, unless its file would be larger than any file.
    fn of(rows: u64, tokens: u64) -> Option<Self> {
        let fits = |count: u64| usize::try_from(count).ok().filter(|count| *count < usize::MAX >> 8);
        Some(Self { rows: fits(rows)?, tokens: fits(tokens)? })
    }

    fn offsets(self) -> Range<usize> {
        HEADER..HEADER + (self.rows + 1) * size_of::<u64>()
    }

    fn tokens(self) -> Range<usize> {
        let start = self.offsets().end;
        start..start + self.tokens * size_of::<u32>()
    }

    fn labels(self) -> Range<usize> {
        let start = self.tokens().end;
        start..start + self.rows * size_of::<u32>()
    }
}

impl Default for PartBuilder {
    fn default() -> Self {
        Self { offsets: vec![0], tokens: Vec::new(), labels: Vec::new() }
    }
}

impl PartBuilder {
    /// Adds a row.
    pub fn push(&mut self, tokens: &[u32], label: u32) {
        self.tokens.extend_from_slice(tokens);
        self.offsets.push(self.tokens.len() as u64);
        self.labels.push(label);
    }

    /// Writes the rows as a part of the store in `folder`, down to the disk.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, folder: &Path, part: Part) -> io::Result<()> {
        let counts = [MAGIC, VERSION, self.labels.len() as u64, self.tokens.len() as u64];
        let counts: &[u8] = bytemuck::cast_slice(&counts);
        let content: [&[u8]; 3] = [
            bytemuck::cast_slice(&self.offsets),
            bytemuck::cast_slice(&self.tokens),
            bytemuck::cast_slice(&self.labels),
        ];
        let mut file = File::create(Layout::store_part(folder, part))?;
        file.write_all(counts)?;
        file.write_all(&checksum(counts, content))?;
        for bytes in content {
            file.write_all(bytes)?;
        }
        file.sync_all()
    }
}

fn checksum<const N: usize>(counts: &[u8], content: [&[u8]; N]) -> [u8; blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(counts);
    for bytes in content {
        hasher.update(bytes);
    }
    *hasher.finalize().as_bytes()
}

/// Words in a mapping at a multiple of eight bytes from its start.
fn words(bytes: &[u8]) -> &[u64] {
    bytemuck::cast_slice(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn write(folder: &Path, part: Part, rows: &[(Vec<u32>, u32)]) {
        let mut builder = PartBuilder::default();
        rows.iter().for_each(|(tokens, label)| builder.push(tokens, *label));
        builder.write(folder, part).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_was_written_is_read(
            rows in prop::collection::vec((prop::collection::vec(any::<u32>(), 0..9), any::<u32>()), 0..9),
        ) {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), Part::Train, &rows);
            let store = TokenStore::open(folder.path()).unwrap();
            prop_assert!(store.part(Part::Validation).is_none() && store.part(Part::Test).is_none());
            let view = store.part(Part::Train).unwrap();
            prop_assert_eq!((view.len(), view.is_empty()), (rows.len(), rows.is_empty()));
            for (row, (tokens, label)) in (0..).zip(&rows) {
                prop_assert_eq!((view.tokens(row), view.label(row)), (&tokens[..], *label));
                prop_assert_eq!(view.length(row) as usize, tokens.len());
            }
            prop_assert_eq!(view.lengths().len(), view.labels().len());
        }
    }

    #[test]
    fn a_file_cut_anywhere_or_with_any_bit_flipped_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), Part::Train, &[(vec![101, 7592, 102], 1), (vec![101, 102], 0)]);
        let path = Layout::store_part(folder.path(), Part::Train);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(TokenStore::open(folder.path()).is_err(), "cut to {length} bytes");
        }
        for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, damaged).unwrap();
            assert!(TokenStore::open(folder.path()).is_err(), "bit {bit} of byte {at}");
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(TokenStore::open(folder.path()).is_err(), "one byte too many");
        fs::write(&path, whole).unwrap();
        assert!(TokenStore::open(folder.path()).is_ok());
    }

    #[test]
    fn each_error_names_the_file_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let says = |words: &str| {
            let said = TokenStore::open(folder.path()).unwrap_err().to_string();
            assert!(said.contains("train.tokens") && said.contains(words), "{said}");
        };
        says("No such file");
        write(folder.path(), Part::Train, &[(vec![1, 2], 0)]);
        let path = Layout::store_part(folder.path(), Part::Train);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..70]).unwrap();
        says("is truncated; delete its folder");
        let mut other = whole.clone();
        other[8] = 9;
        fs::write(&path, other).unwrap();
        says("is not a token store of version 1; delete its folder");
        let mut damaged = whole;
        damaged[HEADER + 20] ^= 1;
        fs::write(&path, damaged).unwrap();
        says("is damaged; delete its folder");
    }
}
