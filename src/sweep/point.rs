//! Owns the way from a point of the grid to its configuration: from the settings that are given to all of them.
//! Reads no file and checks nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::Template;
use crate::families::ModelSpec;
use crate::tasks::Task;
use crate::values::axes::{self, AXES, COUNT};
use crate::values::{Configuration, Keep, Lora, Method, MethodKind, Select, Setting, Training};

const TASK: usize = axes::row("task");
const MODEL: usize = axes::row("model");
const METHOD: usize = axes::row("method");
const TARGETS: usize = axes::row("targets");
const MODULES_TO_SAVE: usize = axes::row("modules_to_save");
const LEARNING_RATE: usize = axes::row("learning_rate");

/// The settings that a point is given, by rows of the table of axes.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a>([Option<&'a Setting>; COUNT]);

/// The defaults of all axes.
static DEFAULTS: LazyLock<[Option<Setting>; COUNT]> =
    LazyLock::new(|| std::array::from_fn(|row| AXES[row].default()));

/// The default of an axis that depends on nothing else.
#[must_use]
pub fn default(row: usize) -> Option<&'static Setting> {
    DEFAULTS[row].as_ref()
}

/// Whether settings of one axis are equal; the order of a list's items means nothing.
#[must_use]
pub fn is_same(one: &Setting, other: &Setting) -> bool {
    let is_list = matches!(one, Setting::Texts(_) | Setting::Counts(_));
    one == other || is_list && one.in_order() == other.in_order()
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self([None; COUNT])
    }
}

impl<'a> Given<'a> {
    /// The settings that a function gives for each row.
    pub fn of(setting: impl FnMut(usize) -> Option<&'a Setting>) -> Self {
        Self(std::array::from_fn(setting))
    }

    /// Gives an axis a setting, replacing any other.
    pub fn give(&mut self, row: usize, setting: &'a Setting) {
        self.0[row] = Some(setting);
    }

    /// Whether an axis has this setting, given or by default. One that does not apply to the method has none.
    #[must_use]
    pub fn has(&self, row: usize, setting: &Setting) -> bool {
        self.method().is_none_or(|method| AXES[row].applies_to(method))
            && self.0[row].or(default(row)).is_some_and(|own| is_same(own, setting))
    }

    /// The method, where one is given.
    #[must_use]
    pub fn method(&self) -> Option<MethodKind> {
        MethodKind::of_setting(self.0[METHOD]?)
    }

    fn name(&self, row: usize) -> Option<&'a str> {
        if let Some(Setting::Text(name)) = self.0[row] { Some(name) } else { None }
    }

    /// The method and the settings of the training loop; `None` where there is no method.
    #[must_use]
    pub fn settings(&self) -> Option<(Method, Training)> {
        let kind = self.method()?;
        let (mut method, mut training) = (Method::of(kind), Training::default());
        for (row, axis) in AXES.iter().enumerate().filter(|(_, axis)| axis.applies_to(kind)) {
            if let Some(setting) = self.0[row] {
                axis.set(&mut method, &mut training, setting)?;
            }
        }
        Some((method, training))
    }
}

/// What decides the template of a point: task, model, and whether it is trained from scratch.
type Key<'a> = (&'a str, &'a str, bool);

/// What makes configurations of points.
#[derive(Debug)]
pub struct Templates<'a> {
    tasks: &'a BTreeMap<String, Arc<Task>>,
    models: &'a BTreeMap<String, ModelSpec>,
    /// The metrics that select.
    select: &'a Select,
    all: HashMap<Key<'a>, Template>,
}

impl<'a> Templates<'a> {
    /// What makes the configurations of these points.
    pub fn of<'p>(
        points: impl Iterator<Item = Given<'p>>,
        tasks: &'a BTreeMap<String, Arc<Task>>,
        models: &'a BTreeMap<String, ModelSpec>,
        select: &'a Select,
    ) -> Self {
        let keys: HashSet<Key<'p>> = points.filter_map(|point| key(&point)).collect();
        let template = |(task, model, scratch): Key<'p>| {
            let ((task_name, task), (model_name, model)) =
                (tasks.get_key_value(task)?, models.get_key_value(model)?);
            Some(((task_name.as_str(), model_name.as_str(), scratch), Template::of(task, model, scratch)))
        };
        let all = keys.into_iter().filter_map(template).collect();
        Self { tasks, models, select, all }
    }

    /// The configuration of one of the points; `None` where it lacks what every one has.
    #[must_use]
    pub fn configuration(&self, point: &Given<'_>) -> Option<Configuration> {
        let key = key(point)?;
        let (task, model, template) = (self.tasks.get(key.0)?, self.models.get(key.1)?, self.all.get(&key)?);
        let (mut method, mut training) = point.settings()?;
        if method != Method::Base {
            point.0[LEARNING_RATE]?;
        }
        match &mut method {
            Method::Lora(lora) | Method::Dora(lora) => complete(lora, point, task, model),
            Method::Full | Method::Scratch => {}
            // Settings without effect get the same value everywhere.
            Method::Base => (training.learning_rate, training.epochs) = (0.0, 0.0),
        }
        training.keep_by = match training.keep {
            Keep::Best => self.select.of(key.0),
            Keep::Last => None,
        };
        Some(template.configuration(method, training))
    }
}

fn key<'p>(point: &Given<'p>) -> Option<Key<'p>> {
    Some((point.name(TASK)?, point.name(MODEL)?, point.method()? == MethodKind::Scratch))
}

/// Fills in what the sweep leaves open: the architecture's default targets, and modules that the weights lack,
/// which train with the head, since random weights should learn. A head without tensors does not count.
fn complete(lora: &mut Lora, point: &Given<'_>, task: &Task, model: &ModelSpec) {
    if point.0[TARGETS].is_none() {
        lora.targets = model.architecture.default_lora_targets().iter().map(ToString::to_string).collect();
    }
    if point.0[MODULES_TO_SAVE].is_none() {
        // A head for tokens may not read what the weights lack.
        let head = task.objective.head();
        let has = |module: &&String| {
            !model.architecture.saved_tensors(head, std::slice::from_ref(module)).is_empty()
        };
        lora.modules_to_save.extend(model.parts.fresh.iter().filter(has).cloned());
    }
    if model.architecture.head_tensors(task.objective.head()).is_empty() {
        lora.modules_to_save.retain(|module| module != Lora::HEAD);
    }
    lora.put_in_order();
}
