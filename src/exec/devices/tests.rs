//! What requests may use of machines, and what is said where that is not there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::sweep::DeviceRequest;
use crate::values::Width;

fn machine(cores: usize, busy: &[bool]) -> Machine {
    let gpu = |(index, &busy): (usize, &bool)| {
        let busy = busy.then(|| Busy::Processes(vec![77]));
        Gpu { busy, ..Gpu::example(index) }
    };
    let gpus = busy.iter().enumerate().map(gpu).collect();
    Machine { cores: (0..cores).collect(), ..Machine::example(gpus) }
}

fn devices(request: DeviceRequest, machine: &Machine) -> Vec<Device> {
    resources(&request, machine).unwrap().gpus.iter().map(|place| place.device).collect()
}

#[test]
fn auto_takes_idle_gpus_or_else_the_whole_cpu() {
    let gpus = devices(DeviceRequest::Auto, &machine(4, &[false, true, false]));
    assert_eq!(gpus, [Device::Cuda { index: 0 }, Device::Cuda { index: 2 }]);
    let error = resources(&DeviceRequest::Auto, &machine(4, &[true])).unwrap_err();
    assert_eq!(error.to_string(), "every GPU here is in use (cuda:0 NVIDIA H100: used by process 77)");
}

fn lost(index: usize) -> LeftOut {
    LeftOut { index: Some(index), number: Some(index), name: format!("GPU {index}"), why: Why::Lost }
}

#[test]
fn auto_is_no_cpu_where_there_are_gpus_that_cannot_be_used() {
    let machine = Machine { left_out: vec![lost(0), lost(1)], ..machine(4, &[]) };
    for request in [DeviceRequest::Auto, DeviceRequest::Gpus(None), DeviceRequest::Indices(vec![2])] {
        let error = resources(&request, &machine).unwrap_err();
        assert_eq!(error.to_string(), "2 NVIDIA GPUs cannot be used: GPU 0, GPU 1: it fell off the bus");
        let hint = error.hint();
        assert!(hint.starts_with("reboot") && hint.ends_with("`--devices cpu` trains on the CPU"), "{hint}");
    }
    assert!(resources(&DeviceRequest::Cpu(1), &machine).is_ok());
}

#[test]
fn a_container_without_the_drivers_library_is_told_how_to_get_it() {
    let cards = unanswering(&[0, 3], &Why::NoLibrary);
    let machine = Machine { left_out: visible::all(&cards).left_out, ..machine(4, &[]) };
    let error = resources(&DeviceRequest::Auto, &machine).unwrap_err();
    let why = "its device file is there, but NVIDIA's library libnvidia-ml.so.1 is not";
    assert_eq!(error.to_string(), format!("2 NVIDIA GPUs cannot be used: GPU 0, GPU 3: {why}"));
    assert!(error.hint().contains("NVIDIA_DRIVER_CAPABILITIES=compute,utility"));
}

#[test]
fn a_gpu_that_cannot_be_used_is_not_taken_for_one_that_is_not_there() {
    let mut machine = machine(4, &[false, false, false]);
    machine.gpus.remove(1);
    machine.left_out.push(lost(1));
    let gpus = devices(DeviceRequest::Auto, &machine);
    assert_eq!(gpus, [Device::Cuda { index: 0 }, Device::Cuda { index: 2 }]);
    let error = resources(&DeviceRequest::Indices(vec![0, 1]), &machine).unwrap_err();
    assert_eq!(error.to_string(), "`cuda:1` cannot be used: GPU 1: it fell off the bus");
    let resources = resources(&DeviceRequest::Auto, &machine).unwrap();
    let told = warnings(&machine, &resources, &DeviceRequest::Auto);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("not used: GPU 1: it fell off the bus; reboot"), "{told:?}");
}

