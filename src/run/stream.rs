//! Owns the order in which an event reaches those that follow a run: the journal first, so that an
//! announcement is durable before anybody acts on it; then the ledger; then whoever else reads along.

use jiff::Timestamp;

use crate::record::journal::Journal;
use crate::record::ledger::Ledger;
use crate::run::RunError;
use crate::values::{Event, Reader, What};

/// Where every event of a run is told, once.
pub(super) struct Stream<'a, 'r> {
    pub(super) journal: Journal,
    pub(super) ledger: Ledger,
    pub(super) readers: &'a mut [&'r mut dyn Reader],
}

impl Stream<'_, '_> {
    /// Tells an event to everybody but the scheduler.
    pub(super) fn tell(&mut self, what: What) -> Result<What, RunError> {
        let event = Event { at: Timestamp::now(), what };
        self.journal.append(&event)?;
        self.ledger.apply(&event);
        self.readers.iter_mut().for_each(|reader| reader.on(&event));
        Ok(event.what)
    }

    /// Tells the user something that the run goes on from.
    pub(super) fn warn(&mut self, message: String) -> Result<(), RunError> {
        self.tell(What::Warned { message }).map(drop)
    }
}
