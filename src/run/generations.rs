//! Owns how a run goes on when all that it had to train is over: with the next generation of points, where its sweep
//! proposes any and its budget allows, and with the report after the last one.

use std::collections::HashSet;
use std::time::Duration;

use crossbeam::channel::Receiver;

use super::event_loop::{EventLoop, LoopState};
use super::round::{Grown, Round, Run, Trains};
use super::stream::Stream;
use super::{RunError, StopRequest};
use crate::record::{compared, journal, proposed};
use crate::search::Brackets;
use crate::sweep::SweepSpec;
use crate::values::{Proposed, TrialId, What, quantity};

impl Run<'_> {
    /// Trains what is planned of a sweep, then what a person let go on meanwhile, and generation after generation.
    /// Returns the sweep as it has grown.
    pub(super) fn train(
        &self,
        events: &mut EventLoop<'_, '_>,
        mut grown: Grown,
        mut planned: What,
        stop: &Receiver<StopRequest>,
    ) -> Result<SweepSpec, RunError> {
        loop {
            events.run(planned, stop)?;
            let this_run = &events.stream.ledger.this_run;
            let fails_fast = self.options.policy.fail_fast && this_run.failed > 0;
            let is_cut_short = this_run.stopped || this_run.unwritable.is_some() || fails_fast;
            if is_cut_short {
                return Ok(grown.spec);
            }
            // Orders that came at its end.
            events.heed_orders()?;
            let kept = std::mem::take(&mut events.kept);
            if events.beyond.is_none() && kept.is_empty() {
                return Ok(grown.spec);
            }
            let round;
            if kept.is_empty() {
                (grown, round) = self.next(grown, &mut events.stream)?;
            } else {
                round =
                    self.round(&grown, self.brackets(&grown)?, Trains::Only(&kept), &mut events.stream)?;
            }
            events.beyond = round.beyond;
            (events.scheduler, planned) = round.begin(self, &grown.spec, &mut events.stream)?;
            events.state = LoopState::new();
        }
    }

    /// The round of the next generation, which is told, and the sweep with it; where there is none, that of the report.
    fn next(&self, before: Grown, stream: &mut Stream<'_, '_>) -> Result<(Grown, Round), RunError> {
        let new = self.propose(&before, stream);
        if !new.is_empty() {
            let all = before.proposed.iter().chain(&new).cloned().collect();
            let grown = Grown::of(&before.spec, all);
            let known: HashSet<TrialId> = before.spec.trials().iter().map(|trial| trial.id).collect();
            let trials = grown.spec.trials().into_iter().map(|trial| trial.id);
            let trials = trials.filter(|trial| !known.contains(trial)).collect();
            let round = self.round(&grown, self.brackets(&grown)?, Trains::Only(&trials), stream)?;
            if self.has_time(&grown, &round, stream)? {
                stream.tell(What::GenerationProposed { blocks: new })?;
                return Ok((grown, round));
            }
        }
        let round = self.round(&before, self.brackets(&before)?, Trains::Nothing, stream)?;
        Ok((before, round))
    }

    /// The next points of each block whose points so far are over.
    fn propose(&self, Grown { spec, proposed }: &Grown, stream: &Stream<'_, '_>) -> Vec<Proposed> {
        let Some(proposing) = &spec.proposing else { return Vec::new() };
        let blocks = proposing.blocks.iter().zip(proposing.keys()).zip(proposing.points(proposed));
        let next = |((block, key), points)| {
            let tried = proposed::tried(spec, self.layout, &stream.ledger, block, points)?;
            Some(Proposed { block: key, points: proposing.next(block, &tried) })
        };
        blocks.filter_map(next).filter(|next| !next.points.is_empty()).collect()
    }

    /// Who is compared with whom, as the journal tells.
    fn brackets(&self, Grown { spec, .. }: &Grown) -> Result<Brackets, RunError> {
        let known = journal::read(&self.layout.journal())?.events;
        Ok(compared::brackets(spec, &spec.trials(), &known, self.no_stop))
    }

    /// Whether the budget of a sweep leaves time for a round. Tells where it does not.
    fn has_time(
        &self,
        Grown { spec, .. }: &Grown,
        round: &Round,
        stream: &mut Stream<'_, '_>,
    ) -> Result<bool, RunError> {
        let Some(budget_s) = spec.proposing.as_ref().and_then(|proposing| proposing.budget_s) else {
            return Ok(true);
        };
        let (spent, next) = (self.spent(), round.foreseen.makespan);
        let has_time = (spent + next).as_secs_f64() <= budget_s;
        if !has_time {
            stream.warn(format!(
                "the budget of {} ends the search: {} went by, and the next generation would take {}; a larger `budget` goes on",
                quantity::predicted(budget_s),
                quantity::measured(spent.as_secs_f64()),
                quantity::about(next.as_secs_f64()),
            ))?;
        }
        Ok(has_time)
    }

    /// How long all runs of the sweep took so far.
    pub(super) fn spent(&self) -> Duration {
        self.spent_before + self.begun.elapsed()
    }
}
