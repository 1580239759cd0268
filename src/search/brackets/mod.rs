//! Owns who is compared with whom, and which trials go on, wait or are stopped. Pure: decides on facts that the journal
//! keeps, and never again what it has. `opening` forms the brackets, `decide` is the decision at a rung.
//!
//! A trial trains in legs. It pauses at a rung until all configurations of its bracket have come there, so that the
//! decision depends neither on the order in which they came nor on where they trained (Jamieson & Talwalkar 2016;
//! unlike the asynchronous rule of Li et al. 2020).

mod decide;
mod opening;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use self::opening::Known;
use super::{StopRule, Ties};
use crate::values::{
    Bracket, Candidate, JudgedRows, Pause, RungDecision, RungPutOff, TrialId, TrialResult, What,
};

/// What a trial may do next, as far as stopping early is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// Train to its end.
    Free,
    /// Train, and pause at the first validation on all rows at or after this share of its steps.
    Until(f64),
    /// Wait for the decision at a rung.
    Waits,
    /// Nothing: it is stopped.
    Stopped,
}

/// The brackets of a run. Without a rule there are none, and every trial is free.
#[derive(Clone, Debug, Default)]
pub struct Brackets {
    rule: Option<StopRule>,
    races: Vec<Race>,
    /// The bracket of each trial and its place there.
    members: HashMap<TrialId, Member>,
    /// Trials that a person let go on, or whose failure is not to count.
    freed: BTreeSet<TrialId>,
    /// Trials that a person stopped.
    stopped_by_hand: BTreeSet<TrialId>,
    /// The share of a trial's steps that was done at its last pause.
    paused_at: HashMap<TrialId, f64>,
    known: Known,
}

/// A trial's place in its bracket.
#[derive(Clone, Copy, Debug)]
struct Member {
    race: usize,
    candidate: usize,
    is_compared: bool,
}

/// A bracket, and how far it is.
#[derive(Clone, Debug)]
struct Race {
    bracket: Bracket,
    /// What became of its candidates so far.
    fates: Vec<Fate>,
    /// The share of the steps at which the next rung is.
    until: f64,
    /// By how much its rungs are later than the rule says.
    later_by: f64,
    /// Number of rungs that are decided.
    decided: usize,
    /// The compared trials that have come to the next rung.
    arrivals: HashMap<TrialId, Arrival>,
    /// How many have not.
    missing: usize,
}

impl Race {
    /// The candidates that still race.
    fn racing(&self) -> impl Iterator<Item = &Candidate> {
        let all = self.bracket.candidates.iter().zip(&self.fates);
        all.filter(|(_, fate)| **fate == Fate::Racing).map(|(candidate, _)| candidate)
    }

    fn count_missing(&mut self) {
        let has_come = |trial: &&TrialId| self.arrivals.contains_key(*trial);
        let missing = self.racing().flat_map(|one| &one.compared).filter(|trial| !has_come(trial)).count();
        self.missing = missing;
    }
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Racing,
    /// It has come through all rungs.
    Through,
    Stopped,
    /// The sweep did not have it any more while it raced.
    Gone,
}

/// How a trial came to a rung.
#[derive(Clone, Debug)]
enum Arrival {
    Paused(Pause),
    /// It had its last step before any rung; without its result where that is not read yet.
    Ended(Option<Arc<TrialResult>>),
    Failed,
}

impl Brackets {
    /// The brackets of the trials `known`, under this rule, before the first event.
    #[must_use]
    pub fn new(rule: StopRule, known: Known) -> Self {
        Self { rule: Some(rule), known, ..Self::default() }
    }

    /// What a trial may do next.
    #[must_use]
    pub fn turn(&self, trial: TrialId) -> Turn {
        if self.stopped_by_hand.contains(&trial) {
            return Turn::Stopped;
        }
        let Some(member) = self.members.get(&trial).filter(|_| !self.freed.contains(&trial)) else {
            return Turn::Free;
        };
        let race = &self.races[member.race];
        match race.fates[member.candidate] {
            // With a trial that the sweep does not have any more it cannot be compared.
            Fate::Through | Fate::Gone => Turn::Free,
            Fate::Stopped => Turn::Stopped,
            Fate::Racing if !member.is_compared => Turn::Waits,
            Fate::Racing if race.arrivals.contains_key(&trial) => Turn::Waits,
            Fate::Racing => Turn::Until(race.until),
        }
    }

    /// The share of a trial's steps that was done at its last pause.
    #[must_use]
    pub fn paused_at(&self, trial: TrialId) -> f64 {
        self.paused_at.get(&trial).copied().unwrap_or_default()
    }

    /// Whether pauses need what a trial gave for each row.
    #[must_use]
    pub fn compares_rows(&self) -> bool {
        self.rule.is_some_and(|rule| rule.ties == Ties::Noise)
    }

