//! `doctor`, `plan` and `run` on machines with NVIDIA GPUs that are made up: which of them are used, what is said of
//! those that are not, and what mends them.

#[path = "../cli_support/mod.rs"]
mod cli_support;
mod fake;
mod shared;

use std::path::Path;

use cli_support::{Said, lorasweep, names};
use fake::Machine;

/// Cards with these lines each.
fn cards(lines: &[&str]) -> String {
    lines.iter().map(|lines| format!("card\n{lines}\n")).collect()
}

/// The refusal of a sweep that cannot have these devices; nothing was written.
#[track_caller]
fn refusal(machine: &Machine, devices: &str) -> String {
    let before = names(machine.folder.path());
    let said = machine.plan(devices).expect_err("a refusal");
    assert_eq!(said.code, 5, "{}", said.stderr);
    if cfg!(feature = "torch") {
        let run = machine.lorasweep(&["run", "sweep.yaml", "--devices", devices]);
        assert_eq!(run.code, 5, "{}", run.stderr);
        assert_eq!(error(&run), error(&said));
    }
    assert_eq!(names(machine.folder.path()), before);
    error(&said)
}

/// The error and its hint.
fn error(said: &Said) -> String {
    let lines = said.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("hint: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_lost_card_hides_no_other() {
    let lost = ["", "", "error handle lost", "", "", "", "", "error memory lost"];
    let Some(machine) = Machine::new(&cards(&lost)) else { return };
    let told = machine.doctor();
    for index in [0, 1, 3, 4, 5, 6] {
        let start =
            format!("ok gpu cuda:{index} NVIDIA H100 80GB HBM3, 81559 of 81559 MiB free, GPU-0000000{index}");
        assert!(told.iter().any(|line| line.starts_with(&start)), "{start}: {told:#?}");
    }
    assert!(told.contains(&"missing gpu GPU 2, GPU 7: it fell off the bus".to_owned()), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.starts_with("fix: reboot")), "{told:#?}");
    let (gpus, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!(gpus, [0, 1, 3, 4, 5, 6]);
    assert!(said.contains("warning: not used: GPU 2, GPU 7: it fell off the bus; reboot"), "{said}");
    assert!(
        refusal(&machine, "cuda:2").starts_with("error: `cuda:2` cannot be used: GPU 2: it fell off the bus")
    );
    assert_eq!(machine.plan("cuda:3").map(|(gpus, _)| gpus).ok(), Some(vec![3]));
    let told = refusal(&machine, "gpus:7");
    assert!(told.starts_with("error: 7 GPUs are asked for, 6 visible here"), "{told}");
    assert!(told.contains("; of no use: GPU 2, GPU 7: it fell off the bus)"), "{told}");
}

#[test]
fn cards_of_others_have_no_number() {
    let others = "error handle no_permission";
    let lines =
        cards(&[others, others, "uuid GPU-ours-1", others, others, "uuid GPU-ours-2", others, others]);
    let Some(machine) = Machine::new(&lines) else { return };
    let told = machine.doctor();
    assert!(told[0].starts_with("ok gpu cuda:0 ") && told[0].ends_with(", GPU-ours-1"), "{told:#?}");
    assert!(told[1].starts_with("ok gpu cuda:1 ") && told[1].ends_with(", GPU-ours-2"), "{told:#?}");
    let rest = "ok gpu GPU 0, GPU 1, GPU 3, GPU 4, GPU 6, GPU 7: this process has no permission to use it";
    assert_eq!(told[2..], [rest]);
    let (gpus, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!(
        (gpus, said.contains("not used")),
        (vec![0, 1], false),
        "nobody misses those of others: {said}"
    );
    // What hands out cards counts those of the job.
    let told = machine.with("CUDA_VISIBLE_DEVICES", "1").doctor();
    assert!(told[0].starts_with("ok gpu cuda:0 ") && told[0].ends_with(", GPU-ours-2"), "{told:#?}");
    assert_eq!(told.len(), 1);
}

#[test]
fn the_cpu_is_no_substitute_for_cards_that_cannot_be_used() {
    let none = "error handle no_permission";
    let Some(machine) = Machine::new(&cards(&[none, none])) else { return };
    let told = refusal(&machine, "auto");
    let start = "error: 2 NVIDIA GPUs cannot be used: GPU 0, GPU 1: this process has no permission to use it\nhint: ask";
    assert!(told.starts_with(start) && told.ends_with("`--devices cpu` trains on the CPU"), "{told}");
    assert_eq!(refusal(&machine, "cuda"), told);
    assert_eq!(machine.plan("cpu").map(|(gpus, _)| gpus).ok(), Some(vec![]));
    let told = machine.doctor();
    assert!(told.iter().any(|line| line.starts_with("missing gpu GPU 0, GPU 1: ")), "{told:#?}");
    // Hidden on purpose, they are not missed.
    for hides in ["", "-1", "NoDevFiles"] {
        let machine =
            Machine::new(&cards(&[none, none])).expect("a compiler").with("CUDA_VISIBLE_DEVICES", hides);
        assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![]), "{hides}");
        let told = machine.lorasweep(&["doctor"]).stdout;
        assert!(
            told.contains(&format!("CUDA_VISIBLE_DEVICES=`{hides}` shows no NVIDIA GPU; trials")),
            "{told}"
        );
    }
}

