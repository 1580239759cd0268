//! Owns the format of the CoNLL shared tasks: on each line a word and what belongs to it, separated by a tab or by
//! blanks, and an empty line after each text. A text is a row, and each of its columns the list of that column's
//! values, as JSON has it. Lines that begin with `-DOCSTART-` separate documents and are no words.

use serde_json::Value;

use super::Problem;
use super::table::{Located, Place, Request, Table};

/// Column of the words, in files whose columns are not named.
const WORDS: &str = "words";
/// Their last column: the tags that the shared tasks ask for.
const TAGS: &str = "tags";
const DOCUMENT: &str = "-DOCSTART-";

/// Reads the texts of a file.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let mut table = Table::default();
    let mut columns: Vec<Vec<String>> = Vec::new();
    let mut current: Vec<Vec<&str>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let is_word = !line.trim().is_empty() && !line.starts_with(DOCUMENT);
        if !is_word {
            close(&mut current, &mut columns);
            continue;
        }
        let fields: Vec<&str> =
            if line.contains('\t') { line.split('\t').collect() } else { line.split_whitespace().collect() };
        if table.names.is_empty() {
            table.names = names(request, fields.len()).map_err(|expected| {
                (place(&table, number, true), Problem::WordLine { found: fields.len(), expected })
            })?;
            columns = vec![Vec::new(); fields.len()];
        }
        if fields.len() != columns.len() {
            let expected = format!("the first word has {}", columns.len());
            let problem = Problem::WordLine { found: fields.len(), expected };
            return Err((place(&table, number, current.is_empty()), problem));
        }
        if current.is_empty() {
            current = vec![Vec::new(); fields.len()];
            table.lines.push(number);
        }
        current.iter_mut().zip(fields).for_each(|(values, field)| values.push(field.trim()));
    }
    close(&mut current, &mut columns);
    table.rows = table.lines.len();
    if table.rows == 0 {
        return Err((None, Problem::NoRows));
    }
    let wanted = request.existing(&table.names);
    let read = table.names.iter().cloned().zip(columns).filter(|(name, _)| wanted.contains(&name.as_str()));
    table.texts = read.collect();
    Ok(table)
}

/// Ends a text, if one has begun.
fn close(current: &mut Vec<Vec<&str>>, columns: &mut [Vec<String>]) {
    for (column, values) in columns.iter_mut().zip(std::mem::take(current)) {
        column.push(Value::from(values).to_string());
    }
}

/// The names of so many columns: those that the task gives, or `words`, `column 2` …, `tags`. What is expected instead,
/// where a line has a word and nothing else, or the task names another number of columns.
fn names(request: &Request<'_>, columns: usize) -> Result<Vec<String>, String> {
    if let Some(names) = request.columns {
        let right = names.len() == columns;
        return right.then(|| names.to_vec()).ok_or_else(|| format!("`columns` names {}", names.len()));
    }
    let between = (2..columns).map(|number| format!("column {number}"));
    let all = std::iter::once(WORDS.to_owned()).chain(between).chain([TAGS.to_owned()]);
    (columns > 1).then(|| all.collect()).ok_or_else(|| "a word and its tag are expected".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "it is the place of an error, which may have none")]
fn place(table: &Table, line: usize, begins: bool) -> Option<Place> {
    Some(Place { row: Some(table.lines.len() + usize::from(begins)), line: Some(line) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Reading;

    fn read(text: &str, columns: Option<&[String]>) -> Result<Table, Located> {
        let reading = Reading::default();
        let wanted = vec!["words", "tags", "ner"];
        parse(
            text,
            &Request {
                columns,
                lists: wanted.clone(),
                wanted,
                answers: false,
                conversations: false,
                reading: &reading,
            },
        )
    }

    #[test]
    fn texts_end_at_empty_lines_and_documents() {
        let text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n \nPeter NNP B-NP B-PER\n";
        let table = read(text, None).unwrap();
        assert_eq!(table.names, ["words", "column 2", "column 3", "tags"]);
        assert_eq!((table.rows, &table.lines[..]), (2, &[3, 7][..]));
        assert_eq!(table.texts["words"], [r#"["EU","rejects"]"#, r#"["Peter"]"#]);
        assert_eq!(table.texts["tags"], [r#"["B-ORG","O"]"#, r#"["B-PER"]"#]);
        let named = ["words", "pos", "chunk", "ner"].map(str::to_owned);
        assert_eq!(read(text, Some(&named)).unwrap().texts["ner"][1], r#"["B-PER"]"#);
    }

    #[test]
    fn words_with_blanks_stand_before_tabs_and_ragged_lines_are_told() {
        assert_eq!(read("New York\tB-LOC\n", None).unwrap().texts["words"], [r#"["New York"]"#]);
        let (place, problem) = read("a\tO\nb\tO\tx\n", None).unwrap_err();
        assert!(matches!(problem, Problem::WordLine { found: 3, .. }), "{problem:?}");
        assert_eq!(place.unwrap().line, Some(2));
        let (place, problem) = read("a\nb\n", None).unwrap_err();
        assert!(matches!(problem, Problem::WordLine { found: 1, .. }));
        assert_eq!(place.unwrap().row, Some(1));
        let three = ["words", "pos", "ner"].map(str::to_owned);
        let (_, problem) = read("a O\n", Some(&three)).unwrap_err();
        let Problem::WordLine { expected, .. } = problem else { panic!("{problem:?}") };
        assert_eq!(expected, "`columns` names 3");
        assert!(matches!(read("\n \n", None).unwrap_err().1, Problem::NoRows));
    }
}
