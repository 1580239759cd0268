//! Owns the places of values: in the sweep file or in a `--set` argument. Checks nothing.

use std::ops::Range;

/// The place of a value: a range of bytes in one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// Index in [`Sources`]: 0 is the sweep file.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    /// The value.
    pub(super) value: T,
    /// Its place.
    pub(super) place: Place,
}

/// The texts from which a sweep is read.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    all: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    /// First byte of each line.
    lines: Vec<usize>,
}

impl Source {
    fn new(name: String, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, lines }
    }

    /// The index of the line with this byte.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at) - 1
    }
}

/// A place for people: the source's name, numbers from 1, and the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The sweep file's path or the argument's name.
    pub source: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text, shortened around the value if it is very long.
    pub text: String,
    /// The bytes of `text` that the value covers on this line.
    pub span: Range<usize>,
}

/// Bytes of a line kept on each side of a value: more than any terminal shows.
const MOST_BESIDE: usize = 500;

impl Sources {
    /// A sweep file without arguments.
    pub(super) fn new(file: String, text: String) -> Self {
        Self { all: vec![Source::new(file, text)] }
    }

    /// Adds an argument's text and returns its index.
    pub(super) fn add(&mut self, name: &str, text: &str) -> usize {
        self.all.push(Source::new(name.to_owned(), text.to_owned()));
        self.all.len() - 1
    }

    /// The sweep file's name.
    pub(super) fn file(&self) -> &str {
        &self.all[0].name
    }

    /// The text at a place, as written.
    pub(super) fn slice(&self, place: Place) -> &str {
        self.all[place.source].text.get(place.start..place.end).unwrap_or_default()
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        self.all[place.source].line(place.start) + 1
    }

    /// Describes a place for people.
    pub(super) fn spot(&self, place: Place) -> Spot {
        let source = &self.all[place.source];
        let text = &source.text;
        let start = floor_boundary(text, place.start);
        let index = source.line(start);
        let line_start = source.lines[index];
        let line_end = source.lines.get(index + 1).map_or(text.len(), |next| next - 1);
        let end = floor_boundary(text, place.end.min(line_end)).max(start);
        let end = start + text[start..end].trim_end().len();
        let from = floor_boundary(text, start.saturating_sub(MOST_BESIDE)).max(line_start);
        let to = floor_boundary(text, start.saturating_add(MOST_BESIDE)).min(line_end);
        let shown = text[from..to].trim_end_matches('\r');
        Spot {
            source: source.name.clone(),
            line: index + 1,
            column: text[line_start..start].chars().count() + 1,
            span: (start - from).min(shown.len())..(end.min(to) - from).min(shown.len()),
            text: shown.to_owned(),
        }
    }

    /// The place of the first byte of a line and column that count from 1.
    pub(super) fn place(&self, source: usize, line: usize, column: usize) -> Place {
        let Source { text, lines, .. } = &self.all[source];
        let line_start = lines.get(line.saturating_sub(1)).copied().unwrap_or(text.len());
        let offset = text[line_start..].char_indices().nth(column.saturating_sub(1));
        let start = offset.map_or(text.len(), |(at, _)| line_start + at);
        Place { source, start, end: start }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}
