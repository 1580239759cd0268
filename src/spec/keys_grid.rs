//! Owns the part of the table of keys that a block of the grid is written with: the axes, and how they
//! combine. Reads nothing.

use super::keys::{Key, Kind, MANY, Range, SEED, Section, WIDEST, axis, key};
use super::setting::Axis;

/// A block of `grid`.
pub(super) static BLOCK: Section = Section {
    name: "a grid block",
    doc: "A block: each key is an axis, with one value or a list of them",
    groups: &[CHOICES, SETTINGS, COMBINING],
    lists: true,
    chooser: None,
};

/// What an exclusion can name.
pub(super) static EXCLUSION: Section = Section {
    name: "an exclusion",
    doc: "Points with all of these values are left out",
    groups: &[CHOICES, SETTINGS],
    lists: true,
    chooser: None,
};

const CHOICES: &[Key] = &[
    axis(
        Axis::Method,
        Kind::Choice(&["lora", "full", "scratch", "base"]),
        "lora trains adapters and head; full every weight; scratch every weight, from random ones; base nothing",
    ),
    axis(Axis::Task, Kind::Text, "A name from `tasks` (default: every task)"),
    axis(Axis::Model, Kind::Text, "A name from `models`"),
    axis(Axis::Rank, Kind::Count(1, WIDEST), "LoRA: inner width of the adapter (default: 8)"),
    axis(Axis::Alpha, Kind::Number(Range::Positive), "LoRA: the scale is alpha / rank (default: 16)"),
    axis(Axis::Dropout, Kind::Number(Range::Share), "LoRA: dropout on the adapter's input (default: 0)"),
    axis(Axis::Targets, Kind::Texts, "LoRA: modules with an adapter (default: the architecture's)"),
    axis(Axis::Rslora, Kind::Flag, "LoRA: scale by alpha / sqrt(rank) (default: false)"),
    axis(
        Axis::ModulesToSave,
        Kind::TextsOrNone,
        "LoRA: modules that train beside the adapters; `head` is the task's head (default: [head])",
    ),
];

/// The training loop's settings, each of which can be an axis.
pub(super) const SETTINGS: &[Key] = &[
    axis(Axis::LearningRate, Kind::Number(Range::Positive), "Peak learning rate; required here or there"),
    axis(Axis::Epochs, Kind::Number(Range::Positive), "Passes over the training rows (default: 1)"),
    axis(Axis::BatchSize, Kind::Count(1, MANY), "Rows per forward pass (default: 32)"),
    axis(Axis::Accumulation, Kind::Count(1, MANY), "Forward passes per optimiser step (default: 1)"),
    axis(
        Axis::Schedule,
        Kind::Choice(&["linear", "cosine", "constant"]),
        "Course of the learning rate after warm-up (default: linear)",
    ),
    axis(Axis::Warmup, Kind::Number(Range::Share), "Share of the steps that warm up (default: 0)"),
    axis(Axis::WeightDecay, Kind::Number(Range::NotNegative), "AdamW's weight decay (default: 0)"),
    axis(
        Axis::ClipNorm,
        Kind::OrNull(&Kind::Number(Range::Positive)),
        "Largest gradient norm; null does not clip (default: 1.0)",
    ),
    axis(Axis::Beta1, Kind::Number(Range::Share), "AdamW's decay of the first moment (default: 0.9)"),
    axis(Axis::Beta2, Kind::Number(Range::Share), "AdamW's decay of the second moment (default: 0.999)"),
    axis(Axis::Epsilon, Kind::Number(Range::Positive), "AdamW's epsilon (default: 1e-8)"),
    axis(
        Axis::EvaluateEvery,
        Kind::OrNull(&Kind::Count(1, MANY)),
        "Validation every so many optimiser steps; null only after each epoch (default: null)",
    ),
    axis(
        Axis::Keep,
        Kind::Choice(&["last", "best"]),
        "Judge a trial by its last weights or by those with the best validation score (default: last)",
    ),
    axis(Axis::Seed, SEED, "Seed of initialisation, dropout and data order (default: 42)"),
    axis(
        Axis::Precision,
        Kind::Choice(&["fp32", "bf16"]),
        "bf16 stores a frozen base and multiplies with any base in 16 bits, the rest in 32 (default: fp32)",
    ),
];

const COMBINING: &[Key] = &[
    key(
        "zip",
        Kind::Zip,
        "Axes that move together: [[rank, alpha]] pairs their lists, which are equally long",
    ),
    key("exclude", Kind::Blocks(&EXCLUSION), "Points to leave out: [{rank: 4, alpha: 32}]"),
];
