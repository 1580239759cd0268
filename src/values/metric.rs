//! Owns the table of metrics: their names and units, which direction is better, and their names in other tools.
//! Computes no score and formats no number.

use serde::{Deserialize, Serialize};

/// A metric's row in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricRow {
    /// Its name in files: the same as in JSON.
    pub name: &'static str,
    /// Its name in sentences and headings.
    pub title: &'static str,
    /// Unit of its values.
    pub unit: Unit,
    /// Whether higher or lower values are better.
    pub better: Direction,
    /// The least and the greatest possible value.
    pub range: (f64, f64),
    /// How many digits of a value are worth reading.
    pub digits: Digits,
    /// Its names in other tools, reduced to lower-case letters and digits.
    pub other_names: &'static [&'static str],
    /// For a derived metric: the metric that it follows from, and how.
    pub follows: Option<Follows>,
}

/// A metric that another one follows from, and how.
pub type Follows = (Metric, fn(f64) -> f64);

/// Unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share in [0, 1], which people read in percent.
    Share,
    /// The unit of the task's loss: nats per row or per token, or squared error.
    Loss,
    /// This unit, whatever the task.
    Of(&'static str),
    /// The title is the unit: `4.5 bits per token`.
    Title,
    /// A bare number.
    None,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The higher ones.
    Higher,
    /// The lower ones.
    Lower,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// With this number of decimals.
    Decimals(usize),
    /// With one decimal, from 10,000 on as a whole number.
    OneOrWhole,
    /// With this number of significant digits: the values have no scale of their own.
    Significant(usize),
}

