//! How requests and machines become places, and what is said where they do not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

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
    places(&request, machine, 100).unwrap().iter().map(|place| place.device).collect()
}

#[test]
fn auto_takes_idle_gpus_or_else_the_whole_cpu() {
    let cpu = places(&DeviceRequest::Auto, &machine(4, &[]), 1).unwrap();
    assert_eq!(cpu, [Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1, 2, 3] }]);
    let count = |machine: &Machine, trials| places(&DeviceRequest::Auto, machine, trials).unwrap().len();
    assert_eq!(count(&machine(4, &[]), 3), 3);
    assert_eq!(count(&machine(4, &[]), 100), 4);
    assert_eq!(count(&Machine { ram_free_mib: 5_000, ..machine(4, &[]) }, 100), 2);
    assert_eq!(count(&Machine { ram_free_mib: 100, ..machine(4, &[]) }, 100), 1);
    let gpus = devices(DeviceRequest::Auto, &machine(4, &[false, true, false]));
    assert_eq!(gpus, [Device::Cuda { index: 0 }, Device::Cuda { index: 2 }]);
    let error = places(&DeviceRequest::Auto, &machine(4, &[true]), 100).unwrap_err();
    assert_eq!(error, DeviceError::AllBusy { visible: "cuda:0 NVIDIA H100".to_owned() });
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
    let error = places(&request("cuda:0,3"), &machine, 100).unwrap_err();
    let gpu = |index: usize| format!("cuda:{index} NVIDIA H100");
    let there = [0, 1, 2].map(gpu).join(", ");
    assert_eq!(error.to_string(), format!("there is no GPU `cuda:3`; visible here: {there}"));
}

#[test]
fn errors_say_what_there_is() {
    let error = places(&DeviceRequest::Cpu(3), &machine(2, &[]), 100).unwrap_err();
    assert_eq!(error.to_string(), "3 CPU slots are asked for, each needs a core, and 2 may be used here");
    assert_eq!(error.hint(), "use `cpu:1` up to `cpu:2`");
    let error = places(&DeviceRequest::Gpus(Some(2)), &machine(2, &[false]), 100).unwrap_err();
    assert_eq!(error.to_string(), "2 GPUs are asked for, 1 visible here (cuda:0 NVIDIA H100)");
    let error = places(&DeviceRequest::Indices(vec![0]), &machine(2, &[]), 100).unwrap_err();
    assert_eq!(error.to_string(), "no NVIDIA GPU is visible");
    let error = places(&DeviceRequest::Gpus(None), &machine(2, &[]), 100).unwrap_err();
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
    assert!(places(&DeviceRequest::Cpu(1), &machine, 100).is_ok());
    assert!(disk_free_mib(Path::new("folder/not/there/yet")).is_ok());
}

proptest! {
    #[test]
    fn places_use_every_core_once_and_fairly(cores in 1_usize..70, users in 1_usize..70) {
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
