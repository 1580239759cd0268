//! Owns who trains together: trials that can share one process and one copy of the base weights.
//!
//! Knows nothing of devices or time. What a pack holds never changes what a trial learns.

use std::collections::HashMap;

use crate::trial::{Method, Trial};

/// How large a pack may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most trials per pack, at least 1. The default is 1: every trial trains alone.
    pub slots: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: 1 }
    }
}

/// What trials must have in common to train together. The task is the sweep's, so they share it.
#[derive(PartialEq, Eq, Hash)]
struct Shape<'a> {
    model: &'a str,
    batch_size: usize,
    accumulation: usize,
    /// Trials that train the base need a copy of it each.
    trains_base: bool,
}

impl<'a> Shape<'a> {
    fn of(trial: &'a Trial) -> Self {
        let configuration = &trial.configuration;
        Self {
            model: &configuration.model,
            batch_size: configuration.training.batch_size,
            accumulation: configuration.training.accumulation,
            trains_base: match configuration.method {
                Method::Lora(_) => false,
                Method::Full | Method::Scratch => true,
            },
        }
    }
}

/// Whether two trials of a sweep could train in one pack.
#[must_use]
pub fn compatible(a: &Trial, b: &Trial) -> bool {
    Shape::of(a) == Shape::of(b)
}

/// Divides trials into packs of compatible ones. Packs stand in the order of their first trial,
/// and trials keep their order within a pack.
#[must_use]
pub fn packs(trials: &[Trial], limits: Limits) -> Vec<Vec<Trial>> {
    let mut packs: Vec<Vec<Trial>> = Vec::new();
    let mut open: HashMap<Shape<'_>, usize> = HashMap::new();
    for trial in trials {
        let shape = Shape::of(trial);
        match open.get(&shape).copied().filter(|pack| packs[*pack].len() < limits.slots) {
            Some(pack) => packs[pack].push(trial.clone()),
            None => {
                open.insert(shape, packs.len());
                packs.push(vec![trial.clone()]);
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    #[test]
    fn every_trial_is_in_one_pack_of_compatible_trials() {
        let trials = example::sweep().trials();
        for slots in [1, 2, 3, 100] {
            let packs = packs(&trials, Limits { slots });
            assert!(packs.iter().all(|pack| pack.len() <= slots));
            assert!(packs.iter().all(|pack| pack.iter().all(|trial| compatible(trial, &pack[0]))));
            let mut packed: Vec<_> = packs.concat().iter().map(|trial| trial.id).collect();
            let mut wanted: Vec<_> = trials.iter().map(|trial| trial.id).collect();
            packed.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(packed, wanted);
        }
        assert_eq!(packs(&trials, Limits::default()).len(), trials.len());
    }

    #[test]
    fn trials_that_train_the_base_never_join_those_that_do_not() {
        let trials = example::sweep().trials();
        let (lora, full) = (&trials[0], &trials[6]);
        assert_eq!(lora.configuration.model, full.configuration.model);
        assert!(!compatible(lora, full));
        assert!(compatible(lora, &trials[3]));
    }
}
