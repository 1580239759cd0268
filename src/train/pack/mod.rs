//! Owns a running pack: model, optimiser and slots, and the steps of one round of the loop. The loop decides
//! their order, and the scheduler what is tried again after a failure.

mod admit;
mod gradients;
mod judge;
mod stack;
mod unread;

use std::rc::Rc;
use std::time::{Duration, Instant};

use self::gradients::{Seen, accumulate_gradients, groups};
use self::stack::Stack;
use crate::data::folds;
use crate::data::store::{PartView, TokenStore};
use crate::disk::files;
use crate::families::{Architecture, Head};
use crate::job::{ChildLine, Pack};
use crate::model::build::{self, Base, Frozen, Start};
use crate::model::device;
use crate::record::rows;
use crate::tasks::Task;
use crate::train::checkpoint::{self, Window};
use crate::train::evaluate::Evaluator;
use crate::train::memory::Peak;
use crate::train::schedule::learning_rate;
use crate::train::slot::Slot;
use crate::train::training::{Context, Ended, ForwardMode};
use crate::train::warm::Warm;
use crate::values::{Failure, MetricLine, Part, Progress, Trial};

/// Share of the time that writing checkpoints may take, unless the user sets an interval.
const CHECKPOINT_SHARE: f64 = 0.02;

/// A slot's position in the pack, valid until a slot leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotIndex {
    stack: usize,
    slot: usize,
}

/// A running pack.
pub(in crate::train) struct Trainer<'a> {
    pack: &'a Pack,
    context: &'a Context<'a>,
    evaluator: Evaluator<'a>,
    store: Rc<TokenStore>,
    frozen: &'a mut Frozen,
    memory: Peak,
    stacks: Vec<Stack<'a>>,
    failure: Option<Failure>,
    /// Number of slots that left with a result or a checkpoint.
    kept: usize,
    said: Option<Instant>,
    saved: Instant,
    save_took: Duration,
}

impl<'a> Trainer<'a> {
    /// The pack before its first step, or at its checkpoints.
    pub(in crate::train) fn start(
        pack: &'a Pack,
        context: &'a Context<'a>,
        warm: &'a mut Warm,
    ) -> Result<Self, Failure> {
        let device = device::select(context.placement.device)?;
        let memory = Peak::begin(warm.is_empty(), device);
        if !context.placement.cores.is_empty() {
            tch::set_num_threads(i32::try_from(context.placement.cores.len()).unwrap_or(i32::MAX));
        }
        let store = warm.store(context.layout.stores(), pack.store).map_err(failed)?;
        let evaluator = Evaluator::new(&pack.task, &pack.model, device, warm).map_err(failed)?;
        let frozen = warm.frozen(pack, device);
        let train = part(&store, Part::Train)?;
        let slots = pack
            .slots
            .iter()
            .map(|trial| slot(trial, pack.until.get(&trial.id).copied(), (train, &pack.task), context))
            .collect();
        let start = starting_values(pack, &pack.slots, frozen)?;
        let stacks = match context.forward_mode {
            ForwardMode::Stacked => vec![Stack::of_all(slots, start, family(pack))],
            ForwardMode::InTurn => Stack::of_each(slots, start, family(pack)),
        };
        let now = Instant::now();
        let mut trainer = Self {
            pack,
            context,
            evaluator,
            store,
            frozen,
            memory,
            stacks,
            failure: None,
            kept: 0,
            said: None,
            saved: now,
            save_took: Duration::ZERO,
        };
        for stack in &mut trainer.stacks {
            resume(stack, context)?;
        }
        // Loading is over.
        (context.say)(ChildLine::Heartbeat);
        Ok(trainer)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.stacks.iter().flat_map(|stack| &stack.slots)
    }

    /// Whether a slot has failed.
    pub(in crate::train) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    /// How training ended that was asked to stop and has written its checkpoints.
    pub(in crate::train) fn stopped(self) -> Result<Ended, Failure> {
        if self.stacks.is_empty() { self.ended() } else { Ok(Ended::Stopped) }
    }

    /// How training ended, once no slot is left.
    pub(in crate::train) fn ended(self) -> Result<Ended, Failure> {
        match self.failure {
            Some(failure) if self.kept == 0 => Err(failure),
            Some(_) | None => Ok(Ended::Finished),
        }
    }

    /// One optimiser step of every slot.
    pub(in crate::train) fn step(&mut self) {
        let started = Instant::now();
        let train = self.store.part(Part::Train).expect("the store was checked at the start");
        for group in groups(&mut self.stacks) {
            for (stack, Seen { losses, sizes }) in
                accumulate_gradients(group, self.evaluator.collator(), train)
            {
                stack.optimise(&losses, &sizes);
            }
        }
        self.charge(started.elapsed());
        if self.needs_losses() {
            self.read_back();
        }
    }

