//! Owns whether training gets on, as its parent hears it: by beats, which stop where no unit of work has ended for
//! too long. A unit is a step, a batch of an evaluation, a checkpoint. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Training hangs where a unit of work takes more than so many times the longest before it, but not within the
/// silence that the parent allows to all.
const LONGEST: u32 = 20;
/// Most time for loading libtorch, a base and data, and for all before the first step is over: the first use of a
/// GPU compiles kernels.
const LOADING: Duration = Duration::from_mins(30);

/// The pulse of a job that trains.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When the last unit ended.
    ended: Instant,
    /// The longest unit so far, without the first, which loads; `None` before that.
    longest: Option<Duration>,
    /// A step is over.
    steps: bool,
    /// A unit has ended since the last beat.
    is_new: bool,
    /// How long the parent waits after the last beat.
    silence: Duration,
}

impl Pulse {
    pub(super) fn begin(now: Instant, silence: Duration) -> Self {
        Self { ended: now, longest: None, steps: false, is_new: true, silence }
    }

    /// A unit of work has ended, perhaps a step.
    pub(super) fn work_ended(&mut self, now: Instant, is_step: bool) {
        let took = now.saturating_duration_since(self.ended);
        self.longest = Some(self.longest.map_or(Duration::ZERO, |longest| longest.max(took)));
        (self.ended, self.is_new) = (now, true);
        self.steps |= is_step;
    }

    /// Whether to beat now. Once beats have stopped the parent waits for a while longer, which is part of what is
    /// allowed.
    pub(super) fn beats(&mut self, now: Instant) -> bool {
        let usual = self.longest.unwrap_or_default().saturating_mul(LONGEST);
        let allowed = usual.max(if self.steps { self.silence } else { LOADING });
        let idle = now.saturating_duration_since(self.ended);
        std::mem::take(&mut self.is_new) || idle.saturating_add(self.silence) < allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_mins(5);

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long after the last unit the parent takes training to hang, where the child could beat each second.
    fn allowed(pulse: &mut Pulse, ended: Instant) -> Duration {
        let beats = (1..).map(s).take_while(|after| pulse.beats(ended + *after));
        beats.last().unwrap_or_default() + SILENCE
    }

    /// A pulse after loading and these units, and when the last ended.
    fn after(units: &[Duration], steps: bool) -> (Pulse, Instant) {
        let (begun, mut pulse) = (Instant::now(), Pulse::begin(Instant::now(), SILENCE));
        let mut now = begun + s(900);
        pulse.work_ended(now, false);
        for unit in units {
            now += *unit;
            pulse.work_ended(now, steps);
        }
        assert!(pulse.beats(now));
        (pulse, now)
    }

    #[test]
    fn a_step_that_takes_far_longer_than_any_before_hangs() {
        for (longest, minutes) in [(1, 5), (15, 5), (60, 20), (600, 200)] {
            let (mut pulse, ended) = after(&[s(longest), s(1), s(1)], true);
            assert_eq!(allowed(&mut pulse, ended).as_secs().div_ceil(60), minutes);
        }
    }

    #[test]
    fn what_comes_before_the_first_step_has_half_an_hour() {
        let begun = Instant::now();
        let mut loading = Pulse::begin(begun, SILENCE);
        assert!(loading.beats(begun));
        assert_eq!(allowed(&mut loading, begun).as_secs().div_ceil(60), 30);
        let (mut evaluating, ended) = after(&[s(1), s(2)], false);
        assert_eq!(allowed(&mut evaluating, ended).as_secs().div_ceil(60), 30);
    }

    #[test]
    fn every_unit_is_heard_however_long_it_took() {
        let (mut pulse, ended) = after(&[s(1)], true);
        let late = ended + s(100_000);
        assert!(!pulse.beats(late));
        pulse.work_ended(late, true);
        assert!(pulse.beats(late));
    }
}
