//! Turns Ctrl-C and similar signals into requests to stop: the first asks, every later one forces. Stops
//! nothing itself.

use crossbeam::channel::{self, Receiver};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::AppError;
use crate::run::StopRequest;

/// From now on, signals are received here and no longer end the program.
pub(super) fn listen() -> Result<Receiver<StopRequest>, AppError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| AppError::Unexpected(format!("cannot listen for signals: {error}")))?;
    let (send, receive) = channel::unbounded();
    std::thread::spawn(move || {
        for (earlier, _signal) in signals.forever().enumerate() {
            if send.send(StopRequest { force: earlier > 0 }).is_err() {
                break;
            }
        }
    });
    Ok(receive)
}
