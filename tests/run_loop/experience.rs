//! What packs take is kept for the predictions of later runs, and decides nothing else.

use std::fs;
use std::io;

use lorasweep::cost::{Basis, Experience, Processors};
use lorasweep::disk::layout::Layout;
use lorasweep::exec::{Exit, News};
use lorasweep::job::{ChildLine, JobFile, Work};
use lorasweep::record::experience;
use lorasweep::sched::{Remaining, Workload};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Device, Failure, JobKey, KnownGpu, Limits, Placement, Resources, What, Width};

use crate::fake_executor::write_result;
use crate::support::{Outcome, Site, cores, sweep, when_training, work, write_checkpoint};

/// What is known after the runs of a site.
fn known(site: &Site, sweep: &SweepSpec) -> Experience {
    experience::load(&site.layout(sweep), site.options.processors.clone())
}

/// What predictions of a whole sweep rest on.
fn basis(site: &Site, sweep: &SweepSpec) -> Basis {
    let trials = sweep.trials();
    let (remaining, width) = (Remaining::of(sweep, &trials), |_: &_| Width::Cores(1));
    Workload::of(&remaining, site.layout(sweep).run(), &width, &|_| true, &known(site, sweep))
        .basis()
        .unwrap()
}

#[test]
fn what_packs_took_is_what_the_next_sweep_is_predicted_from() {
    let (site, first, other) = (Site::new(), sweep(&[1e-3, 2e-3]), sweep(&[5e-3]));
    let predicted_s = |outcome: &Outcome| outcome.record.foreseen.as_ref().unwrap().training_s;
    assert_eq!(basis(&Site::new(), &other), Basis::Assumed);
    let guessed_s = predicted_s(&Site::new().run(&other, work));
    // Its children are done at once, and each of their results says that all steps took one second.
    site.run(&first, work);
    assert_eq!(basis(&site, &other), Basis::Measured);
    let known_s = predicted_s(&site.run(&other, work));
    // Preparing the store, which is made up too, counts as 0.3 seconds.
    assert!((known_s - 2.3).abs() < 0.05, "two trials, one after the other: {known_s}");
    assert!((guessed_s - 2.3).abs() > 0.2, "a guess that is right says nothing here: {guessed_s}");
}

#[test]
fn what_packs_took_is_told_of_the_gpu_on_which_they_trained() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    let device = |index| Device::Cuda { index };
    let known = |(index, name): (usize, &str)| KnownGpu {
        device: device(index),
        name: name.to_owned(),
        mem_mib: 80_000,
        speed: None,
    };
    let resources = Resources {
        gpus: [0, 1].map(|index| Placement { device: device(index), cores: vec![index] }).to_vec(),
        known: [(0, "A100"), (1, "H100")].map(known).to_vec(),
        ..Resources::default()
    };
    site.options.processors = Processors::new("a core", &resources);
    (site.options.resources, site.options.limits) = (resources, Limits::ALONE);
    site.run(&sweep, work);
    let (known, first) = (self::known(&site, &sweep), &sweep.configurations[0]);
    let kinds = known.kinds(sweep.task(first), sweep.model(first), first, Width::Gpu);
    let bases: Vec<Basis> = kinds.iter().map(|kind| known.rates(kind).1).collect();
    assert_eq!(bases, [Basis::Measured; 2]);
    // Had all been told of one GPU, the other's would follow from it.
    let text = serde_json::to_string(&known.keep()).unwrap();
    assert!(["A100", "H100"].iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn trials_that_continue_or_fail_tell_nothing() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.run(
        &sweep,
        when_training(|trial, layout| {
            write_checkpoint(layout, trial);
            vec![News::Ended(Exit::Interrupted)]
        }),
    );
    site.run(&sweep, work);
    assert_eq!(known(&site, &sweep), Experience::new(site.options.processors.clone(), None), "it continued");
    let site = Site::new();
    let failed = |key: JobKey, file: &JobFile| -> io::Result<Vec<News>> {
        let Work::Train(pack) = &file.work else { return work(key, file) };
        let mut said = vec![News::Said(ChildLine::Failed {
            trial: pack.slots[0].id,
            failure: Failure::Diverged { step: 1 },
        })];
        for trial in &pack.slots[1..] {
            write_result(&Layout::of_run(&file.run), trial.id);
            said.push(News::Said(ChildLine::Finished { trial: trial.id }));
        }
        said.push(News::Ended(Exit::Done));
        Ok(said)
    };
    site.run(&sweep, failed);
    assert_eq!(known(&site, &sweep), Experience::new(site.options.processors.clone(), None), "one failed");
}

#[test]
fn what_trials_train_on_does_not_depend_on_it() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.options.resources = cores(8);
    let widths = |site: &Site| {
        let events = site.run(&sweep, work).events;
        let decided = events.into_iter().filter_map(|event| {
            if let What::WidthsDecided { widths } = event.what { Some(widths) } else { None }
        });
        decided.collect::<Vec<_>>()
    };
    let before = widths(&site);
    assert_eq!(basis(&site, &sweep), Basis::Similar, "measured on other widths than one core");
    fs::remove_dir_all(site.layout(&sweep).run()).unwrap();
    assert_eq!(widths(&site), before);
}
