//! What the orchestrator costs: a step of the scheduler with 10,000 jobs, and the journal.
//!
//! `cargo bench --bench core` measures both, `cargo bench --bench core -- journal` one of them. The
//! journal is written under `target/`: what durable means there is what that disk makes of it.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use lorasweep::cost::Estimate;
use lorasweep::families::{Architecture, BertConfig, ModelSpec, Weights};
use lorasweep::job::{Pack, Work};
use lorasweep::plan::{Job, JobGraph, JobId};
use lorasweep::record::journal::Journal;
use lorasweep::sched::{GraphAction, GraphEvent, GraphScheduler, Policy};
use lorasweep::tasks::{DataFile, Task};
use lorasweep::values::{ContentHash, Device, Event, JobKey, Placement, TrialId, What};

const JOBS: u32 = 10_000;
const PLACES: usize = 64;
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
    for (name, measure) in [("scheduler", scheduler as Measure), ("journal", journal)] {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            for Figure { what, measured, target } in measure() {
                let line = format!("{what:<58}{measured:>18}  {target}");
                println!("{}", line.trim_end());
            }
        }
    }
}

/// A whole run in which every job starts and ends at once, one event after another.
fn scheduler() -> Vec<Figure> {
    let places = (0..PLACES).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] });
    let mut scheduler = GraphScheduler::new(graph(), places.collect(), Policy::ONCE);
    let mut events = VecDeque::from([GraphEvent::RunStarted]);
    let mut took = Vec::new();
    while let Some(event) = events.pop_front() {
        let started = Instant::now();
        let actions = scheduler.step(SystemTime::UNIX_EPOCH, &event);
        took.push(started.elapsed());
        for action in actions {
            match action {
                GraphAction::Launch { job, .. } => {
                    events.extend([GraphEvent::JobStarted { job }, GraphEvent::JobFinished { job }]);
                }
                GraphAction::Stop { .. }
                | GraphAction::WakeAt { .. }
                | GraphAction::CutShort { .. }
                | GraphAction::Retire { .. }
                | GraphAction::Join { .. }
                | GraphAction::End => {}
            }
        }
    }
    assert_eq!(took.len(), 2 * JOBS as usize + 1, "every job starts and ends");
    took.sort_unstable();
    let ms = |duration: Duration| format!("{:.4} ms", 1e3 * duration.as_secs_f64());
    let mean = took.iter().sum::<Duration>() / (2 * JOBS + 1);
    let step = format!("scheduler step, {JOBS} jobs on {PLACES} places");
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

/// Training jobs of mixed lengths, and a report behind all of them.
fn graph() -> JobGraph {
    let hash = ContentHash::of_bytes(b"");
    let file = DataFile {
        path: PathBuf::from("rows.csv"),
        content: hash,
        rows: 1_000,
        rows_read: None,
        text_bytes: 100_000,
    };
    let model = Arc::new(ModelSpec {
        name: "model".to_owned(),
        weights: Weights::Random { seed: 1 },
        tokenizer: PathBuf::from("vocab.txt"),
        tokenizer_content: hash,
        parts: lorasweep::families::Parts::default(),
        architecture: Architecture::Bert(BertConfig::default()),
    });
    let task = Arc::new(Task::classification(file, "text", "label", &["a", "b"]));
    let pack = Pack { task, model, store: hash, slots: Vec::new() };
    let mut graph = JobGraph::new();
    let mut push = |key: JobKey, work: Work, needs: Vec<JobId>, seconds: u32| {
        let estimate = Estimate { duration: Duration::from_secs(seconds.into()), ..Estimate::default() };
        graph.push(Job { key: key, work, needs, estimate })
    };
    let trains = (1..JOBS)
        .map(|n| {
            push(
                JobKey::Train(id(n.into())),
                Work::Train(Box::new(pack.clone())),
                Vec::new(),
                n * 7_919 % 997,
            )
        })
        .collect();
    push(JobKey::Report, Work::Report { folder: PathBuf::from("reports") }, trains, 1);
    graph
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
    write(What::RunEnded { done: 1, failed: 0, left: 0, elapsed_s: 1.0 });
    f64::from(events) / started.elapsed().as_secs_f64()
}

fn id(n: u64) -> TrialId {
    format!("{n:016x}").parse().expect("16 hexadecimal digits")
}
