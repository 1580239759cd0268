//! The local executor with real processes: shell scripts stand in for the program.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use lorasweep::disk::files;
use lorasweep::disk::layout::{JobFolder, Layout};
use lorasweep::exec::local::LocalExecutor;
use lorasweep::exec::{Executor, Exit, News, StartJob, survivors};
use lorasweep::job::{ChildLine, JobFile, ToChild, Work};
use lorasweep::values::{Device, Failure, JobKey, Placement};

/// Far longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const JOB: JobKey = JobKey::Report;
const START: u64 = 7;
/// A bell alone is a sign of life.
const HEARTBEAT: &str = "echo";

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_local/child.sh")
}

/// A child that follows a script.
struct Bench {
    folder: tempfile::TempDir,
    executor: LocalExecutor,
    pid: u32,
}

impl Bench {
    fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of_run(folder.path());
        let own = layout.job("report");
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1] };
        let work = Work::Report { folder: folder.path().to_path_buf() };
        let (run, stores) = (folder.path().to_path_buf(), layout.stores().to_path_buf());
        let (start, log) = (START, own.log());
        let file = JobFile {
            start,
            run,
            log,
            stores,
            placement,
            micro_rows: None,
            checkpoint_every_s: None,
            silence_s: 300.0,
            work,
        };
        files::write_json(&own.file(), &file).unwrap();
        fs::write(own.path().join("child.sh"), script).unwrap();
        let mut executor = LocalExecutor::new(program());
        let job = StartJob { key: JOB, file: &file, folder: &own };
        let pid = executor.start(job).unwrap();
        Self { folder, executor, pid }
    }

    fn next(&self) -> News {
        let message = self.executor.messages().recv_timeout(PATIENCE).unwrap();
        assert_eq!(message.job, JOB);
        message.news
    }

    fn heartbeat(&self) {
        assert_eq!(self.next(), News::Said(ChildLine::Heartbeat));
    }

    fn log(&self) -> String {
        fs::read_to_string(Layout::of_run(self.folder.path()).job("report").log()).unwrap()
    }
}

/// A process that ended has no command line, reaped or not.
fn is_alive(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let _alone = KILLS.lock().unwrap();
    let cases = [
        ("exit 0", Exit::Done),
        ("exit 4", Exit::Interrupted),
        ("exit 1", Exit::Failed(Failure::Exited { code: 1 })),
        ("kill -KILL $$", Exit::Failed(Failure::Killed { signal: 9 })),
        ("kill -SEGV $$", Exit::Failed(Failure::Killed { signal: 11 })),
    ];
    for (script, exit) in cases {
        assert_eq!(Bench::start(script).next(), News::Ended(exit), "{script}");
    }
}

#[test]
fn the_last_words_of_a_child_tell_of_memory_and_device() {
    let lost = "RuntimeError: CUDA error: an illegal memory access was encountered";
    let device = Failure::DeviceFailed { message: lost.to_owned() };
    let lost = format!("echo '{lost}' >&2; exit 134");
    let cases = [
        ("echo 'memory allocation of 64 bytes failed' >&2; kill -ABRT $$", Failure::OutOfMemory),
        ("echo \"what(): std::bad_alloc\" >&2; kill -ABRT $$", Failure::OutOfMemory),
        ("echo 'libgomp: Out of memory allocating 64 bytes' >&2; exit 1", Failure::OutOfMemory),
        (&lost, device),
    ];
    for (script, failure) in cases {
        assert_eq!(Bench::start(script).next(), News::Ended(Exit::Failed(failure)), "{script}");
    }
}

/// Held by tests in which somebody is killed by the kernel, or by nobody we know: its count is one
/// for the whole machine.
static KILLS: Mutex<()> = Mutex::new(());

