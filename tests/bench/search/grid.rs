//! Owns grids whose every trial was trained in full: read from recordings, or made up elsewhere. Stops nothing.

use std::path::Path;

use serde::Deserialize;

/// A grid.
#[derive(Clone)]
pub(crate) struct Grid {
    pub(crate) name: String,
    /// The configurations that may be stopped.
    pub(crate) candidates: Vec<Candidate>,
    /// Optimiser steps of a configuration beside them that is never stopped, such as full fine-tuning, over all folds.
    pub(crate) baseline_steps: u64,
    /// The loss of the best constant answer.
    pub(crate) untrained: f64,
    /// The accuracy of the majority class on the test rows.
    pub(crate) majority: f64,
}

/// A configuration, trained on every fold.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) label: String,
    pub(crate) folds: Vec<Curve>,
}

/// A configuration's training on one fold.
#[derive(Clone)]
pub(crate) struct Curve {
    /// Optimiser steps in all.
    pub(crate) steps: u64,
    /// In the order of their steps.
    pub(crate) validations: Vec<Validation>,
    pub(crate) end: End,
}

#[derive(Clone, Copy)]
pub(crate) struct Validation {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
    /// Standard error of the loss.
    pub(crate) loss_error: f64,
}

/// How a training ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// With this accuracy on the validation rows and on the test rows.
    Scored {
        validation: f64,
        test: f64,
    },
    Diverged {
        step: u64,
    },
}

impl Curve {
    /// Steps that were trained.
    pub(crate) fn trained(&self) -> u64 {
        match self.end {
            End::Scored { .. } => self.steps,
            End::Diverged { step } => step,
        }
    }
}

impl Candidate {
    /// Mean accuracy over folds on the validation and on the test rows; `None` where one diverged.
    pub(crate) fn scores(&self) -> Option<(f64, f64)> {
        let scores = self.folds.iter().map(|curve| match curve.end {
            End::Scored { validation, test } => Some((validation, test)),
            End::Diverged { .. } => None,
        });
        let scores: Vec<(f64, f64)> = scores.collect::<Option<_>>()?;
        let count = scores.len() as f64;
        let (validation, test) = scores.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Some((validation / count, test / count))
    }
}

impl Grid {
    /// What validation selects from all candidates, or from those of these numbers.
    pub(crate) fn best(&self, among: impl Iterator<Item = usize>) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (number, (validation, _)) in among.filter_map(|n| Some((n, self.candidates[n].scores()?))) {
            if best.is_none_or(|(_, highest)| validation > highest) {
                best = Some((number, validation));
            }
        }
        best.map(|(number, _)| number)
    }

    /// Steps of the candidates over all folds.
    pub(crate) fn steps(&self) -> u64 {
        self.candidates.iter().flat_map(|one| &one.folds).map(Curve::trained).sum()
    }

    /// The same with these candidates only.
    pub(crate) fn part(&self, numbers: &[usize]) -> Self {
        let candidates = numbers.iter().map(|n| self.candidates[*n].clone()).collect();
        Self { name: self.name.clone(), candidates, ..*self }
    }

    /// The recorded grid in a file.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut candidates: Vec<Candidate> = Vec::new();
        // A baseline may have been recorded. Of its curves only the length would count, which is known.
        for line in lines.iter().filter(|line| line.method == "lora") {
            let label = line.label();
            match candidates.iter_mut().find(|one| one.label == label) {
                Some(one) => one.folds.push(line.curve()),
                None => candidates.push(Candidate { label, folds: vec![line.curve()] }),
            }
        }
        let baseline_steps = candidates[0].folds.iter().map(|curve| curve.steps).sum();
        let mean = |of: fn(&Line) -> f64| lines.iter().map(of).sum::<f64>() / lines.len() as f64;
        Self {
            name,
            candidates,
            baseline_steps,
            untrained: mean(|line| line.untrained),
            majority: mean(|line| line.majority),
        }
    }
}

/// A line of a recording: `record.py` says what is in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    method: String,
    rank: Option<u32>,
    alpha: Option<f64>,
    learning_rate: f64,
    #[expect(dead_code, reason = "lines are in the order of folds")]
    fold: usize,
    steps: u64,
    untrained: f64,
    rows: u32,
    majority: f64,
    validations: Vec<Vec<f64>>,
    validation: Option<f64>,
    test: Option<f64>,
    diverged: Option<u64>,
}

impl Line {
    fn label(&self) -> String {
        format!("r={} α={} lr {:e}", self.rank.unwrap_or(0), self.alpha.unwrap_or(0.0), self.learning_rate)
    }

    fn curve(&self) -> Curve {
        let validation = |entry: &Vec<f64>| Validation {
            step: entry[0] as u64,
            loss: entry[1],
            accuracy: entry[2],
            loss_error: entry
                .get(3)
                .copied()
                .unwrap_or_else(|| guessed_error(entry[1], self.untrained, self.rows)),
        };
        let end = match self.diverged {
            Some(step) => End::Diverged { step },
            None => End::Scored { validation: self.validation.unwrap(), test: self.test.unwrap() },
        };
        Curve { steps: self.steps, validations: self.validations.iter().map(validation).collect(), end }
    }
}

/// The standard error of a mean cross-entropy over so many rows, where it was not recorded: on the plateau all rows have
/// much the same loss, and the more is learned, the more they differ.
pub(crate) fn guessed_error(loss: f64, untrained: f64, rows: u32) -> f64 {
    (loss * (untrained - loss).max(0.0) / f64::from(rows)).sqrt()
}
