//! Owns what earlier packs took, and the rates that follow from it. Pure: reads no file and no clock.
//!
//! Packs of one kind take about the same multiple of the time that the assumed rates give, and of the memory.
//! That multiple, measured, corrects the rates of the next packs of the kind. A kind that never ran takes it from
//! those most like it. Only predictions and the sizes of packs follow from it, never the width of a trial: a
//! trial's digits do not depend on what ran before.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::cost::{PackCost, Rates};
use crate::families::{Head, ModelSpec};
use crate::tasks::Task;
use crate::values::{Configuration, ContentHash, Precision, Width};

/// The version of the assumed rates and counts: what was measured against others tells nothing.
const VERSION: u32 = 1;
/// What counts is about the latest ten minutes of training and the latest twenty starts of a kind.
const KEPT_S: f64 = 600.0;
const KEPT_STARTS: f64 = 20.0;
/// Most kinds that are kept, the latest ones.
const KEPT_KINDS: usize = 500;
/// Multiples of time and of memory that packs can come to: a tiny model's operations take a thousandth of the time
/// in which they are begun. What is outside is a mistake, and not believed.
const TIMES: RangeInclusive<f64> = 1e-3..=1e3;
const MEMORIES: RangeInclusive<f64> = 0.1..=10.0;
/// What other kinds tell is believed up to this multiple: they may be far smaller.
const SIMILAR: f64 = 4.0;

/// The processors that packs train on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processors {
    /// The CPU's name.
    pub cpu: String,
    /// The name of the first GPU, if there is one.
    pub gpu: Option<String>,
}

/// What the rates of a pack depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    processor: String,
    width: Width,
    /// Of the model's shapes.
    architecture: ContentHash,
    method: String,
    precision: Precision,
    /// Of the training rows, whose length is only guessed.
    data: ContentHash,
    max_length: usize,
    head: Head,
    batch_size: usize,
}

impl Kind {
    /// How much it has in common with a kind that was measured, from what matters most to what matters least;
    /// `None` where one tells nothing of the other.
    fn likeness(&self, other: &Self) -> Option<[bool; 7]> {
        let is_gpu = |kind: &Self| kind.width == Width::Gpu;
        let comparable = self.processor == other.processor && is_gpu(self) == is_gpu(other);
        comparable.then(|| {
            [
                self.method == other.method,
                self.architecture == other.architecture,
                self.width == other.width,
                self.precision == other.precision,
                (self.data, self.max_length) == (other.data, other.max_length),
                self.head == other.head,
                self.batch_size == other.batch_size,
            ]
        })
    }
}

/// What a pack took, beside what the assumed rates say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    /// Seconds of its steps and evaluations by the assumed rates.
    pub assumed_s: f64,
    /// Measured seconds of them.
    pub took_s: f64,
    /// Measured seconds of everything else, from its launch to its end.
    pub start_s: f64,
    /// Memory in MiB by the assumed rates, and measured; `None` where it is not measured.
    pub mem_mib: Option<[f64; 2]>,
}

impl Taken {
    /// What a pack of this cost took that trained from its first step to its last: seconds of its whole job, of
    /// its steps and evaluations among these, and its largest memory in MiB, where that was measured.
    #[must_use]
    pub fn of(cost: &PackCost, width: Width, job_s: f64, steps_s: f64, peak_mib: Option<f64>) -> Self {
        let assumed = Rates::assumed(width);
        Self {
            assumed_s: cost.seconds(assumed) - assumed.start_s,
            took_s: steps_s,
            start_s: (job_s - steps_s).max(0.0),
            mem_mib: peak_mib.map(|peak_mib| [cost.estimate(assumed).mem_mib, peak_mib]),
        }
    }
}

/// What the packs of a kind took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    #[serde(flatten)]
    kind: Kind,
    assumed_s: f64,
    took_s: f64,
    starts: f64,
    starts_s: f64,
    /// Measured memory by assumed memory: the most of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<f64>,
}

