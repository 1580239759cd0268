//! The sweep file as people write it: anchors, numbers, and the words of other programs.

use std::collections::BTreeSet;

use super::{expand, expand_in, shapes};
use crate::values::Configuration;

#[test]
fn keys_for_anchors_alone_are_let_be_and_merged_values_give_way() {
    let grid = |key: &str| {
        format!(
            "{key}: &common {{method: lora, model: m, learning_rate: 1e-3, rank: 4}}\nx-other: [unknown, {{a: 1}}]\n\
             grid:\n  - {{<<: *common, alpha: [8, 16]}}\n  - <<: [*common, {{rank: 2, alpha: 5}}]\n    rank: 8\n"
        )
    };
    assert_eq!(shapes(&expand(&grid("x-common"))), [(4, 8.0), (4, 16.0), (8, 5.0)]);
    let error = expand_in("/", &grid(".common"), &[]).unwrap_err();
    assert!(error.contains("a key for anchors alone is called `x-common`"), "{error}");
    let inside = "grid: [{method: full, model: m, learning_rate: 1, x-rank: 4}]";
    assert!(
        expand_in("/", inside, &[]).unwrap_err().contains("unknown key `x-rank`"),
        "only at the top level"
    );
}

#[test]
fn numbers_are_one_rule_for_every_axis() {
    let axes = "rank: [0x10, 8.0, '4'], alpha: ['+1e1', 1_6, .5], learning_rate: ['1e-3', 5.e-3], batch_size: 1e1, \
                seed: [1_000, 0b11]";
    let all = expand(&format!("grid: [{{method: lora, model: m, {axes}}}]"));
    let distinct = |of: &dyn Fn(&Configuration) -> String| all.iter().map(|c| of(c)).collect::<BTreeSet<_>>();
    let set = |all: &[&str]| all.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(distinct(&|c| c.method.lora().unwrap().rank.to_string()), set(&["16", "8", "4"]));
    assert_eq!(distinct(&|c| c.method.lora().unwrap().alpha.to_string()), set(&["10", "16", "0.5"]));
    assert_eq!(distinct(&|c| c.training.learning_rate.to_string()), set(&["0.001", "0.005"]));
    assert_eq!(distinct(&|c| c.training.seed.to_string()), set(&["1000", "3"]));
    assert_eq!(distinct(&|c| c.training.batch_size.to_string()), set(&["10"]));
    for axis in ["rank", "alpha", "learning_rate", "seed", "batch_size", "epochs"] {
        let grid = format!("grid: [{{method: lora, model: m, learning_rate: 1, {axis}: 010}}]");
        let grid = if axis == "learning_rate" { grid.replace("learning_rate: 1, ", "") } else { grid };
        let error = expand_in("/", &grid, &[]).unwrap_err();
        assert!(error.contains(&format!("`{axis}` is `010`")), "{error}");
        assert!(error.contains("write `10`, or `8` if it is octal"), "{error}");
    }
    let error =
        expand_in("/", "grid: [{method: lora, model: m, learning_rate: 1, rank: 8.5}]", &[]).unwrap_err();
    assert!(error.contains("`rank` is `8.5`") && error.contains("a whole number from 1"), "{error}");
}

#[test]
fn a_list_of_values_may_be_written_as_wandb_has_it_and_a_range_is_told_what_to_write() {
    let grid = |axes: &str| format!("grid: [{{method: lora, model: m, {axes}}}]");
    let axes = "rank: {values: [4, 8]}, alpha: {value: 16}, learning_rate: {values: [1e-3], distribution: categorical}";
    assert_eq!(shapes(&expand(&grid(axes))), [(4, 16.0), (8, 16.0)]);
    let targets = expand(&grid("learning_rate: 1, targets: {values: [query, [query, value]]}"));
    assert_eq!(targets.len(), 2, "each item is a value");
    let told = |axes: &str| expand_in("/", &grid(axes), &[]).unwrap_err();
    let error = told("learning_rate: {min: 1e-5, max: 1e-3, distribution: log_uniform_values}");
    assert!(error.contains("`learning_rate` is a range") && error.contains("1 error in"), "{error}");
    assert!(error.contains("it is `learning_rate: {log_uniform: [1e-5, 1e-3]}`"), "{error}");
    assert!(told("learning_rate: 1, rank: {min: 4, max: 8}").contains("`rank: {int_uniform: [4, 8]}`"));
    let error = told("learning_rate: 'loguniform(1e-5, 1e-3)'");
    assert!(
        error.contains("in a block of `grid` it is `learning_rate: {log_uniform: [1e-4, 1e-2]}`"),
        "{error}"
    );
    assert!(
        told("learning_rate: 1, rank: {grid_search: [4, 8]}")
            .contains("write the list itself: `rank: [4, 8]`")
    );
    assert!(told("learning_rate: '1e-3, 1e-4'").contains("write a list: `[1e-3, 1e-4]`"));
}

