//! Owns fresh starting values. Each random one is a function of the trial's key, the tensor's name and the
//! element's number, computed on the host by operations that IEEE 754 defines to the last bit: it is the same on
//! every machine and for every device.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use tch::{Device, Kind, Tensor};

use super::params::index;
use crate::families::{Init, TensorShape};
use crate::values::stream::{Draw, StreamKey};

/// Values that one thread draws at a time.
const AT_A_TIME: usize = 1 << 14;

/// The starting values of a tensor.
pub(super) fn draw(key: StreamKey, shape: &TensorShape) -> Tensor {
    let size: Vec<i64> = shape.shape.iter().map(|n| index(*n)).collect();
    let options = (Kind::Float, Device::Cpu);
    match shape.init {
        Init::Normal(std) => of_each(key, &shape.name, &size, |p| std * normal_quantile(p)),
        Init::Truncated { std, cutoff } => {
            let beyond = 1.0 - share_below(cutoff);
            of_each(key, &shape.name, &size, |p| std * normal_quantile(beyond + p * (1.0 - 2.0 * beyond)))
        }
        Init::Uniform(bound) => uniform(key, &shape.name, &size, bound),
        Init::Sinusoids => sinusoids(&size),
        Init::Zeros => Tensor::zeros(&size, options),
        Init::Ones => Tensor::ones(&size, options),
    }
}

/// Values between `-bound` and `bound`.
pub(super) fn uniform(key: StreamKey, name: &str, size: &[i64], bound: f64) -> Tensor {
    of_each(key, name, size, |p| bound * (2.0 * p - 1.0))
}

/// A tensor of `value(p)`, each with its own p, spread evenly between 0 and 1.
fn of_each(key: StreamKey, name: &str, size: &[i64], value: impl Fn(f64) -> f64 + Sync) -> Tensor {
    let words = key.words(Draw::Init(name));
    let count = usize::try_from(size.iter().product::<i64>()).expect("sizes are positive");
    #[expect(clippy::cast_precision_loss, reason = "52 bits and a half have room in 64-bit floats")]
    let probability = |at: usize| ((words.word(at as u64) >> 12) as f64 + 0.5) / 2.0_f64.powi(52);
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits, as weights are")]
    let values = (0..count).into_par_iter().with_min_len(AT_A_TIME).map(|at| value(probability(at)) as f32);
    Tensor::from_slice(&values.collect::<Vec<_>>()).view(size)
}

/// The number below which a share p of the standard normal distribution is: Acklam's approximation (2003), whose
/// relative error is at most 1.2e-9. It needs no more than 32 bits hold, and a third of the time of statrs's,
/// which also rests on the platform's logarithm.
fn normal_quantile(p: f64) -> f64 {
    /// Distance from 1/2 beyond which p is in a tail.
    const TAIL: f64 = 0.475_75;
    let centred = p - 0.5;
    if centred.abs() <= TAIL {
        let r = centred * centred;
        let above = [
            2.506_628_277_459_239,
            -30.664_798_066_147_16,
            138.357_751_867_269,
            -275.928_510_446_968_7,
            220.946_098_424_520_5,
            -39.696_830_286_653_76,
        ];
        let below = [
            1.0,
            -13.280_681_552_885_72,
            66.801_311_887_719_72,
            -155.698_979_859_886_6,
            161.585_836_858_040_9,
            -54.476_098_798_224_06,
        ];
        return centred * polynomial(r, &above) / polynomial(r, &below);
    }
    let r = (-2.0 * logarithm(p.min(1.0 - p))).sqrt();
    let above = [
        2.938_163_982_698_783,
        4.374_664_141_464_968,
        -2.549_732_539_343_734,
        -2.400_758_277_161_838,
        -0.322_396_458_041_136_5,
        -0.007_784_894_002_430_293,
    ];
    let below = [
        1.0,
        3.754_408_661_907_416,
        2.445_134_137_142_996,
        0.322_467_129_070_039_8,
        0.007_784_695_709_041_462,
    ];
    (polynomial(r, &above) / polynomial(r, &below)).copysign(centred)
}

/// The share of the standard normal distribution below a number above 0, to 1e-10: a power series, see
/// [`logarithm`] for why. Beyond five standard deviations there is next to nothing.
fn share_below(x: f64) -> f64 {
    let (mut sum, mut term) = (0.0, x.min(5.0));
    let squared = term * term;
    for n in 0..100 {
        let n = f64::from(n);
        sum += term / (2.0 * n + 1.0);
        term *= -squared / (2.0 * (n + 1.0));
    }
    0.5 + sum / (2.0 * std::f64::consts::PI).sqrt()
}

