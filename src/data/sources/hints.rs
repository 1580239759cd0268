//! Owns the advice on data files that cannot be used. Changes nothing.

use std::path::Path;

use super::error::{Problem, SourceError};
use super::text::Guess;

impl SourceError {
    /// What to do next: the keys that would read the file, if any would.
    #[must_use]
    pub fn hint(&self) -> String {
        if let Some(way_out) = &self.way_out {
            return way_out.to_string();
        }
        match &*self.problem {
            Problem::Unreadable(_) if self.path.to_string_lossy().contains('*') => {
                "a `*` stands in a file's name, not in a folder's: name the folder in full".into()
            }
            Problem::Unreadable(_) => "check the path and that you may read the file".into(),
            Problem::NoMatch => {
                "check the folder, the ending and the rest of the name: `*` stands for any part of it".into()
            }
            Problem::Folder(files) if files.is_empty() => {
                "name a data file, a folder that `datasets` saved, or one with a folder of .txt files for each class"
                    .into()
            }
            Problem::Folder(files) => format!("name the files in it: `{}`", inside(&self.path, files)),
            Problem::Parts(parts) => format!("name one of its folders: `{}`", inside(&self.path, parts)),
            Problem::Ending(ending) => wanted_endings(ending),
            Problem::OtherKind(kind) => kind.remedy.into(),
            Problem::Encoding { guess, .. } => converted(guess.as_ref()),
            Problem::NoConversations(columns) => format!(
                "the columns are `{}`; conversations are in `messages`, `conversations`, `instruction` with \
                 `output` or `instances`, or `prompt` with `completion`",
                columns.join("`, `")
            ),
            Problem::MissingColumn { columns, .. } => format!("the columns are `{}`", columns.join("`, `")),
            Problem::Feather
            | Problem::Bomb { .. }
            | Problem::Broken { .. }
            | Problem::Changed
            | Problem::NoRows
            | Problem::NothingLeft
            | Problem::OtherSeparator
            | Problem::Ragged { .. }
            | Problem::WordLine { .. }
            | Problem::OddItem { .. }
            | Problem::Untagged { .. }
            | Problem::StrayQuote
            | Problem::ColumnTwice(_)
            | Problem::ColumnsGiven
            | Problem::HeaderGiven
            | Problem::MissingLabels { .. }
            | Problem::NotNumbers { .. }
            | Problem::TooLarge { .. }
            | Problem::NoAnswer { .. }
            | Problem::NotTurns { .. }
            | Problem::UnknownRole(_)
            | Problem::CutAnswers(_)
            | Problem::NotJson(_)
            | Problem::NoRowsInside(_)
            | Problem::NotSquad(_)
            | Problem::NotAnObject(_)
            | Problem::NotText { .. }
            | Problem::UnknownLabel(_)
            | Problem::Reader(_) => of_rows(&self.problem).into(),
        }
    }
}

