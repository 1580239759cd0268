//! Owns what is common to kinds of tasks whose rows are a text, or a pair of texts, with a target.

use super::Examples;
use super::keys::{Given, KeyFault};
use super::kind::{EncodeError, EncodedRow, Encoder, Measured};

/// More tokens than any text has.
const MUCH_ROOM: usize = 1_000_000_000;

/// The fault of a missing text.
pub(super) fn faults(given: &Given) -> Vec<KeyFault> {
    let missing = KeyFault::Missing { key: "text", hint: "columns that make up the text, joined by a space" };
    if given.texts("text").is_empty() { vec![missing] } else { Vec::new() }
}

/// Texts with their special tokens, each with its target.
pub(super) fn encode(rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
    let Examples::Texts { texts, pairs, targets } = rows else { unreachable!("rows are read as texts") };
    let sequences = by.tokenizer.encode_rows(texts, pairs.as_deref(), by.max_length)?;
    let row = |(row, sequence)| EncodedRow { sequence, target: targets.of(row).owned(), answers: Vec::new() };
    Ok(sequences.into_iter().enumerate().map(row).collect())
}

/// Lengths with special tokens.
pub(super) fn measure(rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
    let Examples::Texts { texts, pairs, .. } = rows else { unreachable!("rows are read as texts") };
    lengths(texts, pairs.as_deref(), by)
}

/// Lengths of texts, or of pairs of texts, with special tokens.
pub(super) fn lengths(
    texts: &[String],
    pairs: Option<&[String]>,
    by: Encoder<'_>,
) -> Result<Measured, EncodeError> {
    let special = MUCH_ROOM - by.tokenizer.room(MUCH_ROOM, pairs.is_some())?;
    let mut lengths: Vec<usize> =
        by.tokenizer.encode_plain(texts)?.iter().map(|tokens| tokens.len() + special).collect();
    if let Some(pairs) = pairs {
        for (length, pair) in lengths.iter_mut().zip(by.tokenizer.encode_plain(pairs)?) {
            *length += pair.len();
        }
    }
    Ok(Measured::Rows(lengths))
}
