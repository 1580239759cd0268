//! Owns what to do with each trial when a sweep is started again. Starts nothing.
//!
//! [`decide`] is the whole decision table and is pure; [`look`] gathers its evidence. A trial with a valid
//! result is done, whatever the journal says: a crash may have come between the two.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use safetensors::tensor::Metadata;

use crate::disk::files;
use crate::disk::layout::Layout;
use crate::record::ledger::{Ledger, TrialState};
use crate::values::{TrialId, TrialResult};

/// The largest accepted header, in bytes; safetensors' own limit.
const MAX_HEADER: u64 = 100_000_000;

/// What is known of a trial when the sweep is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The journal's last word on the trial.
    pub recorded: RecordedState,
    /// Whether there is a valid result.
    pub result: bool,
    /// The checkpoint from which it could continue.
    pub checkpoint: Checkpoint,
}

/// The journal's last word on a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedState {
    /// Nothing.
    Nothing,
    /// It was started and did not end.
    Started,
    /// It failed for good.
    Failed,
}

/// The state of a trial's last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// It can be read.
    Readable,
    /// There is none.
    Missing,
    /// There is a file that is not a whole checkpoint.
    Damaged,
}

/// What to do with a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays done, or failed.
    Keep,
    /// It continues at its checkpoint's step.
    Continue,
    /// It was started before and starts from the beginning.
    Restart,
    /// It starts for the first time.
    Run,
}

/// The decision table, for a trial of the sweep; any other trial stays on disk and is not scheduled.
#[must_use]
pub fn decide(evidence: Evidence, retry_failed: bool) -> Decision {
    let Evidence { recorded, result, checkpoint } = evidence;
    match (result, recorded) {
        (true, _) => Decision::Keep,
        (false, RecordedState::Nothing) => Decision::Run,
        (false, RecordedState::Failed) if !retry_failed => Decision::Keep,
        (false, RecordedState::Failed | RecordedState::Started) => match checkpoint {
            Checkpoint::Readable => Decision::Continue,
            Checkpoint::Missing | Checkpoint::Damaged => Decision::Restart,
        },
    }
}

/// Gathers the evidence about one trial.
#[must_use]
pub fn look(layout: &Layout, ledger: &Ledger, id: TrialId) -> Evidence {
    let recorded = match ledger.trial(id).map(|standing| (&standing.state, standing.attempts)) {
        // Where its configuration was stopped, a trial may have a state and never have started.
        None | Some((TrialState::Waiting | TrialState::Stopped { .. }, 0)) => RecordedState::Nothing,
        // A finished trial whose result is gone counts as started, since it must be done again.
        Some((
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Stopped { .. }
            | TrialState::Interrupted
            | TrialState::Done,
            _,
        )) => RecordedState::Started,
        Some((TrialState::Failed { .. }, _)) => RecordedState::Failed,
    };
    let result = result(layout, id).is_some();
    Evidence { recorded, result, checkpoint: checkpoint(&layout.last_checkpoint(id)) }
}

/// A trial's result, if there is a valid one.
#[must_use]
pub fn result(layout: &Layout, id: TrialId) -> Option<TrialResult> {
    let result: Option<TrialResult> = files::read_sealed(&layout.result(id)).ok().flatten();
    result.filter(|result| result.trial == id)
}

/// The state of a checkpoint file: its header must be readable, and its length must match the header.
#[must_use]
pub fn checkpoint(path: &Path) -> Checkpoint {
    match whole(path) {
        Ok(true) => Checkpoint::Readable,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Checkpoint::Missing,
        Ok(false) | Err(_) => Checkpoint::Damaged,
    }
}

fn whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size)?;
    let header = u64::from_le_bytes(size);
    if header > MAX_HEADER.min(length) {
        return Ok(false);
    }
    let mut text = Vec::new();
    file.take(header).read_to_end(&mut text)?;
    Ok(serde_json::from_slice::<Metadata>(&text)
        .is_ok_and(|metadata| 8 + header + metadata.data_len() as u64 == length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{Dtype, TensorView};

    /// The table of the architecture's chapter on resume, row by row, in words.
    fn oracle(evidence: Evidence, retry_failed: bool) -> Decision {
        let journal = if evidence.result {
            "done"
        } else if evidence.recorded == RecordedState::Failed {
            "failed"
        } else if evidence.recorded == RecordedState::Started {
            "running at the crash, or interrupted"
        } else {
            "never seen"
        };
        let readable = evidence.checkpoint == Checkpoint::Readable;
        match (journal, readable, retry_failed) {
            ("done", _, _) | ("failed", _, false) => Decision::Keep,
            ("never seen", _, _) => Decision::Run,
            (_, true, _) => Decision::Continue,
            (_, false, _) => Decision::Restart,
        }
    }

    #[test]
    fn every_case_agrees_with_the_table() {
        for recorded in [RecordedState::Nothing, RecordedState::Started, RecordedState::Failed] {
            for result in [true, false] {
                for checkpoint in [Checkpoint::Readable, Checkpoint::Missing, Checkpoint::Damaged] {
                    for retry in [true, false] {
                        let evidence = Evidence { recorded, result, checkpoint };
                        assert_eq!(decide(evidence, retry), oracle(evidence, retry), "{evidence:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_checkpoint_is_readable_only_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        assert_eq!(checkpoint(&path), Checkpoint::Missing);
        let data = [0; 16];
        let tensor = TensorView::new(Dtype::F32, vec![2, 2], &data).unwrap();
        let whole = safetensors::serialize([("weight", tensor)], None).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(checkpoint(&path), Checkpoint::Damaged, "{length} bytes");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(checkpoint(&path), Checkpoint::Readable);
    }
}
