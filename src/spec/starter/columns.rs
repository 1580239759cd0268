//! Owns the guess which columns of a data file are text and which one is the label, from their names
//! and contents. Reads the file column by column; writes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::sources;

/// Most classes that a label column is thought to have.
const MOST_CLASSES: usize = 200;
/// Most words of a label on average.
const LONGEST_LABEL: f64 = 8.0;
/// Least share of a text column's values that are words rather than numbers, dates or addresses.
const TEXT_SHARE: f64 = 0.5;
/// Most words of a column's name.
const LONGEST_NAME: usize = 8;
/// Names of columns that hold a label, the likeliest first.
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
/// Names of columns that hold a number to be learned, the likeliest first.
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
/// Names of two columns that are a pair of texts, and not one text in two parts.
const PAIRS: &[(&str, &str)] = &[
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("s1", "s2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "text"),
    ("claim", "evidence"),
    ("string1", "string2"),
];
/// Names of two columns that are one text in two parts, as a headline and its article.
const PARTS: (&[&str], &[&str]) = (
    &["title", "headline", "subject", "heading"],
    &["description", "body", "text", "content", "abstract", "article", "review", "message"],
);

/// What a column holds.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Rows without a value.
    pub(super) empty: usize,
    /// Its values with their rows, where they are few enough for classes; a missing one is not here.
    pub(super) classes: BTreeMap<String, usize>,
    /// The least and the greatest of its values, where each is a number.
    pub(super) numbers: Option<Range>,
    /// Words of a value on average.
    words: f64,
    /// Share of the values that are words rather than numbers, dates, addresses or code.
    language: f64,
}

/// The numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) most: f64,
}

/// What the columns are thought to be.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// Columns of the text.
    pub(super) text: Vec<String>,
    /// Column of the second text of a pair.
    pub(super) pair: Option<String>,
    pub(super) label: Option<Column>,
    /// Other columns that could be the label, the likeliest first.
    pub(super) other_labels: Vec<Column>,
    /// Other columns that could be the text, the likeliest first.
    pub(super) other_texts: Vec<String>,
}

/// Looks at each of a file's columns, which the file calls `found` and the sweep `names`. Where these
/// differ the file has no row of names, and its first row of values is taken for one.
pub(super) fn look(data: &Path, found: &[String], names: &[String]) -> Vec<Column> {
    let column = |(found, name): (&String, &String)| {
        let mut values = sources::texts(data, std::slice::from_ref(found), &[]).ok()?.0;
        if found != name {
            values.insert(0, found.clone());
        }
        Some(Column::of(name, &values))
    };
    found.iter().zip(names).filter_map(column).collect()
}

/// The texts of a guess, and their second texts. `names` are the file's names of its columns and the
/// sweep's.
pub(super) fn texts(
    data: &Path,
    names: (&[String], &[String]),
    guess: &Guess,
) -> (Vec<String>, Option<Vec<String>>) {
    let (found, called) = names;
    let in_file = |name: &String| called.iter().position(|known| known == name).map(|at| found[at].clone());
    let text: Vec<String> = guess.text.iter().filter_map(in_file).collect();
    let pair: Vec<String> = guess.pair.iter().filter_map(in_file).collect();
    if text.is_empty() {
        return (Vec::new(), None);
    }
    sources::texts(data, &text, &pair).unwrap_or_default()
}

