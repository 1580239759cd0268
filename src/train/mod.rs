//! Owns the training of a pack, in its own process: from prepared data and starting weights to a
//! result per trial. Knows no scheduler and no journal.
//!
//! `run` (with the feature `torch`) is the loop: one piece, the same for every method. A trial alone
//! is a pack of one slot.

#[cfg(feature = "torch")]
pub mod batch;
#[cfg(feature = "torch")]
pub mod checkpoint;
#[cfg(feature = "torch")]
pub mod evaluate;
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
pub use self::training::{Context, Ended, ForwardMode, run};

#[cfg(feature = "torch")]
mod training {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use crossbeam::channel::Receiver;

    use super::pack::Trainer;
    use crate::disk::layout::Layout;
    use crate::job::{ChildLine, Pack};
    use crate::values::{Device, Failure, Placement, Trial};

    /// What the training process is given besides its pack.
    pub struct Context<'a> {
        /// Where files go.
        pub layout: Layout,
        /// The device and the cores.
        pub placement: Placement,
        /// How the slots go through the model.
        pub forward_mode: ForwardMode,
        /// Most rows of a trial that go through the model at a time in training; see
        /// [`crate::job::JobFile::micro_rows`].
        pub micro_rows: Option<usize>,
        /// Time between two checkpoints; by default as often as costs little.
        pub checkpoint_every: Option<Duration>,
        /// Trials that join the pack while it trains.
        pub joins: Receiver<Trial>,
        /// Set when the trial should write its checkpoint and end.
        pub stop: &'a AtomicBool,
        /// Tells the parent.
        pub say: &'a dyn Fn(ChildLine),
    }

    /// How a pack's slots go through the model, behind what they share.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ForwardMode {
        /// All at once, their tensors stacked: few large operations, which fill an accelerator.
        Stacked,
        /// One after the other: activations stay as small as one trial's, which suits a CPU's caches,
        /// and a trial's numbers are those that it has alone, to the last bit.
        InTurn,
    }

    impl ForwardMode {
        /// What suits a device.
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
        /// Every trial has a result or a failure file, those that joined included.
        Finished,
        /// It was asked to stop; every trial left has a checkpoint.
        Stopped,
    }

    /// Trains the pack's trials, from their checkpoints where there are any, and those that join them.
    ///
    /// # Errors
    /// The failure of the last trial where all failed, or of what they share: store, model, device, memory.
    pub fn run(pack: &Pack, context: &Context<'_>) -> Result<Ended, Failure> {
        catch_unwind(AssertUnwindSafe(|| train(pack, context)))
            .unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))
    }

    fn train(pack: &Pack, context: &Context<'_>) -> Result<Ended, Failure> {
        let mut trainer = Trainer::start(pack, context)?;
        // A base model has no steps: to be judged is all that happens to it.
        trainer.evaluate_due()?;
        trainer.finish_done_slots()?;
        while trainer.admit()? {
            if context.stop.load(Ordering::Relaxed) {
                trainer.checkpoint()?;
                return Ok(Ended::Stopped);
            }
            trainer.step();
            trainer.quarantine_diverged()?;
            trainer.evaluate_due()?;
            trainer.report()?;
            trainer.finish_done_slots()?;
            trainer.checkpoint_if_due()?;
        }
        trainer.ended()
    }
}
