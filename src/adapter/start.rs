//! Owns the change that an adapter's initialisation made to its base. Knows no file.

use tch::Tensor;

use super::features::Start;
use crate::model::params::index;

/// A base's matrix as it was while an adapter of this rank and scale trained on it; `transposed` if it is
/// stored as `[in, out]`.
///
/// For PiSSA it is `W - U_r S_r V_r^T` (Meng et al. 2024, equation 4), for OLoRA `W - scale Q_r R_r`
/// (Büyükakyüz 2024, algorithm 1). PEFT computes it when it loads an adapter whose settings name such an
/// initialisation. Each step is PEFT's, in 32 bits, since the result depends on how the steps round; for OLoRA
/// PEFT takes a matrix as it is stored.
pub(super) fn residual(weight: &Tensor, transposed: bool, start: Start, rank: usize, scale: f64) -> Tensor {
    // A rank beyond the matrix's size has nothing to take.
    let rank = index(rank).min(weight.size().into_iter().min().unwrap_or(0));
    match start {
        Start::Plain => weight.shallow_clone(),
        Start::Pissa { .. } => {
            let turned = |matrix: &Tensor| if transposed { matrix.tr() } else { matrix.shallow_clone() };
            let whole = turned(weight);
            let (u, s, v) = whole.svd(true, true);
            let root = (s.narrow(0, 0, rank) / scale).sqrt();
            let (b, a) = (u.narrow(1, 0, rank) * &root, root.unsqueeze(1) * v.narrow(1, 0, rank).tr());
            turned(&(whole - (b * scale).matmul(&a))).contiguous()
        }
        Start::Olora => {
            let (q, r) = Tensor::linalg_qr(weight, "reduced");
            weight - (q.narrow(1, 0, rank) * scale).matmul(&r.narrow(0, 0, rank))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Tensor {
        // Singular values 5, 3 and 0, on axes of their own.
        Tensor::from_slice(&[3.0_f32, 0.0, 0.0, 0.0, 0.0, -5.0]).view([2, 3])
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.contiguous().view([-1])).unwrap()
    }

    fn close(found: &Tensor, expected: &[f32]) {
        let found = values(found);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn pissa_takes_the_largest_singular_values() {
        let pissa = Start::Pissa { randomised: false };
        close(&residual(&matrix(), false, pissa, 1, 7.0), &[3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        close(&residual(&matrix(), false, pissa, 2, 7.0), &[0.0; 6]);
        close(&residual(&matrix(), false, pissa, 99, 7.0), &[0.0; 6]);
        close(&residual(&matrix().tr(), true, pissa, 1, 7.0), &[3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn olora_takes_the_first_columns_times_its_scale() {
        // Q is the identity up to signs, so the first column of Q with the first row of R is the first row.
        close(&residual(&matrix(), false, Start::Olora, 1, 2.0), &[-3.0, 0.0, 0.0, 0.0, 0.0, -5.0]);
        close(&residual(&matrix(), false, Start::Plain, 1, 2.0), &values(&matrix()));
    }
}
