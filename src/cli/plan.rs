//! `lorasweep plan`: what the next run of a sweep would do, and its cost.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ahead::Ahead;
use super::{DeviceArgs, SpecArgs, check, preflight};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::exec::devices;
use crate::plan::{self, overview::Overview};
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
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn call(args: &PlanArgs) -> Result<(), AppError> {
    let sweep = args.spec.load(Some(&args.devices), Intent::Plan)?;
    check::warn(&sweep);
    let overview = overview_of(&sweep, &args.devices, &args.results)?;
    preflight::precision(&sweep, &overview.places);
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
) -> Result<Overview, AppError> {
    let machine = devices::detect();
    let places = devices::places(&sweep.devices, &machine, sweep.trials().len())?;
    let limits = preflight::limits(args, &places, &machine);
    let layout = Layout::new(results, &sweep.name);
    let Ahead { done, failed, run } = Ahead::of(sweep, &layout, false, &places, limits);
    Ok(Overview { done, failed, ..plan::overview(sweep, &run, &places) })
}
