//! Laws of the grid and of reading, without a file in sight.

mod proposed;
mod ranges;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::error::Report;
use super::raw::RawAxis;
use super::source::Sources;
use super::survey::Survey;
use super::{check, drawn, grid, overrides, raw, tree};
use crate::families::{Architecture, BertConfig, ModelSpec, Weights};
use crate::tasks::{DataFile, Task};
use crate::values::{Configuration, ConfigurationId, ContentHash, Metric};

const HEAD: &str =
    "name: laws\ntask: {train: t.csv, text: text, label: label}\nmodels: {m: {from: m}, n: {from: n}}\n";

fn task(folder: &str) -> Task {
    let train = DataFile {
        path: PathBuf::from(folder).join("t.csv"),
        content: ContentHash::of_bytes(b"t"),
        rows: 9,
        rows_read: None,
        text_bytes: 90,
    };
    Task::classification(train, "text", "label", &["no", "yes"])
}

fn model(name: &str, folder: &str) -> ModelSpec {
    let path = PathBuf::from(folder).join(name);
    ModelSpec {
        name: name.to_owned(),
        tokenizer: path.join("vocab.txt"),
        weights: Weights::Folder { path, content: ContentHash::of_bytes(name.as_bytes()) },
        tokenizer_content: ContentHash::of_bytes(b"vocab"),
        parts: crate::families::Parts::default(),
        architecture: Architecture::Bert(BertConfig { num_hidden_layers: 1, ..BertConfig::default() }),
    }
}

/// The configurations of a grid whose files stand in `folder`, or the errors.
fn expand_in(folder: &str, grid: &str, only: &[&str]) -> Result<Vec<Arc<Configuration>>, String> {
    let text = if grid.starts_with("name:") { grid.to_owned() } else { format!("{HEAD}{grid}") };
    let tree = tree::parse(&text).map_err(|error| error.message)?;
    let mut report = Report::new(Sources::new("laws.yaml".to_owned(), text));
    let mut raw = raw::read(&tree, &mut report);
    let only: Vec<String> = only.iter().map(ToString::to_string).collect();
    let only: Vec<RawAxis> = overrides::only(&only, &mut report);
    drawn::complete(&mut raw, &only, &mut report);
    let models: BTreeMap<_, _> = ["m", "n"].map(|name| (name.to_owned(), model(name, folder))).into();
    let points = check::grid::check(&raw, &only, &mut report);
    let named = check::select::check(&raw, &mut report);
    if report.has_errors() {
        return Err(report.into_errors().to_string());
    }
    let tasks = raw.tasks.iter().map(|raw| {
        let name = raw.name.value.clone();
        // Every task has files of its own.
        let task = Task { name: name.clone(), sample_seed: name.len() as u64, ..task(folder) };
        (name, Arc::new(task))
    });
    let tasks: BTreeMap<_, _> = tasks.collect();
    let select = check::select::chosen(tasks.values().map(AsRef::as_ref), &named);
    Ok(grid::configurations(&points, &tasks, &models, &select))
}

fn expand(grid: &str) -> Vec<Arc<Configuration>> {
    expand_in("/data", grid, &[]).unwrap()
}

fn ids(configurations: &[Arc<Configuration>]) -> BTreeSet<ConfigurationId> {
    configurations.iter().map(|configuration| configuration.id).collect()
}

/// Rank and alpha of each configuration.
fn shapes(configurations: &[Arc<Configuration>]) -> Vec<(usize, f64)> {
    configurations.iter().filter_map(|c| c.method.lora().map(|lora| (lora.rank, lora.alpha))).collect()
}

#[test]
fn a_block_is_the_product_of_its_axes_and_the_grid_the_union_of_its_blocks() {
    let block = "{method: lora, model: [m, n], rank: [4, 8], alpha: [8, 16, 32], learning_rate: 1e-3}";
    assert_eq!(expand(&format!("grid: [{block}]")).len(), 12);
    let other = "{method: full, model: m, learning_rate: [1e-4, 2e-4]}";
    assert_eq!(expand(&format!("grid: [{block}, {other}]")).len(), 14);
    let order =
        shapes(&expand("grid: [{method: lora, model: m, rank: [4, 8], alpha: [8, 16], learning_rate: 1}]"));
    assert_eq!(order, [(4, 8.0), (4, 16.0), (8, 8.0), (8, 16.0)]);
}

