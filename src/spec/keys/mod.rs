//! Owns the table of keys, together with `grid`: every name that a sweep file may contain, its allowed values,
//! and its meaning. The reader and the JSON Schema are both made from it. The keys of a kind of task are in
//! that kind's own file. Reads nothing.

pub(super) mod grid;
mod kinds;
mod search;

use std::sync::LazyLock;

use self::kinds::TASK_KINDS;
use crate::families;
use crate::tasks::{self, FileFormat};
use crate::values::domain::MANY;
use crate::values::{Axis, Domain, Range};

/// A mapping of the sweep file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// Its purpose.
    pub(super) doc: &'static str,
    /// Its keys, in groups that sections share.
    pub(super) groups: &'static [&'static [Key]],
    /// Whether the key of an axis may have a list of values.
    pub(super) lists: bool,
    /// The key that decides which other keys apply.
    pub(super) chooser: Option<Chooser>,
}

/// A key whose value decides which other keys of its section apply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chooser {
    pub(super) key: &'static str,
    /// Its default; without one, every key applies where it is absent.
    pub(super) default: Option<&'static str>,
    /// The noun for its values, in messages.
    pub(super) noun: &'static str,
    /// The key itself and the keys that depend on it, where another table has them.
    pub(super) keys: Option<&'static LazyLock<Vec<Key>>>,
}

/// A key of a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it is required, where it applies.
    pub(super) required: bool,
    /// The chooser's values for which it may be absent although it is required for others.
    pub(super) optional: &'static [&'static str],
    /// The chooser's values for which it applies; empty for all of them.
    pub(super) only: &'static [&'static str],
    /// The row of its axis, if it has one.
    pub(super) row: Option<usize>,
    pub(super) doc: &'static str,
}

/// The allowed values of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// One value, including a list of texts or numbers that counts as one.
    Plain(Domain),
    /// Where to train.
    Devices,
    /// A mapping.
    Section(&'static Section),
    /// A mapping from names that the user chooses.
    Named(&'static Section),
    /// A list of mappings.
    Blocks(&'static Section),
    /// A list of lists of axes.
    Zip,
    /// A mapping from values to class names, or a list of class names.
    Labels,
    /// One of these words, or a mapping from class names to numbers greater than 0.
    Weights(&'static [&'static str]),
    /// One ASCII character, or its name.
    Character,
    /// A text encoding, by any of its names.
    Encoding,
    /// A mapping from names to mappings from paths to values.
    Profiles,
}

impl Section {
    /// Whether a key exists only for its anchor: `x-…` at the top level, as in Compose files.
    pub(super) fn ignores(&self, key: &str) -> bool {
        self.name == SWEEP.name && key.starts_with("x-")
    }

    /// Every key of the section.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        let chosen = self.chooser.and_then(|chooser| chooser.keys);
        self.groups
            .iter()
            .flat_map(|group| group.iter())
            .chain(chosen.into_iter().flat_map(|keys| keys.iter()))
    }
}

/// The limits of a model's sizes, as numbers in a file.
const MOST_LAYERS: u64 = families::MOST_LAYERS as u64;
const WIDEST: u64 = families::WIDEST as u64;
const SEED: Kind = count(0, u64::MAX);
const TEXT: Kind = Kind::Plain(Domain::Text);
const TEXTS: Kind = Kind::Plain(Domain::Texts);
const FLAG: Kind = Kind::Plain(Domain::Flag);

const fn count(least: u64, most: u64) -> Kind {
    Kind::Plain(Domain::Count(least, most))
}

const fn number(range: Range) -> Kind {
    Kind::Plain(Domain::Number(range))
}

const fn choice(words: &'static [&'static str]) -> Kind {
    Kind::Plain(Domain::Choice(words))
}

impl Key {
    /// Whether it is required for a value of the chooser.
    pub(super) fn is_required(&self, chosen: Option<&str>) -> bool {
        self.required && chosen.is_none_or(|word| !self.optional.contains(&word))
    }
}

pub(super) const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, required: false, optional: &[], only: &[], row: None, doc }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { required: true, ..key(name, kind, doc) }
}

/// A key that applies only for these values of its section's chooser.
const fn of(only: &'static [&'static str], key: Key) -> Key {
    Key { only, ..key }
}

