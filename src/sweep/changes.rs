//! Owns the comparison of two versions of a sweep: which points of the grid would be trained again under other
//! settings, and which settings those are. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::sweep::{SweepSpec, Template};
use crate::values::{Configuration, Method, Splitting, Trial, TrialId};

/// Longest value shown in a sentence, in characters.
const LONGEST_VALUE: usize = 40;

/// The points of a sweep that were worked on with other settings than they have now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Changes {
    /// Number of the sweep's trials at these points.
    pub trials: usize,
    /// The differences, each with the old and the new value.
    pub reasons: BTreeSet<String>,
}

/// Everything that decides a configuration's results: a value for each dotted path.
type Facts = BTreeMap<String, Value>;

/// A trial, with its sweep.
#[derive(Clone, Copy)]
struct Point<'a> {
    sweep: &'a SweepSpec,
    trial: &'a Trial,
}

/// Compares a sweep with the one that its folder was last used for.
///
/// A point is matched by its task, model, method and fold, and by the settings that an axis of either sweep
/// varies. It counts if `worked_on` holds for its earlier trial, which the sweep no longer has, and `to_come`
/// for its present trial. New values on an axis are new points and not a change.
#[must_use]
pub fn between(
    before: &SweepSpec,
    now: &SweepSpec,
    worked_on: &dyn Fn(TrialId) -> bool,
    to_come: &dyn Fn(TrialId) -> bool,
) -> Changes {
    let (was, is) = (before.trials(), now.trials());
    let ids: [BTreeSet<TrialId>; 2] = [&was, &is].map(|all| all.iter().map(|trial| trial.id).collect());
    let left: Vec<&Trial> =
        was.iter().filter(|trial| !ids[1].contains(&trial.id) && worked_on(trial.id)).collect();
    if left.is_empty() {
        return Changes::default();
    }
    let axes = axes(before, now);
    let was = left.into_iter().map(|trial| Point { sweep: before, trial });
    let mut was: HashMap<String, Point<'_>> = was.map(|point| (point.name(&axes), point)).collect();
    let mut changes = Changes::default();
    for trial in is.iter().filter(|trial| !ids[0].contains(&trial.id) && to_come(trial.id)) {
        let point = Point { sweep: now, trial };
        if let Some(was) = was.remove(&point.name(&axes)) {
            changes.trials += 1;
            changes.reasons.extend(reasons(was, point));
        }
    }
    changes
}

/// The settings that configurations of one method differ in, by method.
fn axes(before: &SweepSpec, now: &SweepSpec) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut axes = BTreeMap::new();
    for sweep in [before, now] {
        let mut first: BTreeMap<&str, Facts> = BTreeMap::new();
        for one in &sweep.configurations {
            let facts = settings(one);
            let method = one.method.name();
            let varying: &mut BTreeSet<String> = axes.entry(method).or_default();
            match first.get(method) {
                None => _ = first.insert(method, facts),
                Some(first) => varying.extend(differing(first, &facts).map(|(path, ..)| path.to_owned())),
            }
        }
    }
    axes
}

/// The settings of a configuration that a grid can vary.
fn settings(one: &Configuration) -> Facts {
    let mut facts = Facts::new();
    for (name, value) in [("method", to_value(&one.method)), ("training", to_value(&one.training))] {
        flatten(name, value, &mut facts);
    }
    facts
}

impl Point<'_> {
    /// The point's name, which does not depend on other settings.
    fn name(self, axes: &BTreeMap<&'static str, BTreeSet<String>>) -> String {
        let Self { sweep, trial } = self;
        let one = &trial.configuration;
        let mut settings = settings(one);
        let method = one.method.name();
        settings.retain(|path, _| axes.get(method).is_some_and(|axes| axes.contains(path)));
        // A sweep with one task or model may have given it another name.
        let task = (sweep.tasks.len() > 1).then_some(&one.task);
        let model = (sweep.models.len() > 1).then_some(&one.model);
        format!("{task:?} {model:?} {method} {} {settings:?}", trial.fold)
    }

    /// Everything that the trial's id is made from, under the names of the sweep file where it has one.
    fn facts(self) -> Facts {
        let Self { sweep, trial } = self;
        let one = &trial.configuration;
        let template = Template::of(sweep.task(one), sweep.model(one), one.method == Method::Scratch);
        let identity = template.identity(&one.method, &one.training);
        let mut facts = Facts::new();
        if let Ok(Value::Object(parts)) = serde_json::from_slice(&identity) {
            for (name, value) in parts {
                flatten(&name, value, &mut facts);
            }
        }
        let name = match trial.splitting {
            Splitting::KFold { .. } => "kfold",
            Splitting::HoldOut { .. } | Splitting::File | Splitting::All => "split",
        };
        flatten(name, to_value(&trial.splitting), &mut facts);
        facts
    }
}

fn reasons(was: Point<'_>, is: Point<'_>) -> Vec<String> {
    let [was, is] = [was.facts(), is.facts()];
    let differing: Vec<_> = differing(&was, &is).map(|(path, was, is)| reason(path, was, is)).collect();
    if differing.is_empty() {
        return vec!["this version of lorasweep trains in another way".to_owned()];
    }
    differing
}

fn reason(path: &str, was: Option<&Value>, is: Option<&Value>) -> String {
    match path {
        "task.files.0" => "the training data changed".to_owned(),
        "task.files.1" => "the validation data changed".to_owned(),
        "task.files.2" => "the test data changed".to_owned(),
        "weights" | "weights_seed" => "the base model's weights changed".to_owned(),
        "tokenizer" => "the tokenizer changed".to_owned(),
        path if path == "head" || path.starts_with("head.") => {
            "`base` evaluates another head than before".to_owned()
        }
        _ => {
            // The method's settings are keys of the grid itself.
            let path = path.strip_prefix("method.").unwrap_or(path);
            match [was, is].map(short) {
                [Some(was), Some(is)] => format!("`{path}` was {was}, and is {is}"),
                [_, _] => format!("`{path}` changed"),
            }
        }
    }
}

