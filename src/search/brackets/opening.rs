//! Owns which trials form a bracket. Decides nothing about them later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Arrival, Brackets, Fate, Member};
use crate::search::rule::{ComparedOn, StopRule};
use crate::values::{
    Bracket, Candidate, Configuration, ConfigurationId, ContentHash, Training, Trial, TrialId, What,
};

/// What has to be known of trials that are compared.
#[derive(Clone, Debug, Default)]
pub struct Known(HashMap<TrialId, Facts>);

#[derive(Clone, Copy, Debug)]
struct Facts {
    warmup: f64,
    untrained: Option<f64>,
}

impl Known {
    /// What is known of these trials. `untrained` is the loss of the best constant answer to a configuration's task,
    /// where that is known.
    #[must_use]
    pub fn of(trials: &[Trial], untrained: &dyn Fn(&Configuration) -> Option<f64>) -> Self {
        let facts = |trial: &Trial| {
            let configuration = &trial.configuration;
            (trial.id, Facts { warmup: configuration.training.warmup, untrained: untrained(configuration) })
        };
        Self(trials.iter().map(facts).collect())
    }

    pub(super) fn warmup(&self, trial: TrialId) -> f64 {
        self.0.get(&trial).map_or(0.0, |facts| facts.warmup)
    }

    pub(super) fn untrained(&self, trial: TrialId) -> Option<f64> {
        self.0.get(&trial)?.untrained
    }
}

/// A configuration of the sweep with its seeds, before it has a bracket.
struct Group<'a> {
    first: &'a Trial,
    trials: Vec<&'a Trial>,
}

impl Brackets {
    /// Opens brackets for the configurations that have none, and adds new folds and seeds of those that have one. A
    /// configuration of which a trial has ended runs whole, since it cannot be compared at a rung any more. Brackets
    /// of earlier runs stay as they are.
    #[must_use]
    pub fn open(&self, trials: &[Trial], has_ended: &dyn Fn(TrialId) -> bool) -> Vec<What> {
        let Some(rule) = self.rule else { return Vec::new() };
        let mut brackets: Vec<Bracket> = Vec::new();
        let mut numbers: HashMap<ContentHash, usize> = HashMap::new();
        for Group { first, trials } in groups(trials) {
            let is_new = |trial: &&Trial| !self.members.contains_key(&trial.id) && !has_ended(trial.id);
            if !rule.may_stop(&first.configuration.method) || !trials.iter().all(is_new) {
                continue;
            }
            let at = *numbers.entry(alike(&first.configuration)).or_insert(brackets.len());
            if at == brackets.len() {
                brackets.push(Bracket { number: 0, candidates: Vec::new() });
            }
            brackets[at].candidates.push(candidate(&rule, first, &trials));
        }
        let is_race = |bracket: &Bracket| rule.kept(bracket.candidates.len()) < bracket.candidates.len();
        brackets.retain(is_race);
        // Only those that are one have a number.
        for (number, bracket) in (self.races.len() + 1..).zip(&mut brackets) {
            bracket.number = number;
        }
        if brackets.is_empty() { Vec::new() } else { vec![What::BracketsOpened { brackets }] }
    }

    /// Adds trials of configurations that are in a bracket and were not when it was opened: other folds and seeds.
    /// They share the fate of their configuration.
    pub fn extend(&mut self, trials: &[Trial]) {
        if self.races.is_empty() {
            return;
        }
        for Group { trials, .. } in groups(trials) {
            let Some(member) = trials.iter().find_map(|trial| self.members.get(&trial.id).copied()) else {
                continue;
            };
            for trial in trials {
                if let Entry::Vacant(new) = self.members.entry(trial.id) {
                    new.insert(Member { is_compared: false, ..member });
                    self.races[member.race].bracket.candidates[member.candidate].later.push(trial.id);
                }
            }
        }
    }

    /// Whether a decision waits for this trial, or for its scores: a journal does not hold those of results.
    #[must_use]
    pub fn awaits(&self, trial: TrialId) -> bool {
        let is_awaited = |member: &Member| {
            let race = &self.races[member.race];
            member.is_compared
                && race.fates[member.candidate] == Fate::Racing
                && matches!(race.arrivals.get(&trial), None | Some(Arrival::Ended(None)))
        };
        self.members.get(&trial).is_some_and(is_awaited)
    }
}

/// The trials of each configuration and of those that differ from it only in the seed, in the order of the sweep.
fn groups(trials: &[Trial]) -> Vec<Group<'_>> {
    let mut known: HashMap<ContentHash, usize> = HashMap::new();
    let mut of: HashMap<ConfigurationId, usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for trial in trials {
        let at = *of.entry(trial.configuration.id).or_insert_with(|| {
            let next = known.len();
            *known.entry(without_seed(&trial.configuration)).or_insert(next)
        });
        match groups.get_mut(at) {
            Some(group) => group.trials.push(trial),
            None => groups.push(Group { first: trial, trials: vec![trial] }),
        }
    }
    groups
}

fn without_seed(one: &Configuration) -> ContentHash {
    let training = Training { seed: 0, ..one.training.deciding() };
    ContentHash::of_json(&(&one.task, &one.model, &one.method, training))
}

/// What configurations of a bracket have in common: losses are compared only at the same step of the same course.
fn alike(one: &Configuration) -> ContentHash {
    let Training {
        epochs,
        batch_size,
        accumulation,
        schedule,
        evaluate_every,
        evaluate_rows,
        precision,
        label_smoothing,
        // What is compared, and the seed.
        learning_rate: _,
        warmup: _,
        weight_decay: _,
        clip_norm: _,
        beta1: _,
        beta2: _,
        epsilon: _,
        keep: _,
        keep_by: _,
        seed: _,
        // What no loss depends on.
        recompute: _,
    } = &one.training;
    let steps = (epochs, batch_size, accumulation, schedule, evaluate_every, evaluate_rows);
    ContentHash::of_json(&(&one.task, &one.model, one.method.name(), steps, precision, label_smoothing))
}

fn candidate(rule: &StopRule, first: &Trial, trials: &[&Trial]) -> Candidate {
    let is_compared = |trial: &&&Trial| rule.compared_on == ComparedOn::All || trial.id == first.id;
    let (compared, later): (Vec<&Trial>, Vec<&Trial>) =
        trials.iter().copied().partition(|trial| is_compared(&trial));
    let ids = |trials: Vec<&Trial>| trials.into_iter().map(|trial| trial.id).collect();
    Candidate { compared: ids(compared), later: ids(later) }
}
