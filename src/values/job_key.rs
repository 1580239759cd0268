//! Owns the names of jobs, which say what each works on. Job files, logs and journal entries are found by them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::values::{ContentHash, TrialId};

/// A job, named by what it works on. The name is unique among live jobs, and the same work has the same name in
/// every run. As text it is `prepare-<store>`, `train-<first trial>` or `report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKey {
    /// Makes this token store.
    Prepare(ContentHash),
    /// Trains a pack whose first trial is this one.
    Train(TrialId),
    /// Writes the report.
    Report,
}

/// A text that names no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a job")]
pub struct NoJobKey;

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare(store) => write!(f, "prepare-{store}"),
            Self::Train(first) => write!(f, "train-{first}"),
            Self::Report => write!(f, "report"),
        }
    }
}

impl FromStr for JobKey {
    type Err = NoJobKey;

    fn from_str(text: &str) -> Result<Self, NoJobKey> {
        match text.split_once('-') {
            Some(("prepare", store)) => store.parse().map(Self::Prepare).map_err(|_| NoJobKey),
            Some(("train", first)) => first.parse().map(Self::Train).map_err(|_| NoJobKey),
            None if text == "report" => Ok(Self::Report),
            Some(_) | None => Err(NoJobKey),
        }
    }
}

impl Serialize for JobKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_as_it_is_written_and_nothing_else_is_one() {
        let store = ContentHash::of_bytes(b"store");
        let trial = "00000000000000ab".parse().unwrap();
        let written = [
            (JobKey::Prepare(store), format!("prepare-{store}")),
            (JobKey::Train(trial), "train-00000000000000ab".to_owned()),
            (JobKey::Report, "report".to_owned()),
        ];
        for (key, text) in written {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
            assert_eq!(serde_json::from_str::<JobKey>(&format!("{text:?}")).unwrap(), key);
        }
        for text in ["", "summarise", "report-", "train-", "train-xy", "prepare-00000000000000ab"] {
            assert_eq!(text.parse::<JobKey>(), Err(NoJobKey), "{text}");
        }
    }
}
