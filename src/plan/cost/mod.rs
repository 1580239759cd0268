//! Owns what jobs are thought to cost: time, memory and disk, from shapes and row counts alone.
//!
//! Every constant here is a first guess. Durations are for one CPU core; [`Calibration`] turns them
//! into those of the devices at hand and replaces guesses by what finished trials took.

mod calibration;
mod flops;
mod memory;

use std::time::Duration;

pub use calibration::{Calibration, Standing};
pub use flops::{RowFlops, per_row};
pub use memory::{disk_mib, training_mib};

use crate::arch::ModelSpec;
use crate::job::{Pack, Prepare, Work};
use crate::plan::Estimate;
use crate::task::Task;
use crate::trial::{Method, Splitting, Trial};

/// Floating-point operations per second of one CPU core in single precision.
pub const CPU_FLOPS_PER_CORE: f64 = 60e9;
/// Floating-point operations per second of one GPU in single precision.
pub const GPU_FLOPS: f64 = 10e12;
/// Mean share of `max_length` that a row's tokens fill.
pub const MEAN_FILL: f64 = 0.6;
/// Tokens per second that one core tokenises.
const TOKENS_PER_S_PER_CORE: f64 = 200e3;
/// A training process's start: loading libtorch and the weights.
const TRAIN_START: Duration = Duration::from_millis(1_500);
/// Any other job's start, and its whole work where that is reading and writing small files.
const HOST_START: Duration = Duration::from_millis(300);
/// Resident memory of a process that reads and writes small files, in MiB.
const HOST_MIB: f64 = 64.0;
const MIB: f64 = 1_048_576.0;

/// What a job costs, its duration on one CPU core.
#[must_use]
pub fn estimate(work: &Work) -> Estimate {
    match work {
        Work::Prepare(prepare) => estimate_prepare(prepare),
        Work::Train(pack) => estimate_train(pack),
        Work::Summarise { .. } => Estimate { duration: HOST_START, mem_mib: HOST_MIB, disk_mib: 0.01 },
        Work::Report { .. } => Estimate { duration: 4 * HOST_START, mem_mib: 2.0 * HOST_MIB, disk_mib: 2.0 },
    }
}

fn estimate_prepare(prepare: &Prepare) -> Estimate {
    let task = &prepare.task;
    let rows = sequences(task);
    let tokens = count(rows.train + rows.validation + rows.test) * mean_tokens(task);
    let store_mib = 4.0 * tokens / MIB;
    // Texts are held beside their tokens; a token is about five bytes of text.
    Estimate {
        duration: HOST_START + Duration::from_secs_f64(tokens / TOKENS_PER_S_PER_CORE),
        mem_mib: HOST_MIB + store_mib + 5.0 * tokens / MIB,
        disk_mib: store_mib,
    }
}

fn estimate_train(pack: &Pack) -> Estimate {
    let flops: f64 = pack.slots.iter().map(|trial| trial_flops(&pack.task, &pack.model, trial)).sum();
    Estimate {
        duration: TRAIN_START + Duration::from_secs_f64(flops / CPU_FLOPS_PER_CORE),
        mem_mib: training_mib(pack),
        disk_mib: pack
            .slots
            .iter()
            .map(|trial| disk_mib(&pack.model, pack.task.objective.head(), trial))
            .sum(),
    }
}

/// Floating-point operations of a trial: training, validation and test.
fn trial_flops(task: &Task, model: &ModelSpec, trial: &Trial) -> f64 {
    let flops =
        per_row(&model.architecture, task.objective.head(), &trial.configuration.method, mean_tokens(task));
    let rows = rows_of(task, trial);
    rows.trained * flops.training + rows.evaluated * flops.forward
}

/// Rows that pass through the model in a trial, each as often as it does.
struct RowPasses {
    trained: f64,
    evaluated: f64,
}

fn rows_of(task: &Task, trial: &Trial) -> RowPasses {
    let sequences = sequences(task);
    let all = count(sequences.train);
    let (training, validation) = match trial.splitting {
        Splitting::KFold { k, .. } => (all * (1.0 - 1.0 / count(k)), all / count(k)),
        Splitting::HoldOut { fraction, .. } => (all * (1.0 - fraction), all * fraction),
        Splitting::File => (all, count(sequences.validation)),
    };
    let settings = &trial.configuration.training;
    let trained = match trial.configuration.method {
        Method::Base => 0.0,
        Method::Lora(_) | Method::Full | Method::Scratch => training * settings.epochs,
    };
    let evaluations = match settings.evaluate_every {
        Some(steps) => (trained / count(settings.batch_size * settings.accumulation * steps)).floor() + 1.0,
        None => settings.epochs.ceil(),
    };
    RowPasses { trained, evaluated: evaluations * validation + count(sequences.test) }
}

/// Sequences that a task's rows become.
struct Sequences {
    train: usize,
    validation: usize,
    test: usize,
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
pub(super) fn count(n: usize) -> f64 {
    n as f64
}
