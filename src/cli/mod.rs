//! Owns the command line: what can be typed, and one file per command that does it. The only user
//! of clap. Commands put the other modules together and decide nothing about training.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 ok · 1 unexpected ·
//! 2 bad input · 3 some trials failed · 4 interrupted, resumable · 5 the environment lacks something.

mod ahead;
mod args;
mod check;
mod completions;
mod confirm;
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
mod report;
mod run;
mod runs;
mod schema;
mod signals;
mod status;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

pub use self::args::{DeviceArgs, RunFolderArgs, SpecArgs, TrialArgs};
pub use self::doctor::DoctorArgs;
pub use self::export::ExportArgs;
pub use self::gc::GcArgs;
pub use self::import::ImportArgs;
pub use self::init::InitArgs;
pub use self::plan::PlanArgs;
pub use self::predict::PredictArgs;
pub use self::report::ReportArgs;
pub use self::run::RunArgs;
pub use self::status::StatusArgs;
pub use self::verify::VerifyArgs;
use crate::error::AppError;

const EXIT_CODES: &str = "\
Exit codes:
  0  ok
  1  unexpected error
  2  bad input: arguments, sweep file or data
  3  the sweep ended, but some trials failed
  4  interrupted; the same command continues it
  5  the environment lacks something; `lorasweep doctor` says what

Data goes to standard output, everything else to standard error. NO_COLOR is honoured.";

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
    #[command(after_help = run::EVENTS)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