#[test]
fn keys_of_other_programs_are_told_by_ours() {
    let of = |key: &str, hint: &str| {
        let grid = format!("grid: [{{method: lora, model: m, learning_rate: 1, {key}: 4}}]");
        let error = expand_in("/", &grid, &[]).unwrap_err();
        assert!(error.contains(&format!("unknown key `{key}`")) && error.contains(hint), "{key}: {error}");
    };
    for (key, ours) in [
        ("per_device_train_batch_size", "batch_size"),
        ("num_train_epochs", "epochs"),
        ("lora_alpha", "alpha"),
        ("lora_dropout", "dropout"),
        ("target_modules", "targets"),
        ("r", "rank"),
        ("lora_r", "rank"),
        ("wd", "weight_decay"),
        ("lr", "learning_rate"),
        ("lr_scheduler_type", "schedule"),
        ("gradient_accumulation_steps", "accumulation"),
        ("max_grad_norm", "clip_norm"),
        ("warmup_ratio", "warmup"),
        ("batch-size", "batch_size"),
        ("Learning_Rate", "learning_rate"),
    ] {
        of(key, &format!("did you mean `{ours}`?"));
    }
    of("use_dora", "did you mean `method` (`dora`)?");
    of("warmup_steps", "did you mean `warmup` (a share of all steps, for example 0.06)?");
    of("max_seq_length", "here it is `max_length`, which belongs in `task`");
    of("kfold", "it belongs at the top level of the file");
    let top = "grid: [{method: full, model: m, learning_rate: 1}]\nepochs: 3\nnum_train_epochs: 3\n";
    let error = expand_in("/", top, &[]).unwrap_err();
    assert!(error.contains("it belongs in a block of `grid` or in `training`"), "{error}");
    assert!(error.contains("here it is `epochs`, which belongs in"), "{error}");
}

#[test]
fn a_whole_file_of_another_program_gets_one_message() {
    let wandb = "name: x\nprogram: train.py\nmethod: bayes\nmetric: {name: acc, goal: maximize}\nparameters:\n  \
                 lr: {min: 1e-5, max: 1e-3}\n  r: {values: [4, 8]}\n  num_train_epochs: {value: 2}\n  foo: {values: [1]}\n";
    let error = expand_in("/", wandb, &[]).unwrap_err();
    assert!(
        error.contains("this is a sweep file of Weights & Biases") && error.contains("1 error in"),
        "{error}"
    );
    for line in [
        "grid:",
        "  - method: lora",
        "    model: base",
        "    learning_rate: {log_uniform: [1e-5, 1e-3]}",
        "    rank: [4, 8]",
        "    epochs: 2",
    ] {
        assert!(error.contains(&format!("       {line}")), "{line}\n{error}");
    }
    assert!(error.contains("(no such setting here: `foo`)"), "{error}");
    let trainer = "name: x\nmodel_name_or_path: bert\noutput_dir: o\nnum_train_epochs: 3\nlora_r: 8\n";
    let error = expand_in("/", trainer, &[]).unwrap_err();
    assert!(
        error.contains("these are settings of another program") && error.contains("1 error in"),
        "{error}"
    );
    assert!(error.contains("`lora_r` is `rank` in a block of `grid`"), "{error}");
}

#[test]
fn carets_stand_under_what_is_wrong_behind_wide_characters() {
    let grid = "grid: [{model: m, targets: [日本], rank: 0, method: lora, learning_rate: 1}]";
    let error = expand_in("/", grid, &[]).unwrap_err();
    // 28 columns, two characters of two columns each, and nine columns more.
    assert!(error.contains(&format!("4 | {grid}\n  | {}^\n", " ".repeat(28 + 4 + 9))), "{error}");
}
