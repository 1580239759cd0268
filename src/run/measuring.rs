//! Owns what the packs of a run take, from its events, for the predictions of later runs. Part of no decision in
//! this one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::cost::{Kind, Processors, Taken};
use crate::disk::layout::Layout;
use crate::record::experience;
use crate::run::RunOptions;
use crate::sched::Workload;
use crate::values::{Cost, Event, JobKey, KnownGpu, Reader, TrialId, What, Width};

/// Time between two writes of the file.
const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Measures the packs of a run.
pub(super) struct Measuring {
    layout: Layout,
    processors: Processors,
    /// What is known of the GPUs.
    gpus: Vec<KnownGpu>,
    work: Arc<Workload>,
    /// The trials that were ever started. One that continues has not taken the time of all its steps now.
    started: HashSet<TrialId>,
    packs: BTreeMap<JobKey, Pack>,
    /// What was measured since the file was written, and when that was.
    taken: Vec<(Kind, Taken)>,
    saved: Option<Timestamp>,
}

/// A running pack.
struct Pack {
    launched: Timestamp,
    width: Width,
    /// The name of its GPU.
    gpu: Option<String>,
    trials: Vec<TrialId>,
    costs: Vec<Cost>,
    /// Whether it does all steps of all its trials, as far as is known.
    is_whole: bool,
}

impl Measuring {
    /// Before the first event of this run's jobs. `started` are the trials that earlier runs have begun.
    pub(super) fn new(
        layout: &Layout,
        options: &RunOptions,
        work: &Arc<Workload>,
        started: HashSet<TrialId>,
    ) -> Self {
        Self {
            layout: layout.clone(),
            processors: options.processors.clone(),
            gpus: options.resources.known.clone(),
            work: Arc::clone(work),
            started,
            packs: BTreeMap::new(),
            taken: Vec::new(),
            saved: None,
        }
    }

    fn pack_of(&mut self, trial: TrialId) -> Option<&mut Pack> {
        self.packs.values_mut().find(|pack| pack.trials.contains(&trial))
    }

    fn spoil(&mut self, trial: TrialId) {
        if let Some(pack) = self.pack_of(trial) {
            pack.is_whole = false;
        }
    }

    /// Takes in the end of a pack that did its work.
    fn end(&mut self, at: Timestamp, key: JobKey) {
        let Some(pack) = self.packs.remove(&key) else { return };
        if !pack.is_whole || pack.costs.len() < pack.trials.len() {
            return;
        }
        let Some((kind, cost)) = self.work.pack(&pack.trials, pack.gpu.as_deref()) else { return };
        let steps_s = pack.costs.iter().map(|cost| cost.wall_s).sum::<f64>();
        let peak_mib = pack.costs.iter().map(|cost| cost.peak_memory_mib).fold(0.0, f64::max);
        let peak_mib = Some(peak_mib).filter(|peak_mib| *peak_mib > 0.0);
        let job_s = at.duration_since(pack.launched).as_secs_f64();
        self.taken.push((kind.clone(), Taken::of(&cost, pack.width, job_s, steps_s, peak_mib)));
        if self.saved.is_none_or(|saved| at.duration_since(saved) >= EVERY) {
            self.save(at);
        }
    }

    fn save(&mut self, at: Timestamp) {
        let mut known = experience::load(&self.layout, self.processors.clone());
        self.taken.drain(..).for_each(|(kind, taken)| known.add(&kind, &taken));
        // A full disk ends the run elsewhere; for a prediction it need not.
        drop(experience::save(&self.layout, &known));
        self.saved = Some(at);
    }
}

impl Reader for Measuring {
    fn on(&mut self, event: &Event) {
        match &event.what {
            What::JobLaunching { key, placement, trials, .. } if !trials.is_empty() => {
                let fresh = trials.iter().filter(|trial| self.started.insert(**trial)).count();
                let gpu = self.gpus.iter().find(|gpu| gpu.device == placement.device);
                let pack = Pack {
                    launched: event.at,
                    width: placement.width(),
                    gpu: gpu.map(|gpu| gpu.name.clone()),
                    trials: trials.clone(),
                    costs: Vec::new(),
                    is_whole: fresh == trials.len(),
                };
                self.packs.insert(*key, pack);
            }
            What::TrialJoining { key, trial } => {
                let is_fresh = self.started.insert(*trial);
                if let Some(pack) = self.packs.get_mut(key) {
                    pack.trials.push(*trial);
                    pack.is_whole &= is_fresh;
                }
            }
            What::TrialFinished { trial, result: Some(result) } => {
                if let Some(pack) = self.pack_of(*trial) {
                    pack.costs.push(result.cost);
                }
            }
            What::TrialReturned { trial, .. } | What::TrialFailed { trial, .. } => self.spoil(*trial),
            What::TrialPaused { pause, .. } => self.spoil(pause.trial),
            What::JobFinished { key } => self.end(event.at, *key),
            What::JobFailed { key, .. } | What::JobInterrupted { key } => _ = self.packs.remove(key),
            What::RunEnded { .. } if !self.taken.is_empty() => self.save(event.at),
            What::RunEnded { .. }
            | What::RunStarted { .. }
            | What::TrainingForeseen { .. }
            | What::WidthsDecided { .. }
            | What::BracketsOpened { .. }
            | What::RungDecided(_)
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. }
            | What::GenerationProposed { .. }
            | What::RungPutOff(_)
            | What::StopOrdered { .. }
            | What::KeepOrdered { .. }
            | What::RunPlanned { .. }
            | What::JobLaunching { .. }
            | What::JobStarted { .. }
            | What::TrialJoined { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::TrialFinished { .. }
            | What::DeviceRetired { .. }
            | What::StopRequested { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::Woke => {}
        }
    }
}
