//! `lorasweep run`: starts or continues a sweep, from the sweep file to the table at the end.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::ahead::{Ahead, Wanted};
use super::verdict::{Verdict, reasons, verdict};
use super::{DeviceArgs, SpecArgs, check, confirm, preflight, probe, runs, signals};
use crate::disk::layout::Layout;
use crate::disk::lock;
use crate::error::AppError;
use crate::exec::devices::{self, Reserved};
use crate::exec::local::LocalExecutor;
use crate::exec::survivors;
use crate::record::{self, RunRecord};
use crate::report;
use crate::run::{self, RunOptions, RunSummary};
use crate::sched::{Machine, Policy};
use crate::spec::Intent;
use crate::sweep::SweepSpec;
use crate::ui::{self, Style, output};
use crate::values::CommandLine;

pub(super) const EVENTS: &str = "\
With --json, standard output has one object per line. Its `event` is one of run_started, widths_decided,
run_planned, training_foreseen, job_launching, job_started, job_finished, job_failed, job_interrupted,
trial_joining, trial_joined, trial_returned, trial_progressed, trial_evaluated, trial_paused, trial_finished,
trial_failed, brackets_opened, rung_decided, rung_put_off, stop_ordered, keep_ordered, device_retired, forecast,
stop_requested, warned and run_ended; `at` is when it happened; durations are in seconds under names that end
in `_s`.

Ctrl-C writes checkpoints and stops; a second Ctrl-C stops at once, and what has not stopped after ten minutes
is killed. The same command continues.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
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
    /// Stop nothing early, and continue what was stopped
    #[arg(long)]
    no_stop: bool,
    /// Retrain trials whose settings, data or base model changed, without asking
    #[arg(long)]
    yes: bool,
    /// Most starts of a trial whose process crashes, hangs or loses its device; starts of ever smaller packs,
    /// in search of the trial to blame, do not count. With 1 nothing is started again
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// Time limit for each start of a trial, for example `30m` or `2h` [default: none]
    #[arg(long, value_name = "TIME", value_parser = time)]
    trial_timeout: Option<Duration>,
    /// Time between two checkpoints of a trial, for example `10m` [default: often enough to cost at
    /// most 2 % of the run]
    #[arg(long, value_name = "TIME", value_parser = time)]
    checkpoint_every: Option<Duration>,
    /// Print events as JSON lines on standard output
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print only failures and the final table
    #[arg(long)]
    quiet: bool,
}

/// Pause before a failed job's second start, so that the remains of a crash can be cleared away.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads a length of time: `90s`, `30m`, `1h 30m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration =
        text.parse().map_err(|_| "write it like `90s`, `30m` or `2h`".to_owned())?;
    Duration::try_from(time)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "must be greater than zero".to_owned())
}

pub(super) fn call(args: &RunArgs) -> Result<(), AppError> {
    // Checks that cost nothing come before models are downloaded and files are read.
    preflight::build()?;
    preflight::folder(&args.results, "--results")?;
    preflight::folder(&args.reports, "--reports")?;
    let sweep = args.spec.load(Some(&args.devices), Intent::Run)?;
    if !args.quiet {
        check::warn(&sweep);
    }
    let layout = Layout::new(&args.results, &sweep.name);
    preflight::folder(layout.run(), "--results")?;
    preflight::folder(&Layout::report(&args.reports, &sweep.name), "--reports")?;
    // Held until the run ends.
    let mut reserved = reserve(&sweep, &layout)?;
    preflight::gpus(&reserved.resources, &sweep.devices, &reserved.machine);
    preflight::precision(&sweep, &reserved.resources);
    let mut ahead = foresee(args, &sweep, &layout, &reserved)?;
    // Without a record nothing has been done yet; a damaged one is reported when the run starts.
    if let Some(record) = record::load_fates(layout.run()).ok().filter(|record| !record.live) {
        confirm::ask(&record, &layout, &sweep, args.yes)?;
    }

    let stop = signals::listen()?;
    // Whoever holds the run is told of below.
    if !reserved.resources.gpus.is_empty() && !lock::is_held(&layout.lock()) {
        let is_quiet = style(args) != Style::Person;
        if probe::leave_out_broken(&mut reserved, &sweep.devices, &ahead.run, &stop, is_quiet)? {
            ahead = foresee(args, &sweep, &layout, &reserved)?;
        }
    }
    let (host, resources) = (&reserved.machine, reserved.resources.clone());
    let at_once = preflight::at_once(&ahead.run, &resources, host);
    let limits = preflight::limits(&args.devices, &resources, host);
    let processors = host.processors(&resources);
    let options = RunOptions {
        results: args.results.clone(),
        reports: args.reports.clone(),
        resources,
        ram_total_mib: host.ram_total_mib,
        processors,
        at_once,
        new_widths: args.devices.new_widths,
        limits,
        policy: Policy {
            fail_fast: args.fail_fast,
            attempts: args.attempts,
            pause: PAUSE,
            trial_timeout: args.trial_timeout,
            ..Policy::ONCE
        },
        retry_failed: args.retry_failed,
        no_stop: args.no_stop,
        checkpoint_every: args.checkpoint_every,
        command_line: command_line(),
    };
    let mut executor = LocalExecutor::with_gpus(super::own_program()?, reserved.cards());
    let mut display = ui::display(style(args));
    let summary = run::start(sweep, options, &mut executor, &mut [display.as_mut()], &stop)?;
    drop(display);
    end(&summary, &record::load(layout.run())?, &layout, args)
}

