//! What is scored is what is meant: losses and answers by hand, from a model's logits.

use std::collections::BTreeMap;

use lorasweep::model::pass::Pass;
use lorasweep::model::{Inputs, Model};
use lorasweep::tasks::ClassWeights;
use lorasweep::values::{Count, Method, Metric, Part, Scores, Training};
use tch::{Kind, Tensor};

use crate::bench::{Bench, LOSSES_APART, WEIGHTS_APART, alone, apart};
use crate::subject::{END, MAX_NEW, Subject, TEST_ROWS, training};

/// ln p of every token of the vocabulary behind these tokens.
fn log_probabilities(model: &Model, tokens: &[u32]) -> Vec<f64> {
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let shape = [1, 1, ids.len() as i64];
    let inputs = Inputs { shape, ids: Tensor::from_slice(&ids).view(shape), token_types: None, mask: None };
    let last = Tensor::from_slice(&[ids.len() as i64 - 1]).view([1, 1]);
    let pass = &mut Pass::evaluation();
    let logits = model.next_tokens(&model.trunk(&inputs, pass), &last, pass).view([-1]);
    Vec::try_from(logits.to_kind(Kind::Double).log_softmax(-1, Kind::Double)).unwrap()
}

/// The losses of a row's tokens from `first` on.
fn losses(model: &Model, tokens: &[u32], first: usize) -> Vec<f64> {
    let loss = |t: usize| -log_probabilities(model, &tokens[..t])[tokens[t] as usize];
    (first..tokens.len()).map(loss).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_language_models_losses_are_means_over_tokens_and_over_sequences() {
    let _alone = alone();
    let bench = Bench::new(Subject::Language);
    let trial = Subject::Language.trial(Method::Base, training());
    bench.train(std::slice::from_ref(&trial));
    let (model, store) = (bench.model(&trial, &BTreeMap::new()), bench.store());
    let part = store.part(Part::Test).unwrap();
    let rows: Vec<Vec<f64>> = (0..TEST_ROWS).map(|row| losses(&model, part.tokens(row), 1)).collect();
    let scores = bench.result(&trial).test.unwrap();
    let sequence_loss = scores.get(Metric::SequenceLoss).unwrap();
    let means: Vec<f64> = rows.iter().map(|row| mean(row)).collect();
    let loss = scores.loss().unwrap();
    assert!((loss - mean(&rows.concat())).abs() < 1e-6);
    assert!((sequence_loss - mean(&means)).abs() < 1e-6);
    assert!((loss - sequence_loss).abs() > 1e-4, "the two means are told apart");
    assert_eq!(scores.count(Count::Tokens), Some(rows.concat().len() as u64));
}

#[test]
fn the_loss_of_an_answer_is_taken_on_the_answer_alone() {
    let _alone = alone();
    let bench = Bench::new(Subject::Answers);
    let trial = Subject::Answers.trial(Method::Base, training());
    bench.train(std::slice::from_ref(&trial));
    let (model, store) = (bench.model(&trial, &BTreeMap::new()), bench.store());
    let part = store.part(Part::Test).unwrap();
    let of_answer = |row| losses(&model, part.tokens(row), part.row(row).second as usize);
    let answers: Vec<f64> = (0..TEST_ROWS).flat_map(of_answer).collect();
    assert_eq!(answers.len() as u32, 3 * TEST_ROWS, "two words and the end");
    assert!((bench.result(&trial).test.unwrap().loss().unwrap() - mean(&answers)).abs() < 1e-6);
}

#[test]
fn answers_are_what_the_model_finds_likeliest_word_by_word() {
    let _alone = alone();
    let bench = Bench::new(Subject::Answers);
    let long = Training { learning_rate: 2e-2, epochs: 40.0, evaluate_every: None, ..training() };
    let trial = Subject::Answers.trial(Method::Full, long);
    bench.train(std::slice::from_ref(&trial));
    let scores = bench.result(&trial).test.unwrap();
    let [exact_match, f1] = [Metric::ExactMatch, Metric::F1].map(|metric| scores.get(metric).unwrap());
    let (model, store) = (bench.model(&trial, &bench.last(&trial)), bench.store());
    let part = store.part(Part::Test).unwrap();
    let is_right = |row: &u32| {
        let mut tokens = part.tokens(*row)[..part.row(*row).second as usize].to_vec();
        let prompt = tokens.len();
        while tokens.len() < prompt + MAX_NEW && tokens.last() != Some(&END) {
            let next = log_probabilities(&model, &tokens);
            let best = (0..next.len()).max_by(|a, b| next[*a].total_cmp(&next[*b])).unwrap();
            tokens.push(best as u32);
        }
        let word = part.tokens(*row)[0];
        // Both gold answers: the word twice, or once.
        [&[word, word, END][..], &[word, END]].contains(&&tokens[prompt..])
    };
    let right = (0..TEST_ROWS).filter(is_right).count();
    assert_eq!(exact_match, right as f64 / f64::from(TEST_ROWS));
    assert!(exact_match > 0.5 && f1 >= exact_match, "{scores:?}");
}

#[test]
fn test_rows_are_judged_by_the_threshold_that_validation_rows_chose() {
    let _alone = alone();
    let bench = Bench::new(Subject::Sets);
    let trial = Subject::Sets.trial(Subject::Sets.lora(4, 8.0, 0.0), training());
    bench.train(std::slice::from_ref(&trial));
    let result = bench.result(&trial);
    let of = |scores: Option<Scores>| scores.unwrap().threshold().unwrap();
    assert_eq!(of(result.test), of(result.validation));
}

/// The loss is a weighted mean: weights that are all the same change nothing, however a step is divided.
#[test]
fn weights_of_classes_count_in_training() {
    let _alone = alone();
    let subject = Subject::Labels;
    let trial = subject.trial(subject.lora(4, 8.0, 0.0), training());
    let trained = |weights: Option<[f64; 3]>, micro_rows| {
        let named = |weights: [f64; 3]| ["a", "b", "c"].map(str::to_owned).into_iter().zip(weights).collect();
        let class_weights = weights.map(|weights| ClassWeights::Named(named(weights)));
        let mut bench = Bench::new(subject);
        (bench.class_weights, bench.micro_rows) = (class_weights, micro_rows);
        bench.train(std::slice::from_ref(&trial));
        bench
    };
    let plain = trained(None, None);
    let uneven = trained(Some([9.0, 1.0, 0.25]), None);
    let near = |[weights, losses]: [f64; 2]| weights < WEIGHTS_APART && losses < LOSSES_APART;
    assert!(near(apart(&trained(Some([3.0; 3]), None), &plain, &trial)));
    assert!(near(apart(&trained(Some([9.0, 1.0, 0.25]), Some(1)), &uneven, &trial)));
    assert!(!near(apart(&uneven, &plain, &trial)), "weights that differ count");
}
