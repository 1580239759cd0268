//! Owns what the columns of a data file hold: words, classes or numbers, and how likely each is a text or a
//! label. Reads the file column by column; writes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::{card, sources};
use crate::tasks::Reading;

/// Most classes of a column that may be a label.
const MOST_CLASSES: usize = 200;
/// Most words of a label on average.
const LONGEST_LABEL: f64 = 8.0;
/// Least share of a text column's values that are words rather than numbers, dates or addresses.
pub(super) const TEXT_SHARE: f64 = 0.5;
/// Most words of a column's name.
const LONGEST_NAME: usize = 8;
/// Names of label columns, the most likely first.
const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "target",
    "category",
    "sentiment",
    "intent",
    "topic",
    "emotion",
    "stance",
    "polarity",
    "gold_label",
    "y",
    "stars",
    "rating",
    "product",
    "genre",
    "spam",
];
/// Names of columns with target numbers, the most likely first.
const SCORES: &[&str] = &[
    "score",
    "label",
    "labels",
    "target",
    "rating",
    "similarity",
    "relatedness",
    "y",
    "stars",
    "price",
    "value",
];
/// A data file, and the keys that read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) reading: &'a Reading,
}

/// The content of a column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Rows without a value.
    pub(super) empty: usize,
    /// Its values with their numbers of rows, if they are few enough for classes; without the missing one.
    pub(super) classes: BTreeMap<String, usize>,
    /// The least and the greatest value, if all are numbers.
    pub(super) numbers: Option<Range>,
    /// Average number of words of a value.
    pub(super) words: f64,
    /// Share of the values that are words rather than numbers, dates, addresses or code.
    pub(super) language: f64,
}

/// The numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) most: f64,
    /// Whether all are whole numbers.
    are_whole: bool,
}

/// Looks at each of a file's columns, named `found` in the file and `names` in the sweep. Where these differ,
/// the file has no header row, and its first row of values was taken for one.
pub(super) fn look(file: File<'_>, found: &[String], names: &[String]) -> Vec<Column> {
    let column = |(found, name): (&String, &String)| {
        let mut values = sources::texts(file.path, file.reading, std::slice::from_ref(found), &[]).ok()?.0;
        if found != name {
            values.insert(0, found.clone());
        }
        Some(Column::of(name, &values))
    };
    found.iter().zip(names).filter_map(column).collect()
}

/// Names for the columns of a file whose first row seems to hold values, because one of its names is a number,
/// a whole sentence, or a class of the rows below.
pub(super) fn without_header(file: File<'_>, found: &[String]) -> Option<Vec<String>> {
    let name = file.path.file_name()?.to_string_lossy().to_lowercase();
    if ![".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        return None;
    }
    let value = |name: &String| name.trim().parse::<f64>().is_ok() || count_words(name) > LONGEST_NAME;
    let class = || {
        let columns = look(file, found, found);
        let repeats =
            |column: &Column| column.can_be_label() && column.classes.contains_key(column.name.trim());
        columns.iter().any(repeats)
    };
    let values = found.len() > 1 && found.iter().any(value) || class();
    values.then(|| {
        let number = |at: usize| format!("column{}", at + 1);
        (0..found.len()).map(number).collect()
    })
}

