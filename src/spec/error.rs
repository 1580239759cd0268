//! Owns the sweep file's errors and how they are printed. Finds none itself.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{At, Place, Sources, Spot};
use super::words::{nearest, quoted};

/// Most errors that are printed; the rest is counted.
const MOST_SHOWN: usize = 20;
/// Errors that may repeat the same hint before it is printed only once, after them.
const MOST_ALIKE: usize = 3;
/// Most errors that are kept; those printed are the first by place, but errors are found in any order.
const MOST_KEPT: usize = 200;
/// Longest line of a sweep file shown whole in a message, in columns.
const LONGEST_LINE: usize = 120;
/// Most known names in one message.
const MOST_NAMES: usize = 100;

/// Every error of a sweep file, in the order of their places.
#[derive(Debug)]
pub struct SpecErrors {
    /// The sweep file, as the user named it.
    pub file: String,
    /// At least one, and the first 200 that were found.
    pub errors: Vec<SpecError>,
    /// Number of further errors.
    pub beyond: usize,
}

/// One error in a sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// Where; `None` where the file cannot be read at all.
    pub spot: Option<Spot>,
    /// What is wrong, including what was found.
    pub problem: Problem,
    /// What would be right.
    pub allowed: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// What can be wrong in a sweep file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The sweep file itself cannot be read.
    #[error("cannot read the sweep file: {0}")]
    Unreadable(String),
    /// The sweep file is larger than any that a person or a small script would write.
    #[error("the sweep file has more than 1 MiB")]
    TooLarge,
    /// It is not YAML.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// It is a file of another program.
    #[error("{0}")]
    Foreign(&'static str),
    /// An unknown key.
    #[error("unknown key `{key}` in {section}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was found.
        section: String,
    },
    /// A key that occurs twice in one mapping.
    #[error("duplicate key `{key}`, first set on line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of its first occurrence.
        first: usize,
    },
    /// A required key that is missing.
    #[error("missing key `{key}` in {section}")]
    MissingKey {
        /// The key.
        key: String,
        /// Where it is missing.
        section: String,
    },
    /// A value of the wrong type or out of its range.
    #[error("{key} is {found}")]
    BadValue {
        /// The key, in backticks, or other words for what is wrong.
        key: String,
        /// The value and its type.
        found: String,
    },
    /// A key that does not apply here.
    #[error("`{key}` does not apply to {whose}")]
    InapplicableKey {
        /// The key.
        key: &'static str,
        /// What it does not apply to, for example "tasks of kind `classification`".
        whose: String,
    },
    /// Two keys that exclude each other.
    #[error("`{key}` does not go with `{other}`")]
    Conflict {
        /// The later key.
        key: String,
        /// The key it excludes.
        other: String,
    },
    /// A malformed `--set` or `--only` argument.
    #[error("{0}")]
    BadOverride(String),
    /// A data file that is missing, empty or broken.
    #[error("{0}")]
    DataFile(String),
    /// A column that a file does not have.
    #[error("no column `{column}` in {files}")]
    MissingColumn {
        /// The column.
        column: String,
        /// The files without it, quoted, as named in the sweep.
        files: String,
    },
    /// The label is part of the text.
    #[error("the label column `{0}` is also a text column, so the answer would be in the question")]
    LabelInText(String),
    /// Labels that no training row has.
    #[error("{labels} in `{file}` never {occur} in the training file")]
    UnseenLabels {
        /// The labels, quoted.
        labels: String,
        /// The file with these labels.
        file: String,
        /// `occurs` or `occur`.
        occur: &'static str,
    },
    /// Too few classes to learn anything.
    #[error("the label column `{column}` has {found}")]
    TooFewClasses {
        /// The column.
        column: String,
        /// The number of classes, and their names.
        found: String,
    },
    /// Class names that do not match the labels in the file.
    #[error("{0}")]
    BadLabels(String),
    /// Tasks that cannot be in one sweep.
    #[error("{0}")]
    MixedTasks(String),
    /// More folds, or a finer split, than the rows allow.
    #[error("{0}")]
    TooFewRows(String),
    /// A name that `tasks` does not have.
    #[error("unknown task `{0}`")]
    UnknownTask(String),
    /// A name that `profiles` does not have.
    #[error("unknown profile `{0}`")]
    UnknownProfile(String),
    /// A name that `models` does not have.
    #[error("unknown model `{0}`")]
    UnknownModel(String),
    /// A model folder, its configuration, weights or tokenizer that cannot be used.
    #[error("{0}")]
    Model(String),
    /// A method that needs pretrained weights on a model without.
    #[error("method `{method}` needs pretrained weights, and model `{model}` has none")]
    NeedsWeights {
        /// The method.
        method: &'static str,
        /// The model.
        model: String,
    },
    /// A model that cannot learn a task, or lacks what an adapter's settings name.
    #[error("{0}")]
    Unfit(String),
    /// An axis of a block that none of its methods has.
    #[error("axis `{axis}` does not apply to {methods}")]
    InapplicableAxis {
        /// The axis.
        axis: &'static str,
        /// The block's methods.
        methods: String,
    },
    /// An invalid zip.
    #[error("{0}")]
    BadZip(String),
    /// More points than a sweep may have.
    #[error("the grid has {points}")]
    GridTooLarge {
        /// Number of points, for example "2,000,000 points".
        points: String,
    },
    /// Nothing to train.
    #[error("{0}")]
    EmptyGrid(&'static str),
}

/// What to do about a file that cannot be read at all.
fn unplaced_hint(problem: &Problem) -> &'static str {
    if matches!(problem, Problem::TooLarge) {
        return "write lists of values into blocks of `grid`: all their combinations are tried";
    }
    "check the path; `lorasweep init DATA.csv` writes a sweep to start from"
}

