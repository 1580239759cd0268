//! Owns how many floating-point operations a row costs, by architecture and method.

use crate::arch::{Architecture, BertConfig};
use crate::plan::cost::count;
use crate::trial::{Lora, Method};

/// Floating-point operations for one row of text; a multiply-add counts as two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowFlops {
    /// To evaluate it.
    pub forward: f64,
    /// To train on it: forward and backward.
    pub training: f64,
}

/// Operations for one row of `tokens` tokens. Matrix products only: the rest is small beside them.
///
/// Training every weight costs three times the forward pass (each product once more for its input's
/// gradient and once more for its weight's). Training adapters spares the frozen weights' gradients,
/// and nothing flows back below the lowest adapted layer.
#[must_use]
pub fn per_row(architecture: &Architecture, method: &Method, tokens: f64) -> RowFlops {
    let Architecture::Bert(config) = architecture;
    let layers: Vec<Layer> = (0..config.num_hidden_layers).map(|n| Layer::of(config, n, tokens)).collect();
    let forward: f64 = layers.iter().map(Layer::forward).sum();
    let (extra, backward) = match method {
        Method::Full | Method::Scratch => (0.0, 2.0 * forward),
        Method::Base => (0.0, 0.0),
        Method::Lora(lora) => {
            let adapters = adapter_products(architecture, lora, tokens);
            (adapters, 2.0 * adapters + backward_to_adapters(architecture, lora, &layers))
        }
    };
    RowFlops { forward: 2.0 * (forward + extra), training: 2.0 * (forward + extra + backward) }
}

/// Multiply-adds of one encoder layer for one row.
struct Layer {
    /// Query, key and value.
    projections: f64,
    /// Scores and their weighted sum.
    attention: f64,
    /// Everything behind the attention.
    rest: f64,
}

impl Layer {
    /// A classifier reads the first token only, so of the last layer's queries and of all that
    /// comes behind them just one token is computed.
    fn of(config: &BertConfig, index: usize, tokens: f64) -> Self {
        let (hidden, inner) = (count(config.hidden_size), count(config.intermediate_size));
        let read = if index + 1 == config.num_hidden_layers { 1.0 } else { tokens };
        Self {
            projections: hidden * hidden * (2.0 * tokens + read),
            attention: 2.0 * read * tokens * hidden,
            rest: read * (hidden * hidden + 2.0 * hidden * inner),
        }
    }

    fn forward(&self) -> f64 {
        self.projections + self.attention + self.rest
    }
}

/// Multiply-adds for gradients with respect to activations, from the head down to the lowest layer
/// with an adapter; in that layer they stop at the attention.
fn backward_to_adapters(architecture: &Architecture, lora: &Lora, layers: &[Layer]) -> f64 {
    let targets = architecture.lora_targets(&lora.targets);
    let Some(lowest) = targets.iter().filter_map(|target| layer_index(&target.name)).min() else {
        return 0.0;
    };
    let flowing: f64 = layers.iter().skip(lowest).map(|l| l.projections + 2.0 * l.attention + l.rest).sum();
    flowing - layers.get(lowest).map_or(0.0, |layer| layer.projections)
}

fn layer_index(module: &str) -> Option<usize> {
    module.split('.').skip_while(|part| *part != "layer").nth(1)?.parse().ok()
}

fn adapter_products(architecture: &Architecture, lora: &Lora, tokens: f64) -> f64 {
    let targets = architecture.lora_targets(&lora.targets);
    targets.iter().map(|target| count(lora.rank * (target.d_in + target.d_out))).sum::<f64>() * tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    /// In units of hidden × hidden multiply-adds per token.
    fn products(method: &Method, layers: usize) -> RowFlops {
        let (hidden, tokens) = (1 << 20, 1024.0);
        let architecture = Architecture::Bert(BertConfig {
            hidden_size: hidden,
            intermediate_size: 4 * hidden,
            num_hidden_layers: layers,
            ..BertConfig::default()
        });
        let unit = 2.0 * count(hidden) * count(hidden) * tokens;
        let flops = per_row(&architecture, method, tokens);
        RowFlops { forward: flops.forward / unit, training: flops.training / unit }
    }

    #[test]
    fn products_per_token_of_a_wide_model_are_those_counted_by_hand() {
        let close = |found: f64, counted: f64| assert!((found - counted).abs() < 0.05, "{found} {counted}");
        // Layer 1: query, key, value, output and eight for the feed-forward. Layer 2: key, value.
        close(products(&Method::Full, 2).forward, 14.0);
        close(products(&Method::Full, 2).training, 42.0);
        // Backward: key and value of layer 2, feed-forward and output of layer 1.
        close(products(&example::lora(1), 2).training, 14.0 + 2.0 + 9.0);
        close(products(&example::lora(1), 1).training, 2.0);
        close(products(&Method::Scratch, 4).training, 3.0 * 38.0);
    }

    #[test]
    fn a_higher_rank_costs_more_and_adapters_less_than_everything() {
        let costs = [example::lora(4), example::lora(64), Method::Full].map(|m| products(&m, 2).training);
        assert!(costs.is_sorted(), "{costs:?}");
    }
}
