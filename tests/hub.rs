//! Models and data sets from a small hub on loopback: what comes, what stays, and what is said when
//! something goes wrong.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod hub_server;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use hub_server::{Fault, TestHub, commit};
use lorasweep::error::AppError;
use lorasweep::hub::{Files, Hub, HubError, Problem, Progress, Reference, Settings, Snapshot};
use tempfile::TempDir;

const MODEL: &str = "owner/small-model";
const CONFIG: &[u8] = br#"{"model_type": "bert"}"#;
const VOCAB: &[u8] = b"[PAD]\n[UNK]\n";

fn weights() -> Vec<u8> {
    (0..600_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A hub with one model, and an empty cache.
fn hub_with_model() -> (TestHub, TempDir) {
    let hub = TestHub::start();
    let files: [(&str, &[u8]); 6] = [
        ("config.json", CONFIG),
        ("vocab.txt", VOCAB),
        ("model.safetensors", &weights()),
        ("pytorch_model.bin", b"not wanted"),
        ("tf_model.h5", b"not wanted"),
        ("onnx/model.onnx", b"not wanted"),
    ];
    hub.put("models/owner/small-model", "main", &commit('a'), &files);
    (hub, tempfile::tempdir().unwrap())
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn model(settings: &Settings, text: &str) -> Result<Snapshot, HubError> {
    Hub::new(settings.clone()).model(&reference(text), Files::All, &|_| {})
}

fn dataset(settings: &Settings, text: &str) -> Result<Snapshot, HubError> {
    Hub::new(settings.clone()).dataset(&reference(text), &|_| {})
}

/// Where nobody listens.
fn gone(settings: &Settings) -> Settings {
    Settings { endpoint: "http://127.0.0.1:9".into(), ..settings.clone() }
}

/// The paths that were asked for in full or in part, without listings.
fn downloads(hub: &TestHub) -> Vec<String> {
    let files = hub.take_requests().into_iter().map(|request| request.path);
    files.filter_map(|path| Some(path.split_once("/resolve/")?.1[41..].to_owned())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The partial file of the only blob on its way.
fn partial(blobs: &Path) -> PathBuf {
    let name = names(blobs).into_iter().find(|name| name.ends_with(".incomplete")).unwrap();
    blobs.join(name)
}

#[test]
fn a_model_comes_whole_and_once() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let told = RefCell::new(Vec::new());
    let hear = |step: Progress<'_>| told.borrow_mut().push((step.done, step.total));
    let snapshot = Hub::new(settings.clone()).model(&reference(MODEL), Files::All, &hear).unwrap();

    assert_eq!(snapshot.commit, commit('a'));
    assert_eq!(names(&snapshot.folder), ["config.json", "model.safetensors", "vocab.txt"]);
    assert_eq!(
        snapshot.files,
        ["config.json", "model.safetensors", "vocab.txt"].map(|name| snapshot.folder.join(name))
    );
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    let told = told.into_inner();
    let total = (CONFIG.len() + VOCAB.len() + weights().len()) as u64;
    assert!(told.is_sorted() && told.last() == Some(&(total, total)), "{told:?}");

    // The layout is the one that Python reads.
    let folder = cache.path().join("models--owner--small-model");
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), commit('a'));
    assert_eq!(snapshot.folder, folder.join("snapshots").join(commit('a')));
    let link = fs::read_link(snapshot.folder.join("config.json")).unwrap();
    assert!(link.starts_with("../../blobs") && names(&folder.join("blobs")).len() == 3, "{link:?}");

    assert_eq!(downloads(&hub), ["config.json", "model.safetensors", "vocab.txt"]);
    assert_eq!(model(&settings, MODEL).unwrap(), snapshot);
    assert!(downloads(&hub).is_empty());
}

#[test]
fn revisions_have_their_own_files_and_share_equal_ones() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    model(&settings, MODEL).unwrap();
    let newer: [(&str, &[u8]); 3] =
        [("config.json", b"{}"), ("vocab.txt", VOCAB), ("model.safetensors", &weights())];
    hub.put("models/owner/small-model", "refs%2Fpr%2F1", &commit('b'), &newer);
    hub.take_requests();
    let branch = model(&settings, "owner/small-model@refs/pr/1").unwrap();
    assert_eq!(downloads(&hub), ["config.json"]);
    assert_eq!(fs::read(branch.folder.join("config.json")).unwrap(), b"{}");
    assert_eq!(branch.commit, commit('b'));
    let pinned = model(&settings, &format!("owner/small-model@{}", commit('b'))).unwrap();
    assert_eq!(pinned, branch);
    assert_eq!(model(&settings, MODEL).unwrap().commit, commit('a'));
}

#[test]
fn a_data_sets_split_comes_in_order() {
    let (hub, cache) = (TestHub::start(), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let files: [(&str, &[u8]); 5] = [
        ("README.md", b"# data"),
        ("big/train-00001-of-00002.parquet", b"second"),
        ("big/train-00000-of-00002.parquet", b"first"),
        ("big/test-00000-of-00001.parquet", b"test"),
        ("small/train-00000-of-00001.parquet", b"small"),
    ];
    hub.put("datasets/owner/texts", "main", &commit('c'), &files);
    let snapshot = dataset(&settings, "owner/texts/big:train").unwrap();
    let contents: Vec<_> = snapshot.files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(contents, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(downloads(&hub).len(), 2);
    assert!(snapshot.folder.starts_with(cache.path().join("datasets--owner--texts")));

    let error = dataset(&settings, "owner/texts:train").unwrap_err();
    assert_eq!(error.to_string(), "data set `owner/texts:train`: it is in several folders: `big`, `small`");
    let offline = Settings { offline: true, ..settings };
    assert_eq!(dataset(&offline, "owner/texts/big:train").unwrap(), snapshot);
    assert!(matches!(
        dataset(&offline, "owner/texts/big:test").unwrap_err().problem,
        Problem::Offline { .. }
    ));
}

#[test]
fn without_a_network_the_cache_serves_or_says_what_it_lacks() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let offline = Settings { offline: true, ..gone(&settings) };
    let text = |settings: &Settings| model(settings, MODEL).unwrap_err().to_string();
    assert!(text(&offline).ends_with("is not enough: nothing of revision `main`"), "{}", text(&offline));

    Hub::new(settings.clone()).model(&reference(MODEL), Files::WithoutWeights, &|_| {}).unwrap();
    assert!(text(&offline).ends_with("is not enough: neither `model.safetensors` nor `pytorch_model.bin`"));
    assert!(text(&gone(&settings)).contains("cannot reach http://127.0.0.1:9"));

    let snapshot = model(&settings, MODEL).unwrap();
    hub.take_requests();
    let same_place = Settings { offline: true, ..settings.clone() };
    assert_eq!(model(&same_place, MODEL).unwrap(), snapshot);
    assert!(hub.take_requests().is_empty());
    assert_eq!(model(&gone(&settings), MODEL).unwrap(), snapshot);
    assert_eq!(model(&offline, &format!("{MODEL}@{}", commit('a'))).unwrap(), snapshot);
    fs::remove_file(fs::canonicalize(snapshot.folder.join("vocab.txt")).unwrap()).unwrap();
    assert!(text(&offline).ends_with("no tokenizer in a format that can be read"));
}

#[test]
fn refusals_are_told_apart() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let problem = |text: &str| model(&settings, text).unwrap_err().problem;
    assert!(matches!(problem("owner/other"), Problem::NoRepository));
    assert!(matches!(problem("owner/small-model@v9"), Problem::NoRevision(name) if name == "v9"));
    assert!(matches!(problem("owner/small-model:train"), Problem::ModelWithFolder));
    hub.fail_next("config.json", Fault::Status(404, "EntryNotFound"));
    assert!(matches!(problem(MODEL), Problem::NoFile(name) if name == "config.json"));
    hub.fail_next("blobs=true", Fault::Status(503, ""));
    assert!(matches!(problem(MODEL), Problem::Refused { status: 503, .. }));
    hub.put("models/owner/tf-only", "main", &commit('d'), &[("config.json", CONFIG), ("tf_model.h5", b"x")]);
    assert!(matches!(problem("owner/tf-only"), Problem::NoWeights));

    let code = |text: &str| AppError::from(model(&settings, text).unwrap_err()).exit_code();
    assert_eq!(code("owner/other"), 2);
    hub.fail_next("blobs=true", Fault::Status(503, ""));
    assert_eq!(code(MODEL), 5);
}

/// Who asks, and the hub's refusal, decide what there is to do: which page to open, which token to set.
#[test]
fn a_gated_or_private_model_says_what_to_accept_and_which_token_to_set() {
    let (hub, cache) = hub_with_model();
    let nobody = hub.settings(cache.path());
    let somebody = Settings { token: Some("hf_some".into()), ..nobody.clone() };
    let page = format!("{}/{MODEL}", nobody.endpoint);
    for (settings, status, code, said, hints) in [
        (&nobody, 401, "GatedRepo", "it is gated", &["accept its conditions", "HF_TOKEN", &page][..]),
        (&nobody, 403, "GatedRepo", "it is gated", &["accept its conditions", "HF_TOKEN", &page]),
        (&nobody, 401, "RepoNotFound", "private or gated", &["check the name", "HF_TOKEN", &page]),
        (&nobody, 403, "", "private or gated", &["HF_TOKEN", &page]),
        (&somebody, 403, "GatedRepo", "no access", &["accept its conditions", "HF_TOKEN", &page]),
        (&somebody, 401, "GatedRepo", "no access", &["accept its conditions", "HF_TOKEN", &page]),
        (&somebody, 401, "RepoNotFound", "no such repository", &["check the name", "HF_TOKEN"]),
        (&somebody, 401, "", "rejects the token", &["HF_TOKEN"]),
    ] {
        hub.fail_next("config.json", Fault::Status(status, code));
        let error = model(settings, MODEL).unwrap_err();
        assert!(error.to_string().contains(said), "{status} {code}: {error}");
        for hint in hints {
            assert!(error.hint().contains(hint), "{status} {code}: no `{hint}` in {}", error.hint());
        }
    }
}

#[test]
fn a_gated_model_needs_the_right_token() {
    let (hub, cache) = hub_with_model();
    hub.require("hf_right");
    let with = |token: &str| Settings { token: Some(token.into()), ..hub.settings(cache.path()) };
    let error = model(&hub.settings(cache.path()), MODEL).unwrap_err();
    assert!(matches!(error.problem, Problem::NeedsToken) && error.hint().contains("HF_TOKEN"));
    assert!(matches!(model(&with("hf_wrong"), MODEL).unwrap_err().problem, Problem::TokenRejected));
    hub.take_requests();
    model(&with("hf_right"), MODEL).unwrap();
    // Large files come from another host, which must not learn the token.
    let (elsewhere, hubs): (Vec<_>, Vec<_>) =
        hub.take_requests().into_iter().partition(|request| request.path.starts_with("/cdn/"));
    assert_eq!((elsewhere.len(), hubs.len()), (1, 4));
    assert!(elsewhere.iter().all(|request| request.token.is_none()));
    assert!(hubs.iter().all(|request| request.token.as_deref() == Some("hf_right")));
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    hub.fail_next("model.safetensors", Fault::Cut(1_000_000));
    let snapshot = model(&settings, MODEL).unwrap();
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    let ranges: Vec<_> = hub.take_requests().into_iter().filter_map(|request| request.range).collect();
    assert_eq!(ranges, ["bytes=1000000-", "bytes=1000000-"], "asked again, and followed the redirect");
}

#[test]
fn a_download_that_stays_broken_leaves_no_file_and_goes_on_at_the_next_call() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let folder = cache.path().join("models--owner--small-model");
    hub.fail_next("model.safetensors", Fault::Cut(1_000_000));
    hub.fail_next("model.safetensors", Fault::Cut(0));
    let problem = model(&settings, MODEL).unwrap_err().problem;
    assert!(matches!(problem, Problem::CutShort { received: 1_000_000, size: 2_400_000, .. }), "{problem}");
    assert_eq!(names(&folder.join("snapshots").join(commit('a'))), ["config.json"]);
    assert_eq!(fs::metadata(partial(&folder.join("blobs"))).unwrap().len(), 1_000_000);
    assert!(!folder.join("refs/main").exists());

    // A server that knows no ranges gives the whole file anew.
    hub.fail_next("model.safetensors", Fault::Whole);
    let snapshot = model(&settings, MODEL).unwrap();
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    assert!(names(&folder.join("blobs")).iter().all(|name| !name.contains('.')));
}

