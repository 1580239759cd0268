//! Owns PEFT's rules for which modules have adapters, with which rank and alpha: names, regular expressions,
//! layers. Sees only names.

use fancy_regex::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Modules that the settings name.
#[derive(Clone, Debug, PartialEq)]
pub enum Modules {
    /// By name or by the last dotted part or parts of it.
    Named(Vec<String>),
    /// By a regular expression that matches the whole name, or a word such as `all-linear`.
    Pattern(String),
}

/// Which modules have adapters by name, and the sizes of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Modules with adapters.
    pub targets: Modules,
    /// Modules without adapters, even if they are targets.
    pub exclude: Option<Expression>,
    /// The layers in which named targets have adapters; all layers where empty.
    pub layers: Vec<usize>,
    /// What comes before the layer number in a name.
    pub stacks: Vec<Expression>,
    /// Inner width r.
    pub rank: Sizes<usize>,
    /// Numerator of the scale.
    pub alpha: Sizes<f64>,
}

/// A number for every module, with exceptions.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes<T> {
    /// For modules that no pattern matches.
    pub usual: T,
    /// The first pattern that matches the end of a module's name decides.
    pub patterns: Vec<(Expression, T)>,
}

/// A regular expression with its source text.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Expression {
    /// Matches a name that ends in it, from a dot on: PEFT's rule for rank and alpha.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn at_end(key: &str) -> Result<Self, String> {
        Self::new(key, &format!(r"^(?:.*\.)?(?:{key})$"))
    }

    /// Matches a whole name.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn whole(text: &str) -> Result<Self, String> {
        Self::new(text, &format!("^(?:{text})$"))
    }

    /// Matches a name that ends in one of these, from a dot on.
    ///
    /// # Errors
    /// Never: names are escaped.
    pub fn any_of(names: &[String]) -> Result<Self, String> {
        let escaped: Vec<_> = names.iter().map(|name| fancy_regex::escape(name)).collect();
        Self::new(&names.join("|"), &format!(r"^(?:.*\.)?(?:{})$", escaped.join("|")))
    }

    /// Matches a name with this text followed by a layer number, and captures the number.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn before_layer(text: &str) -> Result<Self, String> {
        Self::new(text, &format!(r"^(?:.*?\.)?(?:{text})\.(\d+)\."))
    }

    /// Matches a name with a layer number in it, after any text, and captures the number.
    ///
    /// # Errors
    /// Never.
    pub fn any_layer() -> Result<Self, String> {
        Self::new("", r"^.*?\.[^.]*\.(\d+)\.")
    }

    fn new(text: &str, pattern: &str) -> Result<Self, String> {
        let regex = Regex::new(pattern)
            .map_err(|error| format!("`{text}` is not a regular expression that is known here: {error}"))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// An expression that takes too long to decide matches nothing.
    fn fits(&self, name: &str) -> bool {
        self.regex.is_match(name).unwrap_or(false)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.regex.captures(name).ok()??.get(1)?.as_str().parse().ok()
    }
}

impl Rules {
    /// The same sizes for all of these modules.
    #[must_use]
    pub fn plain(targets: Vec<String>, rank: usize, alpha: f64) -> Self {
        Self {
            targets: Modules::Named(targets),
            exclude: None,
            layers: Vec::new(),
            stacks: Vec::new(),
            rank: Sizes { usual: rank, patterns: Vec::new() },
            alpha: Sizes { usual: alpha, patterns: Vec::new() },
        }
    }

    /// Whether a module whose name is among the targets gets an adapter.
    #[must_use]
    pub fn keep(&self, module: &str) -> bool {
        if self.exclude.as_ref().is_some_and(|exclude| exclude.fits(module)) {
            return false;
        }
        // A module named in full gets its adapter whatever its layer.
        let in_full = match &self.targets {
            Modules::Named(names) => names.iter().any(|name| name == module),
            Modules::Pattern(_) => true,
        };
        self.layers.is_empty()
            || in_full
            || self.layer(module).is_some_and(|layer| self.layers.contains(&layer))
    }