/// Advice on problems whose hint names nothing; empty for the rest.
fn of_rows(problem: &Problem) -> &'static str {
    match problem {
        Problem::Feather => {
            "save the table as Parquet: `df.to_parquet(…)`, or a data set with `ds.to_parquet(…)`"
        }
        Problem::Bomb { .. } => "unpack it yourself, look at what is in it, and name the unpacked file",
        Problem::Broken { .. } => "copy or download the file again",
        Problem::UnknownLabel(_) | Problem::Changed => {
            "start the sweep again, so that its data is checked anew"
        }
        Problem::OtherSeparator => "name the separator: `separator: \",\"`, or the other one",
        Problem::NoRows => "use a file with at least one row of data",
        Problem::NothingLeft => {
            "see that `labels` does not drop every class and that the text columns are not empty, and lower \
             `min_words` and `min_label_rows` where they are set"
        }
        Problem::WordLine { .. } => {
            "write each word on a line of its own, with its tags behind it between tabs or blanks, and name every \
             column in `columns`"
        }
        Problem::OddItem { .. } => "give every item of the list text or a number, and none `null`",
        Problem::Untagged { .. } => "give every word of the text one tag, `O` where it has none",
        Problem::Ragged { .. } => {
            "put fields that contain the separator, a quote or a line break in double quotes"
        }
        Problem::StrayQuote => "put the whole field in double quotes and write each quote in it twice",
        Problem::ColumnTwice(_) => "give the columns names of their own in the file's first row",
        Problem::ColumnsGiven | Problem::HeaderGiven => {
            "remove `columns`, which is for CSV and TSV files without a header row"
        }
        Problem::MissingLabels { .. } => {
            "leave such rows out with `labels: {\"\": drop}`, or give them a label"
        }
        Problem::NotNumbers { .. } => {
            "give every row a finite number, with a point for the decimals (`3.5`), or remove such rows from the file"
        }
        Problem::TooLarge { .. } => {
            "write the numbers in a larger unit, so that most are between -10 and 10, or write their logarithms"
        }
        Problem::NoAnswer { .. } => {
            "SQuAD 2.0 has such questions: leave them out with `unanswerable: drop`, \
             or train an answer to them: `unanswerable: \"no answer\"`"
        }
        Problem::NotTurns { .. } => {
            "a turn is an object with `role` and `content`, or `from` and `value`; its content is a text, or a list of \
             `{\"type\": \"text\", \"text\": …}`"
        }
        Problem::UnknownRole(_) => {
            "roles are `system`, `user` (or `human`) and `assistant` (or `gpt`): rewrite such turns, or remove them"
        }
        Problem::CutAnswers(_) => {
            "write the file again from its source, as JSON Lines: \
             `df.to_json(…, orient=\"records\", lines=True)`"
        }
        Problem::NotJson(_) => {
            "write a list of rows, one object a line, or SQuAD's JSON; JSON has neither NaN nor single quotes"
        }
        Problem::NoRowsInside(_) => {
            "write a list of objects, each with the same keys, or put one object on each line"
        }
        Problem::NotSquad(_) => "use SQuAD's official JSON, or rows with `context`, `question` and `answers`",
        Problem::NotAnObject(_) => {
            "write one JSON object with text or numbers on each line; JSON has no NaN, but null"
        }
        Problem::NotText { .. } => "give every row text or a number in this column",
        Problem::Reader(_) => "look for stray quotes near the place that is named",
        Problem::Unreadable(_)
        | Problem::NoMatch
        | Problem::Folder(_)
        | Problem::Parts(_)
        | Problem::Ending(_)
        | Problem::OtherKind(_)
        | Problem::Encoding { .. }
        | Problem::NoConversations(_)
        | Problem::MissingColumn { .. } => "",
    }
}

/// Names in a folder, as a sweep would name them.
fn inside(folder: &Path, names: &[String]) -> String {
    let all: Vec<String> = names.iter().map(|name| folder.join(name).display().to_string()).collect();
    all.join("`, `")
}

/// The known extensions, and any other advice on this one.
fn wanted_endings(ending: &str) -> String {
    let first = match ending {
        "xlsx" | "xls" | "ods" => "save the sheet as CSV, or ",
        "zip" | "tar" | "7z" | "rar" | "bz2" | "xz" => "unpack it, or ",
        "feather" | "pkl" | "pickle" | "h5" | "db" | "sqlite" => "save the table as Parquet, or ",
        _ => "name the format with `format: csv` (tsv, jsonl, json, squad, parquet, arrow, text), or ",
    };
    format!(
        "{first}use a file that ends in .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow or .txt; \
         text also with .gz or .zst behind"
    )
}

/// Advice on text in another encoding.
fn converted(guess: Option<&Guess>) -> String {
    match guess {
        Some(Guess::Utf16(name)) => {
            let iconv = name.to_uppercase();
            format!(
                "set `encoding: {name}` in the task, or convert it: `iconv -f {iconv} -t UTF-8 OLD > NEW`"
            )
        }
        Some(Guess::Mangled) => {
            "name the original file, whose byte order mark is obeyed, or convert that one with \
             `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
                .into()
        }
        Some(Guess::Utf32) => "convert it: `iconv -f UTF-32 -t UTF-8 OLD > NEW`".into(),
        Some(Guess::Western(_)) => {
            "if that is right, set `encoding: windows-1252` in the task, or convert it: \
             `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`; else name the encoding it was saved in"
                .into()
        }
        Some(Guess::Damaged(_)) => {
            "correct that line in an editor, or drop such bytes: `iconv -f UTF-8 -t UTF-8 -c OLD > NEW`"
                .into()
        }
        None => "name the encoding that the file was saved in with `encoding`".into(),
    }
}
