use jiff::Timestamp;

use super::*;
use crate::record::ledger::Ledger;
use crate::values::{CommandLine, Device, Failure, JobKey, Placement, Resources, TrialId, What};

/// A journal as runs write it: a failure and a second attempt, a crash, another run, an end.
fn entries() -> Vec<Event> {
    let key = JobKey::Train("00000000000000ab".parse().unwrap());
    let report = JobKey::Report;
    let [ab, cd] = ["00000000000000ab", "00000000000000cd"].map(|id| id.parse::<TrialId>().unwrap());
    let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1] };
    let started = || What::RunStarted {
        pid: 7,
        host: "höst".to_owned(),
        version: "0.1.0".to_owned(),
        command_line: CommandLine {
            folder: "/a b".into(),
            words: vec!["run".to_owned(), "b.yaml".to_owned()],
        },
        resources: Resources::default(),
        settings: None,
    };
    let launching = |key: JobKey, attempt, trials| What::JobLaunching {
        key,
        attempt,
        placement: placement.clone(),
        trials,
    };
    let happened = [
        started(),
        launching(key, 1, vec![ab, cd]),
        What::JobStarted { key, pid: 8 },
        What::TrialFinished { trial: ab, result: None },
        What::JobFailed { key, failure: Failure::OutOfMemory },
        launching(key, 2, vec![cd]),
        What::JobStarted { key, pid: 9 },
        started(),
        launching(key, 1, vec![cd]),
        What::TrialJoining { key, trial: ab },
        What::TrialReturned { key, trial: ab },
        What::TrialFailed { trial: cd, failure: Failure::Diverged { step: 3 } },
        What::JobFinished { key },
        launching(report, 1, vec![]),
        What::JobInterrupted { key: report },
        What::RunEnded { done: 1, failed: 1, stopped: 0, left: 0, elapsed_s: 14.0 },
    ];
    let at = |second| Timestamp::from_second(second).unwrap();
    (1..).zip(happened).map(|(second, what)| Event { at: at(second), what }).collect()
}

fn bytes(entries: &[Event]) -> Vec<u8> {
    HEADER.iter().copied().chain(entries.iter().flat_map(frame::of)).collect()
}

#[test]
fn what_is_appended_is_read_back_over_several_openings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for (n, entry) in entries().iter().enumerate() {
        let (mut journal, replay) = Journal::open(&path).unwrap();
        assert_eq!(replay.events, entries()[..n]);
        assert_eq!(replay.dropped(), None);
        journal.append(entry).unwrap();
    }
    assert_eq!(read(&path).unwrap().events, entries());
}

#[test]
fn every_prefix_replays_and_reports_its_torn_tail() {
    let whole = bytes(&entries());
    for length in 0..=whole.len() {
        let replay = frame::replay(&whole[..length]).unwrap();
        assert_eq!(replay.events, entries()[..replay.events.len()]);
        assert_eq!(replay.kept_bytes + replay.dropped_bytes, length);
        assert_eq!(replay.dropped_entries, 0);
        assert_eq!(replay.dropped().is_some(), replay.dropped_bytes > 0);
        let again = bytes(&replay.events);
        assert_eq!(replay.kept_bytes, if length < HEADER.len() { 0 } else { again.len() });
    }
}

/// Whatever a byte becomes: the frames before it are kept, those behind it counted, and the state is
/// one that the run was in.
#[test]
fn every_damaged_byte_is_reported_and_what_stood_before_it_is_kept() {
    let entries = entries();
    let whole = bytes(&entries);
    let histories: Vec<Ledger> = (0..=entries.len()).map(|n| Ledger::replay(&entries[..n])).collect();
    let ends: Vec<usize> = (0..=entries.len()).map(|n| bytes(&entries[..n]).len()).collect();
    for position in 0..whole.len() {
        let flips = (0..8).map(|bit| 1 << bit).chain([0xff, whole[position]]);
        for flip in flips.filter(|flip| *flip != 0) {
            let mut damaged = whole.clone();
            damaged[position] ^= flip;
            match frame::replay(&damaged) {
                Ok(replay) => {
                    let n = ends.partition_point(|end| *end <= position) - 1;
                    assert_eq!((replay.events.len(), replay.kept_bytes), (n, ends[n]));
                    assert_eq!(replay.dropped_bytes, whole.len() - ends[n]);
                    assert_eq!(replay.dropped_entries, entries.len() - n - 1, "byte {position}");
                    assert!(replay.dropped().is_some());
                    assert_eq!(Ledger::replay(&replay.events), histories[n]);
                }
                Err(Broken::Header | Broken::Version { .. }) => assert!(position < HEADER.len()),
                Err(Broken::Entry { offset, message }) => panic!("byte {position}: {offset}: {message}"),
            }
        }
    }
}

#[test]
fn a_torn_tail_is_cut_before_going_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let whole = bytes(&entries());
    for length in (0..=whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut journal, replay) = Journal::open(&path).unwrap();
        let last = &entries()[5];
        journal.append(last).unwrap();
        let now = read(&path).unwrap();
        assert_eq!(now.dropped_bytes, 0);
        assert_eq!(now.events.split_last().unwrap(), (last, &replay.events[..]));
        assert_eq!(replay.aside, None);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_journal_damaged_in_the_middle_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut damaged = bytes(&entries());
    let middle = bytes(&entries()[..4]).len() + 20;
    damaged[middle] ^= 1;
    for n in 1..3 {
        fs::write(&path, &damaged).unwrap();
        let (_, replay) = Journal::open(&path).unwrap();
        let dropped = replay.dropped().unwrap();
        assert!(dropped.contains("damaged at byte") && dropped.contains("11 entries"), "{dropped}");
        let aside = replay.aside.unwrap();
        assert_eq!(aside, folder.path().join(format!("journal.damaged-{n}")));
        assert_eq!(fs::read(aside).unwrap(), damaged);
        assert_eq!(read(&path).unwrap().events, entries()[..4]);
    }
}

/// A full disk may take a part of a frame, and room may be made later.
#[test]
fn what_a_failed_append_left_is_overwritten_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    let entries = entries();
    journal.append(&entries[0]).unwrap();
    let torn = frame::of(&entries[1]);
    for length in 0..torn.len() {
        journal.file.write_all_at(&torn[..length], journal.end).unwrap();
        journal.append(&entries[2]).unwrap();
    }
    let kept = read(&path).unwrap().events;
    assert_eq!(kept.len(), 1 + torn.len());
    assert!(kept[1..].iter().all(|entry| *entry == entries[2]));
}

#[test]
fn another_version_is_refused_not_dropped() {
    let refused = |bytes: &[u8]| frame::replay(bytes).unwrap_err();
    assert_eq!(refused(b"lorasweep journal 2\nwhatever"), Broken::Version { found: 2 });
    assert_eq!(refused(b"lorasweep journal 10\n"), Broken::Version { found: 10 });
    assert_eq!(refused(b"a shopping list, quite long\n"), Broken::Header);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, b"lorasweep journal 2\n").unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(error.to_string().contains("of version 2, and this lorasweep reads version 1"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(fs::read(&path).unwrap(), b"lorasweep journal 2\n", "nothing is cut off");
}

#[test]
fn an_entry_of_another_version_is_refused_not_dropped() {
    let payload = br#"{"at":"2026-01-01T00:00:00Z","what":{"kind":"moon_risen"}}"#;
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    let text = [HEADER, &length, &hasher.finalize().to_le_bytes(), payload].concat();
    assert!(matches!(frame::replay(&text), Err(Broken::Entry { offset: 20, .. })));
}
