//! Children that train step by step and pause where they are told to, as a trainer does, without training anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};

use lorasweep::disk::files;
use lorasweep::disk::layout::Layout;
use lorasweep::exec::{Exit, News};
use lorasweep::job::{ChildLine, JobFile, Work};
use lorasweep::record::resume;
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Failure, JobKey, Metric, MetricLine, Scores, TrialId, TrialResult};

use crate::support::{work, write_checkpoint, write_result};

/// Steps of each trial, and between two validations.
pub(crate) const STEPS: u64 = 50;
pub(crate) const EVERY: u64 = 5;
/// Two folds of each configuration.
pub(crate) const FOLDS: usize = 2;

/// Children whose trials have losses that depend on the configuration's place in the sweep, or on its learning rate
/// where that has a range.
pub(crate) struct Children<'a> {
    sweep: &'a SweepSpec,
    /// Trials whose only validation is at their end.
    pub(crate) is_validated_late: bool,
    /// Trials that fail as soon as they train.
    pub(crate) failing: BTreeSet<TrialId>,
    /// Each start of a trial: the step from which it went on, and where it left.
    pub(crate) legs: RefCell<Vec<(TrialId, u64, u64)>>,
    /// The learning rate of each trial that started.
    rates: RefCell<BTreeMap<TrialId, f64>>,
}

impl<'a> Children<'a> {
    pub(crate) fn new(sweep: &'a SweepSpec) -> Self {
        let (legs, rates) = (RefCell::default(), RefCell::default());
        Self { sweep, is_validated_late: false, failing: BTreeSet::new(), legs, rates }
    }

    /// The best of nine configurations are the third, the sixth and the first; the best learning rate is 1e-3.
    fn scores(&self, id: TrialId, step: u64) -> Scores {
        let place = || self.sweep.trials().iter().position(|trial| trial.id == id).unwrap() / FOLDS;
        let least = match self.sweep.proposing {
            Some(_) => 0.01 * (self.rates.borrow()[&id].log10() + 3.0).abs(),
            None => 0.01 * ((place() * 5 + 3) % 13) as f64,
        };
        let loss = least + 1.0 / (1.0 + f64::from(u32::try_from(step).unwrap()));
        Scores::of("classification").with(Metric::Loss, loss).with(Metric::Accuracy, 1.0 / (1.0 + loss))
    }

    pub(crate) fn work(&self, key: JobKey, file: &JobFile) -> io::Result<Vec<News>> {
        let Work::Train(pack) = &file.work else { return work(key, file) };
        let layout = Layout::of_run(&file.run);
        let mut said = Vec::new();
        let rates = pack.slots.iter().map(|trial| (trial.id, trial.configuration.training.learning_rate));
        self.rates.borrow_mut().extend(rates);
        for trial in pack.slots.iter().map(|trial| trial.id) {
            if self.failing.contains(&trial) {
                let failure = Failure::Diverged { step: 1 };
                files::write_json(&layout.failure(trial), &failure)?;
                if pack.slots.len() == 1 {
                    return Ok(vec![News::Ended(Exit::Failed(failure))]);
                }
                said.push(News::Said(ChildLine::Failed { trial, failure }));
                continue;
            }
            let until = pack.until.get(&trial).map(|share| (share * STEPS as f64 - 1e-6).ceil() as u64);
            let until = until.filter(|_| !self.is_validated_late).map(|step| step.div_ceil(EVERY) * EVERY);
            said.push(News::Said(self.train(&layout, trial, until)?));
        }
        said.push(News::Ended(Exit::Done));
        Ok(said)
    }

    /// Trains a trial to its end or until it pauses, from its checkpoint if it has one.
    pub(crate) fn train(&self, layout: &Layout, trial: TrialId, until: Option<u64>) -> io::Result<ChildLine> {
        let left_at = self.legs.borrow().iter().rev().find(|leg| leg.0 == trial).map_or(0, |leg| leg.2);
        let is_kept = resume::checkpoint(&layout.last_checkpoint(trial)) == resume::Checkpoint::Readable;
        let from = if is_kept { left_at } else { 0 };
        let to = until.unwrap_or(STEPS).max(from);
        self.legs.borrow_mut().push((trial, from, to));
        let mut metrics = File::options().create(true).append(true).open(layout.metrics(trial))?;
        let every = if self.is_validated_late { STEPS } else { EVERY };
        for step in (from + 1..=to).filter(|step| step % every == 0) {
            let scores = self.scores(trial, step);
            let line = MetricLine::Validation { step, epoch: 0.0, scores, loss_error: None, rows: None };
            writeln!(metrics, "{}", serde_json::to_string(&line)?)?;
        }
        write_checkpoint(layout, trial);
        if to < STEPS {
            return Ok(ChildLine::Stopped { trial, step: to, steps: STEPS });
        }
        write_result(layout, trial);
        let result: TrialResult = resume::result(layout, trial).unwrap();
        let result = TrialResult { validation: Some(self.scores(trial, STEPS)), ..result };
        files::write_sealed(&layout.result(trial), &result)?;
        Ok(ChildLine::Finished { trial })
    }

    /// How far each trial came in the end.
    pub(crate) fn steps(&self) -> BTreeMap<TrialId, u64> {
        self.legs.borrow().iter().map(|(trial, _, to)| (*trial, *to)).collect()
    }

    /// Steps that were trained in all.
    pub(crate) fn trained(&self) -> u64 {
        self.legs.borrow().iter().map(|(_, from, to)| to - from).sum()
    }
}