impl Column {
    fn of(name: &str, values: &[String]) -> Self {
        let (mut empty, mut words, mut language) = (0, 0, 0);
        let mut classes = BTreeMap::new();
        let (mut are_numbers, mut range) = (true, None);
        for value in values.iter().map(|value| value.trim()) {
            if value.is_empty() {
                empty += 1;
                continue;
            }
            match value.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    // -0 becomes 0.
                    let number = number + 0.0;
                    let first = Range { least: number, most: number, are_whole: true };
                    let Range { least, most, are_whole } = range.unwrap_or(first);
                    range = Some(Range {
                        least: least.min(number),
                        most: most.max(number),
                        are_whole: are_whole && number.fract() == 0.0,
                    });
                }
                Ok(_) | Err(_) => are_numbers = false,
            }
            if classes.len() <= MOST_CLASSES {
                *classes.entry(value.to_owned()).or_insert(0) += 1;
            }
            words += count_words(value);
            language += usize::from(is_language(value));
        }
        let filled = ratio(1, (values.len() - empty).max(1));
        if classes.len() > MOST_CLASSES {
            classes.clear();
        }
        Self {
            name: name.to_owned(),
            empty,
            classes,
            numbers: range.filter(|_| are_numbers),
            words: filled * ratio(words, 1),
            language: filled * ratio(language, 1),
        }
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.trim().eq_ignore_ascii_case(name)
    }

    /// How likely it is a text: the more words, the more likely.
    pub(super) fn as_text(&self) -> f64 {
        if self.language < TEXT_SHARE { 0.0 } else { self.language * self.words }
    }

    /// Whether its values can be classes: few of them, each frequent enough, none of them a sentence.
    fn can_be_label(&self) -> bool {
        let rows: usize = self.classes.values().sum();
        (2..=MOST_CLASSES).contains(&self.classes.len())
            && self.classes.len() * 2 <= rows
            && self.words <= LONGEST_LABEL
            && rows * 2 > self.empty
    }

    /// Whether its values can be target numbers: most rows have one, and they are not all equal.
    fn can_be_number(&self) -> bool {
        self.numbers.is_some_and(|range| range.least < range.most)
    }

    /// Sort key as a label; the most likely column has the smallest.
    pub(super) fn as_label(&self) -> (usize, bool, usize) {
        let name = self.name.trim_start_matches('#').trim().to_lowercase();
        let known = self.position_in(LABELS);
        let within = || LABELS[..7].iter().any(|label| name.contains(label));
        let rank = known.unwrap_or(if within() { LABELS.len() } else { LABELS.len() + 1 });
        let decimal = self.classes.keys().any(|value| value.contains('.') && value.parse::<f64>().is_ok());
        (rank, decimal, self.classes.len())
    }

    pub(super) fn can_be(&self, number: bool) -> bool {
        if number { self.can_be_number() } else { self.can_be_label() }
    }

    /// Sort key as a target number; the most likely column has the smallest. Names count first, then decimals,
    /// which no count of rows has.
    pub(super) fn as_number(&self) -> (usize, bool) {
        let name = self.name.trim_start_matches('#').trim().to_lowercase();
        let within = || SCORES.iter().any(|known| name.contains(known));
        let known = self.position_in(SCORES);
        let rank = known.unwrap_or(if within() { SCORES.len() } else { SCORES.len() + 1 });
        (if self.is_index() { usize::MAX } else { rank }, self.numbers.is_none_or(|range| range.are_whole))
    }

    /// The position of this column's name in a list of names.
    fn position_in(&self, names: &[&str]) -> Option<usize> {
        let name = self.name.trim_start_matches('#').trim().to_lowercase();
        names.iter().position(|known| *known == name)
    }

    /// Whether it only counts the rows.
    fn is_index(&self) -> bool {
        ["id", "index"].iter().any(|name| self.is_called(name))
    }

    /// Whether its values are measurements: too many numbers for classes, or numbers with decimals.
    fn measures(&self) -> bool {
        let classes: Vec<(&str, usize)> =
            self.classes.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        let many_or_odd = classes.is_empty() || card::numbers(&self.name, &classes).is_some();
        self.numbers.is_some() && !self.is_index() && many_or_odd
    }

    /// Whether this column of numbers is more likely the target than a column of classes.
    pub(super) fn is_likelier_to_be_learned_than(&self, classes: Option<&Self>) -> bool {
        let rank = self.position_in(SCORES);
        let is_likelier = match classes {
            Some(label) if label.name == self.name => true,
            Some(label) => {
                rank.is_some_and(|rank| label.position_in(LABELS).is_none_or(|other| rank < other))
            }
            None => rank.is_some() || self.numbers.is_some_and(|range| !range.are_whole),
        };
        is_likelier && self.measures()
    }

    /// Number of rows of the largest class.
    pub(super) fn largest(&self) -> usize {
        self.classes.values().copied().max().unwrap_or(0)
    }

    /// The rows that must be enough for each fold to get some: those of the smallest class, or all rows for
    /// numbers.
    pub(super) fn fewest(&self) -> usize {
        if self.numbers.is_some() { usize::MAX } else { self.smallest() }
    }

    /// Number of rows of the smallest class.
    pub(super) fn smallest(&self) -> usize {
        self.classes.values().copied().min().unwrap_or(0)
    }
}

/// Number of words of a value; in a script without spaces, two characters count as one.
fn count_words(value: &str) -> usize {
    let unspaced = value.chars().filter(|c| c.is_alphabetic() && u32::from(*c) >= 0x2E80).count();
    value.split_whitespace().count().max(unspaced / 2)
}

/// Whether a value is words: not a number, a date, an address, an identifier, or a list in JSON.
fn is_language(value: &str) -> bool {
    let starts =
        |prefix: &str| value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let address = !value.contains(char::is_whitespace)
        && (value.contains("://") || value.contains('@') || value.contains('/'));
    let code =
        (value.starts_with('{') && value.ends_with('}')) || (value.starts_with('[') && value.ends_with(']'));
    if address || code || starts("http://") && !value.contains(' ') {
        return false;
    }
    let shown = value.chars().filter(|c| !c.is_whitespace()).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let word = value.split_whitespace().next().unwrap_or_default();
    let identifier = shown > 12 && word.len() == value.len() && value.chars().any(|c| c.is_ascii_digit());
    letters * 10 >= shown * 6 && !identifier
}

#[expect(clippy::cast_precision_loss, reason = "counts of words and rows are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests;
