//! Laws of comparing and stopping, over made-up learning curves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::search::rule::{Baselines, ComparedOn, Stop};
use crate::values::{
    Configuration, ConfigurationId, ContentHash, Horizon, JobKey, Lora, Method, Metric, Scores, Splitting,
    Training, Trial,
};

const STEPS: u64 = 100;
const EVERY: u64 = 10;
const FOLDS: usize = 3;

/// Adapters on three folds, with these learning rates and seeds.
fn trials(configurations: usize, seeds: u64, method: &Method) -> Vec<Trial> {
    let splitting = Splitting::KFold { k: FOLDS, stratified: true, seed: 1 };
    let point = |n: usize, seed: u64| {
        let learning_rate = 1e-4 * (1.0 + f64::from(u32::try_from(n).unwrap()));
        let training = Training { seed, warmup: 0.06, ..Training::new(learning_rate) };
        let id = ConfigurationId::of(ContentHash::of_json(&(n, seed, method.name())));
        let (task, model, method) = ("task".to_owned(), "model".to_owned(), method.clone());
        Arc::new(Configuration { id, task, model, method, training })
    };
    let points = (0..configurations).flat_map(|n| (0..seeds).map(move |seed| (n, seed)));
    points
        .flat_map(|(n, seed)| {
            let configuration = point(n, seed);
            (0..FOLDS).map(move |fold| Trial::new(&configuration, splitting, fold))
        })
        .collect()
}

fn lora() -> Method {
    Method::Lora(Lora::new(&["query"], 4, 8.0))
}

/// A made-up run: what each trial's validation loss is after a step, and what has happened so far.
struct Run<'a> {
    brackets: Brackets,
    journal: Vec<What>,
    trials: &'a [Trial],
    loss: &'a dyn Fn(TrialId, u64) -> f64,
    fails: &'a dyn Fn(TrialId) -> bool,
    steps: BTreeMap<TrialId, u64>,
    over: BTreeSet<TrialId>,
}

impl<'a> Run<'a> {
    fn begin(
        rule: StopRule,
        trials: &'a [Trial],
        untrained: Option<f64>,
        loss: &'a dyn Fn(TrialId, u64) -> f64,
    ) -> Self {
        let brackets = Brackets::new(rule, Known::of(trials, &|_| untrained));
        let (steps, over) = (BTreeMap::new(), BTreeSet::new());
        let mut run = Self { brackets, journal: Vec::new(), trials, loss, fails: &|_| false, steps, over };
        run.brackets.open(trials, &|_| false).into_iter().for_each(|what| run.happen(what));
        run
    }

    fn happen(&mut self, what: What) {
        self.brackets.on(&what);
        self.journal.push(what);
        while let Some(decision) = self.brackets.due() {
            self.brackets.on(&decision);
            self.journal.push(decision);
        }
    }

    /// The trials that can do something.
    fn ready(&self) -> Vec<TrialId> {
        let ready = self.trials.iter().map(|trial| trial.id).filter(|trial| !self.over.contains(trial));
        ready.filter(|trial| matches!(self.brackets.turn(*trial), Turn::Free | Turn::Until(_))).collect()
    }

    /// Lets a trial train until its next pause or its end.
    fn train(&mut self, trial: TrialId) {
        let until = match self.brackets.turn(trial) {
            Turn::Free => None,
            Turn::Until(share) => Horizon { steps: STEPS, per_epoch: STEPS, every: Some(EVERY) }.pause(share),
            Turn::Waits | Turn::Stopped => panic!("{trial} must not train"),
        };
        let before = self.steps.get(&trial).copied().unwrap_or_default();
        if (self.fails)(trial) {
            self.over.insert(trial);
            return self
                .happen(What::TrialFailed { trial, failure: crate::values::Failure::Diverged { step: 1 } });
        }
        let step = until.unwrap_or(STEPS);
        assert!(step > before, "{trial} goes from {before} to {step}");
        self.steps.insert(trial, step);
        if step == STEPS {
            self.over.insert(trial);
            return self.happen(What::TrialFinished { trial, result: None });
        }
        let scores = Some(Scores::of("classification").with(Metric::Loss, (self.loss)(trial, step)));
        let pause = Pause { trial, step, steps: STEPS, scores, loss_error: Some(0.01), rows: None };
        self.happen(What::TrialPaused { key: JobKey::Train(trial), pause });
    }

