//! Owns the files of what a trial gave for each row: Parquet, a line for each row, beside the trial's result. The
//! training process writes them, and whoever compares trials row by row reads them. Judges and compares nothing.
//!
//! | column | of tasks with | holds |
//! |---|---|---|
//! | `row`, `loss` | any | the row's index in its part, and its loss: nats, summed over its tokens, or a squared error |
//! | `predicted`, `target` | classes, numbers | indices of classes (u32), or numbers (f64) |
//! | | several labels, tags | lists of their indices (u32); of the tags, 4294967295 for a word that was cut off |
//! | `probability` | classes | of the predicted class |
//! | `probabilities` | several labels | of each label |
//! | `tokens` | texts, tags | predicted tokens, whose losses are summed |
//! | `answer`, `target`, `exact_match`, `f1` | answers | the generated answer, the first right one, and the scores |
//!
//! The file's metadata names trial, part and step, `labels` has the names of the classes by their indices, and there
//! is a checksum of the whole file, which is compared before anything else is read: on some damaged files a reader
//! of Parquet asks for more memory than there can be.

use std::fs;
use std::io::{self, Cursor};
use std::ops::Range;
use std::path::Path;

use polars::prelude::{
    Column, DataFrame, DataType, KeyValueMetadata, NamedFrom, ParallelStrategy, ParquetReader, ParquetWriter,
    PolarsError, PolarsResult, SerReader, Series, StatisticsOptions,
};
use serde::{Deserialize, Serialize};

use crate::disk::files;
use crate::disk::layout::Layout;
use crate::values::{JudgedRow, JudgedRows, Part, RowAnswer, TrialId};

/// The metadata that says whose rows these are.
const HEAD: &str = "lorasweep";
/// The metadata with the names of the classes.
const LABELS: &str = "labels";
/// The metadata with the checksum.
const CHECKSUM: &str = "lorasweep checksum";
/// What the checksum stands behind, within its metadata: eight hexadecimal digits of CRC-32.
const SIGN: &[u8] = b"crc32=";
/// The digits while the checksum is not known, and while it is computed.
const BLANK: &[u8; 8] = b"........";

const ROW: &str = "row";
const LOSS: &str = "loss";
const PREDICTED: &str = "predicted";
const TARGET: &str = "target";
const PROBABILITY: &str = "probability";
const PROBABILITIES: &str = "probabilities";
const TOKENS: &str = "tokens";
const ANSWER: &str = "answer";
const EXACT_MATCH: &str = "exact_match";
const F1: &str = "f1";

#[derive(Serialize, Deserialize)]
struct Head {
    trial: TrialId,
    part: Part,
    step: u64,
}

/// Replaces a file with what was given for these rows. `labels` are the names of the classes, where there are any.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, judged: &JudgedRows, labels: &[String]) -> io::Result<()> {
    let bytes = bytes_of(judged, labels).map_err(io::Error::other)?;
    // As with checkpoints: what a power failure takes is made again, and what must stay is synced.
    files::replace(path, |aside| fs::write(aside, &bytes))
}

/// Makes a trial's rows durable.
///
/// # Errors
/// When a file or its folder cannot be synced.
pub fn sync(layout: &Layout, trial: TrialId) -> io::Result<()> {
    for path in [layout.validation_rows(trial), layout.test_rows(trial), layout.latest_rows(trial)] {
        match files::sync(&path) {
            // A trial may have no test rows, or has some of them only later.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Reads a trial's rows; `None` where there is no such file, as with trials of earlier versions.
///
/// # Errors
/// What is wrong with the file.
pub fn read(path: &Path, trial: TrialId) -> Result<Option<JudgedRows>, String> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| error.to_string())?,
    };
    if !is_whole(&bytes) {
        return Err("its checksum does not match".to_owned());
    }
    let judged = rows_in(&bytes).map_err(|error| error.to_string())?;
    if judged.trial != trial {
        return Err(format!("it belongs to trial {}", judged.trial));
    }
    Ok(Some(judged))
}

