//! Points that are proposed while a sweep runs: what of them is known before, and what they become.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{HEAD, Report, Sources, check, drawn, expand_in, ids, model, overrides, raw, task, tree};
use crate::search::{Outcome, Tried};
use crate::spec::grid;
use crate::sweep::{Block, Proposing, SweepParts, SweepSpec};
use crate::tasks::Task;
use crate::values::{Configuration, ConfigurationId, Place, Point, Select, Splitting};

const SEARCH: &str = "search: {sampler: tpe, trials: 24, generation: 8, seed: 1}";

/// The sweep of a grid, and its warnings.
fn sweep_of(grid: &str, only: &[&str]) -> (SweepSpec, Vec<String>) {
    let text = format!("{HEAD}{grid}\n{SEARCH}\n");
    let tree = tree::parse(&text).unwrap();
    let mut report = Report::new(Sources::new("proposed.yaml".to_owned(), text));
    let mut raw = raw::read(&tree, &mut report);
    let only: Vec<String> = only.iter().map(ToString::to_string).collect();
    let only = overrides::only(&only, &mut report);
    drawn::complete(&mut raw, &only, &mut report);
    let points = check::grid::check(&raw, &only, &mut report);
    assert!(!report.has_errors(), "{}", report.into_errors());
    let tasks = raw.tasks.iter().map(|raw| {
        let name = raw.name.value.clone();
        let task = Task { name: name.clone(), sample_seed: name.len() as u64, ..task("/") };
        (name, Arc::new(task))
    });
    let tasks: BTreeMap<_, _> = tasks.collect();
    let models: BTreeMap<_, _> = ["m", "n"].map(|name| (name.to_owned(), model(name, "/"))).into();
    let sweep = SweepSpec::try_from(SweepParts {
        name: "proposed".to_owned(),
        configurations: grid::configurations(&points, &tasks, &models, &Select::Kinds),
        tasks,
        models,
        proposing: raw.proposing.clone(),
        splitting: Splitting::File,
        select: Select::Kinds,
        stop: None,
        drawn: None,
        refits: Vec::new(),
        only: Vec::new(),
        devices: crate::sweep::DeviceRequest::Auto,
        warnings: Vec::new(),
        cards: Vec::new(),
    });
    (sweep.unwrap(), report.into_warnings())
}

fn sweep(grid: &str) -> SweepSpec {
    sweep_of(grid, &[]).0
}

fn proposing(sweep: &SweepSpec) -> &Proposing {
    sweep.proposing.as_ref().unwrap()
}

/// All points of a block, where the loss is the distance of the learning rate from 1e-3.
fn all_points(sweep: &SweepSpec, block: &Block) -> Vec<Point> {
    let mut history: Vec<Tried> = Vec::new();
    loop {
        let points = proposing(sweep).next(block, &history);
        if points.is_empty() {
            return history.into_iter().map(|tried| tried.point).collect();
        }
        for point in points {
            let one = &sweep.configurations_of(block, &point)[0];
            let score = (one.training.learning_rate.log10() + 3.0).abs();
            history.push(Tried { point, outcome: Outcome::Finished { score } });
        }
    }
}

/// A block that lists a configuration's settings.
fn listed(one: &Configuration) -> String {
    let lora = one
        .method
        .lora()
        .map_or(String::new(), |lora| format!("rank: {}, alpha: {}, ", lora.rank, lora.alpha));
    let Configuration { training, .. } = one;
    format!(
        "{{task: {}, method: {}, model: {}, {lora}learning_rate: {}, batch_size: {}, schedule: {}, seed: {}}}",
        one.task,
        one.method.name(),
        one.model,
        training.learning_rate,
        training.batch_size,
        training.schedule.name(),
        training.seed
    )
}

const MIXED: &str = "grid: [{method: [lora, full], model: [m, n], rank: {int_log_uniform: [4, 64]}, \
     alpha: {times: rank, by: [1, 2]}, learning_rate: {log_uniform: [1e-5, 1e-1]}, batch_size: [16, 8, 32], \
     schedule: [linear, cosine], seed: [1, 2], exclude: [{schedule: cosine, model: n}, {seed: 2, batch_size: 8}]}]\n\
     training: {warmup: 0.1}";