    /// Trains in an order that random numbers give, and begins anew from the journal now and then.
    fn finish(&mut self, seed: u64, rule: StopRule, untrained: Option<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut random = |below: usize| usize::try_from(rng.next_u64() % below as u64).unwrap();
        loop {
            let ready = self.ready();
            if ready.is_empty() {
                return;
            }
            self.train(ready[random(ready.len())]);
            if random(7) == 0 {
                let mut again = Brackets::new(rule, Known::of(self.trials, &|_| untrained));
                self.journal.iter().for_each(|what| again.on(what));
                for trial in self.trials {
                    assert_eq!(again.turn(trial.id), self.brackets.turn(trial.id), "read back");
                }
                assert!(again.open(self.trials, &|trial| self.over.contains(&trial)).is_empty());
                self.brackets = again;
            }
        }
    }

    fn decisions(&self) -> Vec<&RungDecision> {
        let decisions = self
            .journal
            .iter()
            .filter_map(|what| if let What::RungDecided(decision) = what { Some(&**decision) } else { None });
        decisions.collect()
    }

    fn put_offs(&self) -> usize {
        self.journal.iter().filter(|what| matches!(what, What::RungPutOff(_))).count()
    }

    fn all_steps(&self) -> u64 {
        self.steps.values().sum()
    }
}

/// A loss that depends on the configuration's place among all, which the trials of a fold have in common.
fn by_place(trials: &[Trial]) -> impl Fn(TrialId, u64) -> f64 + '_ {
    move |id, step| {
        let place = trials.iter().position(|trial| trial.id == id).unwrap() / FOLDS;
        1.0 / (1.0 + step as f64) + 0.01 * ((place * 35) % 97) as f64
    }
}

#[test]
fn the_outcome_does_not_depend_on_the_order_of_events_or_on_interruptions() {
    let trials = trials(24, 2, &lora());
    let loss = by_place(&trials);
    for stop in [Stop::Halving, Stop::Median] {
        for compared_on in [ComparedOn::First, ComparedOn::All] {
            let rule = StopRule { compared_on, ..StopRule::new(stop) };
            let outcome = |seed| {
                let mut run = Run::begin(rule, &trials, Some(5.0), &loss);
                run.finish(seed, rule, Some(5.0));
                let decisions: Vec<RungDecision> = run.decisions().into_iter().cloned().collect();
                (run.steps.clone(), decisions)
            };
            let first = outcome(0);
            (1..12).for_each(|seed| assert_eq!(outcome(seed), first, "{rule:?}"));
        }
    }
}

#[test]
fn halving_keeps_a_third_twice_and_the_best_get_all_folds_and_seeds() {
    let trials = trials(24, 2, &lora());
    let loss = by_place(&trials);
    let rule = StopRule::new(Stop::Halving);
    let mut run = Run::begin(rule, &trials, Some(5.0), &loss);
    run.finish(1, rule, Some(5.0));
    let decisions = run.decisions();
    let kept = |decision: &RungDecision| decision.ranking.iter().filter(|one| one.kept).count();
    let seen: Vec<_> =
        decisions.iter().map(|one| (one.rung, one.ranking.len(), one.keep, kept(one))).collect();
    assert_eq!(seen, [(1, 24, 8, 8), (2, 8, 3, 3)]);
    let steps: Vec<u64> = decisions.iter().map(|one| one.ranking[0].step).collect();
    assert_eq!(steps, [30, 60]);
    // 16 trials to 30 steps, 5 to 60, and 3 configurations with six trials to the end.
    assert_eq!(run.all_steps(), 16 * 30 + 5 * 60 + 3 * 6 * 100);
    let best = decisions[1].ranking[0].candidate.compared[0];
    assert_eq!(trials.iter().position(|trial| trial.id == best).unwrap(), 0, "the first has the least loss");
    let stopped: usize = decisions.iter().map(|one| one.stopped().count()).sum();
    assert_eq!(stopped, 21 * 6, "every trial of the others");
}

#[test]
fn equals_of_the_last_one_are_kept_and_what_failed_is_not() {
    let trials = trials(9, 1, &lora());
    let loss = |_, _| 1.0;
    let rule = StopRule::new(Stop::Halving);
    let mut run = Run::begin(rule, &trials, None, &loss);
    let failing = trials[0].id;
    let fails = move |trial| trial == failing;
    run.fails = &fails;
    run.finish(3, rule, None);
    let decision = run.decisions()[0];
    assert_eq!((decision.keep, decision.ranking.iter().filter(|one| one.kept).count()), (3, 8));
    let last = decision.ranking.last().unwrap();
    assert_eq!((last.candidate.compared[0], last.score, last.kept), (failing, None, false));
    assert_eq!(run.brackets.turn(trials[1].id), Turn::Stopped, "its other folds do not start");
}

