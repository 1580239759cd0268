//! Owns what happens when a sweep is started: the loop, the journal, resume and the record.

pub mod layout;
pub mod record;
