//! Owns the loop of a run: whatever the executor reports, the user asks or the clock brings becomes an event;
//! each event is published and passed to the scheduler, whose actions are carried out. The only place where
//! these meet. `launch` starts a child, `ends` interprets its end.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, at, never, select_biased, tick};

use super::StopRequest;
use super::clock::Clock;
use super::stream::Stream;
use crate::disk::layout::Layout;
use crate::exec::{Executor, News, WorkerMessage};
use crate::job::{ChildLine, ToChild};
use crate::run::RunError;
use crate::sched::{Action, Scheduler};
use crate::values::{JobKey, Progress, TrialId, What};

/// Time between two looks for silent children and for orders.
const TICK: Duration = Duration::from_secs(5);
/// The remaining time is predicted again after this multiple of the time that the prediction took: it looks at
/// every trial of the run, and in a large run trials end all the time.
const FORECAST_PAUSE: u32 = 100;

/// The state of the loop.
pub(super) struct EventLoop<'a, 'r> {
    pub(super) layout: &'a Layout,
    pub(super) stream: Stream<'a, 'r>,
    pub(super) scheduler: Scheduler,
    pub(super) executor: &'a mut dyn Executor,
    pub(super) checkpoint_every: Option<Duration>,
    /// A child hangs of which nothing was heard for so long.
    pub(super) silence: Duration,
    pub(super) clock: Clock,
    /// Trials that a person let go on, and that are not among the work of this round.
    pub(super) kept: HashSet<TrialId>,
    /// How long the rounds after this one may take; `None` where it is the last one.
    pub(super) beyond: Option<Duration>,
    pub(super) state: LoopState,
}

/// The loop's own state; everything else is in the ledger.
pub(super) struct LoopState {
    /// The children that have not ended.
    pub(super) children: BTreeMap<JobKey, Child>,
    /// Actions of the scheduler that have not been carried out yet.
    actions: VecDeque<Action>,
    /// Signals when the scheduler asked to be called again.
    wake: Receiver<Instant>,
    forecast_at: Instant,
    over: bool,
}

impl LoopState {
    pub(super) fn new() -> Self {
        let (children, actions) = (BTreeMap::new(), VecDeque::new());
        Self { children, actions, wake: never(), forecast_at: Instant::now(), over: false }
    }
}

/// A child that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) heard: Instant,
    pub(super) asked: Asked,
}

/// What a child was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Work,
    Stop,
    /// To end: it ran past the time limit of its trials.
    CutShort,
    /// To die: it hung and is being killed.
    Die,
}

impl EventLoop<'_, '_> {
    /// Runs from its first event until the scheduler says that it is over.
    pub(super) fn run(&mut self, planned: What, stop: &Receiver<StopRequest>) -> Result<(), RunError> {
        let messages = self.executor.messages().clone();
        let mut stop = stop.clone();
        let ticks = tick(TICK);
        self.happen(planned)?;
        while !self.state.over {
            let wake = self.state.wake.clone();
            select_biased! {
                recv(stop) -> request => match request {
                    Ok(StopRequest { force }) => self.happen(What::StopRequested { force })?,
                    // No more stop requests can come.
                    Err(_) => stop = never(),
                },
                recv(messages) -> message => {
                    self.on_message(message.expect("an executor keeps its channel open"))?;
                }
                recv(wake) -> _ => {
                    self.state.wake = never();
                    self.happen(What::Woke)?;
                }
                recv(ticks) -> _ => {
                    self.kill_silent(Instant::now());
                    self.heed_orders()?;
                }
            }
        }
        Ok(())
    }

    /// Whether its scheduler starts nothing any more.
    pub(super) fn is_over(&self) -> bool {
        self.state.over
    }

    /// Kills all children that still run, whatever ended the loop.
    pub(super) fn close(&mut self) {
        for key in self.state.children.keys() {
            self.executor.stop(*key, true);
        }
    }

    /// Publishes an event and carries out all actions that follow.
    pub(super) fn happen(&mut self, what: What) -> Result<(), RunError> {
        self.tell(what)?;
        self.act_all()
    }

    fn act_all(&mut self) -> Result<(), RunError> {
        while let Some(action) = self.state.actions.pop_front() {
            self.act(action)?;
        }
        Ok(())
    }

    /// Publishes an event; the actions that follow are queued.
    pub(super) fn tell(&mut self, what: What) -> Result<(), RunError> {
        let what = self.stream.tell(what)?;
        self.state.actions.extend(self.scheduler.step(self.clock.now(), &what));
        Ok(())
    }

    /// Publishes that a trial is done, after a prediction of the remaining time in which it already counts as
    /// done.
    pub(super) fn happen_with_forecast(&mut self, what: What) -> Result<(), RunError> {
        self.state.actions.extend(self.scheduler.step(self.clock.now(), &what));
        self.forecast()?;
        self.stream.tell(what)?;
        self.act_all()
    }