fn bytes_of(judged: &JudgedRows, labels: &[String]) -> PolarsResult<Vec<u8>> {
    let JudgedRows { trial, part, step, rows } = judged;
    let head = Head { trial: *trial, part: *part, step: *step };
    let head = serde_json::to_string(&head).map_err(broken)?;
    let unknown = String::from_utf8_lossy(&[SIGN, BLANK].concat()).into_owned();
    let mut metadata = vec![(HEAD.to_owned(), head)];
    if !labels.is_empty() {
        metadata.push((LABELS.to_owned(), serde_json::to_string(labels).map_err(broken)?));
    }
    metadata.push((CHECKSUM.to_owned(), unknown));
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_statistics(StatisticsOptions::empty())
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata)))
        // A training process has its own few cores.
        .set_parallel(false)
        .finish(&mut DataFrame::new(rows.len(), columns(rows))?)?;
    let sum = checksum(&bytes);
    let digits = digits(&bytes).ok_or_else(|| broken("its metadata has no place for the checksum"))?;
    bytes[digits].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// The columns that every row has something for.
fn columns(rows: &[JudgedRow]) -> Vec<Column> {
    let mut columns = Vec::new();
    columns.extend(column(rows, ROW, |row| Some(row.row)));
    columns.extend(column(rows, LOSS, |row| Some(row.loss)));
    columns.extend(column(rows, PREDICTED, |row| Some(row.answer.classes()?[0])));
    columns.extend(column(rows, TARGET, |row| Some(row.answer.classes()?[1])));
    columns.extend(column(rows, PROBABILITY, |row| row.answer.probability()));
    columns.extend(column(rows, PREDICTED, |row| Some(list(row.answer.lists()?[0]))));
    columns.extend(column(rows, TARGET, |row| Some(list(row.answer.lists()?[1]))));
    columns.extend(column(rows, PROBABILITIES, |row| Some(list(row.answer.probabilities()?))));
    columns.extend(column(rows, PREDICTED, |row| Some(row.answer.numbers()?[0])));
    columns.extend(column(rows, TARGET, |row| Some(row.answer.numbers()?[1])));
    columns.extend(column(rows, TOKENS, |row| row.answer.tokens()));
    columns.extend(column(rows, ANSWER, |row| Some(row.answer.text()?.0.to_owned())));
    columns.extend(column(rows, TARGET, |row| row.answer.right_text().map(str::to_owned)));
    columns.extend(column(rows, EXACT_MATCH, |row| Some(row.answer.text()?.1)));
    columns.extend(column(rows, F1, |row| Some(row.answer.text()?.2)));
    columns
}

fn column<T, P: ?Sized>(
    rows: &[JudgedRow],
    name: &str,
    of: impl Fn(&JudgedRow) -> Option<T>,
) -> Option<Column>
where
    Series: NamedFrom<Vec<T>, P>,
{
    let values: Option<Vec<T>> = rows.iter().map(of).collect();
    values.filter(|values| !values.is_empty()).map(|values| Series::new(name.into(), values).into())
}

fn list<T: Copy>(values: &[T]) -> Series
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new("".into(), values.to_vec())
}

fn rows_in(bytes: &[u8]) -> PolarsResult<JudgedRows> {
    // On this thread only, as it was written.
    let mut reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
    let mut metadata = reader.get_metadata()?.key_value_metadata.iter().flatten();
    let head = metadata.find(|pair| pair.key == HEAD).and_then(|pair| pair.value.as_deref());
    let Head { trial, part, step } = serde_json::from_str(head.unwrap_or_default()).map_err(broken)?;
    let frame = reader.finish()?;
    let rows = if frame.height() == 0 { Vec::new() } else { rows_of(&frame)? };
    Ok(JudgedRows { trial, part, step, rows })
}

fn rows_of(frame: &DataFrame) -> PolarsResult<Vec<JudgedRow>> {
    let (rows, losses) = (frame.column(ROW)?.u32()?, frame.column(LOSS)?.f64()?);
    let numbered = rows.into_no_null_iter().zip(losses.into_no_null_iter()).zip(answers_of(frame)?);
    Ok(numbered.map(|((row, loss), answer)| JudgedRow { row, loss, answer }).collect())
}

