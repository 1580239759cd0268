//! From files on disk to a token store, as a sweep's first job does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorasweep::content::ContentHash;
use lorasweep::data::prepare;
use lorasweep::data::sources::survey;
use lorasweep::data::store::TokenStore;
use lorasweep::data::tokenizer::{self, Tokenizer};
use lorasweep::job::{Prepare, store_key};
use lorasweep::outcome::Failure;
use lorasweep::run::layout::Layout;
use lorasweep::task::{DataFile, Objective, Part, Task};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\n!\ncafe\nbad\n";

struct Bench {
    folder: tempfile::TempDir,
    prepare: Prepare,
}

impl Bench {
    fn new(train: &str, test: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a temporary folder can be written to");
            path
        };
        let tokenizer = file("vocab.txt", VOCABULARY);
        let mut task = Task {
            test: Some(surveyed(file("test.csv", test))),
            max_length: 6,
            rows: Some(4),
            ..Task::classification(surveyed(file("train.csv", train)), "text", "label", &["no", "yes"])
        };
        if let Objective::Classification(classes) = &mut task.objective {
            classes.text = vec!["title".into(), "text".into()];
        }
        let store = store_key(&task, ContentHash::of_bytes(VOCABULARY.as_bytes()));
        Self { folder, prepare: Prepare { store, task: Arc::new(task), tokenizer } }
    }

    fn stores(&self) -> PathBuf {
        self.folder.path().join("stores")
    }

    fn run(&self) -> Result<(), Failure> {
        prepare::run(&self.prepare, &self.stores())
    }

    fn store_folder(&self) -> PathBuf {
        Layout::store(&self.stores(), self.prepare.store)
    }

    fn draft_folder(&self) -> PathBuf {
        Layout::store_draft(&self.stores(), self.prepare.store)
    }

    fn store(&self) -> TokenStore {
        TokenStore::open(&self.store_folder()).expect("the store was made")
    }
}

fn surveyed(path: PathBuf) -> DataFile {
    let found = survey(&path, None, &[], None).expect("the fixture is sound");
    DataFile { path, content: found.content, rows: found.rows, text_bytes: found.text_bytes }
}

fn bench() -> Bench {
    let train = "title,text,label\nhello,worlds,yes\nbad,,no\nhello,hello,yes\n\"hello\n\",world!,yes\nCAFÉ,x,no\n\
                 hello,bad,yes\nhello,bad,yes\nbad,bad bad bad bad bad,no\n";
    Bench::new(train, "label,text,title\nno,world,\nyes,[SEP],hello\n")
}

#[test]
fn columns_are_joined_tokenised_and_cut_to_the_length() {
    let bench = bench();
    bench.run().unwrap();
    let store = bench.store();
    let test = store.part(Part::Test).unwrap();
    assert_eq!((test.tokens(0), test.label(0)), (&[2, 6, 3][..], 0));
    assert_eq!((test.tokens(1), test.label(1)), (&[2, 5, 3, 3][..], 1));
    assert!(store.part(Part::Validation).is_none());
    let whole = Bench {
        prepare: Prepare {
            task: Arc::new(Task { rows: None, ..(*bench.prepare.task).clone() }),
            ..bench.prepare.clone()
        },
        ..bench
    };
    fs::remove_dir_all(whole.stores()).unwrap();
    whole.run().unwrap();
    let store = whole.store();
    let train = store.part(Part::Train).unwrap();
    assert_eq!(train.labels(), [1, 0, 1, 1, 0, 1, 1, 0]);
    assert_eq!(train.tokens(0), [2, 5, 6, 7, 3]);
    assert_eq!(train.tokens(3), [2, 5, 6, 8, 3]);
    assert_eq!(train.tokens(4), [2, 9, 1, 3]);
    assert_eq!(train.tokens(7), [2, 10, 10, 10, 10, 3]);
}

#[test]
fn a_draw_keeps_the_classes_shares() {
    let bench = bench();
    bench.run().unwrap();
    let store = bench.store();
    let train = store.part(Part::Train).unwrap();
    assert_eq!(train.len(), 4);
    // Three of eight rows are `no`: 1.5 of 4, and a tie goes to the class that stands first.
    assert_eq!(train.labels().iter().filter(|label| **label == 0).count(), 2);
}

