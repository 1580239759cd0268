//! Owns the conversion of a file's columns to a task's rows: joining, label map, cleaning. Survey and reading
//! both use it, so that they count the same rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::data::clean;
use crate::tasks::{
    Cleaning, Conversation, Fields, Question, Regression, Target, Targets, TextLayout, Unanswerable,
};
use crate::tokenizer::{Role, Turn};

use super::chats;
use super::labels::{self, Class, Naming};
use super::many;
use super::table::{ANSWERS, CONTEXT, Located, QUESTION, TEXT, Table};
use super::{LeftOut, Problem, SurveyRequest};

/// A task's rows in file order, after cleaning.
#[derive(Debug)]
pub(super) enum Rows {
    Labelled(Labelled),
    /// Texts as words, each with its tag by name.
    Words {
        words: Vec<Vec<String>>,
        tags: Vec<Vec<String>>,
    },
    Documents(Vec<String>),
    /// Lines of one text.
    Lines(Vec<String>),
    Questions(Vec<Question>),
    Conversations(Vec<Conversation>),
}

/// The remaining rows of a table, and the number of rows left out.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) rows: Rows,
    pub(super) left_out: LeftOut,
}

/// Texts with the values of their target column.
#[derive(Debug)]
pub(super) struct Labelled {
    pub(super) texts: Vec<String>,
    pub(super) pairs: Option<Vec<String>>,
    /// Classes are given by name; empty where no column was asked for.
    pub(super) targets: Targets<String>,
}

/// The remaining rows of a table. `plain` says that its rows are the lines of a text.
pub(super) fn kept(table: &Table, plain: bool, request: &SurveyRequest<'_>) -> Result<Kept, Located> {
    let kept = match request.fields {
        Fields::Texts { text, pair, target } => {
            let texts = Texts::read(table, text, pair, request.cleaning)?;
            match target {
                Target::Number { column } => numbered(table, column, texts, request.cleaning)?,
                Target::None | Target::Class { .. } => labelled(table, texts, request)?,
                Target::Classes { written, map, dropped } => {
                    let naming = Naming { map, dropped, known: request.classes };
                    many::labelled(table, (written, naming), texts, request.cleaning)?
                }
            }
        }
        Fields::Words { words, tags, map } => {
            let naming = Naming { map, dropped: &BTreeSet::new(), known: request.classes };
            many::words(table, [words, tags], naming)?
        }
        Fields::Documents { text, layout } => {
            documents(table, text, plain && layout == TextLayout::Blocks, request.cleaning)?
        }
        Fields::Questions { unanswerable } => questions(table, request.cleaning, unanswerable)?,
        Fields::Conversations => conversations(table, request.cleaning)?,
    };
    if kept.rows.count() == 0 { Err((None, Problem::NothingLeft)) } else { Ok(kept) }
}

fn documents(table: &Table, text: &[String], running: bool, cleaning: &Cleaning) -> Result<Kept, Located> {
    let only = [TEXT.to_owned()];
    let mut texts = table.join(if text.is_empty() { &only } else { text })?;
    clean::strip(&mut texts, cleaning);
    let mut left_out = LeftOut::default();
    texts.retain(|text| {
        // In running text a blank line separates paragraphs, while a blank document is empty.
        let blank = !running && text.trim().is_empty();
        let short = !blank && !long_enough([text], cleaning);
        left_out.blank += usize::from(blank);
        left_out.few_words += usize::from(short);
        !blank && !short
    });
    Ok(Kept { rows: if running { Rows::Lines(texts) } else { Rows::Documents(texts) }, left_out })
}

