//! Owns what happens when a sweep is started: the loop, the journal, resume and the record.

pub mod files;
pub mod history;
pub mod journal;
pub mod layout;
pub mod lock;
pub mod record;
pub mod resume;
