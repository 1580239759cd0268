//! A small sweep, children that do their work at once, and a reader that remembers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam::channel::{Receiver, never};
use lorasweep::cost::Processors;
use lorasweep::disk::files;
use lorasweep::disk::layout::Layout;
use lorasweep::disk::lock::Lock;
use lorasweep::exec::{Exit, News};
use lorasweep::families::{Architecture, BertConfig, ModelSpec, Weights};
use lorasweep::job::{ChildLine, JobFile, Work};
use lorasweep::record::ledger::Ledger;
use lorasweep::record::{self, journal};
use lorasweep::run::RunError;
use lorasweep::run::{self, RunOptions, RunSummary, StopRequest};
use lorasweep::sched::{Limits, Policy};
use lorasweep::search::StopRule;
use lorasweep::sweep::{DeviceRequest, SweepParts, SweepSpec};
use lorasweep::tasks::{DataFile, Task};
use lorasweep::values::{
    CommandLine, Configuration, ContentHash, Event, Failure, JobKey, Lora, Method, Reader, Resources, Select,
    Splitting, Training, TrialId,
};

use crate::fake_executor::FakeExecutor;
pub(crate) use crate::fake_executor::write_result;

/// One configuration per learning rate, two folds each, of a model from scratch.
pub(crate) fn sweep(learning_rates: &[f64]) -> SweepSpec {
    of(Method::Scratch, learning_rates, None)
}

/// The same of adapters, which are compared and stopped by this rule.
pub(crate) fn compared(learning_rates: &[f64], stop: Option<StopRule>) -> SweepSpec {
    of(Method::Lora(Lora::new(&["query"], 4, 8.0)), learning_rates, stop)
}

fn of(method: Method, learning_rates: &[f64], stop: Option<StopRule>) -> SweepSpec {
    let model = ModelSpec {
        name: "small".to_owned(),
        weights: Weights::Random { seed: 42 },
        tokenizer: PathBuf::from("tokenizer.json"),
        tokenizer_content: ContentHash::of_bytes(b"tokenizer"),
        parts: lorasweep::families::Parts::default(),
        architecture: Architecture::Bert(BertConfig { num_hidden_layers: 1, ..BertConfig::default() }),
    };
    let task = task();
    let point = |learning_rate| {
        Arc::new(Configuration::new(&task, &model, method.clone(), Training::new(learning_rate)))
    };
    let configurations = learning_rates.iter().copied().map(point).collect();
    SweepSpec::try_from(SweepParts {
        name: "small-sweep".to_owned(),
        models: BTreeMap::from([(model.name.clone(), model)]),
        configurations,
        proposing: None,
        splitting: Splitting::KFold { k: 2, stratified: true, seed: 1 },
        select: Select::Kinds,
        stop,
        drawn: None,
        refits: Vec::new(),
        devices: DeviceRequest::Cpu(1),
        warnings: Vec::new(),
        only: Vec::new(),
        cards: Vec::new(),
        tasks: BTreeMap::from([(task.name.clone(), Arc::new(task))]),
    })
    .unwrap()
}

fn task() -> Task {
    let content = ContentHash::of_bytes(b"rows");
    let train =
        DataFile { path: PathBuf::from("train.csv"), content, rows: 100, rows_read: None, text_bytes: 2_000 };
    Task { max_length: 16, sample_seed: 1, ..Task::classification(train, "text", "label", &["no", "yes"]) }
}

/// So many cores.
pub(crate) fn cores(n: usize) -> Resources {
    Resources { cores: (0..n).collect(), ..Resources::default() }
}

/// A folder for runs and reports, and how to run in it.
pub(crate) struct Site {
    _folder: tempfile::TempDir,
    pub(crate) options: RunOptions,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    pub(crate) fn of(folder: tempfile::TempDir) -> Self {
        let options = RunOptions {
            results: folder.path().join("results"),
            reports: folder.path().join("reports"),
            resources: cores(1),
            ram_total_mib: 8_000,
            processors: Processors { cpu: "a core".to_owned(), gpus: Vec::new() },
            at_once: None,
            new_widths: false,
            limits: Limits::default(),
            policy: Policy::ONCE,
            retry_failed: false,
            no_stop: false,
            checkpoint_every: None,
            command_line: CommandLine::default(),
        };
        Self { _folder: folder, options }
    }

    pub(crate) fn layout(&self, sweep: &SweepSpec) -> Layout {
        Layout::new(&self.options.results, &sweep.name)
    }

    /// Runs a sweep with these children, to its end.
    pub(crate) fn run(
        &self,
        sweep: &SweepSpec,
        script: impl FnMut(JobKey, &JobFile) -> io::Result<Vec<News>>,
    ) -> Outcome {
        self.run_until(sweep, script, &never())
    }

