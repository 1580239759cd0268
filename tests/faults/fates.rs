//! What came of a sweep, without what time decides.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::OnceLock;

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, TrialState, journal, resume};
use lorasweep::values::{Cost, MetricLine, RungDecision, TrialId, TrialResult, What};
use safetensors::SafeTensors;

use crate::life::{Ended, Life};
use crate::site::{FEW, Site};

/// How the names of columns begin that time or the machine decide, or how often a trial was started.
const OF_TIME: [&str; 7] = [
    "wall_s",
    "train_rows_per_s",
    "train_tokens_per_s",
    "peak_memory_mib",
    "attempts",
    "train_s",
    "evaluate_s",
];

/// What came of a sweep.
pub(crate) struct Fates {
    /// Rows of `configurations.csv`.
    configurations: Vec<String>,
    /// Rows of `trials.csv`.
    rows: Vec<String>,
    trials: BTreeMap<TrialId, Fate>,
    /// How often the journal tells of each trial's end.
    told: BTreeMap<TrialId, usize>,
    /// How often it tells that a trial paused after a step.
    paused: BTreeMap<(TrialId, u64), usize>,
    /// What was proposed, who is compared with whom and what was decided of them, in this order.
    decisions: Vec<What>,
}

/// What came of a trial.
struct Fate {
    state: TrialState,
    result: Option<TrialResult>,
    metrics: Vec<MetricLine>,
    /// Tensors of the last and the best checkpoint, of a trial that is done or was stopped at a rung.
    weights: [Option<BTreeMap<String, Vec<u8>>>; 2],
}

impl Fates {
    /// Reads what came of a sweep, and makes sure that no file of it is damaged.
    pub(crate) fn of(site: &Site) -> Self {
        let checked = site.lorasweep(&["verify", "chaos"]);
        assert!(checked.code == Some(0) && checked.stdout.contains("damaged: 0"), "{checked:?}");
        let layout = &site.layout;
        let record = record::load(layout.run()).unwrap();
        assert!(!record.live);
        let fate = |trial: &record::TrialRecord| {
            let id = trial.trial.id;
            let result = resume::result(layout, id).map(without_time);
            let weights = [layout.last_checkpoint(id), layout.best_checkpoint(id)];
            // Time decides when a trial that fails later on writes a checkpoint.
            let tensors_of = |path| match (&result, &trial.state) {
                (Some(_), _) => Some(tensors(&fs::read(path).unwrap())),
                // It may never have started.
                (None, TrialState::Stopped { .. }) => fs::read(path).ok().map(|file| tensors(&file)),
                (None, _) => None,
            };
            let weights = weights.map(tensors_of);
            Fate { state: trial.state.clone(), result, metrics: metrics(layout, id), weights }
        };
        let (mut told, mut paused, mut decisions) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for event in journal::read(&layout.journal()).unwrap().events {
            if let What::TrialFinished { trial, .. } | What::TrialFailed { trial, .. } = event.what {
                *told.entry(trial).or_insert(0) += 1;
            } else if let What::TrialPaused { pause, .. } = &event.what {
                *paused.entry((pause.trial, pause.step)).or_insert(0) += 1;
            } else if is_decision(&event.what) {
                decisions.push(event.what);
            }
        }
        let table = |name: &str| {
            let path = site.folder().join("reports/chaos").join(name);
            without_times(&fs::read_to_string(path).unwrap())
        };
        Self {
            configurations: table("configurations.csv"),
            rows: table("trials.csv"),
            trials: record.trials.iter().map(|trial| (trial.trial.id, fate(trial))).collect(),
            told,
            paused,
            decisions,
        }
    }

    /// What was decided at rungs, in this order.
    pub(crate) fn decided(&self) -> impl Iterator<Item = &RungDecision> {
        self.decisions
            .iter()
            .filter_map(|what| if let What::RungDecided(decision) = what { Some(&**decision) } else { None })
    }

    /// The steps that each trial has done, by its metric lines.
    pub(crate) fn steps(&self) -> BTreeMap<TrialId, u64> {
        let step = |line: &MetricLine| match line {
            MetricLine::Train { step, .. } | MetricLine::Validation { step, .. } => *step,
        };
        let last = |fate: &Fate| fate.metrics.iter().map(step).max().unwrap_or_default();
        self.trials.iter().map(|(id, fate)| (*id, last(fate))).collect()
    }

    /// How many trials were stopped, started or not.
    pub(crate) fn stopped(&self) -> usize {
        let is_stopped = |fate: &&Fate| matches!(fate.state, TrialState::Stopped { .. });
        self.trials.values().filter(is_stopped).count()
    }

