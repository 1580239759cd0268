//! Owns the settings of rotary positions in a decoder's `config.json`, as each version of transformers writes them.

use serde::{Deserialize, Serialize};

use super::DecoderConfig;
use crate::families::blueprint::{Rotary, Scaling};

/// Settings of rotary positions in a `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeConfig {
    /// How angles are scaled; `default` for not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_type: Option<String>,
    /// The same under its older name.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub older_type: Option<String>,
    /// The base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// What slow angles, or all, are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// See [`Scaling::Llama3`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f64>,
    /// See [`Scaling::Llama3`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f64>,
    /// See [`Scaling::Llama3`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<usize>,
    /// The share of a head's numbers that turns; only all of them are supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_rotary_factor: Option<f64>,
}

impl DecoderConfig {
    /// The settings that count: where there are older ones, transformers takes these for the whole.
    pub(super) fn rope(&self) -> Option<&RopeConfig> {
        let is_given = |rope: &&RopeConfig| **rope != RopeConfig::default();
        self.rope_scaling.as_ref().filter(is_given).or(self.rope_parameters.as_ref())
    }

    /// The base of rotary positions.
    pub(super) fn rope_base(&self) -> f64 {
        self.rope().and_then(|rope| rope.rope_theta).or(self.rope_theta).unwrap_or(10_000.0)
    }

    /// How angles are scaled, or the name of a scaling that is not supported.
    pub(super) fn scaling(&self) -> Result<Option<Scaling>, &str> {
        let Some(rope) = self.rope() else { return Ok(None) };
        let name = rope.kind();
        let scaling = match name {
            RopeConfig::UNSCALED => return Ok(None),
            "linear" => rope.factor.map(|factor| Scaling::Linear { factor }),
            "llama3" => rope.llama3(self.max_position_embeddings),
            _ => None,
        };
        scaling.filter(Scaling::is_possible).map(Some).ok_or(name)
    }

    /// The rotation of queries and keys.
    pub(super) fn rotary(&self) -> Rotary {
        // What is not supported was refused when the configuration was read.
        Rotary {
            width: self.head_width(),
            base: self.rope_base(),
            scaling: self.scaling().unwrap_or_default(),
        }
    }
}

impl RopeConfig {
    /// The name of angles that are not scaled.
    pub(in crate::families) const UNSCALED: &str = "default";

    /// The name of the way in which angles are scaled.
    pub(in crate::families) fn kind(&self) -> &str {
        let named = self.rope_type.as_deref().or(self.older_type.as_deref());
        named.unwrap_or(Self::UNSCALED)
    }

    /// Whether all numbers of a head turn.
    pub(in crate::families) fn turns_all(&self) -> bool {
        self.partial_rotary_factor.is_none_or(|share| (share - 1.0).abs() < f64::EPSILON)
    }

    fn llama3(&self, positions: usize) -> Option<Scaling> {
        #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
        let original = self.original_max_position_embeddings.unwrap_or(positions) as f64;
        let (low, high) = (self.low_freq_factor?, self.high_freq_factor?);
        Some(Scaling::Llama3 { factor: self.factor?, low, high, original })
    }
}
