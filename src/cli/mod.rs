//! Owns the command line: what can be typed, and one file per command that does it. The only user
//! of clap. Commands put the other modules together and decide nothing about training.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 ok · 1 unexpected ·
//! 2 bad input · 3 some trials failed · 4 interrupted, resumable · 5 the environment lacks something.

mod check;
mod completions;
mod doctor;
mod explain;
mod export;
mod gc;
mod import;
mod init;
mod logs;
mod plan;
mod predict;
mod preflight;
mod redo;
mod report;
mod run;
mod runs;
mod schema;
mod signals;
mod status;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand};

pub use self::export::ExportArgs;
pub use self::gc::GcArgs;
pub use self::import::ImportArgs;
pub use self::predict::PredictArgs;
pub use self::verify::VerifyArgs;
use crate::error::AppError;
use crate::hub::Hub;
use crate::spec::{self, Downloads, Overrides, Purpose, SpecErrors};
use crate::sweep::SweepSpec;
use crate::tasks::{self, TaskKind};
use crate::ui::downloads;
use crate::values::shell;

const EXIT_CODES: &str = "\
Exit codes:
  0  ok
  1  unexpected error
  2  bad input: arguments, sweep file or data
  3  the sweep ended, but some trials failed
  4  interrupted; the same command continues it
  5  the environment lacks something; `lorasweep doctor` says what

Data goes to standard output, everything else to standard error. NO_COLOR is honoured.";

const EVENTS: &str = "\
With --json, standard output has one object per line. Its `event` is one of run_started, run_planned,
job_launching, job_started, job_finished, job_failed, job_interrupted, trial_joining, trial_joined,
trial_returned, trial_progressed, trial_evaluated, trial_finished, trial_failed, device_retired, forecast,
stop_requested, warned and run_ended; `at` is when it happened; durations are in seconds under names that
end in `_s`.

Ctrl-C writes checkpoints and stops, a second Ctrl-C stops at once. The same command continues.";

/// Hyperparameter sweeps for fine-tuning transformers: one YAML grid in, one report out.
#[derive(Debug, Parser)]
#[command(name = "lorasweep", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented starter sweep for your own data file
    Init(InitArgs),
    /// Check a sweep file and everything that it names, show what is in its data, and start nothing
    Check(SpecArgs),
    /// Show what a sweep would do: grid, jobs, parameters, memory, time, disk
    Plan(PlanArgs),
    /// Start or continue a sweep
    #[command(after_help = EVENTS)]
    Run(RunArgs),
    /// Show where a run stands
    Status(StatusArgs),
    /// Print the log of a trial's process
    Logs(TrialArgs),
    /// Say why a trial waits or why it failed
    Explain(TrialArgs),
    /// Write the report of a run again
    Report(ReportArgs),
    /// Check a run's files against their checksums, and say what the next run will do about them
    #[command(after_help = verify::EXIT_CODES)]
    Verify(VerifyArgs),
    /// List files that no trial needs any more, and remove them after asking
    Gc(GcArgs),
    /// Write a finished trial as a folder that PEFT or transformers loads
    Export(ExportArgs),
    /// Check an adapter that PEFT saved, and prepare it for `predict`
    Import(ImportArgs),
    /// Ask a model: labels with probabilities, or generated text
    #[command(override_usage = predict::USAGE)]
    Predict(PredictArgs),
    /// Print the JSON Schema of sweep files, for editors
    Schema,
    /// Say what this machine has and what is missing
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Do one job of a run
    #[command(hide = true)]
    Worker {
        /// The job's file
        job_file: PathBuf,
    },
}

/// A sweep file, and what to change in it for this time.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// The sweep file
    spec: PathBuf,
    /// A set of changes from the sweep's `profiles`; its results go to a folder of their own
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Set a value in the sweep, for example `training.epochs=2` (repeatable)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Keep only the configurations with this value on an axis, for example `rank=8` (repeatable)
    #[arg(long, value_name = "AXIS=VALUE")]
    only: Vec<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The training data: CSV, TSV, JSON Lines, Parquet, text, or SQuAD's JSON
    data: PathBuf,
    /// What the models are to learn
    #[arg(long, value_name = "KIND", value_parser = kinds(), default_value = tasks::DEFAULT_KIND)]
    kind: &'static dyn TaskKind,
    /// Where to write the sweep file
    #[arg(long, value_name = "FILE", default_value = "sweep.yaml")]
    out: PathBuf,
    /// Pretrained model to start from: a folder, or owner/name on the hub [default: what fits the kind]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
}

/// The kinds of tasks by their names; a hyphen stands for an underscore too.
fn kinds() -> impl TypedValueParser<Value = &'static dyn TaskKind> {
    let word = |kind: &dyn TaskKind| {
        let name: &'static str = kind.name().replace('_', "-").leak();
        PossibleValue::new(name).alias(kind.name()).help(kind.about())
    };
    let known = PossibleValuesParser::new(tasks::KINDS.map(word));
    known.map(|name| tasks::kind(&name.replace('-', "_")).expect("the parser knows the kinds alone"))
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    devices: DeviceArgs,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