    /// What comes of the smallest sweep, undisturbed.
    pub(crate) fn undisturbed() -> &'static Self {
        static UNDISTURBED: OnceLock<Fates> = OnceLock::new();
        UNDISTURBED.get_or_init(|| {
            let site = Site::new(FEW);
            assert_eq!(Life::start(&site, None).live(), Ended::Over);
            Self::of(&site)
        })
    }

    /// Every trial came to its end, and the journal tells of none twice. It may tell of none: a crash
    /// can come between a result and the journal.
    #[track_caller]
    pub(crate) fn assert_each_once(&self) {
        let twice: Vec<_> = self.told.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "told twice: {twice:?}");
        let twice: Vec<_> = self.paused.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "paused twice: {twice:?}");
        for (id, fate) in &self.trials {
            match &fate.state {
                TrialState::Done => assert!(fate.result.is_some(), "{id}"),
                TrialState::Failed { .. } | TrialState::Stopped { .. } => {
                    assert!(fate.result.is_none(), "{id}");
                }
                state @ (TrialState::Waiting
                | TrialState::Running { .. }
                | TrialState::Paused { .. }
                | TrialState::Interrupted) => panic!("{id}: {state:?}"),
            }
        }
    }

    /// Whether a trial failed.
    pub(crate) fn failed(&self, trial: TrialId) -> bool {
        matches!(self.trials[&trial].state, TrialState::Failed { .. })
    }

    /// The same comes of it, and the same was decided on the way.
    #[track_caller]
    pub(crate) fn assert_same(&self, expected: &Self) {
        assert_eq!(self.decisions, expected.decisions);
        self.assert_same_results(expected);
    }

    #[track_caller]
    pub(crate) fn assert_same_results(&self, expected: &Self) {
        assert!(self.trials.keys().eq(expected.trials.keys()));
        for (id, fate) in &self.trials {
            let expected = &expected.trials[id];
            let but_weights = |fate: &Fate| (fate.state.clone(), fate.result.clone(), fate.metrics.clone());
            assert_eq!(but_weights(fate), but_weights(expected), "{id}");
            assert!(
                fate.weights == expected.weights,
                "{id}: its weights are not those of an undisturbed run"
            );
        }
        assert_eq!(self.configurations, expected.configurations);
        assert_eq!(self.rows, expected.rows);
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.trials.values().filter(|fate| fate.result.is_some()).count();
        let (of, stopped, rows) = (self.trials.len(), self.stopped(), self.configurations.len());
        write!(f, "undisturbed, {done} of {of} trials done, {stopped} stopped, {rows} lines in the table")
    }
}

fn is_decision(what: &What) -> bool {
    matches!(
        what,
        What::GenerationProposed { .. }
            | What::BracketsOpened { .. }
            | What::RungDecided(_)
            | What::RungPutOff(_)
    )
}

fn without_time(result: TrialResult) -> TrialResult {
    let Cost { train_rows, train_tokens, evaluated_rows, .. } = result.cost;
    TrialResult { cost: Cost { train_rows, train_tokens, evaluated_rows, ..Cost::default() }, ..result }
}

fn metrics(layout: &Layout, id: TrialId) -> Vec<MetricLine> {
    let text = fs::read_to_string(layout.metrics(id)).unwrap_or_default();
    let mut lines: Vec<MetricLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        match line {
            MetricLine::Train { rows_per_s, tokens_per_s, .. } => (*rows_per_s, *tokens_per_s) = (0.0, 0.0),
            MetricLine::Validation { .. } => {}
        }
    }
    lines
}

fn tensors(checkpoint: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let file = SafeTensors::deserialize(checkpoint).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

/// A table's lines without the columns of time.
fn without_times(table: &str) -> Vec<String> {
    let mut lines = table.lines().map(cells);
    let names = lines.next().unwrap();
    let kept: Vec<bool> =
        names.iter().map(|name| !OF_TIME.iter().any(|of_time| name.starts_with(of_time))).collect();
    let of_kept = |cells: Vec<&str>| {
        assert_eq!(cells.len(), kept.len());
        let cells: Vec<_> = cells.into_iter().zip(&kept).filter(|(_, kept)| **kept).collect();
        cells.into_iter().map(|(cell, _)| cell).collect::<Vec<_>>().join(",")
    };
    [names].into_iter().chain(lines).map(of_kept).collect()
}

/// The cells of a line; a comma between quotes is none.
fn cells(line: &str) -> Vec<&str> {
    let mut quoted = false;
    line.split(|letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
    .collect()
}
