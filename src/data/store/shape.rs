//! Owns the layout of a part's file, and its checksum. Opens no file.

use std::ops::Range;

use crate::tasks::Targets;

pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"ls-token");
/// Version of the format, and of the tokenisation apart from a task's settings and its tokenizer. It is part of
/// a store's name, so that stores of other versions are ignored and made again.
pub(super) const VERSION: u64 = 5;
/// Magic, version, kind of targets, rows, tokens, numbers in lists, bytes of answers.
pub(super) const COUNTS: usize = 7 * size_of::<u64>();
pub(super) const HEADER: usize = COUNTS + blake3::OUT_LEN;

/// The kind of a part's targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetColumn {
    /// Classes (u32).
    Classes,
    /// Numbers (f64).
    Numbers,
    /// Where each row's list begins (u64).
    Lists,
}

impl From<&Targets> for TargetColumn {
    fn from(targets: &Targets) -> Self {
        match targets {
            Targets::Classes(_) => Self::Classes,
            Targets::Numbers(_) => Self::Numbers,
            Targets::Lists(_) => Self::Lists,
        }
    }
}

impl TargetColumn {
    /// Its code in a header.
    pub(super) fn code(self) -> u64 {
        match self {
            Self::Classes => 1,
            Self::Numbers => 2,
            Self::Lists => 3,
        }
    }

    /// The kind with this code.
    pub(super) fn of_code(code: u64) -> Option<Self> {
        [Self::Classes, Self::Numbers, Self::Lists].into_iter().find(|column| column.code() == code)
    }

    /// Bytes of the column for this number of rows.
    fn bytes(self, rows: usize) -> usize {
        match self {
            Self::Classes => rows * size_of::<u32>(),
            Self::Numbers => rows * size_of::<f64>(),
            Self::Lists => (rows + 1) * size_of::<u64>(),
        }
    }
}

/// The counts that determine all positions in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) tokens: usize,
    pub(super) listed: usize,
    answer_bytes: usize,
    pub(super) column: TargetColumn,
}

impl Shape {
    /// The shape, unless its file would be too large for any file system.
    pub(super) fn of(column: TargetColumn, [rows, tokens, listed, answer_bytes]: [u64; 4]) -> Option<Self> {
        let fits = |count: u64| usize::try_from(count).ok().filter(|count| *count < usize::MAX >> 8);
        let (rows, tokens, listed) = (fits(rows)?, fits(tokens)?, fits(listed)?);
        Some(Self { rows, tokens, listed, answer_bytes: fits(answer_bytes)?, column })
    }

    pub(super) fn offsets(self) -> Range<usize> {
        HEADER..HEADER + (self.rows + 1) * size_of::<u64>()
    }

    /// Columns of wider numbers come first, so that each begins at a multiple of its numbers' size.
    pub(super) fn targets(self) -> Range<usize> {
        let start = self.offsets().end;
        start..start + self.column.bytes(self.rows)
    }

    pub(super) fn tokens(self) -> Range<usize> {
        let start = self.targets().end;
        start..start + self.tokens * size_of::<u32>()
    }

    pub(super) fn seconds(self) -> Range<usize> {
        let start = self.tokens().end;
        start..start + self.rows * size_of::<u32>()
    }

    pub(super) fn lists(self) -> Range<usize> {
        let start = self.seconds().end;
        start..start + self.listed * size_of::<u32>()
    }

    pub(super) fn answers(self) -> Range<usize> {
        let start = self.lists().end;
        start..start + self.answer_bytes
    }

    /// Every row's answers; `None` where they are not in the written form.
    pub(super) fn read_answers(self, file: &[u8]) -> Option<Vec<Vec<String>>> {
        if self.answer_bytes == 0 {
            return Some(Vec::new());
        }
        let answers: Vec<_> = serde_json::from_slice(&file[self.answers()]).ok()?;
        (answers.len() == self.rows).then_some(answers)
    }
}

pub(super) fn checksum<const N: usize>(counts: &[u8], content: [&[u8]; N]) -> [u8; blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(counts);
    for bytes in content {
        hasher.update(bytes);
    }
    *hasher.finalize().as_bytes()
}
