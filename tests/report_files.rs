//! The report of a made-up record: what is selected, what is said, and what is written.

#[path = "report_record/change.rs"]
mod change;
#[path = "report_record/raced.rs"]
mod raced;
mod report_record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::slice;
use std::time::Duration;

use jiff::Timestamp;
use lorasweep::record::{Ledger, RunRecord, TrialState};
use lorasweep::report::findings::Findings;
use lorasweep::report::plots::charts;
use lorasweep::report::plots::scene::{Anchor, Shape, text_width};
use lorasweep::report::{self, foreseen, frames, html, markdown};
use lorasweep::sweep::card::{Card, ClassRows, ClassesOf, FileRows, Shared, Texts, Used, Warning};
use lorasweep::values::{
    Device, Event, Failure, JobKey, Keep, Method, Metric, Part, Pause, Placement, RungPutOff, Splitting,
    StopReason, TrialId, What,
};

use change::{change_task, class_names};
use report_record::{answer_record, language_record, lora, record, record_of, training};

/// A folder's files by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| {
            let path = entry.expect("the folder can be listed").path();
            let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("it can be read"))
        })
        .collect()
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = report::write(&record(), one.path()).unwrap();
    report::write(&record(), two.path()).unwrap();
    let found = files(one.path());
    assert_eq!(written[0], one.path().join("report.html"));
    let names: BTreeSet<String> =
        written.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, found.keys().cloned().collect(), "no file is left over or missing");
    assert_eq!(found.len(), 4 + 2 * 4);
    assert!(found == files(two.path()));
    assert!(found["convergence.png"].starts_with(b"\x89PNG"));
}

#[test]
fn a_record_without_results_has_no_charts() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = record_of(vec![lora(4, 8.0), lora(8, 8.0)]);
    report::write(&record, folder.path()).unwrap();
    assert!(folder.path().join("rank-alpha.svg").exists());
    for trial in &mut record.trials {
        (trial.state, trial.result) = (TrialState::Waiting, None);
        trial.metrics.clear();
    }
    report::write(&record, folder.path()).unwrap();
    let names: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(names, ["configurations.csv", "report.html", "report.md", "trials.csv"]);
    let text = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(text.contains("none is selected"), "{text}");
}

#[test]
fn markdown_says_it_all() {
    let record = record();
    let findings = Findings::of(&record);
    insta::assert_snapshot!(markdown::render(&findings, &charts(&findings)));
}

#[test]
fn a_report_begins_with_what_is_in_the_data() {
    let mut record = record();
    assert!(
        !markdown::render(&Findings::of(&record), &[]).contains("## Data"),
        "a record of before has no card"
    );
    let class = |name: &str, training, test| ClassRows {
        name: name.to_owned(),
        training,
        test,
        folds: vec![training / 2, training / 2],
        ..ClassRows::default()
    };
    let cards = vec![Card {
        task: "task".to_owned(),
        place: "sweep.yaml:3:1".to_owned(),
        files: vec![FileRows {
            part: Part::Train,
            path: "data/train.csv".into(),
            read: 1_016,
            left_out: [("too few words".to_owned(), 16)].into(),
            kept: 1_000,
            empty: 0,
        }],
        used: Used { drawn: 1_000, training: 1_000, test: 40, folds: vec![500, 500], ..Used::default() },
        classes: vec![class("Payday loan, title loan", 400, 10), class("Mortgage", 600, 30)],
        classes_of: ClassesOf::Rows,
        numbers: None,
        texts: Texts { shared: vec![Shared { part: Part::Test, rows: 7, of: 40 }], ..Texts::default() },
        questions: None,
        lengths: Vec::new(),
        blocks: None,
        warnings: vec![Warning::EmptyTexts { files: vec![(Part::Test, 3, 40)] }],
    }];
    record.sweep = record.sweep.with(|sweep| sweep.cards = cards).unwrap();
    let findings = Findings::of(&record);
    let text = markdown::render(&findings, &[]);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(at("## Data") < at("## Results"));
    for part in [
        "train.csv: 1,016 rows, 16 left out (16 for too few words), 1,000 kept",
        "1,000 rows in 2 folds, of which each holds out 500, 40 to test on",
        "2; the largest is `Mortgage` with 60.0 % of the training rows",
        "| `Payday loan, title loan` | 400 | 200 | 200 | 10 |",
        "7 of 40 test rows trained on too",
        "sweep.yaml:3:1: 3 of 40 test rows have an empty text",
    ] {
        at(part);
    }
    assert!(html::render(&findings, &[]).unwrap().contains("Payday loan, title loan"));
}

