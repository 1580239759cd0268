//! `lorasweep plan`: what the next run of a sweep would do, and its cost.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ahead::{Ahead, Wanted};
use super::{DeviceArgs, SpecArgs, check, preflight};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::exec::devices;
use crate::plan::{self, overview::Overview};
use crate::record::proposed;
use crate::sched::Machine;
use crate::spec::Intent;
use crate::sweep::SweepSpec;
use crate::ui::{data_card, output};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    devices: DeviceArgs,
    /// Folder of runs: trials that are done there are not planned again
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Plan a run that stops nothing early and continues what was stopped
    #[arg(long)]
    no_stop: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn call(args: &PlanArgs) -> Result<(), AppError> {
    let sweep = args.spec.load(Some(&args.devices), Intent::Plan)?;
    check::warn(&sweep);
    let overview = overview_of(&sweep, &args.devices, &args.results, args.no_stop)?;
    preflight::precision(&sweep, &overview.resources);
    if args.json {
        return output::json(&overview);
    }
    output::data(&(data_card::text(&sweep.cards) + &plan::table(&overview) + "\n"))
}

/// What the next run of a sweep would do on this machine.
pub(super) fn overview_of(
    sweep: &SweepSpec,
    args: &DeviceArgs,
    results: &Path,
    no_stop: bool,
) -> Result<Overview, AppError> {
    let layout = Layout::new(results, &sweep.name);
    let sweep = &proposed::so_far(sweep, &layout);
    let host = devices::detect();
    let resources = devices::resources(&sweep.devices, &host)?;
    preflight::gpus(&resources, &sweep.devices, &host);
    let wanted = Wanted {
        machine: Machine { resources: &resources, ram_total_mib: host.ram_total_mib },
        processors: &host.processors(&resources),
        limits: preflight::limits(args, &resources, &host),
        retry_failed: false,
        no_stop,
        new_widths: args.new_widths,
    };
    let ahead = Ahead::of(sweep, &layout, wanted)?;
    let checks = [preflight::memory(&ahead, &resources, &host), preflight::disk(&ahead.run, results)];
    for refusal in checks.into_iter().filter_map(Result::err) {
        let hint = refusal.hint().map_or_else(String::new, |hint| format!("; {hint}"));
        output::warning(&format!("`run` will refuse this: {refusal}{hint}"));
    }
    let Ahead { done, failed, stopped, stopping, to_propose, run, basis, .. } = ahead;
    Ok(Overview {
        done,
        failed,
        stopped,
        stopping,
        to_propose,
        basis,
        ..plan::overview(sweep, &run, &resources)
    })
}
