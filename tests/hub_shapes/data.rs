//! The data that the shipped sweeps name, a few rows of it.

use std::fs::{self, File};
use std::path::Path;

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetWriter, Series};

use crate::site::Site;

const ROWS: usize = 40;

fn sentence(row: usize) -> String {
    const WORDS: [&str; 10] = ["the", "team", "won", "match", "bank", "loan", "fee", "card", "paid", "late"];
    (0..6).map(|i| WORDS[(row * 7 + i * (row % 5 + 1)) % 10]).collect::<Vec<_>>().join(" ")
        + &format!(" {row}")
}

/// Texts in these columns, and labels of so many classes where there are any; `name` makes them other
/// texts than those of other data.
fn table(name: &str, texts: &[&str], classes: Option<usize>) -> DataFrame {
    let text = |column: &str| {
        let rows: Vec<String> =
            (0..ROWS).map(|row| format!("{} {column} of {name}", sentence(row))).collect();
        Column::new(column.into(), rows)
    };
    let mut columns: Vec<Column> = texts.iter().map(|column| text(column)).collect();
    if let Some(classes) = classes {
        let labels: Vec<i64> = (0..ROWS).map(|row| i64::try_from(row % classes).unwrap()).collect();
        columns.push(Column::new("label".into(), labels));
    }
    DataFrame::new(ROWS, columns).unwrap()
}

fn parquet(folder: &Path, name: &str, mut table: DataFrame) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ParquetWriter::new(File::create(path).unwrap()).finish(&mut table).unwrap();
}

/// A data set of the hub with these splits.
fn data_set(site: &Site, name: &str, splits: &[&str], texts: &[&str], classes: Option<usize>) {
    let (repository, folder) = match name.match_indices('/').nth(1) {
        Some((at, _)) => (&name[..at], &name[at + 1..]),
        None => (name, "data"),
    };
    for split in splits {
        let file = format!("{folder}/{split}-00000-of-00001.parquet");
        parquet(&site.data_set(repository), &file, table(&format!("{name} {split}"), texts, classes));
    }
}

pub(crate) fn ag_news(site: &Site) {
    data_set(site, "fancyzhx/ag_news", &["train", "test"], &["text"], Some(4));
}

/// A data set of the hub with a column of lists beside others.
fn lists(
    site: &Site,
    (repository, folder): (&str, &str),
    splits: &[&str],
    columns: &dyn Fn() -> Vec<Column>,
) {
    for split in splits {
        let file = format!("{folder}/{split}-00000-of-00001.parquet");
        parquet(&site.data_set(repository), &file, DataFrame::new(ROWS, columns()).unwrap());
    }
}

/// Words, and as many numbers of tags.
pub(crate) fn conll(site: &Site) {
    let columns = || {
        let words = |row| sentence(row).split(' ').map(str::to_owned).collect::<Vec<String>>();
        let tags = |row| words(row).iter().zip(row..).map(|(_, n)| (n % 9) as i64).collect::<Vec<i64>>();
        let words: Vec<Series> = (0..ROWS).map(|row| Series::new("".into(), words(row))).collect();
        let tags: Vec<Series> = (0..ROWS).map(|row| Series::new("".into(), tags(row))).collect();
        vec![Column::new("tokens".into(), words), Column::new("ner_tags".into(), tags)]
    };
    lists(site, ("tomaarsen/conll2003", "data"), &["train", "validation", "test"], &columns);
}

/// Texts, and lists of the numbers of their labels.
pub(crate) fn go_emotions(site: &Site) {
    let columns = || {
        let labels = |row| Series::new("".into(), [(row % 28) as i64, ((row + 3) % 28) as i64]);
        let texts: Vec<String> = (0..ROWS).map(sentence).collect();
        let labels: Vec<Series> = (0..ROWS).map(labels).collect();
        vec![Column::new("text".into(), texts), Column::new("labels".into(), labels)]
    };
    let name = ("google-research-datasets/go_emotions", "simplified");
    lists(site, name, &["train", "validation", "test"], &columns);
}