#[test]
fn the_configurations_of_points_have_the_ids_of_a_file_that_lists_them() {
    let sweep = sweep(MIXED);
    let [block] = &proposing(&sweep).blocks[..] else { panic!("one block has a range") };
    let points = all_points(&sweep, block);
    assert_eq!(points.len(), 24);
    let of: Vec<Vec<Arc<Configuration>>> =
        points.iter().map(|point| sweep.configurations_of(block, point)).collect();
    let all: Vec<Arc<Configuration>> = of.iter().flatten().cloned().collect();
    let blocks: Vec<String> = all.iter().map(|one| listed(one)).collect();
    let written = format!("grid: [{}]\ntraining: {{warmup: 0.1}}", blocks.join(", "));
    assert_eq!(ids(&expand_in("/", &written, &[]).unwrap()), ids(&all));
    for (point, of) in points.iter().zip(&of) {
        assert_eq!(
            of.len(),
            if of[0].training.batch_size == 8 { 1 } else { 2 },
            "one for each seed but for batches of 8"
        );
        assert_eq!(
            point.0.iter().filter(|place| place.is_none()).count(),
            if of[0].method.lora().is_some() { 0 } else { 2 }
        );
        assert!(of.iter().all(|one| one.model == "m" || one.training.schedule.name() == "linear"));
        assert!(
            of.iter().all(|one| (one.training.warmup, one.training.learning_rate)
                == (0.1, of[0].training.learning_rate))
        );
    }
    assert!(
        of.iter()
            .flatten()
            .any(|one| one.method.lora().is_some_and(|lora| lora.alpha == 2.0 * lora.rank as f64))
    );
    let first: BTreeSet<ConfigurationId> = of[..8].iter().flatten().map(|one| one.id).collect();
    assert_eq!(ids(&sweep.configurations), first, "the first generation is in the grid");
}

#[test]
fn the_first_generation_is_that_of_a_sobol_sequence() {
    let block =
        "{method: lora, model: m, rank: {int_uniform: [4, 64]}, learning_rate: {log_uniform: [1e-4, 1e-2]}}";
    let sobol = format!("grid: [{block}]\nsearch: {{sampler: sobol, trials: 8, seed: 1}}\n");
    let first = sweep(&format!("grid: [{block}]")).configurations.clone();
    assert_eq!(expand_in("/", &sobol, &[]).unwrap(), first);
}

#[test]
fn a_written_sweep_proposes_as_it_did() {
    let sweep = sweep(MIXED);
    let read: SweepSpec = serde_json::from_str(&serde_json::to_string(&sweep).unwrap()).unwrap();
    assert_eq!(read, sweep);
    let points = all_points(&read, &proposing(&read).blocks[0]);
    assert_eq!(points, all_points(&sweep, &proposing(&sweep).blocks[0]));
    let written: Vec<Point> = serde_json::from_str(&serde_json::to_string(&points).unwrap()).unwrap();
    assert_eq!(written, points);
    let of = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(&sweep).unwrap();
        change(&mut json["proposing"]["blocks"][0]);
        serde_json::from_value::<SweepSpec>(json).unwrap_err().to_string()
    };
    assert!(of(&|block| block["sets"] = serde_json::json!([])).contains("does not fit its space"));
    assert!(
        of(&|block| block["given"] = serde_json::json!({"warmup": [2.0]})).contains("`warmup` cannot be 2.0")
    );
    assert!(
        of(&|block| block["given"] = serde_json::json!({"gone": [2.0]})).contains("there is no axis `gone`")
    );
}

#[test]
fn a_point_of_another_space_has_no_configuration() {
    let sweep = sweep(MIXED);
    let block = &proposing(&sweep).blocks[0];
    let good = proposing(&sweep).next(block, &[])[0].clone();
    for place in [None, Some(Place::Item(7)), Some(Place::Value(0.5))] {
        let mut point = good.clone();
        point.0[0] = place;
        assert!(sweep.configurations_of(block, &point).is_empty());
    }
    assert!(sweep.configurations_of(block, &Point(good.0[1..].to_vec())).is_empty());
}