#[test]
fn the_terminal_table_fits() {
    for width in [120, 100, 80] {
        let table = report::terminal_table(&record(), width);
        assert!(table.lines().all(|line| line.chars().count() <= width), "{table}");
    }
    insta::assert_snapshot!(report::terminal_table(&record(), 100));
}

#[test]
fn the_page_stands_alone_and_shows_each_configuration_once() {
    let record = record();
    let findings = Findings::of(&record);
    let page = html::render(&findings, &charts(&findings)).unwrap();
    for outside in ["http:", "https:", "<script", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(outside), "`{outside}` is in the page");
    }
    for tag in ["html", "body", "main", "section", "table", "tr", "td", "figure", "svg", "text", "code", "p"]
    {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
    let rows = |title: &str| {
        let section = page.split(&format!("<h2>{title}</h2>")).nth(1).unwrap().split("</section>").next();
        section.unwrap().split("<tbody>").nth(1).unwrap().to_owned()
    };
    // And below them the majority class.
    assert_eq!(rows("Results").matches("<tr").count(), record.sweep.configurations.len() + 1);
    assert_eq!(rows("Results").matches("class=\"selected\"").count(), 1);
    // Wide tables scroll in boxes of their own.
    assert!(page.contains(".table { overflow-x: auto;"));
    assert_eq!(
        page.matches("<table class=\"wide\"").count(),
        page.matches("<div class=\"table\"><table class=\"wide\"").count()
    );
    assert!(page.contains("<h2>Results</h2><div class=\"table\"><table class=\"wide\">"));
    let statistics = rows("Statistics on validation accuracy");
    for entry in findings.entries() {
        assert_eq!(statistics.matches(&format!("<td>{}</td>", entry.label)).count(), 1, "{}", entry.label);
    }
}

#[test]
fn names_from_the_user_cannot_break_the_page() {
    let mut record = record_of(vec![lora(4, 8.0)]);
    change_task(&mut record, |task| {
        let names = class_names(task);
        "a|b".clone_into(&mut names[0]);
        "<b>a & b</b>".clone_into(&mut names[2]);
    });
    let findings = Findings::of(&record);
    let page = html::render(&findings, &charts(&findings)).unwrap();
    assert!(page.contains("&lt;b&gt;a &amp; b&lt;/b&gt;") && !page.contains("<b>a & b</b>"));
    assert!(markdown::render(&findings, &[]).contains("a\\|b, loan"));
}

#[test]
fn an_incomplete_configuration_is_never_selected() {
    let mut record = record();
    let full = record.sweep.configurations[8].id;
    assert_eq!(selected(&record), Some(full));
    let missing = record.trials.iter_mut().find(|t| t.trial.configuration.id == full).unwrap();
    (missing.state, missing.result) = (TrialState::Interrupted, None);
    let found = selected(&record).unwrap();
    assert_ne!(found, full);
    let findings = Findings::of(&record);
    let entry = findings.entries().find(|entry| entry.summary.configuration.id == found).unwrap();
    assert!(entry.summary.is_complete());
}

fn selected(record: &RunRecord) -> Option<lorasweep::values::ConfigurationId> {
    Findings::of(record).tasks[0].selected().map(|entry| entry.summary.configuration.id)
}

/// Selection must not look at test scores: turning them upside down changes nothing.
#[test]
fn test_rows_take_no_part_in_the_selection() {
    let mut record = record();
    let before = selected(&record);
    for result in record.trials.iter_mut().filter_map(|trial| trial.result.as_mut()) {
        let test = result.test.as_mut().unwrap();
        test.set(Metric::Accuracy, 1.0 - test.get(Metric::Accuracy).unwrap());
    }
    assert_eq!(selected(&record), before);
}

#[test]
fn a_summary_counts_what_is_missing() {
    let record = record();
    let id = record.sweep.configurations[2].id;
    let findings = Findings::of(&record);
    let entry = findings.entries().find(|entry| entry.summary.replicates == [id]).unwrap();
    let summary = &entry.summary;
    assert_eq!((summary.planned, summary.done, summary.failed), (3, 1, 1));
    assert_eq!(summary.test[&Metric::MacroF1].n, 1);
    assert_eq!(summary.selecting().unwrap().std, None);
}

