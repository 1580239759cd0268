//! Owns the check of tasks, models and methods against each other, for each combination in some point of the
//! grid. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::families::{self, Head, Known, ModelSpec, Nameable, Pairs};
use crate::tasks::Target;
use crate::values::axes::{self, AXES};
use crate::values::{MethodKind, Setting};

use super::models::tokenizer_place;
use crate::spec::error::{Problem, Report};
use crate::spec::point::{LABEL_SMOOTHING, Point};
use crate::spec::raw::task::RawTask;
use crate::spec::raw::{RawModel, RawSweep};
use crate::spec::source::At;
use crate::spec::survey::Survey;
use crate::spec::survey_models::TokenizerFacts;
use crate::spec::words::short;

/// Checks every combination once.
pub(super) fn check(
    raw: &RawSweep,
    survey: &Survey,
    points: &[Point<'_>],
    models: &BTreeMap<String, ModelSpec>,
    report: &mut Report,
) {
    for (task, model) in meetings(raw, points) {
        let (task, model, facts) = (&raw.tasks[task], &raw.models[model], survey.models.get(model));
        let tokenizer = facts.and_then(|facts| facts.tokenizer.as_ref()?.as_ref().ok());
        if let (Some(spec), Some(tokenizer)) = (models.get(&model.name.value), tokenizer) {
            let meeting = Meeting { task, model, spec, tokenizer };
            meeting.can_learn(report);
            meeting.max_length(report);
        }
    }
    methods(raw, points, models, report);
    smoothing(raw, points, report);
}

/// Label smoothing spreads a label over all classes or tokens, so it does not apply to numbers and to labels that are
/// judged one by one.
fn smoothing(raw: &RawSweep, points: &[Point<'_>], report: &mut Report) {
    let spreads = |task: &&RawTask| match task.kind.fields().target() {
        Target::None | Target::Class { .. } => true,
        Target::Number { .. } | Target::Classes { .. } => false,
    };
    let weighed = |task: &&RawTask| task.places.contains_key("class_weights");
    let Some(task) = raw.tasks.iter().find(|task| !spreads(task) || weighed(task)) else { return };
    let mut told = HashSet::new();
    for given in points.iter().filter_map(|point| point.given(LABEL_SMOOTHING)) {
        if given.setting != Setting::Number(0.0) && told.insert(given.place) {
            let (whose, hint) = if spreads(&task) {
                ("tasks with `class_weights`".to_owned(), "use one of the two")
            } else {
                let whose = format!("tasks of kind `{}`", task.kind.name());
                (whose, "remove it: there is no label that could be spread over several classes")
            };
            let problem = Problem::InapplicableKey { key: "label_smoothing", whose };
            report.error(given.place, problem).hint(hint);
        }
    }
}

/// The indices of tasks and models that some point combines, in the file's order; all of them where the grid
/// has no points, since it then has errors of its own.
fn meetings(raw: &RawSweep, points: &[Point<'_>]) -> BTreeSet<(usize, usize)> {
    if points.is_empty() {
        let all = (0..raw.tasks.len()).flat_map(|task| (0..raw.models.len()).map(move |model| (task, model)));
        return all.take(MOST_GUESSED).collect();
    }
    let tasks = indices(raw.tasks.iter().map(|task| &task.name));
    let models = indices(raw.models.iter().map(|model| &model.name));
    let index = |of: &HashMap<&str, usize>, name: Option<At<&str>>| of.get(name?.value).copied();
    let met = |point: &Point<'_>| Some((index(&tasks, point.task())?, index(&models, point.model())?));
    points.iter().filter_map(met).collect()
}

/// Most pairs that are checked where the grid combines none.
const MOST_GUESSED: usize = 1_000;

fn indices<'r>(names: impl Iterator<Item = &'r At<String>>) -> HashMap<&'r str, usize> {
    names.enumerate().map(|(index, name)| (name.value.as_str(), index)).collect()
}

/// A task and a model that is to learn it.
struct Meeting<'a> {
    task: &'a RawTask,
    model: &'a RawModel,
    spec: &'a ModelSpec,
    tokenizer: &'a TokenizerFacts,
}

