//! Who kills what, when and how: all drawn from one seed.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use lorasweep::record::verify;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Signal, kill_process};

use crate::life::{Ended, Life};
use crate::site::Site;

/// A sweep that was killed this often may end, so that more than one is killed.
const KILLS_PER_SWEEP: u64 = 30;
/// Each crash of a job doubles the pause before its next start, until the orchestrator starts anew.
const CHILDREN_PER_LIFE: u32 = 2;
/// Most time until a job is given to a child, if one still is.
const NEXT_JOB: Duration = Duration::from_secs(2);
/// A stop that was asked for takes far less.
const STOPPED: Duration = Duration::from_secs(60);

/// What was done so far, and what is done next.
pub(crate) struct Monkey {
    rng: ChaCha8Rng,
    counts: BTreeMap<&'static str, u64>,
}

/// What a kill hits.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Orchestrator(Signal),
    /// It is asked twice, the second time soon after the first.
    Insistently,
    Child(Signal),
    /// As soon as a job is given to one of them.
    ChildAtItsNextJob(Signal),
    All,
}

const VICTIMS: [(&str, Victim); 11] = [
    ("orchestrator SIGKILL", Victim::Orchestrator(Signal::KILL)),
    ("orchestrator SIGTERM", Victim::Orchestrator(Signal::TERM)),
    ("orchestrator SIGINT", Victim::Orchestrator(Signal::INT)),
    ("orchestrator SIGINT twice", Victim::Insistently),
    ("child SIGKILL", Victim::Child(Signal::KILL)),
    ("child SIGTERM", Victim::Child(Signal::TERM)),
    ("child SIGINT", Victim::Child(Signal::INT)),
    ("child SIGSEGV", Victim::Child(Signal::SEGV)),
    ("child at its next job SIGKILL", Victim::ChildAtItsNextJob(Signal::KILL)),
    ("child at its next job SIGTERM", Victim::ChildAtItsNextJob(Signal::TERM)),
    ("all SIGKILL", Victim::All),
];

impl Monkey {
    pub(crate) fn new(rng: ChaCha8Rng) -> Self {
        Self { rng, counts: BTreeMap::new() }
    }

    pub(crate) fn kills(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Starts a sweep again and again and kills until the time has come or enough is enough; then
    /// lets it end.
    pub(crate) fn disturb(&mut self, site: &Site, until: Instant) {
        let enough = self.kills() + KILLS_PER_SWEEP;
        let (mut results, mut has_begun) = (BTreeMap::new(), false);
        while Instant::now() < until && self.kills() < enough {
            // Many small packs: a worker that ends one is given the next.
            let slots = if self.rng.random_ratio(1, 2) { Some(1) } else { None };
            let ended = self.haunt(Life::start(site, slots));
            keep_results(site, &mut results);
            if ended == Ended::Over {
                return;
            }
            // The first kills can come before there is a run.
            let is_there = site.layout.journal().is_file();
            assert!(is_there || !has_begun, "the run is gone");
            has_begun = is_there;
            let found = verify::verify(&site.layout).unwrap();
            assert_eq!(found.damaged(), 0, "{:?}", found.findings);
        }
        assert_eq!(Life::start(site, None).live(), Ended::Over);
        keep_results(site, &mut results);
    }

    /// Kills children of an orchestrator, and then itself, unless it ends before.
    fn haunt(&mut self, mut life: Life) -> Ended {
        let mut children = 0;
        loop {
            let (name, victim) = self.moment(&life);
            if life.has_ended() {
                return life.end(STOPPED);
            }
            match victim {
                Victim::Child(_) | Victim::ChildAtItsNextJob(_) if children == CHILDREN_PER_LIFE => continue,
                Victim::ChildAtItsNextJob(_) if !life.wait_for("job_launching", NEXT_JOB) => continue,
                Victim::Child(signal) | Victim::ChildAtItsNextJob(signal) => {
                    let Some(child) = life.children().choose(&mut self.rng).copied() else { continue };
                    // It may have ended since.
                    let _ = kill_process(child, signal);
                    children += 1;
                }
                Victim::Orchestrator(signal) => life.signal(signal),
                Victim::Insistently => {
                    life.signal(Signal::INT);
                    let pause = Duration::from_millis(self.rng.random_range(0..200));
                    life.wait_for_lines(usize::MAX, pause);
                    life.signal(Signal::INT);
                }
                Victim::All => {
                    life.signal(Signal::KILL);
                    for child in life.children() {
                        let _ = kill_process(child, Signal::KILL);
                    }
                }
            }
            *self.counts.entry(name).or_default() += 1;
            if !matches!(victim, Victim::Child(_) | Victim::ChildAtItsNextJob(_)) {
                return life.end(STOPPED);
            }
        }
    }

    /// Waits for a moment, by what the orchestrator says or by the clock, and draws a victim.
    fn moment(&mut self, life: &Life) -> (&'static str, Victim) {
        let lines = self.rng.random_range(0..60);
        let at_most = Duration::from_millis(self.rng.random_range(0..4000));
        life.wait_for_lines(lines, at_most);
        // Behind a line, not only at one.
        let behind = Duration::from_millis(self.rng.random_range(0..50));
        life.wait_for_lines(usize::MAX, behind);
        *VICTIMS.choose(&mut self.rng).unwrap()
    }
}

/// A result that is in place is never written again.
fn keep_results(site: &Site, known: &mut BTreeMap<String, (u64, i64)>) {
    for entry in std::fs::read_dir(site.layout.trials()).into_iter().flatten() {
        let entry = entry.unwrap();
        let Ok(result) = entry.path().join("result.json").metadata() else { continue };
        let trial = entry.file_name().to_string_lossy().into_owned();
        let now = (result.ino(), result.mtime_nsec());
        let before = *known.entry(trial.clone()).or_insert(now);
        assert_eq!(now, before, "trial {trial} was done, and was done again");
    }
}

impl fmt::Display for Monkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills:", self.kills())?;
        self.counts.iter().try_for_each(|(name, count)| write!(f, " {name} {count},"))
    }
}