#[test]
fn frames_have_a_row_for_each_trial_and_configuration() {
    let record = record();
    let findings = Findings::of(&record);
    let text = |frame| String::from_utf8(frames::csv(frame).unwrap()).unwrap();
    let trials = text(frames::trials(&findings).unwrap());
    let configurations = text(frames::configurations(&findings).unwrap());
    assert_eq!((trials.lines().count(), configurations.lines().count()), (31, 11));
    let failed = trials.lines().find(|line| line.contains(",failed,")).unwrap();
    assert!(failed.contains("diverged at step 61"), "{failed}");
    let layers = trials.lines().next().unwrap().split(',').position(|name| name == "layers_to_transform");
    let adapted = trials.lines().find(|line| line.contains(",lora,")).unwrap();
    assert_eq!(adapted.split(',').nth(layers.unwrap()), Some("all"), "{adapted}");
    let columns = |text: &str| text.lines().next().unwrap().split(',').count();
    assert!(configurations.lines().all(|line| line.split(',').count() == columns(&configurations)));
    assert!(configurations.lines().nth(1).unwrap().starts_with("1,true,3,3,0,"));
}

#[test]
fn labels_tell_all_configurations_apart() {
    let mut grid =
        vec![lora(4, 8.0), lora(4, 16.0), lora(8, 8.0), ("minilm-2", Method::Full, training(1e-4))];
    for change in 0..3 {
        let (model, method, mut training) = lora(4, 8.0);
        match change {
            0 => training.weight_decay = 0.1,
            1 => training.keep = Keep::Best,
            _ => training.evaluate_every = None,
        }
        grid.push((model, method, training));
    }
    let record = record_of(grid);
    let findings = Findings::of(&record);
    let labels: BTreeSet<&str> = findings.entries().map(|entry| entry.label.as_str()).collect();
    assert_eq!(labels.len(), 7, "{labels:?}");
    assert!(labels.contains("full fine-tuning"));
}

/// For small, large and single-fold sweeps no text of a chart lies over another or off the page.
#[test]
fn chart_texts_keep_apart() {
    let ranks = [4, 8, 16, 32, 64];
    let many = ranks.into_iter().flat_map(|r| [8.0, 16.0, 32.0, 64.0].map(|alpha| lora(r, alpha)));
    let mut single = record_of(vec![lora(4, 8.0)]);
    single.trials.truncate(1);
    single.sweep = single.sweep.with(|sweep| sweep.splitting = Splitting::File).unwrap();
    let two = vec![lora(4, 8.0), ("minilm-2", Method::Full, training(1e-4))];
    let tasks = ["wikitext-2", "imdb", "xsum"];
    for record in [
        record(),
        raced::raced(),
        record_of(many.collect()),
        record_of(two),
        single,
        answer_record(),
        language_record(&tasks, &[8], &[42]),
        language_record(&tasks[..1], &[4, 8, 16], &[1, 2, 3]),
    ] {
        let findings = Findings::of(&record);
        for chart in charts(&findings) {
            let boxes: Vec<_> = chart.scene.shapes.iter().filter_map(text_box).collect();
            for (i, (text, a)) in boxes.iter().enumerate() {
                let page = (chart.scene.width, chart.scene.height);
                let inside = a.0 >= 0.0 && a.1 >= 0.0 && a.2 <= page.0 && a.3 <= page.1;
                assert!(inside, "{}: `{text}` at {a:?} leaves the page {page:?}", chart.name);
                for (other, b) in &boxes[i + 1..] {
                    let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                    assert!(apart, "{}: `{text}` lies over `{other}`", chart.name);
                }
            }
        }
    }
}

/// Left, top, right, bottom.
type Bounds = (f64, f64, f64, f64);

/// A text and the box it takes.
fn text_box(shape: &Shape) -> Option<(&str, Bounds)> {
    let Shape::Text { at: (x, y), text, font } = shape else { return None };
    let (width, half) = (text_width(text, font.px), font.px / 2.0);
    let left = match font.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width / 2.0,
        Anchor::End => -width,
    };
    let bounds = if font.upwards {
        (x - half, y - left - width, x + half, y - left)
    } else {
        (x + left, y - half, x + left + width, y + half)
    };
    Some((text, bounds))
}