/// A card in two instances, of which the driver tells nothing as a whole, and one that is not divided.
const DIVIDED: &str = "\
card
uuid GPU-dd44
error memory no_permission
error processes no_permission
instance
uuid MIG-e5
name NVIDIA H100 80GB HBM3 MIG 3g.40gb
memory 40448 0
error processes no_permission
instance
uuid MIG-f6
name NVIDIA H100 80GB HBM3 MIG 3g.40gb
memory 40448 100
error processes no_permission
card
uuid GPU-aa11
";

#[test]
fn instances_are_devices_of_their_own() {
    let Some(machine) = Machine::new(DIVIDED) else { return };
    let told = machine.doctor();
    let instance = "NVIDIA H100 80GB HBM3 MIG 3g.40gb";
    assert_eq!(told[0], format!("ok gpu cuda:0 {instance}, 40448 of 40448 MiB free, MIG-e5"));
    assert_eq!(told[1], format!("ok gpu cuda:1 {instance}, 40348 of 40448 MiB free, MIG-f6"));
    assert!(told[2].ends_with(", GPU-aa11"), "{told:#?}");
    for (named, uuids) in
        [("MIG-f6", &["MIG-f6"][..]), ("MIG-f6,MIG-e5", &["MIG-f6", "MIG-e5"]), ("0", &["MIG-e5"])]
    {
        let machine = Machine::new(DIVIDED).expect("a compiler").with("CUDA_VISIBLE_DEVICES", named);
        let told = machine.doctor();
        let found: Vec<&str> = told.iter().map(|line| line.rsplit(' ').next().expect("a word")).collect();
        assert_eq!(found, uuids, "{named}");
    }
    let machine = Machine::new(DIVIDED).expect("a compiler").with("CUDA_VISIBLE_DEVICES", "MIG-not-there");
    let told = refusal(&machine, "auto");
    assert!(told.contains("`MIG-not-there` in CUDA_VISIBLE_DEVICES: no GPU here has that number"), "{told}");
    let told = machine.lorasweep(&["doctor"]).stdout;
    assert!(
        !told.contains("trials train on the CPU") && told.contains("=`MIG-not-there` shows no"),
        "{told}"
    );
    let machine = Machine::new("card\nmig on\n").expect("a compiler");
    assert!(refusal(&machine, "auto").contains("GPU 0: it is in MIG mode and has no instance"));
}