/// Conversations, as `HuggingFaceH4/no_robots` has them.
pub(crate) fn conversations(site: &Site) {
    for split in ["train", "test"] {
        let line = |row: usize| {
            let turn = |role: &str, text: String| serde_json::json!({"role": role, "content": text});
            let messages = [turn("user", sentence(row)), turn("assistant", sentence(row + 1))];
            format!("{}\n", serde_json::json!({"prompt": sentence(row), "messages": messages}))
        };
        let lines: String = (0..ROWS).map(line).collect();
        let path = site.data_set("HuggingFaceH4/no_robots").join(format!("{split}.jsonl"));
        fs::write(path, lines).unwrap();
    }
}

/// Pairs of texts with a number.
pub(crate) fn similarity(site: &Site) {
    for split in ["train", "validation"] {
        let mut table = table(&format!("stsb {split}"), &["sentence1", "sentence2"], None);
        let numbers: Vec<f64> = (0..ROWS).map(|row| row as f64 / 8.0).collect();
        table.with_column(Column::new("label".into(), numbers)).unwrap();
        parquet(&site.data_set("nyu-mll/glue"), &format!("stsb/{split}-00000-of-00001.parquet"), table);
    }
}

/// The tasks of GLUE that have classes.
pub(crate) fn glue(site: &Site) {
    let pair = &["sentence1", "sentence2"][..];
    for (task, texts) in [("sst2", &["sentence"][..]), ("cola", &["sentence"]), ("mrpc", pair), ("rte", pair)]
    {
        data_set(site, &format!("nyu-mll/glue/{task}"), &["train", "validation"], texts, Some(2));
    }
}

pub(crate) fn multi_nli(site: &Site) {
    data_set(site, "nyu-mll/multi_nli", &["train"], &["premise", "hypothesis"], Some(3));
}

/// The ten corpora's texts.
pub(crate) fn corpora(site: &Site) {
    for (name, splits, texts) in [
        ("Salesforce/wikitext/wikitext-103-raw-v1", ["train", "test"], &["text"][..]),
        ("Salesforce/wikitext/wikitext-2-raw-v1", ["train", "test"], &["text"]),
        ("roneneldan/TinyStories", ["train", "validation"], &["text"]),
        ("Yelp/yelp_review_full", ["train", "test"], &["text"]),
        ("fancyzhx/amazon_polarity", ["train", "test"], &["title", "content"]),
        ("abisee/cnn_dailymail/3.0.0", ["train", "test"], &["article", "highlights"]),
        ("EdinburghNLP/xsum", ["train", "test"], &["document", "summary"]),
        ("stanfordnlp/imdb", ["train", "test"], &["text"]),
    ] {
        data_set(site, name, &splits, texts, None);
    }
}

/// SQuAD as the hub has it, its answers in lists, in parts of three questions.
pub(crate) fn squad(site: &Site) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/questions.parquet");
    let folder = site.data_set("rajpurkar/squad").join("plain_text");
    fs::create_dir_all(&folder).unwrap();
    for split in ["train", "validation"] {
        for part in 0..8 {
            fs::copy(&fixture, folder.join(format!("{split}-0000{part}-of-00008.parquet"))).unwrap();
        }
    }
}

pub(crate) fn wikitext_files(site: &Site) {
    for part in ["train", "valid", "test"] {
        let lines: String = (0..ROWS).map(|row| format!("{}\n", sentence(row))).collect();
        fs::write(site.file(&format!(".data/wikitext-2/{part}.txt")), lines).unwrap();
    }
}

/// Complaints as the bureau calls their products, so many of each.
pub(crate) fn complaints(site: &Site, file: &str, of_each: usize) {
    const PRODUCTS: [&str; 9] = [
        "\"Credit reporting, credit repair services, or other personal consumer reports\"",
        "Credit card or prepaid card",
        "\"Payday loan, title loan, personal loan, or advance loan\"",
        "Checking or savings account",
        "\"Money transfer, virtual currency, or money service\"",
        "Debt collection",
        "Mortgage",
        "Student loan",
        "Vehicle loan or lease",
    ];
    let row = |row: usize| format!("2024-05-01,{},\"{}\"\n", PRODUCTS[row % 9], sentence(row));
    let rows: String = (0..9 * of_each).map(row).collect();
    fs::write(site.file(file), format!("Date received,Product,Consumer complaint narrative\n{rows}"))
        .unwrap();
}
