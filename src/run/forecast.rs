//! Owns how often the time that a run still takes is worked out anew. Knows nothing of jobs.

use std::time::{Duration, Instant};

/// Working out the time left may take this share of the time: it looks at every job of the run, and
/// trials of a large one end every moment.
const SHARE: f64 = 0.01;

/// The time that a run still takes, as it was worked out last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forecast {
    last: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Instant,
    left: Duration,
    took: Duration,
}

impl Forecast {
    /// The time left: worked out, or what is left of what was worked out a moment ago. `now` tells the time.
    pub(super) fn left(
        &mut self,
        now: impl Fn() -> Instant,
        work_out: impl FnOnce() -> Duration,
    ) -> Duration {
        let at = now();
        if let Some(last) = self.last
            && last.took > at.duration_since(last.at).mul_f64(SHARE)
        {
            return last.left.saturating_sub(at.duration_since(last.at));
        }
        let left = work_out();
        self.last = Some(Known { at, left, took: now().duration_since(at) });
        left
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_takes_long_is_worked_out_seldom() {
        let (begun, passed) = (Instant::now(), Cell::new(0));
        let now = || begun + Duration::from_millis(passed.get());
        let mut forecast = Forecast::default();
        let mut left = |at, left_s, took| {
            passed.set(at);
            forecast.left(now, || {
                passed.set(at + took);
                Duration::from_secs(left_s)
            })
        };
        assert_eq!(left(0, 100, 10), Duration::from_secs(100));
        assert_eq!(left(500, 50, 10), Duration::from_millis(99_500));
        assert_eq!(left(1_001, 50, 0), Duration::from_secs(50));
        assert_eq!(left(1_002, 40, 0), Duration::from_secs(40), "what takes no time is worked out each time");
    }
}
