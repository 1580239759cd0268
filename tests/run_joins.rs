//! Real children that trials join while they work, and that are killed right after.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lorasweep::data;
use lorasweep::data::store::store_key;
use lorasweep::disk::files;
use lorasweep::disk::layout::{JobFolder, Layout};
use lorasweep::exec::local::LocalExecutor;
use lorasweep::exec::{Executor, Exit, News, StartJob};
use lorasweep::hub::{Hub, Settings};
use lorasweep::job::mailbox::{self, End, NewsReader};
use lorasweep::job::{ChildLine, JobFile, Pack, Prepare, ToChild, Work};
use lorasweep::spec::{self, Downloads, Intent, Overrides};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Device, JobKey, MetricLine, Placement, Scores, Trial, TrialResult};
use rustix::fs::OFlags;

/// Far longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(120);

const SWEEP: &str = "
name: joined
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tokenizer}
grid: [{method: scratch, model: small, learning_rate: [1e-3, 2e-3, 3e-3, 4e-3]}]
training: {epochs: 3, batch_size: 4, evaluate_every: 5}
";

fn sweep(folder: &Path) -> SweepSpec {
    let rows =
        |n: usize| (0..n).map(|i| format!("{},{}\n", ["good text", "bad row"][i % 2], ["yes", "no"][i % 2]));
    let table = |n| "text,label\n".to_owned() + &rows(n).collect::<String>();
    fs::write(folder.join("train.csv"), table(160)).unwrap();
    fs::write(folder.join("test.csv"), table(8)).unwrap();
    fs::create_dir(folder.join("tokenizer")).unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\ntext\nrow\n";
    fs::write(folder.join("tokenizer/vocab.txt"), words).unwrap();
    let path = folder.join("joined.yaml");
    fs::write(&path, SWEEP).unwrap();
    let (cache, endpoint) = (folder.join("hub"), "http://127.0.0.1:9".to_owned());
    let hub = Hub::new(Settings { cache, endpoint, token: None, offline: true });
    let downloads = Downloads { hub: &hub, progress: &|_| {} };
    spec::load(&path, &Overrides::default(), Intent::Run, downloads).unwrap()
}

/// A run's folder with the data prepared, and its children.
struct Site {
    layout: Layout,
    pack: Pack,
    executor: LocalExecutor,
    /// The job that was started last.
    job: JobKey,
    /// How often one was started.
    starts: u64,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sweep = sweep(folder.path());
        let layout = Layout::new(folder.path(), "joined");
        let trials = sweep.trials();
        let (task, model) = (Arc::clone(sweep.first_task()), Arc::new(sweep.models["small"].clone()));
        let store = store_key(&task, model.tokenizer_content);
        let prepare = Prepare { store, task: Arc::clone(&task), tokenizer: model.tokenizer.clone() };
        data::prepare::run(&prepare, layout.stores()).unwrap();
        for trial in &trials {
            fs::create_dir_all(layout.trial(trial.id)).unwrap();
        }
        let pack = Pack { task, model, store, slots: trials, until: std::collections::BTreeMap::new() };
        let executor = LocalExecutor::new(PathBuf::from(env!("CARGO_BIN_EXE_lorasweep")));
        Self { layout, pack, executor, job: JobKey::Report, starts: 0, _folder: folder }
    }

    fn start(&mut self, slots: &[Trial]) {
        let (own, file) = self.job(slots);
        self.job = file.work.key();
        self.executor.start(StartJob { key: self.job, file: &file, folder: &own }).unwrap();
    }

    /// A job's folder, where nothing was told yet, and its file.
    fn job(&mut self, slots: &[Trial]) -> (JobFolder, JobFile) {
        self.starts += 1;
        let own = self.layout.job(JobKey::Train(slots[0].id));
        mailbox::clear(&own).unwrap();
        let pack = Pack { slots: slots.to_vec(), ..self.pack.clone() };
        let (run, stores) = (self.layout.run().to_path_buf(), self.layout.stores().to_path_buf());
        let work = Work::Train(Box::new(pack));
        let file = JobFile {
            start: self.starts,
            run,
            log: own.log(),
            stores,
            placement: place(),
            micro_rows: None,
            checkpoint_every_s: None,
            silence_s: 300.0,
            work,
        };
        files::write_json(&own.file(), &file).unwrap();
        (own, file)
    }

    fn next(&self) -> News {
        self.executor.messages().recv_timeout(PATIENCE).unwrap().news
    }

    fn wait_for(&self, is_it: impl Fn(&ChildLine) -> bool) {
        loop {
            match self.next() {
                News::Said(line) if is_it(&line) => return,
                News::Said(_) => {}
                News::Ended(exit) => panic!("it ended: {exit:?}"),
            }
        }
    }

    fn join(&mut self, trial: &Trial) {
        self.executor.send(self.job, &ToChild::Join { trial: Box::new(trial.clone()), until: None });
    }

    fn end(&self) -> Exit {
        loop {
            if let News::Ended(exit) = self.next() {
                return exit;
            }
        }
    }

    fn learned(&self, trial: &Trial) -> (Scores, Option<Scores>, BTreeMap<u64, f64>) {
        let result: TrialResult = files::read_sealed(&self.layout.result(trial.id)).unwrap().unwrap();
        let text = fs::read_to_string(self.layout.metrics(trial.id)).unwrap();
        let losses = text.lines().filter_map(|line| match serde_json::from_str(line).unwrap() {
            MetricLine::Train { step, loss, .. } => Some((step, loss)),
            MetricLine::Validation { .. } => None,
        });
        (result.validation.unwrap(), result.test, losses.collect())
    }
}

