//! Owns the command line: its grammar, and one file per command. The only user of clap. Commands combine the
//! other modules and decide nothing about training. Data goes to standard output, everything else to standard
//! error.

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
mod order;
mod plan;
mod predict;
mod preflight;
mod probe;
mod refit;
mod report;
mod run;
mod runs;
mod schema;
mod session;
mod signals;
mod status;
mod unchanged;
mod verdict;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use self::args::{DeviceArgs, RunFolderArgs, SpecArgs, TrialArgs};
use crate::disk::layout::JobFolder;
use crate::error::AppError;
use crate::record::orders::Order;
use crate::worker;

/// Hyperparameter sweeps for fine-tuning transformers: one YAML grid in, one report out.
#[derive(Debug, Parser)]
#[command(name = "lorasweep", version, after_help = args::AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented starter sweep for your own data file
    Init(init::InitArgs),
    /// Check a sweep file and everything that it names, show what is in its data, and start nothing
    Check(SpecArgs),
    /// Show what a sweep would do: grid, jobs, parameters, memory, time, disk
    Plan(plan::PlanArgs),
    /// Start or continue a sweep
    #[command(after_help = run::EVENTS)]
    Run(run::RunArgs),
    /// Train what a run selected on all training rows: the model that a sweep ends with
    #[command(after_help = refit::ABOUT)]
    Refit(refit::RefitArgs),
    /// Show where a run stands
    Status(status::StatusArgs),
    /// Print the log of a trial's process
    Logs(TrialArgs),
    /// Say why a trial waits, why it was stopped or why it failed
    Explain(TrialArgs),
    /// Stop a trial, with a checkpoint from which it can go on
    Stop(TrialArgs),
    /// Train a trial to its end, whatever it is compared with, and the other folds of its configuration
    Keep(TrialArgs),
    /// Write the report of a run again
    Report(report::ReportArgs),
    /// Check a run's files against their checksums, and say what the next run will do about them
    #[command(after_help = verify::EXIT_CODES)]
    Verify(verify::VerifyArgs),
    /// List files that no trial needs any more, and remove them after asking
    Gc(gc::GcArgs),
    /// Write a finished trial as a folder that PEFT or transformers loads
    Export(export::ExportArgs),
    /// Check an adapter that PEFT saved, and prepare it for `predict`
    Import(import::ImportArgs),
    /// Ask a model: labels with probabilities, or generated text
    #[command(override_usage = predict::USAGE)]
    Predict(predict::PredictArgs),
    /// Print the JSON Schema of sweep files, for editors
    Schema,
    /// Say what this machine has and what is missing
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Do one job of a run
    #[command(hide = true)]
    Worker(args::WorkerArgs),
}

/// Carries out a command line, and returns the exit code.
///
/// # Errors
/// Any error that ends the command early; [`AppError::exit_code`] gives its exit code.
pub fn call(args: impl IntoIterator<Item = OsString>) -> Result<u8, AppError> {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        // Help, the version, or an error in the arguments; a pipe that was already closed is not an error.
        Err(answer) => {
            let _ = answer.print();
            return Ok(u8::try_from(answer.exit_code()).unwrap_or(1));
        }
    };
    match command {
        Command::Init(args) => init::call(&args),
        Command::Check(args) => check::call(&args),
        Command::Plan(args) => plan::call(&args),
        Command::Run(args) => run::call(&args),
        Command::Refit(args) => refit::call(&args),
        Command::Status(args) => status::call(&args),
        Command::Logs(args) => logs::call(&args),
        Command::Explain(args) => explain::call(&args),
        Command::Stop(args) => order::call(&args, Order::Stop),
        Command::Keep(args) => order::call(&args, Order::Keep),
        Command::Report(args) => report::call(&args),
        Command::Verify(args) => verify::call(&args),
        Command::Gc(args) => gc::call(&args),
        Command::Export(args) => export::call(&args),
        Command::Import(args) => import::call(&args),
        Command::Predict(args) => predict::call(&args),
        Command::Schema => schema::call(),
        Command::Doctor(args) => doctor::call(&args),
        Command::Completions(args) => completions::call(&args, &mut Cli::command()),
        Command::Worker(args) => {
            return Ok(args.job.map_or_else(worker::probe::run, |job| worker::run(&JobFolder::at(&job))));
        }
    }
    .map(|()| 0)
}

/// The program's own file, which children run.
fn own_program() -> Result<PathBuf, AppError> {
    std::env::current_exe()
        .map_err(|error| AppError::Unexpected(format!("cannot find this program's own file: {error}")))
}
