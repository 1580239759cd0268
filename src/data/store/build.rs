//! Owns the writing of one part of a store.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::shape::{MAGIC, VERSION, checksum};
use crate::disk::layout::Layout;
use crate::values::Part;

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its token ids, special tokens included.
    pub tokens: &'a [u32],
    /// Its class; 0 where there are none.
    pub label: u32,
    /// Where its second part begins: the second text of a pair, the answer to a question. The number
    /// of tokens where there is none.
    pub second: u32,
    /// Gold answers; empty but for question answering.
    pub answers: Vec<String>,
}

/// The rows of one part while they are gathered.
#[derive(Debug)]
pub struct PartBuilder {
    offsets: Vec<u64>,
    tokens: Vec<u32>,
    labels: Vec<u32>,
    seconds: Vec<u32>,
    answers: Vec<Vec<String>>,
}

impl Default for PartBuilder {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            tokens: Vec::new(),
            labels: Vec::new(),
            seconds: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl PartBuilder {
    /// Adds a row.
    ///
    /// # Panics
    /// Where its second part begins behind its end.
    pub fn push(&mut self, row: Row<'_>) {
        assert!(row.second as usize <= row.tokens.len(), "a second part begins within its row");
        self.tokens.extend_from_slice(row.tokens);
        self.offsets.push(self.tokens.len() as u64);
        self.labels.push(row.label);
        self.seconds.push(row.second);
        self.answers.push(row.answers);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Writes the rows as a part of the store in `folder`, down to the disk.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, folder: &Path, part: Part) -> io::Result<()> {
        let answers = if self.answers.iter().all(Vec::is_empty) {
            Vec::new()
        } else {
            serde_json::to_vec(&self.answers)?
        };
        let [rows, tokens, answer_bytes] =
            [self.labels.len(), self.tokens.len(), answers.len()].map(|count| count as u64);
        let counts = [MAGIC, VERSION, rows, tokens, answer_bytes];
        let counts: &[u8] = bytemuck::cast_slice(&counts);
        let content: [&[u8]; 5] = [
            bytemuck::cast_slice(&self.offsets),
            bytemuck::cast_slice(&self.tokens),
            bytemuck::cast_slice(&self.labels),
            bytemuck::cast_slice(&self.seconds),
            &answers,
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
