//! The laws of the table: every setting has its row, and a row reads what it writes.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::*;

/// Some values of a domain, its bounds among them, and one that it does not hold.
fn values(domain: &Domain) -> (Vec<Setting>, Setting) {
    let texts = |all: &[&str]| Setting::Texts(all.iter().map(ToString::to_string).collect());
    match domain {
        Domain::Text => (vec![Setting::Text("name".to_owned())], Setting::Text(String::new())),
        Domain::Texts => (vec![texts(&["query", "value"])], texts(&[])),
        Domain::TextsOrNone => (vec![texts(&[]), texts(&["pooler"])], Setting::Null),
        Domain::Counts => (vec![Setting::Counts(vec![0, 3])], Setting::Counts(Vec::new())),
        Domain::Count(least, most) => {
            (vec![Setting::Count(*least), Setting::Count(*most)], Setting::Number(1.5))
        }
        Domain::Number(_) => (vec![Setting::Number(0.25)], Setting::Number(-1.0)),
        Domain::Flag => (vec![Setting::Flag(true), Setting::Flag(false)], Setting::Null),
        Domain::Choice(words) => (words.iter().map(|word| Setting::Word(word)).collect(), Setting::Word("?")),
        Domain::OrNull(inner) => {
            let (mut all, wrong) = values(inner);
            all.push(Setting::Null);
            (all, wrong)
        }
    }
}

fn configuration(method: Method) -> Configuration {
    let id = "00000000000000aa".parse().unwrap();
    Configuration { id, task: "t".to_owned(), model: "m".to_owned(), method, training: Training::new(1e-3) }
}

#[test]
fn a_row_reads_what_it_writes() {
    for axis in AXES.iter().filter(|axis| matches!(axis.access, Access::Lora(..) | Access::Training(..))) {
        let (values, wrong) = values(&axis.domain);
        assert!(!axis.domain.holds(&wrong), "{}", axis.name);
        for value in values {
            assert!(axis.domain.holds(&value), "{}: {value}", axis.name);
            for kind in [MethodKind::Lora, MethodKind::Dora] {
                let mut one = configuration(Method::of(kind));
                assert!(
                    axis.set(&mut one.method, &mut one.training, &value).is_some(),
                    "{}: {value}",
                    axis.name
                );
                assert_eq!(axis.get(&one), Some(value.clone()), "{}", axis.name);
            }
        }
    }
    for kind in MethodKind::WORDS {
        let kind = MethodKind::of_setting(&Setting::Word(kind)).unwrap();
        assert_eq!(
            AXES[row("method")].get(&configuration(Method::of(kind))),
            Some(Setting::Word(kind.name()))
        );
    }
}

/// The names of all fields of a type: this does not compile while one of them is not named.
macro_rules! fields {
    ($type:ident { $($field:ident),+ $(,)? }) => {{
        let $type { $($field: _),+ } = $type::default();
        BTreeSet::from([$(stringify!($field)),+])
    }};
}

#[test]
fn every_setting_has_a_row() {
    let rows = |is: fn(Access) -> bool| -> BTreeSet<&str> {
        AXES.iter().filter(|axis| is(axis.access)).map(|axis| axis.name).collect()
    };
    let mut training = fields!(Training {
        learning_rate,
        epochs,
        batch_size,
        accumulation,
        schedule,
        warmup,
        weight_decay,
        clip_norm,
        beta1,
        beta2,
        epsilon,
        evaluate_every,
        evaluate_rows,
        keep,
        seed,
        precision,
        label_smoothing,
        recompute,
        keep_by,
    });
    assert!(training.remove("keep_by"), "it follows from the whole sweep, and no grid can vary it");
    assert_eq!(training, rows(|access| matches!(access, Access::Training(..))));
    let lora = fields!(Lora {
        rank,
        alpha,
        dropout,
        targets,
        rslora,
        modules_to_save,
        layers_to_transform,
        lora_plus
    });
    assert_eq!(lora, rows(|access| matches!(access, Access::Lora(..))));
    let names: BTreeSet<&str> = AXES.iter().map(|axis| axis.name).collect();
    assert_eq!(names.len(), COUNT, "two rows have one name");
}

#[test]
fn a_default_is_one_of_the_domain_and_is_told() {
    for axis in &AXES {
        let Some(default) = axis.default() else { continue };
        assert!(axis.domain.holds(&default), "{}: {default}", axis.name);
        assert!(axis.description().contains("(default: "), "{}", axis.name);
    }
    let told = |name: &str| AXES[row(name)].description();
    assert!(told("rank").ends_with("(default: 8)") && told("epsilon").ends_with("(default: 1e-8)"));
    assert!(
        told("evaluate_every").ends_with("(default: null)")
            && told("schedule").ends_with("(default: linear)")
    );
}

#[test]
fn slots_of_a_pack_differ_in_what_its_row_allows_and_in_nothing_else() {
    let of = |method: &Method, training: &Training| {
        PackKey::of(&Configuration { training: training.clone(), ..configuration(method.clone()) })
    };
    let (method, training) = (Method::of(MethodKind::Lora), Training::new(1e-3));
    for axis in AXES.iter().filter(|axis| !matches!(axis.name, "task" | "model" | "method")) {
        let (mut other_method, mut other) = (method.clone(), training.clone());
        let is_other = |value: &Setting| axis.get(&configuration(method.clone())).as_ref() != Some(value);
        let value = values(&axis.domain).0.into_iter().find(is_other).unwrap();
        axis.set(&mut other_method, &mut other, &value).unwrap();
        let same = of(&method, &training) == of(&other_method, &other);
        assert_eq!(same, axis.within_pack == WithinPack::MayDiffer, "{}", axis.name);
    }
    let kinds: BTreeSet<&MethodKind> = MethodKind::ALL.iter().collect();
    let keys: std::collections::HashSet<PackKey> =
        kinds.iter().map(|kind| of(&Method::of(**kind), &training)).collect();
    assert_eq!(keys.len(), kinds.len(), "methods train apart");
}

#[test]
fn what_is_decided_is_told_by_every_axis_that_decides() {
    for axis in AXES.iter().filter(|axis| matches!(axis.access, Access::Training(..))) {
        let (mut method, mut training) = (Method::of(MethodKind::Lora), Training::new(1e-3));
        let first = axis.get(&configuration(method.clone()));
        let other = values(&axis.domain).0.into_iter().find(|value| first.as_ref() != Some(value)).unwrap();
        axis.set(&mut method, &mut training, &other).unwrap();
        assert_eq!(training.deciding() == Training::new(1e-3), !axis.decides, "{}", axis.name);
    }
}

#[test]
fn settings_that_do_not_apply_are_null_in_json() {
    let json = serde_json::to_value(Settings(&configuration(Method::Base))).unwrap();
    assert_eq!(json.as_object().unwrap().len(), COUNT);
    assert_eq!((&json["method"], &json["rank"], &json["epochs"]), (&"base".into(), &Json::Null, &Json::Null));
    let json = serde_json::to_value(Settings(&configuration(Method::of(MethodKind::Lora)))).unwrap();
    assert_eq!(
        (&json["rank"], &json["clip_norm"], &json["learning_rate"]),
        (&8.into(), &1.0.into(), &1e-3.into())
    );
}
