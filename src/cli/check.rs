//! `lorasweep check`: is the sweep file right, and what is in its data? Writes nothing.

use super::SpecArgs;
use crate::error::AppError;
use crate::spec::Intent;
use crate::sweep::SweepSpec;
use crate::ui::{data_card, output};
use crate::values::quantity;

pub(super) fn call(args: &SpecArgs) -> Result<(), AppError> {
    let sweep = args.load(None, Intent::Run)?;
    warn(&sweep);
    let mut counts = vec![
        quantity::counted(sweep.configurations.len(), "configuration"),
        quantity::counted(sweep.trials().len(), "trial"),
        quantity::counted(sweep.all_warnings().count(), "warning"),
    ];
    let to_propose = sweep.proposing.as_ref().map(|proposing| proposing.left(&[]));
    counts.extend(
        to_propose.map(|points| format!("{} to be proposed as it runs", quantity::counted(points, "point"))),
    );
    let cards = data_card::text(&sweep.cards);
    output::data(&format!("{cards}{}: {}\n", sweep.name, counts.join(", ")))
}

/// Prints the warnings about the sweep and its data.
pub(super) fn warn(sweep: &SweepSpec) {
    for warning in sweep.all_warnings() {
        output::warning(&warning);
    }
}
