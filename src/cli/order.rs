//! `lorasweep stop` and `lorasweep keep`: what a person wants of a trial. The run that is at work heeds it, or the next.

use super::{TrialArgs, runs};
use crate::disk::FileError;
use crate::error::AppError;
use crate::record::TrialState;
use crate::record::orders::{self, Order};
use crate::ui::output;

pub(super) fn call(args: &TrialArgs, order: Order) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    let (record, layout) = (&found.record, &found.layout);
    let trial = runs::trial(record, args)?;
    let id = trial.trial.id;
    let is_taken_back = order == Order::Stop
        && matches!(trial.state, TrialState::Stopped { .. })
        && orders::waiting(layout, id) == Some(Order::Keep);
    if is_taken_back {
        orders::take_back(layout, id).map_err(|error| FileError::new("remove", &layout.order(id), error))?;
        output::say(&format!("trial {id} stays stopped: the order to keep it is taken back"));
        return Ok(());
    }
    if let Some(message) = refusal(&trial.state, order) {
        let run = args.run.typed();
        let hint = Some(format!("`lorasweep explain {run} {id}` says more"));
        return Err(AppError::Input { message: format!("trial {id} {message}"), hint });
    }
    orders::give(layout, id, order).map_err(|error| FileError::new("write", &layout.order(id), error))?;
    let what = match order {
        Order::Stop => "stops, with a checkpoint from which it can go on",
        Order::Keep => "trains to its end, with the other folds and seeds of its configuration",
    };
    let when = if record.live {
        "the run that is at work heeds it within seconds".to_owned()
    } else {
        format!("`{}` heeds it", runs::again(record, None))
    };
    output::say(&format!("trial {id} {what}: {when}"));
    Ok(())
}

/// Why an order on a trial in this state makes no sense.
fn refusal(state: &TrialState, order: Order) -> Option<&'static str> {
    match (state, order) {
        (TrialState::Done, _) => Some("is done already"),
        (TrialState::Failed { .. }, _) => Some("has failed: `run --retry-failed` tries it again"),
        (TrialState::Stopped { .. }, Order::Stop) => Some("is stopped already"),
        (TrialState::Stopped { .. }, Order::Keep)
        | (
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Interrupted,
            _,
        ) => None,
    }
}