    /// Runs a sweep with these children, to its end or until it is stopped.
    pub(crate) fn run_until(
        &self,
        sweep: &SweepSpec,
        script: impl FnMut(JobKey, &JobFile) -> io::Result<Vec<News>>,
        stop: &Receiver<StopRequest>,
    ) -> Outcome {
        let mut executor =
            FakeExecutor::new(script).answering(|_, _| panic!("no trial joins a pack on a CPU"));
        let mut seen = Remember::default();
        let summary = self.start(sweep, &mut executor, &mut seen, stop).unwrap();
        let RunSummary { done, failed, stopped_early, left, .. } = summary;
        let started = executor.finish().iter().map(ToString::to_string).collect();
        // A child that another test is just about to start may hold it for a moment.
        drop(Lock::acquire(&self.layout(sweep).lock()).unwrap());
        let record = record::load(self.layout(sweep).run()).unwrap();
        assert_eq!(done + failed + stopped_early + left, record.trials.len());
        seen.agrees_with(&self.layout(sweep), &record.sweep);
        Outcome { summary, started, record, events: seen.events }
    }

    pub(crate) fn start(
        &self,
        sweep: &SweepSpec,
        executor: &mut FakeExecutor<'_>,
        reader: &mut dyn Reader,
        stop: &Receiver<StopRequest>,
    ) -> Result<RunSummary, RunError> {
        run::start(sweep.clone(), self.options.clone(), executor, &mut [reader], stop)
    }
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) summary: RunSummary,
    pub(crate) started: Vec<String>,
    pub(crate) record: record::RunRecord,
    pub(crate) events: Vec<Event>,
}

impl Outcome {
    /// How many training jobs were started.
    pub(crate) fn n_trained(&self) -> usize {
        self.started.iter().filter(|key| key.starts_with("train-")).count()
    }
}

/// Remembers what it was told, and what that adds up to.
#[derive(Default)]
pub(crate) struct Remember {
    events: Vec<Event>,
    ledger: Ledger,
}

impl Reader for Remember {
    fn on(&mut self, event: &Event) {
        self.events.push(event.clone());
        self.ledger.apply(event);
    }
}

impl Remember {
    /// Live or replayed, the ledger is the same: of every trial that was started in this run.
    fn agrees_with(&self, layout: &Layout, sweep: &SweepSpec) {
        let replayed = Ledger::replay(&journal::read(&layout.journal()).unwrap().events);
        let failed = |ledger: &Ledger| ledger.failed_jobs().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(failed(&self.ledger), failed(&replayed));
        assert_eq!(self.ledger.this_run, replayed.this_run);
        for trial in sweep.trials() {
            let Some(live) = self.ledger.trial(trial.id).filter(|live| live.attempts > 0) else { continue };
            assert_eq!(live.state, *replayed.state(trial.id));
            assert!(live.attempts <= replayed.trial(trial.id).unwrap().attempts);
        }
    }
}

/// A child that does its work at once.
pub(crate) fn work(_key: JobKey, file: &JobFile) -> io::Result<Vec<News>> {
    let mut said = Vec::new();
    match &file.work {
        Work::Prepare(prepare) => fs::create_dir_all(Layout::store(&file.stores, prepare.store))?,
        Work::Train(pack) => {
            for trial in &pack.slots {
                write_result(&Layout::of_run(&file.run), trial.id);
                said.push(News::Said(ChildLine::Heartbeat));
                said.push(News::Said(ChildLine::Finished { trial: trial.id }));
            }
        }
        Work::Report { .. } => {}
    }
    said.push(News::Ended(Exit::Done));
    Ok(said)
}

/// A child of which only training jobs do what is given; the others do their work.
pub(crate) fn when_training(
    train: impl Fn(TrialId, &Layout) -> Vec<News>,
) -> impl FnMut(JobKey, &JobFile) -> io::Result<Vec<News>> {
    move |key, file| match &file.work {
        Work::Train(pack) => Ok(train(pack.slots[0].id, &Layout::of_run(&file.run))),
        Work::Prepare(_) | Work::Report { .. } => work(key, file),
    }
}

pub(crate) fn failed(failure: Failure) -> Vec<News> {
    vec![News::Ended(Exit::Failed(failure))]
}

/// A checkpoint that can be read.
pub(crate) fn write_checkpoint(layout: &Layout, trial: TrialId) {
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let length = u64::try_from(header.len()).unwrap().to_le_bytes();
    let file = [&length[..], header, &[0; 4]].concat();
    files::write_atomic(&layout.last_checkpoint(trial), &file).unwrap();
}
