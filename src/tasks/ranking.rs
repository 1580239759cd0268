//! Owns scores of rankings: how well probabilities tell the rows that have a class from others. Pure.

/// Probabilities, the highest first, in groups of equal ones: how many rows of each group have the class, and how many
/// have not.
fn groups(answers: &[(f64, bool)]) -> Vec<[u64; 2]> {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let equal = sorted.chunk_by(|(a, _), (b, _)| a.total_cmp(b).is_eq());
    let counts = equal.map(|group| {
        let have = group.iter().filter(|(_, has)| *has).count() as u64;
        [have, group.len() as u64 - have]
    });
    counts.collect()
}

/// The area under the ROC curve: the share of pairs of a row with the class and one without it in which the first one's
/// probability is higher, pairs of equals counting half. `None` unless there are rows of both kinds.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn auroc(answers: &[(f64, bool)]) -> Option<f64> {
    let groups = groups(answers);
    let [all_have, all_lack] = groups.iter().fold([0, 0], |[have, lack], [h, l]| [have + h, lack + l]);
    let (mut above, mut area) = (0_u64, 0.0);
    for [have, lack] in groups {
        area += lack as f64 * (above as f64 + have as f64 / 2.0);
        above += have;
    }
    (all_have > 0 && all_lack > 0).then(|| area / (all_have as f64 * all_lack as f64))
}

/// Average precision: the precision at each probability, weighted by the recall that it adds; as scikit-learn has it,
/// without interpolation. `None` where no row has the class.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn average_precision(answers: &[(f64, bool)]) -> Option<f64> {
    let groups = groups(answers);
    let all: u64 = groups.iter().map(|[have, _]| have).sum();
    let (mut found, mut seen, mut sum) = (0_u64, 0_u64, 0.0);
    for [have, lack] in groups {
        found += have;
        seen += have + lack;
        sum += have as f64 * found as f64 / seen as f64;
    }
    (all > 0).then(|| sum / all as f64)
}

/// The threshold with the highest F1 of answers from it on, the highest of equals; `None` where no row has the class.
/// It lies midway between two probabilities.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn best_threshold(answers: &[(f64, bool)]) -> Option<f64> {
    let mut values: Vec<f64> = answers.iter().map(|(value, _)| *value).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.dedup();
    let groups = groups(answers);
    let all: u64 = groups.iter().map(|[have, _]| have).sum();
    let (mut found, mut seen) = (0_u64, 0_u64);
    let mut best: Option<(f64, f64)> = None;
    for (place, [have, lack]) in groups.iter().enumerate() {
        found += have;
        seen += have + lack;
        let f1 = 2.0 * found as f64 / (seen + all).max(1) as f64;
        if best.is_none_or(|(most, _)| f1 > most) {
            let next = values.get(place + 1).copied().unwrap_or(0.0);
            best = Some((f1, f64::midpoint(values[place], next)));
        }
    }
    best.filter(|_| all > 0).map(|(_, threshold)| threshold)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded by `tests/fixtures/make_labels.py`.
    #[test]
    fn the_area_agrees_with_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/labels.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let cases = all["auroc"].as_array().unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let list = |name: &str| case[name].as_array().unwrap();
            let numbers = list("probabilities").iter().zip(list("truth"));
            let answers: Vec<(f64, bool)> =
                numbers.map(|(p, truth)| (p.as_f64().unwrap(), truth.as_u64() == Some(1))).collect();
            assert!((auroc(&answers).unwrap() - case["auroc"].as_f64().unwrap()).abs() < 1e-12, "{case}");
        }
    }

    /// `sklearn.metrics.roc_auc_score` and `average_precision_score`, 1.9.1.
    #[test]
    fn rankings_score_as_scikit_learn_has_it() {
        let answers = [(0.1, false), (0.4, false), (0.35, true), (0.8, true), (0.4, true), (0.4, false)];
        assert!((auroc(&answers).unwrap() - AUROC).abs() < 1e-12);
        assert!((average_precision(&answers).unwrap() - AVERAGE_PRECISION).abs() < 1e-12);
        assert_eq!(auroc(&[(0.3, true)]), None);
        assert_eq!(auroc(&[(0.3, true), (0.3, false)]), Some(0.5));
        assert_eq!(average_precision(&[(0.3, false)]), None);
    }

    const AUROC: f64 = 0.666_666_666_666_666_7;
    const AVERAGE_PRECISION: f64 = 0.7;

    proptest! {
        #[test]
        fn no_other_threshold_is_better(
            answers in prop::collection::vec((0_u32..20, any::<bool>()), 1..40), other in 0.0..1.0_f64,
        ) {
            let answers: Vec<(f64, bool)> =
                answers.into_iter().map(|(value, has)| (f64::from(value) / 20.0, has)).collect();
            let f1 = |threshold: f64| {
                let answered = |(value, _): &&(f64, bool)| *value >= threshold;
                let right = answers.iter().filter(answered).filter(|(_, has)| *has).count();
                let sum = answers.iter().filter(answered).count() + answers.iter().filter(|(_, has)| *has).count();
                2.0 * right as f64 / sum.max(1) as f64
            };
            match best_threshold(&answers) {
                Some(best) => prop_assert!(f1(best) >= f1(other)),
                None => prop_assert!(answers.iter().all(|(_, has)| !has)),
            }
        }
    }
}
