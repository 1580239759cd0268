//! `lorasweep explain` on runs at work, as their journals tell of them: this process holds their locks.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lorasweep::data::store::store_key;
use lorasweep::disk::files;
use lorasweep::disk::layout::Layout;
use lorasweep::disk::lock::Lock;
use lorasweep::record::journal::Journal;
use lorasweep::sched::{Limits, Policy};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{
    CommandLine, Configuration, ContentHash, Device, Event, Failure, JobKey, Lora, Method, Placement,
    Resources, RunSettings, Splitting, TrialId, TrialsOfWidth, What,
};

use crate::keep::{lorasweep, store, write_store};
use crate::support::{Site, sweep};

const SETTINGS: RunSettings = RunSettings {
    limits: Limits::ALONE,
    policy: Policy { attempts: 3, pause: Duration::from_secs(300), ..Policy::ONCE },
    retry_failed: false,
    no_stop: false,
};

/// A run whose data is prepared, and what has happened in it.
struct Told {
    site: Site,
    sweep: SweepSpec,
    layout: Layout,
}

impl Told {
    fn new(sweep: SweepSpec) -> Self {
        let site = Site::new();
        let layout = site.layout(&sweep);
        fs::create_dir_all(layout.run()).unwrap();
        files::write_json(&layout.sweep(), &sweep).unwrap();
        write_store(&store(&site, &sweep));
        Self { site, sweep, layout }
    }

    fn more(&self, happened: &[What]) {
        let (mut journal, _) = Journal::open(&self.layout.journal()).unwrap();
        for what in happened {
            journal.append(&Event { at: Timestamp::now(), what: what.clone() }).unwrap();
            if let What::RunStarted { resources, .. } = what {
                let trials = self.sweep.trials().iter().map(|trial| trial.id).collect();
                let widths = vec![TrialsOfWidth { width: resources.equal_width(), trials }];
                let what = What::WidthsDecided { widths };
                journal.append(&Event { at: Timestamp::now(), what }).unwrap();
            }
        }
    }

    /// Where the run's first pack trains.
    fn placement(&self) -> Placement {
        let cpu = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0] };
        self.site.options.resources.gpus.first().cloned().unwrap_or(cpu)
    }

    fn started(&self, settings: Option<RunSettings>) -> What {
        What::RunStarted {
            pid: 1,
            host: String::new(),
            version: String::new(),
            command_line: CommandLine::default(),
            resources: self.site.options.resources.clone(),
            settings: settings.map(Box::new),
        }
    }

    /// The events of a trial's start.
    fn launched(&self, n: usize) -> [What; 2] {
        let (trial, key) = (self.id(n), self.key(n));
        let placement = self.placement();
        [
            What::JobLaunching { key, attempt: 1, placement, trials: vec![trial] },
            What::JobStarted { key, pid: 77 },
        ]
    }

    fn id(&self, n: usize) -> TrialId {
        self.sweep.trials()[n].id
    }

    fn key(&self, n: usize) -> JobKey {
        JobKey::Train(self.id(n))
    }

    /// What is told of a trial while the run is at work.
    fn live(&self, n: usize) -> String {
        let _held = Lock::acquire(&self.layout.lock()).unwrap();
        self.after(n)
    }

    /// The same afterwards.
    fn after(&self, n: usize) -> String {
        let said = lorasweep("explain", &self.layout, &[&self.id(n).to_string()]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.stdout
    }
}

#[test]
fn a_trial_that_starts_again_waits_and_is_not_interrupted() {
    let told = Told::new(sweep(&[1e-3]));
    told.more(&[told.started(Some(SETTINGS))]);
    told.more(&told.launched(0));
    assert!(told.live(0).contains("it trains on cpu:0, in process 77"), "{}", told.live(0));
    told.more(&[What::JobFailed { key: told.key(0), failure: Failure::Killed { signal: 9 } }]);
    let said = told.live(0);
    assert!(
        said.contains("\nwaiting, attempts: 1\nit failed once, and pauses before its next start"),
        "{said}"
    );
    assert!(told.after(0).contains("it was interrupted; the next run continues it"), "{}", told.after(0));
    told.more(&[What::StopRequested { force: false }]);
    assert!(told.live(0).contains("the run is ending"), "{}", told.live(0));
}

/// Adapters, which train together, on a GPU, where as many do as there are slots.
fn adapters(learning_rates: &[f64]) -> SweepSpec {
    let sweep = sweep(learning_rates);
    let (task, model) = (Arc::clone(sweep.first_task()), sweep.models["small"].clone());
    let method = Method::Lora(Lora::new(&["query", "value"], 4, 8.0));
    let adapted = |one: &Arc<Configuration>| {
        Arc::new(Configuration::new(&task, &model, method.clone(), one.training.clone()))
    };
    let configurations = sweep.configurations.iter().map(adapted).collect();
    sweep.with(|sweep| sweep.configurations = configurations).unwrap()
}

