//! Owns the writing of one part of a store. Tokenises nothing.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::shape::{MAGIC, TargetColumn, VERSION, checksum};
use crate::disk::layout::Layout;
use crate::tasks::{EncodedRow, Row, RowTarget, Targets};
use crate::values::Part;

/// The rows of one part while they are collected.
#[derive(Debug)]
pub struct PartBuilder {
    offsets: Vec<u64>,
    tokens: Vec<u32>,
    targets: Targets,
    seconds: Vec<u32>,
    answers: Vec<Vec<String>>,
}

impl Default for PartBuilder {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            tokens: Vec::new(),
            targets: Targets::Classes(Vec::new()),
            seconds: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl FromIterator<EncodedRow> for PartBuilder {
    fn from_iter<T: IntoIterator<Item = EncodedRow>>(rows: T) -> Self {
        let mut part = Self::default();
        for EncodedRow { sequence, target, answers } in rows {
            let (tokens, target) = (&sequence.tokens, target.borrowed());
            part.push(Row { tokens, second: sequence.second, target, answers: &answers });
        }
        part
    }
}

impl PartBuilder {
    /// Adds a row.
    ///
    /// # Panics
    /// Where its second part begins after its end, or its target is of another kind than those of earlier rows.
    pub fn push(&mut self, row: Row<'_>) {
        assert!(row.second as usize <= row.tokens.len(), "a second part begins within its row");
        if self.is_empty() {
            self.targets = match row.target {
                RowTarget::Class(_) => Targets::Classes(Vec::new()),
                RowTarget::Number(_) => Targets::Numbers(Vec::new()),
                RowTarget::List(_) => Targets::Lists(Vec::new()),
            };
        }
        match (&mut self.targets, row.target) {
            (Targets::Classes(classes), RowTarget::Class(class)) => classes.push(class),
            (Targets::Numbers(numbers), RowTarget::Number(number)) => numbers.push(number),
            (Targets::Lists(lists), RowTarget::List(list)) => lists.push(list.to_vec()),
            (Targets::Classes(_) | Targets::Numbers(_) | Targets::Lists(_), _) => {
                panic!("all rows of a part have targets of one kind")
            }
        }
        self.tokens.extend_from_slice(row.tokens);
        self.offsets.push(self.tokens.len() as u64);
        self.seconds.push(row.second);
        self.answers.push(row.answers.to_vec());
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seconds.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Writes the rows as a part of the store in `folder`, and makes them durable.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, folder: &Path, part: Part) -> io::Result<()> {
        let answers = if self.answers.iter().all(Vec::is_empty) {
            Vec::new()
        } else {
            serde_json::to_vec(&self.answers)?
        };
        let (starts, listed) = self.lists();
        let [rows, tokens, numbers, answer_bytes] =
            [self.len(), self.tokens.len(), listed.len(), answers.len()].map(|count| count as u64);
        let column = TargetColumn::from(&self.targets).code();
        let counts = [MAGIC, VERSION, column, rows, tokens, numbers, answer_bytes];
        let counts: &[u8] = bytemuck::cast_slice(&counts);
        let content: [&[u8]; 6] = [
            bytemuck::cast_slice(&self.offsets),
            match &self.targets {
                Targets::Classes(all) => bytemuck::cast_slice(all),
                Targets::Numbers(all) => bytemuck::cast_slice(all),
                Targets::Lists(_) => bytemuck::cast_slice(&starts),
            },
            bytemuck::cast_slice(&self.tokens),
            bytemuck::cast_slice(&self.seconds),
            bytemuck::cast_slice(&listed),
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

    /// Where each row's list begins and the last one ends, and the numbers of all lists; neither without lists.
    fn lists(&self) -> (Vec<u64>, Vec<u32>) {
        let Targets::Lists(lists) = &self.targets else { return (Vec::new(), Vec::new()) };
        let mut starts = vec![0];
        let mut listed = Vec::new();
        for list in lists {
            listed.extend_from_slice(list);
            starts.push(listed.len() as u64);
        }
        (starts, listed)
    }
}
