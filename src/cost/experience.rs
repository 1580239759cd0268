//! Owns what earlier packs took, and the rates that follow from it. Pure: reads no file and no clock.
//!
//! Packs of one kind take about the same multiple of the time that the assumed rates give, and of the memory.
//! That multiple, measured, corrects the rates of the next packs of the kind. A kind that never ran takes it from
//! those most like it, on a GPU on which nothing ran from another GPU. Only predictions and the sizes of packs
//! follow from it, never the width of a trial: a trial's digits do not depend on what ran before.
//!
//! What a pack took is compared with one rate for all GPUs, so that it stays right whatever the driver tells of
//! their speeds.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::cost::{GpuKind, PackCost, Processors, Rates, unmeasured_mib};
use crate::families::{Head, ModelSpec};
use crate::tasks::Task;
use crate::values::{Configuration, ContentHash, Precision, Resources, Speed, Width};

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
    /// Written where it is true: versions without it had none of these kinds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recompute: bool,
}

impl Kind {
    /// The same on another processor.
    fn on(&self, processor: &str) -> Self {
        Self { processor: processor.to_owned(), ..self.clone() }
    }

    /// How much it has in common with a kind that was measured, from what matters most to what matters least;
    /// `None` where one tells nothing of the other.
    fn likeness(&self, other: &Self) -> Option<[bool; 8]> {
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
                self.recompute == other.recompute,
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
    /// its steps and evaluations among these, and its largest memory in MiB, as its results have it, where that was
    /// measured.
    #[must_use]
    pub fn of(cost: &PackCost, width: Width, job_s: f64, steps_s: f64, peak_mib: Option<f64>) -> Self {
        let assumed = Rates::assumed(width);
        Self {
            assumed_s: cost.seconds(assumed) - assumed.start_s,
            took_s: steps_s,
            start_s: (job_s - steps_s).max(0.0),
            mem_mib: peak_mib.map(|mib| [cost.estimate(assumed).mem_mib, mib + unmeasured_mib(width)]),
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
    /// Measured memory by assumed memory: the most of late. What was measured against an earlier assumption, in
    /// which all logits existed at once, was under another name.
    #[serde(default, rename = "memory_multiple", skip_serializing_if = "Option::is_none")]
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

    /// The same with the GPUs of these resources.
    #[must_use]
    pub fn on(&self, resources: &Resources) -> Self {
        Self { processors: Processors::new(&self.processors.cpu, resources), kinds: self.kinds.clone() }
    }

    /// The names of the kinds of GPU.
    pub(crate) fn gpus(&self) -> impl Iterator<Item = &str> {
        self.processors.gpus.iter().map(|gpu| gpu.name.as_str())
    }

    /// The kinds of a configuration's packs: on GPUs one for each kind of GPU, at least one.
    #[must_use]
    pub fn kinds(
        &self,
        task: &Task,
        model: &ModelSpec,
        configuration: &Configuration,
        width: Width,
    ) -> Vec<Kind> {
        let Processors { cpu, gpus } = &self.processors;
        let training = &configuration.training;
        let first = Kind {
            processor: if width == Width::Gpu { String::new() } else { cpu.clone() },
            width,
            architecture: ContentHash::of_json(&model.architecture),
            method: configuration.method.name().to_owned(),
            precision: training.precision,
            data: task.train.content,
            max_length: task.max_length,
            head: task.objective.head(),
            batch_size: training.batch_size,
            recompute: training.recompute,
        };
        if width != Width::Gpu || gpus.is_empty() {
            return vec![first];
        }
        gpus.iter().map(|gpu| first.on(&gpu.name)).collect()
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
        let known = self.measured(kind).or_else(|| Some((self.on_another_gpu(kind)?, Basis::Similar)));
        known
            .unwrap_or_else(|| (Rates::thought(kind.width, self.speed(kind), kind.precision), Basis::Assumed))
    }

    /// How fast the GPU of a kind is thought to be.
    fn speed(&self, kind: &Kind) -> Option<Speed> {
        let gpu = |of: &&GpuKind| kind.width == Width::Gpu && of.name == kind.processor;
        self.processors.gpus.iter().find(gpu)?.speed
    }

    /// What packs took on another GPU, and as much less or more as the two are thought to differ.
    fn on_another_gpu(&self, kind: &Kind) -> Option<Rates> {
        let others = self.processors.gpus.iter().filter(|_| kind.width == Width::Gpu);
        let others = others.map(|gpu| kind.on(&gpu.name)).filter(|other| other != kind);
        let known = others.filter_map(|other| self.measured(&other).map(|known| (known, self.speed(&other))));
        let ((rates, _), other) = known.rev().max_by_key(|((_, basis), _)| *basis)?;
        let faster = match (self.speed(kind), other) {
            (Some(speed), Some(other)) => speed.flops(kind.precision) / other.flops(kind.precision),
            (_, None) | (None, _) => 1.0,
        };
        Some(Rates { flops: rates.flops * faster, ..rates })
    }

    /// What packs took on the processor of a kind.
    fn measured(&self, kind: &Kind) -> Option<(Rates, Basis)> {
        let assumed = Rates::assumed(kind.width);
        let likenesses = self.kinds.iter().map(|measured| kind.likeness(&measured.kind));
        let most = likenesses.clone().flatten().max()?;
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
        Some((rates, if is_same { Basis::Measured } else { Basis::Similar }))
    }
}

#[cfg(test)]
mod tests;