/// The record of a run that foresaw 161 seconds and 401.2 MiB, and trained these trials in 170 seconds.
fn foreseeing(record: &RunRecord, trials: &[TrialId], mem_mib: Option<f64>, meanwhile: &[What]) -> RunRecord {
    let key = JobKey::Train(trials[0]);
    let placement = Placement { device: Device::Host, cores: Vec::new() };
    let launching = What::JobLaunching { key, attempt: 1, placement, trials: trials.to_vec() };
    let begin = [What::TrainingForeseen { seconds: 161.0, mem_mib }, launching];
    let end = [What::JobFinished { key }, What::JobFinished { key: JobKey::Report }];
    let told = begin.iter().map(|what| (0, what)).chain(meanwhile.iter().map(|what| (50, what)));
    let told = told.chain(end.iter().zip([170, 175]).map(|(what, second)| (second, what)));
    let event = |(second, what): (u64, &What)| Event {
        at: Timestamp::UNIX_EPOCH + Duration::from_secs(second),
        what: what.clone(),
    };
    RunRecord { foreseen: Ledger::replay(&told.map(event).collect::<Vec<_>>()).foreseen, ..record.clone() }
}

#[test]
fn what_the_run_predicted_of_its_cost_stands_beside_what_was_measured() {
    let record = record_of(vec![lora(4, 8.0), lora(8, 8.0)]);
    let all: Vec<TrialId> = record.trials.iter().map(|trial| trial.trial.id).collect();
    let said = |record: &RunRecord| foreseen::line(record);
    let plain = "training predicted to take 2 min 41 s, took 2 min 50 s; largest pack predicted to need 402 MiB, \
                 needed 611 MiB";
    let whole = foreseeing(&record, &all, Some(401.2), &[]);
    assert_eq!(said(&whole).as_deref(), Some(plain));
    let page = markdown::render(&Findings::of(&whole), &[]);
    assert!(page.contains(&format!("\n- The run's own forecast: {plain}.\n")), "{page}");
    assert_eq!(said(&record), None);
    let time_alone = "training predicted to take 2 min 41 s, took 2 min 50 s";
    assert_eq!(said(&foreseeing(&record, &all, None, &[])).as_deref(), Some(time_alone));
    let one = format!("{plain} (for the 1 of {} trials that were left at its latest start)", all.len());
    assert_eq!(said(&foreseeing(&record, &all[..1], Some(401.2), &[])), Some(one));
    let key = JobKey::Train(all[0]);
    for what in [
        What::StopRequested { force: false },
        What::JobInterrupted { key },
        What::JobFailed { key, failure: Failure::Hung },
        What::TrialFailed { trial: all[1], failure: Failure::Diverged { step: 1 } },
    ] {
        let disturbed = format!(
            "{plain}; trials failed or were stopped meanwhile, so the work was not the predicted one"
        );
        assert_eq!(said(&foreseeing(&record, &all, Some(401.2), slice::from_ref(&what))), Some(disturbed));
    }
    // Pauses at rungs are foreseen; that one comes later is not.
    let pause = Pause { trial: all[0], step: 8, steps: 96, scores: None, loss_error: None, rows: None };
    let paused = What::TrialPaused { key, pause };
    assert_eq!(said(&foreseeing(&record, &all, Some(401.2), &[paused])).as_deref(), Some(plain));
    let put_off = What::RungPutOff(RungPutOff {
        bracket: 1,
        rung: 1,
        step: 8,
        untrained: 1.1,
        better: 1,
        keep: 2,
        until: 0.3,
        trials: all.clone(),
    });
    let later = format!(
        "{plain}; a decision on what is stopped early was put off, so more was trained than predicted"
    );
    assert_eq!(said(&foreseeing(&record, &all, Some(401.2), &[put_off])), Some(later));
    let mut never_begun = foreseeing(&record, &all[..5], Some(401.2), &[]);
    let last = &mut never_begun.trials[5];
    (last.state, last.attempts, last.result) = (TrialState::Stopped { reason: StopReason::ByHand }, 0, None);
    assert_eq!(said(&never_begun).as_deref(), Some(plain), "what never began was not left");
    let mut early = whole;
    early.trials[0].state = TrialState::Interrupted;
    assert_eq!(said(&early), None, "a trial has not ended");
}
