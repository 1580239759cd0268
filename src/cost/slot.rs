//! Owns what one trial adds to a pack: operations, passes, bytes. Costs shared by many trials are computed
//! once.

use std::collections::HashMap;
use std::time::Duration;

use crate::cost::memory::{Footprint, Kept};
use crate::cost::{EVALUATED_TOKENS, Rates, RowFlops, count, flops, mean_tokens, memory, sequences};
use crate::families::ModelSpec;
use crate::families::params::{self, ParamCounts};
use crate::sweep::SweepSpec;
use crate::tasks::Task;
use crate::values::{Configuration, Lora, Method, Precision, Splitting, Training, Trial};

/// Cap on a trial's predicted time, in seconds: thirty years. Sums of it do not overflow.
pub(super) const LONGEST_S: f64 = 1e9;

/// The settings that decide the cost of a row.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind<'a> {
    task: &'a str,
    model: &'a str,
    method: &'static str,
    adapter: Option<Adapter<'a>>,
    /// Where layers are computed again, in which precision.
    recompute: Option<Precision>,
}

/// The settings that decide the size of an adapter.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Adapter<'a> {
    rank: usize,
    targets: &'a [String],
    layers: Option<&'a [usize]>,
    modules_to_save: &'a [String],
    drops: bool,
}

impl<'a> Kind<'a> {
    fn of(configuration: &'a Configuration) -> Self {
        let Configuration { id: _, task, model, method, training } = configuration;
        let adapter = method.lora().map(Adapter::of);
        Self { task, model, method: method.name(), adapter, recompute: recomputed(training) }
    }
}

impl<'a> Adapter<'a> {
    /// Names every setting, so that a new one does not compile until someone decides whether it costs anything.
    fn of(lora: &'a Lora) -> Self {
        let Lora {
            rank,
            alpha: _,
            dropout,
            targets,
            rslora: _,
            modules_to_save,
            layers_to_transform,
            lora_plus: _,
        } = lora;
        Self {
            rank: *rank,
            targets,
            modules_to_save,
            layers: layers_to_transform.as_deref(),
            drops: *dropout > 0.0,
        }
    }
}

/// The cost of a row by task, model and method, and the number of rows.
#[derive(Clone, Copy, Debug)]
struct RowCost {
    counts: ParamCounts,
    row: RowFlops,
    kept: Kept,
    layers: f64,
    /// Rows in a batch of those that are evaluated.
    evaluated_at_once: f64,
    sequences: Sequences,
}

impl RowCost {
    fn of(task: &Task, model: &ModelSpec, configuration: &Configuration) -> Self {
        let (architecture, head) = (&model.architecture, task.objective.head());
        let (method, tokens) = (&configuration.method, count(task.max_length));
        let mut row = flops::per_row(architecture, head, method, mean_tokens(task));
        let kept = match recomputed(&configuration.training) {
            Some(precision) => {
                row.training += row.again;
                memory::kept_recomputing((architecture, head), method, tokens, precision)
            }
            None => memory::kept_per_row(architecture, head, method, tokens),
        };
        Self {
            counts: params::count(architecture, head, method),
            row,
            kept,
            layers: count(architecture.layers()),
            evaluated_at_once: (count(EVALUATED_TOKENS) / mean_tokens(task)).max(1.0),
            sequences: sequences(task),
        }
    }
}

/// The precision in which layers are computed again, where they are.
fn recomputed(training: &Training) -> Option<Precision> {
    training.recompute.then_some(training.precision)
}

/// The costs of a sweep's trials. Counting a model's parameters and products takes far longer than everything
/// else about a trial, so it is done once for all trials that have them in common.
pub struct CostTable<'a> {
    sweep: &'a SweepSpec,
    known: HashMap<Kind<'a>, RowCost>,
}

impl<'a> CostTable<'a> {
    /// An empty table, filled on demand.
    #[must_use]
    pub fn new(sweep: &'a SweepSpec) -> Self {
        Self { sweep, known: HashMap::new() }
    }