    /// The number of the layer that a module is in.
    fn layer(&self, module: &str) -> Option<usize> {
        self.stacks.iter().find_map(|stack| stack.number(module))
    }
}

impl<T: Copy> Sizes<T> {
    /// The number for a module.
    #[must_use]
    pub fn of(&self, module: &str) -> T {
        let fits = |(pattern, _): &&(Expression, T)| pattern.fits(module);
        self.patterns.iter().find(fits).map_or(self.usual, |(_, size)| *size)
    }
}

/// An object's entries in the order of the file, which decides where several patterns fit.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with a number for each pattern")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(layer: usize) -> String {
        format!("bert.encoder.layer.{layer}.attention.self.query")
    }

    fn rules(change: impl FnOnce(&mut Rules)) -> Rules {
        let mut rules = Rules::plain(vec!["query".to_owned()], 8, 16.0);
        change(&mut rules);
        rules
    }

    #[test]
    fn the_first_pattern_that_fits_a_names_end_decides() {
        let sizes = |keys: &[(&str, usize)]| Sizes {
            usual: 8,
            patterns: keys.iter().map(|(key, rank)| (Expression::at_end(key).unwrap(), *rank)).collect(),
        };
        assert_eq!(sizes(&[("query", 4)]).of(&query(3)), 4);
        assert_eq!(sizes(&[("uery", 4)]).of(&query(3)), 8, "a part of a name is no name");
        assert_eq!(sizes(&[("self.query", 4)]).of(&query(3)), 4);
        assert_eq!(sizes(&[("layer.3.*", 2), ("query", 4)]).of(&query(3)), 2);
        assert_eq!(sizes(&[("query", 4), ("layer.3.*", 2)]).of(&query(3)), 4);
        assert_eq!(sizes(&[("^.*(key|value)$", 2), ("query|value", 3)]).of(&query(3)), 3);
        assert_eq!(sizes(&[(r"layer\.(0|1)\.attention\.self\.query", 2)]).of(&query(1)), 2);
        assert_eq!(sizes(&[(&query(1), 5)]).of(&query(11)), 8);
        assert!(Expression::at_end("layer.(").unwrap_err().contains("`layer.(`"));
    }

    #[test]
    fn modules_are_left_out_by_name_by_expression_and_by_layer() {
        let named = rules(|rules| {
            rules.exclude = Some(Expression::any_of(&["0.attention.self.query".into()]).unwrap())
        });
        assert_eq!([0, 1, 10].map(|layer| named.keep(&query(layer))), [false, true, true]);
        let pattern = rules(|rules| rules.exclude = Some(Expression::whole(r".*layer\.[01]\..*").unwrap()));
        assert_eq!([0, 1, 2].map(|layer| pattern.keep(&query(layer))), [false, false, true]);
        let layers = rules(|rules| {
            rules.layers = vec![1, 11];
            rules.stacks = vec![Expression::any_layer().unwrap()];
        });
        assert_eq!([0, 1, 11].map(|layer| layers.keep(&query(layer))), [false, true, true]);
        let stacks = rules(|rules| {
            rules.layers = vec![1];
            rules.stacks = vec![Expression::before_layer("h").unwrap()];
        });
        assert!(!stacks.keep(&query(1)) && stacks.keep("transformer.h.1.attn.query"));
        let full = rules(|rules| {
            rules.targets = Modules::Named(vec![query(2)]);
            rules.layers = vec![1];
        });
        assert!(full.keep(&query(2)), "a name in full is in whatever layer it is");
    }

    #[test]
    fn entries_keep_the_order_of_the_file() {
        let Entries(read) = serde_json::from_str::<Entries<usize>>(r#"{"z": 1, "a": 2}"#).unwrap();
        assert_eq!(read, [("z".to_owned(), 1), ("a".to_owned(), 2)]);
    }
}