#[test]
fn memory_that_fails_keeps_a_card_out() {
    let lines = cards(&["ecc 2", "remap pending", "remap failed", "", "error ecc not_supported"]);
    let Some(machine) = Machine::new(&lines) else { return };
    let told = machine.doctor();
    for (line, fix) in [
        (
            "missing gpu GPU 0: its memory had 2 errors that could not be corrected",
            "fix: `sudo nvidia-smi --gpu-reset -i 0`, or reboot",
        ),
        (
            "missing gpu GPU 1: a repair of its memory waits for a reset",
            "fix: `sudo nvidia-smi --gpu-reset -i 1`, or reboot",
        ),
        ("missing gpu GPU 2: its memory is damaged beyond repair", "fix: replace it"),
    ] {
        assert!(told.windows(2).any(|pair| pair == [line, fix]), "{line}: {told:#?}");
    }
    assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![3, 4]));
}

#[cfg(feature = "torch")]
#[test]
fn a_libtorch_without_cuda_is_refused_before_a_trial_fails() {
    let Some(machine) = Machine::new("card\n") else { return };
    let none = "libtorch has no CUDA library";
    if !machine.lorasweep(&["doctor"]).stdout.contains(none) {
        // This machine's libtorch has one.
        return;
    }
    let before = names(machine.folder.path());
    let said = machine.lorasweep(&["run", "sweep.yaml", "--devices", "auto"]);
    assert_eq!(said.code, 5, "{}", said.stderr);
    let told = error(&said);
    assert!(told.contains("has no CUDA library, so it cannot use cuda:0\nhint: `rm -r .libtorch"), "{told}");
    assert_eq!(names(machine.folder.path()).len(), before.len() + 1, "nothing but the GPU's lock");
}

#[test]
fn an_old_driver_is_told_with_what_mends_it() {
    let Some(machine) = Machine::new("driver 550.54.15\ncuda 12040\ncard\ncard\n") else { return };
    let why = "GPU 0, GPU 1: its driver is for CUDA 12.4, and libtorch needs one for 13.0";
    let told = machine.doctor();
    let all = machine.lorasweep(&["doctor"]).stdout;
    assert!(all.contains("2 GPUs, driver 550.54.15 for CUDA 12.4"), "{all}");
    let at = told.iter().position(|line| *line == format!("missing gpu {why}")).expect("it is told");
    assert!(told[at + 1].starts_with("fix: install driver 580 or newer, or another libtorch: `pip install "));
    assert!(told[at + 1].contains("https://download.pytorch.org/whl/cu126"), "{told:#?}");
    assert!(refusal(&machine, "auto").starts_with(&format!("error: 2 NVIDIA GPUs cannot be used: {why}")));
}

#[test]
fn a_card_too_old_for_libtorch_leaves_the_others() {
    let lines =
        cards(&["name Tesla V100\ncapability 7.0", "name Tesla T4\ncapability 7.5", "capability 3.7"]);
    let Some(machine) = Machine::new(&lines) else { return };
    let told = machine.doctor();
    let at = |why: &str| told.iter().position(|line| line == why).unwrap_or_else(|| panic!("{told:#?}"));
    let volta = at("missing gpu GPU 0: its compute capability is 7.0, and libtorch needs 7.5");
    assert!(told[volta + 1].contains("whl/cu126"), "{told:#?}");
    let kepler = at("missing gpu GPU 2: its compute capability is 3.7, and libtorch needs 7.5");
    assert_eq!(told[kepler + 1], "fix: no libtorch of this release has code for it");
    assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![1]));
}

