//! What came of a sweep, without what time decides.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::OnceLock;

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, TrialState, journal, resume};
use lorasweep::values::{Cost, MetricLine, TrialId, TrialResult, What};
use safetensors::SafeTensors;

use crate::life::{Ended, Life};
use crate::site::{FEW, Site};

/// How the names of columns begin that time or the machine decide.
const OF_TIME: [&str; 4] = ["wall_s", "train_rows_per_s", "train_tokens_per_s", "peak_memory_mib"];

/// What came of a sweep.
pub(crate) struct Fates {
    /// Rows of `configurations.csv`.
    configurations: Vec<String>,
    trials: BTreeMap<TrialId, Fate>,
    /// How often the journal tells of each trial's end.
    told: BTreeMap<TrialId, usize>,
}

/// What came of a trial.
struct Fate {
    state: TrialState,
    result: Option<TrialResult>,
    metrics: Vec<MetricLine>,
    /// Tensors of the last and the best checkpoint, of a trial that is done.
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
            let weights = weights.map(|path| result.as_ref().map(|_| tensors(&fs::read(path).unwrap())));
            Fate { state: trial.state.clone(), result, metrics: metrics(layout, id), weights }
        };
        let mut told = BTreeMap::new();
        for event in journal::read(&layout.journal()).unwrap().events {
            if let What::TrialFinished { trial, .. } | What::TrialFailed { trial, .. } = event.what {
                *told.entry(trial).or_insert(0) += 1;
            }
        }
        let table = site.folder().join("reports/chaos/configurations.csv");
        Self {
            configurations: without_times(&fs::read_to_string(table).unwrap()),
            trials: record.trials.iter().map(|trial| (trial.trial.id, fate(trial))).collect(),
            told,
        }
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
        for (id, fate) in &self.trials {
            match &fate.state {
                TrialState::Done => assert!(fate.result.is_some(), "{id}"),
                TrialState::Failed { .. } => assert!(fate.result.is_none(), "{id}"),
                state @ (TrialState::Waiting
                | TrialState::Running { .. }
                | TrialState::Paused { .. }
                | TrialState::Stopped { .. }
                | TrialState::Interrupted) => panic!("{id}: {state:?}"),
            }
        }
    }

    /// Whether a trial failed.
    pub(crate) fn failed(&self, trial: TrialId) -> bool {
        matches!(self.trials[&trial].state, TrialState::Failed { .. })
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, expected: &Self) {
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
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.trials.values().filter(|fate| fate.result.is_some()).count();
        let rows = self.configurations.len();
        write!(f, "undisturbed, {done} of {} trials done, {rows} lines in the table", self.trials.len())
    }
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
