//! What stopping early saves and what it costs: grids that were trained in full are replayed under each rule, which
//! `lorasweep::search` decides as in a run. `make bench-search` prints the tables; as tests they hold their bounds.
//!
//! `replay` runs a grid under a rule, `grid` reads recorded ones and `curves` makes up others.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its recordings should end")]
#![expect(clippy::print_stdout, reason = "the tables are what the replay is for")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "steps and shares of them"
)]

mod curves;
mod grid;
mod replay;
mod rules;
mod table;

use std::path::Path;

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use crate::curves::Kind;
use crate::grid::Grid;
use crate::replay::{Field, replay};
use crate::table::{Figures, mean};

const RECORDED: [&str; 3] = ["agnews", "complaints", "mnli"];
/// How many parts of each recorded grid are drawn, and how many candidates each has.
const PARTS: u64 = 100;
const PART: usize = 12;
/// How many grids of each kind are made up.
const MADE_UP: u64 = 50;

fn recorded() -> Vec<Grid> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/search"));
    RECORDED.iter().map(|name| Grid::read(&folder.join(name).with_extension("jsonl"))).collect()
}

/// Parts of a grid, drawn at random: decisions of the same kind, most of them with another best one.
fn parts(grid: &Grid) -> Vec<Grid> {
    let part = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut numbers = sample(&mut rng, grid.candidates.len(), PART).into_vec();
        numbers.sort_unstable();
        grid.part(&numbers)
    };
    (0..PARTS).map(part).collect()
}

#[test]
fn replayed_on_recorded_grids() {
    let grids = recorded();
    let rules = rules::all();
    for grid in &grids {
        let best = &grid.candidates[grid.best(0..grid.candidates.len()).unwrap()];
        let (validation, test) = best.scores().unwrap();
        println!(
            "\n### {}: {} configurations x {} folds\n\nBest: {}, {:.1} % on validation, {:.1} % on test; majority {:.1} %\n",
            grid.name,
            grid.candidates.len(),
            best.folds.len(),
            best.label,
            100.0 * validation,
            100.0 * test,
            100.0 * grid.majority
        );
        print!("{}", table::of_grids(std::slice::from_ref(grid), &rules));
    }
    println!("\n### All of them\n");
    print!("{}", table::of_grids(&grids, &rules));
    println!("\n### {PARTS} parts of each, {PART} configurations drawn at random\n");
    print!("{}", table::of_grids(&grids.iter().flat_map(parts).collect::<Vec<Grid>>(), &rules));
}

#[test]
fn replayed_on_made_up_curves() {
    let kinds = Kind::ALL.map(|kind| {
        let grids: Vec<Grid> = (0..MADE_UP).map(|seed| curves::grid(kind, seed)).collect();
        (grids[0].name.clone(), grids)
    });
    println!("\n### Made-up curves: steps saved, %; best one stopped, %; points lost on test\n");
    print!("{}", table::of_kinds(&kinds, &rules::all()));
}

/// A winner of the whole grid has to be worth looking for, and what cannot win has to be there.
#[test]
fn recorded_grids_reach_from_the_plateau_to_well_above_it() {
    for grid in recorded() {
        let scores: Vec<(f64, f64)> = grid.candidates.iter().filter_map(|one| one.scores()).collect();
        let highest = scores.iter().map(|(_, test)| *test).fold(0.0, f64::max);
        assert!(highest > grid.majority + 0.10, "{}: {highest}", grid.name);
        let at_plateau = scores.iter().filter(|(_, test)| *test < grid.majority + 0.02).count();
        assert!(at_plateau + grid.candidates.len() - scores.len() >= 3, "{}: {at_plateau}", grid.name);
        let least =
            grid.candidates.iter().flat_map(|one| &one.folds).map(|curve| curve.validations.len()).min();
        assert!(least.unwrap() >= 10, "{}: {least:?} validations", grid.name);
    }
}

#[test]
fn the_whole_grid_saves_and_loses_nothing() {
    for grid in recorded() {
        let figures = Figures::on(&[grid], &rules::WHOLE);
        assert!(figures.iter().all(|one| one.saved == 0.0 && one.validation == 0.0 && !one.lost));
    }
}

/// Who is fast must not decide who is stopped.
#[test]
fn the_order_in_which_trials_come_decides_nothing() {
    let made_up = Kind::ALL.map(|kind| curves::grid(kind, 1));
    for grid in recorded().iter().chain(&made_up) {
        for rule in rules::all() {
            let field = Field::of(grid, &rule);
            for first in 0..3 {
                let [forwards, backwards] =
                    [false, true].map(|order| replay(grid, &rule, &field, first, order));
                assert_eq!(forwards, backwards, "{}, {}, fold {first}", grid.name, rule.label);
            }
        }
    }
}

/// The rules as they ship: most of the steps saved for less than a point of accuracy in the mean.
#[test]
fn the_shipped_rules_save_steps_and_lose_little() {
    let grids = recorded();
    for rule in rules::defaults() {
        let of = Figures::on(&grids, &rule);
        let (saved, on_validation, on_test) =
            (mean(&of, |one| one.saved), mean(&of, |one| one.validation), mean(&of, |one| one.test));
        assert!(
            saved > 0.7 && on_validation < 1.0 && on_test < 1.0,
            "{} saves {saved:.2} and loses {on_validation:.2} and {on_test:.2} points",
            rule.label
        );
    }
}