#[test]
fn on_the_plateau_nothing_is_decided_until_half_of_the_steps() {
    let trials = trials(9, 1, &lora());
    let rule = StopRule::new(Stop::Halving);
    // Three of nine are better than chance from that step on, one is not by more than noise.
    let leaves = |at: u64| {
        let trials = &trials;
        move |id: TrialId, step: u64| {
            let place = trials.iter().position(|trial| trial.id == id).unwrap() / FOLDS;
            if place < 3 && step >= at { 1.0 - 0.1 * place as f64 } else { 1.379 + 0.001 * place as f64 }
        }
    };
    let untrained = Some(1.386);
    for (at, put_offs, first) in [(20, 0, 30), (30, 0, 30), (35, 1, 40), (50, 2, 50), (90, 2, 50)] {
        let loss = leaves(at);
        let mut run = Run::begin(rule, &trials, untrained, &loss);
        run.finish(at, rule, untrained);
        let steps: Vec<u64> = run.decisions().iter().map(|one| one.ranking[0].step).collect();
        assert_eq!((run.put_offs(), steps[0]), (put_offs, first), "leaves at {at}");
        assert_eq!(steps.get(1), Some(&(first + 30)), "the second rung follows as far behind as ever");
    }
}

#[test]
fn a_rung_is_never_within_warm_up() {
    let mut trials = trials(9, 1, &lora());
    for trial in &mut trials {
        let mut configuration = (*trial.configuration).clone();
        configuration.training.warmup = 0.65;
        trial.configuration = Arc::new(configuration);
    }
    let (loss, rule) = (by_place(&trials), StopRule::new(Stop::Halving));
    let mut run = Run::begin(rule, &trials, None, &loss);
    run.finish(1, rule, None);
    let steps: Vec<u64> = run.decisions().iter().map(|one| one.ranking[0].step).collect();
    assert_eq!(steps, [70], "both rungs would be at one step");
}

#[test]
fn what_is_not_to_be_stopped_is_free() {
    let rule = StopRule::new(Stop::Halving);
    let free = |rule: StopRule, trials: &[Trial]| {
        let brackets = Brackets::new(rule, Known::default());
        brackets.open(trials, &|_| false).is_empty()
    };
    let both = StopRule { baselines: Baselines::Stopped, ..rule };
    for method in [Method::Full, Method::Scratch] {
        let trials = trials(9, 1, &method);
        assert!(free(rule, &trials) && !free(both, &trials), "{method:?}");
    }
    assert!(free(both, &trials(9, 1, &Method::Base)), "nothing trains");
    assert!(free(rule, &trials(1, 3, &lora())), "nobody to be compared with");
    assert!(!free(rule, &trials(2, 1, &lora())));
}

#[test]
fn more_configurations_open_a_bracket_of_their_own() {
    let (few, many) = (trials(9, 1, &lora()), trials(18, 1, &lora()));
    let (loss, rule) = (by_place(&many), StopRule::new(Stop::Halving));
    let mut run = Run::begin(rule, &few, None, &loss);
    run.finish(1, rule, None);
    let before: Vec<RungDecision> = run.decisions().into_iter().cloned().collect();
    let mut brackets = Brackets::new(rule, Known::of(&many, &|_| None));
    run.journal.iter().for_each(|what| brackets.on(what));
    let opened = brackets.open(&many, &|trial| run.over.contains(&trial));
    let [What::BracketsOpened { brackets: opened_now }] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!((opened_now.len(), opened_now[0].number, opened_now[0].candidates.len()), (1, 2, 9));
    (run.brackets, run.trials) = (brackets, &many);
    opened.into_iter().for_each(|what| run.happen(what));
    run.finish(2, rule, None);
    let after = run.decisions();
    assert_eq!(before.iter().collect::<Vec<_>>(), after[..before.len()], "nothing decided changes");
    assert!(after[before.len()..].iter().all(|decision| decision.bracket == 2));
}

