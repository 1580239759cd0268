//! `lorasweep check`: is the sweep file right? Writes nothing.

use super::SpecArgs;
use crate::error::AppError;
use crate::spec::{Purpose, SweepSpec};
use crate::ui::{output, phrase};

pub(super) fn call(args: &SpecArgs) -> Result<(), AppError> {
    let sweep = args.load(None, Purpose::Run)?;
    warn(&sweep);
    let counts = [
        phrase::count(sweep.configurations.len(), "configuration"),
        phrase::count(sweep.trials().len(), "trial"),
        phrase::count(sweep.warnings.len(), "warning"),
    ];
    output::data(&format!("{}: {}\n", sweep.name, counts.join(", ")))
}

/// Says what the sweep allows but is worth knowing.
pub(super) fn warn(sweep: &SweepSpec) {
    for warning in &sweep.warnings {
        output::warning(warning);
    }
}
