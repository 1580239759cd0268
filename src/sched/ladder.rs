//! Owns what is tried after memory ran out. Pure.
//!
//! Every rung asks for less than the one before, so that nothing is tried twice: half of the trials,
//! one trial with nothing beside it, then half of its rows at a time, down to a single row.

/// What a start of a job asked of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Trials without a fate that trained together; at most 1 for other work.
    pub(super) trials: usize,
    /// Rows of a trial that went through the model at a time; 1 for other work.
    pub(super) rows: usize,
    /// Nothing else drew from the same memory meanwhile.
    pub(super) alone: bool,
}

/// What to try next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// Two jobs of half the trials each.
    Halves,
    /// The same with nothing beside it.
    Alone,
    /// At most so many rows at a time, accumulated to the same step, with nothing beside it.
    Rows(usize),
    /// Nothing is left.
    Floor,
}

/// The rung below a load that was too much.
pub(super) fn below(load: Load) -> Rung {
    if load.trials > 1 {
        Rung::Halves
    } else if !load.alone {
        Rung::Alone
    } else if load.rows > 1 {
        Rung::Rows(load.rows.div_ceil(2))
    } else {
        Rung::Floor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_rung_of_the_ladder() {
        let table = [
            ((9, 32, false), Rung::Halves),
            ((2, 1, true), Rung::Halves),
            ((1, 32, false), Rung::Alone),
            ((1, 1, false), Rung::Alone),
            ((1, 32, true), Rung::Rows(16)),
            ((1, 3, true), Rung::Rows(2)),
            ((1, 2, true), Rung::Rows(1)),
            ((1, 1, true), Rung::Floor),
            ((0, 1, false), Rung::Alone),
            ((0, 1, true), Rung::Floor),
        ];
        for ((trials, rows, alone), rung) in table {
            assert_eq!(below(Load { trials, rows, alone }), rung, "{trials} {rows} {alone}");
        }
    }

    proptest! {
        #[test]
        fn a_trial_gets_to_the_floor_in_a_few_rungs(
            trials in 1_usize..300, rows in 1_usize..300, alone: bool,
        ) {
            let mut load = Load { trials, rows, alone };
            let mut tries = 1;
            loop {
                let less = match below(load) {
                    Rung::Halves => Load { trials: load.trials.div_ceil(2), ..load },
                    Rung::Alone => Load { alone: true, ..load },
                    Rung::Rows(rows) => Load { rows, ..load },
                    Rung::Floor => break,
                };
                prop_assert!(less.trials * less.rows < load.trials * load.rows || (less.alone && !load.alone));
                load = less;
                tries += 1;
            }
            prop_assert_eq!(load, Load { trials: 1, rows: 1, alone: true });
            let halvings = |n: usize| n.next_power_of_two().ilog2();
            prop_assert!(tries <= 2 + halvings(trials) + halvings(rows));
        }
    }
}
