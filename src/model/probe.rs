//! Owns a small computation that shows whether a GPU works: a product in each precision, which must be the CPU's.
//! Leaves the judgement to others.

use tch::{Device, Kind, Tensor};

use super::device;
use crate::exec::devices::Fault;

/// Rows and columns of the matrices.
const SIDE: i64 = 64;
/// Largest difference to the CPU's product, as a part of its largest number. Sums of small whole numbers are exact
/// in every precision but for the last rounding, which in bf16 is to 8 bits.
const TOLERANCE: f64 = 0.01;

/// Computes on the GPU that this process sees. Panics, as all of libtorch, on most of what may be wrong with it.
///
/// # Errors
/// There is none, or its numbers are not the CPU's.
pub fn compute() -> Result<(), Fault> {
    device::load_cuda().map_err(Fault::NotLoaded)?;
    let gpu = device::first_gpu().map_err(|said| Fault::told_by(&said))?;
    [Kind::Float, Kind::BFloat16].into_iter().try_for_each(|kind| multiply(kind, gpu))
}

fn multiply(kind: Kind, gpu: Device) -> Result<(), Fault> {
    let [one, other] = [(3, 7), (5, 11)].map(|(step, below)| matrix(step, below).to_kind(kind));
    let expected = one.matmul(&other).to_kind(Kind::Float);
    let found = device::send(&one, gpu).matmul(&device::send(&other, gpu)).to_device(Device::Cpu);
    let differs = (found.to_kind(Kind::Float) - &expected).abs().max().double_value(&[]);
    let largest = expected.abs().max().double_value(&[]);
    if differs <= TOLERANCE * largest {
        return Ok(());
    }
    let kind = if kind == Kind::Float { "fp32" } else { "bf16" };
    Err(Fault::Wrong(format!("a product in {kind} is off by {differs} of {largest}")))
}

/// Whole numbers below a bound in an order that repeats in no row.
fn matrix(step: i64, below: i64) -> Tensor {
    let counted = Tensor::arange(SIDE * SIDE, (Kind::Int64, Device::Cpu));
    (counted * step).remainder(below).view([SIDE, SIDE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_computes_passes_in_both_precisions() {
        for kind in [Kind::Float, Kind::BFloat16] {
            assert_eq!(multiply(kind, Device::Cpu), Ok(()));
        }
    }
}
