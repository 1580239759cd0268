//! Workers that wait for their next job: shell scripts stand in for the program.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::exec::{Exit, News};
use crate::job::{ChildLine, JobFile, Pack, Work};
use crate::plan::example;
use crate::values::{ContentHash, Device, Failure, Placement, Precision, Training, Trial};

/// Far longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker's script does.
const BEGINS: &str = r#"tell '{"said":{"kind":"heartbeat"}}'"#;
const WAITS: &str = r#"tell '{"ended":"waiting"}'"#;
/// Takes the next job, and does as its script says.
const NEXT: &str =
    r#"next() { read -r job && [ -n "$job" ] && folder="${folder%/*}/$job"; }; next && . "$folder/child.sh""#;

/// Runs the script of its job's folder. `tell` writes to the mailbox and rings.
const PROGRAM: &str = r#"#!/bin/sh
folder="$2"
tell() { echo "{\"start\":$(cat "$folder/start"),\"of\":$1}" >> "$folder/news.jsonl"; echo; }
. "$folder/child.sh"
"#;

struct Bench {
    folder: tempfile::TempDir,
    executor: LocalExecutor,
    trials: Vec<Trial>,
    started: u64,
}

/// What a job needs: the core that it runs on, its store and its precision.
#[derive(Clone, Copy)]
struct Needs(usize, &'static [u8], Precision);

const USUAL: Needs = Needs(0, b"store", Precision::Fp32);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        write_program(&program, PROGRAM);
        let trials = example::sweep().trials();
        Self { executor: LocalExecutor::new(program), folder, trials, started: 0 }
    }

    /// Starts a job whose worker does as these lines say. Returns its name and its worker.
    fn start(&mut self, needs: Needs, script: &[&str]) -> (JobKey, u32) {
        let Needs(core, store, precision) = needs;
        let sweep = example::sweep();
        let mut trial = self.trials[usize::try_from(self.started).unwrap()].clone();
        let mut configuration = (*trial.configuration).clone();
        configuration.training = Training { precision, ..configuration.training };
        trial.configuration = Arc::new(configuration);
        let (layout, key) = (Layout::of_run(self.folder.path()), JobKey::Train(trial.id));
        let pack = Pack {
            task: Arc::clone(sweep.first_task()),
            model: Arc::new(sweep.models["minilm-2"].clone()),
            store: ContentHash::of_bytes(store),
            slots: vec![trial],
            until: std::collections::BTreeMap::new(),
        };
        let folder = layout.job(key);
        let file = JobFile {
            start: self.started,
            run: self.folder.path().to_path_buf(),
            log: folder.log(),
            stores: layout.stores().to_path_buf(),
            placement: Placement { device: Device::Cpu { slot: core }, cores: vec![core] },
            micro_rows: None,
            checkpoint_every_s: None,
            silence_s: 300.0,
            work: Work::Train(Box::new(pack)),
        };
        files::put_json(&folder.file(), &file).unwrap();
        fs::write(folder.path().join("start"), self.started.to_string()).unwrap();
        fs::write(folder.path().join("child.sh"), script.join("\n")).unwrap();
        self.started += 1;
        (key, self.executor.start(StartJob { key, file: &file, folder: &folder }).unwrap())
    }

    /// How a job ends. Nothing is said of any other.
    #[track_caller]
    fn end(&self, key: JobKey) -> Exit {
        loop {
            let message = self.executor.messages().recv_timeout(PATIENCE).unwrap();
            assert_eq!(message.job, key);
            match message.news {
                News::Said(line) => assert_eq!(line, ChildLine::Heartbeat),
                News::Ended(exit) => return exit,
            }
        }
    }

    /// Does a job to its end, after which its worker does as these lines say.
    #[track_caller]
    fn done(&mut self, needs: Needs, then: &[&str]) -> u32 {
        let (key, pid) = self.start(needs, &[&[BEGINS, WAITS], then].concat());
        assert_eq!(self.end(key), Exit::Done);
        pid
    }

    fn said_no_more(&self) {
        assert_eq!(self.executor.messages().try_recv().ok(), None);
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Waits until a process has ended. One that has no longer has a command line, reaped or not.
#[track_caller]
fn ends(pid: u32) {
    let begun = std::time::Instant::now();
    while fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "worker {pid} is still there");
        thread::yield_now();
    }
}

#[test]
fn a_worker_that_waits_is_given_job_after_job() {
    let mut bench = Bench::new();
    let pids: Vec<u32> = (0..4).map(|_| bench.done(USUAL, &[NEXT])).collect();
    assert_eq!(pids, [pids[0]; 4]);
}

