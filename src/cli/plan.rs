//! `lorasweep plan`: what a sweep would do from its beginning, and what that costs.

use clap::Args;

use super::{DeviceArgs, SpecArgs, check, preflight};
use crate::error::AppError;
use crate::exec::devices;
use crate::plan::overview::Overview;
use crate::plan::{foresee, overview};
use crate::spec::Purpose;
use crate::sweep::SweepSpec;
use crate::ui::{data_card, output};

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

pub(super) fn call(args: &PlanArgs) -> Result<(), AppError> {
    let sweep = args.spec.load(Some(&args.devices), Purpose::Plan)?;
    check::warn(&sweep);
    let overview = overview_of(&sweep, &args.devices)?;
    preflight::precision(&sweep, &overview.places);
    if args.json {
        return output::json(&overview);
    }
    output::data(&(data_card::text(&sweep.cards) + &overview::table(&overview) + "\n"))
}

/// What a sweep would do on this machine, whatever earlier runs have left on its disk.
pub(super) fn overview_of(sweep: &SweepSpec, args: &DeviceArgs) -> Result<Overview, AppError> {
    let trials = sweep.trials();
    let machine = devices::detect();
    let places = devices::places(&sweep.devices, &machine, trials.len())?;
    let limits = preflight::limits(args, &places, &machine);
    let run = foresee(sweep, &trials, &places, limits, &|_| false);
    Ok(overview::overview(sweep, &run, &places))
}
