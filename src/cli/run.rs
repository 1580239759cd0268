//! `lorasweep run`: starts or continues a sweep, from the sweep file to the table at the end.

use std::collections::HashSet;

use super::{RunArgs, check, preflight, runs, signals};
use crate::error::AppError;
use crate::exec::devices;
use crate::exec::local::LocalExecutor;
use crate::plan::JobGraph;
use crate::plan::graph::{self, Present};
use crate::plan::pack::Room;
use crate::run::journal::Typed;
use crate::run::layout::Layout;
use crate::run::record::{self, RunRecord, TrialState};
use crate::run::{self, RunOptions, RunSummary};
use crate::sched::Policy;
use crate::spec::{Purpose, SweepSpec};
use crate::ui::{self, Style, output, phrase};
use crate::{report, trial::TrialId};

/// How often a job is started before it counts as failed.
const ATTEMPTS: u32 = 3;

pub(super) fn call(args: &RunArgs) -> Result<(), AppError> {
    let sweep = args.spec.load(Some(&args.devices), Purpose::Run)?;
    if !args.quiet {
        check::warn(&sweep);
    }
    let machine = devices::detect();
    let places = devices::places(sweep.devices, &machine, sweep.trials().len())?;
    let layout = Layout::new(&args.results, &sweep.name);
    let limits = preflight::limits(&places, &machine);
    let ahead = graph_ahead(&sweep, args, &layout, Room { places: &places, limits });
    preflight::build()?;
    preflight::folder(&args.results, layout.run(), "--results")?;
    preflight::folder(&args.reports, &Layout::report(&args.reports, &sweep.name), "--reports")?;
    preflight::disk(&ahead, &args.results)?;
    preflight::memory(&ahead, &places, &machine)?;

    let program = std::env::current_exe()
        .map_err(|error| AppError::Unexpected(format!("cannot find this program's own file: {error}")))?;
    let stop = signals::listen()?;
    let options = RunOptions {
        results: args.results.clone(),
        reports: args.reports.clone(),
        places,
        limits,
        policy: Policy { fail_fast: args.fail_fast, attempts: ATTEMPTS },
        retry_failed: args.retry_failed,
        typed: typed(),
    };
    let mut executor = LocalExecutor::new(program);
    let mut observer = ui::observer(style(args));
    let summary = run::start(sweep, options, &mut executor, observer.as_mut(), &stop)?;
    drop(observer);
    end(&summary, &record::load(layout.run())?, args)
}

fn style(args: &RunArgs) -> Style {
    match (args.json, args.quiet) {
        (true, _) => Style::Json,
        (false, true) => Style::Quiet,
        (false, false) => Style::Person,
    }
}

/// The jobs that lie ahead, trials done in an earlier run left out.
fn graph_ahead(sweep: &SweepSpec, args: &RunArgs, layout: &Layout, room: Room<'_>) -> JobGraph {
    // No record means that nothing is done yet; a damaged one is reported when the run starts.
    let record = record::load(layout.run()).ok();
    let done: HashSet<TrialId> = record
        .iter()
        .flat_map(|record| &record.trials)
        .filter(|trial| trial.state == TrialState::Done)
        .map(|trial| trial.trial.id)
        .collect();
    let mut todo = sweep.trials();
    todo.retain(|trial| !done.contains(&trial.id));
    let present = Present {
        store: &|store| Layout::store(layout.stores(), store).is_dir(),
        summary: &|configuration| layout.summary(configuration).is_file(),
    };
    graph::build(sweep, &todo, &Layout::report(&args.reports, &sweep.name), present, room)
}

/// The table, the report's path, and the next command where something is left to do.
fn end(summary: &RunSummary, record: &RunRecord, args: &RunArgs) -> Result<(), AppError> {
    if !args.json {
        output::data(&(report::terminal_table(record, output::width()) + "\n"))?;
    }
    if summary.reported && !args.quiet {
        let page = Layout::report_page(&args.reports, &record.sweep.name);
        output::say(&format!("report: {}", page.display()));
    }
    let layout = Layout::new(&args.results, &record.sweep.name);
    let run = phrase::shell([layout.run().to_string_lossy()]);
    if summary.stopped && summary.left > 0 {
        let continues = runs::again(record, None);
        return Err(AppError::Interrupted {
            hint: format!("`{continues}` continues; `lorasweep report {run}` tells of what is done"),
        });
    }
    if let Some((trial, _)) = summary.failures.first() {
        return Err(AppError::TrialsFailed {
            failed: summary.failed,
            total: record.trials.len(),
            hint: format!(
                "`lorasweep explain {run} {trial}` says why; `{}` tries failed trials again",
                runs::again(record, Some("--retry-failed"))
            ),
        });
    }
    if let Some((key, failure)) = summary.failed_jobs.first() {
        let log = layout.job_log(&key.0);
        return Err(AppError::Unexpected(format!("job `{key}` failed: {failure}\nlog: {}", log.display())));
    }
    Ok(())
}

/// The command line that was typed.
fn typed() -> Typed {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    Typed { folder: std::env::current_dir().unwrap_or_default(), words: words.collect() }
}
