//! Machines whose GPUs others use.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;

use lorasweep::disk::lock::Lock;
use lorasweep::exec::devices;
use lorasweep::sweep::DeviceRequest;

use crate::fake::{Machine, Other};
use crate::{cards, refusal};

/// Tells a copy of this test program to reserve a GPU.
const RESERVE: &str = "LORASWEEP_TEST_RESERVE";

#[test]
fn a_card_is_busy_by_processes_or_memory_and_not_by_a_screen() {
    let lines = cards(&[
        "process 4000000000 500",
        "memory 81559 20000",
        "graphics 4000000001 20000",
        "memory 81559 400\nerror processes not_supported\nerror graphics not_supported",
        "error memory not_supported",
    ]);
    let Some(machine) = Machine::new(&lines) else { return };
    let told = machine.doctor();
    assert!(told[0].ends_with("; used by process 4000000000"), "{told:#?}");
    assert!(told[1].ends_with("; its memory is in use"), "{told:#?}");
    let (gpus, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!(gpus, [2, 3, 4]);
    let busy = "cuda:0 (used by process 4000000000), cuda:1 (its memory is in use)";
    assert!(
        said.contains(&format!("warning: not used, since others use it: {busy}; `--devices cuda`")),
        "{said}"
    );
    let (gpus, said) = machine.plan("cuda:0,2").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!(gpus, [0, 2]);
    assert!(said.contains("warning: cuda:0 is shared: used by process 4000000000"), "{said}");
    let machine = Machine::new(&cards(&["process 4000000000"])).expect("a compiler");
    let told = refusal(&machine, "auto");
    assert!(
        told.starts_with("error: every GPU here is in use (cuda:0 NVIDIA H100 80GB HBM3: used by process"),
        "{told}"
    );
    assert!(told.contains("`--devices cuda`"), "{told}");
}

#[test]
fn what_one_run_has_taken_no_other_takes() {
    if std::env::var_os(RESERVE).is_some() {
        let reserved = devices::reserve(&DeviceRequest::Gpus(Some(1)), &|_| false).expect("a GPU");
        let index = reserved.resources.gpus[0].device;
        writeln!(std::io::stdout(), "\nreserved {index}").expect("standard output");
        // Until it is killed.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return;
    }
    let Some(machine) = Machine::new(&cards(&["", ""])) else { return };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "shared::what_one_run_has_taken_no_other_takes", "--nocapture"])
        .env(RESERVE, "1");
    machine.surround(&mut command);
    let mut first = Other::start(&mut command);
    let lines = BufReader::new(first.child().stdout.take().expect("it is piped")).lines();
    let told = lines.map_while(Result::ok).find(|line| line.starts_with("reserved"));
    assert_eq!(told.as_deref(), Some("reserved cuda:0"));
    assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![1]));
    let told = machine.doctor();
    let holder = format!("; taken by another lorasweep, process {} on ", first.child().id());
    assert!(told[0].contains(&holder), "{told:#?}");
    let second = Lock::of_all_users(&machine.folder.path().join("lorasweep-GPU-00000001-0000.lock"));
    assert!(refusal(&machine, "auto").starts_with("error: every GPU here is in use"));
    drop((first, second));
    assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![0, 1]));
}

/// A child of a run that crashed, which takes a second to end.
#[cfg(feature = "torch")]
#[test]
fn a_run_waits_for_the_children_of_the_one_that_crashed() {
    let Some(machine) = Machine::new("") else { return };
    let jobs = machine.folder.path().canonicalize().expect("a folder").join("results/cats-and-dogs/jobs");
    std::fs::create_dir_all(&jobs).expect("a writable folder");
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1; true", "worker"]).arg(jobs.join("train-1"));
    let mut child = Other::start(&mut command);
    // It is reaped by whoever started it, which is not the run.
    let reaped = std::thread::spawn({
        let pid = child.child().id();
        let lines = format!("card\nmemory 1 0\nleaving {pid}\n");
        std::fs::write(machine.folder.path().join("nvml.txt"), lines).expect("a writable folder");
        move || child.child().wait().map(|_| ())
    });
    // A card of one MiB is refused, but not before it is free.
    let said = machine.lorasweep(&["run", "sweep.yaml", "--devices", "auto"]);
    assert_eq!(said.code, 5, "{}", said.stderr);
    assert!(said.stderr.contains("but cuda:0 has 1 MiB"), "{}", said.stderr);
    reaped.join().expect("it ends").expect("it ended");
}
