//! Regression in a sweep file: the column of numbers, what is wrong with it, and what the card says of it.

use lorasweep::spec::Starter;
use lorasweep::sweep::SweepSpec;
use lorasweep::sweep::card::Warning;
use lorasweep::tasks::{self, Objective};
use lorasweep::values::{Metric, Select, Splitting};

use crate::folder::Folder;

/// A sweep that learns `score` from `text`, with more keys of its task, and of the sweep.
fn sweep(task: &str, rest: &str) -> String {
    format!(
        "name: demo\ntask: {{kind: regression, train: train.csv, text: text, label: score, max_length: 16{task}}}\n\
         models: {{tiny: {{from: tiny}}}}\n\
         grid: [{{method: [base, lora, full], model: tiny, learning_rate: 1e-3}}]\n{rest}"
    )
}

/// A folder with these numbers, each on a row of its own text.
fn folder(numbers: &[&str]) -> Folder {
    let folder = Folder::new();
    let rows: String = (1..).zip(numbers).map(|(row, number)| format!("row {row},{number}\n")).collect();
    folder.write("train.csv", &format!("text,score\n{rows}"));
    folder
}

fn load(folder: &Folder, text: &str) -> SweepSpec {
    folder.load(text).unwrap_or_else(|errors| panic!("{errors}"))
}

const NUMBERS: [&str; 9] = ["0", " 1.5 ", "-2", "3e0", "1.5", "2.25", "0.5", "4", "1"];

#[test]
fn numbers_are_read_split_and_told_on_the_card() {
    let folder = folder(&NUMBERS);
    let spec = load(&folder, &sweep("", "kfold: {k: 3, seed: 1}\n"));
    let Objective::Regression(task) = &spec.first_task().objective else { panic!("it is a regression") };
    assert_eq!((task.text.as_slice(), task.label.as_str()), (&["text".to_owned()][..], "score"));
    assert_eq!((spec.selecting(spec.first_task()), spec.trials().len()), (Metric::Pearson, 9));
    assert!(matches!(spec.splitting, Splitting::KFold { stratified: false, .. }), "{:?}", spec.splitting);
    let card = &spec.cards[0];
    let numbers = card.numbers.as_ref().unwrap();
    assert_eq!((numbers.least, numbers.most, numbers.different), (-2.0, 4.0, 8));
    assert!((numbers.mean - 11.75 / 9.0).abs() < 1e-12 && card.classes.is_empty());
    let fresh = spec.warnings.iter().any(|warning| warning.contains("fresh head of one output"));
    assert!(fresh, "{:?}", spec.warnings);
}

#[test]
fn a_number_that_is_not_one_is_told_with_its_line() {
    for (bad, told) in [
        ("", "row 4 (line 5): column `score` has no number"),
        ("n/a", "row 4 (line 5): column `score` has `n/a`, which is not a number"),
        ("nan", "has `nan`, which is not a number"),
        ("inf", "has `inf`, which is not a number"),
        ("\"3,5\"", "has `3,5`, which is not a number"),
    ] {
        let mut numbers = NUMBERS;
        (numbers[3], numbers[6]) = (bad, bad);
        let said = folder(&numbers).load(&sweep("", "")).unwrap_err().to_string();
        assert!(said.contains(told) && said.contains("; 2 such rows in all"), "{said}");
        assert!(said.contains("hint: give every row a finite number"), "{said}");
    }
    let mut numbers = NUMBERS;
    numbers[1] = "-1e19";
    let said = folder(&numbers).load(&sweep("", "")).unwrap_err().to_string();
    assert!(
        said.contains("row 2 (line 3): column `score` has the number -1e19, whose squared error"),
        "{said}"
    );
    assert!(said.contains("hint: write the numbers in a larger unit"), "{said}");
    let said = folder(&NUMBERS).load(&sweep(", labels: {1: one}", "")).unwrap_err().to_string();
    assert!(said.contains("`labels` does not apply to tasks of kind `regression`"), "{said}");
}

#[test]
fn labels_that_are_numbers_are_not_smoothed() {
    for given in [
        "grid: [{method: full, model: tiny, learning_rate: 1, label_smoothing: [0, 0.1]}]\n",
        "grid: [{method: full, model: tiny, learning_rate: 1}]\ntraining: {label_smoothing: 0.1}\n",
    ] {
        let text = sweep("", "split: {fraction: 0.3}\n");
        let (before, rest) = text.split_once("grid:").unwrap();
        let rest = rest.split_once('\n').unwrap().1;
        let said = folder(&NUMBERS).load(&format!("{before}{given}{rest}")).unwrap_err().to_string();
        assert!(said.contains("`label_smoothing` does not apply to tasks of kind `regression`"), "{said}");
        assert!(said.contains("1 error in"), "{said}");
    }
}

#[test]
fn nothing_is_minus_nothing() {
    let spec = load(&folder(&["-0", "1", "-0.0", "2", "3"]), &sweep("", "split: {fraction: 0.4}\n"));
    let numbers = spec.cards[0].numbers.as_ref().unwrap();
    assert!(numbers.least.is_sign_positive() && numbers.different == 4, "{numbers:?}");
}

#[test]
fn one_number_in_every_row_is_warned_of() {
    let spec = load(&folder(&["2.5"; 9]), &sweep("", "split: {fraction: 0.3}\n"));
    let expected = Warning::OneNumber { column: "score".to_owned(), number: 2.5 };
    assert!(spec.cards[0].warnings.contains(&expected), "{:?}", spec.cards[0].warnings);
}

#[test]
fn what_selects_is_a_metric_of_regression() {
    let folder = folder(&NUMBERS);
    let select =
        |metric: &str| folder.load(&sweep("", &format!("split: {{fraction: 0.3}}\nselect: {metric}\n")));
    assert_eq!(select("mse").unwrap().select, Select::All(Metric::Mse));
    assert_eq!(select("pearson").unwrap().select, Select::Kinds, "it is the kind's own");
    for (meant, metric) in [("spearmanr", "spearman"), ("eval_loss", "mse"), ("mean_absolute_error", "mae")] {
        let said = select(meant).unwrap_err().to_string();
        assert!(said.contains(&format!("did you mean `{metric}`?")), "{said}");
    }
    let said = select("accuracy").unwrap_err().to_string();
    assert!(
        said.contains("`pearson`, `spearman`, `mse`, `rmse`, `mae`, `r2` for tasks of kind `regression`"),
        "{said}"
    );
}

#[test]
fn a_starter_finds_the_column_of_numbers() {
    let folder = folder(&NUMBERS);
    let rows = NUMBERS.iter().enumerate().map(|(id, number)| format!("{id},row text {id},{number}\n"));
    folder.write("pairs.csv", &format!("id,text,similarity\n{}", rows.collect::<String>()));
    let starter = Starter {
        data: &folder.path().join("pairs.csv"),
        data_in_sweep: "pairs.csv".as_ref(),
        model: "tiny".as_ref(),
        model_folder: None,
        kind: tasks::kind("regression"),
    };
    let text = starter.text().unwrap();
    assert!(text.contains("label: similarity") && text.contains("numbers from -2 to 4"), "{text}");
    assert!(!text.contains("stratified"), "{text}");
    let spec = load(&folder, &text);
    assert!(matches!(spec.first_task().objective, Objective::Regression(_)));
}
