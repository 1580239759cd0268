//! Owns how to read a task's files, where their names and bytes do not say it. Reads none.

use serde::{Deserialize, Serialize};

/// How to read files whose names and bytes do not say it, or say it wrongly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The format, whatever the extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// The character that separates the columns of a line; ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// The character that quotes a field; ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<char>,
    /// Whether fields may be quoted; by default they may be in CSV and not in TSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoting: Option<bool>,
    /// The encoding of text without a byte order mark, by its name in the WHATWG Encoding Standard;
    /// UTF-8 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

/// The format of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Lines of fields separated by commas.
    Csv,
    /// Lines of fields separated by tabs.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// A JSON document that holds rows.
    Json,
    /// SQuAD's nested JSON.
    Squad,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's stream format.
    Arrow,
    /// Lines of text.
    Text,
    /// A word and its tags on each line, and an empty line after each text, as in the CoNLL shared tasks.
    Conll,
}

impl FileFormat {
    /// Every format's name, in the order of the enumeration.
    pub const NAMES: [&'static str; 9] =
        ["csv", "tsv", "jsonl", "json", "squad", "parquet", "arrow", "text", "conll"];

    const ALL: [Self; 9] = [
        Self::Csv,
        Self::Tsv,
        Self::Jsonl,
        Self::Json,
        Self::Squad,
        Self::Parquet,
        Self::Arrow,
        Self::Text,
        Self::Conll,
    ];

    /// Its name in the sweep file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The format of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl Reading {
    /// Whether names and bytes decide everything.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Its keys and their values, as a sweep file has them: `separator: ";"`.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        // A string of JSON is one of YAML.
        let character = |c: char| if c == '\t' { "tab".to_owned() } else { format!("{:?}", c.to_string()) };
        let keys = [
            self.format.map(|format| format!("format: {}", format.name())),
            self.separator.map(|separator| format!("separator: {}", character(separator))),
            self.quote.map(|quote| format!("quote: {}", character(quote))),
            self.quoting.map(|quoting| format!("quoting: {quoting}")),
            self.encoding.as_ref().map(|encoding| format!("encoding: {encoding}")),
        ];
        keys.into_iter().flatten().collect()
    }
}