/// The key of an axis, from its row of the table.
pub(super) const fn axis(row: usize, axis: &Axis) -> Key {
    Key { row: Some(row), ..key(axis.name, Kind::Plain(axis.domain), axis.doc) }
}

/// The whole file.
pub(super) static SWEEP: Section = Section {
    name: "the sweep",
    doc: "A sweep: what to vary, on what data, with what training settings",
    groups: &[&[
        required("name", TEXT, "Name of the sweep and of its folders under results/ and reports/"),
        key("task", Kind::Section(&TASK), "What to learn from which data"),
        key(
            "tasks",
            Kind::Named(&TASK),
            "Several tasks instead, of one kind or of different ones, each under a name of your choice",
        ),
        required("models", Kind::Named(&MODEL), "The models, each under a name of your choice"),
        required(
            "grid",
            Kind::Blocks(&grid::BLOCK),
            "The union of blocks; each block is the product of its axes",
        ),
        key(
            "search",
            Kind::Section(&search::SEARCH),
            "How configurations are drawn where an axis has a range, and which are stopped early",
        ),
        key("kfold", Kind::Section(&KFOLD), "k-fold cross-validation on the training rows"),
        key("split", Kind::Section(&SPLIT), "A held-out share of the training rows, where there is no kfold"),
        key("training", Kind::Section(&TRAINING), "Settings of the training loop that no block varies"),
        key(
            "select",
            TEXT,
            "Metric that selects, for example macro_f1 (default: the kind of task's own, such as accuracy, loss or f1)",
        ),
        key(
            "devices",
            Kind::Devices,
            "Where to train: auto (default), cpu, cpu:N (N packs at a time), cuda (all GPUs), cuda:0,2 (by index), gpus:N (any N)",
        ),
        key(
            "profiles",
            Kind::Profiles,
            "Sets of changes for --profile NAME: {small: {task.rows: 500, training.epochs: 1}}",
        ),
    ]],
    lists: false,
    chooser: None,
};

static TASK: Section = Section {
    name: "task",
    doc: "What to learn from which data. Paths are relative to the sweep file",
    groups: &[TASK_DATA, TASK_DRAWS],
    lists: false,
    chooser: Some(Chooser {
        key: KIND,
        default: Some(tasks::DEFAULT_KIND),
        noun: "tasks of kind",
        keys: Some(&TASK_KINDS),
    }),
};

const TASK_DATA: &[Key] = &[
    required(
        "train",
        TEXT,
        "File to train and select on (`train-*.csv`: several), or a data set of the hub: owner/name:split",
    ),
    key("validation", TEXT, "File to select on, instead of folds or a held-out share"),
    key("test", TEXT, "File evaluated once per trial and never used to select"),
    key(
        "test_fraction",
        number(Range::OpenShare),
        "Share of the training rows to test on, where there is no `test` file",
    ),
    key("columns", TEXTS, "Names of the columns, for files without a header row"),
    key("format", choice(&FileFormat::NAMES), "Format of the files (default: what their endings say)"),
    key(
        "separator",
        Kind::Character,
        "What separates the columns of CSV: a character, or `tab` (default: a comma; a first line `sep=;` is obeyed)",
    ),
    key("quote", Kind::Character, "What fields of CSV are quoted with (default: a double quote)"),
    key("quoting", FLAG, "Whether fields may be quoted (default: true for csv, false for tsv)"),
    key(
        "encoding",
        Kind::Encoding,
        "Encoding of text without a byte order mark: utf-16le, windows-1252 … (default: utf-8)",
    ),
];

/// The key for the kind of a task.
pub(super) const KIND: &str = "kind";

const TASK_DRAWS: &[Key] = &[
    key("cleaning", Kind::Section(&CLEANING), "What is done to texts, and which rows are left out"),
    key("max_length", count(3, MANY), "Longest sequence in tokens (default: 128)"),
    key("rows", count(1, MANY), "Training rows to draw, classes in proportion (default: all)"),
    key("test_rows", count(1, MANY), "Test rows to draw, classes in proportion (default: all)"),
    key("sample_seed", SEED, "Seed of both draws (default: 42)"),
    key("select", TEXT, "Metric that selects on this task (default: the sweep's `select`)"),
];

