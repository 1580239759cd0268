//! What is written to a journal, and what is read from one.

use super::*;
use crate::values::{Candidate, Limits, Metric, Policy, Ranked};

#[test]
fn what_is_journaled_is_read_back_and_nothing_ephemeral_is_read_from_a_journal() {
    let trial: TrialId = "00000000000000ab".parse().unwrap();
    let key = JobKey::Train(trial);
    let scores = Some(Scores::of("classification").with(Metric::Loss, 0.25));
    let pause = Pause { trial, step: 3, steps: 9, scores, loss_error: Some(0.125), rows: None };
    let candidate = Candidate { compared: vec![trial], later: Vec::new() };
    let journaled = [
        What::RunStarted {
            pid: 1,
            host: "h".to_owned(),
            version: "0".to_owned(),
            command_line: CommandLine::default(),
            resources: Resources { cores: vec![1, 3], at_once: Some(2), ..Resources::default() },
            settings: Some(Box::new(RunSettings {
                limits: Limits::default(),
                policy: Policy::ONCE,
                retry_failed: true,
                no_stop: true,
            })),
        },
        What::TrainingForeseen { seconds: 1.5, mem_mib: None },
        What::TrainingForeseen { seconds: 0.25, mem_mib: Some(400.0) },
        What::WidthsDecided { widths: vec![TrialsOfWidth { width: Width::Cores(2), trials: vec![trial] }] },
        What::TrialJoining { key, trial },
        What::TrialPaused { key, pause: pause.clone() },
        What::BracketsOpened { brackets: vec![Bracket { number: 1, candidates: vec![candidate.clone()] }] },
        What::RungDecided(Box::new(RungDecision {
            bracket: 1,
            rung: 2,
            by: Some(Metric::Accuracy),
            keep: 1,
            ranking: vec![Ranked { candidate, step: 3, score: Some(0.5), kept: true }],
            until: Some(0.4),
        })),
        What::RungPutOff(RungPutOff {
            bracket: 1,
            rung: 1,
            step: 3,
            untrained: 1.5,
            better: 0,
            keep: 1,
            until: 0.3,
            trials: vec![trial],
        }),
        What::StopOrdered { trials: vec![trial] },
        What::KeepOrdered { trials: vec![trial] },
        What::TrialFinished { trial, result: None },
        What::DeviceRetired { device: Device::Cuda { index: 1 } },
        What::StopRequested { force: true },
        What::RunEnded { done: 1, failed: 0, stopped: 0, left: 2, elapsed_s: 1.5 },
    ];
    let ephemeral = [
        What::TrialJoined { key, trial },
        What::Forecast { remaining: Duration::from_millis(1500) },
        What::Warned { message: "two\nlines".to_owned() },
        What::Woke,
    ];
    let again = |what: &What| serde_json::from_str::<What>(&serde_json::to_string(what).unwrap());
    for what in journaled {
        assert!(what.is_journaled());
        assert_eq!(again(&what).unwrap(), what);
    }
    for what in ephemeral {
        assert!(!what.is_journaled() && !what.is_announcement());
        assert!(again(&what).is_err(), "{what:?}");
    }
    let before = serde_json::from_str::<What>(r#"{"kind":"run_ended"}"#).unwrap();
    assert_eq!(before, What::RunEnded { done: 0, failed: 0, stopped: 0, left: 0, elapsed_s: 0.0 });
}
