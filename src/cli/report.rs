//! `lorasweep report`: writes the report of a run again.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{RunFolderArgs, runs};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record;
use crate::report;
use crate::ui::output;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
}

pub(super) fn call(args: &ReportArgs) -> Result<(), AppError> {
    let record = record::load(runs::find(&args.run)?.run())?;
    let files = report::write(&record, &Layout::report(&args.reports, &record.sweep.name))?;
    let mut text = String::new();
    for file in files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", file.display());
    }
    output::data(&text)
}