#[test]
fn unlike_cards_are_told() {
    let lines = cards(&["name NVIDIA A100\nmemory 40960", "", ""]);
    let Some(machine) = Machine::new(&lines) else { return };
    let (gpus, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!(gpus, [0, 1, 2]);
    let unlike = "the 3 GPUs are unlike (NVIDIA A100, NVIDIA H100 80GB HBM3); each gets packs by its own speed and memory";
    assert!(said.contains(unlike), "{said}");
    let unsure = "here they are counted as `nvidia-smi` does";
    assert!(!said.contains(unsure), "{said}");
    let machine = machine.with("CUDA_VISIBLE_DEVICES", "2,1");
    let (gpus, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert_eq!((gpus, said.contains(unsure)), (vec![0, 1], true), "{said}");
    let machine = machine.with("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    let (_, said) = machine.plan("auto").unwrap_or_else(|said| panic!("{}", said.stderr));
    assert!(!said.contains(unsure), "{said}");
}

#[test]
fn each_gpu_is_known_with_its_speed_and_memory_and_the_fastest_trains_first() {
    let a10 = "name NVIDIA A10\nmemory 23028 500\ncapability 8.6\ncores 9216\nclock 1695";
    let silent = "name NVIDIA X\nerror cores not_supported";
    let Some(machine) = Machine::new(&cards(&[a10, "", silent])) else { return };
    let plan = |machine: &Machine| -> serde_json::Value {
        let said =
            machine.lorasweep(&["plan", "sweep.yaml", "--devices", "auto", "--pack-slots", "1", "--json"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        serde_json::from_str(&said.stdout).expect("JSON")
    };
    let told = plan(&machine);
    let known = |at: usize| {
        let gpu = &told["resources"]["known"][at];
        let [fp32, bf16] = ["fp32_gflops", "bf16_gflops"].map(|of| gpu["speed"][of].as_u64());
        (gpu["name"].as_str().expect("a name"), gpu["mem_mib"].as_u64(), fp32, bf16)
    };
    assert_eq!(known(0), ("NVIDIA A10", Some(22_528), Some(18_745), Some(37_491)));
    assert_eq!(known(1), ("NVIDIA H100 80GB HBM3", Some(81_559), Some(40_145), Some(321_159)));
    assert_eq!(known(2), ("NVIDIA X", Some(81_559), None, None));
    let places = |plan: &serde_json::Value| -> Vec<Option<u64>> {
        let jobs = plan["jobs"].as_array().expect("a list").iter();
        let trains = jobs.filter(|job| job["kind"] == "train");
        trains.map(|job| job["device"]["index"].as_u64()).take(3).collect()
    };
    assert_eq!(places(&told), [Some(1), Some(0), Some(2)]);
    // An instance has some of its card's multiprocessors.
    let divided = "\
card
instance
uuid MIG-e5
multiprocessors 16
instance
uuid MIG-f6
multiprocessors 60
";
    let told = plan(&Machine::new(divided).expect("a compiler"));
    let speeds: Vec<Option<u64>> =
        (0..2).map(|at| told["resources"]["known"][at]["speed"]["fp32_gflops"].as_u64()).collect();
    assert_eq!(speeds, [Some(4_866), Some(18_248)]);
}

#[test]
fn a_plan_tells_what_a_run_would_refuse() {
    let Some(machine) = Machine::new(&cards(&["memory 100", "memory 200"])) else { return };
    let (_, said) = machine.plan("cuda").unwrap_or_else(|said| panic!("{}", said.stderr));
    let refusal =
        said.lines().find(|line| line.starts_with("warning: `run` will refuse this: a trial needs about"));
    assert!(refusal.is_some_and(|line| line.contains("but cuda:1 has 200 MiB; set a smaller")), "{said}");
}

#[test]
fn a_machine_without_cards_trains_on_the_cpu() {
    if Path::new("/dev/nvidia0").exists() {
        // Such a machine is told to mend its driver.
        return;
    }
    for lines in ["", "init driver_not_loaded", "init library_not_found", "init version_mismatch"] {
        let Some(machine) = Machine::new(lines) else { return };
        assert_eq!(machine.plan("auto").map(|(gpus, _)| gpus).ok(), Some(vec![]), "{lines}");
        assert!(refusal(&machine, "cuda").starts_with("error: no NVIDIA GPU is visible"), "{lines}");
        assert_eq!(machine.doctor(), [""; 0]);
    }
    let folder = cli_support::sweep_folder();
    let said = lorasweep(folder.path(), &["doctor"]);
    assert!(said.stdout.contains("no NVIDIA GPU; trials train on the CPU"), "{}", said.stdout);
}
