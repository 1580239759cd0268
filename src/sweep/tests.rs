//! The laws of ids: equal content, equal id; anything that decides a result changes it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::families::{Architecture, Weights};
use crate::plan::example;
use crate::tasks::{Classification, FileFormat, Objective};
use crate::values::{Metric, *};

/// A task, and a model whose weights are in a folder.
fn given() -> (Task, ModelSpec) {
    let sweep = example::sweep();
    let mut model = sweep.models["minilm-2"].clone();
    model.weights = folder("a/model", "pretrained");
    ((**sweep.first_task()).clone(), model)
}

fn folder(path: &str, content: &str) -> Weights {
    Weights::Folder { path: PathBuf::from(path), content: ContentHash::of_bytes(content.as_bytes()) }
}

fn settings() -> Training {
    example::sweep().configurations[0].training.clone()
}

fn id(task: &Task, model: &ModelSpec, method: Method) -> ConfigurationId {
    Configuration::new(task, model, method, settings()).id
}

#[test]
fn names_and_paths_leave_an_id_as_it_is() {
    let (task, model) = given();
    let mut moved = task.clone();
    moved.train.path = PathBuf::from("/elsewhere/train.csv");
    let renamed = ModelSpec {
        name: "another name".to_owned(),
        weights: folder("/elsewhere", "pretrained"),
        tokenizer: PathBuf::from("/elsewhere/vocab.txt"),
        ..model.clone()
    };
    for method in [example::lora(4), Method::Full, Method::Scratch] {
        assert_eq!(id(&task, &model, method.clone()), id(&moved, &renamed, method));
    }
}

#[test]
fn weights_decide_what_starts_from_them_and_nothing_else() {
    let (task, model) = given();
    let others = [folder("a/model", "tuned further"), Weights::Random { seed: 42 }];
    for weights in others {
        let other = ModelSpec { weights, ..model.clone() };
        for method in [example::lora(4), Method::Full] {
            assert_ne!(id(&task, &model, method.clone()), id(&task, &other, method));
        }
        assert_eq!(id(&task, &model, Method::Scratch), id(&task, &other, Method::Scratch));
    }
}

#[test]
fn methods_data_and_shapes_decide() {
    let (task, model) = given();
    let mut ids = BTreeSet::from([id(&task, &model, Method::Full), id(&task, &model, Method::Scratch)]);
    let Method::Lora(lora) = example::lora(4) else { unreachable!("it is an adapter") };
    let adapters = [
        lora.clone(),
        Lora { rank: 8, ..lora.clone() },
        Lora { alpha: 8.0, ..lora.clone() },
        Lora { dropout: 0.0, ..lora.clone() },
        Lora { targets: vec!["query".to_owned()], ..lora.clone() },
        Lora { layers_to_transform: Some(vec![0]), ..lora.clone() },
        Lora { lora_plus: 16.0, ..lora.clone() },
        Lora { rslora: true, ..lora.clone() },
    ];
    ids.insert(id(&task, &model, Method::Dora(lora.clone())));
    ids.extend(adapters.map(|lora| id(&task, &model, Method::Lora(lora))));
    let changes: [fn(&mut Task); 17] = [
        |task| task.train.content = ContentHash::of_bytes(b"other rows"),
        |task| task.validation = Some(task.train.clone()),
        |task| task.test = None,
        |task| classes(task).text.push("title".to_owned()),
        |task| classes(task).pair.push("title".to_owned()),
        |task| classes(task).labels.reverse(),
        |task| classes(task).dropped_labels.extend(["-".to_owned()]),
        |task| task.reading.format = Some(FileFormat::Tsv),
        |task| task.reading.separator = Some(';'),
        |task| task.reading.quote = Some('\''),
        |task| task.reading.quoting = Some(false),
        |task| task.reading.encoding = Some("UTF-16LE".to_owned()),
        |task| task.cleaning.strip_html = true,
        |task| task.test_fraction = Some(0.2),
        |task| task.max_length = 64,
        |task| task.rows = None,
        |task| task.sample_seed = 7,
    ];
    for change in changes {
        let mut other = task.clone();
        change(&mut other);
        ids.insert(id(&other, &model, Method::Full));
    }
    let Architecture::Bert(mut bert) = model.architecture.clone() else { panic!("it is a BERT") };
    bert.num_hidden_layers = 1;
    let shallow = ModelSpec { architecture: Architecture::Bert(bert), ..model.clone() };
    ids.insert(id(&task, &shallow, Method::Full));
    let tokenizer_content = ContentHash::of_bytes(b"other words");
    ids.insert(id(&task, &ModelSpec { tokenizer_content, ..model }, Method::Full));
    assert_eq!(ids.len(), 2 + 1 + 8 + changes.len() + 2);
}