fn answers_of(frame: &DataFrame) -> PolarsResult<Vec<RowAnswer>> {
    let Ok(predicted) = frame.column(PREDICTED) else { return texts_of(frame) };
    let target = frame.column(TARGET)?;
    if let (Ok(predicted), Ok(target)) = (predicted.u32(), target.u32()) {
        let classes = predicted.into_no_null_iter().zip(target.into_no_null_iter());
        // Files of earlier versions have no probabilities.
        let probabilities = match frame.column(PROBABILITY) {
            Ok(column) => column.f32()?.iter().collect(),
            Err(_) => vec![None; frame.height()],
        };
        let answer = |((predicted, target), probability)| RowAnswer::Class { predicted, target, probability };
        return Ok(classes.zip(probabilities).map(answer).collect());
    }
    if let DataType::List(_) = predicted.dtype() {
        return lists_of(frame, predicted, target);
    }
    let numbers = predicted.f64()?.into_no_null_iter().zip(target.f64()?.into_no_null_iter());
    Ok(numbers.map(|(predicted, target)| RowAnswer::Number { predicted, target }).collect())
}

/// Lists of labels with their probabilities, or tags.
fn lists_of(frame: &DataFrame, predicted: &Column, target: &Column) -> PolarsResult<Vec<RowAnswer>> {
    let indices = |column: &Column| lists(column, |list| Ok(list.u32()?.into_no_null_iter().collect()));
    let both = indices(predicted)?.into_iter().zip(indices(target)?);
    if let Ok(probabilities) = frame.column(PROBABILITIES) {
        let probabilities: Vec<Vec<f32>> =
            lists(probabilities, |list| Ok(list.f32()?.into_no_null_iter().collect()))?;
        let answer =
            |((predicted, target), probabilities)| RowAnswer::Classes { predicted, target, probabilities };
        return Ok(both.zip(probabilities).map(answer).collect());
    }
    let tokens = frame.column(TOKENS)?.u32()?.into_no_null_iter();
    let answer = |((predicted, target), tokens)| RowAnswer::Tags { predicted, target, tokens };
    Ok(both.zip(tokens).map(answer).collect())
}

fn lists<T>(column: &Column, of: impl Fn(&Series) -> PolarsResult<T>) -> PolarsResult<Vec<T>> {
    let missing = || broken("a list is missing");
    column.list()?.series_iter().map(|list| of(&list.ok_or_else(missing)?)).collect()
}

fn texts_of(frame: &DataFrame) -> PolarsResult<Vec<RowAnswer>> {
    let tokens = frame.column(TOKENS)?.u32()?.into_no_null_iter();
    let Ok(texts) = frame.column(ANSWER) else {
        return Ok(tokens.map(|tokens| RowAnswer::Tokens { tokens }).collect());
    };
    let scores = (frame.column(EXACT_MATCH)?.bool()?, frame.column(F1)?.f64()?);
    // Every row has all of them.
    let scores = scores.0.iter().flatten().zip(scores.1.into_no_null_iter());
    let answers = tokens.zip(texts.str()?.iter().flatten()).zip(scores);
    // Files of earlier versions have no right answers.
    let targets = match frame.column(TARGET) {
        Ok(column) => column.str()?.iter().map(|text| text.map(str::to_owned)).collect(),
        Err(_) => vec![None; frame.height()],
    };
    let answer = |(((tokens, text), (exact_match, f1)), target): (((u32, &str), _), Option<String>)| {
        RowAnswer::Text { tokens, text: text.to_owned(), target, exact_match, f1 }
    };
    Ok(answers.zip(targets).map(answer).collect())
}

fn broken(error: impl std::fmt::Display) -> PolarsError {
    PolarsError::ComputeError(error.to_string().into())
}

/// Whether a file is as it was written.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(digits) = digits(bytes) else { return false };
    let mut blank = bytes.to_vec();
    blank[digits.clone()].copy_from_slice(BLANK);
    bytes[digits] == *checksum(&blank).as_bytes()
}

