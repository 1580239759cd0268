//! `lorasweep predict`: a model's answer to a text, to each line of standard input, or to each row of a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::adapter::AdapterError;
use crate::data::sources;
use crate::error::AppError;
use crate::ui::output;

/// The forms of the command.
pub(super) const USAGE: &str = "\
lorasweep predict [OPTIONS] RUN TRIAL TEXT
       lorasweep predict [OPTIONS] RUN --best TEXT
       lorasweep predict [OPTIONS] --adapter DIR [--base FOLDER] TEXT
       lorasweep predict [OPTIONS] --model FOLDER TEXT

TEXT may be `-`: each line of standard input is a text. Instead of TEXT, --file FILE --text COLUMN asks
about each row of a file.";

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// The run and the trial, where no folder is given; then the text
    #[arg(value_name = "RUN TRIAL TEXT")]
    words: Vec<String>,
    /// Ask the model of `lorasweep refit RUN` instead of a trial
    #[arg(long, conflicts_with_all = ["adapter", "model"])]
    best: bool,
    /// With --best: the task, where several were refitted
    #[arg(long, value_name = "NAME", requires = "best")]
    task: Option<String>,
    /// Ask an adapter that `export` or `import` wrote
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    adapter: Option<PathBuf>,
    /// Folder of the adapter's base, where it is not the recorded one
    #[arg(long, value_name = "FOLDER", requires = "adapter")]
    base: Option<PathBuf>,
    /// Ask a whole model
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    /// Ask about each row of a data file
    #[arg(long, value_name = "FILE", requires = "text")]
    file: Option<PathBuf>,
    /// Column of the file that holds the text, or the question (repeatable)
    #[arg(long, value_name = "COLUMN", requires = "file")]
    text: Vec<String>,
    /// The second text of a pair, or the context of a question; with --file, its column
    #[arg(long, value_name = "TEXT|COLUMN")]
    pair: Option<String>,
    /// Longest generated text, in tokens
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Print the logits too: those of the classes, or of the token that follows the text
    #[arg(long)]
    logits: bool,
    /// Folder where runs are looked for by name
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

/// The texts, and the second text of each where there are any.
type Texts = (Vec<String>, Option<Vec<String>>);

pub(super) fn call(args: &PredictArgs) -> Result<(), AppError> {
    // The number of words that name the model is known first, so that the rest are texts.
    let takes = match (args.adapter.is_some() || args.model.is_some(), args.best) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    };
    let Some((which, rest)) = args.words.split_at_checked(takes) else {
        return Err(usage("no model is given"));
    };
    ask(args, which, &texts(args, rest)?)
}

fn texts(args: &PredictArgs, rest: &[String]) -> Result<Texts, AppError> {
    match (rest, &args.file) {
        ([dash], None) if dash == "-" => from_stdin(args.pair.as_deref()),
        ([text], None) => Ok((vec![text.clone()], args.pair.clone().map(|pair| vec![pair]))),
        ([], Some(file)) => from_file(file, &args.text, args.pair.as_deref()),
        ([], None) if args.pair.is_some() => {
            Err(usage("the second text of a pair is given, and no first one"))
        }
        ([], None) => Err(usage("no text is given")),
        ([_], Some(_)) => Err(usage("both a text and a file are given")),
        ([_, _, ..], _) => Err(usage("more than one text is given; quote a text with blanks in it")),
    }
}

fn from_file(file: &Path, text: &[String], pair: Option<&str>) -> Result<Texts, AppError> {
    let pair: Vec<String> = pair.map(str::to_owned).into_iter().collect();
    let reading = sources::fitting(file, &[text, &pair].concat());
    if !reading.is_default() {
        output::say(&format!("`{}` is read with `{}`", file.display(), reading.keys().join("`, `")));
    }
    Ok(sources::texts(file, &reading, text, &pair).map_err(AdapterError::from)?)
}

