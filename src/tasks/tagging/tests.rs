use super::*;

fn kind() -> Tagging {
    let labels = ["O", "B-X", "I-X", "B-Y", "I-Y"].map(str::to_owned).to_vec();
    Tagging { labels, ..Tagging::EMPTY }
}

fn indices(tags: &str) -> Vec<u32> {
    let labels = kind().labels;
    let index = |tag: &str| labels.iter().position(|label| label == tag).unwrap();
    tags.split_whitespace().map(|tag| u32::try_from(index(tag)).unwrap()).collect()
}

/// A row's target, of which only the first `seen` words have a token.
fn target(tags: &str, seen: u32) -> Vec<u32> {
    let words = (0_u32..).zip(indices(tags));
    words.flat_map(|(word, tag)| [tag, if word < seen { word + 1 } else { CUT }]).collect()
}

fn add(tally: &mut dyn Tally, (index, truth, answer): (u32, &str, &str), losses: &[f64]) {
    let answers: Vec<f64> = indices(answer).into_iter().map(f64::from).collect();
    let target = target(truth, u32::try_from(answers.len()).unwrap());
    let row = Row { tokens: &[0; 9], second: 9, target: RowTarget::List(&target), answers: &[] };
    tally.add(&Answered { index, row, losses, answers: &answers });
}

/// `seqeval.metrics`, 1.2.2: the words that were cut off were given as `O`.
#[test]
fn scores_are_those_of_seqeval() {
    let kind = kind();
    let mut tally = kind.tally();
    add(&mut *tally, (0, "B-X I-X O B-Y", "B-X I-X O"), &[0.1, 0.2, 0.3]);
    add(&mut *tally, (1, "O B-Y I-Y O O", "O B-Y I-Y O O"), &[0.0; 5]);
    add(&mut *tally, (2, "B-X O O", "B-X O B-Y"), &[1.0; 3]);
    let scores = tally.scores();
    let of = |metric| scores.get(metric).unwrap();
    assert_eq!([Metric::F1, Metric::Precision, Metric::Recall].map(of), [0.75; 3]);
    assert!((of(Metric::TokenAccuracy) - 0.833_333_333_333_333_4).abs() < 1e-12);
    assert!((of(Metric::Loss) - 3.6 / 11.0).abs() < 1e-12);
    let answer =
        RowAnswer::Tags { predicted: vec![1, 2, 0, RowAnswer::CUT], target: vec![1, 2, 0, 3], tokens: 3 };
    assert_eq!(tally.take_rows()[0].answer, answer);
    assert!(!kind.is_constant(&scores));
}

/// The same rows with a span of a wrong type and one that is too long: `f1_score` 0.444…, precision 0.4, recall 0.5.
#[test]
fn a_span_is_right_in_type_and_both_ends() {
    let kind = kind();
    let mut tally = kind.tally();
    add(&mut *tally, (0, "B-X I-X O B-Y", "B-X I-X O B-X"), &[0.0; 4]);
    add(&mut *tally, (1, "O B-Y I-Y O O", "O B-Y I-Y I-Y O"), &[0.0; 5]);
    add(&mut *tally, (2, "B-X O O", "B-X O B-Y"), &[0.0; 3]);
    let scores = tally.scores();
    let found = [Metric::F1, Metric::Precision, Metric::Recall].map(|metric| scores.get(metric).unwrap());
    for (found, expected) in found.into_iter().zip([4.0 / 9.0, 0.4, 0.5]) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn only_words_with_a_token_are_predicted() {
    let target = target("B-X O B-Y", 2);
    let row = Row { tokens: &[0; 4], second: 4, target: RowTarget::List(&target), answers: &[] };
    let expected = [(1, 1), (2, 0)].map(|(reads, wanted)| Prediction { reads, wanted });
    assert_eq!(kind().predictions(row).unwrap(), expected);
}

#[test]
fn tags_that_are_no_spans_have_an_accuracy_alone() {
    let kind = Tagging { labels: ["NN", "VB"].map(str::to_owned).to_vec(), ..Tagging::EMPTY };
    assert_eq!(kind.metrics(), OF_WORDS);
    let mut tally = kind.tally();
    let row = Row { tokens: &[0; 3], second: 3, target: RowTarget::List(&[0, 1, 1, 2]), answers: &[] };
    tally.add(&Answered { index: 0, row, losses: &[0.5, 0.5], answers: &[0.0, 0.0] });
    let scores = tally.scores();
    assert_eq!((scores.get(Metric::TokenAccuracy), scores.get(Metric::F1)), (Some(0.5), None));
    assert!(kind.is_constant(&scores));
}

#[test]
fn the_baseline_answers_the_most_frequent_tag() {
    let rows = [target("B-X O O", 3), target("O O B-Y I-Y", 4)];
    let rows: Vec<_> = rows.iter().map(|row| RowTarget::List(row.as_slice())).collect();
    let targets = TrialTargets { train: rows.clone(), validation: rows, test: Vec::new() };
    let baseline = kind().target_facts(&targets).baseline.unwrap();
    assert_eq!(baseline.answer, "O");
    let of = |metric| baseline.validation.get(metric).unwrap();
    assert_eq!((of(Metric::F1), of(Metric::TokenAccuracy)), (0.0, 4.0 / 7.0));
    let loss = -(4.0 * (4.0_f64 / 7.0).ln() + 3.0 * (1.0_f64 / 7.0).ln()) / 7.0;
    assert!((of(Metric::Loss) - loss).abs() < 1e-12);
}

#[derive(serde::Deserialize)]
struct Case {
    tags: Vec<String>,
    truth: Vec<Vec<u32>>,
    answers: Vec<Vec<u32>>,
    f1: f64,
    precision: f64,
    recall: f64,
    token_accuracy: f64,
}

/// Recorded by `tests/fixtures/make_labels.py`.
#[test]
fn recorded_scores_agree_with_seqeval() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/labels.json");
    let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<Case> = serde_json::from_value(all["tagging"].take()).unwrap();
    assert!(cases.len() >= 8);
    for Case { tags, truth, answers, f1, precision, recall, token_accuracy } in cases {
        let kind = Tagging { labels: tags, ..Tagging::EMPTY };
        let mut tally = kind.tally();
        for (index, (truth, answers)) in (0..).zip(truth.iter().zip(&answers)) {
            let target: Vec<u32> = truth.iter().zip(0..).flat_map(|(tag, word)| [*tag, word]).collect();
            let row = Row { tokens: &[], second: 0, target: RowTarget::List(&target), answers: &[] };
            let answers: Vec<f64> = answers.iter().map(|tag| f64::from(*tag)).collect();
            tally.add(&Answered { index, row, losses: &vec![0.0; truth.len()], answers: &answers });
        }
        let scores = tally.scores();
        let wanted = [
            (Metric::F1, f1),
            (Metric::Precision, precision),
            (Metric::Recall, recall),
            (Metric::TokenAccuracy, token_accuracy),
        ];
        for (metric, wanted) in wanted {
            let found = scores.get(metric).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{metric:?} is {found}, not {wanted}");
        }
    }
}
