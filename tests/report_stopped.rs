//! Reports of sweeps that stop configurations early: what was stopped is censored, shown apart, and counted.
#![expect(clippy::unwrap_used, reason = "a record that cannot be made ends its test")]

#[path = "report_record/raced.rs"]
mod raced;
#[expect(dead_code, reason = "records that other tests use")]
mod report_record;

use std::collections::BTreeSet;

use lorasweep::record::{RunRecord, TrialRecord, TrialState};
use lorasweep::report::choice::{NoChoice, Wanted, choose};
use lorasweep::report::entry::Entry;
use lorasweep::report::findings::{Findings, TaskFindings};
use lorasweep::report::left::Saved;
use lorasweep::report::plots::charts;
use lorasweep::report::plots::scene::{GREY, Shape, Stroke};
use lorasweep::report::summary::ConfigurationSummary;
use lorasweep::report::{self, frames, html, markdown};
use lorasweep::search::{Baselines, ComparedOn, Stop, StopRule};
use lorasweep::sweep::{Drawn, DrawnRange};
use lorasweep::values::{ConfigurationId, Method, Metric, StopReason};

use raced::{pause, raced, stop};
use report_record::{language_record, lora, record, record_of, training};

fn page(record: &RunRecord) -> String {
    let findings = Findings::of(record);
    markdown::render(&findings, &charts(&findings))
}

fn id(entry: &Entry) -> ConfigurationId {
    entry.summary.configuration.id
}

/// The same record without the configurations that were stopped.
fn without_stopped(record: &RunRecord) -> RunRecord {
    let findings = Findings::of(record);
    let stopped: BTreeSet<ConfigurationId> = findings.stopped().map(id).collect();
    let mut rest = record.clone();
    rest.trials.retain(|trial| !stopped.contains(&trial.trial.configuration.id));
    rest.sweep =
        rest.sweep.with(|sweep| sweep.configurations.retain(|one| !stopped.contains(&one.id))).unwrap();
    rest
}

#[test]
fn a_report_tells_apart_what_was_stopped_early() {
    insta::assert_snapshot!(page(&raced()));
}

#[test]
fn the_terminal_tells_at_which_step_how_many_left() {
    let record = raced();
    for width in [120, 100, 80] {
        let table = report::terminal_table(&record, width);
        assert!(table.lines().all(|line| line.chars().count() <= width), "{table}");
    }
    insta::assert_snapshot!(report::terminal_table(&record, 100));
}

/// Whatever was stopped: means, ranks, intervals and tests of the others are those of a sweep without it.
#[test]
fn what_was_stopped_changes_no_number_of_the_others() {
    let record = raced();
    let rest = without_stopped(&record);
    let (with, without) = (Findings::of(&record), Findings::of(&rest));
    let ([with], [without]) = (&with.tasks[..], &without.tasks[..]) else { panic!("one task each") };
    assert_eq!((with.entries.len(), with.stopped.len(), without.stopped.len()), (3, 7, 0));
    for (one, other) in with.entries.iter().zip(&without.entries) {
        let compared = one.summary.compared_on;
        assert_eq!(one.summary, ConfigurationSummary { compared_on: compared, ..other.summary.clone() });
        assert_eq!(
            (one.place, one.selected, one.comparison),
            (other.place, other.selected, other.comparison)
        );
        assert_eq!(one.stability, other.stability);
    }
    let best = |task: &TaskFindings<'_>| task.best_per_method().into_iter().map(id).collect::<Vec<_>>();
    assert_eq!(best(with), best(without));
    assert_eq!(with.baseline.is_some(), without.baseline.is_some());
}

