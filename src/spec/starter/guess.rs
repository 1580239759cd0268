//! Owns the guess at which columns of a data file are the text, its pair and the label, from their names and
//! contents. Reads the chosen texts; writes nothing.

use crate::data::sources;

use super::columns::{Column, File, TEXT_SHARE};

/// Names of two columns that form a pair of texts, rather than one text in two parts.
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
/// Names of two columns that form one text in two parts, such as a headline and its article.
const PARTS: (&[&str], &[&str]) = (
    &["title", "headline", "subject", "heading"],
    &["description", "body", "text", "content", "abstract", "article", "review", "message"],
);

/// The guess at the columns.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// Columns of the text.
    pub(super) text: Vec<String>,
    /// Column of the second text of a pair.
    pub(super) pair: Option<String>,
    pub(super) label: Option<Column>,
    /// Other columns that could be the label, the most likely first.
    pub(super) other_labels: Vec<Column>,
    /// Other columns that could be the text, the most likely first.
    pub(super) other_texts: Vec<String>,
}

impl Guess {
    /// The label and the texts of a classification, or the number and the texts of a regression.
    pub(super) fn labelled(columns: &[Column], numbers: bool) -> Self {
        let has = |name: &str| columns.iter().any(|column| column.is_called(name));
        let pair = PAIRS.iter().find(|(first, second)| has(first) && has(second));
        let of_pair = |column: &Column| pair.is_some_and(|(a, b)| column.is_called(a) || column.is_called(b));
        let mut labels: Vec<&Column> =
            columns.iter().filter(|column| column.can_be(numbers) && !of_pair(column)).collect();
        if numbers {
            labels.sort_by_key(|column| column.as_number());
        } else {
            labels.sort_by_key(|column| column.as_label());
        }
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

    /// The texts of these columns, and their second texts. `names` are the names of the file's columns in the
    /// file and in the sweep.
    pub(super) fn texts(
        &self,
        file: File<'_>,
        names: (&[String], &[String]),
    ) -> (Vec<String>, Option<Vec<String>>) {
        let (found, called) = names;
        let in_file =
            |name: &String| called.iter().position(|known| known == name).map(|at| found[at].clone());
        let text: Vec<String> = self.text.iter().filter_map(in_file).collect();
        let pair: Vec<String> = self.pair.iter().filter_map(in_file).collect();
        if text.is_empty() {
            return (Vec::new(), None);
        }
        sources::texts(file.path, file.reading, &text, &pair).unwrap_or_default()
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

/// The column with the most words of any kind: the last resort where no column is language.
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