impl SpecErrors {
    /// The errors of a file that cannot be read at all.
    pub(super) fn unplaced(file: &str, problem: Problem) -> Self {
        let hint = unplaced_hint(&problem).to_owned();
        let error = SpecError { spot: None, problem, allowed: None, hint: Some(hint) };
        Self { file: file.to_owned(), errors: vec![error], beyond: 0 }
    }
}

impl SpecError {
    /// Adds what would be right.
    pub(super) fn allowed(&mut self, allowed: impl Into<String>) -> &mut Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds what to do.
    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the known names, and suggests the nearest one if it is close.
    pub(super) fn one_of<'a>(&mut self, found: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        if self.spot.is_none() {
            // There are so many errors before this one that it will not be printed.
            return self;
        }
        let known: Vec<&str> = known.into_iter().take(MOST_NAMES).collect();
        self.allowed = Some(quoted(&known));
        if let Some(near) = nearest(found, &known) {
            self.hint = Some(format!("did you mean `{near}`?"));
        }
        self
    }
}

impl fmt::Display for SpecError {
    /// The place, what is wrong, the line with carets under the value, and what would be right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = [("allowed", &self.allowed), ("hint", &self.hint)];
        let advice = advice.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?)));
        let Some(spot) = &self.spot else {
            write!(f, "{}", self.problem)?;
            return advice.into_iter().try_for_each(|(name, text)| write!(f, "\n  {name}: {text}"));
        };
        if spot.source.starts_with("--") {
            writeln!(f, "{}: {}", spot.source, self.problem)?;
        } else {
            writeln!(f, "{}:{}:{}: {}", spot.source, spot.line, spot.column, self.problem)?;
        }
        let line = Snippet::source(&spot.text).line_start(spot.line);
        let line = line.annotation(AnnotationKind::Primary.span(spot.span.clone()));
        let advice = advice.map(|(name, text)| Level::NOTE.with_name(name).message(text));
        let group = Group::with_level(Level::ERROR).element(line).elements(advice);
        f.write_str(&Renderer::plain().term_width(LONGEST_LINE).render(&[group]))
    }
}

impl std::error::Error for SpecErrors {}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.errors[..self.errors.len().min(MOST_SHOWN)];
        let count = self.errors.len() + self.beyond;
        let common = common_hints(&self.errors);
        for error in shown {
            let is_common = error.hint.as_ref().is_some_and(|hint| common.iter().any(|(h, _)| h == hint));
            let hint = error.hint.clone().filter(|_| !is_common);
            writeln!(f, "{}\n", SpecError { hint, ..error.clone() })?;
        }
        if count > shown.len() {
            writeln!(f, "and {} more\n", count - shown.len())?;
        }
        for (hint, errors) in common {
            writeln!(f, "hint for {errors} of them: {hint}\n")?;
        }
        let noun = if count == 1 { "error" } else { "errors" };
        write!(f, "{count} {noun} in {}; nothing was started", self.file)
    }
}

/// The hints that many errors share, with the number of such errors, in the order of their first errors.
fn common_hints(errors: &[SpecError]) -> Vec<(&str, usize)> {
    let mut hints: Vec<(&str, usize)> = Vec::new();
    for hint in errors.iter().filter_map(|error| error.hint.as_deref()) {
        match hints.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, errors)) => *errors += 1,
            None => hints.push((hint, 1)),
        }
    }
    hints.retain(|(_, errors)| *errors > MOST_ALIKE);
    hints
}

/// Collects errors and warnings while a sweep is read and checked.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) sources: Sources,
    errors: Vec<(Place, SpecError)>,
    /// Where callers write once there are too many errors, and how often.
    spare: Option<SpecError>,
    beyond: usize,
    warnings: Vec<At<String>>,
}

impl Report {
    /// An empty report on these texts.
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, errors: Vec::new(), spare: None, beyond: 0, warnings: Vec::new() }
    }

    /// Reports an error; the caller may add what is allowed and a hint.
    pub(super) fn error(&mut self, place: Place, problem: Problem) -> &mut SpecError {
        if self.errors.len() == MOST_KEPT {
            self.beyond += 1;
            let error = SpecError { spot: None, problem, allowed: None, hint: None };
            return self.spare.insert(error);
        }
        let spot = Some(self.sources.spot(place));
        self.errors.push((place, SpecError { spot, problem, allowed: None, hint: None }));
        &mut self.errors.last_mut().expect("one was pushed just now").1
    }

    /// Reports a warning.
    pub(super) fn warn(&mut self, place: Place, message: String) {
        if self.warnings.len() == MOST_KEPT {
            return;
        }
        let spot = self.sources.spot(place);
        let value = format!("{}:{}:{}: {message}", spot.source, spot.line, spot.column);
        self.warnings.push(At { value, place });
    }

    /// Every error, in the order of places. Equal errors at one place (a bad value that an alias repeats)
    /// appear once.
    pub(super) fn into_errors(self) -> SpecErrors {
        let mut errors = self.errors;
        errors.sort_by_key(|(place, _)| *place);
        errors.dedup();
        let errors = errors.into_iter().map(|(_, error)| error).collect();
        SpecErrors { file: self.sources.file().to_owned(), errors, beyond: self.beyond }
    }

    /// Whether no more errors are kept, so that a slow search may stop.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() == MOST_KEPT
    }

    /// Whether there is an error so far.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The warnings in the order of their places.
    pub(super) fn into_warnings(mut self) -> Vec<String> {
        self.warnings.sort_by(|a, b| (a.place, &a.value).cmp(&(b.place, &b.value)));
        self.warnings.dedup_by(|a, b| (a.place, &a.value) == (b.place, &b.value));
        self.warnings.into_iter().map(|warning| warning.value).collect()
    }
}