    fn act(&mut self, action: Action) -> Result<(), RunError> {
        match action {
            Action::Launch(launch) => self.launch(launch)?,
            Action::Join { job, trial, until } => self.join(job, trial, until)?,
            Action::Pause { job, trial } => self.executor.send(job, &ToChild::Stop { trial, step: 0 }),
            Action::Announce(decision) => self.tell(decision)?,
            Action::Stop { job, force } => self.ask(job, Asked::Stop, force),
            Action::CutShort { job, force } => self.ask(job, Asked::CutShort, force),
            Action::Retire { device } => self.tell(What::DeviceRetired { device })?,
            Action::GiveUp { trials, failure } => {
                for trial in trials {
                    self.tell(What::TrialFailed { trial, failure: failure.clone() })?;
                }
            }
            Action::WakeAt { at: time } => self.state.wake = at(self.clock.instant(time)),
            Action::End => self.state.over = true,
        }
        Ok(())
    }

    /// Turns a child's message, or its end, into events: the only place that does.
    fn on_message(&mut self, message: WorkerMessage) -> Result<(), RunError> {
        let WorkerMessage { job: key, news } = message;
        let Some(child) = self.state.children.get_mut(&key) else { return Ok(()) };
        child.heard = Instant::now();
        let line = match news {
            News::Said(line) => line,
            News::Ended(exit) => return self.on_end(key, exit),
        };
        match line {
            ChildLine::Heartbeat => Ok(()),
            ChildLine::Progress(progress) => self.progress(key, progress),
            ChildLine::Evaluated { trial, step, scores } => {
                self.happen(What::TrialEvaluated { trial, step, scores })
            }
            ChildLine::Joined { trial } => {
                let gave = self.stream.ledger.job(key).is_some_and(|job| job.joining.contains(&trial));
                if gave { self.happen(What::TrialJoined { key, trial }) } else { Ok(()) }
            }
            ChildLine::Stopped { trial, step, steps } if self.holds(key, trial) => {
                let pause = self.pause(trial, step, steps);
                self.happen(What::TrialPaused { key, pause })
            }
            ChildLine::Stopped { .. } => Ok(()),
            ChildLine::Finished { trial } => self.finish(key, trial),
            // Whether a trial that is alone in its process is tried again is the scheduler's decision.
            ChildLine::Failed { trial, failure }
                if self.trains_several(key) && self.stream.ledger.is_open(key, trial) =>
            {
                self.fail(trial, &failure)
            }
            ChildLine::Failed { .. } => Ok(()),
            ChildLine::Warning { trial, message } => {
                self.happen(What::Warned { message: format!("trial {trial}: {message}") })
            }
        }
    }

    fn progress(&mut self, key: JobKey, progress: Vec<Progress>) -> Result<(), RunError> {
        for progress in progress {
            if self.stream.ledger.is_open(key, progress.trial) {
                self.happen(What::TrialProgressed { key, progress })?;
            }
        }
        Ok(())
    }

    pub(super) fn trains_several(&self, key: JobKey) -> bool {
        self.stream.ledger.job(key).is_some_and(|job| job.trials.len() > 1)
    }

    fn ask(&mut self, key: JobKey, asked: Asked, force: bool) {
        if let Some(child) = self.state.children.get_mut(&key) {
            // The first request to a child is the reason for its end: one that hangs while it stops still
            // counts as stopped.
            if child.asked == Asked::Work {
                child.asked = asked;
            }
            self.executor.stop(key, force);
        }
    }

    pub(super) fn kill_silent(&mut self, now: Instant) {
        for key in silent(&self.state.children, now, self.silence) {
            self.ask(key, Asked::Die, true);
        }
    }

    /// Predicts the remaining time and publishes it, unless that was done a moment ago.
    fn forecast(&mut self) -> Result<(), RunError> {
        let now = Instant::now();
        if now < self.state.forecast_at {
            return Ok(());
        }
        let remaining = self.scheduler.remaining(self.clock.now()) + self.beyond.unwrap_or_default();
        self.state.forecast_at = Instant::now() + now.elapsed() * FORECAST_PAUSE;
        self.stream.tell(What::Forecast { remaining }).map(drop)
    }
}

fn silent(children: &BTreeMap<JobKey, Child>, now: Instant, silence: Duration) -> Vec<JobKey> {
    let hangs = |child: &Child| now.saturating_duration_since(child.heard) > silence;
    children.iter().filter(|(_, child)| hangs(child)).map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hangs_that_is_silent_for_too_long() {
        let (heard, silence) = (Instant::now(), Duration::from_mins(5));
        let child = Child { heard, asked: Asked::Work };
        let children = BTreeMap::from([(JobKey::Report, child)]);
        assert!(silent(&children, heard + silence, silence).is_empty());
        assert_eq!(silent(&children, heard + silence + TICK, silence), [JobKey::Report]);
    }
}
