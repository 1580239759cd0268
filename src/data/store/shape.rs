//! Owns where things stand in a part's file, and its checksum.

use std::ops::Range;

pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"ls-token");
/// Magic, version, rows, tokens, bytes of answers.
pub(super) const COUNTS: usize = 5 * size_of::<u64>();
pub(super) const HEADER: usize = COUNTS + blake3::OUT_LEN;

/// What a part's rows have as targets: the version of its file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetColumn {
    /// Classes (u32), behind the tokens.
    Classes,
    /// Numbers (f64), before the tokens.
    Numbers,
}

impl TargetColumn {
    /// The version of files with such a column.
    pub(super) fn version(self) -> u64 {
        match self {
            Self::Classes => 2,
            Self::Numbers => 3,
        }
    }

    /// That of a file of this version.
    pub(super) fn of_version(version: u64) -> Option<Self> {
        [Self::Classes, Self::Numbers].into_iter().find(|column| column.version() == version)
    }

    /// Bytes of so many rows in the column, before the tokens and behind them.
    fn bytes(self, rows: usize) -> [usize; 2] {
        match self {
            Self::Classes => [0, rows * size_of::<u32>()],
            Self::Numbers => [rows * size_of::<f64>(), 0],
        }
    }
}

/// The counts from which all positions in a file follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) tokens: usize,
    answer_bytes: usize,
    pub(super) column: TargetColumn,
}

impl Shape {
    /// The shape, unless its file would be larger than any file.
    pub(super) fn of(column: TargetColumn, [rows, tokens, answer_bytes]: [u64; 3]) -> Option<Self> {
        let fits = |count: u64| usize::try_from(count).ok().filter(|count| *count < usize::MAX >> 8);
        Some(Self { rows: fits(rows)?, tokens: fits(tokens)?, answer_bytes: fits(answer_bytes)?, column })
    }

    pub(super) fn offsets(self) -> Range<usize> {
        HEADER..HEADER + (self.rows + 1) * size_of::<u64>()
    }

    pub(super) fn tokens(self) -> Range<usize> {
        let start = self.offsets().end + self.column.bytes(self.rows)[0];
        start..start + self.tokens * size_of::<u32>()
    }

    /// The targets: the other of the two parts that stand on either side of the tokens is empty.
    pub(super) fn targets(self) -> Range<usize> {
        let [before, behind] = self.column.bytes(self.rows);
        let start = if before > 0 { self.offsets().end } else { self.tokens().end };
        start..start + before + behind
    }

    pub(super) fn seconds(self) -> Range<usize> {
        let start = self.tokens().end + self.column.bytes(self.rows)[1];
        start..start + self.rows * size_of::<u32>()
    }

    pub(super) fn answers(self) -> Range<usize> {
        let start = self.seconds().end;
        start..start + self.answer_bytes
    }

    /// Every row's answers; `None` where they are not as they were written.
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
