//! `lorasweep report`: writes the report of a run again.

use std::fmt::Write as _;

use super::{ReportArgs, runs};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::report;
use crate::ui::output;

pub(super) fn call(args: &ReportArgs) -> Result<(), AppError> {
    let record = runs::open(&args.run)?.record;
    let files = report::write(&record, &Layout::report(&args.reports, &record.sweep.name))?;
    let mut text = String::new();
    for file in files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", file.display());
    }
    output::data(&text)
}