#[test]
fn a_stopped_configuration_has_no_mean_though_some_of_its_folds_are_done() {
    let mut record = record_of([4, 8, 16].map(|rank| lora(rank, 16.0)).into());
    // A person stops the last fold of the best one.
    let best = Findings::of(&record).tasks[0].selected().map(id).unwrap();
    let last = record.trials.iter().rfind(|trial| trial.trial.configuration.id == best).unwrap().trial.id;
    pause(&mut record, last, 48);
    stop(&mut record, last, StopReason::ByHand);
    let findings = Findings::of(&record);
    let [entry] = &findings.tasks[0].stopped[..] else { panic!("one is stopped") };
    assert_eq!((id(entry), entry.summary.done, entry.summary.planned), (best, 2, 3));
    assert!(entry.summary.folds.is_empty() && entry.summary.selecting().is_none());
    assert!(entry.summary.test.is_empty() && entry.summary.convergence_step.is_none());
    assert!(entry.stability.validation.is_none() && entry.comparison.is_none() && !entry.selected);
    assert_ne!(findings.tasks[0].selected().map(id), Some(best));
    let left = entry.left.as_ref().unwrap();
    assert_eq!((left.step, left.steps, left.rung, left.trial), (48, Some(96), None, last));
    let text = page(&record);
    assert!(text.contains("Stopped early: 1 of 3 configurations that were proposed, by hand."), "{text}");
    assert!(text.contains("| by hand | 48 | 96 | – |"), "{text}");
    assert!(report::terminal_table(&record, 200).contains("1 configuration stopped by hand"));
    // What its folds reached is in the one file that averages nothing.
    let trials = String::from_utf8(frames::csv(frames::trials(&findings).unwrap()).unwrap()).unwrap();
    assert_eq!(trials.lines().filter(|line| line.contains(",done,")).count(), 8);
}

/// The curves of the convergence chart that are drawn like those of stopped configurations.
fn grey(record: &RunRecord) -> Vec<Vec<(f64, f64)>> {
    let findings = Findings::of(record);
    let chart = charts(&findings).into_iter().find(|chart| chart.name == "convergence").unwrap();
    let is_grey = |shape: Shape| match shape {
        Shape::Line { points, stroke } if stroke == Stroke::solid(GREY, 0.8) => Some(points),
        Shape::Line { .. } | Shape::Area { .. } | Shape::Mark { .. } | Shape::Text { .. } => None,
    };
    chart.scene.shapes.into_iter().filter_map(is_grey).collect()
}

#[test]
fn a_curve_ends_where_its_configuration_left_and_mixes_nothing() {
    // A loss every four steps and a validation every eight: two left after step 40 and five after step 24.
    let mut points: Vec<usize> = grey(&raced()).iter().map(Vec::len).collect();
    points.sort_unstable();
    assert_eq!(points, [vec![3; 5], vec![5; 2], vec![6; 5], vec![10; 2]].concat());
    // One of three folds is stopped by a person: its curve is that of the fold, whether the others are done or not.
    let mut record = without_stopped(&raced());
    let first = record.trials[0].trial.id;
    pause(&mut record, first, 48);
    stop(&mut record, first, StopReason::ByHand);
    let with_others = grey(&record);
    for trial in &mut record.trials[1..3] {
        (trial.state, trial.result) = (TrialState::Waiting, None);
        trial.metrics.clear();
    }
    assert_eq!(with_others.iter().map(Vec::len).collect::<Vec<_>>(), [12, 6]);
    assert_eq!(grey(&record), with_others);
}

/// Each curve that was cut has its mark, in both panels.
#[test]
fn a_stopped_curve_ends_visibly() {
    let findings_of = |record: &RunRecord| {
        let findings = Findings::of(record);
        let chart = charts(&findings).into_iter().find(|chart| chart.name == "convergence").unwrap();
        let strokes = |shape: &&Shape| matches!(shape, Shape::Line { stroke, .. } if stroke.width == 1.3);
        (chart.scene.shapes.iter().filter(strokes).count(), chart.caption)
    };
    let (strokes, caption) = findings_of(&raced());
    assert_eq!(strokes, 7 * 2 * 2);
    assert!(caption.contains("end in ×"), "{caption}");
    let (strokes, caption) = findings_of(&record());
    assert!(strokes == 0 && !caption.contains('×'), "{caption}");
}

