//! What requests may use of machines, and what is said where that is not there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::values::Width;

fn machine(cores: usize, busy: &[bool]) -> Machine {
    let gpu = |(index, &busy)| Gpu {
        index,
        name: "NVIDIA H100".to_owned(),
        mem_total_mib: 81_559,
        mem_free_mib: 80_000,
        busy,
    };
    Machine {
        hostname: "node1".to_owned(),
        cpu_name: "AMD EPYC".to_owned(),
        cores: (0..cores).collect(),
        ram_total_mib: 24_103,
        ram_free_mib: 22_000,
        driver: None,
        gpus: busy.iter().enumerate().map(gpu).collect(),
    }
}

fn devices(request: DeviceRequest, machine: &Machine) -> Vec<Device> {
    resources(&request, machine).unwrap().gpus.iter().map(|place| place.device).collect()
}

#[test]
fn auto_takes_idle_gpus_or_else_the_whole_cpu() {
    let gpus = devices(DeviceRequest::Auto, &machine(4, &[false, true, false]));
    assert_eq!(gpus, [Device::Cuda { index: 0 }, Device::Cuda { index: 2 }]);
    let error = resources(&DeviceRequest::Auto, &machine(4, &[true])).unwrap_err();
    assert_eq!(error, DeviceError::AllBusy { visible: "cuda:0 NVIDIA H100".to_owned() });
}

#[test]
fn what_the_cpu_gives_depends_on_nothing_but_its_cores() {
    let cpu = |at_once| Resources { cores: vec![0, 1, 2], gpus: Vec::new(), at_once };
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
fn cuda_visible_devices_reads_as_cuda_reads_it() {
    let uuids = ["GPU-aa11", "GPU-ab22", "GPU-cc33"].map(str::to_owned);
    assert_eq!(visible(None, &uuids), [0, 1, 2]);
    assert_eq!(visible(Some(""), &uuids), [0; 0]);
    assert_eq!(visible(Some("2,0"), &uuids), [2, 0]);
    assert_eq!(visible(Some("GPU-ab, GPU-cc33"), &uuids), [1, 2]);
    assert_eq!(visible(Some("1,-1,2"), &uuids), [1]);
    assert_eq!(visible(Some("0,7,1"), &uuids), [0]);
}

#[test]
fn a_child_is_given_the_gpu_that_has_the_index_here() {
    assert_eq!(name_for_cuda(1, None), "1");
    assert_eq!(name_for_cuda(0, Some("2,3")), "2");
    assert_eq!(name_for_cuda(1, Some("GPU-ab, GPU-cc33")), "GPU-cc33");
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
        let shares = share_out(&all, users);
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