fn place() -> Placement {
    Placement { device: Device::Cpu { slot: 0 }, cores: vec![0] }
}

#[test]
fn a_child_that_is_killed_right_after_a_join_loses_nothing() {
    let (mut whole, mut torn) = (Site::new(), Site::new());
    let trials = whole.pack.slots.clone();
    whole.start(&trials);
    assert_eq!(whole.end(), Exit::Done);

    torn.start(&trials[..2]);
    torn.wait_for(|line| matches!(line, ChildLine::Progress(_)));
    for joiner in &trials[2..] {
        torn.join(joiner);
        torn.wait_for(|line| *line == ChildLine::Joined { trial: joiner.id });
    }
    torn.executor.stop(torn.job, true);
    assert!(matches!(torn.end(), Exit::Failed(_)));
    // Told after its end, it hears nothing and nobody waits for it.
    torn.join(&trials[0]);

    let open: Vec<Trial> =
        trials.iter().filter(|trial| !torn.layout.result(trial.id).exists()).cloned().collect();
    torn.start(&open);
    assert_eq!(torn.end(), Exit::Done);
    for trial in &trials {
        assert_eq!(torn.learned(trial), whole.learned(trial));
    }
}

/// As good as a stopped parent: it hears nothing, and the pipe of the bell is full.
#[test]
fn a_child_whose_bells_nobody_hears_does_its_work() {
    let mut site = Site::new();
    let trial = site.pack.slots[0].clone();
    let (own, _) = site.job(std::slice::from_ref(&trial));
    let (_unread, mut full) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&full).unwrap();
    rustix::fs::fcntl_setfl(&full, flags | OFlags::NONBLOCK).unwrap();
    while full.write(b"\n").is_ok() {}
    rustix::fs::fcntl_setfl(&full, flags).unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_lorasweep"));
    // No other job comes.
    worker.arg("worker").arg(own.path()).stdin(Stdio::null()).stdout(full);
    assert!(worker.status().unwrap().success());
    assert!(site.learned(&trial).2.len() > 1);
    let heard = NewsReader::new(own, site.starts).look();
    assert_eq!(heard.end, Some(End::Waiting));
    assert_eq!(heard.said.last(), Some(&ChildLine::Finished { trial: trial.id }));
}