impl Rows {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Labelled(labelled) => labelled.texts.len(),
            Self::Words { words, .. } => words.len(),
            Self::Documents(texts) | Self::Lines(texts) => texts.len(),
            Self::Questions(questions) => questions.len(),
            Self::Conversations(all) => all.len(),
        }
    }

    /// Number of rows with blank texts. Blank lines of a running text do not count.
    pub(super) fn empty_texts(&self) -> usize {
        let blank = |text: &str| text.trim().is_empty();
        match self {
            Self::Labelled(Labelled { texts, pairs: Some(pairs), .. }) => {
                texts.iter().zip(pairs).filter(|(text, pair)| blank(text) && blank(pair)).count()
            }
            Self::Labelled(Labelled { texts, pairs: None, .. }) | Self::Documents(texts) => {
                texts.iter().filter(|text| blank(text)).count()
            }
            Self::Words { .. } | Self::Lines(_) | Self::Conversations(_) => 0,
            Self::Questions(asked) => asked.iter().filter(|asked| blank(&asked.context)).count(),
        }
    }

    /// Bytes of the texts that are tokenised.
    pub(super) fn text_bytes(&self) -> u64 {
        let all = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let bytes = match self {
            Self::Labelled(Labelled { texts, pairs, .. }) => all(texts) + pairs.as_deref().map_or(0, all),
            Self::Words { words, .. } => words.iter().map(|words| all(words) + words.len()).sum(),
            Self::Documents(texts) | Self::Lines(texts) => all(texts),
            Self::Questions(questions) => questions
                .iter()
                .map(|asked| asked.context.len() + asked.question.len() + asked.answers[0].len())
                .sum(),
            Self::Conversations(all) => all.iter().map(Conversation::bytes).sum(),
        };
        bytes as u64
    }
}

/// The text of each row, and its second text where the task has pairs.
pub(super) struct Texts {
    first: Vec<String>,
    second: Option<Vec<String>>,
}

impl Texts {
    fn read(table: &Table, text: &[String], pair: &[String], cleaning: &Cleaning) -> Result<Self, Located> {
        let mut first = table.join(text)?;
        clean::strip(&mut first, cleaning);
        let mut second = if pair.is_empty() { None } else { Some(table.join(pair)?) };
        if let Some(second) = &mut second {
            clean::strip(second, cleaning);
        }
        Ok(Self { first, second })
    }

    /// Whether a row's texts together have enough words.
    pub(super) fn are_long_enough(&self, row: usize, cleaning: &Cleaning) -> bool {
        let second = self.second.as_ref().map(|all| &all[row]);
        long_enough(std::iter::once(&self.first[row]).chain(second), cleaning)
    }

    /// Keeps the chosen rows, with the target of each.
    pub(super) fn kept(self, stays: &[bool], targets: Targets<String>) -> Labelled {
        let Self { first: mut texts, second: mut pairs } = self;
        keep(&mut texts, stays);
        pairs.iter_mut().for_each(|pairs| keep(pairs, stays));
        Labelled { texts, pairs, targets }
    }
}

/// Texts with their numbers from a column. A row without a number is an error.
fn numbered(table: &Table, column: &str, texts: Texts, cleaning: &Cleaning) -> Result<Kept, Located> {
    let mut numbers = numbers(table, column)?;
    let stays: Vec<bool> = (0..table.rows).map(|row| texts.are_long_enough(row, cleaning)).collect();
    keep(&mut numbers, &stays);
    let left_out = LeftOut { few_words: table.rows - numbers.len(), ..LeftOut::default() };
    Ok(Kept { rows: Rows::Labelled(texts.kept(&stays, Targets::Numbers(numbers))), left_out })
}

/// The number of each row, if every row has one that can be learned.
fn numbers(table: &Table, column: &str) -> Result<Vec<f64>, Located> {
    let values = table.column(column)?;
    let numbers: Vec<Option<f64>> = values.iter().map(|value| number(value)).collect();
    let mut bad = numbers.iter().enumerate().filter(|(_, number)| number.is_none());
    if let Some((first, _)) = bad.next() {
        let (rows, found) = (1 + bad.count(), values[first].trim().chars().take(40).collect());
        let problem = Problem::NotNumbers { column: column.to_owned(), found, rows };
        return Err((Some(table.place(first)), problem));
    }
    let numbers: Vec<f64> = numbers.into_iter().flatten().collect();
    let mut large = numbers.iter().enumerate().filter(|(_, number)| number.abs() > Regression::LARGEST);
    if let Some((first, found)) = large.next() {
        let (column, found, rows) = (column.to_owned(), *found, 1 + large.count());
        return Err((Some(table.place(first)), Problem::TooLarge { column, found, rows }));
    }
    Ok(numbers)
}

/// A decimal number that is neither infinite nor `nan`; 0 for -0.
fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    value.is_finite().then_some(value + 0.0)
}