#[test]
fn equal_configurations_appear_once() {
    let once = expand("grid: [{method: lora, model: m, rank: 8, learning_rate: 1e-3}]");
    let often = "grid:
  - {method: lora, model: m, rank: [8, 8], learning_rate: 0.001}
  - {method: lora, model: m, alpha: 16.0, targets: [[value, query], [query, value]], learning_rate: 1e-3}";
    assert_eq!(ids(&expand(often)), ids(&once));
    assert_eq!(expand(often).len(), 1);
}

#[test]
fn axes_that_do_not_apply_to_a_method_never_multiply_it() {
    let grid = "grid: [{method: [lora, dora, full, scratch], model: m, rank: [4, 8], alpha: [8, 16], learning_rate: [1, 2]}]";
    let names: Vec<&str> = expand(grid).iter().map(|c| c.method.name()).collect();
    let of = |method: &str| names.iter().filter(|name| **name == method).count();
    assert_eq!(["lora", "dora", "full", "scratch"].map(of), [8, 8, 2, 2]);
    let error =
        expand_in("/", "grid: [{method: full, model: m, rank: 4, learning_rate: 1}]", &[]).unwrap_err();
    assert!(error.contains("axis `rank` does not apply to `full`"), "{error}");
}

#[test]
fn a_model_that_does_not_train_is_one_trial_whatever_the_training() {
    let grid =
        "grid: [{method: [base, full], model: m, learning_rate: [1, 2], epochs: [1, 2], batch_size: [8, 16],
        schedule: [linear, cosine]}, {method: base, model: m}]\ntraining: {batch_size: 8, warmup: 0.1}";
    let all = expand(grid);
    let of = |method: &str| all.iter().filter(|c| c.method.name() == method).count();
    assert_eq!((of("base"), of("full")), (2, 16));
    assert_eq!(expand("grid: [{method: base, model: m, seed: [1, 2]}]").len(), 2);
    let error = expand_in("/", "grid: [{method: base, model: m, epochs: 2}]", &[]).unwrap_err();
    assert!(error.contains("axis `epochs` does not apply to `base`"), "{error}");
    let error = expand_in("/", "grid: [{method: [base, full], model: m}]", &[]).unwrap_err();
    assert!(error.contains("missing key `learning_rate`"), "{error}");
}

#[test]
fn recomputing_gives_the_same_trials_and_cannot_be_compared() {
    let ids = |more: &str| {
        let grid = format!("grid: [{{method: [base, lora], model: m, learning_rate: 1{more}}}]");
        expand(&grid).iter().map(|c| (c.id, c.training.recompute)).collect::<Vec<_>>()
    };
    let (plain, again) = (ids(""), ids(", recompute: true"));
    assert!(plain.iter().map(|(id, _)| id).eq(again.iter().map(|(id, _)| id)));
    assert_eq!([&plain, &again].map(|all| all[1].1), [false, true]);
    assert!(!again[0].1, "what does not train goes back through no layer");
    let error =
        expand_in("/", "grid: [{method: full, model: m, learning_rate: 1, recompute: [true, false]}]", &[]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("`recompute` is a list of 2 values") && error.contains("allowed: one value"),
        "{error}"
    );
}

#[test]
fn precision_is_an_axis_of_every_method_and_32_bits_are_the_default() {
    let grid = "grid: [{method: [base, full], model: m, learning_rate: 1, precision: [fp32, bf16]}]";
    assert!(expand(grid).iter().map(|c| c.training.precision.name()).eq(["fp32", "bf16", "fp32", "bf16"]));
    let plain = expand("grid: [{method: [base, full], model: m, learning_rate: 1}]");
    assert!(ids(&plain).is_subset(&ids(&expand(grid))));
    let error = expand_in("/", "grid: [{method: base, model: m}]\ntraining: {precision: bf32}", &[]);
    let error = error.unwrap_err();
    assert!(error.contains("`precision` is `bf32`") && error.contains("allowed: `fp32`, `bf16`"), "{error}");
}

const TWO_TASKS: &str = "name: laws\nmodels: {m: {from: m}, n: {from: n}}\n\
    tasks: {a: {train: t.csv, text: text, label: label}, b2: {train: t.csv, text: text, label: label}}\n";

