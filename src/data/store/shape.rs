//! Owns where things stand in a part's file, and its checksum.

use std::ops::Range;

pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"ls-token");
pub(super) const VERSION: u64 = 2;
/// Magic, version, rows, tokens, bytes of answers.
pub(super) const COUNTS: usize = 5 * size_of::<u64>();
pub(super) const HEADER: usize = COUNTS + blake3::OUT_LEN;

/// The counts from which all positions in a file follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) tokens: usize,
    answer_bytes: usize,
}

impl Shape {
    /// The shape, unless its file would be larger than any file.
    pub(super) fn of(rows: u64, tokens: u64, answer_bytes: u64) -> Option<Self> {
        let fits = |count: u64| usize::try_from(count).ok().filter(|count| *count < usize::MAX >> 8);
        Some(Self { rows: fits(rows)?, tokens: fits(tokens)?, answer_bytes: fits(answer_bytes)? })
    }

    pub(super) fn offsets(self) -> Range<usize> {
        HEADER..HEADER + (self.rows + 1) * size_of::<u64>()
    }

    pub(super) fn tokens(self) -> Range<usize> {
        let start = self.offsets().end;
        start..start + self.tokens * size_of::<u32>()
    }

    pub(super) fn labels(self) -> Range<usize> {
        let start = self.tokens().end;
        start..start + self.rows * size_of::<u32>()
    }

    pub(super) fn seconds(self) -> Range<usize> {
        let start = self.labels().end;
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