    fn row(&mut self, configuration: &'a Configuration) -> RowCost {
        let row =
            || RowCost::of(self.sweep.task(configuration), self.sweep.model(configuration), configuration);
        *self.known.entry(Kind::of(configuration)).or_insert_with(row)
    }

    /// A configuration's exact parameter counts.
    pub fn params(&mut self, configuration: &'a Configuration) -> ParamCounts {
        self.row(configuration).counts
    }

    /// The costs that a trial adds to a pack.
    pub fn slot(&mut self, trial: &'a Trial) -> SlotCost {
        SlotCost::new(&self.row(&trial.configuration), trial)
    }
}

/// The costs that one trial adds to a pack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotCost {
    /// Seed and fold: slots that have both in common see the same batches.
    pub(crate) batches: (u64, usize),
    /// Operations of this trial alone.
    pub(crate) tail: f64,
    /// Operations shared with the slots that see the same batches.
    pub(crate) trunk: f64,
    /// Layers passed through in training, over all passes.
    pub(super) layer_passes: f64,
    /// Memory.
    pub(crate) footprint: Footprint,
    /// Disk space taken afterwards, in MiB.
    pub(super) disk_mib: f64,
}

/// The parts of a slot's time. Whole nanoseconds, so that sums do not depend on their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTime {
    /// Time for this slot only.
    pub own: Duration,
    /// Time shared with the slots that see the same batches.
    pub trunk: Duration,
    /// Fixed time of its passes on a GPU, the same for one slot and for many.
    pub passes: Duration,
}

impl SlotTime {
    /// Its time when it trains alone, without the process's start and the fixed time of passes.
    #[must_use]
    pub fn alone(&self) -> Duration {
        self.own + self.trunk
    }
}

impl SlotCost {
    /// The cost of this share of its steps.
    #[must_use]
    pub fn part(&self, share: f64) -> Self {
        let Self { tail, trunk, layer_passes, .. } = *self;
        Self { tail: tail * share, trunk: trunk * share, layer_passes: layer_passes * share, ..*self }
    }

    /// The parts of its time at these rates.
    #[must_use]
    pub fn time(&self, rates: Rates) -> SlotTime {
        let (own_s, passes_s) = (self.tail / rates.flops, self.layer_passes * rates.layer_s);
        let (own_s, passes_s) = if rates.stacks { (own_s, passes_s) } else { (own_s + passes_s, 0.0) };
        let [own, trunk, passes] = [own_s, self.trunk / rates.flops, passes_s]
            .map(|seconds| Duration::from_secs_f64(seconds.min(LONGEST_S)));
        SlotTime { own, trunk, passes }
    }

    fn new(cost: &RowCost, trial: &Trial) -> Self {
        let RowCost { counts, row, kept, layers, evaluated_at_once, sequences } = *cost;
        let training = &trial.configuration.training;
        let rows = sequences.passes(trial);
        let batch = count(training.batch_size);
        let passes = rows.trained / batch + rows.evaluated / evaluated_at_once;
        Self {
            batches: (training.seed, trial.fold),
            tail: rows.trained * (row.training - row.trunk)
                + rows.evaluated * (row.forward - row.trunk)
                + passes * row.pass,
            trunk: (rows.trained + rows.evaluated) * row.trunk,
            // The embedding, the head and the optimiser count as one more layer.
            layer_passes: (layers + 1.0) * rows.trained / batch,
            footprint: Footprint::of_slot(counts, training.precision, kept.of_rows(batch)),
            disk_mib: memory::disk_mib(counts),
        }
    }
}

/// The sequences made from a task's rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequences {
    pub(super) train: usize,
    pub(super) validation: usize,
    pub(super) test: usize,
}

/// Rows that pass through the model in a trial, counted once per pass.
struct RowPasses {
    trained: f64,
    evaluated: f64,
}