    /// Whether the losses of the steps so far have to be known now. A GPU has nothing to do from when they are read
    /// until the host has queued the next step, so that they are read as rarely as can be.
    fn needs_losses(&self) -> bool {
        let due = |slot: &Slot| slot.line_due() || slot.evaluation_due();
        self.context.forward_mode == ForwardMode::InTurn
            || self.speaks()
            || self.slots().any(due)
            || self.stacks.iter().any(|stack| stack.unread.is_full())
    }

    /// Reads the losses that were not read yet. The wait for them is part of the steps' time.
    fn read_back(&mut self) {
        if self.stacks.iter().all(|stack| stack.unread.is_empty()) {
            return;
        }
        let started = Instant::now();
        self.stacks.iter_mut().for_each(Stack::read_back);
        self.charge(started.elapsed());
    }

    /// Slots share the time of a step; each is charged its part.
    fn charge(&mut self, took: Duration) {
        let seconds = took.as_secs_f64() / self.slots().count() as f64;
        for slot in self.stacks.iter_mut().flat_map(|stack| &mut stack.slots) {
            slot.state.charge(seconds);
        }
    }

    /// Fails the slots whose loss or gradient is no longer finite, as far as is known; the others go on without
    /// them. What such a slot did in steps that were queued before that was known is lost with it.
    pub(in crate::train) fn quarantine_diverged(&mut self) -> Result<(), Failure> {
        let diverged = self.indices(|slot| slot.diverged.is_some());
        for index in &diverged {
            self.fail_diverged(*index)?;
        }
        self.release(&diverged);
        Ok(())
    }

    /// Records and reports that a slot diverged; the caller still has to remove it from the pack.
    fn fail_diverged(&mut self, index: SlotIndex) -> Result<(), Failure> {
        let slot = self.slot(index);
        let step = slot.diverged.unwrap_or(slot.state.step);
        let (trial, failure) = (slot.trial.id, Failure::Diverged { step });
        files::write_json(&self.context.layout.failure(trial), &failure).map_err(failed)?;
        (self.context.say)(ChildLine::Failed { trial, failure: failure.clone() });
        self.failure = Some(failure);
        Ok(())
    }

    /// The positions of all slots that satisfy a condition.
    fn indices(&self, is_one: impl Fn(&Slot) -> bool) -> Vec<SlotIndex> {
        let indices = self.stacks.iter().enumerate().flat_map(|(stack, of)| {
            of.slots.iter().enumerate().map(move |(slot, at)| (SlotIndex { stack, slot }, at))
        });
        indices.filter(|(_, slot)| is_one(slot)).map(|(index, _)| index).collect()
    }

    fn slot(&mut self, index: SlotIndex) -> &mut Slot {
        &mut self.stacks[index.stack].slots[index.slot]
    }

    /// Removes slots from the pack.
    fn release(&mut self, indices: &[SlotIndex]) {
        if indices.is_empty() {
            return;
        }
        self.read_back();
        for (stack, of) in self.stacks.iter_mut().enumerate() {
            let kept =
                (0..of.slots.len()).filter(|slot| !indices.contains(&SlotIndex { stack, slot: *slot }));
            of.retain(&kept.collect::<Vec<_>>());
        }
        self.stacks.retain(|stack| !stack.slots.is_empty());
    }

    /// Whether it is time to report progress to the parent. The first step is reported at once.
    fn speaks(&self) -> bool {
        self.said.is_none_or(|said| said.elapsed() > Duration::from_millis(200))
    }

    /// Writes training lines where they are due, and reports progress to the parent.
    pub(in crate::train) fn report(&mut self) -> Result<(), Failure> {
        let speak = self.speaks();
        if speak {
            self.memory.mib();
            self.read_back();
            self.quarantine_diverged()?;
        }
        let mut told = Vec::new();
        for slot in self.stacks.iter_mut().flat_map(|stack| &mut stack.slots) {
            let window = slot.state.window;
            let mean = window.loss / window.steps as f64;
            let speed = window.rows as f64 / window.seconds;
            if speak || slot.finished() {
                let progress = Progress {
                    trial: slot.trial.id,
                    step: slot.state.step,
                    steps: slot.total,
                    loss: mean,
                    rows_per_s: speed,
                    validation: slot.state.latest.as_ref().map(|(_, scores)| scores.clone()),
                };
                told.push(progress);
            }
            let step = slot.state.step;
            if slot.line_due() {
                let line = MetricLine::Train {
                    step,
                    epoch: slot.epochs_done(),
                    loss: mean,
                    ema_loss: slot.state.ema_loss.unwrap_or(mean),
                    learning_rate: learning_rate(&slot.trial.configuration.training, step - 1, slot.total),
                    grad_norm: window.grad_norm,
                    rows_per_s: speed,
                    tokens_per_s: window.tokens as f64 / window.seconds,
                };
                slot.write(&line).map_err(failed)?;
                slot.state.window = Window::default();
            }
        }
        if !told.is_empty() {
            (self.context.say)(ChildLine::Progress(told));
            self.said = Some(Instant::now());
        }
        Ok(())
    }

