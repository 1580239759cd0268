//! Owns the words for trials, scores and work. Pure: writes nowhere, reads no clock.

use std::collections::BTreeMap;

use crate::tasks::{self, Task};
use crate::values::{Configuration, Count, JobKey, Metric, Naming, Scores, Trial};

/// The names of a sweep's trials.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Naming>);

impl Names {
    /// The names of the trials of these configurations.
    pub(crate) fn of<'a>(configurations: impl IntoIterator<Item = &'a Configuration>) -> Self {
        let mut tasks: BTreeMap<&str, Vec<&Configuration>> = BTreeMap::new();
        for one in configurations {
            tasks.entry(&one.task).or_default().push(one);
        }
        Self(tasks.into_iter().map(|(task, all)| (task.to_owned(), Naming::of(&all))).collect())
    }

    /// A trial's name as in the report, different from all others of the sweep: `LoRA r=16 α=32 lr 5e-3 seed 2,
    /// fold 2/3`; where tasks have names, after its task's name.
    pub(crate) fn trial(&self, trial: &Trial) -> String {
        let configuration = &trial.configuration;
        let task = match configuration.task.as_str() {
            Task::ONLY => String::new(),
            name => format!("{name}: "),
        };
        let label = match self.0.get(&configuration.task) {
            Some(naming) => naming.label(configuration),
            None => trial.id.to_string(),
        };
        let fold = match trial.splitting.splits() {
            0 | 1 => String::new(),
            splits => format!(", fold {}/{splits}", trial.fold + 1),
        };
        format!("{task}{label}{fold}")
    }
}

/// The value of the metric that selects, the named one or the task's own, after its name: `accuracy 0.750`; why
/// there is none where it is undefined.
pub(crate) fn score(scores: &Scores, select: Option<Metric>) -> String {
    let (metric, score) = tasks::selecting(scores, select);
    match score {
        Some(score) => format!("{} {score:.3}", metric.title()),
        None => {
            let what = match (scores.count(Count::Rows), scores.count(Count::Answers)) {
                (Some(0 | 1), _) => "fewer than two rows",
                (_, Some(1)) => "all answers are the same",
                (_, _) => "all numbers to be learned are the same",
            };
            format!("no {} (undefined: {what})", metric.title())
        }
    }
}

/// What a job is doing, before anything is known of its trials.
pub(super) fn work(key: JobKey) -> &'static str {
    match key {
        JobKey::Prepare(_) => "tokenising the data",
        JobKey::Train(_) => "training",
        JobKey::Report => "writing the report",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::plan::example;
    use crate::values::{Method, Splitting, Training};

    #[test]
    fn trials_are_called_by_what_tells_them_apart() {
        let sweep = example::sweep();
        let lora = &sweep.configurations[0];
        let seeded = |seed| {
            let training = Training { seed, ..lora.training.clone() };
            let (task, model) = (sweep.task(lora), sweep.model(lora));
            Arc::new(Configuration::new(task, model, lora.method.clone(), training))
        };
        let name = |all: &[Arc<Configuration>]| {
            Names::of(all.iter().map(|one| &**one)).trial(&Trial::new(
                &all[0],
                Splitting::KFold { k: 3, stratified: true, seed: 1 },
                1,
            ))
        };
        let (one, two) = (seeded(1), seeded(2));
        assert_eq!(name(std::slice::from_ref(&one)), "LoRA r=4 α=16, fold 2/3");
        assert_eq!(name(&[one, two]), "LoRA r=4 α=16 seed 1, fold 2/3");
        let full = sweep.configurations.iter().find(|c| c.method == Method::Full).unwrap();
        assert_eq!(name(std::slice::from_ref(full)), "full fine-tuning, fold 2/3");
    }
}
