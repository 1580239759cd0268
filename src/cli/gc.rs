//! `lorasweep gc`: removes what no trial of a run needs, after showing it.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{RunFolderArgs, runs};
use crate::disk::lock::Lock;
use crate::error::AppError;
use crate::record;
use crate::record::garbage::{self, Garbage, Reason};
use crate::ui::output;
use crate::values::quantity;

/// Most paths listed of each kind.
const SHOWN_PATHS: usize = 5;

/// Arguments of `gc`.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Also remove trials that the sweep no longer has, with their results
    #[arg(long)]
    removed: bool,
    /// Remove without asking
    #[arg(long)]
    yes: bool,
    /// Print every file and folder as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    garbage: &'a [Garbage],
    bytes: u64,
    removed: bool,
}

pub(super) fn call(args: &GcArgs) -> Result<(), AppError> {
    let layout = runs::find(&args.run)?;
    let held = Lock::acquire(&layout.lock())?;
    let sweep = record::load_fates(layout.run())?.sweep;
    let mut found = garbage::of_run(&layout, &sweep, &held)?;
    let others = found.iter().filter(|one| one.reason == Reason::RemovedTrial).map(|one| one.bytes);
    let (removed_trials, removed_bytes) = (others.clone().count(), others.sum());
    if !args.removed {
        found.retain(|one| one.reason != Reason::RemovedTrial);
    }
    // Held until the end, so that no run can start that counts on stores being removed.
    let stores = Lock::acquire(&layout.stores_lock());
    match &stores {
        Ok(alone) => found.extend(garbage::of_stores(&layout, alone)?),
        Err(error) => output::hint(&format!("token stores are left alone: {error}")),
    }
    let bytes = found.iter().map(|one| one.bytes).sum();
    if !args.json {
        output::data(&text(&found, bytes))?;
    }
    if args.removed && !sweep.only.is_empty() {
        output::hint(
            "the last run was of a part of the grid (`--only`), so trials of other parts are kept; `lorasweep run SPEC` \
             of the whole grid tells which are no longer in it",
        );
    }
    if !args.removed && removed_trials > 0 {
        let trials = quantity::counted(removed_trials, "trial");
        output::hint(&format!(
            "{trials} no longer in the sweep: `--removed` frees {} more",
            size(removed_bytes)
        ));
    }
    let wanted =
        !found.is_empty() && (args.yes || output::ask(&format!("remove all of it, {}?", size(bytes))));
    if wanted {
        found.iter().try_for_each(garbage::remove)?;
        output::say(&format!("freed {}", size(bytes)));
    } else if !found.is_empty() {
        output::hint("nothing was removed; `--yes` removes it");
    }
    if args.json { output::json(&Told { garbage: &found, bytes, removed: wanted }) } else { Ok(()) }
}

fn text(found: &[Garbage], bytes: u64) -> String {
    let mut text = String::new();
    for of_kind in found.chunk_by(|a, b| a.reason == b.reason) {
        let Some(first) = of_kind.first() else { continue };
        let kind_bytes = of_kind.iter().map(|one| one.bytes).sum();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}, {}", first.reason.title(), of_kind.len(), size(kind_bytes));
        for one in of_kind.iter().take(SHOWN_PATHS) {
            let _ = writeln!(text, "  {:>9}  {}", size(one.bytes), one.path.display());
        }
        if of_kind.len() > SHOWN_PATHS {
            let _ = writeln!(text, "  and {} more", of_kind.len() - SHOWN_PATHS);
        }
    }
    let _ = writeln!(
        text,
        "{}",
        if found.is_empty() { "nothing to remove".to_owned() } else { size(bytes) + " in all" }
    );
    text
}

#[expect(clippy::cast_precision_loss, reason = "sizes are shown to two digits")]
fn size(bytes: u64) -> String {
    quantity::mib(bytes as f64 / f64::from(1 << 20))
}
