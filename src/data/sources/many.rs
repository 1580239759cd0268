//! Owns rows with several labels: any number of classes for a text, or a tag for each word of one. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::tasks::{Cleaning, Fields, Targets, Written};

use super::labels::{self, Class, Naming};
use super::lists;
use super::rows::{self, Kept, Rows, Texts};
use super::table::{Located, Table};
use super::{LeftOut, Problem};

/// Texts with their classes.
pub(super) fn labelled(
    table: &Table,
    (written, naming): (Written<'_>, Naming<'_>),
    texts: Texts,
    cleaning: &Cleaning,
) -> Result<Kept, Located> {
    let mut classes = classes(table, written, naming)?;
    let stays: Vec<bool> = (0..table.rows).map(|row| texts.are_long_enough(row, cleaning)).collect();
    rows::keep(&mut classes, &stays);
    let left_out = LeftOut { few_words: table.rows - classes.len(), ..LeftOut::default() };
    Ok(Kept { rows: Rows::Labelled(texts.kept(&stays, Targets::Lists(classes))), left_out })
}

/// The classes of each row, each once, by name.
pub(super) fn classes(
    table: &Table,
    written: Written<'_>,
    naming: Naming<'_>,
) -> Result<Vec<Vec<String>>, Located> {
    let mut all = values(table, written)?;
    named(&mut all, naming);
    for classes in &mut all {
        let mut seen = BTreeSet::new();
        classes.retain(|class| seen.insert(class.clone()));
    }
    Ok(all)
}

/// The values of each row, before they get names.
pub(super) fn values(table: &Table, written: Written<'_>) -> Result<Vec<Vec<String>>, Located> {
    match written {
        Written::Listed { column, separator } => {
            let values = |field: &str| lists::values(field, separator);
            each(table, column, values)
        }
        Written::Flags(columns) => {
            let mut all = vec![Vec::new(); table.rows];
            for column in columns {
                let fields = table.column(column)?;
                for (row, (field, values)) in fields.iter().zip(&mut all).enumerate() {
                    let not_flag = || {
                        let found = "a value that is neither 0 nor 1";
                        (Some(table.place(row)), Problem::NotText { column: column.clone(), found })
                    };
                    if lists::flag(field).ok_or_else(not_flag)? {
                        values.push(column.clone());
                    }
                }
            }
            Ok(all)
        }
    }
}

/// Texts as words with tags.
pub(super) fn words(table: &Table, [words, tags]: [&str; 2], naming: Naming<'_>) -> Result<Kept, Located> {
    let mut all_words = each(table, words, lists::words)?;
    let mut all_tags = self::tags(table, tags)?;
    let differ = all_words.iter().zip(&all_tags).position(|(words, tags)| words.len() != tags.len());
    if let Some(row) = differ {
        let (words, tags) = (all_words[row].len(), all_tags[row].len());
        return Err((Some(table.place(row)), Problem::Untagged { words, tags }));
    }
    named(&mut all_tags, naming);
    let stays: Vec<bool> = all_words.iter().map(|words| !words.is_empty()).collect();
    rows::keep(&mut all_words, &stays);
    rows::keep(&mut all_tags, &stays);
    let left_out = LeftOut { blank: table.rows - all_words.len(), ..LeftOut::default() };
    Ok(Kept { rows: Rows::Words { words: all_words, tags: all_tags }, left_out })
}

/// The tags of each row's words, before they get names.
pub(super) fn tags(table: &Table, column: &str) -> Result<Vec<Vec<String>>, Located> {
    each(table, column, lists::words)
}

/// The values of each field of a column.
fn each(
    table: &Table,
    column: &str,
    of: impl Fn(&str) -> Option<Vec<String>>,
) -> Result<Vec<Vec<String>>, Located> {
    let values = |(row, field): (usize, &String)| {
        let problem = || Problem::OddItem { column: column.to_owned() };
        of(field).ok_or_else(|| (Some(table.place(row)), problem()))
    };
    table.column(column)?.iter().enumerate().map(values).collect()
}

/// Gives values their names; those that are no label are taken out.
fn named(all: &mut [Vec<String>], naming: Naming<'_>) {
    let values: BTreeSet<String> = all.iter().flatten().cloned().collect();
    let values: Vec<String> = values.into_iter().collect();
    let names: HashMap<String, Class> =
        values.iter().cloned().zip(labels::classes(&values, naming)).collect();
    for labels in all {
        let name = |label: &String| match &names[label] {
            Class::Named(name) => Some(name.clone()),
            Class::Dropped | Class::DroppedMissing | Class::Missing => None,
        };
        *labels = labels.iter().filter_map(name).collect();
    }
}

/// The labels that occur, in the order of their indices; where each has a column, in that of the columns.
pub(super) fn names(all: &[Vec<String>], fields: Fields<'_>) -> Vec<String> {
    let flat: Vec<String> = all.iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    if let Some(Written::Flags(columns)) = fields.target().written() {
        let place = |name: &String| columns.iter().position(|column| column == name);
        let mut names = flat;
        names.sort_by_key(place);
        return names;
    }
    rows::index_classes(&flat).1
}

/// The labels of each row as indices into a task's, in ascending order for a text and in that of its words.
pub(super) fn classes_of(all: &[Vec<String>], labels: &[String]) -> Result<Vec<Vec<u32>>, Located> {
    all.iter().map(|names| rows::class_of_rows(names, labels)).collect()
}