/// Eight adapters × 3 folds × 96 steps; five left after 24 steps and two after 40, and their other folds never began.
#[test]
fn the_steps_that_were_saved_are_counted() {
    let record = raced();
    let left_out = 5 * (96 - 24 + 192) + 2 * (96 - 40 + 192);
    assert_eq!(Saved::of(&record), Some(Saved { all: 2_880, stoppable: 2_304, left_out }));
    let text = page(&record);
    assert!(text.contains("left out 78.8 % of the optimiser steps of the configurations that could be stopped, and 63.1 % of all"), "{text}");
    assert!(
        text.contains("2 configurations (full fine-tuning, from scratch) are not compared so and run whole"),
        "{text}"
    );
    let mut all = record.clone();
    let rule = StopRule { baselines: Baselines::Stopped, ..StopRule::new(Stop::Halving) };
    all.sweep = all.sweep.with(|sweep| sweep.stop = Some(rule)).unwrap();
    assert_eq!(Saved::of(&all), Some(Saved { all: 2_880, stoppable: 2_880, left_out }));
    assert!(page(&all).contains("That left out 63.1 % of all optimiser steps."));
    // Nothing has run, so that nobody knows how many steps there are.
    let mut none = record;
    for trial in &mut none.trials {
        (trial.state, trial.result, trial.pause) = (TrialState::Waiting, None, None);
    }
    assert_eq!(Saved::of(&none), None);
}

#[test]
fn the_best_is_one_of_all_that_were_proposed() {
    let record = raced();
    let findings = Findings::of(&record);
    assert_eq!(findings.tasks[0].tried(), 10);
    let text = page(&record);
    assert!(text.contains("has the best validation accuracy of the 3 of 10 that were not stopped early, and a best of 10 is optimistic"), "{text}");
    assert!(text.contains("10 configurations (8 LoRA"), "{text}");
    assert!(text.contains("30 trials: 9 done, 21 stopped early."), "{text}");
    assert!(!text.contains("unfinished: ") && !text.contains("lack trials"), "{text}");
}

/// The adapter that came through was compared on the first fold, full fine-tuning was not.
#[test]
fn the_selected_ones_score_is_told_without_the_fold_by_which_it_went_on() {
    let mut record = raced();
    let rest = without_stopped(&record);
    let adapter = rest.sweep.configurations[0].id;
    for trial in record.trials.iter_mut().filter(|trial| trial.trial.configuration.id == adapter) {
        let accuracy = [0.95, 0.9, 0.88][trial.trial.fold];
        trial.result.as_mut().unwrap().validation.as_mut().unwrap().set(Metric::Accuracy, accuracy);
    }
    let findings = Findings::of(&record);
    let selected = findings.tasks[0].selected().unwrap();
    assert_eq!((id(selected), selected.summary.compared_on), (adapter, Some(0)));
    assert!((selected.summary.over_other_folds().unwrap().mean - 0.89).abs() < 1e-12);
    assert!(findings.entries().filter(|entry| entry.summary.compared_on.is_some()).count() == 8);
    let text = page(&record);
    let told = "Validation fold 1 decided which configurations went on to the other folds, and tends to flatter these. Without it \
                LoRA r=32 α=32 has accuracy 89.0 %, with it 91.0; full fine-tuning has accuracy 8";
    assert!(text.contains(told) && text.contains(", and was not compared there; from scratch has"), "{text}");
    // Where nothing is stopped any more, the fold has decided nothing.
    assert!(!page(&without_stopped(&record)).contains("decided which configurations went on"));
    // Where all folds race, none is chosen by one of them.
    let rule = StopRule { compared_on: ComparedOn::All, ..StopRule::new(Stop::Halving) };
    record.sweep = record.sweep.with(|sweep| sweep.stop = Some(rule)).unwrap();
    assert!(!page(&record).contains("decided which configurations went on"));
}

