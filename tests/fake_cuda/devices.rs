//! What the made-up devices themselves do: where real ones would give an error or a wrong number now and then, they
//! do so every time.

use std::os::unix::process::ExitStatusExt;

use lorasweep::model::gpu_memory;
use tch::{Device, Kind, Tensor};

use crate::apart::{Counts, apart, end_of};

const CUDA: Device = Device::Cuda(0);

/// Loads the library, as the program does before it trains.
fn load() {
    let device = lorasweep::values::Device::Cuda { index: 0 };
    assert_eq!(lorasweep::model::device::select(device), Ok(CUDA));
}

fn counting(length: i64) -> Tensor {
    Tensor::arange(length, (Kind::Float, Device::Cpu))
}

#[track_caller]
fn refused(operation: impl FnOnce() -> Result<Tensor, tch::TchError>) {
    let told = operation().unwrap_err().to_string();
    assert!(told.contains("Expected all tensors to be on the same device"), "{told}");
}

#[test]
fn tensors_of_the_host_are_refused_but_for_numbers_and_indices() {
    apart("devices::tensors_of_the_host_are_refused_but_for_numbers_and_indices", &[], || {
        load();
        let (ours, theirs) = (Tensor::ones([3, 3], (Kind::Float, CUDA)), counting(9).view([3, 3]));
        refused(|| ours.f_add(&theirs));
        refused(|| theirs.f_add(&ours));
        refused(|| ours.f_mm(&theirs));
        refused(|| ours.f_linear(&ours, Some(&counting(3))));
        refused(|| Tensor::f_cat(&[&ours, &theirs], 0));
        refused(|| ours.f_gather(1, &Tensor::zeros([3, 3], (Kind::Int64, Device::Cpu)), false));
        refused(|| ours.f_layer_norm([3], Some(&counting(3)), None::<&Tensor>, 1e-5, true));
        let half = &ours * Tensor::from(0.5);
        assert_eq!(half.sum(Kind::Float).double_value(&[]), 4.5);
        let picked = ours.index(&[Some(Tensor::from_slice(&[2_i64]))]);
        assert_eq!((picked.device(), picked.size()), (CUDA, vec![1, 3]));
    });
}

#[test]
fn the_host_finds_nothing_at_the_address_of_a_tensor() {
    let end = end_of("devices::the_host_finds_nothing_at_the_address_of_a_tensor", &[], || {
        load();
        let tensor = Tensor::ones([3], (Kind::Float, CUDA));
        #[expect(unsafe_code, reason = "this is to fail")]
        let value = unsafe { *tensor.data_ptr().cast::<f32>() };
        unreachable!("{value}");
    });
    // SIGSEGV
    assert!(end.is_none_or(|(output, _)| output.status.signal() == Some(11)));
}

#[test]
fn a_copy_that_does_not_wait_finds_what_is_there_later() {
    let counts = apart("devices::a_copy_that_does_not_wait_finds_what_is_there_later", &[], || {
        load();
        let sum = |tensor: &Tensor| tensor.sum(Kind::Float).double_value(&[]);
        let mut values = counting(4);
        let sent = values.to_device_(CUDA, Kind::Float, true, false);
        let _ = values.fill_(1.0);
        assert_eq!(sum(&sent), 4.0, "it was changed before it was sent");
        // So large that nobody else wants its place in the meantime.
        let sent = counting(4096).to_device_(CUDA, Kind::Float, true, false);
        assert!(sum(&sent).is_nan(), "it was freed before it was sent");
        assert_eq!(Counts::now().races, 0, "what was changed before is not known");
        let sent = values.to_device_(CUDA, Kind::Float, true, false);
        let twice = &sent * 2.0;
        drop(values);
        assert_eq!(sum(&twice), 8.0, "the device was in time");
        assert_eq!(Counts::now().races, 1, "which is no reason to rely on it");
        // Pinned memory waits for the device, and a copy that waits needs none.
        let sent = counting(4).internal_pin_memory(CUDA).to_device_(CUDA, Kind::Float, true, false);
        assert_eq!(sum(&sent), 6.0);
        assert_eq!(sum(&counting(4).to_device(CUDA)), 6.0);
    });
    if let Some(Counts { uploads, upload_bytes, unpinned, races, reads, .. }) = counts {
        assert_eq!((uploads, upload_bytes, unpinned, races), (5, 4 * 16 + 4 * 4096, 3, 1));
        assert_eq!(reads, 5);
    }
}

#[test]
fn a_device_has_so_much_memory_and_numbers_of_its_own() {
    let few = [("FAKE_CUDA_MEMORY_MIB", "4"), ("FAKE_CUDA_DEVICES", "2")];
    let counts = apart("devices::a_device_has_so_much_memory_and_numbers_of_its_own", &few, || {
        load();
        let mib = |count: i64, device| Tensor::f_zeros([count << 18], (Kind::Float, Device::Cuda(device)));
        let held = mib(3, 0).unwrap();
        let told = mib(2, 0).unwrap_err().to_string();
        assert!(told.contains("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0"), "{told}");
        assert!(mib(2, 1).is_ok(), "the other device has its own");
        drop(held);
        assert!(mib(4, 0).is_ok(), "it is whole again");
        // The same seed draws other numbers than on the host, and the same ones again.
        let draw = |device| {
            tch::manual_seed(7);
            Tensor::rand([4], (Kind::Float, device)).to_device(Device::Cpu)
        };
        assert_eq!(draw(CUDA), draw(CUDA));
        assert_ne!(draw(CUDA), draw(Device::Cpu));
    });
    assert!(counts.is_none_or(|counts| counts.peak_bytes == 4 << 20));
}

#[test]
fn what_a_pack_took_of_a_device_is_not_what_one_before_it_took() {
    apart("devices::what_a_pack_took_of_a_device_is_not_what_one_before_it_took", &[], || {
        assert_eq!(gpu_memory::peak(), 0, "no GPU was used");
        load();
        let mib = |count: i64| Tensor::zeros([count << 18], (Kind::Float, CUDA));
        let held = mib(2);
        drop(mib(5));
        assert_eq!(gpu_memory::peak(), 7 << 20);
        gpu_memory::begin_peak();
        assert_eq!(gpu_memory::peak(), 2 << 20, "what is still held");
        drop((mib(1), held));
        assert_eq!(gpu_memory::peak(), 3 << 20);
    });
}
