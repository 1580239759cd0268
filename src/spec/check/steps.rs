//! Owns the check of the length of training: whether a task's rows give enough steps, and whether there is an
//! evaluation before the end. Pure.

use crate::sweep::card::{Card, Warning};
use crate::train::schedule;
use crate::values::Configuration;

/// Fewer optimiser steps than this seldom change a model much.
const FEW_STEPS: u64 = 50;
/// Number of evaluations that a warning suggests where there is only one.
const EVALUATIONS: u64 = 8;

/// The fewest and the most steps of some configurations, and their number.
#[derive(Default)]
struct Those {
    configurations: usize,
    steps: Option<(u64, u64)>,
}

impl Those {
    fn add(&mut self, steps: u64) {
        self.configurations += 1;
        let (least, most) = self.steps.unwrap_or((steps, steps));
        self.steps = Some((least.min(steps), most.max(steps)));
    }
}

/// Warnings about the configurations of a card's task.
pub(in crate::spec) fn warnings<'a>(
    card: &Card,
    configurations: impl Iterator<Item = &'a Configuration>,
) -> Vec<Warning> {
    let rows = card.least_training();
    let mut all = 0;
    let (mut rising, mut few, mut unseen) = (Those::default(), Those::default(), Those::default());
    for configuration in configurations.filter(|c| rows > 0 && c.learning_rate().is_some()) {
        let training = &configuration.training;
        let (per_epoch, steps) = schedule::steps(training, rows);
        all += 1;
        if schedule::warmup_steps(training, steps) >= steps {
            rising.add(steps);
        }
        if steps < FEW_STEPS {
            few.add(steps);
        }
        let first = training.evaluate_every.map_or(per_epoch, |every| per_epoch.min(every as u64));
        if steps > EVALUATIONS && first >= steps {
            unseen.add(steps);
        }
    }
    let rising =
        rising.steps.map(|steps| Warning::AllWarmUp { configurations: (rising.configurations, all), steps });
    let few = few.steps.map(|steps| Warning::FewSteps { configurations: (few.configurations, all), steps });
    let unseen = unseen.steps.map(|(least, _)| Warning::OneEvaluation {
        configurations: (unseen.configurations, all),
        every: (least / EVALUATIONS).max(1),
    });
    [rising, few, unseen].into_iter().flatten().collect()
}