#[test]
fn every_training_setting_decides() {
    let (task, model) = given();
    let changes: [fn(&mut Training); 18] = [
        |t| t.learning_rate *= 2.0,
        |t| t.epochs = 0.5,
        |t| t.batch_size = 7,
        |t| t.accumulation = 3,
        |t| t.schedule = Schedule::Cosine,
        |t| t.warmup = 0.5,
        |t| t.weight_decay = 0.01,
        |t| t.clip_norm = None,
        |t| t.beta1 = 0.8,
        |t| t.beta2 = 0.99,
        |t| t.epsilon = 1e-6,
        |t| t.evaluate_every = Some(3),
        |t| t.evaluate_rows = Some(3),
        |t| t.keep = Keep::Best,
        |t| t.seed = 7,
        |t| t.precision = Precision::Bf16,
        |t| t.label_smoothing = 0.1,
        |t| t.keep_by = Some(Metric::MacroF1),
    ];
    let all = Training {
        precision: Precision::Bf16,
        label_smoothing: 0.1,
        keep_by: Some(Metric::MacroF1),
        evaluate_rows: Some(3),
        ..settings()
    };
    // A setting that is added to the loop has to be added above, unless no result depends on it.
    let fields = serde_json::to_value(all).unwrap().as_object().unwrap().len();
    assert_eq!(changes.len(), fields);
    let mut ids = BTreeSet::from([id(&task, &model, Method::Full)]);
    for change in changes {
        let mut training = settings();
        change(&mut training);
        ids.insert(Configuration::new(&task, &model, Method::Full, training).id);
    }
    assert_eq!(ids.len(), 1 + fields);
    let recomputing = Training { recompute: true, ..settings() };
    assert!(!ids.insert(Configuration::new(&task, &model, Method::Full, recomputing).id));
}

#[test]
fn a_trials_id_knows_its_split_and_not_its_place_in_the_grid() {
    let sweep = example::sweep();
    let trials = sweep.trials();
    let sweep = sweep.with(|sweep| sweep.configurations.reverse()).unwrap();
    let [ids, turned] = [trials, sweep.trials()]
        .map(|trials| trials.into_iter().map(|trial| trial.id).collect::<BTreeSet<_>>());
    assert_eq!(ids, turned);
    assert_eq!(ids.len(), sweep.configurations.len() * sweep.splitting.splits());
    let point = &sweep.configurations[0];
    let split = |splitting| Trial::new(point, splitting, 0).id;
    let fold = |k, seed| split(Splitting::KFold { k, stratified: true, seed });
    let ways = [
        fold(3, 1),
        fold(4, 1),
        fold(3, 2),
        split(Splitting::File),
        split(Splitting::HoldOut { fraction: 0.2, stratified: true, seed: 1 }),
    ];
    assert_eq!(BTreeSet::from(ways).len(), ways.len());
}

fn classes(task: &mut Task) -> &mut Classification {
    let Objective::Classification(classes) = &mut task.objective else { panic!("it classifies") };
    classes
}
