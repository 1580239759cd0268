//! Owns the first guess of how fast a GPU is, from what its driver says of it. Measures nothing: what packs take
//! corrects the guess.

use crate::values::Speed;

/// The share of the peak in single precision that training reaches: products of an H200 in single precision do about
/// 40 of its 67 TFLOP/s.
const FP32_SHARE: f64 = 0.6;
/// The same for products on tensor cores in bf16, between which adapters, norms and losses stay in 32 bits.
const BF16_SHARE: f64 = 0.3;

/// What the driver says of a GPU's processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Processors {
    pub(super) cores: u32,
    pub(super) clock_mhz: u32,
    /// Compute capability.
    pub(super) capability: (u32, u32),
}

/// Cores of a multiprocessor: CUDA C++ Programming Guide, "Arithmetic Instructions", throughput of 32-bit additions.
pub(super) fn cores_of_multiprocessor((major, minor): (u32, u32)) -> u32 {
    match (major, minor) {
        (..=7, _) | (8, 0) => 64,
        (8.., _) => 128,
    }
}

impl Processors {
    /// The guess. Each core ends one multiplication with an addition per cycle.
    pub(super) fn speed(self) -> Speed {
        let Self { cores, clock_mhz, capability } = self;
        let peak_gflops = 2.0 * f64::from(cores) * f64::from(clock_mhz) / 1e3;
        let fp32 = peak_gflops * FP32_SHARE;
        let bf16 = times_in_bf16(capability).map_or(fp32, |times| peak_gflops * times * BF16_SHARE);
        let [fp32_gflops, bf16_gflops] = [fp32, bf16.max(fp32)].map(whole);
        Speed { fp32_gflops, bf16_gflops }
    }
}

/// How many operations tensor cores do in bf16 for each that the other cores do in single precision, by NVIDIA's
/// data sheets: A100 312 to 19.5 TFLOP/s, H100 989 to 67, B200 2250 to 80; A10 125 to 31, L4 121 to 30. Cards before
/// Ampere have no tensor cores for bf16.
fn times_in_bf16((major, minor): (u32, u32)) -> Option<f64> {
    match (major, minor) {
        (..=7, _) => None,
        (8, 0) | (9..=10, _) => Some(16.0),
        (8.., _) => Some(4.0),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "billions of operations per second"
)]
fn whole(gflops: f64) -> u64 {
    gflops.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_differ_as_their_data_sheets_say() {
        let tflops = |cores, clock_mhz, capability| {
            let Speed { fp32_gflops, bf16_gflops } = Processors { cores, clock_mhz, capability }.speed();
            (fp32_gflops / 1_000, bf16_gflops / 1_000)
        };
        assert_eq!(tflops(16_896, 1_980, (9, 0)), (40, 321), "H200");
        assert_eq!(tflops(6_912, 1_410, (8, 0)), (11, 93), "A100");
        assert_eq!(tflops(7_424, 2_040, (8, 9)), (18, 36), "L4");
        assert_eq!(tflops(2_560, 1_590, (7, 5)), (4, 4), "T4: bf16 without tensor cores");
        assert_eq!(cores_of_multiprocessor((9, 0)) * 132, 16_896);
        assert_eq!(cores_of_multiprocessor((8, 0)) * 108, 6_912);
    }
}