#[test]
fn every_task_is_learned_unless_a_block_names_some() {
    let names = |grid: &str, only: &[&str]| -> Vec<String> {
        let all = expand_in("/", &format!("{TWO_TASKS}{grid}"), only).unwrap();
        all.iter().map(|c| format!("{} {}", c.task, c.method.name())).collect()
    };
    let grid = "grid: [{method: full, model: m, learning_rate: 1}, {method: scratch, model: m, task: b2, learning_rate: 1}]";
    assert_eq!(names(grid, &[]), ["a full", "b2 full", "b2 scratch"]);
    assert_eq!(names(grid, &["task=a"]), ["a full"]);
    let zip = "grid: [{method: full, task: [a, b2], model: [m, n], learning_rate: 1, zip: [[task, model]]}]";
    assert_eq!(names(zip, &[]).len(), 2);
    let unknown = format!("{TWO_TASKS}grid: [{{method: full, model: m, task: b, learning_rate: 1}}]");
    assert!(expand_in("/", &unknown, &[]).unwrap_err().contains("unknown task `b`"));
}

#[test]
fn modules_to_save_are_one_value_and_can_be_none() {
    let saved = |text: &str| -> Vec<Vec<String>> {
        let grid = format!("grid: [{{method: lora, model: m, learning_rate: 1, modules_to_save: {text}}}]");
        expand(&grid).iter().map(|c| c.method.lora().unwrap().modules_to_save.clone()).collect()
    };
    assert_eq!(saved("[]"), [[""; 0]]);
    assert_eq!(saved("[pooler, head, head]"), [["head", "pooler"]]);
    assert_eq!(saved("[[], [head]]"), [vec![], vec!["head"]]);
}

#[test]
fn zipped_axes_move_together_and_exclusions_leave_points_out() {
    let zip = "grid: [{method: lora, model: m, rank: [4, 8], alpha: [8, 16], learning_rate: 1, zip: [[rank, alpha]]}]";
    assert_eq!(shapes(&expand(zip)), [(4, 8.0), (8, 16.0)]);
    let bad = zip.replace("[4, 8]", "[none, 0]");
    assert!(
        expand_in("/data", &bad, &[]).unwrap_err().contains("`rank`"),
        "nothing is left of an axis of a zip"
    );
    let methods = "grid: [{method: [lora, full], model: m, rank: [4, 8], learning_rate: [1, 2], zip: [[method, learning_rate]]}]";
    let rates: Vec<_> = expand(methods).iter().map(|c| (c.method.name(), c.training.learning_rate)).collect();
    assert_eq!(rates, [("lora", 1.0), ("lora", 1.0), ("full", 2.0)]);
    let exclude = "grid: [{method: [lora, full], model: m, rank: [4, 8], alpha: [8, 16], learning_rate: 1,
        exclude: [{rank: 4, alpha: 16}, {rank: 8, alpha: [8, 99]}]}]";
    assert_eq!(shapes(&expand(exclude)), [(4, 8.0), (8, 16.0)]);
    assert_eq!(expand(exclude).len(), 3);
}

#[test]
fn only_keeps_the_points_that_have_the_values() {
    let grid = "grid: [{method: [lora, full], model: m, rank: [4, 8, 16], learning_rate: 1}]";
    let kept = |only: &[&str]| expand_in("/", grid, only).unwrap().len();
    assert_eq!((kept(&[]), kept(&["method=full"]), kept(&["rank=[4, 16]"])), (4, 1, 2));
    assert_eq!((kept(&["rank=4", "rank=8"]), kept(&["rank=4", "method=lora"])), (2, 1));
    assert!(expand_in("/", grid, &["rank=5"]).unwrap_err().contains("allowed: `4`, `8`, `16`"));
    assert!(expand_in("/", grid, &["rank=4", "method=full"]).is_err());
}

#[test]
fn ids_do_not_depend_on_where_files_stand() {
    let grid = "grid: [{method: [lora, full], model: [m, n], learning_rate: [1, 2]}]";
    assert_eq!(ids(&expand_in("/a", grid, &[]).unwrap()), ids(&expand_in("/b/c", grid, &[]).unwrap()));
}

#[test]
fn training_gives_what_a_block_does_not() {
    let grid = "grid: [{method: full, model: m}, {method: full, model: m, seed: [1, 2]}]\ntraining: {learning_rate: 0.5, seed: 7}";
    let settings: Vec<_> = expand(grid).iter().map(|c| (c.training.learning_rate, c.training.seed)).collect();
    assert_eq!(settings, [(0.5, 7), (0.5, 1), (0.5, 2)]);
}

#[test]
fn anchors_work_and_their_errors_are_told_once() {
    let grid = |rank: &str| {
        format!(
            "grid: [&base {{method: lora, model: m, rank: {rank}, learning_rate: 1}}, {{<<: *base, model: n}}, *base]"
        )
    };
    assert_eq!(expand(&grid("[4, 8]")).len(), 4);
    let error = expand_in("/", &grid("[4, 0]"), &[]).unwrap_err();
    assert_eq!(error.matches("`rank` is `0`").count(), 1, "{error}");
}

