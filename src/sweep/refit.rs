//! Owns the sweep of a refit: chosen configurations of another sweep, trained on every row. Pure: it chooses
//! none, and reads no file.
//!
//! A refit is a run of its own, so that it is stopped, continued, looked at, verified and exported like any
//! other. It has each configuration under the id that it was chosen by.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SweepParts, SweepSpec, Unsound};
use crate::values::{Configuration, ConfigurationId, Scores, Splitting, Training};

/// What a refitted configuration was chosen from, and what is known of it from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refit {
    /// Name of the run.
    pub of: String,
    /// The configuration's task.
    pub task: String,
    /// The configuration, with the first of its seeds.
    pub configuration: ConfigurationId,
    /// Its name in that run's tables.
    pub label: String,
    /// Whether the run selected it; otherwise a person chose it.
    pub selected: bool,
    /// How rows were divided there.
    pub splitting: Splitting,
    /// Its trials there, folds × seeds.
    pub planned: usize,
    /// The scores of those that are done, each on its own validation rows.
    pub validation: Vec<Scores>,
}

/// A configuration to be refitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The configuration, with the first of its seeds.
    pub configuration: Arc<Configuration>,
    /// Its seeds in the sweep, this one first.
    pub seeds: Vec<u64>,
    /// Where it comes from.
    pub from: Refit,
}

impl SweepSpec {
    /// The sweep that trains these configurations on all rows, each with `seeds` seeds: its own ones first, then
    /// the numbers after the largest of them. With a validation file all rows of the training file are trained on
    /// in any case, and the file stays.
    ///
    /// What an earlier refit, `before`, has of other tasks stays in it.
    ///
    /// # Errors
    /// Where the name is none for a folder.
    pub fn refit(
        &self,
        name: &str,
        chosen: &[Chosen],
        seeds: usize,
        before: Option<&Self>,
    ) -> Result<Self, Unsound> {
        let splitting = match self.splitting {
            Splitting::KFold { .. } | Splitting::HoldOut { .. } | Splitting::All => Splitting::All,
            Splitting::File => Splitting::File,
        };
        let is_chosen = |task: &str| chosen.iter().any(|one| one.from.task == task);
        let mut configurations: Vec<Arc<Configuration>> =
            chosen.iter().flat_map(|one| self.seeded(one, seeds)).collect();
        let mut refits: Vec<Refit> = chosen.iter().map(|one| one.from.clone()).collect();
        if let Some(before) = before.filter(|before| before.splitting == splitting) {
            let stays = |one: &Configuration| !is_chosen(&one.task) && self.has(before, one);
            let kept = before.configurations.iter().filter(|one| stays(one));
            configurations.extend(kept.cloned());
            let is_left = |task: &str| configurations.iter().any(|one| one.task == task) && !is_chosen(task);
            refits.extend(before.refits.iter().filter(|refit| is_left(&refit.task)).cloned());
        }
        let uses_task = |name: &str| configurations.iter().any(|one| one.task == name);
        let uses_model = |name: &str| configurations.iter().any(|one| one.model == name);
        let (mut tasks, mut models) = (self.tasks.clone(), self.models.clone());
        tasks.retain(|name, _| uses_task(name));
        models.retain(|name, _| uses_model(name));
        Self::try_from(SweepParts {
            name: name.to_owned(),
            tasks,
            models,
            configurations,
            splitting,
            select: self.select.clone(),
            stop: None,
            drawn: None,
            proposing: None,
            refits,
            only: Vec::new(),
            devices: self.devices.clone(),
            warnings: Vec::new(),
            cards: Vec::new(),
        })
    }

    /// Whether it trains configurations that were chosen from another run.
    #[must_use]
    pub fn is_refit(&self) -> bool {
        !self.refits.is_empty()
    }

    /// What a task's configuration was chosen from, where it is a refit.
    #[must_use]
    pub fn refit_of(&self, task: &str) -> Option<&Refit> {
        self.refits.iter().find(|refit| refit.task == task)
    }

    /// A configuration with each of its seeds, with the ids of this version.
    fn seeded(&self, chosen: &Chosen, count: usize) -> Vec<Arc<Configuration>> {
        let one = &*chosen.configuration;
        let of = |seed| {
            let training = Training { seed, ..one.training.clone() };
            Arc::new(Configuration::new(self.task(one), self.model(one), one.method.clone(), training))
        };
        seeds(&chosen.seeds, count).into_iter().map(of).collect()
    }