/// Where the checksum stands: in the metadata, which end the file.
fn digits(bytes: &[u8]) -> Option<Range<usize>> {
    let sign = bytes.windows(SIGN.len()).rposition(|window| window == SIGN)?;
    let start = sign + SIGN.len();
    let range = start..start + BLANK.len();
    (range.end <= bytes.len()).then_some(range)
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: &str = "00000000000000ab";

    fn judged(rows: Vec<JudgedRow>) -> JudgedRows {
        JudgedRows { trial: TRIAL.parse().unwrap(), part: Part::Train, step: 12, rows }
    }

    fn texts() -> JudgedRows {
        let answer = |row: u32| RowAnswer::Text {
            tokens: row,
            text: ["", "crc32=00000000", "naïve\n"][row as usize % 3].to_owned(),
            target: Some("a right one".to_owned()),
            exact_match: row.is_multiple_of(2),
            f1: 1.0 / f64::from(row + 1),
        };
        let row = |row| JudgedRow { row, loss: 0.1 * f64::from(row), answer: answer(row) };
        judged((0..7).map(row).collect())
    }

    fn of_answers(answers: Vec<RowAnswer>) -> JudgedRows {
        let row = |(row, answer)| JudgedRow { row, loss: 1.0 / f64::from(row), answer };
        judged((3..).zip(answers).map(row).collect())
    }

    #[test]
    fn rows_of_every_kind_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trial/rows.parquet");
        let trial: TrialId = TRIAL.parse().unwrap();
        assert_eq!(read(&path, trial), Ok(None));
        let classes = [(0, 1), (2, 2)].map(|(predicted, target)| RowAnswer::Class {
            predicted,
            target,
            probability: Some(0.25),
        });
        let labels = [(vec![], vec![1]), (vec![0, 2], vec![])].map(|(predicted, target)| {
            RowAnswer::Classes { predicted, target, probabilities: vec![0.5, 0.125, 1.0] }
        });
        let tags = [vec![0, RowAnswer::CUT], vec![]].map(|predicted| RowAnswer::Tags {
            target: vec![3; predicted.len()],
            tokens: 1,
            predicted,
        });
        let numbers =
            [(0.1, -1e300), (2.5, 2.5)].map(|(predicted, target)| RowAnswer::Number { predicted, target });
        let tokens = [0, 7, 1].map(|tokens| RowAnswer::Tokens { tokens });
        let kinds =
            [classes.to_vec(), labels.to_vec(), tags.to_vec(), numbers.to_vec(), tokens.to_vec(), Vec::new()];
        let kinds = kinds.map(of_answers);
        for judged in kinds.into_iter().chain([texts()]) {
            let labels = ["a".to_owned(), "crc32=..".to_owned()];
            write(&path, &judged, &labels).unwrap();
            let bytes = fs::read(&path).unwrap();
            assert_eq!(read(&path, trial), Ok(Some(judged.clone())));
            write(&path, &judged, &labels).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes, "the same rows are the same bytes");
        }
        let other = read(&path, "00000000000000cd".parse().unwrap()).unwrap_err();
        assert!(other.contains(TRIAL), "{other}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn every_damaged_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let trial: TrialId = TRIAL.parse().unwrap();
        write(&path, &texts(), &[]).unwrap();
        let whole = fs::read(&path).unwrap();
        for (position, bit) in (0..whole.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << bit;
            assert!(!is_whole(&damaged), "byte {position}");
        }
        for length in 0..whole.len() {
            assert!(!is_whole(&whole[..length]), "{length} bytes");
        }
        fs::write(&path, &whole[1..]).unwrap();
        assert!(read(&path, trial).is_err());
    }

    /// Losses of a thousand rows take a few bytes a row.
    #[test]
    fn files_are_small() {
        let classes = (0..1000).map(|row| RowAnswer::Class {
            predicted: row % 4,
            target: row % 3,
            probability: Some(1.0 / (row + 1) as f32),
        });
        let bytes = bytes_of(&of_answers(classes.collect()), &[]).unwrap();
        assert!(bytes.len() < 16_000, "{} bytes", bytes.len());
    }
}
