//! Owns who trains together: trials that can share one process and one copy of the base weights.
//!
//! Knows nothing of devices or time. What a pack holds never changes what a trial learns.

use std::collections::HashMap;

use crate::trial::{Precision, Trial};

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

/// What trials must have in common to train together.
#[derive(PartialEq, Eq, Hash)]
struct Shape<'a> {
    task: &'a str,
    model: &'a str,
    batch_size: usize,
    accumulation: usize,
    /// The base is frozen for all slots, or starts from the pretrained weights in all, or from
    /// random ones in all.
    method: &'static str,
    /// Modules with an adapter, and modules that train as a whole: a module is so for every slot, or for none.
    targets: &'a [String],
    modules_to_save: &'a [String],
    /// The bits of AdamW's decays and epsilon, which one step applies to all slots at once.
    optimiser: [u64; 3],
    precision: Precision,
}

impl<'a> Shape<'a> {
    fn of(trial: &'a Trial) -> Self {
        let configuration = &trial.configuration;
        let training = &configuration.training;
        Self {
            task: &configuration.task,
            model: &configuration.model,
            batch_size: training.batch_size,
            accumulation: training.accumulation,
            targets: configuration.method.lora().map_or(&[], |lora| lora.targets.as_slice()),
            modules_to_save: configuration.method.lora().map_or(&[], |lora| lora.modules_to_save.as_slice()),
            optimiser: [training.beta1, training.beta2, training.epsilon].map(f64::to_bits),
            precision: training.precision,
            method: configuration.method.name(),
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
    use std::sync::Arc;

    use super::*;
    use crate::plan::example;
    use crate::trial::{Configuration, Lora, Method};

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
    fn what_a_pack_has_once_is_the_same_for_all_its_slots() {
        let trial = example::sweep().trials().swap_remove(0);
        let changed = |change: &dyn Fn(&mut Configuration)| {
            let mut configuration = (*trial.configuration).clone();
            change(&mut configuration);
            Trial { configuration: Arc::new(configuration), ..trial.clone() }
        };
        let lora = |targets: &str| {
            let Method::Lora(lora) = example::lora(4) else { panic!("an adapter") };
            Method::Lora(Lora { targets: vec![targets.to_owned()], ..lora })
        };
        let full = changed(&|c| c.method = Method::Full);
        assert!(!compatible(&trial, &full));
        assert!(!compatible(&full, &changed(&|c| c.method = Method::Scratch)));
        assert!(!compatible(&trial, &changed(&|c| c.method = lora("query"))));
        assert!(!compatible(&trial, &changed(&|c| c.training.beta1 = 0.8)));
        assert!(!compatible(&trial, &changed(&|c| c.training.accumulation = 2)));
        assert!(!compatible(&trial, &changed(&|c| c.training.precision = Precision::Bf16)));
        assert!(compatible(&trial, &changed(&|c| c.training.learning_rate = 0.1)));
        assert!(compatible(&trial, &changed(&|c| c.training.seed = 7)));
        assert!(compatible(&trial, &changed(&|c| c.method = example::lora(64))));
    }
}