/// The natural logarithm of a positive number, to 1e-11: `f64::ln` may differ between machines in its last bit.
fn logarithm(x: f64) -> f64 {
    // x = 2^e m with m in [1, 2), and ln m = 2 artanh((m - 1) / (m + 1)), whose series is summed.
    let (e, m) = ((x.to_bits() >> 52) as i32 - 1023, f64::from_bits(x.to_bits() << 12 >> 12 | 1023 << 52));
    let s = (m - 1.0) / (m + 1.0);
    let series = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0].map(|n: f64| n.recip());
    f64::from(e) * std::f64::consts::LN_2 + 2.0 * s * polynomial(s * s, &series)
}

/// The sum of `coefficients[n] x^n`.
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// `[rows, width]`: in row r, sin(r / 10000^(j / width)) in each even column j, and its cosine in the column
/// after it.
fn sinusoids(size: &[i64]) -> Tensor {
    let [rows, width] = size[..] else { unreachable!("a table has rows and columns") };
    let places = Tensor::arange(rows, (Kind::Double, Device::Cpu)).unsqueeze(1);
    let even = Tensor::arange_start_step(0, width, 2, (Kind::Double, Device::Cpu));
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
    let angles = places / (even * (10_000_f64.ln() / width as f64)).exp();
    let pairs = Tensor::stack(&[angles.sin(), angles.cos()], -1);
    pairs.flatten(1, 2).narrow(1, 0, width).to_kind(Kind::Float).contiguous()
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;
    use crate::families::{Place, TensorRole};

    #[test]
    fn quantiles_are_those_of_the_normal_distribution_and_symmetric() {
        let normal = Normal::standard();
        let tails: Vec<f64> = (1..=53).map(|n| 2.0_f64.powi(-n)).collect();
        for p in (1..2000).map(|n| f64::from(n) / 2000.0).chain(tails.iter().copied()) {
            let (found, expected) = (normal_quantile(p), normal.inverse_cdf(p));
            assert!((found - expected).abs() <= 1.2e-9 * expected.abs(), "{p}: {found} {expected}");
        }
        assert!(tails.iter().all(|p| normal_quantile(1.0 - p) == -normal_quantile(*p)));
    }

    #[test]
    fn truncated_values_end_at_the_cutoff() {
        let normal = Normal::standard();
        for x in [1e-3, 0.5, 1.0, 2.0, 3.0, 4.5] {
            assert!((share_below(x) - normal.cdf(x)).abs() < 1e-10, "{x}");
        }
        let init = Init::Truncated { std: 0.02, cutoff: 2.0 };
        let shape = TensorShape {
            name: "layer.weight".to_owned(),
            shape: vec![200, 100],
            role: TensorRole::Linear,
            init,
            place: Place::Top,
        };
        let drawn = draw(StreamKey::from_seed(42), &shape);
        let largest = drawn.abs().max().double_value(&[]);
        assert!(largest <= 0.04 && largest > 0.0399, "{largest}");
        // Var = 1 - 2 c phi(c) / (2 Phi(c) - 1), with c = 2.
        let std = drawn.std(true).double_value(&[]);
        assert!((std / (0.02 * 0.879_626) - 1.0).abs() < 0.01, "{std}");
    }

    #[test]
    fn a_value_depends_on_its_number_alone_and_keeps_its_bits() {
        let key = StreamKey::from_seed(42);
        let normal = |rows| of_each(key, "layer.weight", &[rows, 4], |p| 0.02 * normal_quantile(p));
        let uniform = |rows| uniform(key, "layer.weight", &[rows, 4], 0.5);
        for (few, many, first) in [
            (normal(3), normal(20_000), [0xbba1_d5f4, 0x3cea_9c2b, 0x3c4a_3638, 0x3b86_99b8_u32]),
            (uniform(3), uniform(20_000), [0xbdc7_ba53, 0x3ed9_0c17, 0x3e6c_f856, 0x3da6_a224]),
        ] {
            assert_eq!(few, many.narrow(0, 0, 3));
            let bits: Vec<u32> =
                Vec::<f32>::try_from(few.get(0)).unwrap().iter().map(|n| n.to_bits()).collect();
            assert_eq!(bits, first);
        }
    }
}
