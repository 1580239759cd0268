//! Reports of language models, of generated answers and of regressions: what is better, what is taken together, and
//! what is never compared.
#![expect(clippy::unwrap_used, reason = "a record that cannot be made ends its test")]

mod report_kinds;
mod report_numbers;
mod report_record;

use std::collections::BTreeSet;
use std::fs;

use lorasweep::record::{RunRecord, TrialRecord, TrialState};
use lorasweep::report::findings::Findings;
use lorasweep::report::plots::charts;
use lorasweep::report::{self, frames, html, markdown};
use lorasweep::sweep::SweepParts;
use lorasweep::values::{Count, Method, MethodKind, Metric, MetricLine, Select, axes};

use report_kinds::kinds_record;
use report_record::{answer_record, language_record, lora, record, record_of, training};

fn page(record: &RunRecord) -> String {
    let findings = Findings::of(record);
    markdown::render(&findings, &charts(&findings))
}

#[test]
fn language_models_on_tasks_and_seeds() {
    insta::assert_snapshot!(page(&language_record(&["wikitext-2", "imdb"], &[8, 16], &[1, 2, 3])));
}

#[test]
fn one_adapter_on_many_tasks() {
    insta::assert_snapshot!(page(&language_record(&["wikitext-2", "imdb", "xsum"], &[8], &[42])));
}

#[test]
fn generated_answers() {
    insta::assert_snapshot!(page(&answer_record()));
}

#[test]
fn the_terminal_names_the_metric() {
    insta::assert_snapshot!(report::terminal_table(
        &language_record(&["wikitext-2", "imdb"], &[8], &[42]),
        120
    ));
    insta::assert_snapshot!(report::terminal_table(&answer_record(), 120));
    insta::assert_snapshot!(report::terminal_table(&language_record(&["imdb"], &[8], &[1, 2]), 120));
}

