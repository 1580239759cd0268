//! What `search` makes of a sweep: which rule stops what, how points are proposed, and what is told of both.

use lorasweep::search::{Baselines, ComparedOn, Stop, StopRule, Ties};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::Metric;

use crate::folder::Folder;

fn load(rate: &str, rest: &str) -> SweepSpec {
    let sweep = format!(
        "name: demo\ntask: {{train: train.csv, text: text, label: label, max_length: 16}}\n\
         models: {{tiny: {{from: tiny}}}}\n\
         grid: [{{method: lora, model: tiny, learning_rate: {rate}}}, {{method: full, model: tiny, learning_rate: 1e-3}}]\n\
         {rest}\n"
    );
    Folder::new().load(&sweep).unwrap_or_else(|errors| panic!("{errors}"))
}

fn warns(sweep: &SweepSpec, of: &str) -> bool {
    sweep.warnings.iter().any(|warning| warning.contains(of))
}

const RATES: &str = "[1e-4, 1e-3]";
const RANGE: &str = "{log_uniform: [1e-4, 1e-2]}";
const OFTEN: &str = "training: {epochs: 2, batch_size: 1}";

#[test]
fn a_rule_has_its_defaults_and_what_the_file_says() {
    let rule = |search: &str| load(RATES, &format!("search: {search}\n{OFTEN}")).stop;
    assert_eq!(rule("{stop: none}"), None);
    assert_eq!(rule("{stop: halving}"), Some(StopRule::new(Stop::Halving)));
    let said = rule("{stop: median, keep: 0.25, rank_by: accuracy, folds: all, baselines: stopped}");
    let (keep, by) = (0.25, Some(Metric::Accuracy));
    let (compared_on, baselines) = (ComparedOn::All, Baselines::Stopped);
    assert_eq!(said, Some(StopRule { keep, by, compared_on, baselines, ..StopRule::new(Stop::Median) }));
}

#[test]
fn what_changes_nothing_or_contradicts_is_told() {
    let of = |search: &str, rest: &str| load(RATES, &format!("search: {search}\n{rest}"));
    assert!(warns(&of("{stop: none, keep: 0.5}", OFTEN), "`keep` changes nothing"));
    let noise = "{stop: halving, ties: noise, rank_by: accuracy}";
    assert!(warns(&of(noise, OFTEN), "`ties: noise` compares losses, while `rank_by: accuracy` ranks"));
    assert_eq!(of(noise, OFTEN).stop.unwrap().ties, Ties::Noise);
    let late = "is validated before its last step";
    assert!(warns(&of("{stop: halving}", "training: {epochs: 1, batch_size: 1}"), late));
    for rest in [OFTEN, "training: {epochs: 1, batch_size: 1, evaluate_every: 2}"] {
        assert!(!warns(&of("{stop: halving}", rest), late), "{rest}");
    }
}

#[test]
fn points_come_at_once_or_in_generations() {
    let of = |search: &str| load(RANGE, &format!("search: {search}\n{OFTEN}"));
    let known = |search: &str| {
        let sweep = of(search);
        (sweep.configurations.len() - 1, sweep.proposing.as_ref().map(|proposing| proposing.left(&[])))
    };
    assert_eq!(known("{sampler: sobol, trials: 12}"), (12, None));
    assert_eq!(known("{sampler: tpe, trials: 12}"), (8, Some(4)));
    assert_eq!(known("{sampler: tpe, trials: 12, generation: 3}"), (3, Some(9)));
    assert_eq!(known("{sampler: random, trials: 12, generation: 5, budget: 1h 30m}"), (5, Some(7)));
    let [all, some] = ["{trials: 12}", "{trials: 12, budget: 2h}"].map(of);
    assert_eq!(some.proposing.as_ref().unwrap().budget_s, Some(7_200.0));
    assert_eq!(all.configurations[..8], some.configurations[..8], "a budget changes no point");
}
