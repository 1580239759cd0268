//! Owns the models: their weight files and their layers. Knows nothing of trials or schedules.
pub mod weights;
