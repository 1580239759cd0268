//! Owns the settings of a run, besides its sweep and its places, that decide what starts when: how large packs
//! are, and how failures are treated. The journal keeps them, so that a later reader decides the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest pause before a job is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The times of every run, unless it says otherwise.
const SILENCE: Duration = Duration::from_mins(5);
const REST: Duration = Duration::from_mins(2);

/// How large a pack may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most trials per pack, at least 1.
    pub slots: usize,
    /// Memory for each core of a pack, or of a GPU, in MiB. A trial that needs more than its cores have trains
    /// alone.
    pub mem_mib: f64,
}

impl Limits {
    /// Every trial in a pack of its own.
    pub const ALONE: Self = Self { slots: 1, mem_mib: f64::INFINITY };
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: usize::MAX, mem_mib: f64::INFINITY }
    }
}

/// How the scheduler treats failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first job or trial that fails for good ends the run; running jobs are asked to stop.
    pub fail_fast: bool,
    /// Most starts of a trial in one run, at least 1; the same for preparation and the report. Only failures
    /// that another start can mend are tried again. A start after which fewer trials are tried together does
    /// not count, since such starts end by themselves: after running out of memory, or when all trials of a
    /// pack failed before. Nor does a start whose device failed: it tells of the device, unless the trial lost
    /// all devices, and this one again after it worked for others. A trial that is left alone, lost all of them,
    /// and three times one on which others had trained, is not started again.
    pub attempts: u32,
    /// Pause before the second start; it doubles before each later one, up to five minutes.
    pub pause: Duration,
    /// Longest time that one start of a trial may take. A pack gets this time for each of its trials.
    pub trial_timeout: Option<Duration>,
    /// A child of which nothing was heard for so long hangs, and is killed. One that works is heard every two
    /// seconds.
    pub silence: Duration,
    /// How long a GPU rests after a pack lost it. It rests twice as long after the second such loss of a run, and
    /// four times as long after all others.
    pub rest: Duration,
}

impl Policy {
    /// Everything starts once and has no time limit.
    pub const ONCE: Self = Self {
        fail_fast: false,
        attempts: 1,
        pause: Duration::ZERO,
        trial_timeout: None,
        silence: SILENCE,
        rest: REST,
    };

    /// Pause before the next start after this number of failures.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

/// The options chosen when a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct RunSettings {
    /// How large packs may be.
    pub limits: Limits,
    /// How failures are treated.
    pub policy: Policy,
    /// Trials that failed in an earlier run are tried again.
    pub retry_failed: bool,
    /// Nothing is stopped early, and what was goes on.
    pub no_stop: bool,
}

/// The written form: absent limits and usual times are left out, and times are in seconds.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_mib: Option<f64>,
    fail_fast: bool,
    attempts: u32,
    pause_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_timeout_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest_s: Option<f64>,
    retry_failed: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_stop: bool,
}

impl From<RunSettings> for Written {
    fn from(settings: RunSettings) -> Self {
        let RunSettings { limits, policy, retry_failed, no_stop } = settings;
        Self {
            slots: Some(limits.slots).filter(|slots| *slots < usize::MAX),
            mem_mib: Some(limits.mem_mib).filter(|mem_mib| mem_mib.is_finite()),
            fail_fast: policy.fail_fast,
            attempts: policy.attempts,
            pause_s: policy.pause.as_secs_f64(),
            trial_timeout_s: policy.trial_timeout.map(|limit| limit.as_secs_f64()),
            silence_s: other_than(SILENCE, policy.silence),
            rest_s: other_than(REST, policy.rest),
            retry_failed,
            no_stop,
        }
    }
}

impl From<Written> for RunSettings {
    fn from(written: Written) -> Self {
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self {
            limits: Limits {
                slots: written.slots.unwrap_or(usize::MAX),
                mem_mib: written.mem_mib.unwrap_or(f64::INFINITY),
            },
            policy: Policy {
                fail_fast: written.fail_fast,
                attempts: written.attempts,
                pause: duration(written.pause_s),
                trial_timeout: written.trial_timeout_s.map(duration),
                silence: written.silence_s.map_or(SILENCE, duration),
                rest: written.rest_s.map_or(REST, duration),
            },
            retry_failed: written.retry_failed,
            no_stop: written.no_stop,
        }
    }
}

/// The seconds of a time that is not the usual one.
fn other_than(usual: Duration, time: Duration) -> Option<f64> {
    (time != usual).then_some(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_whatever_has_no_limit() {
        let policy =
            Policy { fail_fast: true, attempts: 3, pause: Duration::from_millis(2_100), ..Policy::ONCE };
        let limited = RunSettings {
            limits: Limits { slots: 4, mem_mib: 0.1 },
            policy: Policy {
                trial_timeout: Some(Duration::from_secs(90)),
                silence: Duration::from_secs(20),
                rest: Duration::from_secs(3),
                ..policy
            },
            retry_failed: true,
            no_stop: true,
        };
        let endless = Policy { trial_timeout: Some(Duration::MAX), ..policy };
        let unlimited =
            RunSettings { limits: Limits::default(), policy, retry_failed: false, no_stop: false };
        for settings in [limited, unlimited, RunSettings { policy: endless, ..limited }] {
            let text = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<RunSettings>(&text).unwrap(), settings, "{text}");
        }
    }
}