    /// Checkpoints every slot at the user's interval, or else once enough work has been done since the last
    /// time to make the cost of writing small.
    pub(in crate::train) fn checkpoint_if_due(&mut self) -> Result<(), Failure> {
        let since = self.saved.elapsed();
        let due = match self.context.checkpoint_every {
            Some(every) => since >= every,
            None => since.mul_f64(CHECKPOINT_SHARE) > self.save_took,
        };
        if due { self.checkpoint() } else { Ok(()) }
    }

    /// Checkpoints a slot whose results were read back, after the rows of its latest evaluation: a trial that
    /// continues does not evaluate that step again.
    fn save(&mut self, index: SlotIndex) -> Result<(), Failure> {
        let peak_mib = self.memory.mib();
        let layout = &self.context.layout;
        let stack = &mut self.stacks[index.stack];
        if let Some(judged) = stack.slots[index.slot].latest_rows.take() {
            rows::write(&layout.latest_rows(judged.trial), &judged, self.pack.task.objective.labels())
                .map_err(failed)?;
        }
        let tensors = stack.tensors(index.slot);
        let state = &mut stack.slots[index.slot].state;
        state.cost.peak_memory_mib = state.cost.peak_memory_mib.max(peak_mib);
        checkpoint::save(&layout.last_checkpoint(state.trial), state, &tensors).map_err(failed)
    }

    /// Checkpoints every slot; those that have diverged leave.
    pub(in crate::train) fn checkpoint(&mut self) -> Result<(), Failure> {
        self.read_back();
        self.quarantine_diverged()?;
        let started = Instant::now();
        for index in self.indices(|_| true) {
            self.save(index)?;
            (self.context.say)(ChildLine::Heartbeat);
        }
        self.saved = Instant::now();
        self.save_took = started.elapsed();
        Ok(())
    }
}

fn family(pack: &Pack) -> (&Architecture, Head) {
    (&pack.model.architecture, pack.task.objective.head())
}

/// A trial of a task at its first step, which pauses from a share of its steps on.
fn slot(trial: &Trial, until: Option<f64>, (train, task): (&PartView, &Task), context: &Context<'_>) -> Slot {
    let rows = folds::split(&train.labels(), &trial.splitting, trial.fold);
    let targets: Vec<_> = rows.train.iter().map(|row| train.target(*row)).collect();
    let mut slot = Slot::new(trial, rows, train.lengths(), context);
    slot.class_weights = task.objective.class_weights(&targets).map(Rc::from);
    if let Some(share) = until {
        slot.pause_at(share);
    }
    slot
}

/// Restores a stack's slots from their checkpoints.
fn resume(stack: &mut Stack<'_>, context: &Context<'_>) -> Result<(), Failure> {
    for k in 0..stack.slots.len() {
        if let Some(error) = stack.resume(k, &context.layout) {
            let message = format!("{error}; the trial starts over");
            (context.say)(ChildLine::Warning { trial: stack.slots[k].trial.id, message });
        }
        stack.slots[k].rewind_metrics().map_err(failed)?;
    }
    Ok(())
}

/// The tensors of some slots before their first step.
fn starting_values(pack: &Pack, slots: &[Trial], frozen: &mut Frozen) -> Result<Start, Failure> {
    // The slots of a pack share their kind of method.
    let base = Base::of(&pack.model, &pack.task, &slots[0].configuration.method).map_err(failed)?;
    let (architecture, head) = family(pack);
    build::start_beside(architecture, head, slots, &base, frozen).map_err(failed)
}

fn part(store: &TokenStore, part: Part) -> Result<&PartView, Failure> {
    store.part(part).ok_or_else(|| bad_data(format!("the token store has no {part:?} rows")))
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    Failure::of(&error)
}

fn bad_data(message: String) -> Failure {
    Failure::BadData { message }
}