/// Keeps the chosen rows.
pub(super) fn keep<T>(values: &mut Vec<T>, stays: &[bool]) {
    let mut at = stays.iter();
    values.retain(|_| *at.next().expect("every column has a value in each row"));
}

fn labelled(table: &Table, texts: Texts, request: &SurveyRequest<'_>) -> Result<Kept, Located> {
    let cleaning = request.cleaning;
    let found = found_classes(table, request)?;
    let mut left_out = LeftOut {
        missing_label: found.iter().filter(|class| **class == Class::DroppedMissing).count(),
        dropped_label: found.iter().filter(|class| **class == Class::Dropped).count(),
        ..LeftOut::default()
    };
    let mut stays = vec![true; table.rows];
    let mut classes = Vec::with_capacity(found.len());
    for (stays, class) in stays.iter_mut().zip(found) {
        *stays = matches!(class, Class::Named(_));
        classes.push(if let Class::Named(name) = class { name } else { String::new() });
    }
    let staying = |stays: &[bool]| stays.iter().filter(|stays| **stays).count();
    let labelled = staying(&stays);
    for (row, stays) in stays.iter_mut().enumerate().filter(|(_, stays)| **stays) {
        *stays = texts.are_long_enough(row, cleaning);
    }
    let long = staying(&stays);
    left_out.few_words = labelled - long;
    if let (Some(least), false) = (cleaning.min_label_rows, classes.is_empty()) {
        drop_rare_classes(&mut stays, &classes, least, request.classes);
    }
    if !classes.is_empty() {
        keep(&mut classes, &stays);
    }
    left_out.rare_class = long - staying(&stays);
    Ok(Kept { rows: Rows::Labelled(texts.kept(&stays, Targets::Classes(classes))), left_out })
}

/// The class of each row; empty where no label column is asked for. A row without a label is an error unless
/// the task leaves such rows out.
fn found_classes(table: &Table, request: &SurveyRequest<'_>) -> Result<Vec<Class>, Located> {
    let target = request.fields.target();
    let (Target::Class { map, dropped, .. }, Some(column)) = (target, target.column()) else {
        return Ok(Vec::new());
    };
    let classes = labels::classes(table.column(column)?, Naming { map, dropped, known: request.classes });
    let mut missing = classes.iter().enumerate().filter(|(_, class)| **class == Class::Missing);
    match missing.next() {
        Some((first, _)) => {
            let rows = 1 + missing.count();
            Err((Some(table.place(first)), Problem::MissingLabels { rows }))
        }
        None => Ok(classes),
    }
}

/// The class name of each row, if there is a label column and every row has a label.
pub(super) fn class_names(table: &Table, request: &SurveyRequest<'_>) -> Vec<String> {
    let named = |class| if let Class::Named(name) = class { Some(name) } else { None };
    found_classes(table, request).unwrap_or_default().into_iter().filter_map(named).collect()
}

/// The label column's values with their numbers of rows; empty where no label column is asked for.
pub(super) fn label_values(table: &Table, fields: Fields<'_>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut count = |value: &str| match counts.get_mut(value) {
        Some(rows) => *rows += 1,
        None => _ = counts.insert(value.to_owned(), 1),
    };
    match fields {
        Fields::Texts { target: Target::Classes { written, .. }, .. } => {
            let values = many::values(table, written).unwrap_or_default();
            values.iter().flatten().for_each(|value| count(value));
        }
        Fields::Words { tags, .. } => {
            let values = many::tags(table, tags).unwrap_or_default();
            values.iter().flatten().for_each(|value| count(value));
        }
        Fields::Texts { target: Target::Class { column, .. }, .. } if !column.is_empty() => {
            table.column(column).unwrap_or_default().iter().for_each(|value| count(value));
        }
        Fields::Texts { .. }
        | Fields::Documents { .. }
        | Fields::Questions { .. }
        | Fields::Conversations => {}
    }
    counts
}

/// Drops the rows of classes with fewer than `least` rows; where the training file's classes are `known`, the
/// rows of all other classes.
fn drop_rare_classes(stays: &mut [bool], classes: &[String], least: usize, known: Option<&[String]>) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (class, _) in classes.iter().zip(stays.iter()).filter(|(_, stays)| **stays) {
        *counts.entry(class).or_default() += 1;
    }
    let wanted = |class: &String| match known {
        Some(known) => known.contains(class),
        None => counts.get(class.as_str()).is_some_and(|rows| *rows >= least),
    };
    for (stays, class) in stays.iter_mut().zip(classes) {
        *stays &= wanted(class);
    }
}