impl Sequences {
    fn passes(self, trial: &Trial) -> RowPasses {
        let all = count(self.train);
        let (training, validation) = match trial.splitting {
            Splitting::KFold { k, .. } => (all * (1.0 - 1.0 / count(k)), all / count(k)),
            Splitting::HoldOut { fraction, .. } => (all * (1.0 - fraction), all * fraction),
            Splitting::File => (all, count(self.validation)),
            Splitting::All => (all, 0.0),
        };
        let settings = &trial.configuration.training;
        let trained = match trial.configuration.method {
            Method::Base => 0.0,
            Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Scratch => training * settings.epochs,
        };
        let all = evaluations(settings, trained);
        let partial = settings.evaluate_rows.map_or(0.0, |_| (all - TENTHS).max(0.0));
        let some = settings.evaluate_rows.map_or(validation, count).min(validation);
        RowPasses { trained, evaluated: (all - partial) * validation + partial * some + count(self.test) }
    }
}

/// How often a trial is validated on all rows where it is mostly on some.
const TENTHS: f64 = 10.0;

/// How often a trial that trains on `trained` rows is validated.
fn evaluations(settings: &Training, trained: f64) -> f64 {
    match settings.evaluate_every {
        Some(steps) => (trained / count(settings.batch_size * settings.accumulation * steps)).floor() + 1.0,
        None => settings.epochs.ceil(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::example;

    #[test]
    fn adapters_in_some_layers_have_a_cost_of_their_own() {
        let sweep = example::sweep();
        let first = &sweep.configurations[0];
        let mut method = first.method.clone();
        let Method::Lora(lora) = &mut method else { panic!("an adapter") };
        lora.layers_to_transform = Some(vec![1]);
        let other = Configuration::new(sweep.task(first), sweep.model(first), method, first.training.clone());
        let sweep = sweep.with(|sweep| sweep.configurations.push(Arc::new(other))).unwrap();
        let mut costs = CostTable::new(&sweep);
        let [all, one] = [0, 5].map(|n| costs.params(&sweep.configurations[n]).adapter);
        assert_eq!(all, 2 * one, "one of two layers");
    }

    /// 60 steps of 16 rows, each with a validation: ten of them on all of 480 rows.
    #[test]
    fn validations_on_some_rows_pass_fewer() {
        let sweep = example::sweep();
        let sequences = Sequences { train: 1440, validation: 0, test: 7 };
        let passes = |evaluate_rows| {
            let mut trial = sweep.trials().remove(0);
            let training =
                Training { batch_size: 16, evaluate_every: Some(1), evaluate_rows, ..Training::new(1e-3) };
            Arc::make_mut(&mut trial.configuration).training = training;
            sequences.passes(&trial).evaluated
        };
        let all = passes(None);
        assert_eq!(all, 61.0 * 480.0 + 7.0);
        assert_eq!([Some(480), Some(9_999)].map(passes), [all; 2]);
        assert_eq!(passes(Some(20)), 10.0 * 480.0 + 51.0 * 20.0 + 7.0);
    }

    #[test]
    fn what_trials_have_in_common_is_counted_once() {
        let sweep = example::sweep();
        let first = &sweep.configurations[0];
        let others = (1..=1_000_u16).map(|n| {
            let training = Training { learning_rate: f64::from(n), seed: n.into(), ..first.training.clone() };
            Arc::new(Configuration::new(
                sweep.task(first),
                sweep.model(first),
                first.method.clone(),
                training,
            ))
        });
        let sweep = sweep.with(|sweep| sweep.configurations.extend(others)).unwrap();
        let trials = sweep.trials();
        let mut costs = CostTable::new(&sweep);
        for trial in &trials {
            let (task, model) = (sweep.task(&trial.configuration), sweep.model(&trial.configuration));
            let slot = costs.slot(trial);
            let row = || RowCost::of(task, model, &trial.configuration);
            assert!(trial.fold > 0 || slot == SlotCost::new(&row(), trial));
        }
        assert_eq!(costs.known.len(), 5, "configurations of the example");
    }
}
