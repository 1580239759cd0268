//! Owns the loop's time: the wall clock at its start, plus the time passed since on a clock that nobody sets.
//! Pauses and time limits do not jump when the wall clock is changed.

use std::time::{Instant, SystemTime};

/// A clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    wall: SystemTime,
    begun: Instant,
}

impl Clock {
    /// Starts with the wall clock's time.
    pub(super) fn start() -> Self {
        Self { wall: SystemTime::now(), begun: Instant::now() }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.wall + self.begun.elapsed()
    }

    /// The moment at which this clock shows `time`, or its start if that was later.
    pub(super) fn instant(&self, time: SystemTime) -> Instant {
        self.begun + time.duration_since(self.wall).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_wall_clock_that_was_set_moves_neither_pauses_nor_limits() {
        let begun = Instant::now();
        for wall in [SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(1 << 31)] {
            // As if the wall clock had been at `wall` then, and is where it is now.
            let clock = Clock { wall, begun };
            let pause = Duration::from_secs(300);
            assert_eq!(clock.instant(wall + pause), begun + pause);
            let passed = clock.now().duration_since(wall).unwrap();
            assert!(passed <= begun.elapsed());
            assert_eq!(clock.instant(wall - pause), begun);
        }
    }
}
