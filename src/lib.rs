//! Hyperparameter sweeps for fine-tuning transformers: one YAML grid in, one report out.
//!
//! A sweep is a value, a run is a log, a report is a function of the log. All trials of a grid share one frozen
//! base model, one data set and one tokenisation: trials that can train together are packed into one process
//! with one copy of the base weights, and a trial alone is a pack of one.
//!
//! ```text
//! sweep.yaml ─▶ SweepSpec ─▶ trials ─remaining, with costs─▶ Workload ─▶ Scheduler ─simulate─▶ plan
//!
//!   what the executor reports, the user asks, the clock brings
//!     ▼
//!   Event ───────────┬─▶ journal ─▶ Ledger ─▶ other readers: terminal, plain lines, JSON lines
//!     ▲              └─▶ Scheduler::step(now, &What) ─▶ Vec<Action> ─▶ Executor ─▶ child process: a pack
//!     └───────────────────────────────────────────────────────────────────┘       ▼
//!   report.html, .md, .csv, .svg ◀─ tables, statistics, plots ◀─ RunRecord ◀─ journal + trials/
//! ```
//!
//! # Words
//! | word | meaning |
//! |---|---|
//! | profile | a named set of changes to a sweep, whose results are kept separately |
//! | task | what is learned from which data: classes, numbers, the next token, answers |
//! | method | what trains: adapters (LoRA), every weight (full, scratch), nothing (base) |
//! | head | what a task needs on top of a base: a classifier, or an output layer for tokens |
//! | configuration | one point of the grid: a value on every axis (task, model, method, rank, seed …) |
//! | trial | a configuration on one fold: the smallest thing that trains; its id hashes what decides its result |
//! | store | a task's data, tokenised: one job prepares it for all trials that need it |
//! | bracket | configurations that are compared with one another, to stop those that cannot win |
//! | rung | a share of the steps at which all of a bracket pause, and the best go on |
//! | pack | trials that train together in one process on one device; each has a slot |
//! | device | a GPU, or a share of the CPU's cores |
//! | job | what a child process does: prepare a token store, train a pack, write the report |
//! | worker | the process that does a job, and then perhaps the next: packs of the same base and store, one by one |
//! | run | what happened when a sweep was started: a folder under `results/` |
//!
//! # Who owns what
//! Rooms, lowest first. Each room may use the rooms listed before it, and no others: `tests/architecture` checks
//! this table and the absences below it.
//!
//! | module | owns |
//! |---|---|
//! | [`values`] | ids, trials, the table of axes, scores and metrics, failures, devices, events; random streams |
//! | [`search`] | which points are drawn where an axis has a range, which are tried next, and which trials are stopped early |
//! | [`disk`] | every path under `results/`, whole files, locks, memory-mapped files |
//! | [`families`] | model families, one file each: configurations, blueprints, heads, exact parameter counts |
//! | [`tokenizer`] | the conversion between texts and token ids |
//! | [`tasks`] | what is learned from which data: each kind of task in its own file |
//! | [`sweep`] | the checked sweep, what ids are hashes of, what changed since an earlier sweep |
//! | [`job`] | what a child process is given, and what it and its parent tell each other |
//! | [`libtorch`] | which libtorch this process uses, and how the program was installed |
//! | [`hub`] | models and data sets of the Hugging Face hub, through its cache; knows no sweep |
//! | [`data`] | files to rows, cleaning, draws and folds, token stores, and the data card of a task |
//! | [`cost`] | the predicted cost of jobs: time, memory and disk, from shapes and from what earlier packs took |
//! | [`sched`] | which trials start next, together and where; the same on a simulated clock |
//! | [`plan`] | what a sweep will do and cost, as data and as a table |
//! | [`record`] | the journal, the ledger of its events, resume, record, check and garbage of a run; what packs took |
//! | [`exec`] | devices and child processes |
//! | [`model`] | weight files; with the feature `torch` the Transformer that runs every family, pack-aware |
//! | [`train`] | the training loop of a pack: objectives, optimiser, evaluation, metrics, checkpoints |
//! | [`spec`] | the sweep file: from text and a profile to a checked [`sweep::SweepSpec`], or all errors at once |
//! | [`report`] | tables, statistics and plots of a record, over tasks and seeds; its pages and files |
//! | [`adapter`] | models outside sweeps: PEFT's and transformers' folders, merging, prediction |
//! | [`run`] | the loop that connects these |
//! | [`error`] | the errors that end a command, their hints and exit codes |
//! | [`worker`] | the child's side of a job |
//! | [`ui`] | what the user sees while a sweep runs or files are fetched, and the two outputs |
//! | [`cli`] | the command line, one file per command |
//!
//! # What is absent
//! 1. [`values`], [`search`], [`families`], [`tasks`], [`sweep`], [`cost`], [`sched`], [`plan`], the check and the grid of
//!    [`spec`], and the tables and statistics of [`report`] do no I/O and read no clock.
//! 2. Only [`cli`] knows clap, only [`exec`] starts a process, only [`hub`] opens a connection (never for a child),
//!    only [`ui`] and `main` print, and a child rings; only [`disk::layout`] builds paths of `results/`.
//! 3. A trial never learns which executor or pack runs it, and no random stream depends on either.
//! 4. The journal and `trials/` are the only truth: deleting `reports/` loses nothing.
//! 5. Nobody validates a sweep after `spec::load`, and what a child says never decides a trial's fate:
//!    results and failures are files.
//! 6. Nothing in a weight file or an adapter is executed.

pub mod adapter;
pub mod cli;
pub mod cost;
pub mod data;
pub mod disk;
pub mod error;
pub mod exec;
pub mod families;
pub mod hub;
pub mod job;
pub mod libtorch;
pub mod model;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod sched;
pub mod search;
pub mod spec;
pub mod sweep;
pub mod tasks;
pub mod tokenizer;
pub mod train;
pub mod ui;
pub mod values;
pub mod worker;

/// The name by which the executor of the tests finds this crate, from within and from outside.
#[cfg(test)]
extern crate self as lorasweep;
