//! Owns the predicted cost of jobs: time, memory and disk, from shapes and row counts alone. Measures nothing.
//! Read `slot.rs` first, then `pack.rs`.
//!
//! Every constant here is a first guess, for the first run in a results folder. What packs really took corrects it
//! for later runs, in `experience`; while a run goes on, the scheduler learns how much longer or shorter its jobs
//! take.

mod estimate;
mod experience;
mod flops;
mod memory;
mod pack;
mod processors;
mod rates;
mod slot;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use estimate::Estimate;
pub use experience::{Basis, Experience, Kept, Kind, Taken};
pub use flops::{RowFlops, per_row};
pub use memory::{Footprint, LOGITS_AT_ONCE, unmeasured_mib};
pub use pack::PackCost;
pub use processors::{GpuKind, Processors};
pub use rates::{Rates, Scaling};
pub(crate) use rates::{START_S, Slower};
pub use slot::{CostTable, SlotCost, SlotTime};

use crate::job::Prepare;
use crate::tasks::Task;
use slot::Sequences;

/// Mean length of a row in tokens, as a share of `max_length`.
pub const MEAN_FILL: f64 = 0.6;
/// Most tokens in one evaluation batch, padding counted: large enough to keep the cores busy, small enough to
/// stay in the cache.
pub const EVALUATED_TOKENS: usize = 4096;
/// Tokens per second from one core's tokeniser.
const TOKENS_PER_S_PER_CORE: f64 = 200e3;
/// Start of any other job, and its whole work where that is reading and writing small files.
const HOST_START: Duration = Duration::from_millis(300);
/// Resident memory of a process that reads and writes small files, in MiB.
const HOST_MIB: f64 = 64.0;
const MIB: f64 = 1_048_576.0;

/// The predicted cost of a report.
pub const REPORT: Estimate =
    Estimate { duration: HOST_START.saturating_mul(4), mem_mib: 2.0 * HOST_MIB, disk_mib: 2.0 };

/// The predicted cost of preparing a store on so many cores.
#[must_use]
pub fn estimate_prepare(prepare: &Prepare, cores: usize) -> Estimate {
    let task = &prepare.task;
    let rows = sequences(task);
    let tokens = count(rows.train + rows.validation + rows.test) * mean_tokens(task);
    let store_mib = 4.0 * tokens / MIB;
    let tokens_per_s = TOKENS_PER_S_PER_CORE * count(cores.max(1));
    // Texts are in memory with their tokens; a token is about five bytes of text.
    Estimate {
        duration: HOST_START + Duration::from_secs_f64(tokens / tokens_per_s),
        mem_mib: HOST_MIB + store_mib + 5.0 * tokens / MIB,
        disk_mib: store_mib,
    }
}

fn sequences(task: &Task) -> Sequences {
    let test_file = task.test.as_ref().unwrap_or(&task.train);
    Sequences {
        train: task.sequences(&task.train, task.train_rows()),
        validation: task.validation.as_ref().map_or(0, |file| task.sequences(file, file.rows)),
        test: if task.is_tested() { task.sequences(test_file, task.test_rows()) } else { 0 },
    }
}

fn mean_tokens(task: &Task) -> f64 {
    MEAN_FILL * count(task.max_length)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}