/// Ten corpora under long names, in terminals of any width.
#[test]
fn the_terminal_table_of_many_corpora_fits() {
    let names: Vec<String> = (0..10).map(|i| format!("a-corpus-whose-name-says-all-of-it-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let record = language_record(&names, &[8, 16], &[1, 2, 3]);
    for width in [200, 120, 100, 80] {
        let table = report::terminal_table(&record, width);
        let (rows, _) = table.split_once("\n* selected").unwrap();
        assert!(rows.lines().all(|line| line.chars().count() <= width), "{table}");
    }
    let one = language_record(&names[..1], &[8, 16], &[1, 2, 3]);
    insta::assert_snapshot!(report::terminal_table(&one, 120));
    insta::assert_snapshot!(report::terminal_table(&one, 70));
}

/// Of losses the lowest is selected, in each task by itself.
#[test]
fn each_task_selects_its_lowest_loss() {
    let record = language_record(&["wikitext-2", "imdb"], &[4, 8, 16], &[1, 2]);
    let findings = Findings::of(&record);
    assert_eq!(findings.tasks.len(), 2);
    for task in &findings.tasks {
        let loss = |entry: &report::entry::Entry| entry.summary.validation[&Metric::Loss].mean;
        let selected = task.selected().unwrap();
        assert!(task.entries.iter().all(|entry| loss(entry) >= loss(selected)));
        assert!(task.entries.iter().all(|e| e.summary.configuration.task == task.task.name));
        assert_eq!(task.entries.iter().filter(|entry| entry.selected).count(), 1);
    }
}

/// A base that scores best is still the reference; alone, it is what there is to select, where it answers
/// with its own head and is better than the majority class.
#[test]
fn an_untrained_base_is_a_reference_unless_it_is_alone() {
    let base = ("minilm-2", Method::Base, training(5e-3));
    let mut record = record_of(vec![base.clone(), lora(4, 8.0), lora(8, 8.0)]);
    let raise = |record: &mut RunRecord| {
        for trial in record.trials.iter_mut().filter(|t| t.trial.configuration.method == Method::Base) {
            trial.result.as_mut().unwrap().validation.as_mut().unwrap().set(Metric::Accuracy, 0.99);
        }
    };
    raise(&mut record);
    let findings = Findings::of(&record);
    let selected = findings.tasks[0].selected().unwrap();
    assert_eq!(selected.summary.configuration.method.kind(), MethodKind::Lora);
    assert_eq!(findings.tasks[0].entries.last().unwrap().label, "base, not trained");

    let mut alone = record_of(vec![base]);
    raise(&mut alone);
    assert!(page(&alone).contains("the heads were drawn at random, so none is selected"));
    let labels = alone.sweep.first_task().objective.labels().to_vec();
    let name_classes =
        |sweep: &mut SweepParts| sweep.models.get_mut("minilm-2").unwrap().parts.classes = Some(labels);
    alone.sweep = alone.sweep.with(name_classes).unwrap();
    let findings = Findings::of(&alone);
    assert!(findings.tasks[0].selected().is_some());
    assert!(charts(&findings).is_empty(), "nothing trained, so nothing has a place on an axis");
}

/// Two tasks of 51,000 test tokens each; after the second gets three times as many, it weighs so.
#[test]
fn losses_over_tasks_weigh_by_token() {
    let mut record = language_record(&["a", "b"], &[8], &[42]);
    let mut losses = [0.0; 2];
    for trial in &mut record.trials {
        let second = trial.trial.configuration.task == "b";
        let adapter = trial.trial.configuration.method.lora().is_some();
        let test = trial.result.as_mut().and_then(|result| result.test.as_mut());
        let scores = test.unwrap();
        if second {
            scores.set_count(Count::Tokens, 153_000);
        }
        if adapter {
            losses[usize::from(second)] = scores.loss().unwrap();
        }
    }
    let findings = Findings::of(&record);
    let best = findings.pools.iter().find(|pool| pool.best).unwrap();
    assert_eq!((best.done, best.test.tokens), (2, 204_000));
    let pooled = (losses[0] + 3.0 * losses[1]) / 4.0;
    assert!((best.test.scores[&Metric::Loss] - pooled).abs() < 1e-12);
    assert!((best.test.scores[&Metric::Perplexity] - pooled.exp()).abs() < 1e-9);
}

/// An adapter that lacks a task says so, and cannot pass for the best over all.
#[test]
fn what_lacks_a_task_is_never_best_over_all() {
    let mut record = language_record(&["a", "b"], &[8, 16], &[42]);
    let has_rank =
        |t: &TrialRecord, rank| t.trial.configuration.method.lora().is_some_and(|l| l.rank == rank);
    let on_b = |t: &&mut TrialRecord| t.trial.configuration.task == "b" && has_rank(t, 16);
    let trial = record.trials.iter_mut().find(on_b).unwrap();
    (trial.state, trial.result) = (TrialState::Interrupted, None);
    let findings = Findings::of(&record);
    let best = findings.pools.iter().find(|pool| pool.best).unwrap();
    assert_eq!(best.configuration.method.lora().unwrap().rank, 8);
    let other =
        findings.pools.iter().find(|pool| pool.configuration.method.lora().is_some_and(|l| l.rank == 16));
    assert_eq!(other.unwrap().done, 1);
}

/// Three seeds on three folds are one configuration of nine trials: it is selected by its mean over
/// them, and tested over 3 folds, not over 9 trials.
#[test]
fn seeds_repeat_a_configuration_and_do_not_compete() {
    let mut grid = Vec::new();
    for rank in [4, 16] {
        for seed in [1, 2, 3] {
            let (model, method, mut training) = lora(rank, 16.0);
            training.seed = seed;
            grid.push((model, method, training));
        }
    }
    let mut record = record_of(grid);
    // A lucky seed among bad ones.
    let luck = |trial: &TrialRecord| match (
        trial.trial.configuration.method.lora(),
        trial.trial.configuration.training.seed,
    ) {
        (Some(lora), seed) if lora.rank == 4 => Some(if seed == 2 { 0.3 } else { -0.3 }),
        (Some(_) | None, _) => None,
    };
    for trial in &mut record.trials {
        let Some(luck) = luck(trial) else { continue };
        let scores = trial.result.as_mut().unwrap().validation.as_mut().unwrap();
        scores.set(Metric::Accuracy, scores.get(Metric::Accuracy).unwrap() + luck);
    }
    let findings = Findings::of(&record);
    let [best, other] = &findings.tasks[0].entries[..] else { panic!("two configurations") };
    assert!(best.selected && !other.selected);
    assert_eq!((best.label.as_str(), other.label.as_str()), ("LoRA r=16 α=16", "LoRA r=4 α=16"));
    let (trials, stability) = (best.summary.selecting().unwrap(), &best.stability);
    assert_eq!((stability.done, stability.validation.unwrap().n, trials.n), (3, 3, 9));
    assert!((stability.validation.unwrap().mean - trials.mean).abs() < 1e-12);
    assert!((best.summary.over_folds().unwrap().mean - trials.mean).abs() < 1e-12);
    assert_eq!((best.summary.over_folds().unwrap().n, other.comparison.unwrap().test.folds), (3, 3));
    let text = page(&record);
    assert!(text.contains("2 configurations (2 LoRA) on 3 folds with 3 seeds, 18 trials"), "{text}");
    assert!(text.contains("(mean ± standard deviation over 3 seeds × 3 folds)"), "{text}");
    assert!(text.contains("a best of 2 is optimistic"), "{text}");
    assert_eq!(Findings::of(&report_record::record()).seeds(), 1);
}

#[test]
fn columns_follow_the_metric() {
    let text = |frame| String::from_utf8(frames::csv(frame).unwrap()).unwrap();
    let language = language_record(&["a", "b"], &[8], &[42]);
    let findings = Findings::of(&language);
    let (trials, configurations) =
        (text(frames::trials(&findings).unwrap()), text(frames::configurations(&findings).unwrap()));
    let header = |text: &str| text.lines().next().unwrap().split(',').map(str::to_owned).collect::<Vec<_>>();
    for name in ["task", "test_bits_per_token", "test_tokens", "train_tokens_per_s", "last_ema_loss"] {
        assert!(header(&trials).iter().any(|column| column == name), "{name}");
    }
    for name in ["task", "validation_loss_mean", "test_perplexity_std", "validation_loss_ci95_low"] {
        assert!(header(&configurations).iter().any(|column| column == name), "{name}");
    }
    assert!(header(&trials).iter().all(|column| !column.contains("accuracy")));
    assert_eq!((trials.lines().count(), configurations.lines().count()), (5, 5));
    let answers = answer_record();
    let configurations = text(frames::configurations(&Findings::of(&answers)).unwrap());
    assert!(configurations.contains("validation_exact_match_mean"));
}

/// With many configurations in each, tasks have charts of their own, and a report with fewer takes
/// the old ones away.
#[test]
fn charts_of_tasks_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.svg"), "not the report's").unwrap();
    let names = || {
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".svg"))
            .collect();
        names.sort();
        names
    };
    report::write(&language_record(&["a", "b"], &[4, 8, 16], &[1, 2]), folder.path()).unwrap();
    let of = |task: &str| {
        ["convergence", "loss-vs-parameters", "rank-alpha", "training"]
            .map(|name| format!("{name}-{task}.svg"))
    };
    let mut expected: Vec<String> = of("1-a").into_iter().chain(of("2-b")).collect();
    expected.push("mine.svg".to_owned());
    expected.sort();
    assert_eq!(names(), expected);
    report::write(&language_record(&["a", "b"], &[8], &[42]), folder.path()).unwrap();
    assert_eq!(names(), ["convergence.svg", "mine.svg", "training.svg"]);
}

