//! A run whose files are all real, but for the training: what the commands that keep it are tried on.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use lorasweep::data::store::PartBuilder;
use lorasweep::disk::layout::Layout;
use lorasweep::exec::{Exit, News};
use lorasweep::job::{JobFile, Work};
use lorasweep::record::{checkpoint, rows};
use lorasweep::sweep::SweepSpec;
use lorasweep::tasks::{Row, RowTarget};
use lorasweep::values::{JobKey, JudgedRow, JudgedRows, MetricLine, Part, RowAnswer, TrialId};
use safetensors::tensor::{Dtype, TensorView};

use crate::support::{Site, work, write_result};

/// How a command ended and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program on a run's folder, with nobody to answer questions.
pub(crate) fn lorasweep(command: &str, layout: &Layout, options: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
        .arg(command)
        .arg(layout.run())
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Said { code: output.status.code().unwrap(), stdout, stderr }
}

/// A child that leaves whole files behind: a store, metrics, checkpoints, rows, results.
pub(crate) fn leave_all(key: JobKey, file: &JobFile) -> io::Result<Vec<News>> {
    match &file.work {
        Work::Prepare(prepare) => {
            write_store(&Layout::store(&file.stores, prepare.store));
            Ok(vec![News::Ended(Exit::Done)])
        }
        Work::Train(pack) => {
            let layout = Layout::of_run(&file.run);
            for trial in &pack.slots {
                write_metrics(&layout, trial.id);
                write_checkpoint(&layout.last_checkpoint(trial.id), trial.id);
                write_checkpoint(&layout.best_checkpoint(trial.id), trial.id);
                write_rows(&layout.validation_rows(trial.id), trial.id);
                write_rows(&layout.test_rows(trial.id), trial.id);
                write_result(&layout, trial.id);
            }
            Ok(vec![News::Ended(Exit::Done)])
        }
        Work::Report { .. } => work(key, file),
    }
}

/// A sweep that ran to its end.
pub(crate) fn finished(sweep: &SweepSpec) -> Site {
    let site = Site::new();
    assert_eq!(site.run(sweep, leave_all).summary.left, 0);
    site
}

/// The token store of a sweep's one task.
pub(crate) fn store(site: &Site, sweep: &SweepSpec) -> std::path::PathBuf {
    let model = sweep.model(&sweep.configurations[0]);
    let key = lorasweep::data::store::store_key(sweep.first_task(), model.tokenizer_content);
    Layout::store(site.layout(sweep).stores(), key)
}

pub(crate) fn write_store(folder: &Path) {
    let mut part = PartBuilder::default();
    part.push(Row { tokens: &[1, 2, 3], second: 3, target: RowTarget::Class(1), answers: &[] });
    fs::create_dir_all(folder).unwrap();
    part.write(folder, Part::Train).unwrap();
}

pub(crate) fn write_checkpoint(path: &Path, trial: TrialId) {
    let state = format!("{{\"trial\":\"{trial}\",\"step\":7}}");
    let bytes = [7; 16];
    let sum = checkpoint::checksum(&state, [("w", &bytes[..])]);
    let metadata = HashMap::from([("state".to_owned(), state), ("checksum".to_owned(), sum)]);
    let view = TensorView::new(Dtype::F32, vec![4], &bytes).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, safetensors::serialize([("w", view)], Some(metadata)).unwrap()).unwrap();
}

fn write_rows(path: &Path, trial: TrialId) {
    let row = |row| JudgedRow {
        row,
        loss: 0.5,
        answer: RowAnswer::Class { predicted: 0, target: row, probability: None },
    };
    let judged = JudgedRows { trial, part: Part::Test, step: 3, rows: (0..2).map(row).collect() };
    rows::write(path, &judged, &[]).unwrap();
}

fn write_metrics(layout: &Layout, trial: TrialId) {
    let line = |step| MetricLine::Train {
        step,
        epoch: 0.5,
        loss: 0.25,
        ema_loss: 0.25,
        learning_rate: 1e-3,
        grad_norm: 1.0,
        rows_per_s: 1.0,
        tokens_per_s: 1.0,
    };
    let lines = (1..4).map(|step| serde_json::to_string(&line(step)).unwrap() + "\n");
    fs::create_dir_all(layout.trial(trial)).unwrap();
    fs::write(layout.metrics(trial), lines.collect::<String>()).unwrap();
}

/// Flips a bit in the middle of a file.
pub(crate) fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