/// A value as text, if it is short enough for a sentence.
fn short(value: Option<&Value>) -> Option<String> {
    let text = match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        // 1 rather than 1.0.
        Some(Value::Number(number)) => number.as_f64().map_or_else(|| number.to_string(), |n| n.to_string()),
        Some(value) => value.to_string(),
    };
    (text.chars().count() <= LONGEST_VALUE).then_some(text)
}

/// The paths at which two maps differ, each with both values.
fn differing<'a>(
    was: &'a Facts,
    is: &'a Facts,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let paths: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    paths.into_iter().filter_map(|path| {
        let (was, is) = (was.get(path), is.get(path));
        (was != is).then_some((path.as_str(), was, is))
    })
}

fn flatten(path: &str, value: Value, facts: &mut Facts) {
    match value {
        Value::Object(parts) => {
            for (name, value) in parts {
                flatten(&format!("{path}.{name}"), value, facts);
            }
        }
        Value::Array(items) if path == "task.files" => {
            for (at, item) in items.into_iter().enumerate() {
                flatten(&format!("{path}.{at}"), item, facts);
            }
        }
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            facts.insert(path.to_owned(), value);
        }
    }
}

fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("settings are plain structs with string keys")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::families::Weights;
    use crate::plan::example;
    use crate::tasks::Task;
    use crate::values::{ContentHash, Training};

    /// What tells one sweep of these tests from another.
    #[derive(Clone, Copy)]
    struct Told<'a> {
        rows: &'a [u8],
        weights: &'a [u8],
        epochs: f64,
        ranks: &'a [usize],
        k: usize,
    }

    const TOLD: Told<'_> = Told { rows: b"rows", weights: b"base", epochs: 1.0, ranks: &[4, 8], k: 2 };

    fn sweep(told: Told<'_>) -> SweepSpec {
        let sweep = example::sweep();
        let mut task = Task::clone(sweep.first_task());
        task.train.content = ContentHash::of_bytes(told.rows);
        let mut model = sweep.models["minilm-2"].clone();
        let content = ContentHash::of_bytes(told.weights);
        model.weights = Weights::Folder { path: "m".into(), content };
        let training = Training { epochs: told.epochs, ..sweep.configurations[0].training.clone() };
        let point = |rank: &usize| {
            Arc::new(Configuration::new(&task, &model, example::lora(*rank), training.clone()))
        };
        let changed = sweep.with(|sweep| {
            sweep.configurations = told.ranks.iter().map(point).collect();
            sweep.splitting = Splitting::KFold { k: told.k, stratified: true, seed: 1 };
            sweep.models = BTreeMap::from([(model.name.clone(), model.clone())]);
            sweep.tasks = BTreeMap::from([(task.name.clone(), Arc::new(task.clone()))]);
        });
        changed.unwrap()
    }

    fn told(before: Told<'_>, now: Told<'_>) -> (usize, Vec<String>) {
        let changes = between(&sweep(before), &sweep(now), &|_| true, &|_| true);
        (changes.trials, changes.reasons.into_iter().collect())
    }

    #[test]
    fn new_and_removed_values_of_an_axis_are_no_change() {
        for ranks in [&[4, 8][..], &[4, 8, 16], &[4], &[16, 32], &[8, 64]] {
            assert_eq!(told(TOLD, Told { ranks, ..TOLD }), (0, vec![]), "{ranks:?}");
        }
    }

    #[test]
    fn each_change_is_named_and_counts_the_points_that_it_concerns() {
        let epochs = vec!["`training.epochs` was 1, and is 3".to_owned()];
        assert_eq!(told(TOLD, Told { epochs: 3.0, ..TOLD }), (4, epochs.clone()));
        // New points are not trained again, and removed points are not trained.
        assert_eq!(told(TOLD, Told { epochs: 3.0, ranks: &[8, 16], ..TOLD }), (2, epochs));
        let data = vec!["the training data changed".to_owned()];
        assert_eq!(told(TOLD, Told { rows: b"others", ..TOLD }), (4, data));
        let both =
            vec!["`kfold.k` was 2, and is 3".to_owned(), "the base model's weights changed".to_owned()];
        assert_eq!(told(TOLD, Told { weights: b"other", k: 3, ..TOLD }), (4, both));
    }

    #[test]
    fn what_was_never_trained_or_is_done_already_is_not_trained_again() {
        let (before, now) = (sweep(TOLD), sweep(Told { epochs: 3.0, ..TOLD }));
        let trained = before.trials()[1].id;
        assert_eq!(between(&before, &now, &|id| id == trained, &|_| true).trials, 1);
        let done = now.trials()[1].id;
        assert_eq!(between(&before, &now, &|_| true, &|id| id != done).trials, 3);
        assert_eq!(between(&before, &now, &|_| false, &|_| true), Changes::default());
    }

    #[test]
    fn an_id_that_changed_for_no_setting_is_a_change_of_the_program() {
        let now = sweep(TOLD);
        let before = now.with(|sweep| {
            for (n, one) in sweep.configurations.iter_mut().enumerate() {
                let id = format!("{n:016x}").parse().expect("an id");
                *one = Arc::new(Configuration { id, ..Configuration::clone(one) });
            }
        });
        let before = before.unwrap();
        let changes = between(&before, &now, &|_| true, &|_| true);
        assert_eq!((changes.trials, changes.reasons.len()), (4, 1));
        assert!(changes.reasons.iter().all(|reason| reason.contains("this version of lorasweep")));
    }
}