#[test]
fn an_intact_store_is_kept_and_a_damaged_one_made_again() {
    let bench = bench();
    bench.run().unwrap();
    let file = fs::read_dir(bench.store_folder()).unwrap().next().unwrap().unwrap().path();
    let made = fs::metadata(&file).unwrap().modified().unwrap();
    bench.run().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), made);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    // What a process that was killed at work leaves behind is in nobody's way.
    fs::create_dir(bench.draft_folder()).unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);
    fs::remove_file(&file).unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert!(!bench.draft_folder().exists());
}

#[test]
fn what_is_no_longer_as_checked_is_bad_data_and_leaves_no_store() {
    let says = |bench: &Bench, words: &str| {
        let Err(Failure::BadData { message }) = bench.run() else { panic!("`{words}` was expected") };
        assert!(message.contains(words), "{message}");
        assert!(!bench.store_folder().exists());
    };
    let changed = bench();
    fs::write(&changed.prepare.task.train.path, "title,text,label\nhello,,yes\n").unwrap();
    says(&changed, "train.csv`: the file has changed since it was checked; start the sweep again");
    let gone = bench();
    fs::remove_file(&gone.prepare.task.test.as_ref().unwrap().path).unwrap();
    says(&gone, "test.csv`: cannot be read: No such file");
    let mut untokenised = bench();
    untokenised.prepare.tokenizer = untokenised.folder.path().join("nowhere");
    says(&untokenised, "neither a tokenizer.json nor a vocab.txt");
    let mut short = bench();
    Arc::make_mut(&mut short.prepare.task).max_length = 2;
    says(&short, "max_length 2 leaves no room");
    let in_the_way = bench();
    fs::write(in_the_way.stores(), "").unwrap();
    says(&in_the_way, "cannot write the token store");
}

#[test]
fn case_is_kept_where_the_tokenizer_says_so() {
    let bench = bench();
    let encode = |text: &str| {
        let tokenizer = Tokenizer::load(bench.folder.path(), 8).unwrap();
        tokenizer.encode(&[text.to_owned()]).unwrap().remove(0)
    };
    assert_eq!(encode("HELLO"), [2, 5, 3]);
    fs::write(bench.folder.path().join("tokenizer_config.json"), "{\"do_lower_case\": false}").unwrap();
    assert_eq!(encode("HELLO hello"), [2, 1, 5, 3]);
    assert_eq!(tokenizer::files(bench.folder.path()).unwrap().len(), 2);
}

#[test]
fn an_embedding_has_room_for_the_highest_id_of_a_vocabulary_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let model = r#"{"type": "WordLevel", "vocab": {"[UNK]": 0, "hello": 9}, "unk_token": "[UNK]"}"#;
    let json = format!(r#"{{"version": "1.0", "added_tokens": [], "model": {model}}}"#);
    fs::write(folder.path().join("tokenizer.json"), json).unwrap();
    let tokenizer = Tokenizer::load(folder.path(), 8).unwrap();
    assert_eq!(tokenizer.encode(&["hello".to_owned()]).unwrap(), [[9]]);
    assert_eq!(tokenizer.vocabulary_size(), 10);
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
fn ids_are_those_of_bert_base_uncased() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/tokenizers/bert-base-uncased");
    if !folder.exists() {
        println!("skipped: `{}` is absent", folder.display());
        return;
    }
    let texts: Vec<String> =
        ["Hello world!", "", "naïve \u{1f600} 東京 [MASK] unaffable"].map(String::from).into();
    let [by_json, by_vocabulary] = ["tokenizer.json", "vocab.txt"].map(|file| {
        let tokenizer = Tokenizer::load(&folder.join(file), 128).unwrap();
        assert_eq!(tokenizer.vocabulary_size(), 30_522);
        tokenizer.encode(&texts).unwrap()
    });
    assert_eq!(by_json[0], [101, 7592, 2088, 999, 102]);
    assert_eq!(by_json[1], [101, 102]);
    assert_eq!(by_json, by_vocabulary);
    let cut = Tokenizer::load(&folder, 3).unwrap().encode(&texts).unwrap();
    assert_eq!(cut[0], [101, 7592, 102]);
}
