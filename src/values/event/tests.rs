//! What is written to a journal, and what is read from one.

use super::*;
use crate::values::{Limits, Policy};

#[test]
fn what_is_journaled_is_read_back_and_nothing_ephemeral_is_read_from_a_journal() {
    let trial: TrialId = "00000000000000ab".parse().unwrap();
    let key = JobKey::Train(trial);
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
            })),
        },
        What::TrainingForeseen { seconds: 1.5, mem_mib: None },
        What::TrainingForeseen { seconds: 0.25, mem_mib: Some(400.0) },
        What::WidthsDecided { widths: vec![TrialsOfWidth { width: Width::Cores(2), trials: vec![trial] }] },
        What::TrialJoining { key, trial },
        What::TrialStopped { key, trial, step: 3 },
        What::TrialFinished { trial, result: None },
        What::DeviceRetired { device: Device::Cuda { index: 1 } },
        What::StopRequested { force: true },
        What::RunEnded { done: 1, failed: 0, left: 2, elapsed_s: 1.5 },
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
    assert_eq!(before, What::RunEnded { done: 0, failed: 0, left: 0, elapsed_s: 0.0 });
}
