//! What the orchestrator costs: a step of the scheduler with 10,000 trials, and the journal. And what dropout
//! and the optimiser cost a training step.
//!
//! `cargo bench --bench core` measures all, `cargo bench --bench core -- journal` one of them. The
//! journal is written under `target/`: what durable means there is what that disk makes of it.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use lorasweep::cost::Experience;
use lorasweep::families::{Architecture, BertConfig, ModelSpec, Weights};
use lorasweep::record::journal::Journal;
use lorasweep::sched::{Action, Launch, Limits, Policy, Remaining, Scheduler, Workload};
use lorasweep::sweep::{DeviceRequest, SweepParts, SweepSpec};
use lorasweep::tasks::{DataFile, Task};
use lorasweep::values::{
    Configuration, ContentHash, Device, Event, JobKey, Lora, Method, Placement, Resources, Splitting,
    Training, Trial, TrialId, What, Width,
};

const TRIALS: u32 = 10_000;
const FOLDS: u32 = 10;
const CORES: usize = 64;
const PACKS: u64 = 200;

/// A line of the table.
struct Figure {
    what: String,
    measured: String,
    target: &'static str,
}

type Measure = fn() -> Vec<Figure>;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("{:<58}{:>18}  target", "", "measured");
    let all = [
        ("scheduler", scheduler as Measure),
        ("journal", journal),
        ("dropout", dropout),
        #[cfg(feature = "torch")]
        ("adamw", adamw::measure),
    ];
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            for Figure { what, measured, target } in measure() {
                let line = format!("{what:<58}{measured:>18}  {target}");
                println!("{}", line.trim_end());
            }
        }
    }
}

/// A whole run in which every pack starts and ends at once, one event after another.
fn scheduler() -> Vec<Figure> {
    let resources = Resources { cores: (0..CORES).collect(), ..Resources::default() };
    let sweep = sweep();
    let trials = sweep.trials();
    let width = |trial: &Trial| Width::Cores([1, 2, 4][trial.fold % 3]);
    let work = Workload::of(
        &Remaining::of(&sweep, &trials),
        Path::new("reports"),
        &width,
        &|_| true,
        &Experience::default(),
    );
    let mut scheduler = Scheduler::new(Arc::new(work), resources, Limits::default(), Policy::ONCE);
    let mut events = VecDeque::from([What::Woke]);
    let mut took = Vec::new();
    let mut trained = 0;
    while let Some(event) = events.pop_front() {
        let started = Instant::now();
        let actions = scheduler.step(SystemTime::UNIX_EPOCH, &event);
        took.push(started.elapsed());
        for action in actions {
            match action {
                Action::Launch(Launch { job: key, work, .. }) => {
                    let ends = work
                        .trials()
                        .iter()
                        .map(|trial| What::TrialFinished { trial: trial.id, result: None });
                    events.push_back(What::JobStarted { key, pid: 1 });
                    events.extend(ends);
                    events.push_back(What::JobFinished { key });
                    trained += work.trials().len();
                }
                Action::Stop { .. }
                | Action::WakeAt { .. }
                | Action::CutShort { .. }
                | Action::Retire { .. }
                | Action::GiveUp { .. }
                | Action::Join { .. }
                | Action::Pause { .. }
                | Action::Announce(_)
                | Action::End => {}
            }
        }
    }
    assert_eq!(trained, trials.len(), "every trial is trained");
    let steps = u32::try_from(took.len()).expect("a few for each trial");
    took.sort_unstable();
    let ms = |duration: Duration| format!("{:.4} ms", 1e3 * duration.as_secs_f64());
    let mean = took.iter().sum::<Duration>() / steps;
    let step = format!("scheduler step, {} trials of three widths on {CORES} cores", trials.len());
    vec![
        Figure { what: format!("{step}, mean"), measured: ms(mean), target: "< 0.1 ms" },
        Figure {
            what: format!("{step}, 99th percentile"),
            measured: ms(took[took.len() * 99 / 100]),
            target: "",
        },
        Figure { what: format!("{step}, longest"), measured: ms(took[took.len() - 1]), target: "" },
    ]
}

/// Adapters of mixed ranks and lengths over one model, in folds.
fn sweep() -> SweepSpec {
    let hash = ContentHash::of_bytes(b"");
    let file = DataFile {
        path: PathBuf::from("rows.csv"),
        content: hash,
        rows: 1_000,
        rows_read: None,
        text_bytes: 100_000,
    };
    let model = ModelSpec {
        name: "model".to_owned(),
        weights: Weights::Random { seed: 1 },
        tokenizer: PathBuf::from("vocab.txt"),
        tokenizer_content: hash,
        parts: lorasweep::families::Parts::default(),
        architecture: Architecture::Bert(BertConfig::default()),
    };
    let task = Arc::new(Task::classification(file, "text", "label", &["a", "b"]));
    let point = |n: u32| {
        let rank = [4, 8, 16, 64][n as usize % 4];
        let training = Training { epochs: f64::from(1 + n % 3), ..Training::new(1e-6 * f64::from(n + 1)) };
        let method = Method::Lora(Lora::new(&["query", "value"], rank, 16.0));
        Arc::new(Configuration::new(&task, &model, method, training))
    };
    SweepSpec::try_from(SweepParts {
        name: "bench".to_owned(),
        configurations: (0..TRIALS / FOLDS).map(point).collect(),
        tasks: BTreeMap::from([(task.name.clone(), Arc::clone(&task))]),
        models: BTreeMap::from([(model.name.clone(), model.clone())]),
        proposing: None,
        splitting: Splitting::KFold { k: FOLDS as usize, stratified: true, seed: 1 },
        select: lorasweep::values::Select::Kinds,
        stop: None,
        drawn: None,
        refits: Vec::new(),
        devices: DeviceRequest::Auto,
        warnings: Vec::new(),
        only: Vec::new(),
        cards: Vec::new(),
    })
    .expect("the parts of a sweep")
}

