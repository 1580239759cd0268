//! Owns made-up learning curves: grids of the kinds that mislead a rule. Seeded, so that they are the same everywhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::grid::{Candidate, Curve, End, Grid, Validation, guessed_error};

const CANDIDATES: usize = 24;
const FOLDS: usize = 3;
const STEPS: u64 = 200;
const ROWS: u32 = 400;
/// The loss and the accuracy on four equal classes of who has learned nothing.
const UNTRAINED: f64 = 1.386_294;
const MAJORITY: f64 = 0.25;

/// How curves mislead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Who is better at the end is better from early on.
    Plain,
    /// Who is better at the end is the slower one.
    Crossing,
    /// Validations differ from one to the next by more than candidates do.
    Noisy,
    /// Each stays on the plateau for a while of its own, up to half of its steps.
    Plateau,
    /// A quarter is fast and falls back to the plateau, an eighth diverges.
    Diverging,
    /// Each candidate is of one of these kinds.
    Mixed,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Plain, Self::Crossing, Self::Noisy, Self::Plateau, Self::Diverging, Self::Mixed];
}

/// What a candidate is like on every fold; times are shares of the steps.
struct Nature {
    /// The loss that it tends to.
    last: f64,
    /// How long it stays on the plateau.
    plateau: f64,
    /// How long it takes from there to come 63 % nearer.
    slowness: f64,
    noise: f64,
    falls_back_at: Option<f64>,
    diverges_at: Option<f64>,
}

/// A grid of this kind.
pub(crate) fn grid(kind: Kind, seed: u64) -> Grid {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let candidates = (0..CANDIDATES).map(|n| {
        let kind = match kind {
            Kind::Mixed => Kind::ALL[rng.random_range(0..Kind::ALL.len() - 1)],
            Kind::Plain | Kind::Crossing | Kind::Noisy | Kind::Plateau | Kind::Diverging => kind,
        };
        let nature = nature(kind, &mut rng);
        let folds = (0..FOLDS).map(|_| curve(&nature, &mut rng)).collect();
        Candidate { label: format!("{n}"), folds }
    });
    Grid {
        name: format!("{kind:?}").to_lowercase(),
        candidates: candidates.collect(),
        baseline_steps: 0,
        untrained: UNTRAINED,
        majority: MAJORITY,
    }
}

fn nature(kind: Kind, rng: &mut ChaCha8Rng) -> Nature {
    let quality: f64 = rng.random();
    let mut nature = Nature {
        last: 1.1 - 0.7 * quality,
        plateau: rng.random_range(0.02..0.1),
        slowness: rng.random_range(0.1..0.3),
        noise: 0.01,
        falls_back_at: None,
        diverges_at: None,
    };
    match kind {
        Kind::Plain | Kind::Mixed => {}
        Kind::Crossing => nature.slowness = 0.08 + 0.35 * quality,
        Kind::Noisy => nature.noise = 0.06,
        Kind::Plateau => nature.plateau = rng.random_range(0.05..0.5),
        Kind::Diverging => match rng.random_range(0..8) {
            0 => nature.diverges_at = Some(rng.random_range(0.05..0.6)),
            1 | 2 => {
                nature.slowness = 0.06;
                nature.falls_back_at = Some(rng.random_range(0.15..0.9));
            }
            _ => {}
        },
    }
    nature
}

fn curve(nature: &Nature, rng: &mut ChaCha8Rng) -> Curve {
    // A fold has rows of its own, which make it easier or harder, and luck of its own in leaving the plateau.
    let last = nature.last + 0.03 * normal(rng);
    let plateau = nature.plateau * rng.random_range(0.8..1.2);
    let diverged = nature.diverges_at.map(|share| (share * STEPS as f64) as u64);
    let ended = diverged.unwrap_or(STEPS);
    let loss = |step: u64, noise: f64| {
        let at = step as f64 / STEPS as f64;
        let has_fallen = nature.falls_back_at.is_some_and(|share| at >= share);
        if at <= plateau || has_fallen {
            return UNTRAINED + 0.002 * noise;
        }
        last + (UNTRAINED - last) * (-(at - plateau) / nature.slowness).exp() + nature.noise * noise
    };
    let validation = |step: u64, rng: &mut ChaCha8Rng| {
        let loss = loss(step, normal(rng));
        let accuracy = accuracy(loss, normal(rng));
        Validation { step, loss, accuracy, loss_error: guessed_error(loss, UNTRAINED, ROWS) }
    };
    let steps = (1..=20).map(|n| n * STEPS / 20).filter(|step| *step < ended || diverged.is_none());
    let validations: Vec<Validation> =
        steps.collect::<Vec<_>>().into_iter().map(|step| validation(step, rng)).collect();
    let end = match (diverged, validations.last()) {
        (None, Some(last)) => {
            End::Scored { validation: last.accuracy, test: accuracy(loss(STEPS, normal(rng)), normal(rng)) }
        }
        (step, _) => End::Diverged { step: step.unwrap_or(STEPS) },
    };
    Curve { steps: STEPS, validations, end }
}

/// The accuracy that goes with a loss: the majority's at the plateau, with the noise of so many rows.
fn accuracy(loss: f64, noise: f64) -> f64 {
    let share = (1.0 - loss / UNTRAINED).max(0.0);
    let expected = MAJORITY + (1.0 - MAJORITY) * share.powf(0.7);
    let spread = if share < 0.01 { 0.0 } else { (expected * (1.0 - expected) / f64::from(ROWS)).sqrt() };
    (expected + spread * noise).clamp(0.0, 1.0)
}

/// A number from the standard normal distribution (Box & Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random::<f64>().max(1e-300), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