#[test]
fn a_job_that_needs_another_worker_gets_a_new_one_and_one_on_its_cores_makes_way() {
    let Needs(core, store, precision) = USUAL;
    let others = [Needs(core, b"another", precision), Needs(core, store, Precision::Bf16)];
    for other in others {
        let mut bench = Bench::new();
        let first = bench.done(USUAL, &[NEXT]);
        assert_ne!(bench.done(other, &[NEXT]), first);
        ends(first);
    }
    let mut bench = Bench::new();
    let first = bench.done(USUAL, &[NEXT]);
    assert_ne!(bench.done(Needs(1, store, precision), &[NEXT]), first);
    assert_eq!(bench.done(USUAL, &[NEXT]), first, "it waited on another core");
    write_program(&bench.folder.path().join("program"), &format!("{PROGRAM}# another version"));
    assert_ne!(bench.done(USUAL, &[NEXT]), first);
    ends(first);
}

#[test]
fn a_worker_that_is_killed_in_its_third_job_fails_that_alone() {
    let ends = [
        (vec![BEGINS, "kill -KILL $$"], Failure::Killed { signal: 9 }),
        (vec![BEGINS, "kill -SEGV $$"], Failure::Killed { signal: 11 }),
        (vec![BEGINS, "echo std::bad_alloc >> \"$folder/log\"", "kill -ABRT $$"], Failure::OutOfMemory),
        (vec![BEGINS, "exit 7"], Failure::Exited { code: 7 }),
    ];
    for (script, failure) in ends {
        let mut bench = Bench::new();
        let first = bench.done(USUAL, &[NEXT]);
        assert_eq!(bench.done(USUAL, &[NEXT]), first);
        let (key, pid) = bench.start(USUAL, &script);
        assert_eq!((bench.end(key), pid), (Exit::Failed(failure), first));
        assert_ne!(bench.done(USUAL, &[NEXT]), first);
    }
}

#[test]
fn a_worker_that_dies_while_it_waits_has_failed_at_nothing() {
    for how in ["exit 0", "kill -KILL $$"] {
        let mut bench = Bench::new();
        let first = bench.done(USUAL, &[how]);
        // Whether its end has been seen by now or not.
        bench.done(USUAL, &[NEXT]);
        ends(first);
        bench.said_no_more();
    }
}

#[test]
fn a_job_whose_worker_dies_before_it_begins_is_begun_by_a_new_one_once() {
    let mut bench = Bench::new();
    let first = bench.done(USUAL, &["read -r job", "kill -KILL $$"]);
    let (key, pid) = bench.start(USUAL, &[BEGINS, "echo $$ > \"$folder/pid\"", "exit 0"]);
    assert_eq!((bench.end(key), pid), (Exit::Done, first));
    let own = Layout::of_run(bench.folder.path()).job(key).path().join("pid");
    assert_ne!(fs::read_to_string(own).unwrap().trim(), first.to_string());

    bench.done(USUAL, &["read -r job", "kill -KILL $$"]);
    let (key, _) = bench.start(USUAL, &["kill -KILL $$"]);
    assert_eq!(bench.end(key), Exit::Failed(Failure::Killed { signal: 9 }));
    bench.said_no_more();
}

#[test]
fn a_job_that_is_stopped_before_it_begins_is_not_begun() {
    let mut bench = Bench::new();
    let (first, _) =
        bench.start(USUAL, &["trap 'exit 4' TERM", BEGINS, WAITS, "read -r job", "sleep 1000 & wait"]);
    assert_eq!(bench.end(first), Exit::Done);
    let (key, _) = bench.start(USUAL, &[BEGINS, "exit 0"]);
    bench.executor.stop(key, false);
    assert_eq!(bench.end(key), Exit::Interrupted);
    bench.said_no_more();
}

#[test]
fn a_lack_of_memory_ends_all_that_wait_and_so_does_the_executor() {
    let Needs(_, store, precision) = USUAL;
    let mut bench = Bench::new();
    let waiting = bench.done(USUAL, &[NEXT]);
    let (key, _) = bench.start(Needs(1, store, precision), &["echo std::bad_alloc >&2", "kill -ABRT $$"]);
    assert_eq!(bench.end(key), Exit::Failed(Failure::OutOfMemory));
    ends(waiting);
    // The next jobs run alone, so that they get what others hold.
    let pids: BTreeMap<usize, u32> =
        [0, 1].map(|core| (core, bench.done(Needs(core, store, precision), &[NEXT]))).into();
    ends(pids[&0]);
    drop(bench);
    ends(pids[&1]);
}
