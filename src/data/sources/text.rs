//! Owns the text in a file's bytes, decoded by its byte order mark, by the task's encoding, or as UTF-8. Text
//! that is none of these is an error with a guess at its encoding; no character is replaced or lost. Also plain
//! text files, whose rows are their lines.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::Problem;
use super::table::{Located, Place, TEXT, Table};

/// Most bytes used for a guess.
const SAMPLE: usize = 4096;
/// Longest part of a line shown in a message, in characters.
const LONGEST_SAMPLE: usize = 60;
/// A byte order mark of UTF-16, when read as Latin-1.
const MANGLED_MARKS: [&str; 2] = ["ÿþ", "þÿ"];

/// A guess at the encoding of a file that does not have the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guess {
    /// UTF-16 without a byte order mark: `utf-16le` or `utf-16be`.
    Utf16(&'static str),
    /// UTF-16 that was converted as if it were Latin-1.
    Mangled,
    /// UTF-32.
    Utf32,
    /// Windows-1252 or a similar encoding, with a line as it would read then.
    Western(String),
    /// UTF-8 but for a few bytes, with the line of the first one.
    Damaged(String),
}

impl Guess {
    /// The encoding, if a task can name it.
    #[must_use]
    pub fn encoding(&self) -> Option<&'static str> {
        match self {
            Self::Utf16(name) => Some(name),
            Self::Western(_) => Some("windows-1252"),
            Self::Mangled | Self::Utf32 | Self::Damaged(_) => None,
        }
    }
}

/// The name of an encoding in the WHATWG Encoding Standard, from any of its labels or Python's spellings.
#[must_use]
pub fn encoding(label: &str) -> Option<&'static str> {
    let label = label.trim().to_ascii_lowercase().replace('_', "-");
    let label = label.strip_suffix("-sig").unwrap_or(&label);
    let spellings = [label.to_owned(), label.replacen('-', "", 1), label.replacen("-", "", 2)];
    let found = spellings.iter().find_map(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    let endless =
        label.strip_suffix("-le").map(|_| "UTF-16LE").or(label.strip_suffix("-be").map(|_| "UTF-16BE"));
    found.map(Encoding::name).or(endless.filter(|_| label.starts_with("utf-16")))
}

/// The file's text without its byte order mark.
pub(super) fn decode<'b>(bytes: &'b [u8], encoding: Option<&str>) -> Result<Cow<'b, str>, Located> {
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err((None, Problem::Encoding { expected: "UTF-8 or UTF-16", guess: Some(Guess::Utf32) }));
    }
    let named = encoding.and_then(|name| Encoding::for_label(name.as_bytes()));
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((named.unwrap_or(UTF_8), 0));
    let body = &bytes[mark..];
    if encoding != UTF_8 {
        let (text, malformed) = encoding.decode_without_bom_handling(body);
        let wrong = Problem::Encoding { expected: encoding.name(), guess: None };
        return if malformed { Err((Some(line(text.find('\u{fffd}'), &text)), wrong)) } else { Ok(text) };
    }
    match std::str::from_utf8(body) {
        Ok(text) if named.is_none() => match wide(body, text) {
            Some(guess) => Err((None, Problem::Encoding { expected: "UTF-8", guess: Some(guess) })),
            None => Ok(Cow::Borrowed(text)),
        },
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) => {
            let at = error.valid_up_to();
            let valid = std::str::from_utf8(&body[..at]).unwrap_or_default();
            let guess = zeros(body).map_or_else(|| narrow(body, at), Guess::Utf16);
            let problem = Problem::Encoding { expected: "UTF-8", guess: Some(guess) };
            Err((Some(line(None, valid)), problem))
        }
    }
}

/// The line of a byte in a text, or the last line.
fn line(at: Option<usize>, text: &str) -> Place {
    let before = at.and_then(|at| text.get(..at)).unwrap_or(text);
    Place { row: None, line: Some(1 + before.matches('\n').count()) }
}

/// Recognises text with two bytes per character: with ASCII letters it is also valid UTF-8, in which every
/// second character is a zero.
fn wide(bytes: &[u8], text: &str) -> Option<Guess> {
    if MANGLED_MARKS.iter().any(|mark| text.starts_with(mark)) && text.contains('\0') {
        return Some(Guess::Mangled);
    }
    zeros(bytes).map(Guess::Utf16)
}

/// The byte order of UTF-16, where most characters are ASCII.
fn zeros(bytes: &[u8]) -> Option<&'static str> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let count = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (count(0), count(1));
    let many = |zeros: usize, others: usize| zeros > sample.len() / 4 && others < zeros / 8;
    if many(odd, even) { Some("utf-16le") } else { many(even, odd).then_some("utf-16be") }
}

/// Tells text of another encoding from UTF-8 with damaged bytes; the first byte that is not UTF-8 is at `at`. Text
/// of an encoding with one byte per character hardly ever has two that happen to be a character of UTF-8.
fn narrow(bytes: &[u8], at: usize) -> Guess {
    let (mut characters, mut faults) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    if characters > faults {
        Guess::Damaged(sample(bytes, at, String::from_utf8_lossy))
    } else {
        Guess::Western(sample(bytes, at, |line| WINDOWS_1252.decode_without_bom_handling(line).0))
    }
}

/// The line around a byte, as `read` reads it.
fn sample(bytes: &[u8], at: usize, read: impl Fn(&[u8]) -> Cow<'_, str>) -> String {
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let start = start.max(at.saturating_sub(LONGEST_SAMPLE / 2));
    let rest = &bytes[start..bytes.len().min(start + LONGEST_SAMPLE)];
    let line = rest.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    read(line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// The lines of a text, without their ends.
pub(super) fn lines(text: &str) -> Result<Table, Located> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return Err((None, Problem::NoRows));
    }
    let (rows, texts) = (lines.len(), [(TEXT.to_owned(), lines)].into());
    Ok(Table { rows, names: vec![TEXT.to_owned()], texts, lines: (1..=rows).collect(), ..Table::default() })
}
