//! `lorasweep run`: starts or continues a sweep, from the sweep file to the table at the end.

use std::path::PathBuf;

use clap::Args;

use super::session::{self, How, Session, SessionArgs};
use super::{SpecArgs, check, confirm};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record;
use crate::report;
use crate::report::choice::{self, Wanted};
use crate::spec::Intent;
use crate::ui::output;
use crate::values::shell;

pub(super) const EVENTS: &str = "\
With --json, standard output has one object per line. Its `event` is one of run_started, widths_decided,
run_planned, training_foreseen, job_launching, job_started, job_finished, job_failed, job_interrupted,
trial_joining, trial_joined, trial_returned, trial_progressed, trial_evaluated, trial_paused, trial_finished,
trial_failed, brackets_opened, generation_proposed, rung_decided, rung_put_off, stop_ordered, keep_ordered,
trials_freed, trials_stopped, device_retired, forecast, stop_requested, warned and run_ended; `at` is when it
happened; durations are in seconds under names that end in `_s`.

Ctrl-C writes checkpoints and stops; a second Ctrl-C stops at once, and what has not stopped after ten minutes
is killed. The same command continues.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Folder for journals, trials and checkpoints
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Stop nothing early, and continue what was stopped
    #[arg(long)]
    no_stop: bool,
    /// Retrain trials whose settings, data or base model changed, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    session: SessionArgs,
}

pub(super) fn call(args: &RunArgs) -> Result<(), AppError> {
    session::check(&args.results, &args.session)?;
    let sweep = args.spec.load(Some(&args.session.devices), Intent::Run)?;
    if !args.session.quiet {
        check::warn(&sweep);
    }
    let how = How { session: &args.session, results: &args.results, no_stop: args.no_stop };
    let ended = session::hold(sweep, how, |sweep, layout| {
        // Without a record nothing has been done yet; a damaged one is reported when the run starts.
        let record = record::load_fates(layout.run()).ok().filter(|record| !record.live);
        record.map_or(Ok(()), |record| confirm::ask(&record, layout, sweep, args.yes))
    })?;
    end(&ended, args)
}

/// Prints the table, the report's path and what comes next, and returns how the run ended.
fn end(ended: &Session, args: &RunArgs) -> Result<(), AppError> {
    let Session { summary, record, .. } = ended;
    let SessionArgs { json, quiet, reports, .. } = &args.session;
    if !json {
        output::data(&(report::terminal_table(record, output::width()) + "\n"))?;
    }
    if summary.reported && !quiet {
        let page = Layout::report_page(reports, &record.sweep.name);
        output::say(&format!("report: {}", page.display()));
    }
    let trained = summary.done > summary.kept && !json && !quiet;
    if let Some(line) = report::foreseen::line(record).filter(|_| trained) {
        output::say(&line);
    }
    let says_more = ended.is_complete() && !json && !quiet;
    if says_more && choice::choose(record, Wanted::default()).is_ok() {
        let run = shell::quoted([ended.layout.run().to_string_lossy()]);
        output::say(&format!("`lorasweep refit {run}` trains the selected configuration on all rows"));
    }
    ended.end(&args.session)
}