/// What was stopped early holds up no refit, and a person may name it: it lacks its trials.
#[test]
fn a_refit_is_of_one_that_came_through_unless_a_person_names_another() {
    let record = raced();
    let findings = Findings::of(&record);
    let choice = choose(&record, Wanted::default()).unwrap().all.remove(0);
    assert_eq!(choice.chosen.configuration.id, id(findings.tasks[0].selected().unwrap()));
    assert!(choice.why.ends_with("the best of 10 configurations"), "{}", choice.why);
    let stopped = id(findings.stopped().next().unwrap());
    let named = Wanted { configuration: Some(stopped), ..Wanted::default() };
    let refused = choose(&record, named).unwrap_err();
    assert!(matches!(refused, NoChoice::Incomplete { done: 0, planned: 3, .. }), "{refused}");
    let partial = Wanted { partial: true, ..named };
    assert_eq!(choose(&record, partial).unwrap().all[0].chosen.configuration.id, stopped);
}

#[test]
fn settings_that_only_stopped_ones_have_are_named() {
    let mut record = raced();
    let text = page(&record);
    let left: BTreeSet<usize> = without_stopped(&record)
        .sweep
        .configurations
        .iter()
        .filter_map(|one| one.method.lora())
        .map(|lora| lora.rank)
        .collect();
    for rank in [4, 8, 16, 32_usize].iter().filter(|rank| !left.contains(*rank)) {
        let told = text.split("what only stopped ones have (").nth(1).unwrap().split(')').next().unwrap();
        assert!(told.contains("rank") && told.contains(&rank.to_string()), "{told}");
    }
    // Drawn values are all different, so that this would say nothing.
    let range =
        |axis: &str| DrawnRange { axis: axis.to_owned(), written: "int_log_uniform [4, 32]".to_owned() };
    let drawn = Drawn {
        sampler: "sobol".to_owned(),
        trials: 8,
        seed: 42,
        ranges: vec![range("rank"), range("alpha")],
    };
    record.sweep = record.sweep.with(|sweep| sweep.drawn = Some(drawn)).unwrap();
    let text = page(&record);
    assert!(!text.contains("what only stopped ones have ("), "{text}");
    assert!(text.contains("| points | 8 for each block with a range, `sampler: sobol`, seed 42 |"), "{text}");
    assert!(text.contains("| rank | int_log_uniform [4, 32] |"), "{text}");
}

#[test]
fn csv_files_have_states_and_margins_and_no_means_of_what_was_stopped() {
    let record = raced();
    let findings = Findings::of(&record);
    let rows = |text: Vec<u8>| csv_rows(&String::from_utf8(text).unwrap());
    let configurations = rows(frames::csv(frames::configurations(&findings).unwrap()).unwrap());
    let at = |name: &str| {
        configurations[0].iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}"))
    };
    let (state, rank, mean) = (at("state"), at("rank_by_validation"), at("validation_accuracy_mean"));
    let stopped: Vec<&Vec<String>> = configurations.iter().filter(|row| row[state] == "stopped").collect();
    assert_eq!((stopped.len(), configurations.len()), (7, 11));
    for row in &stopped {
        assert!(row[rank].is_empty() && row[mean].is_empty() && row[at("difference")].is_empty(), "{row:?}");
        let number = |name: &str| row[at(name)].parse::<f64>().unwrap();
        let margin = number("stopped_score") - number("stopped_last_kept");
        assert!((number("stopped_margin") - margin).abs() < 1e-12 && margin >= 0.0, "{row:?}");
        assert!([(1.0, 24.0), (2.0, 40.0)].contains(&(number("stopped_rung"), number("stopped_step"))));
        assert_eq!((number("stopped_of_steps"), row[at("stopped_metric")].as_str()), (96.0, "loss"));
    }
    assert!(configurations[1..4].iter().all(|row| row[state] == "done" && !row[mean].is_empty()));
    let trials = rows(frames::csv(frames::trials(&findings).unwrap()).unwrap());
    let at = |name: &str| trials[0].iter().position(|column| column == name).unwrap();
    let stopped: Vec<&Vec<String>> = trials.iter().filter(|row| row[at("state")] == "stopped").collect();
    assert_eq!(stopped.len(), 21);
    let begun = stopped.iter().filter(|row| row[at("stopped_step")] != "0").count();
    assert_eq!(begun, 7);
    assert!(
        stopped.iter().all(|row| row[at("reason")].contains("by validation loss at rung")),
        "{stopped:?}"
    );
}