#[test]
fn pages_of_every_objective_close_their_tags() {
    let records = [
        record(),
        answer_record(),
        language_record(&["a", "b"], &[4, 8, 16], &[1, 2]),
        language_record(&["a"], &[8], &[1]),
    ];
    for record in records {
        let findings = Findings::of(&record);
        let page = html::render(&findings, &charts(&findings)).unwrap();
        for tag in ["section", "table", "figure", "svg", "div", "ul", "p"] {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
        }
        assert!(!page.contains("NaN"), "a score that is no number");
    }
}

/// A loss that is not finite is in no curve and breaks no chart.
#[test]
fn a_diverged_loss_breaks_no_chart() {
    let mut record = answer_record();
    for line in &mut record.trials[0].metrics {
        match line {
            MetricLine::Train { loss, grad_norm, .. } => (*loss, *grad_norm) = (f64::NAN, f64::INFINITY),
            MetricLine::Validation { .. } => {}
        }
    }
    let findings = Findings::of(&record);
    for chart in charts(&findings) {
        assert!(!chart.svg().unwrap().contains("NaN"), "{}", chart.name);
    }
}

/// Tasks of different kinds are ranked each by its own metric; over all of them there is one mean, of these metrics.
#[test]
fn tasks_of_different_kinds_have_metrics_of_their_own() {
    let record = kinds_record();
    let findings = Findings::of(&record);
    let metrics: Vec<Metric> = findings.tasks.iter().map(|task| task.measure.metric).collect();
    assert_eq!(metrics, [Metric::Matthews, Metric::Pearson, Metric::Accuracy]);
    for task in &findings.tasks {
        let own = |entry: &report::entry::Entry| entry.summary.validation[&task.measure.metric].mean;
        let trained: Vec<f64> =
            task.entries.iter().filter(|entry| !entry.summary.is_base()).map(own).collect();
        assert!(trained.is_sorted_by(|a, b| a >= b), "{}: {trained:?}", task.task.name);
        assert!(task.selected().is_some());
    }
    let best = findings.pools.iter().find(|pool| pool.best).unwrap();
    let label = &best.label;
    let of_task = |task: &report::findings::TaskFindings<'_>| {
        let entry = task.entries.iter().find(|entry| entry.label == *label).unwrap();
        entry.summary.selecting().unwrap().mean
    };
    let mean = findings.tasks.iter().map(of_task).sum::<f64>() / 3.0;
    assert!((best.validation.own.unwrap() - mean).abs() < 1e-12);
    insta::assert_snapshot!(page(&record));
    insta::assert_snapshot!(report::terminal_table(&record, 120));
}

