//! Files and tasks for the tests of this folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::data::sources::{SourceError, Survey, SurveyRequest, read, survey};
use lorasweep::tasks::{
    Classification, DataFile, Examples, Fields, LanguageModelling, Objective, QuestionAnswering, Task,
    TextLayout,
};

pub(crate) fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn write(folder: &tempfile::TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a temporary folder can be written to");
    path
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data").join(name)
}

/// The shared data, where it is at hand.
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        println!("skipped: `{}` is absent", path.display());
    }
    path.exists().then_some(path)
}

pub(crate) fn classification(text: &[&str], pair: &[&str], map: &[(&str, &str)]) -> Objective {
    Objective::Classification(Classification {
        text: names(text),
        pair: names(pair),
        label: "label".into(),
        labels: Vec::new(),
        dropped_labels: BTreeSet::new(),
        class_weights: None,
        label_map: map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
    })
}

pub(crate) fn language(text: &[&str], layout: TextLayout) -> Objective {
    Objective::LanguageModelling(LanguageModelling { text: names(text), layout })
}

pub(crate) fn questions() -> Objective {
    let template = "context: {context} question: {question} answer:".into();
    Objective::QuestionAnswering(QuestionAnswering { template, max_new_tokens: 4, unanswerable: None })
}

/// A task whose files are still to be looked at.
pub(crate) fn task(objective: Objective) -> Task {
    let nothing = DataFile {
        path: PathBuf::new(),
        content: lorasweep::values::ContentHash::of_bytes(b""),
        rows: 0,
        rows_read: None,
        text_bytes: 0,
    };
    Task::new(Task::ONLY, objective, nothing)
}

/// What a sweep finds in a task's file. `classes` are those of the training file, for the others.
pub(crate) fn look(path: &Path, task: &Task, classes: Option<&[String]>) -> Result<Survey, SourceError> {
    survey(&SurveyRequest {
        path,
        columns: task.columns.as_deref(),
        reading: &task.reading,
        fields: task.objective.fields(),
        cleaning: &task.cleaning,
        classes,
    })
}

/// The file as a task names it.
pub(crate) fn file(path: &Path, found: &Survey) -> DataFile {
    let (path, content) = (path.to_path_buf(), found.content);
    let rows_read = Some(found.rows_read);
    DataFile { path, content, rows: found.rows, rows_read, text_bytes: found.text_bytes }
}

/// Makes a file the task's training file.
pub(crate) fn train_on(task: &mut Task, path: &Path) {
    let found = look(path, task, None).expect("the file is sound");
    task.train = file(path, &found);
    match &mut task.objective {
        Objective::Classification(kind) => kind.labels = found.label_names,
        Objective::MultiLabel(kind) => kind.labels = found.label_names,
        Objective::Tagging(kind) => kind.labels = found.label_names,
        Objective::Regression(_)
        | Objective::LanguageModelling(_)
        | Objective::QuestionAnswering(_)
        | Objective::Chat(_) => {}
    }
}

/// Surveys a file and reads it. Both must find the same rows, bytes and labels.
pub(crate) fn examples(path: &Path, mut task: Task) -> Result<Examples, SourceError> {
    let found = look(path, &task, None)?;
    train_on(&mut task, path);
    let read = read(&task.train, &task)?;
    assert_eq!(read.labels().len(), found.rows);
    let all = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let bytes = match &read {
        Examples::Texts { texts, pairs, .. } => {
            let classes = found.row_labels.is_empty() || read.labels() == found.row_labels;
            assert!(read.numbers().is_some() || classes);
            assert!(pairs.as_ref().is_none_or(|pairs| pairs.len() == texts.len()));
            all(texts) + pairs.as_deref().map_or(0, all)
        }
        Examples::Words { words, .. } => words.iter().map(|words| all(words) + words.len()).sum(),
        Examples::Documents(texts) | Examples::Lines(texts) => all(texts),
        Examples::Questions(questions) => {
            questions.iter().map(|q| q.context.len() + q.question.len() + q.answers[0].len()).sum()
        }
        Examples::Conversations(all) => all.iter().map(|one| one.bytes()).sum(),
    };
    assert_eq!(bytes as u64, found.text_bytes);
    Ok(read)
}

/// Texts and labels of single texts.
pub(crate) fn labelled(path: &Path, task: Task) -> (Vec<String>, Vec<u32>) {
    let read = examples(path, task).expect("the file is sound");
    let labels = read.labels();
    let Examples::Texts { texts, pairs: None, .. } = read else { panic!("{read:?}") };
    (texts, labels)
}

/// A survey for columns that may not exist.
pub(crate) fn survey_columns(path: &Path, text: &[&str], label: Option<&str>) -> Result<Survey, SourceError> {
    survey(&SurveyRequest::as_it_is(path, Fields::columns_of(&names(text), &[], label)))
}