/// The events of packs as a run writes them, until all are on disk.
fn journal() -> Vec<Figure> {
    let figure = |trials, target| Figure {
        what: format!("journal, durable, packs of {trials}"),
        measured: format!("{:.0} events/s", events_per_s(trials)),
        target,
    };
    vec![figure(1, ""), figure(9, ">= 5000 events/s")]
}

fn events_per_s(trials: u64) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder under `target/`");
    let (mut journal, _) = Journal::open(&folder.path().join("journal")).expect("a new journal");
    let mut events = 0_u32;
    let mut write = |what: What| {
        events += 1;
        let event = Event { at: Timestamp::UNIX_EPOCH, what };
        journal.append(&event).expect("a disk that takes the journal");
    };
    let started = Instant::now();
    for pack in 0..PACKS {
        let key = JobKey::Train(id(pack * trials));
        let trials: Vec<TrialId> = (0..trials).map(|n| id(pack * trials + n)).collect();
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1] };
        write(What::JobLaunching { key, attempt: 1, placement, trials: trials.clone() });
        write(What::JobStarted { key, pid: 1 });
        trials.into_iter().for_each(|trial| write(What::TrialFinished { trial, result: None }));
        write(What::JobFinished { key });
    }
    write(What::RunEnded { done: 1, failed: 0, stopped: 0, left: 0, elapsed_s: 1.0 });
    f64::from(events) / started.elapsed().as_secs_f64()
}

#[cfg(not(feature = "torch"))]
fn dropout() -> Vec<Figure> {
    Vec::new()
}

/// Dropout on the activations and on the attention shares of 32 rows, as wide as MiniLM's, on one thread.
#[cfg(feature = "torch")]
fn dropout() -> Vec<Figure> {
    use lorasweep::model::pass::{Pass, Stream};
    use lorasweep::values::stream::StreamKey;
    use tch::{Device, Kind, Tensor};

    const ROWS: i64 = 32;
    const TIMES: i32 = 50;
    tch::set_num_threads(1);
    let ns = |size: &[i64]| {
        let x = Tensor::ones(size, (Kind::Float, Device::Cpu));
        let mut pass =
            Pass::training(vec![Stream { key: StreamKey::from_seed(1), step: 0, first_row: 0 }], ROWS);
        let started = Instant::now();
        for _ in 0..TIMES {
            let _ = std::hint::black_box(pass.dropout(&x, 0.1));
        }
        1e9 * started.elapsed().as_secs_f64() / f64::from(TIMES) / x.numel() as f64
    };
    let figure = |tokens: i64, what, size: &[i64]| Figure {
        what: format!("dropout, {ROWS} rows of {tokens} tokens, {what}"),
        measured: format!("{:.2} ns/element", ns(size)),
        target: "",
    };
    [17, 64]
        .into_iter()
        .flat_map(|tokens| {
            [
                figure(tokens, "384 units", &[1, ROWS * tokens, 384]),
                figure(tokens, "shares of 12 heads", &[ROWS, 12, tokens, tokens]),
            ]
        })
        .collect()
}

fn id(n: u64) -> TrialId {
    format!("{n:016x}").parse().expect("16 hexadecimal digits")
}

#[cfg(feature = "torch")]
mod adamw {
    use lorasweep::model::params::Params;
    use lorasweep::train::optimiser::{AdamW, SlotStep};
    use tch::{Device, Kind, Tensor};

    use super::*;

    const STEPS: u64 = 15;

    /// A step of one slot on one thread: the adapters of MiniLM (6 layers, width 384) with its head, and all of
    /// BERT-base.
    pub(super) fn measure() -> Vec<Figure> {
        tch::set_num_threads(1);
        let mut adapters: Vec<Vec<i64>> = (0..12).flat_map(|_| [vec![8, 384], vec![384, 8]]).collect();
        adapters.extend([vec![4, 384], vec![4]]);
        let whole = Architecture::Bert(BertConfig::default()).tensors();
        let size = |n: &usize| i64::try_from(*n).expect("sizes fit");
        let whole = whole.iter().map(|tensor| tensor.shape.iter().map(size).collect());
        let [adapters, whole] = [adapters, whole.collect()].map(|sizes| median(&sizes));
        let figure = |of: &str, step: Duration| Figure {
            what: format!("AdamW step, {of}"),
            measured: format!("{:.3} ms", 1e3 * step.as_secs_f64()),
            target: "",
        };
        vec![figure("LoRA of rank 8 on MiniLM", adapters), figure("all of BERT-base", whole)]
    }

    /// The median time of a step over matrices and vectors of these sizes.
    fn median(sizes: &[Vec<i64>]) -> Duration {
        let mut params = Params::new(1);
        for (n, size) in sizes.iter().enumerate() {
            let value = Tensor::full(size.as_slice(), 0.1, (Kind::Float, Device::Cpu));
            params.train(&n.to_string(), &[value], size.len() > 1);
        }
        let mut optimiser = AdamW::new(&params);
        let training = Training::default();
        let mut took = Vec::new();
        for done in 0..STEPS {
            let squares = params.trainable().map(|(_, t)| t.tensor.square().sum(Kind::Float));
            squares.sum::<Tensor>().backward();
            let started = Instant::now();
            let _ =
                optimiser.step(&[SlotStep { training: &training, done, learning_rate: 1e-3, ratio: 1.0 }]);
            took.push(started.elapsed());
        }
        took.sort_unstable();
        took[took.len() / 2]
    }
}