/// Names for the columns of a file whose first row seems to hold values: one of its names is a number,
/// a whole sentence, or a class of the rows below it.
pub(super) fn without_header(data: &Path, found: &[String]) -> Option<Vec<String>> {
    let name = data.file_name()?.to_string_lossy().to_lowercase();
    if ![".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        return None;
    }
    let value = |name: &String| name.trim().parse::<f64>().is_ok() || count_words(name) > LONGEST_NAME;
    let class = || {
        let columns = look(data, found, found);
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
                    let Range { least, most } = range.unwrap_or(Range { least: number, most: number });
                    range = Some(Range { least: least.min(number), most: most.max(number) });
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

    fn is_called(&self, name: &str) -> bool {
        self.name.trim().eq_ignore_ascii_case(name)
    }

    /// How much of a text it is: more words are more of one.
    fn as_text(&self) -> f64 {
        if self.language < TEXT_SHARE { 0.0 } else { self.language * self.words }
    }

    /// Whether its values can be classes: few of them, each often enough, none of them a sentence.
    fn can_be_label(&self) -> bool {
        let rows: usize = self.classes.values().sum();
        (2..=MOST_CLASSES).contains(&self.classes.len())
            && self.classes.len() * 2 <= rows
            && self.words <= LONGEST_LABEL
            && rows * 2 > self.empty
    }

    /// Whether its values can be numbers to be learned: most rows have one, and they are not all the same.
    fn can_be_number(&self) -> bool {
        self.numbers.is_some_and(|range| range.least < range.most)
    }

    /// How unlikely a label it is, smallest first.
    fn as_label(&self) -> (usize, bool, usize) {
        let name = self.name.trim_start_matches('#').trim().to_lowercase();
        let known = LABELS.iter().position(|label| *label == name);
        let within = || LABELS[..7].iter().any(|label| name.contains(label));
        let rank = known.unwrap_or(if within() { LABELS.len() } else { LABELS.len() + 1 });
        let decimal = self.classes.keys().any(|value| value.contains('.') && value.parse::<f64>().is_ok());
        (rank, decimal, self.classes.len())
    }

    fn can_be(&self, number: bool) -> bool {
        if number { self.can_be_number() } else { self.can_be_label() }
    }

    /// How unlikely a number to be learned it is, smallest first: by its name, then decimals first, which
    /// no count of rows has.
    fn as_number(&self) -> (usize, bool, usize) {
        let name = self.name.trim_start_matches('#').trim().to_lowercase();
        let within = || SCORES.iter().any(|known| name.contains(known));
        let known = SCORES.iter().position(|known| *known == name);
        let rank = known.unwrap_or(if within() { SCORES.len() } else { SCORES.len() + 1 });
        let (rank, decimal) =
            if name == "id" || name == "index" { (usize::MAX, false) } else { (rank, true) };
        (rank, !decimal, 0)
    }

    /// The rows of the largest class.
    pub(super) fn largest(&self) -> usize {
        self.classes.values().copied().max().unwrap_or(0)
    }

    /// The rows that a fold needs some of: those of the smallest class, or all where there are numbers.
    pub(super) fn fewest(&self) -> usize {
        if self.numbers.is_some() { usize::MAX } else { self.smallest() }
    }

    /// The rows of the smallest class.
    pub(super) fn smallest(&self) -> usize {
        self.classes.values().copied().min().unwrap_or(0)
    }
}

impl Guess {
    /// The label and the texts of a classification, or the number and the texts of a regression.
    pub(super) fn labelled(columns: &[Column], numbers: bool) -> Self {
        let has = |name: &str| columns.iter().any(|column| column.is_called(name));
        let pair = PAIRS.iter().find(|(first, second)| has(first) && has(second));
        let of_pair = |column: &Column| pair.is_some_and(|(a, b)| column.is_called(a) || column.is_called(b));
        let mut labels: Vec<&Column> =
            columns.iter().filter(|column| column.can_be(numbers) && !of_pair(column)).collect();
        labels.sort_by_key(|column| if numbers { column.as_number() } else { column.as_label() });
        let mut labels = labels
            .into_iter()
            .cloned()
            .map(|column| Column { numbers: column.numbers.filter(|_| numbers), ..column });
        let label = labels.next();
        let named = label.as_ref().map(|label| label.name.clone());
        let texts: Vec<&Column> =
            columns.iter().filter(|column| Some(&column.name) != named.as_ref()).collect();
        let (text, pair) = texts_of(&texts);
        let chosen = |name: &String| text.contains(name) || pair.as_ref() == Some(name);
        let other_texts =
            ranked(&texts).into_iter().map(|column| column.name.clone()).filter(|name| !chosen(name));
        let other_labels = labels.filter(|column| !chosen(&column.name)).take(5).collect();
        Self { other_texts: other_texts.take(5).collect(), other_labels, text, pair, label }
    }

    /// The text of a language model.
    pub(super) fn text_alone(columns: &[Column]) -> Self {
        let all: Vec<&Column> = columns.iter().collect();
        let mut names = ranked(&all).into_iter().chain(longest(&all)).map(|column| column.name.clone());
        let text: Vec<String> = names.next().into_iter().collect();
        let other_texts = names.filter(|name| !text.contains(name)).take(5).collect();
        Self { text, other_texts, ..Self::default() }
    }
}

/// Columns of text, the one with the most words first.
fn ranked<'c>(columns: &[&'c Column]) -> Vec<&'c Column> {
    let mut texts: Vec<&Column> = columns.iter().copied().filter(|column| column.as_text() > 1.0).collect();
    texts.sort_by(|a, b| b.as_text().total_cmp(&a.as_text()));
    texts
}

/// The column with the most words, whatever they are: what is left where none is language.
fn longest<'c>(columns: &[&'c Column]) -> Option<&'c Column> {
    columns.iter().copied().max_by(|a, b| a.words.total_cmp(&b.words))
}

/// The columns of the text, and that of its pair.
fn texts_of(columns: &[&Column]) -> (Vec<String>, Option<String>) {
    let named = |name: &str| columns.iter().find(|column| column.is_called(name));
    let pair = PAIRS.iter().find_map(|(first, second)| Some((named(first)?, named(second)?)));
    if let Some((first, second)) =
        pair.filter(|(first, second)| first.language.min(second.language) >= TEXT_SHARE)
    {
        return (vec![first.name.clone()], Some(second.name.clone()));
    }
    let texts = ranked(columns);
    let text = |names: &[&str]| {
        texts.iter().find(|column| names.contains(&column.name.trim().to_lowercase().as_str()))
    };
    if let (Some(title), Some(body)) = (text(PARTS.0), text(PARTS.1)) {
        return (vec![title.name.clone(), body.name.clone()], None);
    }
    let best = texts.first().copied().or_else(|| longest(columns));
    (best.map(|column| column.name.clone()).into_iter().collect(), None)
}

/// Words of a value; where a script has no spaces, two characters count as one.
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
