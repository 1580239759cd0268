//! The same loop with the real program as its children.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::never;
use lorasweep::disk::files;
use lorasweep::disk::layout::{JobFolder, Layout};
use lorasweep::exec::local::{LocalExecutor, PARENT_VARIABLE};
use lorasweep::exec::{Executor, Exit, News, StartJob};
use lorasweep::job::{ChildLine, JobFile, Prepare, Work};
use lorasweep::run;
use lorasweep::values::{ContentHash, Device, Failure, JobKey, Placement};

use crate::support::{Remember, Site, sweep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lorasweep");

fn job(run: &Path, work: Work) -> JobFile {
    let placement = Placement { device: Device::Host, cores: Vec::new() };
    JobFile {
        start: 1,
        run: run.to_path_buf(),
        log: run.join("log"),
        stores: run.join("stores"),
        placement,
        micro_rows: None,
        checkpoint_every_s: None,
        silence_s: 300.0,
        work,
    }
}

fn report_job(run: &Path) -> JobFile {
    job(run, Work::Report { folder: run.join("report") })
}

/// A job that waits until the returned file is dropped: somebody else prepares the same store.
fn waiting_job(run: &Path) -> (JobFolder, File) {
    let store = ContentHash::of_bytes(b"store");
    let tokenizer = run.join("tokenizer.json");
    let file = job(
        run,
        Work::Prepare(Box::new(Prepare { store, task: Arc::clone(sweep(&[1e-3]).first_task()), tokenizer })),
    );
    fs::create_dir_all(&file.stores).unwrap();
    let lock = File::create(Layout::store_lock(&file.stores, store)).unwrap();
    lock.lock().unwrap();
    let own = Layout::of_run(run).job("prepare");
    files::write_json(&own.file(), &file).unwrap();
    (own, lock)
}

fn worker(own: &JobFolder) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("worker").arg(own.path());
    command
}

#[test]
fn a_job_that_fails_is_told_with_its_reason_and_the_report_is_written_all_the_same() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let mut executor = LocalExecutor::new(PROGRAM.into());
    let mut seen = Remember::default();
    let options = site.options.clone();
    let summary = run::start(sweep.clone(), options, &mut executor, &mut [&mut seen], &never()).unwrap();
    // The sweep's tokenizer is not there, so preparing it fails, and nothing trains.
    assert_eq!((summary.done, summary.failed, summary.left), (0, 0, 2));
    let [(key, Failure::BadData { message })] = &summary.failed_jobs[..] else {
        panic!("{:?}", summary.failed_jobs)
    };
    assert!(matches!(key, JobKey::Prepare(_)), "{key}");
    assert!(message.contains("tokenizer.json"), "{message}");
    assert!(site.options.reports.join(&sweep.name).join("report.html").exists());
}

#[test]
fn a_worker_without_a_job_file_or_a_run_leaves_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_run(folder.path());
    let own = layout.job("report");
    let reason = || files::read_json::<Failure>(&own.failure()).unwrap().unwrap().to_string();
    assert_eq!(worker(&own).output().unwrap().status.code(), Some(1));
    assert!(reason().contains("cannot read the job file"), "{}", reason());

    files::write_json(&own.file(), &report_job(folder.path())).unwrap();
    assert_eq!(worker(&own).output().unwrap().status.code(), Some(1));
    assert!(reason().contains("holds no run"), "{}", reason());
}

#[test]
fn a_worker_whose_parent_is_gone_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_run(folder.path());
    let own = layout.job("report");
    files::write_json(&own.file(), &report_job(folder.path())).unwrap();
    let ended = worker(&own).env(PARENT_VARIABLE, u32::MAX.to_string()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(log.contains("parent"), "{log}");
    assert!(!fs::exists(folder.path().join("report")).unwrap());
}

#[test]
fn a_worker_dies_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let (own, _lock) = waiting_job(folder.path());
    // A shell stands in for the orchestrator; its pipe closes when nobody holds it any more.
    let script = format!("{PARENT_VARIABLE}=$$ \"$0\" worker \"$1\" & read forever");
    let mut parent = Command::new("/bin/sh")
        .args(["-c", &script, PROGRAM])
        .arg(own.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "\n", "a bell");
    parent.kill().unwrap();
    parent.wait().unwrap();
    lines.read_to_string(&mut line).unwrap();
}

#[test]
fn a_worker_that_prepares_data_ends_at_once_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (own, _lock) = waiting_job(folder.path());
    let file: JobFile = files::read_json(&own.file()).unwrap().unwrap();
    let mut executor = LocalExecutor::new(PROGRAM.into());
    let key = file.work.key();
    executor.start(StartJob { key, file: &file, folder: &own }).unwrap();
    let messages = executor.messages().clone();
    let next = || messages.recv_timeout(Duration::from_secs(60)).unwrap().news;
    assert_eq!(next(), News::Said(ChildLine::Heartbeat));
    executor.stop(key, false);
    assert_eq!(next(), News::Ended(Exit::Interrupted));
}
