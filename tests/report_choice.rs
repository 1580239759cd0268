//! What a refit trains is what the report selects, or what a person names.
#![expect(clippy::unwrap_used, reason = "a record that lacks what it was given ends its test")]

mod report_record;

use lorasweep::record::{RunRecord, TrialState};
use lorasweep::report::choice::{Choice, Choices, NoChoice, Wanted, choose};
use lorasweep::report::findings::Findings;
use lorasweep::values::{ConfigurationId, Keep, Method, Metric, Splitting, Training};

use report_record::{Point, answer_record, language_record, lora, record, record_of, training};

fn chosen(record: &RunRecord, wanted: Wanted<'_>) -> Vec<Choice> {
    let Choices { all, skipped } = choose(record, wanted).unwrap();
    assert!(skipped.is_empty(), "{skipped:?}");
    all
}

fn refused(record: &RunRecord, wanted: Wanted<'_>) -> NoChoice {
    choose(record, wanted).unwrap_err()
}

const PARTIAL: Wanted<'static> = Wanted { task: None, configuration: None, partial: true };

fn named(configuration: ConfigurationId) -> Wanted<'static> {
    Wanted { configuration: Some(configuration), ..Wanted::default() }
}

#[test]
fn it_is_the_configuration_that_the_report_selects() {
    let record = record_of(vec![lora(4, 16.0), lora(32, 16.0), ("minilm-2", Method::Base, training(1e-3))]);
    let findings = Findings::of(&record);
    let selected = findings.tasks[0].selected().unwrap();
    let [choice] = &chosen(&record, Wanted::default())[..] else { panic!("one task, one choice") };
    assert_eq!(choice.chosen.configuration, selected.summary.configuration);
    let from = &choice.chosen.from;
    assert_eq!((from.label.as_str(), from.selected, from.planned), (selected.label.as_str(), true, 3));
    let scores: Vec<f64> = from.validation.iter().map(|one| one.get(Metric::Accuracy).unwrap()).collect();
    let mean = scores.iter().sum::<f64>() / 3.0;
    assert!((mean - selected.summary.selecting().unwrap().mean).abs() < 1e-12);
    assert!(choice.why.contains("over 3 trials, the best of 2 configurations"), "{}", choice.why);
    assert_eq!(choice.note, None, "the last weights are kept in any case");
}

#[test]
fn each_task_has_its_own_and_their_seeds_stay_together() {
    let record = language_record(&["a", "b"], &[4, 8], &[3, 1, 2]);
    let tasks = |wanted| -> Vec<String> {
        chosen(&record, wanted).into_iter().map(|one| one.chosen.from.task).collect()
    };
    assert_eq!(tasks(Wanted::default()), ["a", "b"]);
    assert_eq!(tasks(Wanted { task: Some("b"), ..Wanted::default() }), ["b"]);
    let unknown = Wanted { task: Some("c"), ..Wanted::default() };
    let tasks = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(refused(&record, unknown), NoChoice::NoTask { name: "c".to_owned(), tasks });

    let first = chosen(&record, Wanted::default()).remove(0).chosen;
    assert_eq!((first.seeds, first.configuration.training.seed), (vec![3, 1, 2], 3));
    // The seed that a person names is the first.
    let second = record.sweep.configurations[2].clone();
    let by_name = chosen(&record, named(second.id)).remove(0).chosen;
    assert_eq!((by_name.seeds, by_name.configuration), (vec![1, 3, 2], second));
}

