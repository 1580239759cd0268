//! Owns what a model's weights lack for a task: warnings about heads that are not the model's own and modules that are
//! drawn at random, and the error about a language model without its output layer. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::families::{Head, ModelSpec, Weights};
use crate::sweep::{By, OwnHead};
use crate::tasks::{Target, Task};

use crate::spec::error::{Problem, Report};
use crate::spec::point::{MODULES_TO_SAVE, Point};
use crate::spec::words::quoted;
use crate::values::MethodKind;

/// Warns once of each kind of problem for each model, task and method that some point combines.
pub(super) fn check(
    points: &[Point<'_>],
    tasks: &BTreeMap<String, Arc<Task>>,
    models: &BTreeMap<String, ModelSpec>,
    report: &mut Report,
) {
    let (mut seen, mut told) = (HashSet::new(), HashSet::new());
    for point in points {
        let (Some(method), Some(task), Some(name)) = (point.method(), point.task(), point.model()) else {
            continue;
        };
        let saved = point.given(MODULES_TO_SAVE).map(|modules| modules.place);
        if !seen.insert((method, task.value, name.value, saved)) {
            continue;
        }
        let (Some(task), Some(model)) = (tasks.get(task.value), models.get(name.value)) else { continue };
        // Nothing is known about missing weights, and random ones have a message of their own elsewhere.
        if !matches!(model.weights, Weights::Folder { .. }) {
            continue;
        }
        let needs_words = task.objective.head() == Head::LanguageModel && method != MethodKind::Scratch;
        if needs_words && model.parts.no_words {
            let message =
                format!("model `{}` has no output layer for words: it was saved without a head", model.name);
            if told.insert(message.clone()) {
                report
                    .error(name.place, Problem::Model(message))
                    .hint("use the folder of the language model, as `AutoModelForCausalLM` saves it");
            }
            continue;
        }
        let warnings = [head(method, task, model), fresh(point, method, model)];
        for warning in warnings.into_iter().flatten() {
            if told.insert(warning.clone()) {
                report.warn(name.place, warning);
            }
        }
    }
}

fn head(method: MethodKind, task: &Task, model: &ModelSpec) -> Option<String> {
    let (labels, name) = (task.objective.labels(), &model.name);
    if let Target::Number { column } = task.objective.fields().target() {
        return number_head(method, column, task, model);
    }
    if labels.is_empty() {
        return None;
    }
    if !task.objective.fields().has_classes() {
        let fresh =
            format!("`base` evaluates model `{name}` with a fresh head, which shows what chance gives");
        return (method == MethodKind::Base).then_some(fresh);
    }
    let own = OwnHead::of(task, model);
    match (method, own) {
        (MethodKind::Base, OwnHead::Absent) => Some(format!(
            "model `{name}` has no classifier of its own that gives a text one class: `base` evaluates a fresh \
             one, which shows what chance gives"
        )),
        (MethodKind::Base, OwnHead::Other) => Some(format!(
            "the classes of model `{name}` ({}) are not those of the task ({}): `base` evaluates a fresh \
             classifier, which shows what chance gives; `labels` can rename the task's classes",
            listed(model.parts.classes.as_deref().unwrap_or_default()),
            listed(labels)
        )),
        (MethodKind::Base, OwnHead::Same { outputs, by: By::Spelling | By::Number }) => {
            let own = model.parts.classes.as_deref().unwrap_or_default();
            let pairs = outputs.iter().zip(labels);
            let pairs: Vec<String> = pairs
                .filter_map(|(output, class)| Some(format!("`{}` is `{class}`", own.get(*output)?)))
                .take(MOST_LISTED)
                .collect();
            Some(format!(
                "`base` evaluates the classifier of model `{name}`, and takes its classes for the task's: {}",
                pairs.join(", ")
            ))
        }
        (MethodKind::Lora | MethodKind::Dora | MethodKind::Full, OwnHead::Same { .. }) => Some(format!(
            "model `{name}` is a finished classifier for the task's classes: methods that train start with a \
             fresh classifier in its place, and only `base` evaluates its own"
        )),
        (MethodKind::Base, OwnHead::Same { by: By::Name | By::Only, .. })
        | (MethodKind::Lora | MethodKind::Dora | MethodKind::Full, OwnHead::Absent | OwnHead::Other)
        | (MethodKind::Scratch, _) => None,
    }
}

/// The same for tasks with numbers as targets.
fn number_head(method: MethodKind, column: &str, task: &Task, model: &ModelSpec) -> Option<String> {
    let name = &model.name;
    match (method, OwnHead::of(task, model)) {
        (MethodKind::Base, OwnHead::Same { .. }) => Some(format!(
            "`base` evaluates the head of model `{name}`, which gives one number, and takes that for column \
             `{column}`: see that both are on one scale"
        )),
        (MethodKind::Base, OwnHead::Absent | OwnHead::Other) => Some(format!(
            "`base` evaluates model `{name}` with a fresh head of one output, which shows what chance gives"
        )),
        (MethodKind::Lora | MethodKind::Dora | MethodKind::Full, OwnHead::Same { .. }) => Some(format!(
            "model `{name}` is a finished regression model: methods that train start with a fresh head in its \
             place, and only `base` evaluates its own"
        )),
        (MethodKind::Lora | MethodKind::Dora | MethodKind::Full, OwnHead::Absent | OwnHead::Other)
        | (MethodKind::Scratch, _) => None,
    }
}

/// Most classes listed in a sentence.
const MOST_LISTED: usize = 8;

fn listed(classes: &[String]) -> String {
    let shown = quoted(&classes[..classes.len().min(MOST_LISTED)]);
    let rest = classes.len().saturating_sub(MOST_LISTED);
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}

/// The warning about modules that the weights lack.
fn fresh(point: &Point<'_>, method: MethodKind, model: &ModelSpec) -> Option<String> {
    let fresh = &model.parts.fresh;
    if fresh.is_empty() {
        return None;
    }
    let lacks = format!(
        "the weights of model `{}` have no {}: each trial draws one at random from its seed",
        model.name,
        fresh.join(" and no ")
    );
    let named = point.given(MODULES_TO_SAVE).map(|given| given.setting.texts());
    let trains = match (method, named) {
        (MethodKind::Scratch, _) => return None,
        (MethodKind::Base, _) => ", and `base` evaluates it as it is drawn".to_owned(),
        (MethodKind::Full, _) => ", and it is trained with everything else".to_owned(),
        (MethodKind::Lora | MethodKind::Dora, None) => ", and it is trained beside the head".to_owned(),
        (MethodKind::Lora | MethodKind::Dora, Some(modules))
            if fresh.iter().all(|module| modules.iter().any(|named| named.contains(module.as_str()))) =>
        {
            ", and it is trained, as `modules_to_save` says".to_owned()
        }
        (MethodKind::Lora | MethodKind::Dora, Some(_)) => format!(
            ", and it stays random, which costs accuracy: add {} to `modules_to_save` to train it",
            quoted(fresh)
        ),
    };
    Some(format!("{lacks}{trains}"))
}