#[test]
fn a_person_can_stop_and_keep() {
    let trials = trials(9, 1, &lora());
    let (loss, rule) = (by_place(&trials), StopRule::new(Stop::Halving));
    let mut run = Run::begin(rule, &trials, None, &loss);
    let [best, kept] = [0, 1].map(|n| trials[n * FOLDS].id);
    run.happen(What::StopOrdered { trials: vec![best] });
    assert_eq!(run.brackets.turn(best), Turn::Stopped);
    run.finish(5, rule, None);
    assert_eq!(run.brackets.turn(kept), Turn::Stopped, "one of the worst");
    let all = run.brackets.company(kept);
    assert_eq!(all.len(), FOLDS);
    run.happen(What::KeepOrdered { trials: all.clone() });
    assert!(all.iter().all(|trial| run.brackets.turn(*trial) == Turn::Free));
    run.happen(What::KeepOrdered { trials: vec![best] });
    assert_eq!(run.brackets.turn(best), Turn::Free);
}

#[test]
fn trials_that_end_before_any_rung_are_ranked_by_their_results_and_the_best_get_the_other_folds() {
    let trials = trials(9, 1, &lora());
    let rule = StopRule::new(Stop::Halving);
    let mut brackets = Brackets::new(rule, Known::of(&trials, &|_| None));
    brackets.open(&trials, &|_| false).iter().for_each(|what| brackets.on(what));
    for (number, trial) in trials.iter().step_by(FOLDS).enumerate() {
        assert!(brackets.due().is_none());
        assert!(brackets.awaits(trial.id));
        let result = crate::values::TrialResult {
            trial: trial.id,
            validation: Some(Scores::of("classification").with(Metric::Loss, 9.0 - number as f64)),
            kept_step: 3,
            test: None,
            steps: 3,
            trainable_params: 1,
            total_params: 1,
            cost: crate::values::Cost::default(),
            class_rows: None,
            baseline: None,
        };
        brackets.on(&What::TrialFinished { trial: trial.id, result: Some(Arc::new(result)) });
    }
    let Some(What::RungDecided(decision)) = brackets.due() else { panic!("all have come") };
    brackets.on(&What::RungDecided(decision.clone()));
    assert_eq!((decision.keep, decision.until), (3, None));
    let free = trials.iter().skip(1).step_by(FOLDS).filter(|trial| brackets.turn(trial.id) == Turn::Free);
    let free: Vec<TrialId> = free.map(|trial| trial.id).collect();
    assert_eq!(free, [6, 7, 8].map(|n| trials[n * FOLDS + 1].id));
}

#[test]
fn those_that_are_no_worse_beyond_noise_are_kept_where_the_rule_says_so() {
    let trials = trials(6, 1, &lora());
    let compared: Vec<TrialId> = trials.iter().step_by(FOLDS).map(|trial| trial.id).collect();
    // All find the same rows hard. The third is worse than the second by 0.1 in each row, the fourth by 0.1 in the mean,
    // but better in many rows.
    let loss = |place: usize, row: u32| {
        let hard = f64::from(row % 7);
        match place {
            0 => hard,
            1 => hard + 0.1,
            2 => hard + 0.2,
            3 => hard + 0.2 + if row.is_multiple_of(2) { 1.0 } else { -1.0 },
            _ => hard + 3.0,
        }
    };
    let kept = |ties| {
        let rule = StopRule { ties, ..StopRule::new(Stop::Halving) };
        let mut brackets = Brackets::new(rule, Known::of(&trials, &|_| None));
        brackets.open(&trials, &|_| false).iter().for_each(|what| brackets.on(what));
        for (place, trial) in compared.iter().enumerate() {
            let row = |row| {
                let answer = crate::values::RowAnswer::Class { predicted: 0, target: 0, probability: None };
                crate::values::JudgedRow { row, loss: loss(place, row), answer }
            };
            let rows: Vec<_> = (0..70).map(row).collect();
            let mean = rows.iter().map(|row| row.loss).sum::<f64>() / 70.0;
            let rows = JudgedRows { trial: *trial, part: crate::values::Part::Train, step: 20, rows };
            let scores = Some(Scores::of("classification").with(Metric::Loss, mean));
            let pause = Pause {
                trial: *trial,
                step: 20,
                steps: STEPS,
                scores,
                loss_error: None,
                rows: Some(Arc::new(rows)),
            };
            brackets.on(&What::TrialPaused { key: JobKey::Train(*trial), pause });
        }
        let Some(What::RungDecided(decision)) = brackets.due() else { panic!("all have come") };
        decision.go_on().collect::<BTreeSet<TrialId>>()
    };
    let of = |places: &[usize]| places.iter().map(|place| compared[*place]).collect::<BTreeSet<TrialId>>();
    assert_eq!(kept(Ties::Exact), of(&[0, 1]));
    assert_eq!(kept(Ties::Noise), of(&[0, 1, 3]));
}