/// A memory cgroup of 32 MiB, where this process may make one.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let name = format!("lorasweep-test-{}", std::process::id());
        let versions = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
        versions.into_iter().find_map(|(controller, limit)| {
            let group = Self(Path::new("/sys/fs/cgroup").join(controller).join(&name));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(limit), "33554432").ok()?;
            Some(group)
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It is empty once its process is gone; one that is left over does no harm.
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
fn a_child_that_the_kernel_kills_for_memory_ran_out_of_it() {
    let _alone = KILLS.lock().unwrap();
    let Some(group) = Cgroup::new() else {
        return println!("skipped: this process may not make a memory cgroup");
    };
    let procs = group.0.join("cgroup.procs");
    let script = format!("echo $$ > {}; exec tail -n 1 /dev/zero", procs.display());
    assert_eq!(Bench::start(&script).next(), News::Ended(Exit::Failed(Failure::OutOfMemory)));
}

#[test]
fn a_failure_file_says_why() {
    let script = r#"echo '{"kind":"bad_data","message":"no such column"}' > "$2/failure.json"; exit 1"#;
    let told = Failure::BadData { message: "no such column".to_owned() };
    assert_eq!(Bench::start(script).next(), News::Ended(Exit::Failed(told)));
}

#[test]
fn what_a_child_tells_of_its_start_is_heard_with_a_bell_or_at_its_end() {
    let told = |start: u64, trial: u64| {
        let line =
            format!(r#"{{"start":{start},"of":{{"said":{{"kind":"finished","trial":"{trial:016x}"}}}}}}"#);
        format!("echo '{line}' >> \"$2/news.jsonl\"; ")
    };
    let heard =
        |trial: u64| News::Said(ChildLine::Finished { trial: format!("{trial:016x}").parse().unwrap() });
    let bench = Bench::start(&(told(START, 1) + &told(START + 1, 2) + "echo; " + &told(START, 3)));
    assert_eq!(bench.next(), heard(1));
    assert_eq!(bench.next(), heard(3));
    assert_eq!(bench.next(), News::Ended(Exit::Done));
}

#[test]
fn a_message_is_in_the_mailbox_when_the_bell_rings() {
    let mut bench = Bench::start("read bell; read bell; cat \"$2\"/in/*.json >&2");
    for step in [41, 42] {
        let trial = "00000000000000ab".parse().unwrap();
        bench.executor.send(JOB, &ToChild::Stop { trial, step });
    }
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    assert!(
        [41, 42].iter().all(|step| bench.log().contains(&format!("\"step\": {step}"))),
        "{}",
        bench.log()
    );
}

#[test]
fn a_child_is_asked_to_stop_and_may_finish_its_checkpoint() {
    let script = format!("trap 'exit 4' TERM; {HEARTBEAT}; sleep 1000 & wait");
    let mut bench = Bench::start(&script);
    bench.heartbeat();
    bench.executor.stop(JOB, false);
    assert_eq!(bench.next(), News::Ended(Exit::Interrupted));
    bench.executor.stop(JOB, true);
}

#[test]
fn a_child_that_does_not_listen_is_killed() {
    let script = format!("trap '' TERM; {HEARTBEAT}; sleep 1000");
    let mut bench = Bench::start(&script);
    bench.heartbeat();
    bench.executor.stop(JOB, false);
    bench.executor.stop(JOB, true);
    assert_eq!(bench.next(), News::Ended(Exit::Failed(Failure::Killed { signal: 9 })));
}

#[test]
fn rubbish_on_standard_output_goes_to_the_log() {
    let script = format!("echo rubbish; printf '\\377\\n{{\\n'; {HEARTBEAT}; echo trouble >&2; printf end");
    let bench = Bench::start(&script);
    bench.heartbeat();
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    let log = fs::read(Layout::of_run(bench.folder.path()).job("report").log()).unwrap();
    let log = String::from_utf8_lossy(&log);
    for line in ["stdout: rubbish", "stdout: {", "trouble", "stdout: end"] {
        assert!(log.lines().any(|logged| logged == line), "no `{line}` in {log}");
    }
}

#[test]
fn rubbish_without_an_end_is_read_in_parts() {
    let script = format!("head -c 3000000 /dev/zero | tr '\\0' x; echo; {HEARTBEAT}");
    let bench = Bench::start(&script);
    bench.heartbeat();
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    let lines: Vec<usize> = bench.log().lines().map(str::len).collect();
    assert_eq!((lines.len(), lines.iter().sum::<usize>()), (3, 3_000_000 + 3 * "stdout: ".len()));
}

#[test]
fn a_child_knows_its_share_of_the_machine() {
    let bench = Bench::start("env >&2");
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    let log = bench.log();
    for line in ["OMP_NUM_THREADS=2", "RAYON_NUM_THREADS=2", "CUDA_VISIBLE_DEVICES=", "MALLOC_MMAP_MAX_=0"] {
        assert!(log.lines().any(|set| set == line), "no `{line}` in {log}");
    }
}

#[test]
fn what_a_child_started_ends_with_it() {
    let bench = Bench::start("sleep 1000 & echo $! >&2; exit 0");
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    let grandchild = bench.log().trim().parse().unwrap();
    assert!(!is_alive(grandchild) && !is_alive(bench.pid));
}

#[test]
fn what_a_child_started_and_set_free_is_not_waited_for() {
    let bench = Bench::start("setsid sh -c 'echo $$ >&2; exec sleep 1000' & sleep 0.1; exit 0");
    assert_eq!(bench.next(), News::Ended(Exit::Done));
    let free = bench.log().trim().parse().unwrap();
    assert!(is_alive(free));
    let free = rustix::process::Pid::from_raw(i32::try_from(free).unwrap()).unwrap();
    rustix::process::kill_process(free, rustix::process::Signal::KILL).unwrap();
}

/// Processes that nothing happens to, where this process may freeze some: not even SIGKILL ends them.
struct Freezer(PathBuf);

impl Freezer {
    fn new() -> Option<Self> {
        let name = format!("lorasweep-test-{}", std::process::id());
        let group = Self(Path::new("/sys/fs/cgroup/freezer").join(name));
        fs::create_dir(&group.0).ok()?;
        Some(group)
    }

    fn set(&self, state: &str) {
        fs::write(self.0.join("freezer.state"), state).unwrap();
        while fs::read_to_string(self.0.join("freezer.state")).unwrap().trim() != state {}
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set("THAWED");
        // It is empty once its process is gone; one that is left over does no harm.
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
fn a_child_that_cannot_be_killed_is_not_waited_for() {
    let Some(freezer) = Freezer::new() else {
        return println!("skipped: this process may not freeze others");
    };
    let script = format!("echo $$ > {}/cgroup.procs; {HEARTBEAT}; read forever", freezer.0.display());
    let (mut asked, dropped) = (Bench::start(&script), Bench::start(&script));
    asked.heartbeat();
    dropped.heartbeat();
    freezer.set("FROZEN");
    asked.executor.stop(JOB, true);
    let messages = dropped.executor.messages().clone();
    drop(dropped);
    let killed = News::Ended(Exit::Failed(Failure::Killed { signal: 9 }));
    assert_eq!(messages.recv().unwrap().news, killed);
    assert_eq!(asked.next(), killed);
    let pid = asked.pid;
    assert!(is_alive(pid));
    drop(asked);
    drop(freezer);
    while is_alive(pid) {}
}

#[test]
fn no_child_outlives_its_executor() {
    let bench = Bench::start(&format!("trap '' TERM; {HEARTBEAT}; sleep 1000"));
    bench.heartbeat();
    let (pid, messages) = (bench.pid, bench.executor.messages().clone());
    assert!(is_alive(pid));
    drop(bench);
    assert!(!is_alive(pid));
    let ended = News::Ended(Exit::Failed(Failure::Killed { signal: 9 }));
    assert_eq!(messages.recv().unwrap().news, ended);
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let placement = Placement { device: Device::Host, cores: Vec::new() };
    let (run, report) = (folder.path().to_path_buf(), folder.path().to_path_buf());
    let own = JobFolder::at(folder.path());
    let file = JobFile {
        start: START,
        log: own.log(),
        stores: run.join("stores"),
        run,
        placement,
        micro_rows: None,
        checkpoint_every_s: None,
        silence_s: 300.0,
        work: Work::Report { folder: report },
    };
    let job = StartJob { key: JOB, file: &file, folder: &own };
    assert!(LocalExecutor::new(folder.path().join("nothing")).start(job).is_err());
}

#[test]
fn a_child_of_a_dead_orchestrator_is_ended_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let jobs = folder.path().join(name);
        fs::create_dir_all(jobs.join("train")).unwrap();
        fs::write(jobs.join("train/child.sh"), "read forever").unwrap();
        jobs
    });
    let start = |jobs: &Path| {
        let mut command = Command::new(program());
        command.arg("worker").arg(jobs.join("train")).stdin(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let (mut mine, mut other) = (start(&ours), start(&theirs));
    let killed = survivors::end(&ours, Duration::ZERO).unwrap();
    let killed: Vec<_> = killed.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect();
    assert_eq!(killed, [mine.id()]);
    assert!(!mine.wait().unwrap().success());
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}