/// Where to train.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// Devices to use instead of those in the sweep: `auto`, `cpu:N` (N slots), `cuda` (every GPU),
    /// `cuda:0` or `cuda:0,2` (by index) or `gpus:N` (any N of them)
    #[arg(long)]
    devices: Option<String>,
    /// Most trials that train together in one process [default: what suits the devices]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pack_slots: Option<u16>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    devices: DeviceArgs,
    /// Folder for journals, trials and checkpoints
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Stop at the first trial that fails
    #[arg(long)]
    fail_fast: bool,
    /// Retry failed trials
    #[arg(long)]
    retry_failed: bool,
    /// Retrain trials whose settings, data or base model changed, without asking
    #[arg(long)]
    yes: bool,
    /// Most starts of a trial whose process crashes, hangs or loses its device
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// Time limit for each start of a trial, for example `30m` or `2h` [default: none]
    #[arg(long, value_name = "TIME", value_parser = run::time)]
    trial_timeout: Option<Duration>,
    /// Time between two checkpoints of a trial, for example `10m` [default: often enough to cost at
    /// most 2 % of the run]
    #[arg(long, value_name = "TIME", value_parser = run::time)]
    checkpoint_every: Option<Duration>,
    /// Print events as JSON lines on standard output
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print only failures and the final table
    #[arg(long)]
    quiet: bool,
}

/// Which run.
#[derive(Debug, Args)]
pub struct RunFolderArgs {
    /// The run's folder, or the sweep's name
    run: PathBuf,
    /// Folder in which to look for runs by name
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Print every trial as JSON
    #[arg(long)]
    json: bool,
}

/// Which trial of which run.
#[derive(Debug, Args)]
pub struct TrialArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// The trial's id, or a prefix that only this trial has
    trial: String,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Folder where runs would go, to see its free space
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

/// Turns arguments into a command.
///
/// # Errors
/// The exit code, where clap has answered already: help, version, or what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, u8> {
    Cli::try_parse_from(args).map(|cli| cli.command).map_err(|answer| {
        // Help into a pipe that was closed is no error.
        let _ = answer.print();
        u8::try_from(answer.exit_code()).unwrap_or(1)
    })
}

impl Command {
    /// Does what was asked for and returns the exit code.
    ///
    /// # Errors
    /// Whatever ends the command early; [`AppError::exit_code`] has its exit code.
    pub fn call(self) -> Result<u8, AppError> {
        match self {
            Self::Init(args) => init::call(&args),
            Self::Check(args) => check::call(&args),
            Self::Plan(args) => plan::call(&args),
            Self::Run(args) => run::call(&args),
            Self::Status(args) => status::call(&args),
            Self::Logs(args) => logs::call(&args),
            Self::Explain(args) => explain::call(&args),
            Self::Report(args) => report::call(&args),
            Self::Verify(args) => verify::call(&args),
            Self::Gc(args) => gc::call(&args),
            Self::Export(args) => export::call(&args),
            Self::Import(args) => import::call(&args),
            Self::Predict(args) => predict::call(&args),
            Self::Schema => schema::call(),
            Self::Doctor(args) => doctor::call(&args),
            Self::Completions { shell } => completions::call(shell, &mut Cli::command()),
            Self::Worker { job_file } => return Ok(crate::worker::run(&job_file)),
        }
        .map(|()| 0)
    }
}

/// Says which files were written.
fn print_paths(files: &[PathBuf]) -> Result<(), AppError> {
    let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    crate::ui::output::data(&lines)
}

#[cfg(not(feature = "torch"))]
fn no_torch() -> AppError {
    AppError::Environment {
        message: "this program was built without libtorch, so it cannot run models".to_owned(),
        hint: Some("`make build` builds one that can".to_owned()),
    }
}

impl SpecArgs {
    /// The changes to the sweep file, those of `--devices` included.
    fn overrides(&self, devices: Option<&DeviceArgs>) -> Overrides {
        let devices = devices.and_then(|args| args.devices.as_ref());
        let set = self.set.iter().cloned().chain(devices.map(|wanted| format!("devices={wanted}")));
        Overrides { set: set.collect(), only: self.only.clone(), profile: self.profile.clone() }
    }

    /// The checked sweep, with what it needs brought from the hub.
    fn load(&self, devices: Option<&DeviceArgs>, purpose: Purpose) -> Result<SweepSpec, SpecErrors> {
        let bar = downloads::Bar::new();
        let downloads = Downloads { hub: &Hub::from_env(), progress: &|progress| bar.tell(progress) };
        spec::load(&self.spec, &self.overrides(devices), purpose, downloads)
    }
}

impl RunFolderArgs {
    /// How to name the same run in another command.
    fn typed(&self) -> String {
        let run = self.run.to_string_lossy();
        if self.results == std::path::Path::new("results") {
            return shell::quoted([run]);
        }
        shell::quoted([run, "--results".into(), self.results.to_string_lossy()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