macro_rules! metrics {
    ($($(#[$doc:meta])+ $variant:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// A number that scores hold, or that is derived from one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Metric { $($(#[$doc])+ $variant,)+ }

        impl Metric {
            /// Every metric, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its row in the table.
            #[must_use]
            pub fn row(self) -> MetricRow {
                match self { $(Self::$variant => MetricRow { $($field: $value),+ },)+ }
            }
        }
    };
}

// The order of the table is that of the numbers in files.
metrics! {
    /// Mean cross-entropy, in nats per row or token.
    Loss {
        name: "loss", title: "loss", unit: Unit::Loss, better: Direction::Lower, range: (0.0, f64::INFINITY),
        digits: Digits::Decimals(3), other_names: &["nll", "crossentropy"], follows: None,
    }
    /// Share of rows classified correctly.
    Accuracy {
        name: "accuracy", title: "accuracy", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["acc"], follows: None,
    }
    /// Macro-averaged precision.
    MacroPrecision {
        name: "macro_precision", title: "macro precision", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["precision", "precisionmacro"], follows: None,
    }
    /// Macro-averaged recall.
    MacroRecall {
        name: "macro_recall", title: "macro recall", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["recall", "recallmacro", "balancedaccuracy", "uar"],
        follows: None,
    }
    /// Macro-averaged F1.
    MacroF1 {
        name: "macro_f1", title: "macro F1", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["f1", "f1macro", "f1score"], follows: None,
    }
    /// F1 of each class, averaged by the classes' rows.
    WeightedF1 {
        name: "weighted_f1", title: "weighted F1", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["f1weighted"], follows: None,
    }
    /// Matthews' correlation of classes and answers, for any number of classes (Gorodkin 2004).
    Matthews {
        name: "matthews", title: "Matthews correlation", unit: Unit::None, better: Direction::Higher,
        range: (-1.0, 1.0), digits: Digits::Decimals(3),
        other_names: &["mcc", "matthewscorrelation", "matthewscorrcoef", "phi"], follows: None,
    }
    /// Area under the ROC curve of the second of two classes (Hanley and McNeil 1982).
    Auroc {
        name: "auroc", title: "AUROC", unit: Unit::None, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(3), other_names: &["auc", "rocauc", "rocaucscore"], follows: None,
    }
    /// F1 of all labels of all rows together.
    MicroF1 {
        name: "micro_f1", title: "micro F1", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["f1", "f1micro", "f1score"], follows: None,
    }
    /// Share of rows of which every label is right.
    SubsetAccuracy {
        name: "subset_accuracy", title: "subset accuracy", unit: Unit::Share, better: Direction::Higher,
        range: (0.0, 1.0), digits: Digits::Decimals(1), other_names: &["acc", "accuracy", "exactmatch"],
        follows: None,
    }
    /// Average precision of each label's probabilities, averaged over the labels that some row has.
    MeanAveragePrecision {
        name: "mean_average_precision", title: "mean average precision", unit: Unit::Share,
        better: Direction::Higher, range: (0.0, 1.0), digits: Digits::Decimals(1),
        other_names: &["map", "averageprecision", "averageprecisionscore"], follows: None,
    }
    /// Share of the answered spans that are right.
    Precision {
        name: "precision", title: "precision", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["overallprecision"], follows: None,
    }
    /// Share of the right spans that are answered.
    Recall {
        name: "recall", title: "recall", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["overallrecall"], follows: None,
    }
    /// Share of words or tokens that are answered right.
    TokenAccuracy {
        name: "token_accuracy", title: "token accuracy", unit: Unit::Share, better: Direction::Higher,
        range: (0.0, 1.0), digits: Digits::Decimals(1),
        other_names: &["acc", "accuracy", "overallaccuracy", "meantokenaccuracy"], follows: None,
    }
    /// exp(loss).
    Perplexity {
        name: "perplexity", title: "perplexity", unit: Unit::None, better: Direction::Lower, range: (1.0, f64::INFINITY),
        digits: Digits::OneOrWhole, other_names: &["ppl"], follows: Some((Metric::Loss, f64::exp)),
    }
    /// loss / ln 2.
    BitsPerToken {
        name: "bits_per_token", title: "bits per token", unit: Unit::Title, better: Direction::Lower,
        range: (0.0, f64::INFINITY),
        digits: Digits::Decimals(3), other_names: &["bits", "bpt"],
        follows: Some((Metric::Loss, |loss| loss / std::f64::consts::LN_2)),
    }
    /// Mean of the sequences' losses, in nats per token.
    SequenceLoss {
        name: "sequence_loss", title: "sequence loss", unit: Unit::Of("nats per token"),
        better: Direction::Lower, range: (0.0, f64::INFINITY), digits: Digits::Decimals(3), other_names: &[],
        follows: None,
    }
    /// Share of answers equal to a gold answer.
    ExactMatch {
        name: "exact_match", title: "exact match", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["em", "exact"], follows: None,
    }
    /// Mean F-measure of the longest common subsequence of words of answers and gold ones (ROUGE-L).
    RougeL {
        name: "rouge_l", title: "ROUGE-L", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["rouge", "rougelsum"], follows: None,
    }
    /// Mean F1 over the tokens of answers, or F1 over spans.
    F1 {
        name: "f1", title: "F1", unit: Unit::Share, better: Direction::Higher, range: (0.0, 1.0),
        digits: Digits::Decimals(1), other_names: &["f1macro", "f1score", "overallf1"], follows: None,
    }
    /// Mean squared error, in squared units of the numbers to be learned.
    Mse {
        name: "mse", title: "MSE", unit: Unit::Loss, better: Direction::Lower, range: (0.0, f64::INFINITY),
        digits: Digits::Significant(4), other_names: &["loss", "meansquarederror", "negmeansquarederror"],
        follows: None,
    }
    /// Root of the mean squared error, in units of the numbers to be learned.
    Rmse {
        name: "rmse", title: "RMSE", unit: Unit::None, better: Direction::Lower, range: (0.0, f64::INFINITY),
        digits: Digits::Significant(4), other_names: &["rootmeansquarederror"],
        follows: Some((Metric::Mse, f64::sqrt)),
    }
    /// Mean absolute error, in units of the numbers to be learned.
    Mae {
        name: "mae", title: "MAE", unit: Unit::None, better: Direction::Lower, range: (0.0, f64::INFINITY),
        digits: Digits::Significant(4), other_names: &["meanabsoluteerror"], follows: None,
    }
    /// Share of the numbers' variance that the answers explain.
    R2 {
        name: "r2", title: "R²", unit: Unit::None, better: Direction::Higher, range: (f64::NEG_INFINITY, 1.0),
        digits: Digits::Decimals(3), other_names: &["rsquared", "r2score"], follows: None,
    }
    /// Pearson's correlation of answers and numbers.
    Pearson {
        name: "pearson", title: "Pearson correlation", unit: Unit::None, better: Direction::Higher,
        range: (-1.0, 1.0), digits: Digits::Decimals(3),
        other_names: &["pearsonr", "pearsoncorrelation", "correlation", "r"], follows: None,
    }
    /// Spearman's correlation of the ranks of answers and numbers.
    Spearman {
        name: "spearman", title: "Spearman correlation", unit: Unit::None, better: Direction::Higher,
        range: (-1.0, 1.0), digits: Digits::Decimals(3),
        other_names: &["spearmanr", "spearmancorrelation", "spearmanrho", "rho"], follows: None,
    }
}

impl Metric {
    /// Its name in files: the same as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its name in sentences and headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// The metric of this name in files.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Whether some tool calls it this, in lower-case letters and digits.
    #[must_use]
    pub fn is_called(self, plain: &str) -> bool {
        self.name().replace('_', "") == plain || self.row().other_names.contains(&plain)
    }

    /// Whether it is a share in [0, 1] that people read in percent.
    #[must_use]
    pub fn is_share(self) -> bool {
        self.row().unit == Unit::Share
    }

    /// Whether it is the share of correct rows, whose sampling error is binomial.
    #[must_use]
    pub fn counts_right_rows(self) -> bool {
        matches!(self, Self::Accuracy | Self::ExactMatch)
    }

    /// Whether its values can be averaged with those of other metrics that have a scale: its best value is 1, and it has
    /// a lowest one.
    #[must_use]
    pub fn has_scale(self) -> bool {
        let (least, most) = self.row().range;
        self.higher_is_better() && least.is_finite() && most.total_cmp(&1.0).is_eq()
    }

    /// Whether more is better.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        self.row().better == Direction::Higher
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn better(self, a: f64, b: f64) -> bool {
        if self.higher_is_better() { a > b } else { a < b }
    }

    /// Whether `a` is better than `b`, where either may be undefined: a defined value is better than an
    /// undefined one.
    #[must_use]
    pub fn improves(self, a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.better(a, b),
            (a, b) => a.is_some() && b.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_in_json_in_files_and_in_other_tools() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(Metric::from_name(metric.name()), Some(*metric));
            let plain = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            assert!(metric.row().other_names.iter().all(|name| plain(name)), "{metric:?}");
        }
    }

    #[test]
    fn what_is_not_defined_is_worse_than_anything_that_is() {
        assert!(Metric::Accuracy.improves(Some(0.1), None) && Metric::Loss.improves(Some(9.0), None));
        assert!(!Metric::Accuracy.improves(None, Some(0.1)) && !Metric::Accuracy.improves(None, None));
        assert!(
            Metric::Loss.improves(Some(1.0), Some(2.0)) && !Metric::Accuracy.improves(Some(1.0), Some(2.0))
        );
    }
}