/// The cells of a CSV text whose quotes enclose no quotes.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                c => cells.last_mut().unwrap().push(c),
            }
        }
        cells
    };
    text.lines().map(cells).collect()
}

/// A map of few cells, or of means over different settings, would mislead.
#[test]
fn there_is_no_map_where_most_cells_are_empty() {
    let names = |record: &RunRecord| -> Vec<String> {
        charts(&Findings::of(record)).into_iter().map(|chart| chart.name).collect()
    };
    let has_map = |record: &RunRecord| names(record).contains(&"rank-alpha".to_owned());
    assert!(has_map(&record()) && !has_map(&raced()));
    let drawn: Vec<_> =
        [(5, 9.0), (7, 21.0), (12, 15.0), (23, 40.0), (31, 37.0)].map(|(r, a)| lora(r, a)).into();
    assert!(!has_map(&record_of(drawn)));
    let rates = |rank: usize, alpha: f64, n: u32| {
        (0..n).map(move |i| (lora(rank, alpha).0, lora(rank, alpha).1, training(1e-3 * f64::from(i + 1))))
    };
    let cells = |last: u32| {
        rates(4, 8.0, 7).chain(rates(8, 8.0, 7)).chain(rates(4, 16.0, 7)).chain(rates(8, 16.0, last))
    };
    assert!(has_map(&record_of(cells(7).collect())), "means over the same seven learning rates");
    assert!(!has_map(&record_of(cells(6).collect())), "the last cell lacks one");
}

#[test]
fn where_all_is_stopped_nothing_is_selected() {
    let mut record = record_of(vec![lora(4, 8.0), lora(8, 8.0)]);
    let all: Vec<_> = record.trials.iter().map(|trial| trial.trial.id).collect();
    all.into_iter().for_each(|trial| stop(&mut record, trial, StopReason::ByHand));
    let text = page(&record);
    assert!(text.contains("none is selected") && text.contains("stopped"), "{text}");
    assert!(html::render(&Findings::of(&record), &[]).is_ok());
    let _ = report::terminal_table(&record, 80);
}

/// Seeds and tasks: a configuration that is stopped is so with all its seeds, and in its task alone.
#[test]
fn seeds_are_stopped_together_and_tasks_apart() {
    let mut record = language_record(&["imdb", "wikitext-2"], &[4, 8, 16, 32], &[1, 2]);
    let is_stopped = |trial: &TrialRecord| {
        let one = &trial.trial.configuration;
        one.task == "imdb" && one.method.lora().is_some_and(|lora| lora.rank < 16)
    };
    let ids: Vec<_> =
        record.trials.iter().filter(|trial| is_stopped(trial)).map(|trial| trial.trial.id).collect();
    assert_eq!(ids.len(), 4);
    ids.into_iter().for_each(|trial| stop(&mut record, trial, StopReason::ByHand));
    let findings = Findings::of(&record);
    let counts: Vec<_> = findings.tasks.iter().map(|task| (task.entries.len(), task.stopped.len())).collect();
    assert_eq!(counts, [(3, 2), (5, 0)]);
    let text = page(&record);
    assert!(text.contains("Stopped early: 2 of 8 configurations that were proposed, by hand."), "{text}");
    for pool in &findings.pools {
        let rank = pool.configuration.method.lora().map(|lora| lora.rank);
        assert_eq!(pool.done, if rank.is_some_and(|rank| rank < 16) { 1 } else { 2 }, "{}", pool.label);
    }
    assert!(matches!(record.sweep.configurations[0].method, Method::Base));
}