#[test]
fn a_run_that_is_not_finished_is_asked_again_unless_that_does_not_matter() {
    let record = record();
    assert_eq!(refused(&record, Wanted::default()), NoChoice::Unfinished { left: 2 });
    let findings = Findings::of(&record);
    let selected = findings.tasks[0].selected().unwrap();
    let partial = chosen(&record, PARTIAL).remove(0);
    assert_eq!(partial.chosen.configuration.id, selected.summary.configuration.id);

    let of = |trial: usize| record.trials[trial].trial.configuration.id;
    let complete = chosen(&record, named(of(0))).remove(0);
    assert!(complete.why.starts_with("named by you, not selected: validation accuracy"), "{}", complete.why);
    assert!(!complete.chosen.from.selected);
    let NoChoice::Incomplete { done: 2, planned: 3, .. } = refused(&record, named(of(4))) else {
        panic!("a trial of it was interrupted")
    };
    let nevertheless = Wanted { partial: true, ..named(of(4)) };
    assert_eq!(chosen(&record, nevertheless).remove(0).chosen.from.validation.len(), 2);
    // One that failed for good is not waited for.
    let mut ended = record.clone();
    for trial in &mut ended.trials {
        if matches!(trial.state, TrialState::Waiting | TrialState::Interrupted) {
            trial.state = TrialState::Failed { failure: lorasweep::values::Failure::OutOfMemory };
        }
    }
    assert_eq!(chosen(&ended, Wanted::default()).len(), 1);
}

#[test]
fn nothing_is_chosen_where_nothing_trains_or_was_learned() {
    let base: Vec<Point> = vec![("minilm-2", Method::Base, training(1e-3))];
    let bases = record_of(base);
    assert!(matches!(refused(&bases, Wanted::default()), NoChoice::Base(_)));
    let id = bases.sweep.configurations[0].id;
    assert!(matches!(refused(&bases, named(id)), NoChoice::Base(_)));

    let mut nothing = record_of(vec![lora(4, 16.0)]);
    for trial in &mut nothing.trials {
        let scores = trial.result.as_mut().unwrap().validation.as_mut().unwrap();
        scores.set(Metric::Accuracy, 0.34);
    }
    let id = nothing.sweep.configurations[0].id;
    let refused = refused(&nothing, Wanted::default());
    let NoChoice::Unselected { why, best } = &refused else { panic!("{refused}") };
    assert!(why[0].starts_with("no configuration beats the majority class beyond chance"), "{why:?}");
    assert_eq!(*best, Some(id));
    assert!(refused.hint("demo", "lorasweep run x").contains(&format!("refit demo --configuration {id}")));
    assert_eq!(chosen(&nothing, named(id)).len(), 1, "a person may know better");
}

#[test]
fn that_the_best_weights_cannot_be_told_is_said_with_what_it_may_cost() {
    let best = |(model, method, training): Point| (model, method, Training { keep: Keep::Best, ..training });
    let mut record = record_of(vec![best(lora(8, 16.0))]);
    for trial in &mut record.trials {
        let result = trial.result.as_mut().unwrap();
        result.kept_step = result.steps / 4;
    }
    let note = chosen(&record, Wanted::default()).remove(0).note.unwrap();
    for part in ["keeps its last weights", "after 25 % of the steps", "they had validation accuracy"] {
        assert!(note.contains(part), "no `{part}` in {note}");
    }
    // With a validation file, a refit has it, too.
    let mut on_file = answer_record();
    on_file.sweep = on_file.sweep.with(|sweep| sweep.splitting = Splitting::File).unwrap();
    assert_eq!(chosen(&on_file, Wanted::default()).remove(0).note, None);
}

#[test]
fn a_refit_is_not_refitted() {
    let record = record_of(vec![lora(4, 16.0)]);
    let choices = choose(&record, Wanted::default()).unwrap();
    let all: Vec<_> = choices.all.into_iter().map(|one| one.chosen).collect();
    let sweep = record.sweep.refit("complaints.refit", &all, 1, None).unwrap();
    let refit = RunRecord { sweep, trials: Vec::new(), ..record };
    let NoChoice::OfRefit { run, of } = refused(&refit, Wanted::default()) else { panic!("it is one") };
    assert_eq!((run.as_str(), of.as_str()), ("complaints.refit", "complaints"));
}
