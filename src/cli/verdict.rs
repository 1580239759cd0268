//! Owns the judgement on the end of a run, and the matching error. Prints nothing.

use std::collections::BTreeMap;

use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::run::RunSummary;
use crate::values::{Device, Failure, JobKey, TrialId, quantity, shell};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict<'a> {
    /// Every trial is done, and the report is written.
    Complete,
    /// Trials are left because devices failed.
    DevicesFailed {
        /// The devices.
        devices: &'a [Device],
        /// Number of remaining trials.
        left: usize,
    },
    /// It stopped because files could not be written.
    Unwritable {
        /// The system's message.
        message: &'a str,
    },
    /// It was stopped early; the same command continues it.
    Interrupted,
    /// It ended, and trials failed.
    TrialsFailed {
        /// The reason for each trial; at least one.
        failures: &'a [(TrialId, Failure)],
    },
    /// It ended, and a job other than training failed.
    JobFailed {
        /// The job.
        key: &'a JobKey,
        /// Why.
        failure: &'a Failure,
    },
}

/// Judges the end of a run. Faults of the machine come first, since nothing can continue before they are fixed.
pub(super) fn verdict(summary: &RunSummary) -> Verdict<'_> {
    let RunSummary { left, failures, failed_jobs, retired, unwritable, stopped, reported, .. } = summary;
    let failed = !failures.is_empty() || !failed_jobs.is_empty();
    let interrupted = *stopped && !reported || *left > 0 && (*stopped || !failed);
    if *left > 0 && !retired.is_empty() {
        Verdict::DevicesFailed { devices: retired, left: *left }
    } else if let Some(message) = unwritable {
        Verdict::Unwritable { message }
    } else if interrupted {
        Verdict::Interrupted
    } else if !failures.is_empty() {
        Verdict::TrialsFailed { failures }
    } else if let Some((key, failure)) = failed_jobs.first() {
        Verdict::JobFailed { key, failure }
    } else {
        Verdict::Complete
    }
}

impl Verdict<'_> {
    /// The verdict as the command's result, for a sweep of `trials` trials. `again` gives the command line that
    /// continues it, with one more option.
    pub(super) fn result(
        self,
        layout: &Layout,
        trials: usize,
        again: impl Fn(Option<&str>) -> String,
    ) -> Result<(), AppError> {
        let run = shell::quoted([layout.run().to_string_lossy()]);
        let continues = again(None);
        Err(match self {
            Self::Complete => return Ok(()),
            Self::DevicesFailed { devices, left } => {
                let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
                AppError::Environment {
                    message: format!("devices failed and {} left: {}", are(left), devices.join(", ")),
                    hint: Some(format!(
                        "`lorasweep doctor` shows the devices of this machine; `{continues}` continues"
                    )),
                }
            }
            Self::Unwritable { message } => AppError::Environment {
                message: format!("stopped, since files cannot be written: {message}"),
                hint: Some(format!(
                    "free some disk space or make the disk writable; then `{continues}` continues, and no \
                     finished work is lost"
                )),
            },
            Self::Interrupted => AppError::Interrupted {
                hint: format!(
                    "`{continues}` continues; `lorasweep report {run}` reports the finished trials"
                ),
            },
            Self::TrialsFailed { failures } => AppError::TrialsFailed {
                failed: failures.len(),
                total: trials,
                hint: format!(
                    "`lorasweep explain {run} {}` says why; `{}` retries failed trials",
                    failures[0].0,
                    again(Some("--retry-failed"))
                ),
            },
            Self::JobFailed { key, failure } => {
                let log = layout.job(key).log();
                AppError::Unexpected(format!("job `{key}` failed: {failure}\nlog: {}", log.display()))
            }
        })
    }
}

/// Why trials failed, and how many for each reason: `2 out of memory, 1 diverged`.
pub(super) fn reasons(failures: &[(TrialId, Failure)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, failure) in failures {
        *counts.entry(failure.kind()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    counts.join(", ")
}

fn are(trials: usize) -> String {
    format!("{} {}", quantity::counted(trials, "trial"), if trials == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::plan::example;

    /// What the table below varies; a run that ended well otherwise.
    #[derive(Clone, Copy, Default)]
    struct Case {
        failed: bool,
        job_failed: bool,
        left: usize,
        stopped: bool,
        unreported: bool,
        retired: bool,
        unwritable: bool,
    }

    fn summary(case: Case) -> RunSummary {
        let trial = example::sweep().trials()[0].id;
        let failures = if case.failed { vec![(trial, Failure::OutOfMemory)] } else { Vec::new() };
        let jobs = if case.job_failed { vec![(JobKey::Report, Failure::Hung)] } else { Vec::new() };
        RunSummary {
            done: 5,
            failed: failures.len(),
            stopped_early: 0,
            left: case.left,
            kept: 0,
            elapsed: Duration::ZERO,
            failures,
            failed_jobs: jobs,
            retired: if case.retired { vec![Device::Cuda { index: 1 }] } else { Vec::new() },
            unwritable: case.unwritable.then(|| "the disk is full".to_owned()),
            stopped: case.stopped,
            reported: !case.unreported,
        }
    }

    #[test]
    fn each_end_has_its_exit_code() {
        let well = Case::default();
        let failed = Case { failed: true, ..well };
        let stopped = Case { stopped: true, left: 2, ..well };
        let cases = [
            (well, 0),
            (Case { retired: true, ..well }, 0),
            (Case { stopped: true, ..well }, 0),
            (Case { job_failed: true, ..well }, 1),
            (failed, 3),
            (Case { job_failed: true, ..failed }, 3),
            // What waited for a trial or job that failed is left.
            (Case { left: 2, ..failed }, 3),
            (Case { left: 2, job_failed: true, ..well }, 1),
            (Case { retired: true, ..failed }, 3),
            (stopped, 4),
            (Case { failed: true, ..stopped }, 4),
            (Case { stopped: true, unreported: true, ..well }, 4),
            (Case { left: 2, ..well }, 4),
            (Case { retired: true, ..stopped }, 5),
            (Case { retired: true, left: 1, ..failed }, 5),
            (Case { unwritable: true, ..well }, 5),
            (Case { unwritable: true, ..stopped }, 5),
            (Case { unwritable: true, ..failed }, 5),
        ];
        for (number, (case, code)) in cases.into_iter().enumerate() {
            let summary = summary(case);
            let layout = Layout::new(Path::new("results"), "demo");
            let result = verdict(&summary).result(&layout, 9, |_| "lorasweep run demo.yaml".to_owned());
            assert_eq!(result.map_or_else(|error| error.exit_code(), |()| 0), code, "case {number}");
        }
    }

    #[test]
    fn reasons_are_counted() {
        let trial = example::sweep().trials()[0].id;
        let failures = [Failure::OutOfMemory, Failure::TimedOut, Failure::OutOfMemory];
        assert_eq!(reasons(&failures.map(|failure| (trial, failure))), {
            format!("2 {}, 1 {}", Failure::OutOfMemory.kind(), Failure::TimedOut.kind())
        });
    }
}