/// A loss has no best value that all tasks share, so it is averaged with no other metric.
#[test]
fn metrics_without_a_common_scale_have_no_mean() {
    let mut record = kinds_record();
    let select = Select::on([("similar".to_owned(), Metric::Mse)].into(), 3);
    record.sweep = record.sweep.with(|sweep| sweep.select = select).unwrap();
    let findings = Findings::of(&record);
    assert!(findings.pools.iter().all(|pool| pool.validation.own.is_none() && !pool.best));
    assert!(page(&record).contains("metrics without a common scale, so nothing is said over all of them"));
}

/// The columns that `reports/README.md` describes of a file, as reports of these records have them.
fn described(file: &str, records: &[RunRecord]) -> BTreeSet<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/README.md")).unwrap();
    let (_, rest) = page.split_once(&format!("\n`{file}` has one row per")).unwrap();
    let table =
        rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let mut columns = BTreeSet::new();
    for row in table.skip(2) {
        let mut first = "";
        for name in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
            // `_std` behind `wall_s_mean` is `wall_s_std`.
            let whole = match name.strip_prefix('_') {
                Some(_) => format!("{}{name}", first.rsplit_once('_').unwrap().0),
                None => name.to_owned(),
            };
            first = if name.starts_with('_') { first } else { name };
            for record in records {
                for task in record.sweep.tasks.values() {
                    let selecting = record.sweep.selecting(task).name();
                    let metrics = task.objective.metrics().iter();
                    let of_metrics = metrics.map(|metric| whole.replace("<metric>", metric.name()));
                    let of_axes = axes::shown().map(|axis| axis.column.to_owned());
                    let all: Vec<String> =
                        if whole == "<axis>" { of_axes.collect() } else { of_metrics.collect() };
                    columns.extend(all.into_iter().map(|name| name.replace("<selecting>", selecting)));
                }
            }
        }
    }
    columns
}

/// Together all kinds of tasks write what is described, and no more.
#[test]
fn the_columns_of_both_files_are_those_that_are_described() {
    let records = [
        record(),
        language_record(&["imdb"], &[8], &[1]),
        answer_record(),
        report_numbers::record(&[8]),
        kinds_record(),
    ];
    let [mut trials, mut configurations] = [BTreeSet::new(), BTreeSet::new()];
    for record in &records {
        let findings = Findings::of(record);
        let frames = [frames::trials(&findings).unwrap(), frames::configurations(&findings).unwrap()];
        for (frame, columns) in frames.into_iter().zip([&mut trials, &mut configurations]) {
            let text = String::from_utf8(frames::csv(frame).unwrap()).unwrap();
            columns.extend(text.lines().next().unwrap().split(',').map(str::to_owned));
        }
    }
    assert_eq!(trials, described("trials.csv", &records));
    assert_eq!(configurations, described("configurations.csv", &records));
}