impl Measured {
    /// Whether a pack can have taken that, so that no mistake stays for ever.
    fn is_sound(&self) -> bool {
        let Self { kind: _, assumed_s, took_s, starts, starts_s, memory } = self;
        let start_s = starts_s / starts;
        *assumed_s > 0.0
            && TIMES.contains(&(took_s / assumed_s))
            && *starts > 0.0
            && (0.0..=KEPT_S).contains(&start_s)
            && memory.is_none_or(|memory| MEMORIES.contains(&memory))
    }

    fn add(&mut self, taken: &Taken) {
        self.assumed_s += taken.assumed_s;
        self.took_s += taken.took_s;
        let kept = (KEPT_S / self.took_s).clamp(0.0, 1.0);
        (self.assumed_s, self.took_s) = (self.assumed_s * kept, self.took_s * kept);
        (self.starts, self.starts_s) = (self.starts + 1.0, self.starts_s + taken.start_s);
        let kept = (KEPT_STARTS / self.starts).clamp(0.0, 1.0);
        (self.starts, self.starts_s) = (self.starts * kept, self.starts_s * kept);
        if let Some([assumed, measured]) = taken.mem_mib {
            let multiple = measured / assumed;
            // Too little memory ends a pack, too much only makes it smaller: the multiple rises at once, and
            // falls by half of the difference.
            self.memory = Some(self.memory.map_or(multiple, |known| multiple.max(known.midpoint(multiple))));
        }
    }
}

/// The form in which it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    /// The latest last.
    kinds: Vec<Measured>,
}

/// What a prediction rests on, from the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Assumed rates: nothing was measured on this processor.
    Assumed,
    /// What packs of other kinds took.
    Similar,
    /// What packs of the same kind took.
    Measured,
}

/// What earlier packs took on these processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Experience {
    processors: Processors,
    kinds: Vec<Measured>,
}

impl Experience {
    /// What was kept, as far as it can be; nothing where it was measured against other assumptions.
    #[must_use]
    pub fn new(processors: Processors, kept: Option<Kept>) -> Self {
        let kept = kept.filter(|kept| kept.version == VERSION);
        let kinds = kept.map(|kept| kept.kinds).unwrap_or_default();
        Self { processors, kinds: kinds.into_iter().filter(Measured::is_sound).collect() }
    }

    /// The same in the form in which it is kept.
    #[must_use]
    pub fn keep(&self) -> Kept {
        Kept { version: VERSION, kinds: self.kinds.clone() }
    }

    /// The kind of a configuration's packs.
    #[must_use]
    pub fn kind(&self, task: &Task, model: &ModelSpec, configuration: &Configuration, width: Width) -> Kind {
        let Processors { cpu, gpu } = &self.processors;
        let training = &configuration.training;
        Kind {
            processor: if width == Width::Gpu { gpu.clone().unwrap_or_default() } else { cpu.clone() },
            width,
            architecture: ContentHash::of_json(&model.architecture),
            method: configuration.method.name().to_owned(),
            precision: training.precision,
            data: task.train.content,
            max_length: task.max_length,
            head: task.objective.head(),
            batch_size: training.batch_size,
        }
    }

    /// Takes in what a pack took.
    pub fn add(&mut self, kind: &Kind, taken: &Taken) {
        let at = self.kinds.iter().position(|measured| measured.kind == *kind);
        let mut measured = at.map(|at| self.kinds.remove(at)).unwrap_or_else(|| Measured {
            kind: kind.clone(),
            assumed_s: 0.0,
            took_s: 0.0,
            starts: 0.0,
            starts_s: 0.0,
            memory: None,
        });
        measured.add(taken);
        if measured.is_sound() {
            self.kinds.push(measured);
        }
        let surplus = self.kinds.len().saturating_sub(KEPT_KINDS);
        self.kinds.drain(..surplus);
    }

