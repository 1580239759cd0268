//! Owns a session of a run, for `run` and `refit`: from a checked sweep, over the checks of the machine, to the
//! end of its loop. Decides nothing about what is trained.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::ahead::{Ahead, Wanted};
use super::verdict::{Verdict, reasons, verdict};
use super::{DeviceArgs, preflight, probe, runs, signals};
use crate::disk::layout::Layout;
use crate::disk::lock;
use crate::error::AppError;
use crate::exec::devices::{self, Reserved};
use crate::exec::local::LocalExecutor;
use crate::exec::survivors;
use crate::record::{self, RunRecord, proposed};
use crate::run::{self, RunOptions, RunSummary};
use crate::sched::{Machine, Policy};
use crate::sweep::SweepSpec;
use crate::ui::{self, Style, output};
use crate::values::{CommandLine, quantity};

/// Pause before a failed job's second start, so that the remains of a crash can be cleared away.
const PAUSE: Duration = Duration::from_secs(2);

/// How to run, whatever is run.
#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    #[command(flatten)]
    pub(super) devices: DeviceArgs,
    /// Folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// Stop at the first trial that fails
    #[arg(long)]
    fail_fast: bool,
    /// Retry failed trials
    #[arg(long)]
    retry_failed: bool,
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
    pub(super) json: bool,
    /// Print only failures and what it ends with
    #[arg(long)]
    pub(super) quiet: bool,
}

impl SessionArgs {
    fn style(&self) -> Style {
        match (self.json, self.quiet) {
            (true, _) => Style::Json,
            (false, true) => Style::Quiet,
            (false, false) => Style::Person,
        }
    }
}

/// How a session is held.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    /// The options of the command.
    pub(super) session: &'a SessionArgs,
    /// Folder of all runs and token stores.
    pub(super) results: &'a Path,
    /// Nothing is stopped early.
    pub(super) no_stop: bool,
}

/// A session that has ended.
pub(super) struct Session {
    /// The paths of its run.
    pub(super) layout: Layout,
    /// How the run ended.
    pub(super) summary: RunSummary,
    /// What is known of it now.
    pub(super) record: RunRecord,
}

/// The checks that cost nothing: they come before models are downloaded and files are read.
pub(super) fn check(results: &Path, args: &SessionArgs) -> Result<(), AppError> {
    preflight::build()?;
    preflight::folder(results, "--results")?;
    preflight::folder(&args.reports, "--reports")
}

/// Starts or continues the run of a sweep, and returns when nothing runs any more. `consent` is asked before
/// anything is written, once the machine is found fit.
pub(super) fn hold(
    sweep: SweepSpec,
    how: How<'_>,
    consent: impl FnOnce(&SweepSpec, &Layout) -> Result<(), AppError>,
) -> Result<Session, AppError> {
    let How { session: args, results, .. } = how;
    let layout = Layout::new(results, &sweep.name);
    let sweep = proposed::so_far(&sweep, &layout);
    preflight::folder(layout.run(), "--results")?;
    preflight::folder(&Layout::report(&args.reports, &sweep.name), "--reports")?;
    // Held until the run ends.
    let mut reserved = reserve(&sweep, &layout)?;
    preflight::gpus(&reserved.resources, &sweep.devices, &reserved.machine);
    preflight::precision(&sweep, &reserved.resources);
    let foreseen = |reserved: &Reserved| foresee(how, &sweep, reserved);
    let mut ahead = foreseen(&reserved)?;
    consent(&sweep, &layout)?;

    let stop = signals::listen()?;
    // Whoever holds the run is told of below.
    if !reserved.resources.gpus.is_empty() && !lock::is_held(&layout.lock()) {
        let is_quiet = args.style() != Style::Person;
        if probe::leave_out_broken(&mut reserved, &sweep.devices, &ahead.run, &stop, is_quiet)? {
            ahead = foreseen(&reserved)?;
        }
    }
    let options = options(how, &reserved, &ahead);
    let mut executor = LocalExecutor::with_gpus(super::own_program()?, reserved.cards());
    let mut display = ui::display(args.style());
    let summary = run::start(sweep, options, &mut executor, &mut [display.as_mut()], &stop)?;
    drop(display);
    let record = record::load(layout.run())?;
    Ok(Session { layout, summary, record })
}

impl Session {
    /// Whether every trial is done, and the report is written.
    pub(super) fn is_complete(&self) -> bool {
        verdict(&self.summary) == Verdict::Complete
    }

    /// Says why trials failed, and returns how the run ended.
    pub(super) fn end(&self, args: &SessionArgs) -> Result<(), AppError> {
        let verdict = verdict(&self.summary);
        if let (Verdict::TrialsFailed { failures }, false) = (verdict, args.json) {
            output::say(&format!("failed: {}", reasons(failures)));
        }
        let again = |extra: Option<&str>| runs::again(&self.record, extra);
        verdict.result(&self.layout, self.record.trials.len(), again)
    }
}

fn options(how: How<'_>, reserved: &Reserved, ahead: &Ahead) -> RunOptions {
    let How { session: args, results, no_stop } = how;
    let (host, resources) = (&reserved.machine, reserved.resources.clone());
    RunOptions {
        results: results.to_path_buf(),
        reports: args.reports.clone(),
        ram_total_mib: host.ram_total_mib,
        processors: host.processors(&resources),
        at_once: preflight::at_once(&ahead.run, &resources, host),
        new_widths: args.devices.new_widths,
        limits: preflight::limits(&args.devices, &resources, host),
        resources,
        policy: Policy {
            fail_fast: args.fail_fast,
            attempts: args.attempts,
            pause: PAUSE,
            trial_timeout: args.trial_timeout,
            ..Policy::ONCE
        },
        retry_failed: args.retry_failed,
        no_stop,
        checkpoint_every: args.checkpoint_every,
        command_line: command_line(),
    }
}

/// The remaining work of the sweep on what was reserved, which can be done there.
fn foresee(how: How<'_>, sweep: &SweepSpec, reserved: &Reserved) -> Result<Ahead, AppError> {
    let How { session: args, results, no_stop } = how;
    let (host, resources) = (&reserved.machine, &reserved.resources);
    let wanted = Wanted {
        machine: Machine { resources, ram_total_mib: host.ram_total_mib },
        processors: &host.processors(resources),
        limits: preflight::limits(&args.devices, resources, host),
        retry_failed: args.retry_failed,
        no_stop,
        new_widths: args.devices.new_widths,
    };
    let ahead = Ahead::of(sweep, &Layout::new(results, &sweep.name), wanted)?;
    preflight::disk(&ahead.run, results)?;
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

/// The command line that was typed.
fn command_line() -> CommandLine {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    CommandLine { folder: std::env::current_dir().unwrap_or_default(), words: words.collect() }
}

/// Reads a length of time.
fn time(text: &str) -> Result<Duration, String> {
    quantity::time(text).ok_or_else(|| "write it like `90s`, `30m` or `2h`; it is more than zero".to_owned())
}
