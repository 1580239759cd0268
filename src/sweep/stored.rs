//! Owns the check that makes a sweep of its parts: of those that `sweep.json` holds, too. Writes nothing.

use std::collections::HashSet;

use super::{SweepParts, SweepSpec};
use crate::tasks::Task;
use crate::values::axes::AXES;
use crate::values::{Axis, Configuration, ConfigurationId, Metric, Range, Splitting};

/// Why a written sweep cannot be one that was checked: another program wrote it, or it was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Its name could lead out of the folder of all runs.
    #[error("the sweep is called `{0}`, which is not a valid folder name")]
    Name(String),
    /// There is no task.
    #[error("the sweep has no task")]
    NoTask,
    /// There is no configuration.
    #[error("the sweep has no configuration")]
    NoConfiguration,
    /// A configuration names a task or a model that does not exist.
    #[error("configuration `{id}` uses {what} `{name}`, which the sweep does not have")]
    Unknown {
        /// The configuration.
        id: ConfigurationId,
        /// `task` or `model`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A setting is out of its range.
    #[error("`{axis}` of configuration `{id}` is {found}; allowed: {allowed}")]
    OutOfRange {
        /// The configuration.
        id: ConfigurationId,
        /// The setting.
        axis: &'static str,
        /// Its value.
        found: String,
        /// The allowed values.
        allowed: String,
    },
    /// A configuration that occurs twice would be trained twice.
    #[error("configuration `{id}` is there twice")]
    Twice {
        /// The configuration.
        id: ConfigurationId,
    },
    /// The rows cannot be divided like this.
    #[error("rows cannot be divided so: {0}")]
    Splitting(String),
    /// A block that points are drawn from contradicts itself.
    #[error("a block of the grid does not fit its space")]
    Block,
    /// A metric that a task does not have.
    #[error("the sweep selects by `{metric}` on task `{task}`, which does not have it")]
    Select {
        /// The task.
        task: String,
        /// The metric.
        metric: &'static str,
    },
    /// The same for the metric by which a configuration keeps its best weights.
    #[error("configuration `{id}` keeps weights by `{metric}`, which its task does not have")]
    KeepBy {
        /// The configuration.
        id: ConfigurationId,
        /// The metric.
        metric: &'static str,
    },
}

/// Longest name of a sweep, in bytes: most file systems take 255, and files get endings.
const LONGEST_NAME: usize = 100;

/// Whether a sweep can have this name, which must be a folder name on every system.
#[must_use]
pub fn is_folder_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(plain)
        && name.trim() == name
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
}

impl TryFrom<SweepParts> for SweepSpec {
    type Error = Unsound;

    fn try_from(parts: SweepParts) -> Result<Self, Unsound> {
        let SweepParts { name, tasks, models, configurations, splitting, select, proposing, .. } = &parts;
        if !is_folder_name(name) {
            return Err(Unsound::Name(name.clone()));
        }
        if tasks.is_empty() {
            return Err(Unsound::NoTask);
        }
        let lacks = |task: &Task, metric: &Metric| !task.objective.metrics().contains(metric);
        for (name, task) in tasks {
            if let Some(metric) = select.of(name).filter(|metric| lacks(task, metric)) {
                return Err(Unsound::Select { task: name.clone(), metric: metric.name() });
            }
        }
        if configurations.is_empty() {
            return Err(Unsound::NoConfiguration);
        }
        let divides = match splitting {
            Splitting::KFold { k, .. } => *k >= 2,
            Splitting::HoldOut { fraction, .. } => Range::OpenShare.holds(*fraction),
            Splitting::File | Splitting::All => true,
        };
        if !divides {
            return Err(Unsound::Splitting(format!("{splitting:?}")));
        }
        if proposing.iter().flat_map(|proposing| &proposing.blocks).any(|block| !block.is_sound()) {
            return Err(Unsound::Block);
        }
        let mut seen = HashSet::new();
        for one in configurations {
            let unknown = |what, name: &str| Unsound::Unknown { id: one.id, what, name: name.to_owned() };
            let Some(task) = tasks.get(&one.task) else { return Err(unknown("task", &one.task)) };
            if !models.contains_key(&one.model) {
                return Err(unknown("model", &one.model));
            }
            if !seen.insert(one.id) {
                return Err(Unsound::Twice { id: one.id });
            }
            if let Some(metric) = one.training.keep_by.filter(|metric| lacks(task, metric)) {
                return Err(Unsound::KeepBy { id: one.id, metric: metric.name() });
            }
            in_range(one)?;
        }
        Ok(Self(parts))
    }
}

/// Every applicable setting has a value in its domain.
fn in_range(one: &Configuration) -> Result<(), Unsound> {
    let setting = |axis: &'static Axis| Some((axis, axis.get(one)?));
    match AXES.iter().filter_map(setting).find(|(axis, setting)| !axis.domain.holds(setting)) {
        None => Ok(()),
        Some((axis, setting)) => Err(Unsound::OutOfRange {
            id: one.id,
            axis: axis.name,
            found: setting.to_string(),
            allowed: axis.domain.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::example;

    /// What reading the example's file says after one value was changed.
    fn read(change: impl FnOnce(&mut Value)) -> Result<SweepSpec, String> {
        let mut written = serde_json::to_value(example::sweep()).unwrap();
        change(&mut written);
        serde_json::from_value(written).map_err(|error| error.to_string())
    }

    #[test]
    fn a_sweep_comes_back_as_it_was() {
        assert_eq!(read(|_| {}).unwrap(), example::sweep());
    }

    #[test]
    fn what_nobody_could_have_checked_is_no_sweep() {
        let id = example::sweep().configurations[0].id.to_string();
        let of = |change: &dyn Fn(&mut Value)| read(|sweep| change(sweep)).unwrap_err();
        let said = of(&|sweep| sweep["configurations"][0]["method"]["rank"] = json!(0));
        assert!(
            said.starts_with(&format!("`rank` of configuration `{id}` is 0; allowed: a whole number")),
            "{said}"
        );
        let said = of(&|sweep| sweep["configurations"][0]["training"]["warmup"] = json!(1.0));
        assert!(said.contains("`warmup`") && said.contains("below 1"), "{said}");
        let said = of(&|sweep| sweep["configurations"][0]["model"] = json!("gone"));
        assert!(said.contains("uses model `gone`, which the sweep does not have"), "{said}");
        let said = of(&|sweep| sweep["configurations"][0]["task"] = json!("gone"));
        assert!(said.contains("uses task `gone`"), "{said}");
        let said = of(&|sweep| sweep["configurations"][1] = sweep["configurations"][0].clone());
        assert!(said.contains("is there twice"), "{said}");
        let said = of(&|sweep| sweep["configurations"][0]["training"]["keep_by"] = json!("perplexity"));
        assert!(said.contains("keeps weights by `perplexity`, which its task does not have"), "{said}");
        for name in ["", "../elsewhere", "a/b", ".hidden"] {
            let said = of(&|sweep| sweep["name"] = json!(name));
            assert!(
                said.contains(&format!("is called `{name}`, which is not a valid folder name")),
                "{said}"
            );
        }
        assert!(of(&|sweep| sweep["configurations"] = json!([])).contains("no configuration"));
        assert!(of(&|sweep| sweep["tasks"] = json!({})).contains("no task"));
        assert!(
            of(&|sweep| sweep["splitting"] =
                json!({"kind": "k_fold", "k": 1, "stratified": true, "seed": 1}))
            .contains("divided")
        );
        assert!(
            of(&|sweep| sweep["select"] = json!("perplexity")).contains("selects by `perplexity` on task")
        );
    }
}
