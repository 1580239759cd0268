//! Owns CSV and TSV. The `csv` crate reads; a check then writes the fields out again and compares with the
//! file, and every row must have a field for each column. A malformed file is therefore an error with a line
//! number, and no guess becomes data.

use csv::{Reader, ReaderBuilder, StringRecord, Terminator};

use super::Problem;
use super::answers::{self, Answers};
use super::chats;
use super::table::{ANSWERS, Located, Place, Request, Table};
use crate::tasks::{Conversation, FileFormat, Reading};

/// Most bytes used to guess a file's dialect.
const SAMPLE: usize = 1 << 16;

/// The characters that separate and quote fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) separator: u8,
    pub(super) quote: Option<u8>,
}

/// The records of delimited text, one after the other.
struct Records<'t> {
    text: &'t str,
    dialect: Dialect,
    reader: Reader<&'t [u8]>,
    /// The end of a line: a line feed, or a carriage return where there is no line feed.
    end: char,
    /// The line at which the next record begins, counted from 1.
    line: usize,
}

/// One record, with the number of blank lines before it.
struct Record {
    fields: Vec<String>,
    line: usize,
    blank_before: usize,
}

impl Dialect {
    /// The dialect of the task's keys, else of the format.
    pub(super) fn of(format: FileFormat, reading: &Reading) -> Self {
        let tabs = format == FileFormat::Tsv;
        let byte = |named: Option<char>, usual: u8| named.and_then(|c| u8::try_from(c).ok()).unwrap_or(usual);
        let quoting = reading.quoting.unwrap_or(!tabs || reading.quote.is_some());
        Self {
            separator: byte(reading.separator, if tabs { b'\t' } else { b',' }),
            quote: quoting.then(|| byte(reading.quote, b'"')),
        }
    }
}

/// Reads delimited text. A field with gold answers is a text, or a list as pandas writes it.
pub(super) fn parse(text: &str, dialect: Dialect, request: &Request<'_>) -> Result<Table, Located> {
    let (text, dialect, first_line) = separator_line(text, dialect, request.reading);
    let mut records = Records::new(text, dialect, first_line);
    let names = match request.columns {
        Some(names) => names.to_vec(),
        None => match records.next() {
            Some(header) => header?.names(),
            None => return Err((None, Problem::NoRows)),
        },
    };
    let wanted = positions(&names, request)?;
    let answers = request.answers.then(|| names.iter().position(|name| name == ANSWERS)).flatten();
    let chats = if request.conversations { chats::columns(&names) } else { Vec::new() };
    let mut table = Table { names, ..Table::default() };
    let mut columns = vec![Vec::new(); wanted.len()];
    let mut wrapped = 0;
    let mut blank: Vec<usize> = Vec::new();
    for record in records {
        let Record { fields, line, blank_before } =
            record.map_err(|(place, problem)| (row_of(place, table.rows + 1), problem))?;
        blank.extend(line - blank_before..line);
        if fields.len() == 1 && fields[0].is_empty() {
            blank.push(line);
            continue;
        }
        let before = blank.drain(..).map(|line| (vec![String::new()], line));
        for (mut fields, line) in before.chain([(fields, line)]) {
            table.rows += 1;
            table.lines.push(line);
            let (place, expected) = (table.place(table.rows - 1), table.names.len());
            if fields.len() != expected {
                return Err((Some(place), Problem::Ragged { found: fields.len(), expected }));
            }
            if table.rows == 1 && request.columns.is_some() && names_itself(&fields, &wanted) {
                return Err((Some(place), Problem::HeaderGiven));
            }
            wrapped += wanted.iter().filter(|(_, at)| is_wrapped(&fields[*at], dialect)).count();
            if let Some(at) = answers {
                table.answers.push(gold(&fields[at]).map_err(|problem| (Some(place), problem))?);
            }
            if !chats.is_empty() {
                let found = conversations(&table.names, &chats, &fields).map_err(|p| (Some(place), p))?;
                table.rows += found.len() - 1;
                table.lines.resize(table.rows, line);
                table.conversations.extend(found);
            }
            for (values, (_, at)) in columns.iter_mut().zip(&wanted) {
                values.push(std::mem::take(&mut fields[*at]));
            }
        }
    }
    if table.rows == 0 {
        return Err((None, Problem::NoRows));
    }
    table.quoted_unread = wrapped;
    table.texts = wanted.into_iter().map(|(name, _)| name.to_owned()).zip(columns).collect();
    Ok(table)
}

