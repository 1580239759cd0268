//! Owns the keys of a sweep file that kinds of tasks have of their own, and what a file says under them.
//! Knows no place in a file.

use std::collections::{BTreeMap, BTreeSet};

/// A key of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskKey {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub value: KeyValue,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, as the JSON Schema and messages say it.
    pub doc: &'static str,
}

/// What the value of a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// Text.
    Text,
    /// One or more texts.
    Texts,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from 1 on.
    Count,
    /// A mapping from values to class names, or a list of class names.
    Labels,
}

impl TaskKey {
    /// Columns of the text.
    pub const TEXT: Self =
        Self::optional("text", KeyValue::Texts, "Columns that make up the text, joined by a space");
    /// Columns of the second text.
    pub const PAIR: Self =
        Self::optional("pair", KeyValue::Texts, "Columns that make up the second text of a pair");

    /// A key that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, value: KeyValue, doc: &'static str) -> Self {
        Self { name, value, required: false, doc }
    }

    /// A key that must be there.
    #[must_use]
    pub const fn required(name: &'static str, value: KeyValue, doc: &'static str) -> Self {
        Self { name, value, required: true, doc }
    }
}

/// What a sweep file says of a task, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    texts: BTreeMap<&'static str, Vec<String>>,
    counts: BTreeMap<&'static str, usize>,
    /// Whether every file of the task is plain text, which has no columns to name.
    pub plain_text: bool,
}

impl Given {
    /// Takes in a text.
    pub fn say(&mut self, key: &'static str, text: impl Into<String>) {
        self.texts.entry(key).or_default().push(text.into());
    }

    /// Takes in a number.
    pub fn count(&mut self, key: &'static str, number: usize) {
        self.counts.insert(key, number);
    }

    /// A key's text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts(key).first().map(String::as_str)
    }

    /// A key's texts; none where the key is absent.
    #[must_use]
    pub fn texts(&self, key: &str) -> &[String] {
        self.texts.get(key).map_or(&[], Vec::as_slice)
    }

    /// A key's number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<usize> {
        self.counts.get(key).copied()
    }
}

/// The classes of a task, as its files and its `labels` have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Their names, in the order of their indices.
    pub labels: Vec<String>,
    /// What the files call a class, to its name.
    pub map: BTreeMap<String, String>,
    /// What the files call the labels whose rows are left out.
    pub dropped: BTreeSet<String>,
}

/// What is wrong with a kind's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// A key is missing, and what it is for.
    Missing {
        /// The key.
        key: &'static str,
        /// What it is for.
        hint: &'static str,
    },
    /// A value that the kind cannot use.
    Value {
        /// The key.
        key: &'static str,
        /// What is there.
        found: String,
        /// What may be.
        allowed: &'static str,
    },
}