#[test]
fn what_is_left_out_is_not_proposed() {
    let (sweep, warnings) = sweep_of(MIXED, &["method=lora", "seed=1"]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(sweep.configurations.len(), 8, "the first generation is full");
    for point in all_points(&sweep, &proposing(&sweep).blocks[0]) {
        let all = sweep.configurations_of(&proposing(&sweep).blocks[0], &point);
        assert!(all.len() == 1 && all[0].method.lora().is_some() && all[0].training.seed == 1);
    }
    let (few, warnings) =
        sweep_of("grid: [{method: lora, model: m, learning_rate: 1, rank: {int_uniform: [4, 6]}}]", &[]);
    assert_eq!(few.configurations.len(), 3);
    assert!(warnings.iter().any(|told| told.contains("24 points asked for, 3 there")), "{warnings:?}");
}

#[test]
fn every_combination_that_may_be_proposed_is_checked_before() {
    let text = format!("{HEAD}{MIXED}\n{SEARCH}\n");
    let tree = tree::parse(&text).unwrap();
    let mut report = Report::new(Sources::new("proposed.yaml".to_owned(), text));
    let mut raw = raw::read(&tree, &mut report);
    drawn::complete(&mut raw, &[], &mut report);
    let possible = check::grid::possible(&raw, &[], &[], &mut report);
    let met: BTreeSet<_> =
        possible.iter().map(|point| (point.method().unwrap().name(), point.model().unwrap().value)).collect();
    assert_eq!(met.len(), 4);
}

#[test]
fn wrong_searches_are_told() {
    let told = |block: &str, search: &str| {
        expand_in("/", &format!("grid: [{{method: lora, model: m, {block}}}]\nsearch: {search}\n"), &[])
            .unwrap_err()
    };
    let rate = "learning_rate: {log_uniform: [1e-4, 1e-2]}";
    assert!(
        told(rate, "{trials: 8, generation: 4}")
            .contains("points are proposed in generations by `sampler: tpe`, and with a `budget`")
    );
    assert!(told(rate, "{sampler: tpe, trials: 8, generation: 0}").contains("from 1 to 1000"));
    assert!(
        told(rate, "{trials: 8, budget: soon}").contains("a length of time, such as `90m`, `2h` or `1h 30m`")
    );
    assert!(told("learning_rate: 1", "{budget: 2h}").contains("a grid, which is trained whole"));
    assert!(told(rate, "{sampler: tpe, generation: 4}").contains("missing key `trials`"));
    assert!(
        told(rate, "{sampler: bayesian, trials: 8}").contains("the sampler like `bayesian` is called `tpe`")
    );
    let tied = "learning_rate: 1, dropout: {uniform: [0.1, 0.6]}, warmup: {times: dropout, by: 2}";
    assert!(told(tied, "{sampler: tpe, trials: 8}").contains("a multiple out of its range"));
}

/// What tells searches apart is what is drawn and trained, and not what each point is repeated with.
#[test]
fn each_block_is_a_search_of_its_own() {
    let keys = |grid: &str| proposing(&sweep(grid)).keys();
    let range = "learning_rate: {log_uniform: [1e-5, 1e-1]}";
    let block = |more: &str| format!("{{method: lora, model: m, {range}{more}}}");
    let one = keys(&format!("grid: [{}]", block("")));
    assert_eq!(keys(&format!("grid: [{}]", block(", seed: [1, 2, 3]"))), one, "seeds are added");
    let two = keys(&format!("grid: [{}, {}]", block(", seed: 1"), block(", seed: 2")));
    assert!(two[0] == one[0] && two[1] != two[0], "{two:?}");
    for other in [", rank: 8", ", exclude: [{method: full}]"] {
        assert_ne!(keys(&format!("grid: [{}]", block(other))), one, "{other}");
    }
    assert_ne!(keys(&format!("grid: [{}]\ntraining: {{epochs: 9}}", block(""))), one);
}

#[test]
fn what_a_small_space_lacks_is_not_waited_for() {
    let left = |rank: &str| {
        let grid =
            format!("grid: [{{method: lora, model: m, learning_rate: 1, rank: {{int_uniform: {rank}}}}}]");
        proposing(&sweep_of(&grid, &[]).0).left(&[])
    };
    assert_eq!([left("[4, 6]"), left("[4, 14]"), left("[4, 400]")], [0, 3, 16]);
}