/// Skips a first line `sep=;`, which Excel writes and obeys. A separator in the task's keys takes precedence.
fn separator_line<'t>(text: &'t str, dialect: Dialect, reading: &Reading) -> (&'t str, Dialect, usize) {
    let text = text.trim_start_matches('\u{feff}');
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end_matches('\r').trim_matches('"');
    let Some(&[separator]) = first.strip_prefix("sep=").map(str::as_bytes) else { return (text, dialect, 1) };
    if !separator.is_ascii() {
        return (text, dialect, 1);
    }
    let separator = if reading.separator.is_some() { dialect.separator } else { separator };
    (rest, Dialect { separator, ..dialect }, 2)
}

/// The wanted columns that exist, each once, with their positions.
fn positions<'r>(names: &[String], request: &Request<'r>) -> Result<Vec<(&'r str, usize)>, Located> {
    let position = |name: &'r str| {
        let mut all = names.iter().enumerate().filter(|(_, other)| *other == name).map(|(at, _)| at);
        match (all.next(), all.next()) {
            (Some(at), None) => Ok((name, at)),
            (_, _) => Err((None, Problem::ColumnTwice(name.to_owned()))),
        }
    };
    if request.answers && names.iter().filter(|name| *name == ANSWERS).count() > 1 {
        return Err((None, Problem::ColumnTwice(ANSWERS.to_owned())));
    }
    request.existing(names).into_iter().map(position).collect()
}

/// Whether a row holds the names of the wanted columns.
fn names_itself(fields: &[String], wanted: &[(&str, usize)]) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(name, at)| fields[*at] == *name)
}

/// The gold answers of a field.
fn gold(field: &str) -> Result<Vec<String>, Problem> {
    match answers::written(field) {
        Answers::Text => Ok(if field.is_empty() { vec![] } else { vec![field.to_owned()] }),
        Answers::Listed(answers) => Ok(answers),
        Answers::Cut => Err(Problem::CutAnswers(answers::beginning(field))),
    }
}

/// The conversations of a row; a missing value is an empty field.
fn conversations(
    names: &[String],
    columns: &[&str],
    fields: &[String],
) -> Result<Vec<Conversation>, Problem> {
    let is_part = |(name, field): &(&String, &String)| columns.contains(&name.as_str()) && !field.is_empty();
    let parts = names.iter().zip(fields).filter(is_part);
    chats::of_row(parts.map(|(name, field)| (name.clone(), field.as_str().into())).collect())
}

/// Whether a field that is taken as it is looks like one that CSV would quote.
fn is_wrapped(field: &str, dialect: Dialect) -> bool {
    let inner = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
    let doubled = |inner: &str| inner.contains("\"\"") && !inner.replace("\"\"", "").contains('"');
    dialect.quote.is_none() && inner.is_some_and(doubled)
}

fn row_of(place: Option<Place>, row: usize) -> Option<Place> {
    place.map(|place| Place { row: Some(row), ..place })
}

impl<'t> Records<'t> {
    fn new(text: &'t str, dialect: Dialect, line: usize) -> Self {
        let end = if text.contains('\n') || !text.contains('\r') { '\n' } else { '\r' };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(dialect.separator);
        builder.terminator(Terminator::Any(end as u8));
        builder.quoting(dialect.quote.is_some()).quote(dialect.quote.unwrap_or(b'"'));
        Self { text, dialect, reader: builder.from_reader(text.as_bytes()), end, line }
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX)
    }

    /// Whether these fields, written out, give this text.
    fn is_written(&self, fields: &[String], mut text: &str) -> bool {
        let Some(quote) = self.dialect.quote.map(char::from) else { return true };
        let (one, two) = (quote.to_string(), [quote, quote].iter().collect::<String>());
        for (position, field) in fields.iter().enumerate() {
            if position > 0 {
                let Some(rest) = text.strip_prefix(char::from(self.dialect.separator)) else { return false };
                text = rest;
            }
            let rest = if text.starts_with(quote) {
                text.strip_prefix(&format!("{one}{}{one}", field.replace(quote, &two)))
            } else {
                // Quotes within a field come in pairs: a single one may belong to a field that was never
                // closed.
                text.strip_prefix(field.as_str()).filter(|_| field.matches(quote).count().is_multiple_of(2))
            };
            let Some(rest) = rest else { return false };
            text = rest;
        }
        text.is_empty()
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Located>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, mut record) = (self.offset(), StringRecord::new());
        let place = |line| Some(Place { row: None, line: Some(line) });
        match self.reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err((place(self.line), Problem::Reader(error.to_string())))),
        }
        let whole = self.text.get(start..self.offset()).unwrap_or_default();
        let body = whole.trim_start_matches(self.end);
        let blank_before = whole.len() - body.len();
        let line = self.line + blank_before;
        self.line = line + body.matches(self.end).count();
        let body = body.strip_suffix(self.end).unwrap_or(body);
        let mut fields: Vec<String> = record.iter().map(str::to_owned).collect();
        let bare = body.strip_suffix('\r').unwrap_or(body);
        if bare.len() < body.len()
            && let Some(last) = fields.last_mut()
        {
            last.truncate(last.strip_suffix('\r').map_or(last.len(), str::len));
        }
        if !self.is_written(&fields, bare) {
            return Some(Err((place(line), Problem::StrayQuote)));
        }
        Some(Ok(Record { fields, line, blank_before }))
    }
}

