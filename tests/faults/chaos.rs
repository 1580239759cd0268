//! Sweeps of tiny trials whose orchestrator and children are killed at any moment: of trials that all train to their
//! end, and of trials that are compared and mostly stopped.
//!
//! `make chaos` goes on for `CHAOS_SECONDS` (600), with `CHAOS_TRIALS` (200) in each sweep; without
//! these the test takes a short form. What is killed, when and how follows from a seed that is printed
//! and can be set as `CHAOS_SEED`; what the program does between two kills does not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::fates::Fates;
use crate::life::{Ended, Life};
use crate::monkey::Monkey;
use crate::site::{GRID, RANGE, Site};

/// The short form: so many seconds of kills, and fewer trials than the 200 of the long one.
const SECONDS: u64 = 12;
const TRIALS: u64 = 40;
/// At least so many kills a minute, or the machine is too slow for the test to mean much.
const KILLS_PER_MINUTE: u64 = 10;

#[test]
#[expect(clippy::print_stdout, reason = "who repeats a run needs its seed, and the counts are the result")]
fn a_sweep_killed_at_random_moments_ends_as_an_undisturbed_one() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seed = number("CHAOS_SEED").unwrap_or(now);
    let seconds = number("CHAOS_SECONDS").unwrap_or(SECONDS);
    let trials = usize::try_from(number("CHAOS_TRIALS").unwrap_or(TRIALS)).unwrap();
    println!("chaos: CHAOS_SEED={seed} CHAOS_SECONDS={seconds} CHAOS_TRIALS={trials}");

    let kinds: [(&str, &dyn Fn() -> Site); 5] = [
        ("all whole", &|| Site::new(trials)),
        ("halving", &|| Site::compared(GRID, "{stop: halving}")),
        ("tpe", &|| Site::compared(RANGE, "{sampler: tpe, trials: 12, generation: 4, stop: halving}")),
        ("median", &|| Site::compared(GRID, "{stop: median}")),
        ("noise", &|| Site::compared(GRID, "{stop: halving, keep: 0.05, ties: noise}")),
    ];
    let mut undisturbed = BTreeMap::new();
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut monkey = Monkey::new(ChaCha8Rng::seed_from_u64(seed));
    let mut sweeps = 0;
    for (kind, make) in kinds.iter().cycle().skip(usize::try_from(seed % 5).unwrap()) {
        if Instant::now() >= until {
            break;
        }
        let site = make();
        monkey.disturb(&site, until);
        sweeps += 1;
        let fates = Fates::of(&site);
        fates.assert_each_once();
        let expected = undisturbed.entry(*kind).or_insert_with(|| {
            let site = make();
            assert_eq!(Life::start(&site, None).live(), Ended::Over);
            let fates = Fates::of(&site);
            println!("chaos: {kind}: {fates}");
            fates
        });
        fates.assert_same(expected);
    }
    println!("chaos: {sweeps} sweeps, of {trials} trials where all are whole; {monkey}");
    assert!(monkey.kills() * 60 >= seconds * KILLS_PER_MINUTE, "too few kills to mean much");
}

#[test]
fn ten_interruptions_spread_over_a_run_change_no_byte_of_its_tables() {
    const SLOTS: Option<u16> = Some(2);
    let undisturbed = Site::new(30);
    assert_eq!(Life::start(&undisturbed, SLOTS).live(), Ended::Over);
    let expected = Fates::of(&undisturbed);

    let site = Site::new(30);
    for n in 0..10 {
        let life = Life::start(&site, SLOTS);
        life.wait_for_results(&site, undisturbed.results() * n / 10);
        life.wait_for_progress();
        assert_eq!(life.interrupt(), Ended::Stopped, "interruption {n}");
    }
    assert_eq!(Life::start(&site, SLOTS).live(), Ended::Over);
    let fates = Fates::of(&site);
    fates.assert_each_once();
    fates.assert_same(&expected);
}

/// Whether this is `make chaos`.
pub(crate) fn is_long() -> bool {
    number("CHAOS_SECONDS").is_some()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
