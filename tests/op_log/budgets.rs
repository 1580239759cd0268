//! What a step may cost. The numbers are the CPU's for tiny models, so that they say little of a GPU's; that they
//! do not grow is what counts. With `--nocapture` the tests print what they measure.

use std::io::Write;
use std::time::Duration;

use lorasweep::families::Architecture;
use lorasweep::train::ForwardMode;
use lorasweep::values::{Method, Training, Trial};

use crate::bench::Bench;
use crate::logged::{Operation, Step, logged, third_step};
use crate::subject::{Subject, training};

fn bench(subject: Subject) -> Bench {
    let mut bench = Bench::with(subject, ForwardMode::Stacked);
    bench.checkpoint_every = Some(Duration::from_secs(3600));
    bench
}

/// The same without dropout in attention.
fn plain(subject: Subject) -> Bench {
    let mut bench = bench(subject);
    let architecture = &mut bench.model.architecture;
    if let Architecture::Bert(config) = architecture {
        config.attention_probs_dropout_prob = 0.0;
    } else if let Architecture::Gpt2(config) = architecture {
        config.attn_pdrop = 0.0;
    }
    bench
}

/// Which streams of random numbers the slots of a pack have.
#[derive(Clone, Copy)]
enum Streams {
    /// The same, so that all see the same batches.
    One,
    /// Two seeds in two folds each.
    Four,
    /// Each its own.
    Own,
}

/// Trials of mixed ranks and learning rates, which do four steps of eight rows. The ranks are so small that the
/// host's optimiser, which cuts tensors into parts that fit its cache, does not cut 32 slots of them.
fn trials(subject: Subject, streams: Streams, slots: usize, whole: bool) -> Vec<Trial> {
    let trial = |n: usize| {
        let (seed, fold) = match streams {
            Streams::One => (0, 0),
            Streams::Four => (n % 2, n / 2 % 2),
            Streams::Own => (n, 0),
        };
        let training = Training {
            epochs: 1.0,
            batch_size: 8,
            accumulation: 1,
            learning_rate: 1e-4 * (1.0 + n as f64),
            evaluate_every: None,
            seed: seed as u64,
            ..training()
        };
        let method = if whole { Method::Full } else { subject.lora([2, 4][n % 2], 8.0, 0.1) };
        let trial = subject.trial(method, training);
        Trial::new(&trial.configuration, trial.splitting, fold)
    };
    (0..slots).map(trial).collect()
}

fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}

/// How much a step of these trials launches.
fn launches(trials: &[Trial], subject: Subject) -> usize {
    let step = third_step(&bench(subject), trials);
    let (launches, views) = (step.launches().count(), step.views());
    tell(&format!("{subject:?}, {} slots: {launches} launches, {views} views", trials.len()));
    launches
}

#[test]
fn a_step_of_adapters_launches_as_much_for_two_slots_as_for_thirty_two() {
    logged("budgets::a_step_of_adapters_launches_as_much_for_two_slots_as_for_thirty_two", || {
        for (subject, most, layers_with_dropout) in [(Subject::Labels, 215, 12), (Subject::Language, 245, 13)]
        {
            let of = |streams, slots| launches(&trials(subject, streams, slots, false), subject);
            let (in_step, apart) = (of(Streams::One, 2), of(Streams::Own, 2));
            assert!(in_step <= most && apart <= most, "{in_step} and {apart} launches");
            for slots in [8, 32] {
                assert_eq!(of(Streams::One, slots), in_step);
                assert_eq!(of(Streams::Own, slots), apart);
                // A mask that several slots have is drawn once, and handed out to them by their numbers, which are
                // sent.
                assert_eq!(of(Streams::Four, slots), apart + 2 * layers_with_dropout);
            }
        }
    });
}

#[test]
fn a_step_of_whole_models_launches_little_more_for_each_slot() {
    logged("budgets::a_step_of_whole_models_launches_little_more_for_each_slot", || {
        for subject in [Subject::Labels, Subject::Language] {
            let of = |slots| launches(&trials(subject, Streams::One, slots, true), subject);
            // Each slot looks its words up in a table of its own, and has its gradient from there.
            assert!(of(3) <= of(2) + 2);
        }
    });
}

/// Each query's score of each key: `[rows, heads, T, T]`.
fn scores(step: &Step) -> Vec<&Operation> {
    let is_square = |sizes: &Vec<u64>| sizes.len() == 4 && sizes[2] == sizes[3];
    step.writes().filter(|operation| operation.sizes.iter().any(is_square)).collect()
}

#[test]
fn attention_without_dropout_writes_no_score_down() {
    logged("budgets::attention_without_dropout_writes_no_score_down", || {
        for subject in [Subject::Labels, Subject::Language] {
            let trials = trials(subject, Streams::One, 8, false);
            assert_eq!(scores(&third_step(&plain(subject), &trials)), Vec::<&Operation>::new());
            assert!(!scores(&third_step(&bench(subject), &trials)).is_empty(), "it does with dropout");
        }
    });
}

#[test]
fn a_step_writes_so_many_bytes_a_token() {
    logged("budgets::a_step_writes_so_many_bytes_a_token", || {
        for (bench, most) in [
            (plain(Subject::Labels), 10_600),
            (bench(Subject::Labels), 15_000),
            (plain(Subject::Language), 20_000),
            (bench(Subject::Language), 23_400),
        ] {
            let trials = trials(bench.subject, Streams::One, 8, false);
            let step = third_step(&bench, &trials);
            let tokens = |trial| {
                let result = bench.result(trial);
                result.cost.train_tokens / result.steps
            };
            let bytes: u64 = step.launches().map(|operation| operation.bytes).sum();
            let of_each = bytes / trials.iter().map(tokens).sum::<u64>();
            tell(&format!("{:?}: {bytes} bytes, {of_each} a token", bench.subject));
            assert!(of_each <= most, "{of_each} bytes a token");
        }
    });
}