/// The non-empty lines of standard input.
fn from_stdin(pair: Option<&str>) -> Result<Texts, AppError> {
    if pair.is_some() {
        return Err(usage("standard input has single texts, and `--pair` gives a second one"));
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(|error| AppError::Input {
        message: format!("standard input cannot be read: {error}"),
        hint: Some("give it texts in UTF-8, one per line".to_owned()),
    })?;
    let texts: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    if texts.is_empty() {
        return Err(usage("standard input has no text"));
    }
    Ok((texts, None))
}

fn usage(what: &str) -> AppError {
    AppError::Input {
        message: what.to_owned(),
        hint: Some(
            "`lorasweep predict RUN TRIAL TEXT`, `lorasweep predict RUN --best TEXT`, `lorasweep predict --adapter DIR \
             TEXT` or `lorasweep predict --model FOLDER --file rows.csv --text COLUMN`; `-` for TEXT reads standard input, \
             one text per line"
                .to_owned(),
        ),
    }
}

#[cfg(not(feature = "torch"))]
fn ask(_: &PredictArgs, _: &[String], _: &Texts) -> Result<(), AppError> {
    Err(super::preflight::no_torch())
}

#[cfg(feature = "torch")]
use asked::ask;

#[cfg(feature = "torch")]
mod asked {
    use comfy_table::{Table, presets};
    use serde_json::{Map, Value, json};

    use super::{PredictArgs, Texts};
    use crate::adapter::model::Loaded;
    use crate::adapter::predict::{self, Answer, AnswerKind, Question};
    use crate::cli::RunFolderArgs;
    use crate::cli::export::Which;
    use crate::error::AppError;
    use crate::tasks::{Problem, Purpose};
    use crate::ui::output;

    /// Most characters of a text shown in a table.
    const SHOWN: usize = 60;

    pub(super) fn ask(
        args: &PredictArgs,
        which: &[String],
        (texts, seconds): &Texts,
    ) -> Result<(), AppError> {
        let loaded = load(args, which)?;
        if matches!(loaded.manifest.purpose, Purpose::Classification { .. }) && args.max_new_tokens.is_some()
        {
            output::warning("`--max-new-tokens` is for models that generate text; this one does not");
        }
        let question = Question {
            texts,
            seconds: seconds.as_deref(),
            max_new_tokens: args.max_new_tokens,
            logits: args.logits,
        };
        print(args, &loaded.manifest.purpose, texts, &predict::predict(&loaded, &question)?)
    }

    /// The model of a folder, or of a run's trial; `which` names the run and, without `--best`, the trial.
    fn load(args: &PredictArgs, which: &[String]) -> Result<Loaded, AppError> {
        if let Some(folder) = &args.adapter {
            return Ok(Loaded::of_adapter(folder, args.base.as_deref())?);
        }
        if let Some(folder) = &args.model {
            return Ok(Loaded::of_model(folder)?);
        }
        let run = which.first().expect("the words were told apart before");
        let run = RunFolderArgs { run: run.into(), results: args.results.clone() };
        let which = Which { run: &run, trial: which.get(1).map(String::as_str), task: args.task.as_deref() };
        let found = which.open()?;
        let trial = which.find(&found)?;
        let configuration = &trial.trial.configuration;
        let (spec, task) = (found.record.sweep.model(configuration), found.record.sweep.task(configuration));
        Ok(Loaded::of_trial(spec, task, &trial.trial, &found.layout)?)
    }

    fn print(
        args: &PredictArgs,
        purpose: &Purpose,
        texts: &[String],
        answers: &[Answer],
    ) -> Result<(), AppError> {
        let names: &[String] = match purpose {
            Purpose::Classification { labels, .. } => labels,
            Purpose::Tagging { .. }
            | Purpose::LanguageModelling
            | Purpose::QuestionAnswering(_)
            | Purpose::Chat(_) => &[],
        };
        if args.json || args.logits {
            let lines: String =
                answers.iter().enumerate().map(|(row, answer)| line(row, names, answer)).collect();
            return output::data(&lines);
        }
        let mut table = Table::new();
        let header = if says_probabilities(purpose) {
            &["text", "answer", "probability"][..]
        } else {
            &["text", "answer"]
        };
        table.load_preset(presets::NOTHING).set_header(header);
        for (text, answer) in texts.iter().zip(answers) {
            let text: String = text.chars().take(SHOWN).collect();
            table.add_row([vec![text], cells(names, &answer.kind)].concat());
        }
        output::data(&format!("{}\n", table.trim_fmt()))
    }

    fn says_probabilities(purpose: &Purpose) -> bool {
        match purpose {
            Purpose::Classification { problem, .. } => *problem != Problem::Regression,
            Purpose::Tagging { .. }
            | Purpose::LanguageModelling
            | Purpose::QuestionAnswering(_)
            | Purpose::Chat(_) => false,
        }
    }

    /// The table's cells for an answer, after the text.
    fn cells(names: &[String], kind: &AnswerKind) -> Vec<String> {
        let named = |values: &[f32], digits: usize| {
            let parts = names.iter().zip(values).map(|(name, value)| format!("{name} {value:.digits$}"));
            parts.collect::<Vec<_>>().join("\n")
        };
        match kind {
            AnswerKind::Label { label, probabilities } => {
                let most = probabilities.iter().copied().fold(0.0, f32::max);
                vec![label.clone(), format!("{most:.3}")]
            }
            AnswerKind::Labels { labels, probabilities } => {
                let said = if labels.is_empty() { "none".to_owned() } else { labels.join("\n") };
                vec![said, named(probabilities, 3)]
            }
            AnswerKind::Scores(scores) => match &scores[..] {
                [score] => vec![format!("{score:.4}")],
                several => vec![named(several, 4)],
            },
            AnswerKind::Tags { words, tags, .. } => {
                let tagged = words
                    .iter()
                    .zip(tags)
                    .map(|(word, tag)| format!("{word} {}", tag.as_deref().unwrap_or("(cut off)")));
                vec![tagged.collect::<Vec<_>>().join("\n")]
            }
            AnswerKind::Text(text) => vec![text.clone()],
        }
    }

    /// One row's answer as a line of JSON.
    fn line(row: usize, names: &[String], answer: &Answer) -> String {
        let named = |values: &[f32]| -> Value {
            names.iter().zip(values).map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let mut object = Map::from_iter([("row".to_owned(), json!(row))]);
        let fields = match &answer.kind {
            AnswerKind::Label { label, probabilities } => {
                vec![("label", json!(label)), ("probabilities", json!(probabilities))]
            }
            AnswerKind::Labels { labels, probabilities } => {
                vec![("labels", json!(labels)), ("probabilities", named(probabilities))]
            }
            AnswerKind::Scores(scores) => match &scores[..] {
                [score] => vec![("score", json!(score))],
                several => vec![("scores", named(several))],
            },
            AnswerKind::Tags { words, tags, probabilities } => {
                vec![("words", json!(words)), ("tags", json!(tags)), ("probabilities", json!(probabilities))]
            }
            AnswerKind::Text(text) => vec![("text", json!(text))],
        };
        object.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if !answer.logits.is_empty() {
            object.insert("logits".to_owned(), json!(answer.logits));
        }
        format!("{}\n", Value::Object(object))
    }
}
