//! Sweeps in which most adapters are stopped early: whatever interrupts them and wherever they train, the same is
//! decided and the same comes of it; and what was stopped can go on to its end. `make chaos` has them all; without
//! `CHAOS_SECONDS` some take a short form.

use std::fs;

use lorasweep::disk::layout::Layout;
use lorasweep::record::journal::{self, Journal};
use rustix::process::{Signal, kill_process};

use crate::chaos::is_long;
use crate::fates::Fates;
use crate::life::{Ended, Life};
use crate::site::{GRID, RANGE, Site};

/// What disturbs a run.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The orchestrator is killed.
    Kill,
    CtrlC,
    /// A worker is killed, and the orchestrator is asked to stop once another trial gets on.
    KillWorker,
    /// All processes die, and the journal loses what was not durable.
    LosePower,
}

/// Each is dealt at the first event of this kind that a life tells of.
const BLOWS: [(&str, Blow); 12] = [
    ("trial_progressed", Blow::Kill),
    ("trial_paused", Blow::LosePower),
    ("trial_progressed", Blow::KillWorker),
    ("trial_paused", Blow::CtrlC),
    ("job_launching", Blow::LosePower),
    ("trial_paused", Blow::Kill),
    ("rung_", Blow::Kill),
    ("trial_progressed", Blow::CtrlC),
    ("job_launching", Blow::Kill),
    ("trial_progressed", Blow::LosePower),
    ("trial_paused", Blow::KillWorker),
    ("trial_progressed", Blow::LosePower),
];

/// The same where points are proposed in generations.
const BLOWS_OF_PROPOSALS: [(&str, Blow); 10] = [
    ("trial_progressed", Blow::Kill),
    ("rung_", Blow::Kill),
    ("trial_progressed", Blow::KillWorker),
    ("generation_proposed", Blow::Kill),
    ("trial_paused", Blow::LosePower),
    ("trial_progressed", Blow::CtrlC),
    ("generation_proposed", Blow::LosePower),
    ("job_launching", Blow::Kill),
    ("trial_paused", Blow::CtrlC),
    ("trial_progressed", Blow::LosePower),
];

impl Blow {
    fn strike(self, site: &Site, life: Life) {
        match self {
            Self::Kill => life.signal(Signal::KILL),
            Self::CtrlC => life.signal(Signal::INT),
            Self::KillWorker => {
                if let Some(worker) = life.children().first() {
                    // It may have ended since.
                    let _ = kill_process(*worker, Signal::KILL);
                }
                life.wait_for_progress();
                life.signal(Signal::INT);
            }
            Self::LosePower => {
                life.signal(Signal::KILL);
                for child in life.children() {
                    let _ = kill_process(child, Signal::KILL);
                }
            }
        }
        assert_ne!(life.live(), Ended::Over, "{self:?} came too late");
        if let Self::LosePower = self {
            tear_journal(&site.layout);
        }
    }
}

/// Leaves of a journal what is on disk when a machine loses power: what was durable, and a part of the next event.
fn tear_journal(layout: &Layout) {
    let path = layout.journal();
    let (whole, events) = (fs::read(&path).unwrap(), journal::read(&path).unwrap().events);
    let durable = events.iter().rposition(|event| event.what.is_announcement()).unwrap();
    fs::remove_file(&path).unwrap();
    let (mut journal, _) = Journal::open(&path).unwrap();
    events[..=durable].iter().for_each(|event| journal.append(event).unwrap());
    drop(journal);
    let mut left = fs::read(&path).unwrap();
    assert!(whole.starts_with(&left));
    let lost = &whole[left.len()..];
    left.extend_from_slice(&lost[..lost.len().min(20)]);
    fs::write(&path, left).unwrap();
}