#[test]
fn shared_and_unlike_gpus_are_told() {
    let mut machine = machine(4, &[false, true]);
    machine.gpus[0].name = "NVIDIA A100".to_owned();
    machine.order_is_unsure = true;
    let told = |request: &str| {
        let request: DeviceRequest = request.parse().unwrap();
        warnings(&machine, &resources(&request, &machine).unwrap(), &request)
    };
    let all = told("cuda");
    assert_eq!(all[0], "cuda:1 is shared: used by process 77");
    assert!(all[1].starts_with("the 2 GPUs are unlike (NVIDIA A100, NVIDIA H100)"), "{all:?}");
    assert!(all[2].starts_with("CUDA_VISIBLE_DEVICES counts unlike GPUs"), "{all:?}");
    assert_eq!(told("cuda:0").len(), 1, "whoever names GPUs wants no others");
    let auto = told("auto");
    let busy =
        "not used, since others use it: cuda:1 (used by process 77); `--devices cuda` shares what there is";
    assert_eq!((auto[0].as_str(), auto.len(), told("cpu").len()), (busy, 2, 0));
}

#[test]
fn a_gpu_is_busy_by_a_claim_processes_or_memory() {
    let facts = |processes: Option<Vec<u32>>, in_use: u64| {
        let memory = Some(visible::Memory { total: 100, free: 100 - in_use, in_use });
        Facts { name: "NVIDIA H100".to_owned(), memory, capability: None, speed: None, processes }
    };
    let claim = || Some("process 5 on node1".to_owned());
    assert_eq!(
        busy(claim(), &facts(Some(vec![5]), 50)),
        Some(Busy::Claimed("process 5 on node1".to_owned()))
    );
    assert_eq!(busy(None, &facts(Some(vec![5, 6]), 50)), Some(Busy::Processes(vec![5, 6])));
    for processes in [None, Some(Vec::new())] {
        assert_eq!(busy(None, &facts(processes.clone(), 11)), Some(Busy::Memory));
        assert_eq!(busy(None, &facts(processes, 10)), None);
    }
    assert_eq!(busy(None, &Facts { memory: None, ..facts(None, 0) }), None);
}

#[test]
fn a_gpu_fits_a_libtorch_that_has_code_for_it_and_a_driver_for_that() {
    let facts =
        |capability| Facts { name: String::new(), memory: None, capability, speed: None, processes: None };
    let why = |capability, driver, needs| unfit(&facts(Some(capability)), Some(driver), needs);
    assert_eq!(why((9, 0), (13, 0), (13, 0)), None);
    assert_eq!(why((9, 0), (13, 1), (12, 6)), None, "drivers run older versions of CUDA");
    assert_eq!(why((9, 0), (12, 2), (12, 8)), None, "and all with the same first number");
    assert_eq!(unfit(&facts(None), None, (13, 0)), None, "what is not known is no reason");
    let instead = Some((12, 6));
    let old = Why::DriverTooOld { has: (12, 4), needs: (13, 0), instead };
    assert_eq!(why((9, 0), (12, 4), (13, 0)), Some(old));
    let old = Why::DriverTooOld { has: (11, 8), needs: (13, 0), instead: None };
    assert_eq!(why((9, 0), (11, 8), (13, 0)), Some(old));
    let blackwell = Why::CardTooNew { has: (10, 0), built_for: (12, 6), instead: (12, 8) };
    assert_eq!(why((10, 0), (13, 0), (12, 6)), Some(blackwell));
    assert_eq!(why((10, 0), (13, 0), (12, 8)), None);
    let volta = Why::CardTooOld { has: (7, 0), needs: (7, 5), instead };
    assert_eq!(why((7, 0), (13, 0), (13, 0)), Some(volta));
    let kepler = Why::CardTooOld { has: (3, 7), needs: (5, 0), instead: None };
    assert_eq!(why((3, 7), (12, 0), (12, 6)), Some(kepler));
}

