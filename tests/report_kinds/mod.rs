//! A made-up record of tasks of different kinds.

use lorasweep::record::{RunRecord, TrialRecord};
use lorasweep::tasks::{Objective, Regression, Task};
use lorasweep::values::{Method, Metric, MetricLine, Select, Splitting, Training};

use crate::report_record::{file, lora, record_on, task, training};

/// Tasks of different kinds, one split: classes judged by accuracy, classes judged by Matthews' correlation, and numbers;
/// the base and an adapter of two ranks on each, under two seeds.
pub(crate) fn kinds_record() -> RunRecord {
    let classes = |name: &str| Task {
        name: name.to_owned(),
        validation: Some(file(&format!("{name}.dev.tsv"), 1_000)),
        test: None,
        rows: None,
        ..task()
    };
    let numbers = Objective::Regression(Regression {
        text: vec!["first".to_owned()],
        pair: vec!["second".to_owned()],
        label: "score".to_owned(),
    });
    let numbers = Task {
        validation: Some(file("similar.dev.tsv", 1_500)),
        ..Task::new("similar", numbers, file("similar.tsv", 5_749))
    };
    let adapter = |rank: usize| {
        [1, 2].map(|seed| {
            let (model, method, training) = lora(rank, 16.0);
            (model, method, Training { seed, ..training })
        })
    };
    let base = ("minilm-2", Method::Base, training(5e-3));
    let grid = std::iter::once(base).chain([8, 16].into_iter().flat_map(adapter)).collect();
    let mut record = record_on(vec![classes("acceptable"), numbers, classes("topic")], grid, Splitting::File);
    let select = Select::on([("acceptable".to_owned(), Metric::Matthews)].into(), 3);
    record.sweep = record.sweep.with(|sweep| sweep.select = select).expect("the tasks have these metrics");
    let is_own = |trial: &&mut TrialRecord| trial.trial.configuration.task == "acceptable";
    for trial in record.trials.iter_mut().filter(is_own) {
        let lines = trial.metrics.iter_mut().filter_map(|line| match line {
            MetricLine::Validation { scores, .. } => Some(scores),
            MetricLine::Train { .. } => None,
        });
        let result = trial.result.iter_mut().filter_map(|result| result.validation.as_mut());
        for scores in lines.chain(result) {
            let accuracy = scores.get(Metric::Accuracy).unwrap_or_default();
            scores.set(Metric::Matthews, 1.5 * (accuracy - 0.34));
        }
    }
    record
}
