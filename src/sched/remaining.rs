//! Owns the trials to be done, what each costs and which of them have one shape: found once, for the choice of
//! widths and for the workload. Knows no width and no time.

use std::collections::HashMap;

use crate::cost::{CostTable, SlotCost};
use crate::sweep::SweepSpec;
use crate::values::{ConfigurationId, PackKey, Trial};

/// The trials of a sweep that are to be done.
#[derive(Debug)]
pub struct Remaining<'a> {
    pub(super) sweep: &'a SweepSpec,
    pub(super) trials: &'a [Trial],
    /// What each trial costs.
    pub(super) costs: Vec<SlotCost>,
    /// The shape of each trial: those of one shape can train together, on equally many cores.
    pub(super) shapes: Vec<usize>,
}

impl<'a> Remaining<'a> {
    /// These trials of a sweep.
    #[must_use]
    pub fn of(sweep: &'a SweepSpec, trials: &'a [Trial]) -> Self {
        let mut costs = CostTable::new(sweep);
        let mut shapes = Shapes::default();
        Self {
            costs: trials.iter().map(|trial| costs.slot(trial)).collect(),
            shapes: trials.iter().map(|trial| shapes.of(trial)).collect(),
            sweep,
            trials,
        }
    }

    /// The same trials, these, in another order: `order` has the place of each among those before.
    pub(super) fn sorted<'b>(&self, trials: &'b [Trial], order: &[usize]) -> Remaining<'b>
    where
        'a: 'b,
    {
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let mut number = |shape: usize| {
            let next = numbers.len();
            *numbers.entry(shape).or_insert(next)
        };
        Remaining {
            sweep: self.sweep,
            trials,
            costs: order.iter().map(|at| self.costs[*at]).collect(),
            shapes: order.iter().map(|at| number(self.shapes[*at])).collect(),
        }
    }

    /// The trials, in the order of the sweep.
    #[must_use]
    pub fn trials(&self) -> &'a [Trial] {
        self.trials
    }
}

/// Shapes, numbered as they are found.
#[derive(Default)]
struct Shapes {
    by_configuration: HashMap<ConfigurationId, usize>,
    by_key: HashMap<PackKey, usize>,
}

impl Shapes {
    fn of(&mut self, trial: &Trial) -> usize {
        let configuration = &trial.configuration;
        let Self { by_configuration, by_key } = self;
        *by_configuration.entry(configuration.id).or_insert_with(|| {
            let next = by_key.len();
            *by_key.entry(PackKey::of(configuration)).or_insert(next)
        })
    }
}
