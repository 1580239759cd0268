//! `lorasweep plan`: what a sweep would do from its beginning, and what that costs.

use std::path::Path;

use super::{PlanArgs, check, preflight};
use crate::error::AppError;
use crate::exec::devices;
use crate::plan::pack::Room;
use crate::plan::{graph, overview};
use crate::spec::Purpose;
use crate::ui::{data_card, output};

pub(super) fn call(args: &PlanArgs) -> Result<(), AppError> {
    let sweep = args.spec.load(Some(&args.devices), Purpose::Plan)?;
    check::warn(&sweep);
    let trials = sweep.trials();
    let machine = devices::detect();
    let places = devices::places(sweep.devices, &machine, trials.len())?;
    preflight::precision(&sweep, &places);
    let room = Room { places: &places, limits: preflight::limits(&args.devices, &places, &machine) };
    // The plan is the same whatever earlier runs have left on this disk.
    let graph = graph::build(&sweep, &trials, Path::new("reports"), graph::Present::NOTHING, room);
    let overview = overview::overview(&sweep, &graph, &places);
    if args.json {
        return output::json(&overview);
    }
    output::data(&(data_card::text(&sweep.cards) + &overview::table(&overview) + "\n"))
}