    /// Gives the trials that wait at a rung what they gave for each row, which a journal does not have.
    pub fn read_rows(&mut self, read: &dyn Fn(TrialId, u64) -> Option<Arc<JudgedRows>>) {
        if !self.compares_rows() {
            return;
        }
        for (trial, arrival) in self.races.iter_mut().flat_map(|race| &mut race.arrivals) {
            if let Arrival::Paused(pause) = arrival {
                pause.rows = read(*trial, pause.step);
            }
        }
    }

    /// Takes in an event, as it happens or from a journal.
    pub fn on(&mut self, what: &What) {
        match what {
            What::BracketsOpened { brackets } => brackets.iter().for_each(|bracket| self.add(bracket)),
            What::TrialPaused { pause, .. } => {
                self.paused_at.insert(pause.trial, pause.share());
                self.arrive(pause.trial, Arrival::Paused(pause.clone()));
            }
            What::TrialFinished { trial, result } => self.arrive(*trial, Arrival::Ended(result.clone())),
            What::TrialFailed { trial, .. } => self.arrive(*trial, Arrival::Failed),
            What::JobLaunching { trials, .. } => {
                trials.iter().for_each(|trial| _ = self.forget_failure(*trial))
            }
            What::TrialJoining { trial, .. } => _ = self.forget_failure(*trial),
            What::RungDecided(decision) => self.take_decision(decision),
            What::RungPutOff(put_off) => self.put_off(put_off),
            What::StopOrdered { trials } => {
                for trial in trials {
                    self.freed.remove(trial);
                    self.stopped_by_hand.insert(*trial);
                    if !self.has_ended(*trial) {
                        self.arrive(*trial, Arrival::Failed);
                    }
                }
            }
            What::TrialsFreed { trials } => trials.iter().for_each(|trial| self.free(*trial)),
            What::KeepOrdered { trials } => trials.iter().for_each(|trial| self.keep(*trial)),
            What::RunStarted { .. }
            | What::TrainingForeseen { .. }
            | What::WidthsDecided { .. }
            | What::GenerationProposed { .. }
            | What::TrialsStopped { .. }
            | What::RunPlanned { .. }
            | What::JobStarted { .. }
            | What::JobFinished { .. }
            | What::JobFailed { .. }
            | What::JobInterrupted { .. }
            | What::TrialJoined { .. }
            | What::TrialReturned { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::DeviceRetired { .. }
            | What::StopRequested { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::Woke
            | What::RunEnded { .. } => {}
        }
    }

    /// Number of brackets whose configurations still race, and of these configurations.
    #[must_use]
    pub fn racing(&self) -> [usize; 2] {
        let racing: Vec<usize> = self.races.iter().map(|race| race.racing().count()).collect();
        [racing.iter().filter(|racing| **racing > 0).count(), racing.iter().sum()]
    }

    /// The trials of a trial's configuration, itself among them: they share their fate.
    #[must_use]
    pub fn company(&self, trial: TrialId) -> Vec<TrialId> {
        let Some(member) = self.members.get(&trial) else { return vec![trial] };
        let candidate = &self.races[member.race].bracket.candidates[member.candidate];
        candidate.compared.iter().chain(&candidate.later).copied().collect()
    }

    /// Trials that a person stopped.
    #[must_use]
    pub fn stopped_by_hand(&self) -> Vec<TrialId> {
        self.stopped_by_hand.iter().copied().collect()
    }

    /// Takes in that a trial which failed is tried again. Where it is out of the race by now, it can only be freed: the
    /// event says so.
    #[must_use]
    pub fn retry(&mut self, trial: TrialId) -> Option<What> {
        let goes_on = self.forget_failure(trial) || self.turn(trial) != Turn::Stopped;
        (!goes_on).then(|| What::TrialsFreed { trials: vec![trial] })
    }

    fn free(&mut self, trial: TrialId) {
        self.stopped_by_hand.remove(&trial);
        self.freed.insert(trial);
    }

    fn has_ended(&self, trial: TrialId) -> bool {
        let race = self.members.get(&trial).map(|member| &self.races[member.race]);
        race.is_some_and(|race| matches!(race.arrivals.get(&trial), Some(Arrival::Ended(_))))
    }

    /// One that failed before a decision and starts again is waited for. Returns whether there is such a decision.
    fn forget_failure(&mut self, trial: TrialId) -> bool {
        let Some(member) = self.members.get(&trial) else { return false };
        let race = &mut self.races[member.race];
        let has_failed = matches!(race.arrivals.get(&trial), Some(Arrival::Failed));
        let is_open = has_failed && race.fates[member.candidate] == Fate::Racing;
        if is_open {
            race.arrivals.remove(&trial);
            race.count_missing();
        }
        is_open
    }

    /// Removes the trials that the sweep does not have any more: nobody waits for them.
    pub fn retain(&mut self, is_there: &dyn Fn(TrialId) -> bool) {
        for race in &mut self.races {
            for (candidate, fate) in race.bracket.candidates.iter().zip(&mut race.fates) {
                if *fate == Fate::Racing && !candidate.compared.iter().all(|trial| is_there(*trial)) {
                    *fate = Fate::Gone;
                }
            }
            race.count_missing();
        }
    }

    fn add(&mut self, bracket: &Bracket) {
        if self.rule.is_none() || self.races.iter().any(|race| race.bracket.number == bracket.number) {
            return;
        }
        let race = self.races.len();
        for (number, candidate) in bracket.candidates.iter().enumerate() {
            let compared = candidate.compared.iter().map(|trial| (trial, true));
            for (trial, is_compared) in compared.chain(candidate.later.iter().map(|trial| (trial, false))) {
                self.members.insert(*trial, Member { race, candidate: number, is_compared });
            }
        }
        let mut race = Race {
            fates: vec![Fate::Racing; bracket.candidates.len()],
            bracket: bracket.clone(),
            until: 1.0,
            later_by: 0.0,
            decided: 0,
            arrivals: HashMap::new(),
            missing: 0,
        };
        race.until = self.next_rung(&race, 0.0).unwrap_or(1.0);
        // What a person has stopped before does not come to a rung.
        let compared = bracket.candidates.iter().flat_map(|candidate| &candidate.compared);
        let stopped = compared.filter(|trial| self.stopped_by_hand.contains(trial));
        race.arrivals = stopped.map(|trial| (*trial, Arrival::Failed)).collect();
        race.count_missing();
        self.races.push(race);
    }

    fn arrive(&mut self, trial: TrialId, arrival: Arrival) {
        let Some(member) = self.members.get(&trial).filter(|member| member.is_compared) else { return };
        let race = &mut self.races[member.race];
        // One that a person stopped is not compared, though it still comes to its last pause.
        let is_out = self.stopped_by_hand.contains(&trial) && matches!(arrival, Arrival::Paused(_));
        if race.fates[member.candidate] == Fate::Racing && !is_out {
            let is_new = race.arrivals.insert(trial, arrival).is_none();
            race.missing -= usize::from(is_new);
        }
    }

    fn keep(&mut self, trial: TrialId) {
        self.stopped_by_hand.remove(&trial);
        match self.members.get(&trial) {
            Some(member) => {
                let race = &mut self.races[member.race];
                race.fates[member.candidate] = Fate::Through;
                race.count_missing();
            }
            None => _ = self.freed.insert(trial),
        }
    }

    fn take_decision(&mut self, decision: &RungDecision) {
        let Some(number) = self.races.iter().position(|race| race.bracket.number == decision.bracket) else {
            return;
        };
        let race = &mut self.races[number];
        race.decided = decision.rung;
        race.arrivals.clear();
        race.until = decision.until.unwrap_or(1.0);
        for one in &decision.ranking {
            let first = one.candidate.compared.first().and_then(|trial| self.members.get(trial));
            let Some(member) = first.filter(|member| member.race == number) else { continue };
            let fate = &mut race.fates[member.candidate];
            // What a person has said meanwhile holds.
            if *fate == Fate::Racing {
                *fate = match (one.kept, decision.until) {
                    (false, _) => Fate::Stopped,
                    (true, None) => Fate::Through,
                    (true, Some(_)) => Fate::Racing,
                };
            }
        }
        race.count_missing();
    }

    fn put_off(&mut self, put_off: &RungPutOff) {
        let first = self.rule.map_or(0.0, |rule| rule.rungs()[0]);
        let race = self.races.iter_mut().find(|race| race.bracket.number == put_off.bracket);
        if let Some(race) = race {
            race.later_by = (put_off.until - first).max(0.0);
            race.until = put_off.until;
            // One that has ended or failed is not waited for again.
            race.arrivals.retain(|_, arrival| !matches!(arrival, Arrival::Paused(_)));
            race.count_missing();
        }
    }

    /// The share of the steps at which a bracket's next rung is, after this share; never within the warm-up of one of
    /// its trials. `None` where it has no more rungs.
    fn next_rung(&self, race: &Race, after: f64) -> Option<f64> {
        let trials = race.bracket.candidates.iter().flat_map(|candidate| &candidate.compared);
        let warmup = trials.map(|trial| self.known.warmup(*trial)).fold(0.0, f64::max);
        let rungs = self.rule?.rungs().iter().map(|share| (share + race.later_by).max(warmup));
        rungs.into_iter().find(|share| *share > after + 1e-9 && *share < 1.0)
    }
}