fn list(values: &BTreeSet<u32>) -> String {
    format!("[{}]", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_follow_the_lists_and_order_decides_no_id(
        ranks in prop::collection::btree_set(1..64_u32, 1..4),
        alphas in prop::collection::btree_set(1..64_u32, 1..4),
        rates in prop::collection::btree_set(1..64_u32, 1..4),
    ) {
        let (r, a, l) = (list(&ranks), list(&alphas), list(&rates));
        let forth = format!(
            "grid:\n  - {{method: [lora, full], model: m, rank: {r}, alpha: {a}, learning_rate: {l}}}\n  \
             - {{method: scratch, model: n, learning_rate: {l}}}"
        );
        let back = format!(
            "grid:\n  - {{model: n, learning_rate: {l}, method: scratch}}\n  \
             - {{learning_rate: {l}, alpha: {a}, model: m, rank: {r}, method: [full, lora]}}"
        );
        let configurations = expand(&forth);
        prop_assert_eq!(configurations.len(), rates.len() * (ranks.len() * alphas.len() + 2));
        prop_assert_eq!(ids(&configurations).len(), configurations.len());
        prop_assert_eq!(ids(&configurations), ids(&expand(&back)));
    }

    #[test]
    fn a_damaged_file_gives_errors_and_never_a_panic(at in 0..1_000_usize, length in 0..9_usize, with in "[a-z0-9:,{}\\[\\]&*!\" \n-]{0,6}") {
        let mut text = format!(
            "{HEAD}grid: [{{method: [lora, full], model: m, rank: [4, 8], learning_rate: 1e-3, zip: [[rank, model]], \
             exclude: [{{rank: 4}}]}}]\nkfold: {{k: 3}}\ntraining: {{epochs: 2, clip_norm: null}}\ndevices: cpu:2\n"
        );
        let start = at % text.len();
        let end = (start + length).min(text.len());
        text.replace_range(start..end, &with);
        if let Ok(tree) = tree::parse(&text) {
            let mut report = Report::new(Sources::new("laws.yaml".to_owned(), text));
            let raw = raw::read(&tree, &mut report);
            let points = check::grid::check(&raw, &[], &mut report);
            // Without a survey nothing can be sound, but everything else is judged.
            let points = check::Points { configured: &points, possible: &points };
            if check::check(&raw, points, &Survey::default(), None, &mut report).is_none() {
                prop_assert!(report.into_errors().to_string().contains("nothing was started"));
            }
        }
    }
}

const KEPT: &str = "grid:\n  - {method: full, model: m, learning_rate: 1e-3, keep: [last, best]}\n";

/// What selects decides no result, unless the weights that it finds best are kept.
#[test]
fn the_metric_that_selects_is_in_the_ids_of_kept_weights_alone() {
    let selecting = |metric: &str| expand(&format!("select: {metric}\n{KEPT}"));
    let plain = expand(KEPT);
    assert_eq!(ids(&selecting("accuracy")), ids(&plain), "it is the default");
    let [last, best] = &selecting("macro_f1")[..] else { panic!("two points") };
    assert_eq!((last.id, last.training.keep_by), (plain[0].id, None));
    assert_ne!(best.id, plain[1].id);
    assert_eq!(best.training.keep_by, Some(Metric::MacroF1));
}

#[test]
fn a_metric_that_the_task_lacks_is_refused_with_the_one_that_was_meant() {
    let allowed = "`accuracy`, `macro_f1`, `macro_precision`, `macro_recall`, `weighted_f1`, \
                   `matthews`, `loss`, `auroc` for tasks of kind `classification`";
    for (written, meant) in [
        ("f1", "macro_f1"),
        ("macro-F1", "macro_f1"),
        ("f1_macro", "macro_f1"),
        ("eval_accuracy", "accuracy"),
        ("acuracy", "accuracy"),
        ("val_loss", "loss"),
    ] {
        let error = expand_in("/data", &format!("select: {written}\n{KEPT}"), &[]).unwrap_err();
        assert!(error.contains(&format!("`select` is `{written}`")), "{error}");
        assert!(error.contains(allowed), "{error}");
        assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
    }
    let other = expand_in("/data", &format!("select: perplexity\n{KEPT}"), &[]).unwrap_err();
    assert!(other.contains(allowed) && !other.contains("did you mean"), "{other}");
}