fn questions(
    table: &Table,
    cleaning: &Cleaning,
    unanswerable: Option<&Unanswerable>,
) -> Result<Kept, Located> {
    let mut contexts = table.column(CONTEXT)?.to_vec();
    let mut asked = table.column(QUESTION)?.to_vec();
    if !table.has(ANSWERS) {
        return Err(table.missing(ANSWERS));
    }
    clean::strip(&mut contexts, cleaning);
    clean::strip(&mut asked, cleaning);
    let blank = |answer: &String| answer.trim().is_empty();
    let mut open = table.answers.iter().enumerate().filter(|(_, answers)| answers.iter().all(blank));
    if let (None, Some((first, _))) = (unanswerable, open.next()) {
        let rows = 1 + open.count();
        return Err((Some(table.place(first)), Problem::NoAnswer { rows }));
    }
    let mut questions = Vec::with_capacity(asked.len());
    let mut left_out = LeftOut::default();
    for ((context, question), answers) in contexts.into_iter().zip(asked).zip(&table.answers) {
        let mut answers: Vec<String> = answers.iter().filter(|answer| !blank(answer)).cloned().collect();
        if let (true, Some(Unanswerable::Answer(text))) = (answers.is_empty(), unanswerable) {
            answers.push(text.clone());
        }
        if answers.is_empty() {
            left_out.unanswered += 1;
        } else if long_enough([&context], cleaning) {
            questions.push(Question { context, question, answers });
        } else {
            left_out.few_words += 1;
        }
    }
    Ok(Kept { rows: Rows::Questions(questions), left_out })
}

/// Conversations in which every turn of the assistant says something.
fn conversations(table: &Table, cleaning: &Cleaning) -> Result<Kept, Located> {
    if chats::columns(&table.names).is_empty() {
        return Err((None, Problem::NoConversations(table.names.clone())));
    }
    let mut kept = Vec::with_capacity(table.rows);
    let mut left_out = LeftOut::default();
    for conversation in &table.conversations {
        let mut texts: Vec<String> = conversation.turns.iter().map(|turn| turn.content.clone()).collect();
        clean::strip(&mut texts, cleaning);
        let turns = conversation.turns.iter().zip(texts).map(|(turn, text)| Turn::new(turn.role, text));
        let turns: Vec<Turn> = turns.collect();
        let answers = turns.iter().filter(|turn| turn.role == Role::Assistant);
        if answers.clone().next().is_none() || answers.clone().any(|turn| turn.content.trim().is_empty()) {
            left_out.unanswered += 1;
        } else if long_enough(turns.iter().map(|turn| &turn.content), cleaning) {
            kept.push(Conversation { turns });
        } else {
            left_out.few_words += 1;
        }
    }
    Ok(Kept { rows: Rows::Conversations(kept), left_out })
}

/// Whether the texts of a row together have enough words.
fn long_enough<'t>(texts: impl IntoIterator<Item = &'t String>, cleaning: &Cleaning) -> bool {
    let words = texts.into_iter().map(|text| clean::words(text));
    cleaning.min_words.is_none_or(|least| words.sum::<usize>() >= least)
}

/// Each row's class as an index, and the classes' names: in numerical order if all are integers,
/// else as text.
pub(super) fn index_classes(classes: &[String]) -> (Vec<u32>, Vec<String>) {
    let mut names: Vec<&str> = classes.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| (name.parse::<i64>().ok(), *name));
    }
    let position: HashMap<&str, u32> = names.iter().copied().zip(0..).collect();
    let rows = classes.iter().map(|class| position[class.as_str()]).collect();
    (rows, names.into_iter().map(str::to_owned).collect())
}

/// Each row's class as an index into a task's labels.
pub(super) fn class_of_rows(classes: &[String], labels: &[String]) -> Result<Vec<u32>, Located> {
    let position: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
    let class = |name: &String| {
        position.get(name.as_str()).copied().ok_or_else(|| (None, Problem::UnknownLabel(name.clone())))
    };
    classes.iter().map(class).collect()
}
