//! Owns the model card: what a user of an exported folder needs to know, as Markdown. Pure.

use std::fmt::Write as _;

use super::manifest::{BaseModel, Manifest};
use super::python;
use crate::record::{RunRecord, TrialRecord};
use crate::report::statistics::Spread;
use crate::report::summary;
use crate::sweep::Refit;
use crate::tasks::{DataFile, Purpose, Task};
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, Keep, Metric, Part, Scores, Splitting, TrialResult, quantity};

/// A set of rows' scores in a result, where they were scored.
type ScoresOf = fn(&TrialResult) -> Option<&Scores>;

/// The training information on a card.
#[derive(Debug)]
pub struct Card<'a> {
    /// The trial, in words.
    pub trial: String,
    configuration: &'a Configuration,
    task: &'a Task,
    /// What it was chosen from, where it was trained on all rows.
    refit: Option<&'a Refit>,
    /// Trials that differ from it in the fold, or of a refit in the seed.
    planned: usize,
    result: Option<&'a TrialResult>,
    /// The results of those that are done.
    results: Vec<&'a TrialResult>,
    counts: crate::families::params::ParamCounts,
    model: &'a crate::families::ModelSpec,
}

impl<'a> Card<'a> {
    /// The card of a trial.
    #[must_use]
    pub fn of(record: &'a RunRecord, trial: &'a TrialRecord) -> Self {
        let configuration = &*trial.trial.configuration;
        let refit = record.sweep.refit_of(&configuration.task);
        let like: Vec<&TrialRecord> = match refit {
            Some(_) => {
                let is_of_task = |one: &&TrialRecord| one.trial.configuration.task == configuration.task;
                record.trials.iter().filter(is_of_task).collect()
            }
            None => summary::trials_of(record, &[configuration.id]),
        };
        Self {
            trial: format!("trial {} of sweep {}", trial.trial.id, record.sweep.name),
            configuration,
            task: record.sweep.task(configuration),
            refit,
            planned: like.len(),
            result: trial.finished(),
            results: like.into_iter().filter_map(TrialRecord::finished).collect(),
            counts: trial.params,
            model: record.sweep.model(configuration),
        }
    }

    fn body(&self, text: &mut String) {
        if let Some(refit) = self.refit {
            push(text, &self.origin(refit));
        }
        push(text, "## Training data\n");
        push(text, &data(self.task));
        push(text, "## Settings\n");
        push(text, &self.settings());
        push(text, "## Metrics\n");
        push(text, &self.metrics());
    }

    /// What a refitted model was chosen from, and of what its scores are.
    fn origin(&self, refit: &Refit) -> String {
        let chosen = if refit.selected { "selected on validation rows" } else { "chosen by a person" };
        let rows = quantity::counted(self.task.train_rows(), "training row");
        let kept = match (refit.splitting, self.configuration.training.keep) {
            (Splitting::KFold { .. } | Splitting::HoldOut { .. } | Splitting::All, Keep::Best) => {
                " Without validation rows nothing tells which weights are best: these are the last ones."
            }
            (_, Keep::Last) | (Splitting::File, Keep::Best) => "",
        };
        format!(
            "Refitted on all {rows}: this configuration was {chosen} in the sweep `{}`. The validation scores below \
             are those of its {} there, of which each held out other rows; the test rows were evaluated once and \
             selected nothing.{kept}\n",
            refit.of,
            quantity::counted(refit.validation.len(), "trial"),
        )
    }

    fn settings(&self) -> String {
        let mut rows = vec![
            ("trainable parameters", quantity::count(self.counts.trainable)),
            ("parameters in all", quantity::count(self.counts.total)),
            ("longest sequence", format!("{} tokens", self.task.max_length)),
        ];
        let axis = |axis: &Axis| Some((axis.title, axis.value(self.configuration)?));
        rows.extend(axes::shown().filter_map(axis));
        rows.into_iter().fold("| setting | value |\n|---|---|\n".to_owned(), |mut text, (name, value)| {
            line(&mut text, &format!("| {name} | {value} |"));
            text
        })
    }

    /// Each metric of this trial, and its spread over the trials like it; of a refit, validation scores are those
    /// of the sweep that it was chosen from.
    fn metrics(&self) -> String {
        let Some(result) = self.result else { return "The trial has no result.\n".to_owned() };
        let (done, planned) = (self.results.len(), self.planned);
        let mut text = match self.refit {
            None => {
                format!("| rows | metric | this model | {done} of {planned} folds |\n|---|---|--:|--:|\n")
            }
            Some(refit) => format!(
                "| rows | metric | this model | {done} of {planned} seeds | {} of {} trials of `{}` |\n\
                 |---|---|--:|--:|--:|\n",
                refit.validation.len(),
                refit.planned,
                refit.of
            ),
        };
        let sets: [(&str, ScoresOf); 2] =
            [("validation", |result| result.validation.as_ref()), ("test", |result| result.test.as_ref())];
        for (rows, of) in sets {
            let before: Vec<&Scores> = match self.refit {
                Some(refit) if rows == "validation" => refit.validation.iter().collect(),
                Some(_) | None => Vec::new(),
            };
            for metric in self.task.objective.metrics() {
                let values = |all: Vec<&Scores>| -> String {
                    let values: Vec<f64> = all.iter().filter_map(|scores| scores.get(*metric)).collect();
                    spread(*metric, Spread::of(&values).as_ref())
                };
                let own = of(result).and_then(|scores| scores.get(*metric));
                let (all, before) =
                    (values(self.results.iter().filter_map(|one| of(one)).collect()), values(before.clone()));
                if own.is_none() && before == NONE {
                    continue;
                }
                let own = own.map_or_else(|| NONE.to_owned(), |value| number(*metric, value));
                let last = self.refit.map_or_else(String::new, |_| format!(" {before} |"));
                line(&mut text, &format!("| {rows} | {} | {own} | {all} |{last}", metric.title()));
            }
        }
        text + "\nShares are in percent. Several trials are given as mean ± sample standard deviation.\n"
    }
}