#[test]
fn the_order_is_that_of_the_packs_that_the_run_makes() {
    for (limits, order) in [
        (Limits::ALONE, "2 packs start before it"),
        (Limits { slots: 2, ..Limits::default() }, "one pack starts before it"),
        (Limits::default(), "it is next, and it is expected to start on cuda:0 with 2 others"),
    ] {
        let mut told = Told::new(adapters(&[1e-3, 2e-3]));
        let gpu = Placement { device: Device::Cuda { index: 0 }, cores: vec![0] };
        told.site.options.resources = Resources { gpus: vec![gpu], ..Resources::default() };
        told.more(&[told.started(Some(RunSettings { limits, ..SETTINGS }))]);
        told.more(&told.launched(0));
        assert!(told.live(3).contains(order), "{order}: {}", told.live(3));
    }
}

#[test]
fn what_failed_before_is_tried_again_where_the_run_was_asked_to() {
    let told = Told::new(sweep(&[1e-3]));
    told.more(&[told.started(Some(SETTINGS))]);
    told.more(&told.launched(0));
    let failure = Failure::DeviceFailed { message: "CUDA error".to_owned() };
    told.more(&[What::TrialFailed { trial: told.id(0), failure }, What::JobFinished { key: told.key(0) }]);
    let failed = "\nfailed, attempts: 1\nit failed: ";
    assert!(told.after(0).contains(failed), "{}", told.after(0));
    assert!(told.after(0).contains("`--retry-failed` runs it again"), "{}", told.after(0));
    told.more(&[told.started(Some(SETTINGS))]);
    assert!(told.live(0).contains(failed), "{}", told.live(0));
    told.more(&[told.started(Some(RunSettings { retry_failed: true, ..SETTINGS }))]);
    let said = told.live(0);
    assert!(said.contains("\nwaiting, attempts: 1\nit waits for a free device; it is next"), "{said}");
}

#[test]
fn a_run_of_before_that_wrote_no_settings_does_not_tell() {
    let told = Told::new(sweep(&[1e-3]));
    told.more(&[told.started(None)]);
    assert!(told.live(0).contains("the running sweep does not record for what"), "{}", told.live(0));
}

#[test]
fn a_failed_preparation_keeps_only_those_waiting_that_need_it() {
    let one = sweep(&[1e-3]);
    let mut other = one.models["small"].clone();
    (other.name, other.tokenizer_content) = ("other".to_owned(), ContentHash::of_bytes(b"another tokenizer"));
    let (task, first) = (one.first_task(), &one.configurations[0]);
    let training = first.training.clone();
    let second = Configuration::new(task, &other, first.method.clone(), training);
    let key = JobKey::Prepare(store_key(task, other.tokenizer_content));
    let two = one.with(|sweep| {
        sweep.configurations.push(Arc::new(second));
        sweep.models.insert(other.name.clone(), other);
    });
    let told = Told::new(two.unwrap());
    let launching = What::JobLaunching { key, attempt: 1, placement: told.placement(), trials: Vec::new() };
    let failure = Failure::BadData { message: "no such file".to_owned() };
    told.more(&[told.started(Some(SETTINGS)), launching, What::JobFailed { key, failure }]);
    let needs = format!("it needs job `{key}`, which failed: ");
    for said in [told.live(2), told.after(2)] {
        assert!(said.contains(&needs) && said.contains("no such file\nlog: "), "{said}");
    }
    assert!(told.live(0).contains("it waits for a free device"), "{}", told.live(0));
    assert!(told.after(0).contains("it waits: no process is working on this run"), "{}", told.after(0));
}

#[test]
fn a_configuration_names_its_one_trial_or_is_told_with_all_of_them() {
    let one = sweep(&[1e-3]);
    let several = Told::new(one.clone());
    let id = one.configurations[0].id.to_string();
    for command in ["explain", "logs"] {
        let said = lorasweep(command, &several.layout, &[&id]);
        assert!(said.code == 2 && said.stdout.is_empty(), "{}", said.stdout);
        let message = format!("`{id}` stands for 1 configuration with 2 trials");
        let trials = format!("`{}` (fold 1/2), `{}` (fold 2/2)", several.id(0), several.id(1));
        assert!(said.stderr.contains(&message) && said.stderr.contains(&trials), "{}", said.stderr);
    }
    let splitting = Splitting::HoldOut { fraction: 0.5, stratified: true, seed: 1 };
    let single = Told::new(one.with(|sweep| sweep.splitting = splitting).unwrap());
    single.more(&[single.started(Some(SETTINGS))]);
    let said = lorasweep("explain", &single.layout, &[&id]);
    assert!(said.code == 0 && said.stdout.starts_with(&single.id(0).to_string()), "{}", said.stderr);
}