impl Meeting<'_> {
    /// Checks that the model suits such a task.
    fn can_learn(&self, report: &mut Report) {
        let (name, kind) = (&self.model.name, self.task.kind.name());
        let head = self.task.kind.head();
        if !self.spec.architecture.supports(head) {
            let message = format!("model `{}` cannot learn tasks of kind `{kind}`", name.value);
            report.error(name.place, Problem::Unfit(message)).hint(next_token_models());
        } else if head == Head::LanguageModel && !self.tokenizer.ends_texts {
            let message = format!("the tokenizer of model `{}` has no token that ends a text", name.value);
            report
                .error(tokenizer_place(self.model), Problem::Unfit(message))
                .hint("name it as `eos_token` in the tokenizer's tokenizer_config.json");
        }
        if let (Some(pair), Pairs::Refused { reason }) = (&self.task.pair, self.spec.architecture.pairs()) {
            let message = format!("model `{}` does not take text pairs: {reason}", name.value);
            report.error(pair.place, Problem::Unfit(message)).hint("put all columns into `text`");
        }
    }

    /// Checks that sequences are not longer than the model can read, and longer than their special tokens.
    fn max_length(&self, report: &mut Report) {
        let (positions, length) = (self.spec.architecture.max_length(), self.task.length());
        let around = match (self.task.kind.head(), &self.task.pair) {
            (Head::Classifier { .. }, Some(_)) => self.tokenizer.around_pair,
            (Head::Classifier { .. } | Head::Tagger { .. }, _) => self.tokenizer.around_text,
            (Head::LanguageModel, _) => 0,
        };
        let name = &self.model.name.value;
        let found = if length > positions {
            format!("`{length}`, longer than model `{name}` can read")
        } else if length <= around {
            format!("`{length}`, and model `{name}` puts {around} special tokens around a text")
        } else {
            return;
        };
        if let Some(at) = &self.task.max_length {
            let problem = Problem::BadValue { key: "`max_length`".to_owned(), found };
            report.error(at.place, problem).allowed(format!("{} to {positions}", (around + 1).max(3)));
            return;
        }
        let message =
            format!("model `{name}` reads at most {positions} tokens, and `max_length` is {length}");
        let error = report.error(self.model.name.place, Problem::Model(message));
        error.hint(format!("set `{}.max_length` to {positions} or less", self.task.path));
    }
}

/// The models that can learn to predict the next token.
fn next_token_models() -> String {
    let names = families::ALL.into_iter().filter(|about| about.language_model.is_some());
    let names: Vec<String> = names.map(|about| format!("`{}`", about.name())).collect();
    format!("use a model that predicts the next token, of type {}", names.join(", "))
}

/// Checks what a method needs of its model.
fn methods(raw: &RawSweep, points: &[Point<'_>], models: &BTreeMap<String, ModelSpec>, report: &mut Report) {
    let tasks = indices(raw.tasks.iter().map(|task| &task.name));
    let mut seen = HashSet::new();
    let mut known = HashMap::new();
    for point in points {
        if report.is_full() {
            return;
        }
        let (Some(method), Some(model)) = (point.method(), point.model()) else { continue };
        let task = point.task().and_then(|name| tasks.get(name.value).copied());
        let lists = AXES.iter().enumerate().filter(|(_, axis)| axis.domain.is_list());
        let lists = lists.map(|(row, _)| point.given(row).map(|given| given.place));
        if !seen.insert((task, method, model.place, lists.collect::<Vec<_>>())) {
            continue;
        }
        let random = |known: &RawModel| {
            let has = |name: &str| known.keys.iter().any(|key| key.value == name);
            known.name.value == model.value && has("architecture") && !has("from")
        };
        if raw.models.iter().any(random) {
            untrained(method, &model, report);
        }
        if let (true, Some(spec)) = (method.adapts(), models.get(model.value)) {
            // The number of classes makes no difference here.
            let head = task.map_or(Head::Classifier { labels: 0 }, |task| raw.tasks[task].kind.head());
            let known = known.entry((model.value, head));
            let known = known.or_insert_with(|| Nameable::of(&spec.architecture, head));
            named_exist(point, known, model.value, report);
        }
    }
}

/// Checks a method on a model with random weights.
fn untrained(method: MethodKind, model: &At<&str>, report: &mut Report) {
    match method {
        MethodKind::Scratch => {}
        MethodKind::Full => {
            let problem = Problem::NeedsWeights { method: method.name(), model: model.value.to_owned() };
            report.error(model.place, problem).hint("use `method: scratch`, or a model with `from`");
        }
        MethodKind::Lora | MethodKind::Dora => report.warn(
            model.place,
            format!(
                "model `{}` has random weights, and `{}` leaves them as they are drawn",
                model.value,
                method.name()
            ),
        ),
        MethodKind::Base => report.warn(
            model.place,
            format!("model `{}` has random weights: `base` shows what chance gives", model.value),
        ),
    }
}

/// Checks that the names in an adapter's settings exist.
fn named_exist(point: &Point<'_>, known: &Nameable<'_>, model: &str, report: &mut Report) {
    let Some((method, _)) = point.plain().settings() else { return };
    let Some(lora) = method.lora() else { return };
    for misfit in known.misfits(lora) {
        // A value that is not given is a default, which the architecture has.
        let Some(given) = point.given(axes::row(misfit.axis)) else { continue };
        if report.is_full() {
            return;
        }
        let place = given.items.get(misfit.item).copied().unwrap_or(given.place);
        let problem = Problem::Unfit(misfit.message(&short(&misfit.found), model));
        let error = report.error(place, problem);
        match &misfit.known {
            // The word exists, but may not be combined with others.
            Known::Names(names) if names.contains(&misfit.found) => error
                .hint(format!("write `{}: {}`, or name the other modules alone", misfit.axis, misfit.found)),
            Known::Names(names) => {
                error.one_of(&misfit.found, names.iter().map(String::as_str));
                if misfit.axis == "targets" && misfit.found.parse::<f64>().is_ok() {
                    error.hint("layers are chosen by their numbers with `layers_to_transform`");
                }
                error
            }
            Known::UpTo(most) => error.allowed(format!("0 to {most}")),
        };
    }
}