    /// The rates of packs of a kind, and what they rest on.
    #[must_use]
    pub fn rates(&self, kind: &Kind) -> (Rates, Basis) {
        let assumed = Rates::assumed(kind.width);
        let likenesses = self.kinds.iter().map(|measured| kind.likeness(&measured.kind));
        let Some(most) = likenesses.clone().flatten().max() else { return (assumed, Basis::Assumed) };
        let alike: Vec<&Measured> = self
            .kinds
            .iter()
            .zip(likenesses)
            .filter(|(_, likeness)| *likeness == Some(most))
            .map(|(measured, _)| measured)
            .collect();
        let sum = |of: fn(&Measured) -> f64| alike.iter().map(|measured| of(measured)).sum::<f64>();
        let is_same = most.into_iter().all(|same| same);
        let pace = sum(|one| one.took_s) / sum(|one| one.assumed_s);
        let pace = if is_same { pace } else { pace.clamp(SIMILAR.recip(), SIMILAR) };
        let memory = alike.iter().filter_map(|measured| measured.memory).reduce(f64::max).unwrap_or(1.0);
        // Too small a pack costs little, too large a one may not fit.
        let memory = if is_same { memory } else { memory.clamp(1.0, SIMILAR) };
        let rates = Rates {
            start_s: sum(|one| one.starts_s) / sum(|one| one.starts),
            flops: assumed.flops / pace,
            layer_s: assumed.layer_s * pace,
            memory,
            stacks: assumed.stacks,
        };
        (rates, if is_same { Basis::Measured } else { Basis::Similar })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::CostTable;
    use crate::plan::example;
    use crate::values::Trial;

    const ONE: Width = Width::Cores(1);

    fn experience() -> Experience {
        Experience::new(Processors { cpu: "a core".to_owned(), gpu: Some("a card".to_owned()) }, None)
    }

    /// The kinds of the example's adapters, of full fine-tuning, and of a model from scratch.
    fn kinds(width: Width) -> [Kind; 3] {
        let sweep = example::sweep();
        [0, 2, 3].map(|n| {
            let configuration = &sweep.configurations[n];
            experience().kind(sweep.task(configuration), sweep.model(configuration), configuration, width)
        })
    }

    fn taken(assumed_s: f64, took_s: f64) -> Taken {
        Taken { assumed_s, took_s, start_s: 0.25, mem_mib: Some([500.0, 800.0]) }
    }

    #[test]
    fn what_ran_is_predicted_as_it_ran() {
        let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
        let sweep = example::sweep();
        let trials: Vec<Trial> = sweep.trials();
        let mut costs = CostTable::new(&sweep);
        let pack: PackCost = [costs.slot(&trials[0]), costs.slot(&trials[3])].iter().collect();
        let assumed = Rates::assumed(ONE);
        assert_eq!(experience.rates(&adapters), (assumed, Basis::Assumed));
        let mib = pack.estimate(assumed).mem_mib;
        experience.add(&adapters, &Taken::of(&pack, ONE, 123.5, 123.0, Some(1.7 * mib)));
        let (rates, basis) = experience.rates(&adapters);
        let predicted = pack.estimate(rates);
        assert_eq!(basis, Basis::Measured);
        assert!((predicted.duration.as_secs_f64() - 123.5).abs() < 1e-6);
        assert!((predicted.mem_mib / (1.7 * mib) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_never_ran_is_predicted_from_what_is_most_like_it() {
        let (mut experience, [adapters, full, scratch]) = (experience(), kinds(ONE));
        experience.add(&adapters, &taken(10.0, 20.0));
        let [pace_of_full, pace_of_two] = [&full, &kinds(Width::Cores(2))[0]]
            .map(|kind| Rates::assumed(kind.width).flops / experience.rates(kind).0.flops);
        assert!((pace_of_full - 2.0).abs() < 1e-9 && (pace_of_two - 2.0).abs() < 1e-9);
        assert_eq!(experience.rates(&full).1, Basis::Similar);
        experience.add(&full, &taken(10.0, 40.0));
        let of_scratch = Rates::assumed(ONE).flops / experience.rates(&scratch).0.flops;
        assert!((of_scratch - 3.0).abs() < 1e-9, "adapters and full are equally unlike: {of_scratch}");
        let other = Kind { processor: "another".to_owned(), ..full.clone() };
        assert_eq!(experience.rates(&other), (Rates::assumed(ONE), Basis::Assumed));
        assert_eq!(experience.rates(&kinds(Width::Gpu)[0]).1, Basis::Assumed);
    }

    #[test]
    fn the_latest_counts_most_and_memory_rises_at_once() {
        let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
        let pace = |of: &Experience| Rates::assumed(ONE).flops / of.rates(&adapters).0.flops;
        (0..50).for_each(|_| experience.add(&adapters, &taken(100.0, 100.0)));
        (0..50).for_each(|_| experience.add(&adapters, &taken(100.0, 300.0)));
        assert!((pace(&experience) - 3.0).abs() < 0.01, "{}", pace(&experience));
        let mut memory = |measured| {
            experience.add(&adapters, &Taken { mem_mib: Some([100.0, measured]), ..taken(1.0, 1.0) });
            experience.rates(&adapters).0.memory
        };
        assert!((memory(400.0) - 4.0).abs() < 1e-9);
        assert!((memory(200.0) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_comes_back_and_what_was_measured_otherwise_does_not() {
        let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
        experience.add(&adapters, &taken(10.0, 20.0));
        let text = serde_json::to_string(&experience.keep()).unwrap();
        let kept: Kept = serde_json::from_str(&text).unwrap();
        let again = Experience::new(experience.processors.clone(), Some(kept.clone()));
        assert_eq!(again, experience);
        let older = Kept { version: VERSION - 1, ..kept };
        assert!(Experience::new(experience.processors.clone(), Some(older)).kinds.is_empty());
        for n in 0..=KEPT_KINDS {
            experience.add(&Kind { batch_size: 1_000 + n, ..adapters.clone() }, &taken(1.0, 1.0));
        }
        assert_eq!(experience.kinds.len(), KEPT_KINDS);
        assert_eq!(experience.rates(&adapters).1, Basis::Similar, "the oldest is gone");
    }

    #[test]
    fn a_tiny_model_tells_little_of_others() {
        let (mut experience, [adapters, _, scratch]) = (experience(), kinds(ONE));
        experience.add(&scratch, &Taken { mem_mib: Some([100.0, 80.0]), ..taken(0.02, 2.7) });
        let pace = |kind| Rates::assumed(ONE).flops / experience.rates(kind).0.flops;
        assert!((pace(&scratch) - 135.0).abs() < 1e-6 && (pace(&adapters) - SIMILAR).abs() < 1e-9);
        assert!((experience.rates(&adapters).0.memory - 1.0).abs() < 1e-9, "no less than assumed");
        assert!((experience.rates(&scratch).0.memory - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_is_not_believed_and_does_not_stay() {
        let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
        let good = taken(10.0, 20.0);
        for taken in [
            taken(0.0, 0.0),
            taken(1.0, 0.0),
            taken(0.0, 1.0),
            taken(-1.0, -1.0),
            taken(1.0, 1e9),
            taken(f64::NAN, 1.0),
            taken(1.0, f64::INFINITY),
            Taken { start_s: -1.0, ..good },
            Taken { start_s: 1e308, ..good },
            Taken { mem_mib: Some([1.0, 0.0]), ..good },
            Taken { mem_mib: Some([1.0, 1e3]), ..good },
            Taken { mem_mib: Some([0.0, 1.0]), ..good },
        ] {
            experience.add(&adapters, &taken);
            assert_eq!(experience.rates(&adapters).1, Basis::Assumed, "{taken:?}");
        }
        experience.add(&adapters, &good);
        let Kept { version, mut kinds } = experience.keep();
        kinds[0].memory = Some(1e3);
        let again = Experience::new(experience.processors.clone(), Some(Kept { version, kinds }));
        assert_eq!(again.rates(&adapters).1, Basis::Assumed);
    }
}
