//! Owns the events as JSON for programs, one object per line: the event's name in snake case under `event`, its
//! time under `at`, its fields under their own names, durations in seconds under names that end in `_s`.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::values::{Event, Reader, What};

/// Writes each event as one line.
pub(super) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Reader for Json<W> {
    fn on(&mut self, event: &Event) {
        let Some(fields) = fields(event) else { return };
        // A closed pipe must not end the training.
        let _ = writeln!(self.out, "{}", Value::Object(fields)).and_then(|()| self.out.flush());
    }
}

/// An event's fields; `None` where it is of no use to a program.
fn fields(event: &Event) -> Option<Map<String, Value>> {
    if event.what == What::Woke {
        return None;
    }
    let mut fields: Map<String, Value> =
        serde_json::from_value(serde_json::to_value(&event.what).ok()?).ok()?;
    let name = fields.remove("kind")?;
    fields.insert("event".to_owned(), name);
    fields.insert("at".to_owned(), json!(event.at.to_string()));
    if let What::TrialFinished { result: Some(result), .. } = &event.what {
        fields.insert("result".to_owned(), serde_json::to_value(result).ok()?);
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{JobKey, Progress};
    use jiff::Timestamp;

    #[test]
    fn every_event_is_one_object_on_one_line() {
        let mut json = Json::new(Vec::new());
        let trial = "00000000000000ff".parse().unwrap();
        let progress =
            Progress { trial, step: 3, steps: 9, loss: f64::NAN, rows_per_s: 100.0, validation: None };
        for what in [
            What::TrialProgressed { key: JobKey::Train(trial), progress },
            What::Woke,
            What::Warned { message: "two\nlines".to_owned() },
            What::RunEnded { done: 1, failed: 0, stopped: 0, left: 0, elapsed_s: 1.5 },
        ] {
            json.on(&Event { at: Timestamp::UNIX_EPOCH, what });
        }
        let text = String::from_utf8(json.out).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["event"], "trial_progressed");
        assert_eq!(lines[0]["at"], "1970-01-01T00:00:00Z");
        assert_eq!(lines[0]["progress"]["trial"], "00000000000000ff");
        assert!(lines[0]["progress"]["loss"].is_null(), "a diverged loss has no JSON number");
        assert_eq!(lines[1]["message"], "two\nlines");
        assert_eq!(lines[2]["elapsed_s"], 1.5);
    }
}
