//! Owns the training of a pack, in its own process: from prepared data and starting weights to a result per
//! trial. Knows no scheduler and no journal.
//!
//! `run`, at the end of this file and with the feature `torch`, is the whole loop, the same for every method;
//! read it first, then `pack/mod.rs` for its steps. A trial alone is a pack of one slot.

#[cfg(feature = "torch")]
pub mod batch;
#[cfg(feature = "torch")]
pub mod checkpoint;
#[cfg(feature = "torch")]
pub mod evaluate;
#[cfg(feature = "torch")]
mod flat;
#[cfg(feature = "torch")]
pub mod memory;
#[cfg(feature = "torch")]
pub mod objective;
#[cfg(feature = "torch")]
pub mod optimiser;
#[cfg(feature = "torch")]
mod pack;
pub mod schedule;
#[cfg(feature = "torch")]
mod slot;
#[cfg(feature = "torch")]
mod warm;

#[cfg(feature = "torch")]
pub use self::training::{Context, Ended, ForwardMode, run};
#[cfg(feature = "torch")]
pub use self::warm::Warm;

#[cfg(feature = "torch")]
mod training {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::pack::Trainer;
    use super::warm::Warm;
    use crate::disk::layout::Layout;
    use crate::exec::devices::own_card_is_full;
    use crate::job::{ChildLine, Pack, ToChild};
    use crate::values::{Device, Failure, Placement};

    /// What the training process gets besides its pack.
    pub struct Context<'a> {
        /// Where files go.
        pub layout: Layout,
        /// The device and the cores.
        pub placement: Placement,
        /// How the slots pass through the model.
        pub forward_mode: ForwardMode,
        /// Most rows of a trial in one training pass; see [`crate::job::JobFile::micro_rows`].
        pub micro_rows: Option<usize>,
        /// Time between two checkpoints; by default as often as the cost stays small.
        pub checkpoint_every: Option<Duration>,
        /// The parent's messages since the last call.
        pub messages: &'a dyn Fn() -> Vec<ToChild>,
        /// Set when the pack should write its checkpoints and end.
        pub stop: &'a AtomicBool,
        /// Tells the parent something.
        pub say: &'a dyn Fn(ChildLine),
    }

    /// How a pack's slots pass through the model, after what they share.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ForwardMode {
        /// All at once, their tensors stacked: few large operations, which fill an accelerator.
        Stacked,
        /// One after the other: activations stay as small as one trial's, which suits a CPU's caches, and a
        /// trial's numbers equal those of training alone, to the last bit.
        InTurn,
    }

    impl ForwardMode {
        /// The mode that suits a device.
        #[must_use]
        pub fn suiting(device: Device) -> Self {
            match device {
                Device::Cuda { .. } => Self::Stacked,
                Device::Cpu { .. } | Device::Host => Self::InTurn,
            }
        }
    }

    /// How a pack's training ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Ended {
        /// Every trial has a result or a failure file, or a checkpoint where it alone was stopped; including trials
        /// that joined.
        Finished,
        /// It was asked to stop; every remaining trial has a checkpoint.
        Stopped,
    }

    /// Trains the pack's trials, from their checkpoints where there are any, and the trials that join them. Uses
    /// what an earlier pack of this process left in `warm`, and leaves there what the next one may use: nothing
    /// after a failure, of a single slot too.
    ///
    /// # Errors
    /// The failure of the last trial where all failed, or a failure of what they share: store, model, device,
    /// memory.
    pub fn run(pack: &Pack, context: &Context<'_>, warm: &mut Warm) -> Result<Ended, Failure> {
        let ended = catch_unwind(AssertUnwindSafe(|| train(pack, context, warm)))
            .unwrap_or_else(|panic| Err(Failure::of_panic(&*panic, own_card_is_full())));
        if ended.is_err() {
            *warm = Warm::default();
        }
        ended
    }

    fn train(pack: &Pack, context: &Context<'_>, warm: &mut Warm) -> Result<Ended, Failure> {
        let mut trainer = Trainer::start(pack, context, warm)?;
        // A base model has no training steps; it is only evaluated.
        trainer.evaluate_due()?;
        trainer.finish_done_slots()?;
        while trainer.heed()? {
            if context.stop.load(Ordering::Relaxed) {
                trainer.checkpoint()?;
                return trainer.stopped();
            }
            trainer.step();
            trainer.quarantine_diverged()?;
            trainer.evaluate_due()?;
            trainer.report()?;
            trainer.finish_done_slots()?;
            trainer.checkpoint_if_due()?;
        }
        let failed = trainer.failed();
        let ended = trainer.ended();
        if failed {
            *warm = Warm::default();
        }
        ended
    }
}
