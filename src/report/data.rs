//! Owns the tables of a data card: its facts and its classes, in a report and on a terminal. Pure.

use crate::sweep::card::{Card, ClassRows, ClassesOf, FileRows, Lengths, Numbers, Shared, named};
use crate::values::{Part, quantity};

use super::format;
use super::tables::{Column, Row, Table};

/// Most classes that are listed one by one.
const MOST_CLASSES: usize = 20;
/// Most folds that have a column each.
const MOST_FOLDS: usize = 10;

/// The facts of a card, except its classes, as a table.
#[must_use]
pub(super) fn overview(card: &Card) -> Table {
    let rows = facts(card).into_iter().map(|(name, value)| cells([name.to_owned(), value])).collect();
    Table { columns: texts(["data", "what there is"]), rows }
}

/// The facts of a card, except its classes, each with its name.
#[must_use]
pub(crate) fn facts(card: &Card) -> Vec<(&'static str, String)> {
    let mut facts: Vec<_> = card.files.iter().map(|file| (title(file.part), of_file(file))).collect();
    facts.push(("used", used(card)));
    if let Some((class, share)) = card.majority() {
        let [title, having, of] = match card.classes_of {
            ClassesOf::Rows => ["classes", "the largest is", "training rows"],
            ClassesOf::Sets => ["labels", "the most frequent is", "training rows"],
            ClassesOf::Words => ["tags", "the most frequent is", "words of the training rows"],
        };
        let (name, share) = (named(&class.name), format::percent(share));
        let classes = quantity::count(card.classes.len() as u64);
        facts.push((title, format!("{classes}; {having} {name} with {share} % of the {of}")));
    }
    if let Some(numbers) = &card.numbers {
        facts.push(("numbers", of_numbers(numbers)));
    }
    if let Some(questions) = &card.questions {
        facts.push((
            "questions",
            format!(
                "on {}, with {}; {} not in the context as it is written",
                quantity::counted(questions.contexts, "context"),
                quantity::counted(questions.answers, "gold answer"),
                match questions.elsewhere {
                    1 => "1 first answer is".to_owned(),
                    n => format!("{} first answers are", quantity::count(n as u64)),
                },
            ),
        ));
    }
    if let Some(blocks) = &card.blocks {
        let about = if blocks.estimated { "about " } else { "" };
        let tokens = quantity::count(blocks.tokens as u64);
        facts.push((
            "tokens",
            format!("{about}{tokens} in the training rows, in blocks of {}", blocks.max_length),
        ));
        // Lines of a text are not separate texts.
        if card.texts.duplicates == 0 && card.texts.shared.iter().all(|shared| shared.rows == 0) {
            return facts;
        }
    }
    let empty: Vec<String> = card.files.iter().filter(|file| file.empty > 0).map(empty).collect();
    facts.push(("empty texts", if empty.is_empty() { "none".to_owned() } else { empty.join(", ") }));
    facts.push(("copies", copies(card)));
    facts.extend(card.lengths.iter().map(|lengths| ("tokens", tokens(lengths, card.lengths.len() > 1))));
    facts
}

fn of_numbers(numbers: &Numbers) -> String {
    let [least, most, mean, deviation] = [numbers.least, numbers.most, numbers.mean, numbers.deviation]
        .map(|number| quantity::significant(number, 4));
    format!(
        "{least} to {most} in {}, mean {mean}, standard deviation {deviation}; {} different",
        named(&numbers.column),
        quantity::count(numbers.different as u64)
    )
}

fn title(part: Part) -> &'static str {
    match part {
        Part::Train => "training file",
        Part::Validation => "validation file",
        Part::Test => "test file",
    }
}

fn of_file(file: &FileRows) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
    let read = quantity::counted(file.read, "row");
    if file.left_out.is_empty() {
        return format!("{name}: {read}");
    }
    let reasons: Vec<String> = file
        .left_out
        .iter()
        .map(|(reason, rows)| format!("{} for {reason}", quantity::count(*rows as u64)))
        .collect();
    let left_out = file.read - file.kept;
    format!(
        "{name}: {read}, {} left out ({}), {} kept",
        quantity::count(left_out as u64),
        reasons.join(", "),
        quantity::count(file.kept as u64)
    )
}

fn used(card: &Card) -> String {
    let used = &card.used;
    let (noun, drawn) = if card.blocks.is_some() {
        ("block", format!("{}, as ", quantity::counted(used.drawn, "row")))
    } else {
        ("row", String::new())
    };
    let mut text = match used.folds.as_slice() {
        [] => format!("{drawn}{} to train on", quantity::counted(used.training, noun)),
        folds => format!(
            "{drawn}{} in {} folds, of which each holds out {}",
            quantity::counted(used.training, noun),
            folds.len(),
            span(folds.iter().copied())
        ),
    };
    if used.validation > 0 {
        text += &format!(", {} to validate on", quantity::count(used.validation as u64));
    }
    if used.test > 0 {
        text += &format!(", {} to test on", quantity::count(used.test as u64));
    }
    text
}

