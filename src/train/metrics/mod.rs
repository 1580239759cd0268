//! Owns what predictions are scored by: a tally for each kind of objective. Pure: no tensors, no files.

mod answers;
mod classification;
mod language;

pub use self::answers::AnswerTally;
pub use self::classification::Tally;
pub use self::language::LanguageTally;
