//! `run` and the commands that look at a run, from the outside.

#[cfg(feature = "torch")]
mod cli_regression;
mod cli_support;

use cli_support::{lorasweep, names, sweep_folder};

#[cfg(not(feature = "torch"))]
#[test]
fn a_build_that_cannot_train_says_so_and_writes_nothing() {
    let folder = sweep_folder();
    // It says so before it looks for what the sweep names.
    std::fs::remove_file(folder.path().join("train.csv")).expect("a file");
    let before = names(folder.path());
    let said = lorasweep(folder.path(), &["run", "sweep.yaml"]);
    assert_eq!(said.code, 5);
    assert!(said.stdout.is_empty() && said.stderr.contains("hint: "), "{}", said.stderr);
    assert_eq!(names(folder.path()), before);
}

#[cfg(feature = "torch")]
#[test]
fn a_folder_that_cannot_be_written_is_refused_before_the_sweep_is_loaded() {
    let folder = sweep_folder();
    std::fs::remove_file(folder.path().join("train.csv")).expect("a file");
    let before = names(folder.path());
    for option in ["--results", "--reports"] {
        let said = lorasweep(folder.path(), &["run", "sweep.yaml", option, "vocab.txt"]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        for words in ["cannot write to `vocab.txt`", "hint: ", option] {
            assert!(said.stderr.contains(words), "no `{words}` in {}", said.stderr);
        }
        assert!(!said.stderr.contains("train.csv"), "{}", said.stderr);
    }
    assert_eq!(names(folder.path()), before);
}

#[cfg(feature = "torch")]
#[test]
fn a_run_can_be_followed_looked_at_and_started_again() {
    let folder = sweep_folder();
    let run = ["run", "sweep.yaml", "--only", "learning_rate=2e-3", "--json"];
    let said = lorasweep(folder.path(), &run);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let events = events(&said.stdout);
    assert_eq!(events[0]["event"], "run_started");
    let planned = events.iter().find(|event| event["event"] == "run_planned").expect("a plan");
    assert_eq!((&planned["trials"], &planned["kept"], &planned["todo"]), (&2.into(), &0.into(), &2.into()));
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert!(of("trial_evaluated").iter().all(|event| event["scores"]["accuracy"].is_number()));
    assert!(of("trial_evaluated").len() >= 2 && of("trial_finished").len() == 2, "{}", said.stdout);
    assert!(of("trial_finished").iter().all(|event| event["result"]["trial"] == event["trial"]));
    assert_eq!(events.last().map(|event| &event["done"]), Some(&2.into()));

    let status = lorasweep(folder.path(), &["status", "cats-and-dogs", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    let trials = status["trials"].as_array().expect("a list");
    assert_eq!(trials.len(), 2);
    assert!(trials.iter().all(|trial| trial["state"] == "done"));

    let id = trials[0]["id"].as_str().expect("an id");
    for command in ["explain", "logs"] {
        let said = lorasweep(folder.path(), &[command, "results/cats-and-dogs", &id[..12]]);
        assert_eq!(said.code, 0, "{command}: {}", said.stderr);
        let unknown = lorasweep(folder.path(), &[command, "cats-and-dogs", "zz"]);
        assert!(unknown.code == 2 && unknown.stderr.contains("hint: "), "{}", unknown.stderr);
    }

    let report = lorasweep(folder.path(), &["report", "cats-and-dogs", "--reports", "elsewhere"]);
    assert!(report.stdout.lines().all(|file| folder.path().join(file).is_file()), "{}", report.stdout);
    assert!(report.stdout.contains("report.html"));

    let again = lorasweep(folder.path(), &run);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(!again.stdout.contains("trial_finished"), "finished trials are kept");
    assert_eq!(names(folder.path()).len(), 6, "results, reports and elsewhere are all that is new");
}

#[cfg(feature = "torch")]
#[test]
fn nothing_is_trained_again_that_nobody_agreed_to() {
    let folder = sweep_folder();
    let run = |options: &[&str]| {
        let said = lorasweep(
            folder.path(),
            &[&["run", "sweep.yaml", "--only", "learning_rate=2e-3"], options].concat(),
        );
        (said.code, said.stderr)
    };
    assert_eq!(run(&[]).0, 0);
    let sweep = || std::fs::read(folder.path().join("results/cats-and-dogs/sweep.json")).expect("a file");
    let before = sweep();
    let (code, said) = run(&["--set", "training.epochs=2"]);
    assert_eq!(code, 2, "{said}");
    for part in [
        "2 of 2 trials would be trained again",
        "`training.epochs` was 1, and is 2",
        "nothing was started; `--yes`",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert_eq!(sweep(), before, "a run that is refused changes nothing");
    assert_eq!(run(&[]).0, 0, "the sweep as it was goes on");
    let changed = run(&["--set", "training.epochs=2", "--yes"]);
    assert!(changed.0 == 0 && changed.1.contains("2 of 2 trials are trained again"), "{}", changed.1);
    assert_eq!(run(&[]).0, 0, "what is there already is not trained again, so nobody is asked");
}

/// A trial that is trained again, on as many cores as it was begun on, has the same scores; one core fewer is
/// refused, whatever is left to do.
#[cfg(feature = "torch")]
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
#[test]
fn a_trial_is_done_again_on_as_many_cores_in_the_same_bits_or_not_at_all() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let taskset = std::process::Command::new("taskset").arg("--version").output();
    if cores < 2 || taskset.is_err() {
        println!("skipped: it takes two cores, and `taskset` to hide all but one");
        return;
    }
    let folder = sweep_folder();
    let run = ["run", "sweep.yaml", "--only", "learning_rate=2e-3", "--devices", "cpu:1"];
    let first = lorasweep(folder.path(), &run);
    assert!(
        first.code == 0 && first.stderr.contains(&format!("train on {cores} cores each")),
        "{}",
        first.stderr
    );
    let trials = folder.path().join("results/cats-and-dogs/trials");
    let trial =
        std::fs::read_dir(&trials).expect("trials").next().expect("a trial").expect("its folder").path();
    let scores = || {
        let text = std::fs::read_to_string(trial.join("result.json")).expect("a result");
        let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        (result["validation"].clone(), result["test"].clone(), result["kept_step"].clone())
    };
    let before = scores();
    std::fs::remove_file(trial.join("result.json")).expect("its result");
    std::fs::remove_file(trial.join("checkpoint/last.safetensors")).unwrap_or_default();

    let program = env!("CARGO_BIN_EXE_lorasweep");
    let one = first_core();
    let refused = std::process::Command::new("taskset")
        .args(["--cpu-list", &one, program])
        .args(run)
        .current_dir(folder.path())
        .output()
        .expect("taskset");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("1 trial trains on {cores} cores, as decided on ")), "{said}");
    assert!(said.contains("hint: ") && said.contains("--new-widths"), "{said}");
    assert!(!trial.join("result.json").exists());

    assert_eq!(lorasweep(folder.path(), &run).code, 0);
    assert_eq!(scores(), before);
}

/// The first core that this process may use, by its kernel number.
#[cfg(feature = "torch")]
fn first_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list");
    allowed.trim().split([',', '-']).next().expect("a core").to_owned()
}

#[cfg(feature = "torch")]
fn events(lines: &str) -> Vec<serde_json::Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}