fn empty(file: &FileRows) -> String {
    format!(
        "{} of {} in the {}",
        quantity::count(file.empty as u64),
        quantity::counted(file.kept, "row"),
        title(file.part)
    )
}

fn copies(card: &Card) -> String {
    let repeat = if card.texts.duplicates == 1 { "repeats" } else { "repeat" };
    let mut parts =
        vec![format!("{} {repeat} another", quantity::counted(card.texts.duplicates, "training row"))];
    for Shared { part, rows, of } in &card.texts.shared {
        let noun = match part {
            Part::Train if card.used.folds.is_empty() => "held-out row",
            Part::Train => "row",
            Part::Validation => "validation row",
            Part::Test => "test row",
        };
        let of = quantity::counted(*of, noun);
        let whose = match part {
            Part::Train if !card.used.folds.is_empty() => "in two folds",
            Part::Train | Part::Validation | Part::Test => "trained on too",
        };
        parts.push(format!("{} of {of} {whose}", quantity::count(*rows as u64)));
    }
    parts.join("; ")
}

fn tokens(lengths: &Lengths, several: bool) -> String {
    let mut text = format!(
        "median {}, 95 % at most {}, longest {}; {} % cut at {}",
        lengths.median,
        quantity::count(lengths.p95 as u64),
        quantity::count(lengths.longest as u64),
        format::percent(share(lengths.cut, lengths.rows)),
        lengths.max_length
    );
    if lengths.rows < lengths.of {
        text += &format!(
            " (of a sample of {} of {} training rows)",
            quantity::count(lengths.rows as u64),
            quantity::count(lengths.of as u64)
        );
    }
    if several {
        text += &format!(" for {}", lengths.models.join(", "));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// `350`, or `350 to 351`.
fn span(counts: impl Iterator<Item = usize> + Clone) -> String {
    let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    if least == most {
        quantity::count(most as u64)
    } else {
        format!("{} to {}", quantity::count(least as u64), quantity::count(most as u64))
    }
}

/// The classes with their rows, one per line: in the task's order, or the largest ones where there are many.
/// `None` where there are no classes.
#[must_use]
pub(crate) fn classes(card: &Card) -> Option<Table> {
    let first = card.classes.first()?;
    let folds = first.folds.len();
    let any = |rows: fn(&ClassRows) -> usize| card.classes.iter().any(|class| rows(class) > 0);
    let (validated, tested) = (any(|class| class.validation), any(|class| class.test));
    let mut columns = texts(match card.classes_of {
        ClassesOf::Rows => ["class"],
        ClassesOf::Sets => ["label"],
        ClassesOf::Words => ["tag"],
    });
    columns.push(number("training".to_owned()));
    columns.extend(validated.then(|| number("validation".to_owned())));
    if folds > MOST_FOLDS {
        columns.push(number("each fold".to_owned()));
    } else {
        columns.extend((1..=folds).map(|fold| number(format!("fold {fold}"))));
    }
    columns.extend(tested.then(|| number("test".to_owned())));
    let row = |class: &ClassRows| {
        let count = |rows: usize| quantity::count(rows as u64);
        let mut texts = vec![named(&class.name), count(class.training)];
        texts.extend(validated.then(|| count(class.validation)));
        if folds > MOST_FOLDS {
            texts.push(span(class.folds.iter().copied()));
        } else {
            texts.extend(class.folds.iter().map(|rows| count(*rows)));
        }
        texts.extend(tested.then(|| count(class.test)));
        texts
    };
    let mut listed: Vec<&ClassRows> = card.classes.iter().collect();
    if listed.len() > MOST_CLASSES {
        listed.sort_by_key(|class| std::cmp::Reverse(class.training));
    }
    let mut rows: Vec<Row> = listed.iter().take(MOST_CLASSES).map(|class| cells(row(class))).collect();
    if let Some(rest) = listed.get(MOST_CLASSES..).filter(|rest| !rest.is_empty()) {
        let mut last =
            vec![format!("… and {} more", rest.len()), span(rest.iter().map(|class| class.training))];
        last.resize(columns.len(), String::new());
        rows.push(cells(last));
    }
    Some(Table { columns, rows })
}

fn texts<const N: usize>(titles: [&str; N]) -> Vec<Column> {
    titles.map(|title| Column { title: title.to_owned(), numeric: false }).into()
}

fn number(title: String) -> Column {
    Column { title, numeric: true }
}

fn cells(texts: impl Into<Vec<String>>) -> Row {
    Row { cells: texts.into(), selected: false }
}