/// Strikes a sweep down again and again; undisturbed it decides the same and leaves the same.
fn strike(rates: &str, search: &str, blows: &[(&str, Blow)]) {
    let undisturbed = Site::compared(rates, search);
    assert_eq!(Life::start(&undisturbed, None).live(), Ended::Over);
    let expected = Fates::of(&undisturbed);
    expected.assert_each_once();
    assert!(expected.decided().count() > 1 && expected.stopped() > 6, "{expected}");

    let site = Site::compared(rates, search);
    for (n, (moment, blow)) in blows.iter().copied().enumerate() {
        // Alone, or in packs that pause together.
        let life = Life::start(&site, (n % 2 == 0).then_some(1));
        assert!(life.wait_for_event(moment), "{n}: it ended before {moment}");
        blow.strike(&site, life);
    }
    assert_eq!(Life::start(&site, None).live(), Ended::Over);
    let fates = Fates::of(&site);
    fates.assert_each_once();
    fates.assert_same(&expected);
}

#[test]
fn a_sweep_that_is_halved_and_struck_down_twelve_times_decides_as_an_undisturbed_one() {
    strike(GRID, "{stop: halving}", &BLOWS);
}

#[test]
fn a_sweep_under_the_median_rule_that_is_struck_down_twelve_times_decides_as_an_undisturbed_one() {
    if is_long() {
        strike(GRID, "{stop: median, folds: all}", &BLOWS);
    }
}

#[test]
fn a_sweep_whose_points_are_proposed_and_that_is_struck_down_ten_times_proposes_as_an_undisturbed_one() {
    strike(RANGE, "{sampler: tpe, trials: 12, generation: 4, stop: halving}", &BLOWS_OF_PROPOSALS);
}

/// Runs a sweep to its end.
#[track_caller]
fn run(site: &Site, devices: &str, more: &[&str]) {
    let said = site.lorasweep(&[&["run", "chaos.yaml", "--json", "--yes", devices], more].concat());
    assert!(matches!(said.code, Some(0 | 3)), "{said:?}");
}

#[test]
fn what_was_stopped_goes_on_to_the_results_of_a_sweep_without_stopping() {
    let drawn = |sampler: &str| format!("sampler: {sampler}, trials: 9, ");
    let kinds = [
        (GRID, String::new(), "halving"),
        (RANGE, drawn("sobol"), "median"),
        (RANGE, drawn("random"), "halving"),
    ];
    for (rates, draw, stop) in kinds.into_iter().take(if is_long() { 3 } else { 1 }) {
        let whole = Site::compared(rates, &format!("{{{draw}stop: none}}"));
        run(&whole, "--devices=cpu:2", &[]);
        let whole = Fates::of(&whole);
        assert_eq!((whole.decided().count(), whole.stopped()), (0, 0));

        let site = Site::compared(rates, &format!("{{{draw}stop: {stop}}}"));
        run(&site, "--devices=cpu:2", &[]);
        let first = Fates::of(&site);
        assert!(first.stopped() > 4, "{first}");
        if draw.is_empty() {
            // The file says so, instead of the option.
            site.search(rates, "{stop: none}");
            run(&site, "--devices=cpu:2", &[]);
        } else {
            run(&site, "--devices=cpu:2", &["--no-stop"]);
        }
        let fates = Fates::of(&site);
        fates.assert_each_once();
        fates.assert_same_results(&whole);
        assert!(fates.decided().eq(first.decided()), "what was decided stays written");
    }
}

#[test]
fn the_same_trials_stop_at_the_same_steps_on_one_place_and_on_many() {
    let cores = std::thread::available_parallelism().unwrap().get().min(4);
    for search in ["{stop: halving}", "{stop: median}"].into_iter().take(if is_long() { 2 } else { 1 }) {
        let [one, many] = [1, cores].map(|places| {
            let site = Site::compared(GRID, search);
            run(&site, &format!("--devices=cpu:{places}"), &["--pack-slots=2"]);
            Fates::of(&site)
        });
        let kept = |fates: &Fates| -> Vec<_> {
            let one = |decision: &lorasweep::values::RungDecision| {
                let ranking = decision.ranking.iter();
                let ranking: Vec<_> =
                    ranking.map(|one| (one.candidate.clone(), one.step, one.kept)).collect();
                (decision.bracket, decision.rung, ranking)
            };
            fates.decided().map(one).collect()
        };
        assert_eq!(kept(&one), kept(&many));
        assert_eq!(one.steps(), many.steps());
        assert!(one.stopped() > 6, "{one}");
    }
}