/// The remaining work of the sweep on what was reserved, which can be done there.
fn foresee(
    args: &RunArgs,
    sweep: &SweepSpec,
    layout: &Layout,
    reserved: &Reserved,
) -> Result<Ahead, AppError> {
    let (host, resources) = (&reserved.machine, &reserved.resources);
    let wanted = Wanted {
        machine: Machine { resources, ram_total_mib: host.ram_total_mib },
        processors: &host.processors(resources),
        limits: preflight::limits(&args.devices, resources, host),
        retry_failed: args.retry_failed,
        no_stop: args.no_stop,
        new_widths: args.devices.new_widths,
    };
    let ahead = Ahead::of(sweep, layout, wanted)?;
    preflight::disk(&ahead.run, &args.results)?;
    preflight::memory(&ahead, resources, host)?;
    preflight::cuda(resources)?;
    Ok(ahead)
}

/// What the sweep asks for, claimed for this run. Children of a run of it that crashed may still hold a GPU.
fn reserve(sweep: &SweepSpec, layout: &Layout) -> Result<Reserved, AppError> {
    let jobs = layout.run().canonicalize().ok().map(|run| Layout::of_run(&run).jobs());
    let jobs = jobs.filter(|_| !lock::is_held(&layout.lock()));
    let is_ending = |pid| jobs.as_ref().is_some_and(|jobs| survivors::is_ending(pid, jobs));
    Ok(devices::reserve(&sweep.devices, &is_ending)?)
}

fn style(args: &RunArgs) -> Style {
    match (args.json, args.quiet) {
        (true, _) => Style::Json,
        (false, true) => Style::Quiet,
        (false, false) => Style::Person,
    }
}

/// Prints the table, the report's path and why trials failed, and returns how the run ended.
fn end(summary: &RunSummary, record: &RunRecord, layout: &Layout, args: &RunArgs) -> Result<(), AppError> {
    if !args.json {
        output::data(&(report::terminal_table(record, output::width()) + "\n"))?;
    }
    if summary.reported && !args.quiet {
        let page = Layout::report_page(&args.reports, &record.sweep.name);
        output::say(&format!("report: {}", page.display()));
    }
    let trained = summary.done > summary.kept && !args.json && !args.quiet;
    if let Some(line) = report::foreseen::line(record).filter(|_| trained) {
        output::say(&line);
    }
    let verdict = verdict(summary);
    if let (Verdict::TrialsFailed { failures }, false) = (verdict, args.json) {
        output::say(&format!("failed: {}", reasons(failures)));
    }
    verdict.result(layout, record.trials.len(), |extra| runs::again(record, extra))
}

/// The command line that was typed.
fn command_line() -> CommandLine {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    CommandLine { folder: std::env::current_dir().unwrap_or_default(), words: words.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let read = |text| time(text).ok().map(|time| time.as_secs());
        assert_eq!(["90s", "30m", "1h 30m", "2h"].map(read), [Some(90), Some(1800), Some(5400), Some(7200)]);
        assert_eq!(["30", "", "-5m", "0s", "soon"].map(read), [None; 5]);
    }
}