    /// Whether it has the task and the model of another sweep's configuration.
    fn has(&self, other: &Self, one: &Configuration) -> bool {
        self.tasks.get(&one.task) == other.tasks.get(&one.task)
            && self.models.get(&one.model) == other.models.get(&one.model)
    }
}

/// So many seeds: first the given ones, then the numbers after the largest.
fn seeds(own: &[u64], count: usize) -> Vec<u64> {
    let next = own.iter().max().map_or(0, |most| most.saturating_add(1));
    let others = (next..=u64::MAX).chain(0..next).filter(|seed| !own.contains(seed));
    own.iter().copied().chain(others).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    fn chosen(sweep: &SweepSpec, number: usize) -> Chosen {
        let configuration = Arc::clone(&sweep.configurations[number]);
        let from = Refit {
            of: sweep.name.clone(),
            task: configuration.task.clone(),
            configuration: configuration.id,
            label: format!("number {number}"),
            selected: true,
            splitting: sweep.splitting,
            planned: 3,
            validation: Vec::new(),
        };
        Chosen { seeds: vec![configuration.training.seed], configuration, from }
    }

    #[test]
    fn the_configurations_own_seeds_come_first() {
        assert_eq!(seeds(&[42], 3), [42, 43, 44]);
        assert_eq!(seeds(&[3, 1, 2], 2), [3, 1]);
        assert_eq!(seeds(&[3, 1], 4), [3, 1, 4, 5]);
        assert_eq!(seeds(&[u64::MAX], 2), [u64::MAX, 0]);
    }

    #[test]
    fn a_refit_holds_no_row_out_and_its_first_configuration_is_the_chosen_one() {
        let sweep = example::sweep();
        let refit = sweep.refit("demo.refit", &[chosen(&sweep, 1)], 2, None).unwrap();
        assert_eq!((refit.splitting, refit.is_refit(), sweep.is_refit()), (Splitting::All, true, false));
        assert_eq!(refit.configurations[0], sweep.configurations[1], "with its id");
        let [one, other] = [0, 1].map(|n| refit.configurations[n].training.seed);
        assert_eq!((refit.trials().len(), other), (2, one + 1));
        assert_eq!(refit.models.len(), 1, "models that it does not use are left out");
        let text = serde_json::to_string(&refit).unwrap();
        assert_eq!(serde_json::from_str::<SweepSpec>(&text).unwrap(), refit);
        let ids = |sweep: &SweepSpec| sweep.trials().iter().map(|trial| trial.id).collect::<Vec<_>>();
        assert!(ids(&refit).iter().all(|id| !ids(&sweep).contains(id)), "other rows, other trials");
    }

    #[test]
    fn with_a_validation_file_the_trial_is_the_sweeps_own() {
        let sweep = example::sweep().with(|sweep| sweep.splitting = Splitting::File).unwrap();
        let refit = sweep.refit("demo.refit", &[chosen(&sweep, 1)], 1, None).unwrap();
        assert_eq!(refit.trials(), [sweep.trials()[1].clone()]);
    }

    #[test]
    fn other_tasks_stay_as_they_were_refitted() {
        let sweep = example::sweep();
        let other = |one: &Configuration| {
            let task = crate::tasks::Task { name: "b".to_owned(), ..(**sweep.task(one)).clone() };
            let point = Configuration::new(
                &task,
                sweep.model(one),
                one.method.clone(),
                Training { epochs: 9.0, ..one.training.clone() },
            );
            (Arc::new(task), Arc::new(point))
        };
        let (task, point) = other(&sweep.configurations[0]);
        let both = sweep
            .with(|sweep| {
                sweep.tasks.insert("b".to_owned(), task);
                sweep.configurations.push(point);
            })
            .unwrap();
        let last = both.configurations.len() - 1;
        let first = both.refit("demo.refit", &[chosen(&both, last)], 1, None).unwrap();
        let then = both.refit("demo.refit", &[chosen(&both, 1)], 1, Some(&first)).unwrap();
        let of = |sweep: &SweepSpec| sweep.configurations.iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(of(&then), [both.configurations[1].id, both.configurations[last].id]);
        assert_eq!(then.refit_of("b"), first.refit_of("b"));
        // A task that is refitted again has what it was refitted with last.
        let again = both.refit("demo.refit", &[chosen(&both, 2)], 1, Some(&then)).unwrap();
        assert_eq!(of(&again), [both.configurations[2].id, both.configurations[last].id]);
        assert_eq!(again.refits.len(), 2);
    }
}
