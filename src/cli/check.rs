//! `lorasweep check`: is the sweep file right? Writes nothing.

use super::SpecArgs;
use crate::error::AppError;
use crate::spec::{self, SweepSpec};
use crate::ui::output;

pub(super) fn call(args: &SpecArgs) -> Result<(), AppError> {
    let sweep = spec::load(&args.spec, &args.overrides(None))?;
    warn(&sweep);
    let (configurations, trials) = (sweep.configurations.len(), sweep.trials().len());
    output::data(&format!(
        "{}: {configurations} configurations, {trials} trials, {} warnings\n",
        sweep.name,
        sweep.warnings.len()
    ))
}

/// Says what the sweep allows but is worth knowing.
pub(super) fn warn(sweep: &SweepSpec) {
    for warning in &sweep.warnings {
        output::warning(warning);
    }
}
