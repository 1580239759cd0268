//! Owns the order in which an event is published: first to the journal, so that an announcement is durable
//! before anyone acts on it, then to the ledger, then to all other readers. Decides nothing.

use jiff::Timestamp;

use crate::record::journal::Journal;
use crate::record::ledger::Ledger;
use crate::run::RunError;
use crate::run::measuring::Measuring;
use crate::values::{Event, Reader, What};

/// Where every event of a run is published, once.
pub(super) struct Stream<'a, 'r> {
    pub(super) journal: Journal,
    pub(super) ledger: Ledger,
    pub(super) readers: &'a mut [&'r mut dyn Reader],
    /// What follows the packs of this run, once there is work for them.
    pub(super) measuring: Option<Measuring>,
}

impl Stream<'_, '_> {
    /// Publishes an event to everyone but the scheduler.
    pub(super) fn tell(&mut self, what: What) -> Result<What, RunError> {
        let event = Event { at: Timestamp::now(), what };
        self.journal.append(&event)?;
        self.ledger.apply(&event);
        self.readers.iter_mut().for_each(|reader| reader.on(&event));
        if let Some(measuring) = &mut self.measuring {
            measuring.on(&event);
        }
        Ok(event.what)
    }

    /// Warns the user of a problem that does not stop the run.
    pub(super) fn warn(&mut self, message: String) -> Result<(), RunError> {
        self.tell(What::Warned { message }).map(drop)
    }
}
