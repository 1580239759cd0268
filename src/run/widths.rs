//! Owns what the trials of a run train on: as it was decided before, which holds as long as the machine can give
//! it, or decided now. Writes nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;

use crate::record::Ledger;
use crate::record::ledger::DecidedWidth;
use crate::sched::{Machine, Remaining, decide_widths};
use crate::values::{Resources, Trial, TrialId, TrialsOfWidth, Width, quantity};

/// What each trial that is to be done trains on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Widths {
    of: HashMap<TrialId, Width>,
    /// The trials for which that was decided now, in the sweep's order for each width.
    pub decided: Vec<TrialsOfWidth>,
}

impl Widths {
    /// The widths of the trials to be done, given the ledger of all runs so far. With `anew`, what was decided for
    /// them before does not count.
    ///
    /// # Errors
    /// When this machine cannot give what was decided.
    pub fn of(
        remaining: &Remaining<'_>,
        ledger: &Ledger,
        machine: Machine<'_>,
        anew: bool,
    ) -> Result<Self, WidthError> {
        let todo = remaining.trials();
        let recorded: Vec<Option<DecidedWidth>> =
            todo.iter().map(|trial| ledger.width(trial.id).filter(|_| !anew)).collect();
        WidthError::check(recorded.iter().flatten(), machine)?;
        let kept: Vec<Option<Width>> = recorded.iter().map(|known| known.map(|known| known.width)).collect();
        let widths = decide_widths(remaining, &kept, machine);
        let mut decided: BTreeMap<Width, Vec<TrialId>> = BTreeMap::new();
        for ((trial, width), _) in todo.iter().zip(&widths).zip(&kept).filter(|(_, kept)| kept.is_none()) {
            decided.entry(*width).or_default().push(trial.id);
        }
        let decided = decided.into_iter().map(|(width, trials)| TrialsOfWidth { width, trials });
        let of = todo.iter().map(|trial| trial.id).zip(widths).collect();
        Ok(Self { of, decided: decided.collect() })
    }

    /// The trials that trained on something else so far.
    #[must_use]
    pub fn changed(&self, ledger: &Ledger) -> Vec<TrialId> {
        let of = |of: &TrialsOfWidth| {
            let differs = |id: &TrialId| ledger.width(*id).is_some_and(|before| before.width != of.width);
            of.trials.iter().copied().filter(differs).collect::<Vec<_>>()
        };
        self.decided.iter().flat_map(of).collect()
    }

    /// What a trial trains on.
    #[must_use]
    pub fn width(&self, trial: &Trial) -> Width {
        self.of.get(&trial.id).copied().expect("the trials to be done have a width")
    }
}

/// Trials whose digits this machine cannot give, since they train on more than the run may use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WidthError {
    /// What they train on; the widest, where several are too wide.
    pub width: Width,
    /// How many trials train on that.
    pub trials: usize,
    /// When that was decided.
    pub at: Timestamp,
    /// What the run may use.
    pub resources: Box<Resources>,
}

impl fmt::Display for WidthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, trials, at, resources } = self;
        let (train, each) = if *trials == 1 { ("trains", "") } else { ("train", " each") };
        let (trials, date) = (quantity::counted(*trials, "trial"), at.strftime("%Y-%m-%d"));
        write!(
            f,
            "{trials} {train} on {width}{each}, as decided on {date}; this run may use {resources}, and "
        )?;
        write!(f, "the digits of their results would differ")
    }
}

impl WidthError {
    /// Whether all of these can be given.
    fn check<'a>(
        recorded: impl Iterator<Item = &'a DecidedWidth> + Clone,
        machine: Machine<'_>,
    ) -> Result<(), Self> {
        let lacking = recorded.clone().filter(|known| !machine.can_give(known.width));
        let Some(DecidedWidth { width, at }) = lacking.max_by_key(|known| known.width).copied() else {
            return Ok(());
        };
        let trials = recorded.filter(|known| known.width == width).count();
        Err(Self { width, trials, at, resources: Box::new(machine.resources.clone()) })
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        let elsewhere = match (self.width, self.resources.gpus.is_empty()) {
            (Width::Cores(_), false) => "use `--devices` for the CPU".to_owned(),
            (Width::Cores(cores), true) => format!("run it where {cores} cores may be used"),
            (Width::Gpu, _) => "run it on a GPU".to_owned(),
        };
        format!(
            "{elsewhere}, or with `--new-widths`, which decides anew and starts over trials that have a \
             checkpoint from other cores; trials that are done stay"
        )
    }
}
