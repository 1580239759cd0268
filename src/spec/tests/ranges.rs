//! Ranges, what is drawn from them, and axes that are multiples of others.

use super::{HEAD, Report, Sources, check, drawn, expand, expand_in, ids, raw, shapes, tree};

fn of(block: &str, search: &str) -> Result<Vec<std::sync::Arc<crate::values::Configuration>>, String> {
    expand_in("/", &format!("grid: [{block}]\n{search}\n"), &[])
}

const BLOCK: &str =
    "{method: lora, model: m, rank: {int_log_uniform: [2, 64]}, learning_rate: {log_uniform: [1e-4, 1e-2]}}";

#[test]
fn a_block_with_a_range_has_as_many_configurations_as_it_is_given_and_each_is_inside() {
    for sampler in ["sobol", "random"] {
        let search = |trials: u32, seed: u32| {
            format!("search: {{sampler: {sampler}, trials: {trials}, seed: {seed}}}")
        };
        let few = of(BLOCK, &search(16, 1)).unwrap();
        assert_eq!(few.len(), 16);
        for one in &few {
            assert!((2..=64).contains(&one.method.lora().unwrap().rank));
            assert!((1e-4..=1e-2).contains(&one.training.learning_rate));
        }
        assert_eq!(of(BLOCK, &search(16, 1)).unwrap(), few, "the same file has the same points");
        let more = of(BLOCK, &search(40, 1)).unwrap();
        assert_eq!(more[..16], few[..], "more trials only add to them");
        assert!(
            ids(&of(BLOCK, &search(16, 2)).unwrap()).is_disjoint(&ids(&few)),
            "another seed, other points"
        );
    }
    assert_eq!(
        of(BLOCK, "search: {trials: 8}").unwrap(),
        of(BLOCK, "search: {sampler: sobol, trials: 8, seed: 42}").unwrap()
    );
}

#[test]
fn lists_are_drawn_from_and_seeds_and_tasks_are_not() {
    let block = "{method: [lora, full], model: [m, n], seed: [1, 2, 3], rank: [4, 8], learning_rate: {log_uniform: [1e-4, 1e-2]}}";
    let drawn = of(block, "search: {trials: 32}").unwrap();
    assert_eq!(drawn.len(), 96, "each of 32 with three seeds");
    for seeds in drawn.chunks(3) {
        let rates: Vec<f64> = seeds.iter().map(|one| one.training.learning_rate).collect();
        assert_eq!(rates, [rates[0]; 3]);
        assert_eq!(seeds.iter().map(|one| one.training.seed).collect::<Vec<_>>(), [1, 2, 3]);
    }
    let lora = drawn.iter().filter(|one| one.method.lora().is_some()).count();
    assert_eq!(lora, 48, "a Sobol sequence gives each half of the methods");
}

#[test]
fn other_blocks_run_whole_and_what_is_drawn_twice_is_trained_once() {
    let text = format!(
        "grid:\n  - {BLOCK}\n  - {{method: full, model: [m, n], learning_rate: [1, 2]}}\nsearch: {{trials: 5}}\n"
    );
    assert_eq!(expand_in("/", &text, &[]).unwrap().len(), 9);
    let few = "{method: lora, model: m, rank: {int_uniform: [4, 6]}, learning_rate: 1}";
    assert_eq!(of(few, "search: {trials: 30}").unwrap().len(), 3);
    // Rank is nothing to full fine-tuning.
    let full = "{method: [lora, full], model: m, rank: {int_uniform: [1, 500]}, learning_rate: 1}";
    let drawn = of(full, "search: {trials: 64}").unwrap();
    assert_eq!(drawn.iter().filter(|one| one.method.lora().is_none()).count(), 1);
}

#[test]
fn an_axis_may_be_a_multiple_of_another() {
    let grid = |axes: &str| expand(&format!("grid: [{{method: lora, model: m, learning_rate: 1, {axes}}}]"));
    let tied = grid("rank: [4, 16], alpha: {times: rank, by: [1, 2]}");
    assert_eq!(shapes(&tied), [(4, 4.0), (4, 8.0), (16, 16.0), (16, 32.0)]);
    assert_eq!(shapes(&grid("alpha: {times: rank, by: 0.5}, rank: 8")), [(8, 4.0)]);
    let zipped =
        grid("rank: [4, 8], dropout: [0.1, 0.2], zip: [[rank, dropout]], alpha: {times: rank, by: [1, 2]}");
    assert_eq!(shapes(&zipped), [(4, 4.0), (4, 8.0), (8, 8.0), (8, 16.0)]);
    let block = "{method: lora, model: m, learning_rate: 1, rank: {int_log_uniform: [2, 64]}, alpha: {times: rank, by: [1, 2]}}";
    let drawn = of(block, "search: {trials: 64}").unwrap();
    let times =
        |factor: f64| shapes(&drawn).iter().filter(|(rank, alpha)| *alpha == factor * *rank as f64).count();
    assert!(times(1.0) > 10 && times(2.0) > 10 && times(1.0) + times(2.0) == drawn.len());
}