#[test]
fn a_wrong_sum_is_refused_and_forgotten() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let blobs = cache.path().join("models--owner--small-model/blobs");
    for (file, kept) in [("config.json", 0), ("model.safetensors", 1)] {
        hub.fail_next(file, Fault::Wrong);
        let problem = model(&settings, MODEL).unwrap_err().problem;
        assert!(matches!(&problem, Problem::WrongSum(name) if name == file), "{problem}");
        assert_eq!(names(&blobs).len(), kept);
    }
    model(&settings, MODEL).unwrap();
}

#[test]
fn a_file_that_lost_its_end_comes_again() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let snapshot = model(&settings, MODEL).unwrap();
    hub.take_requests();
    let vocabulary = snapshot.folder.join("vocab.txt");
    fs::write(&vocabulary, &VOCAB[..5]).unwrap();
    assert_eq!(model(&settings, MODEL).unwrap(), snapshot);
    assert_eq!(fs::read(&vocabulary).unwrap(), VOCAB);
    assert_eq!(downloads(&hub), ["vocab.txt"]);
}

#[test]
fn no_path_leads_out_of_the_cache() {
    let (hub, cache) = hub_with_model();
    let folder = cache.path().join("hub");
    for path in ["../../escaped", "/tmp/escaped", "a/../../escaped"] {
        hub.put("models/owner/evil", "main", &commit('e'), &[("config.json", CONFIG), (path, b"x")]);
        let problem = model(&hub.settings(&folder), "owner/evil").unwrap_err().problem;
        assert!(matches!(&problem, Problem::UnsafePath(_)), "{problem}");
    }
    assert!(names(cache.path()).is_empty() && downloads(&hub).is_empty());
}

#[test]
fn a_full_disk_is_named() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    let blobs = cache.path().join("models--owner--small-model/blobs");
    hub.fail_next("model.safetensors", Fault::Cut(0));
    model(&settings, MODEL).unwrap_err();
    let partial = partial(&blobs);
    fs::remove_file(&partial).unwrap();
    std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
    let error = model(&settings, MODEL).unwrap_err();
    assert!(matches!(&error.problem, Problem::DiskFull(path) if *path == partial), "{error}");
}

#[test]
fn two_at_once_download_once() {
    let (hub, cache) = hub_with_model();
    let settings = hub.settings(cache.path());
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| model(&settings, MODEL).unwrap()));
        let [first, second] = both.map(|thread| thread.join().unwrap());
        assert_eq!(first, second);
    });
    let mut downloads = downloads(&hub);
    downloads.sort_unstable();
    assert_eq!(downloads, ["config.json", "model.safetensors", "vocab.txt"]);
}