impl Record {
    /// The column names in a header. A column without a name gets pandas's name for it.
    fn names(self) -> Vec<String> {
        let name =
            |(at, name): (usize, String)| if name.is_empty() { format!("Unnamed: {at}") } else { name };
        self.fields.into_iter().enumerate().map(name).collect()
    }
}

/// Another dialect than `dialect` in which the beginning of a text has the wanted columns, and a field for each
/// of them in every row.
pub(super) fn other_dialect(text: &str, dialect: Dialect, request: &Request<'_>) -> Option<Dialect> {
    let (text, dialect, _) = separator_line(text, dialect, request.reading);
    let sample = sample(text);
    let quotes = [dialect.quote, Some(b'"'), Some(b'\''), None];
    let separators = [b';', b'\t', b'|', b','];
    let all =
        quotes.iter().flat_map(|quote| separators.map(|separator| Dialect { separator, quote: *quote }));
    let others: Vec<Dialect> = all
        .filter(|other| *other != dialect && (other.quote == dialect.quote || opens_fields(sample, *other)))
        .collect();
    let found = others.iter().find(|other| fits(sample, **other, request).is_some());
    found.copied().or_else(|| {
        // A single column is most often a table that was not divided, whatever its columns are called.
        let any = Request { wanted: Vec::new(), lists: Vec::new(), ..*request };
        let whole = Records::new(sample, dialect, 1).next()?.ok()?.fields.len() == 1;
        let divides = |other: &&Dialect| {
            other.separator != dialect.separator
                && other.quote == dialect.quote
                && fits(sample, **other, &any).is_some()
        };
        others.iter().find(divides).filter(|_| whole).copied()
    })
}

/// Whether some field of a text begins with the dialect's quote; true for a dialect without quotes.
fn opens_fields(text: &str, dialect: Dialect) -> bool {
    let Some(quote) = dialect.quote else { return true };
    let opening = [dialect.separator, quote];
    text.lines()
        .map(str::as_bytes)
        .any(|line| line.first() == Some(&quote) || line.windows(2).any(|pair| pair == opening))
}

/// A separator that divides the beginning of a text as well as the comma does, if the commas look like those of
/// sentences.
pub(super) fn doubt(text: &str, dialect: Dialect, request: &Request<'_>) -> Option<Dialect> {
    if request.reading.separator.is_some() || dialect.separator != b',' {
        return None;
    }
    let rows = fits(sample(text), dialect, request)?;
    let prose = |fields: &[String]| fields[1..].iter().all(|field| field.starts_with(' '));
    let other = other_dialect(text, dialect, request).filter(|other| other.separator != b',')?;
    let others = fits(sample(text), other, request)?;
    let inside = |fields: &[String]| fields[0].contains(char::from(other.separator));
    let same_width = others.first().map(Vec::len) == rows.first().map(Vec::len);
    (same_width && rows.iter().all(|fields| prose(fields) && inside(fields))).then_some(other)
}

/// The beginning of a text, in whole lines.
pub(super) fn sample(text: &str) -> &str {
    if text.len() <= SAMPLE {
        return text;
    }
    let cut = &text[..text.floor_char_boundary(SAMPLE)];
    cut.rfind('\n').map_or(cut, |end| &cut[..=end])
}

/// The rows including the header, if all have the same number of fields, at least two, and the wanted columns
/// are among them.
pub(super) fn fits(text: &str, dialect: Dialect, request: &Request<'_>) -> Option<Vec<Vec<String>>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in Records::new(text, dialect, 1) {
        match record {
            Ok(Record { fields, .. }) => rows.push(fields),
            // A field may continue beyond the sample.
            Err(_) if text.len() > SAMPLE / 2 && rows.len() > 2 => break,
            Err(_) => return None,
        }
    }
    let names = request.columns.unwrap_or(rows.first()?);
    let width = names.len();
    let all_named = request.wanted.iter().all(|wanted| names.iter().any(|name| name == wanted));
    let header = usize::from(request.columns.is_none());
    let fits = width > 1 && all_named && rows.len() > header && rows.iter().all(|row| row.len() == width);
    fits.then_some(rows)
}
