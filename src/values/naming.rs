//! Owns the names of configurations: a short one for each, different from all others.

use super::{Axis, Configuration, MethodKind, axes};

/// What distinguishes configurations: for each method, the settings shown in its names.
#[derive(Debug)]
pub struct Naming(Vec<(MethodKind, Vec<&'static Axis>)>);

impl Naming {
    /// The naming of these configurations. Names show the settings in which configurations of the same method
    /// differ; an adapter's name always shows rank and alpha. The axes cover every setting, so no two names
    /// within one task are equal.
    #[must_use]
    pub fn of(configurations: &[&Configuration]) -> Self {
        let mut methods: Vec<(MethodKind, Vec<&Configuration>)> = Vec::new();
        for &one in configurations {
            match methods.iter_mut().find(|(method, _)| *method == one.method.kind()) {
                Some((_, alike)) => alike.push(one),
                None => methods.push((one.method.kind(), vec![one])),
            }
        }
        let named = |alike: &[&Configuration]| {
            let names = |axis: &&Axis| matches!(axis.name, "rank" | "alpha") || axis.varies(alike);
            axes::shown().filter(names).collect()
        };
        Self(methods.into_iter().map(|(method, alike)| (method, named(&alike))).collect())
    }

    /// A short name for each configuration, in the order given.
    #[must_use]
    pub fn labels(configurations: &[&Configuration]) -> Vec<String> {
        let naming = Self::of(configurations);
        configurations.iter().map(|one| naming.label(one)).collect()
    }

    /// The name of one of them.
    #[must_use]
    pub fn label(&self, one: &Configuration) -> String {
        let axes = self.0.iter().find(|(method, _)| *method == one.method.kind());
        let mut label = one.method.kind().title().to_owned();
        for axis in axes.iter().flat_map(|(_, axes)| axes) {
            if let Some(value) = axis.value(one) {
                label = format!("{label} {}{value}", axis.short);
            }
        }
        label
    }
}
