//! Owns the keys of a sweep file that belong to kinds of tasks, and the values given for them. Knows no
//! position in a file.

use std::collections::{BTreeMap, BTreeSet};

/// A key of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskKey {
    /// Its name.
    pub name: &'static str,
    /// Its allowed values.
    pub value: KeyValue,
    /// Whether it is required.
    pub required: bool,
    /// Its meaning, for the JSON Schema and messages.
    pub doc: &'static str,
}

/// The allowed values of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// Text.
    Text,
    /// A column of the files.
    Column,
    /// One or more columns of the files.
    Columns,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, at least 1.
    Count,
    /// One of these words, or a mapping from class names to numbers greater than 0.
    Weights(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// The text of a template, or the path of a file with it.
    Template,
    /// A mapping from values to class names, or a list of class names.
    Labels,
}

impl TaskKey {
    /// Columns of the text.
    pub const TEXT: Self =
        Self::optional("text", KeyValue::Columns, "Columns that make up the text, joined by a space");
    /// Columns of the second text.
    pub const PAIR: Self =
        Self::optional("pair", KeyValue::Columns, "Columns that make up the second text of a pair");

    /// An optional key.
    #[must_use]
    pub const fn optional(name: &'static str, value: KeyValue, doc: &'static str) -> Self {
        Self { name, value, required: false, doc }
    }

    /// A required key.
    #[must_use]
    pub const fn required(name: &'static str, value: KeyValue, doc: &'static str) -> Self {
        Self { name, value, required: true, doc }
    }
}

/// The values of a task in a sweep file, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    texts: BTreeMap<&'static str, Vec<String>>,
    counts: BTreeMap<&'static str, usize>,
    weights: BTreeMap<&'static str, BTreeMap<String, f64>>,
    /// Whether every file of the task is plain text, which has no columns to name.
    pub plain_text: bool,
}

impl Given {
    /// Sets a text.
    pub fn say(&mut self, key: &'static str, text: impl Into<String>) {
        self.texts.entry(key).or_default().push(text.into());
    }

    /// Sets a number.
    pub fn count(&mut self, key: &'static str, number: usize) {
        self.counts.insert(key, number);
    }

    /// Sets numbers by name.
    pub fn weigh(&mut self, key: &'static str, weights: BTreeMap<String, f64>) {
        self.weights.insert(key, weights);
    }

    /// A key's numbers by name.
    #[must_use]
    pub fn weights(&self, key: &str) -> Option<&BTreeMap<String, f64>> {
        self.weights.get(key)
    }

    /// Sets whether a key holds.
    pub fn set(&mut self, key: &'static str, holds: bool) {
        self.count(key, usize::from(holds));
    }

    /// Sets a text in place of another.
    pub fn replace(&mut self, key: &'static str, text: String) {
        self.texts.insert(key, vec![text]);
    }

    /// Whether a key holds; no where it is absent.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.number(key).is_some_and(|number| number > 0)
    }

    /// A key's text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts(key).first().map(String::as_str)
    }

    /// A key's texts; empty where the key is absent.
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

/// The classes of a task, from its files and its `labels`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Their names, in the order of their indices.
    pub labels: Vec<String>,
    /// From a class in the files to its name.
    pub map: BTreeMap<String, String>,
    /// Labels in the files whose rows are left out.
    pub dropped: BTreeSet<String>,
}

/// What is wrong with a kind's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// A missing key.
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
        /// The value.
        found: String,
        /// The allowed values.
        allowed: &'static str,
    },
}
