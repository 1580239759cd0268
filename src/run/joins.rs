//! Owns how a trial gets into a job at work, and back where the job ends before it took the trial. Part
//! of the loop; who joins whom is the scheduler's to say.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};

use super::dispatch::{Asked, Dispatcher};
use crate::disk::files;
use crate::error::AppError;
use crate::job::{ParentLine, Work};
use crate::plan::JobId;
use crate::record::journal::Happened;
use crate::sched::Event;
use crate::ui::Notice;
use crate::values::{Trial, TrialId};

impl Dispatcher<'_> {
    /// Gives a job at work one more trial. The answer is there where it cannot take it.
    pub(super) fn join(&mut self, job: JobId, id: TrialId) -> Result<Option<Event>, AppError> {
        let planned = self.scheduler.graph().job(job);
        let Work::Train(pack) = &planned.work else { return Ok(None) };
        let Some(trial) = pack.slots.iter().find(|slot| slot.id == id).cloned() else { return Ok(None) };
        let key = planned.key.clone();
        let works = self.at_work.get(&job).is_some_and(|at_work| at_work.asked == Asked::Work);
        if !works || self.make_way(job, &trial).is_err() {
            return Ok(Some(Event::TrialReturned { job, trial: id }));
        }
        self.note(Happened::TrialJoining { key, trial: id })?;
        if let Some(at_work) = self.at_work.get_mut(&job) {
            at_work.trials.push(trial.clone());
            at_work.joining.insert(id);
            at_work.was_joined = true;
        }
        self.executor.tell(job, &ParentLine::Join { trial: Box::new(trial) });
        Ok(None)
    }

    /// What an earlier attempt said about its failure is not about this one; its words are in the job's log.
    fn make_way(&self, job: JobId, trial: &Trial) -> io::Result<()> {
        files::remove(&self.layout.failure(trial.id))?;
        let log = self.layout.job_log(&self.scheduler.graph().job(job).key.0);
        let mut own = OpenOptions::new().create(true).append(true).open(self.layout.log(trial.id))?;
        writeln!(own, "joins a running pack; its log: {}", log.display())
    }

    pub(super) fn on_joined(&mut self, job: JobId, trial: TrialId) {
        let Some(at_work) = self.at_work.get_mut(&job) else { return };
        let joined = at_work.trials.iter().find(|other| other.id == trial);
        if let Some(trial) = joined.filter(|_| at_work.joining.remove(&trial)) {
            self.observer.observe(&Notice::TrialJoined { job, trial });
        }
    }

    /// Makes those trials wait again that an ended job was given and did not take.
    pub(super) fn take_back(
        &mut self,
        job: JobId,
        trials: &mut Vec<Trial>,
        joining: &BTreeSet<TrialId>,
    ) -> Result<Vec<Event>, AppError> {
        let key = self.scheduler.graph().job(job).key.clone();
        let mut events = Vec::new();
        for trial in joining.iter().copied() {
            if self.tally.is_settled(trial) {
                continue;
            }
            self.note(Happened::TrialReturned { key: key.clone(), trial })?;
            trials.retain(|other| other.id != trial);
            events.push(Event::TrialReturned { job, trial });
        }
        Ok(events)
    }
}
