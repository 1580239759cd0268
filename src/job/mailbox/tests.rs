//! Whatever moment a side looks at, it reads what the other has told, or nothing yet.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::plan::example;
use crate::values::{Trial, TrialId};

const START: u64 = 7;

fn folder() -> (TempDir, JobFolder) {
    let folder = tempfile::tempdir().unwrap();
    let own = JobFolder::at(folder.path());
    (folder, own)
}

fn trial(n: u64) -> TrialId {
    format!("{n:016x}").parse().unwrap()
}

fn progress(step: u64, loss: f64) -> Progress {
    Progress { trial: trial(1), step, steps: 1000, loss, rows_per_s: 1.0, validation: None }
}

fn facts() -> Vec<ChildLine> {
    let warning = ChildLine::Warning { trial: trial(2), message: "two\nlines, \"quoted\" é".to_owned() };
    vec![ChildLine::Joined { trial: trial(1) }, warning, ChildLine::Finished { trial: trial(1) }]
}

fn trials() -> Vec<Trial> {
    example::sweep().trials()
}

#[test]
fn every_beginning_of_the_news_holds_the_facts_of_its_whole_lines() {
    let ((_own, own), (_cut, cut)) = (folder(), folder());
    let writer = NewsWriter::open(&own, START).unwrap();
    facts().iter().for_each(|fact| writer.say(fact).unwrap());
    writer.end(End::Interrupted).unwrap();
    let whole = fs::read(own.news()).unwrap();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    // One reader looks at every byte, others for the first time.
    let (mut patient, mut heard) = (NewsReader::new(cut.clone(), START), Vec::new());
    for length in 0..=whole.len() {
        fs::write(cut.news(), &whole[..length]).unwrap();
        let fresh = NewsReader::new(cut.clone(), START).look();
        let count = lines(&whole[..length]);
        assert_eq!(fresh.said, facts()[..count.min(3)]);
        assert_eq!(fresh.end, (count == 4).then_some(End::Interrupted));
        heard.extend(patient.look().said);
        assert_eq!(heard, fresh.said);
    }
    assert_eq!(NewsReader::new(cut, START + 1).look(), Heard::default(), "of another start");
    assert_eq!(NewsReader::new(own, START).look().said, facts());
}

#[test]
fn a_pulse_that_is_being_written_over_is_the_old_one_or_the_new_one_or_none() {
    let (long, short) = (progress(100, 0.123_456_789), progress(2, 0.5));
    for (before, after) in [(&long, &short), (&short, &long)] {
        let (_own, own) = folder();
        let writer = NewsWriter::open(&own, START).unwrap();
        writer.beat(1, std::slice::from_ref(before)).unwrap();
        let old = fs::read(own.pulse()).unwrap();
        writer.beat(2, std::slice::from_ref(after)).unwrap();
        let mut new = fs::read(own.pulse()).unwrap();
        new.truncate(new.iter().position(|byte| *byte == b'\n').unwrap() + 1);
        assert_ne!(old.len(), new.len());
        for written in 0..=new.len() {
            let rest = old.get(written..).unwrap_or_default();
            fs::write(own.pulse(), [&new[..written], rest].concat()).unwrap();
            let told = |of: &Progress| vec![ChildLine::Progress(vec![of.clone()])];
            let said = NewsReader::new(own.clone(), START).look().said;
            assert!(said.is_empty() || said == told(before) || said == told(after), "{said:?}");
            assert_eq!(said == told(after), written == new.len(), "{written} bytes of {}", new.len());
            assert!(written > 0 || said == told(before));
        }
        for cut in 0..new.len() {
            fs::write(own.pulse(), &new[..cut]).unwrap();
            assert_eq!(NewsReader::new(own.clone(), START).look(), Heard::default());
        }
    }
}

#[test]
fn progress_is_told_once_and_a_beat_without_any_is_a_heartbeat() {
    let (_own, own) = folder();
    let writer = NewsWriter::open(&own, START).unwrap();
    let mut reader = NewsReader::new(own.clone(), START);
    assert_eq!(reader.look(), Heard::default());
    let mut said = |beat: u64, progress: &[Progress]| {
        writer.beat(beat, progress).unwrap();
        [reader.look().said, reader.look().said].concat()
    };
    let (first, second) = (progress(1, 0.5), Progress { trial: trial(2), ..progress(1, 0.5) });
    assert_eq!(said(0, &[]), [ChildLine::Heartbeat]);
    assert_eq!(said(1, std::slice::from_ref(&first)), [ChildLine::Progress(vec![first.clone()])]);
    assert_eq!(said(2, std::slice::from_ref(&first)), [ChildLine::Heartbeat]);
    assert_eq!(said(3, &[first.clone(), second.clone()]), [ChildLine::Progress(vec![second])]);
    assert_eq!(said(4, &[progress(2, f64::NAN)]), [ChildLine::Heartbeat]);
    assert_eq!(said(4, &[first]), [], "the same beat");
    assert_eq!(NewsReader::new(own, START + 1).look(), Heard::default(), "of another start");
}

#[test]
fn messages_are_taken_in_order_and_once_and_those_of_another_start_never() {
    let (_own, own) = folder();
    let sent: Vec<ToChild> = trials()
        .into_iter()
        .take(3)
        .map(|trial| ToChild::Join { trial: Box::new(trial), until: Some(0.2) })
        .collect();
    let (mut writer, mut reader) =
        (MessageWriter::new(own.clone(), START), MessageReader::new(own.clone(), START));
    assert_eq!(reader.take(), []);
    sent[..2].iter().for_each(|message| writer.send(message).unwrap());
    assert_eq!(reader.take(), sent[..2]);
    assert_eq!(reader.take(), []);
    writer.send(&sent[2]).unwrap();
    let whole = fs::read(own.message(3)).unwrap();
    for length in 0..whole.len() {
        fs::write(own.message(3), &whole[..length]).unwrap();
        assert_eq!(reader.take(), []);
    }
    fs::write(own.message(3), &whole).unwrap();
    assert_eq!(reader.take(), sent[2..]);
    assert_eq!(MessageReader::new(own, START - 1).take(), []);
}

#[test]
fn a_folder_that_is_cleared_tells_nothing() {
    let (_own, own) = folder();
    clear(&own).unwrap();
    let writer = NewsWriter::open(&own, START).unwrap();
    writer.say(&facts()[0]).unwrap();
    writer.beat(1, &[]).unwrap();
    MessageWriter::new(own.clone(), START)
        .send(&ToChild::Join { trial: Box::new(trials().remove(0)), until: None })
        .unwrap();
    fs::write(own.file(), "{}").unwrap();
    clear(&own).unwrap();
    assert_eq!(fs::read_dir(own.path()).unwrap().count(), 1);
}