/// What a table says where there is no value.
const NONE: &str = "–";

/// The card of an adapter's folder.
#[must_use]
pub fn adapter(card: &Card<'_>, manifest: &Manifest, base: &BaseModel) -> String {
    let mut text = "---\nlibrary_name: peft\ntags: [lora]\n---\n\n".to_owned();
    push(&mut text, &format!("# Adapter of {}\n", card.trial));
    let method = card.configuration.method.kind().title();
    push(&mut text, &format!("A {method} adapter made by lorasweep. {}\n", base_line(base)));
    card.body(&mut text);
    push(&mut text, "## Use\n");
    push(&mut text, &python::adapter(manifest, base).unwrap_or_default());
    push(&mut text, &ask("--adapter", manifest));
    text
}

/// The card of an imported adapter's folder.
#[must_use]
pub fn imported(manifest: &Manifest, base: &BaseModel) -> String {
    let mut text = "---\nlibrary_name: peft\ntags: [lora]\n---\n\n# Adapter\n\n".to_owned();
    push(&mut text, &format!("An adapter that PEFT saved, imported by lorasweep. {}\n", base_line(base)));
    if let Purpose::Classification { labels, .. } | Purpose::Tagging { labels } = &manifest.purpose {
        push(&mut text, &format!("Classes: {}\n", listed(labels)));
    }
    push(&mut text, "## Use\n");
    push(&mut text, &python::adapter(manifest, base).unwrap_or_default());
    push(&mut text, &ask("--adapter", manifest));
    text
}

/// The card of a whole model's folder.
#[must_use]
pub fn whole(card: &Card<'_>, manifest: &Manifest) -> String {
    let mut text = "---\nlibrary_name: transformers\n---\n\n".to_owned();
    push(&mut text, &format!("# Model of {}\n", card.trial));
    push(&mut text, &format!("A whole model made by lorasweep, starting from `{}`.\n", card.model.name));
    card.body(&mut text);
    push(&mut text, "## Use\n");
    let none = || "transformers has no class for this architecture; lorasweep loads it.\n".to_owned();
    push(&mut text, &python::whole(manifest).unwrap_or_else(none));
    push(&mut text, &ask("--model", manifest));
    text
}

/// How lorasweep asks the model in the folder.
fn ask(kind: &str, manifest: &Manifest) -> String {
    let second = manifest.purpose.second();
    format!("```\nlorasweep predict {kind} FOLDER 'a text'{second}\n```\n")
}

fn base_line(base: &BaseModel) -> String {
    let layers = base.layers.map_or_else(String::new, |layers| {
        format!(
            " Of that model only the first {} are used: load it with `num_hidden_layers={layers}`.",
            quantity::counted(layers, "layer")
        )
    });
    format!("Its base is `{}` (content {}).{layers}", base.name, base.content)
}

fn data(task: &Task) -> String {
    let mut text = String::new();
    let files = [
        (Part::Train, Some(&task.train)),
        (Part::Validation, task.validation.as_ref()),
        (Part::Test, task.test.as_ref()),
    ];
    for (part, file) in files {
        let Some(DataFile { path, content, rows, .. }) = file else { continue };
        let used = match part {
            Part::Train => task.train_rows(),
            Part::Validation => *rows,
            Part::Test => task.test_rows(),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        line(&mut text, &format!("- {part:?}: {used} of {rows} rows of `{name}` (content {content})"));
    }
    if !task.objective.labels().is_empty() {
        line(&mut text, &format!("- Classes: {}", listed(task.objective.labels())));
    }
    text
}

/// Names as Markdown code, so that commas in them are not misread.
fn listed(names: &[String]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

/// A name as Markdown code, in one more backtick than its longest run of backticks.
fn code(name: &str) -> String {
    let longest = name.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{ticks}{space}{name}{space}{ticks}")
}

fn number(metric: Metric, value: f64) -> String {
    if metric.is_share() { format!("{:.2}", 100.0 * value) } else { format!("{value:.4}") }
}

fn spread(metric: Metric, spread: Option<&Spread>) -> String {
    match spread {
        None => NONE.to_owned(),
        Some(Spread { mean, std: None, .. }) => number(metric, *mean),
        Some(Spread { mean, std: Some(std), .. }) => {
            format!("{} ± {}", number(metric, *mean), number(metric, *std))
        }
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Adds a block and the empty line after it.
fn push(text: &mut String, block: &str) {
    text.push_str(block);
    text.push('\n');
}