#[test]
fn what_is_wrong_with_a_range_is_told_with_what_is_right() {
    let rate = |range: &str| {
        of(&format!("{{method: lora, model: m, learning_rate: {range}}}"), "search: {trials: 4}").unwrap_err()
    };
    let axes = |axes: &str| {
        of(&format!("{{method: lora, model: m, learning_rate: 1, {axes}}}"), "search: {trials: 4}")
            .unwrap_err()
    };
    for (error, told) in [
        (rate("{log_uniform: [1e-2, 1e-4]}"), "a range from 0.01 to 0.0001"),
        (rate("{log_uniform: [0, 1]}"), "above 0"),
        (rate("{uniform: [1]}"), "its least and its largest value"),
        (rate("{uniform: [1, 2], step: 3}"), "`uniform` alone"),
        (rate("{int_uniform: [1, 2]}"), "`uniform` or `log_uniform`"),
        (axes("rank: {uniform: [1, 2]}"), "`int_uniform` or `int_log_uniform`"),
        (axes("rank: {int_uniform: [0, 2]}"), "each is a whole number from 1"),
        (axes("seed: {int_uniform: [0, 2]}"), "a seed repeats a configuration"),
        (axes("schedule: {uniform: [0, 2]}"), "only numbers have ranges"),
        (axes("alpha: {times: rank, by: 2}"), "give this block `rank`, or name an axis of it with numbers"),
        (axes("rank: 8, alpha: {times: rank, factor: 2}"), "a multiple with the key `factor`"),
        (axes("rank: 8, alpha: {times: rank, by: 0}"), "a multiple by 0 or less"),
        (rate("{loguniform: [1e-4, 1e-2]}"), "did you mean `log_uniform`?"),
        (axes("rank: {times: alpha, by: 0.1}, alpha: 16"), "a multiple out of its range"),
        (
            axes("rank: [4, 8], alpha: {times: rank, by: 2}, zip: [[rank, alpha]]"),
            "`alpha` has no list to pair",
        ),
        (axes("rank: 4, exclude: [{rank: {int_uniform: [1, 2]}}]"), "one value or a list of them"),
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
    let in_training =
        "grid: [{method: full, model: m}]\ntraining: {learning_rate: {log_uniform: [1e-4, 1e-2]}}\n";
    assert!(
        expand_in("/", in_training, &[])
            .unwrap_err()
            .contains("a block of `grid` can have it, in place of a list")
    );
    let told = |search: &str| of(BLOCK, search).unwrap_err();
    assert!(told("").contains("missing key `search` in a sweep with ranges"));
    assert!(told("search: {sampler: sobol}").contains("missing key `trials` in `search`"));
    assert!(
        told("search: {sampler: grid, trials: 4}")
            .contains("`sobol`, `random` or `tpe`, since an axis has a range")
    );
    assert!(told("search: {trials: 70000}").contains("from 1 to 65536"));
    let only =
        expand_in("/", &format!("grid: [{BLOCK}]\nsearch: {{trials: 4}}\n"), &["rank={int_uniform: [1, 2]}"]);
    assert!(only.unwrap_err().contains("one value or a list of them"));
}

#[test]
fn exclusions_hold_for_drawn_points() {
    let block = BLOCK.replace("model: m", "model: [m, n], exclude: [{model: n}]");
    let drawn = of(&block, "search: {trials: 16}").unwrap();
    assert_eq!(drawn.len(), 8);
    assert!(drawn.iter().all(|one| one.model == "m"));
}

#[test]
fn points_that_repeat_others_are_told() {
    let warnings = |trials: u32| {
        let block = "{method: full, model: m, learning_rate: 1, batch_size: {int_uniform: [4, 6]}}";
        let text = format!("{HEAD}grid: [{block}]\nsearch: {{trials: {trials}}}\n");
        let tree = tree::parse(&text).unwrap();
        let mut report = Report::new(Sources::new("ranges.yaml".to_owned(), text));
        drawn::complete(&mut raw::read(&tree, &mut report), &[], &mut report);
        report.into_warnings()
    };
    assert_eq!(warnings(1), Vec::<String>::new());
    let told = warnings(30);
    assert!(told.len() == 1 && told[0].contains("30 points drawn, 3 left"), "{told:?}");
}

#[test]
fn the_record_says_how_points_were_drawn() {
    let recorded = |block: &str, search: &str| {
        let text = format!("{HEAD}grid: [{block}]\n{search}\n");
        let tree = tree::parse(&text).map_err(|error| error.message).unwrap();
        let mut report = Report::new(Sources::new("laws.yaml".to_owned(), text));
        let mut raw = raw::read(&tree, &mut report);
        drawn::complete(&mut raw, &[], &mut report);
        check::drawn::drawn(&raw)
    };
    let block = "{method: lora, model: m, rank: {int_log_uniform: [2, 64]}, alpha: {times: rank, by: [1, 0.5]}, \
                 learning_rate: {log_uniform: [1e-4, 0.01]}, dropout: [0, 0.1]}";
    let drawn = recorded(block, "search: {trials: 8, seed: 7}").unwrap();
    assert_eq!((drawn.sampler.as_str(), drawn.trials, drawn.seed), ("sobol", 8, 7));
    let written: Vec<(&str, &str)> =
        drawn.ranges.iter().map(|range| (range.axis.as_str(), range.written.as_str())).collect();
    let alpha = ("alpha", "rank × 1 or 0.5");
    let rate = ("learning_rate", "log_uniform [1e-4, 0.01]");
    assert_eq!(written, [("rank", "int_log_uniform [2, 64]"), alpha, rate]);
    let listed = "{method: lora, model: m, rank: 4, learning_rate: [1e-4, 1e-3]}";
    assert_eq!(recorded(listed, ""), None);
    assert_eq!(recorded(listed, "search: {stop: halving}"), None);
}