static CLEANING: Section = Section {
    name: "cleaning",
    doc: "What is done to texts, and which rows are left out, before anything else",
    groups: &[&[
        key("strip_html", FLAG, "Remove HTML tags and read entities (default: false)"),
        key("strip_symbols", FLAG, "A space for all but letters and digits (default: false)"),
        key("min_words", count(1, MANY), "Leave out rows whose text has fewer words"),
        key("min_label_rows", count(1, MANY), "Leave out classes with fewer rows (classification)"),
    ]],
    lists: false,
    chooser: None,
};

/// The families whose models have a size.
macro_rules! with {
    ($size:literal) => {
        &families::names_with::<{ families::count_with($size) }>($size)
    };
}
const LAYERED: &[&str] = with!("layers");
const HEADED: &[&str] = with!("heads");
const GROUPED: &[&str] = with!("kv_heads");
const FED_FORWARD: &[&str] = with!("intermediate");
const POSITIONED: &[&str] = with!("positions");
const FIXED: &[&str] = with!("length");
const DROPPING: &[&str] = with!("hidden_dropout");
const DROPPING_ATTENTION: &[&str] = with!("attention_dropout");

static MODEL: Section = Section {
    name: "model",
    doc: "A pretrained model (`from`) or an architecture of your own (`architecture`)",
    groups: &[&[
        key("from", TEXT, "Folder with config.json, weights and tokenizer, or owner/name on the hub"),
        key("revision", TEXT, "Branch, tag or commit of a model on the hub (default: main)"),
        key(
            "architecture",
            choice(&families::NAMES),
            "Family of a model with random weights; with `from`, what the folder is where its config.json does not say",
        ),
        key("tokenizer", TEXT, "Folder, file or hub model with the tokenizer (default: that of `from`)"),
        of(
            LAYERED,
            key(
                "layers",
                count(1, MOST_LAYERS),
                "Number of layers; with `from`, of the first layers that are kept",
            ),
        ),
        key("hidden", count(1, WIDEST), "Width of the model"),
        of(HEADED, key("heads", count(1, WIDEST), "Attention heads; must divide `hidden`")),
        of(
            GROUPED,
            key(
                "kv_heads",
                count(1, WIDEST),
                "Heads of keys and values, each for several attention heads; must divide `heads` (default: as many)",
            ),
        ),
        of(FED_FORWARD, key("intermediate", count(1, WIDEST), "Width of the feed-forward layers")),
        of(
            POSITIONED,
            key(
                "positions",
                count(3, WIDEST),
                "Longest sequence it can read (default: the family's own, such as 512 for bert)",
            ),
        ),
        of(
            FIXED,
            key("length", count(3, WIDEST), "Length of every row in tokens; shorter ones are filled up"),
        ),
        of(
            DROPPING,
            key(
                "hidden_dropout",
                number(Range::Share),
                "Dropout of the layers while training (default: config.json's, or 0.1)",
            ),
        ),
        of(
            DROPPING_ATTENTION,
            key(
                "attention_dropout",
                number(Range::Share),
                "Dropout of attention while training (default: config.json's, or 0.1)",
            ),
        ),
        key("seed", SEED, "Seed of random weights that serve as an untrained base (default: 42)"),
    ]],
    lists: false,
    chooser: Some(Chooser { key: "architecture", default: None, noun: "models of architecture", keys: None }),
};

static KFOLD: Section = Section {
    name: "kfold",
    doc: "k-fold cross-validation: every configuration trains k times",
    groups: &[&[
        required("k", count(2, MANY), "Number of folds"),
        key("stratified", FLAG, "Folds have the classes in the file's proportions (default: true)"),
        key("seed", SEED, "Seed of the division (default: 42)"),
    ]],
    lists: false,
    chooser: None,
};

static SPLIT: Section = Section {
    name: "split",
    doc: "One share of the training rows is held out to select on",
    groups: &[&[
        key("fraction", number(Range::OpenShare), "Share that is held out (default: 0.1)"),
        key("stratified", FLAG, "It has the classes in the file's proportions (default: true)"),
        key("seed", SEED, "Seed of the division (default: 42)"),
    ]],
    lists: false,
    chooser: None,
};

static TRAINING: Section = Section {
    name: "training",
    doc: "Settings of the training loop; in a block of the grid each can be a list",
    groups: &[grid::TRAINING],
    lists: false,
    chooser: None,
};