#[test]
fn what_the_cpu_gives_depends_on_nothing_but_its_cores() {
    let cpu = |at_once| Resources { cores: vec![0, 1, 2], at_once, ..Resources::default() };
    for ram_free_mib in [22_000, 5_000, 100] {
        let machine = Machine { ram_free_mib, ..machine(3, &[]) };
        assert_eq!(resources(&DeviceRequest::Auto, &machine), Ok(cpu(None)));
        assert_eq!(resources(&DeviceRequest::Cpu(2), &machine), Ok(cpu(Some(2))));
    }
    // Whoever asks for two packs on three cores gets equal ones, since digits depend on their cores.
    assert_eq!(cpu(Some(2)).equal_width(), Width::Cores(1));
}

#[test]
fn one_gpu_of_several_is_an_idle_one_if_possible() {
    let machine = machine(4, &[true, false]);
    assert_eq!(devices(DeviceRequest::Gpus(Some(1)), &machine), [Device::Cuda { index: 1 }]);
    assert_eq!(devices(DeviceRequest::Gpus(None), &machine).len(), 2);
}

#[test]
fn a_gpu_with_an_index_is_that_one_busy_or_not() {
    let machine = machine(4, &[true, false, true]);
    let request = |text: &str| text.parse::<DeviceRequest>().unwrap();
    assert_eq!(devices(request("cuda:0"), &machine), [Device::Cuda { index: 0 }]);
    assert_eq!(devices(request("cuda:1"), &machine), [Device::Cuda { index: 1 }]);
    assert_eq!(
        devices(request("cuda:2,0"), &machine),
        [Device::Cuda { index: 2 }, Device::Cuda { index: 0 }]
    );
    let error = resources(&request("cuda:0,3"), &machine).unwrap_err();
    let gpu = |index: usize| format!("cuda:{index} NVIDIA H100");
    let there = [0, 1, 2].map(gpu).join(", ");
    assert_eq!(error.to_string(), format!("there is no GPU `cuda:3`; visible here: {there}"));
}

#[test]
fn errors_say_what_there_is() {
    let error = resources(&DeviceRequest::Cpu(3), &machine(2, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 packs at a time are asked for, each needs a core, and 2 may be used here"
    );
    assert_eq!(error.hint(), "use `cpu:1` up to `cpu:2`");
    let error = resources(&DeviceRequest::Gpus(Some(2)), &machine(2, &[false])).unwrap_err();
    assert_eq!(error.to_string(), "2 GPUs are asked for, 1 visible here (cuda:0 NVIDIA H100)");
    let error = resources(&DeviceRequest::Indices(vec![0]), &machine(2, &[])).unwrap_err();
    assert_eq!(error.to_string(), "no NVIDIA GPU is visible");
    let error = resources(&DeviceRequest::Gpus(None), &machine(2, &[])).unwrap_err();
    assert_eq!(error.to_string(), "no NVIDIA GPU is visible");
}

#[test]
fn this_machine_has_cores_memory_and_disk() {
    let machine = detect();
    assert!(!machine.cores.is_empty() && machine.ram_free_mib <= machine.ram_total_mib);
    assert!(resources(&DeviceRequest::Cpu(1), &machine).is_ok());
    assert!(disk_free_mib(Path::new("folder/not/there/yet")).is_ok());
}

proptest! {
    #[test]
    fn gpus_use_every_core_once_and_fairly(cores in 1_usize..70, users in 1_usize..70) {
        let all: Vec<usize> = (0..cores).collect();
        let shares = choice::share_out(&all, users);
        prop_assert_eq!(shares.len(), users);
        prop_assert!(shares.iter().all(|share| !share.is_empty()));
        let used: BTreeSet<usize> = shares.iter().flatten().copied().collect();
        if users <= cores {
            let sizes: BTreeSet<usize> = shares.iter().map(Vec::len).collect();
            prop_assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1);
            prop_assert_eq!(used.len(), cores);
            prop_assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), cores);
        }
    }
}
