//! Owns the number of floating-point operations per row and per pass, by architecture and method. Knows no time.

use crate::cost::count;
use crate::families::blueprint::{Attention, Linear, Mlp, Output, Projections, Step};
use crate::families::{Architecture, Blueprint, Head, Place};
use crate::values::{Lora, Method};

/// Floating-point operations for one row of text; a multiply-add counts as two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowFlops {
    /// To evaluate it.
    pub forward: f64,
    /// To train on it: forward and backward.
    pub training: f64,
    /// The part of either that all adapters on the same row share: the layers below the lowest adapted one, and
    /// that layer's frozen queries, keys and values.
    pub trunk: f64,
    /// What training on it takes besides where layers are computed again: the forward pass of all layers but the
    /// trunk's, Chen et al. 2016.
    pub again: f64,
    /// For each pass of a slot through the model, forward or training, whatever the number of its rows: the lengths
    /// of the rows of DoRA's weights.
    pub pass: f64,
}

/// Operations for one row of `tokens` tokens. Only matrix products count; all else is small in comparison.
///
/// Training every weight costs three forward passes: each product is repeated once for its input's gradient and
/// once for its weight's. Training adapters needs no gradients of frozen weights, and the backward pass stops
/// at the lowest adapted layer.
#[must_use]
pub fn per_row(architecture: &Architecture, head: Head, method: &Method, tokens: f64) -> RowFlops {
    let (blueprint, output) = (architecture.base(head), architecture.output(head));
    let tokens = blueprint.computed_tokens(tokens);
    let layers = layers(&blueprint, output.as_ref(), tokens);
    let output = output.map_or(0.0, |output| output_products(&blueprint, &output, tokens));
    let of_layers: f64 = layers.iter().map(Layer::forward).sum();
    let forward = of_layers + output;
    let Products { extra, backward, trunk, again, pass } = match method {
        Method::Full | Method::Scratch => {
            Products { backward: 2.0 * forward, again: of_layers, ..Products::default() }
        }
        Method::Base => Products::default(),
        Method::Lora(lora) => of_adapters((architecture, head), lora, &layers, [output, tokens]),
        Method::Dora(lora) => {
            let adapters = of_adapters((architecture, head), lora, &layers, [output, tokens]);
            let again = products_after_dropout((architecture, head), lora, tokens);
            Products {
                backward: adapters.backward + again,
                pass: products_for_lengths((architecture, head), lora),
                ..adapters
            }
        }
    };
    let forward = forward + extra;
    RowFlops {
        forward: 2.0 * forward,
        training: 2.0 * (forward + backward),
        trunk: 2.0 * trunk,
        again: 2.0 * again,
        pass: 2.0 * pass,
    }
}

/// Multiply-adds of a method besides the model's own forward pass.
#[derive(Default)]
struct Products {
    /// Of the forward pass of a row.
    extra: f64,
    /// Of what training a row takes besides its forward pass.
    backward: f64,
    /// Of the forward pass of a row, those that all adapters share.
    trunk: f64,
    /// Of the forward pass of a row, those of layers through which a gradient flows.
    again: f64,
    /// Of a pass.
    pass: f64,
}

/// What adapters add for a row of so many tokens, beside an output layer of so many multiply-adds.
fn of_adapters(
    family: (&Architecture, Head),
    lora: &Lora,
    layers: &[Layer],
    [output, tokens]: [f64; 2],
) -> Products {
    let adapters = adapter_products(family, lora, tokens);
    let trained = trained_places(family, lora);
    let lowest = trained.iter().filter_map(|place| depth(*place, layers.len())).min();
    let flowing = lowest.map_or(0.0, |lowest| backward_to_adapters(layers, lowest));
    let trunk = lowest.filter(|_| !trained.contains(&Place::Embedding));
    let trunk = trunk.map_or(0.0, |lowest| below_adapters(layers, lowest));
    let of_layers: f64 = layers.iter().map(Layer::forward).sum();
    let again = lowest.map_or(0.0, |_| of_layers + adapters - trunk);
    Products { extra: adapters, backward: 2.0 * adapters + output + flowing, trunk, again, pass: 0.0 }
}

/// With dropout DoRA multiplies what it leaves of an input by the base's weight once more, and so does the backward
/// pass, except in the lowest layers.
fn products_after_dropout((architecture, head): (&Architecture, Head), lora: &Lora, tokens: f64) -> f64 {
    if lora.dropout == 0.0 {
        return 0.0;
    }
    let targets = architecture.adapted(head, lora);
    let lowest = targets.iter().filter_map(|target| target.place.layer()).min();
    let times = |place: Place| if place.layer() == lowest { 1.0 } else { 2.0 };
    targets.iter().map(|target| times(target.place) * count(target.d_in * target.d_out)).sum::<f64>() * tokens
}

/// A for each row of a base's weight, its products with itself, and both with B.
fn products_for_lengths((architecture, head): (&Architecture, Head), lora: &Lora) -> f64 {
    let of_target = |d_in: usize, d_out: usize| {
        count(lora.rank) * (count(d_in * d_out) + count(lora.rank * (d_in + d_out)))
    };
    architecture.adapted(head, lora).iter().map(|target| of_target(target.d_in, target.d_out)).sum()
}

/// Multiply-adds of the output layer for one row: all words or tags for every token, or all classes once.
fn output_products(blueprint: &Blueprint, output: &Output, tokens: f64) -> f64 {
    let words = &blueprint.embedding.words;
    match output {
        Output::TiedWords => tokens * count(words.rows * words.width),
        Output::Words(linear) => tokens * products(linear),
        Output::Text { .. } => output.linears().map(products).sum(),
        Output::Tokens { .. } => {
            let pooler = blueprint.pooler.iter().filter_map(Step::linear);
            tokens * output.linears().chain(pooler).map(products).sum::<f64>()
        }
    }
}

/// Multiply-adds of a linear layer for one token.
fn products(linear: &Linear) -> f64 {
    count(linear.d_in * linear.d_out)
}

/// Multiply-adds of one attention layer for one row.
struct Layer {
    /// Query, key and value.
    projections: f64,
    /// Scores and their weighted sum.
    attention: f64,
    /// Everything after the attention.
    rest: f64,
}

/// Where only the first token is asked of the last layer, it computes its queries, and everything after them, for
/// that one token.
fn layers(blueprint: &Blueprint, output: Option<&Output>, tokens: f64) -> Vec<Layer> {
    let asks_first_only = output.is_some_and(|output| blueprint.asks_first_only(output));
    let read_last = if asks_first_only { 1.0 } else { tokens };
    let last = blueprint.layers.len().saturating_sub(1);
    let layers = blueprint.layers.iter().enumerate();
    let layers = layers.map(|(index, layer)| {
        let read = if index == last { read_last } else { tokens };
        let Attention { projections, output, .. } = &layer.attention;
        let projections = match projections {
            Projections::Separate([query, key, value]) => {
                products(query) * read + (products(key) + products(value)) * tokens
            }
            Projections::Fused(all) => products(all) * tokens,
        };
        let mlp = layer.mlp.iter().flat_map(Mlp::linears).map(products).sum::<f64>();
        Layer {
            projections,
            attention: 2.0 * read * tokens * count(output.d_in),
            rest: read * (products(output) + mlp),
        }
    });
    layers.collect()
}

impl Layer {
    fn forward(&self) -> f64 {
        self.projections + self.attention + self.rest
    }
}

/// The places with adapters, or with modules that train as a whole.
fn trained_places((architecture, head): (&Architecture, Head), lora: &Lora) -> Vec<Place> {
    let adapted = architecture.adapted(head, lora).into_iter().map(|target| target.place);
    let saved = architecture.saved_tensors(head, &lora.modules_to_save);
    adapted.chain(saved.into_iter().map(|tensor| tensor.place)).collect()
}

/// Number of layers below a place of the base.
fn depth(place: Place, layers: usize) -> Option<usize> {
    match place {
        Place::Embedding => Some(0),
        Place::Layer(layer) => Some(layer),
        Place::Top => Some(layers),
        Place::Head => None,
    }
}

/// Multiply-adds for gradients with respect to activations, from the head down to the lowest layer
/// with an adapter; in that layer they stop at the attention.
fn backward_to_adapters(layers: &[Layer], lowest: usize) -> f64 {
    let flowing: f64 = layers.iter().skip(lowest).map(|l| l.projections + 2.0 * l.attention + l.rest).sum();
    flowing - layers.get(lowest).map_or(0.0, |layer| layer.projections)
}

/// Multiply-adds that are the same for all adapters.
fn below_adapters(layers: &[Layer], lowest: usize) -> f64 {
    let below: f64 = layers.iter().take(lowest).map(Layer::forward).sum();
    below + layers.get(lowest).map_or(0.0, |layer| layer.projections)
}

fn adapter_products((architecture, head): (&Architecture, Head), lora: &Lora, tokens: f64) -> f64 {
    let targets = architecture.adapted(head, lora);
    targets.iter().map(|target| count(lora.rank * (target.d_in + target.d_out))).sum::<f64>() * tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{BertConfig, Gpt2Config};
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
        let flops = per_row(&architecture, Head::Classifier { labels: 2 }, method, tokens);
        RowFlops {
            forward: flops.forward / unit,
            training: flops.training / unit,
            trunk: flops.trunk / unit,
            again: flops.again / unit,
            pass: flops.pass * tokens / unit,
        }
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
        // Computed again: everything, or all but the queries, keys and values of layer 1.
        close(products(&Method::Full, 2).again, 14.0);
        close(products(&example::lora(1), 2).again, 14.0 - 3.0);
    }

    #[test]
    fn dora_costs_its_lengths_in_every_pass_and_its_bases_again_after_dropout() {
        let close = |found: f64, counted: f64| assert!((found - counted).abs() < 0.05, "{found} {counted}");
        let of = |rank, dropout| {
            let lora = example::lora(rank).lora().unwrap().clone();
            [Method::Lora, Method::Dora].map(|method| products(&method(Lora { dropout, ..lora.clone() }), 2))
        };
        let [lora, dora] = of(8, 0.0);
        // Query and value of two layers.
        close(dora.pass, 4.0 * 8.0);
        assert_eq!(dora, RowFlops { pass: dora.pass, ..lora });
        let [lora, dora] = of(1, 0.1);
        // Forward in both layers, backward in the upper one.
        close(dora.training - lora.training, 4.0 + 2.0);
        assert_eq!((dora.forward, dora.trunk, lora.pass), (lora.forward, lora.trunk, 0.0));
    }

    #[test]
    fn slots_with_one_batch_share_all_below_the_first_adapter() {
        let close = |found: f64, counted: f64| assert!((found - counted).abs() < 0.05, "{found} {counted}");
        close(products(&example::lora(1), 2).trunk, 3.0);
        // Of a last layer's queries only the first token's are read.
        close(products(&example::lora(1), 1).trunk, 2.0);
        let Method::Lora(lora) = example::lora(1) else { panic!("an adapter") };
        let last = Method::Lora(Lora { targets: vec!["layer.2.attention.self.query".to_owned()], ..lora });
        close(products(&last, 3).trunk, 2.0 * 12.0 + 2.0);
        assert_eq!([Method::Full, Method::Scratch].map(|method| products(&method, 2).trunk), [0.0, 0.0]);
        let saving = |module: &str| {
            let Method::Lora(last) = &last else { panic!("an adapter") };
            let modules_to_save = vec![Lora::HEAD.to_owned(), module.to_owned()];
            products(&Method::Lora(Lora { modules_to_save, ..last.clone() }), 3).trunk
        };
        close(saving("layer.1.output"), 12.0 + 3.0);
        close(saving("pooler"), 2.0 * 12.0 + 2.0);
        close(saving("word_embeddings"), 0.0);
    }

    #[test]
    fn a_language_model_costs_two_operations_per_weight_and_token() {
        // Kaplan et al. 2020, section 2.1, with the output layer, which is the word embedding.
        let config = Gpt2Config { n_layer: 48, n_embd: 4096, ..Gpt2Config::default() };
        let positions = config.n_positions * config.n_embd;
        let architecture = Architecture::Gpt2(config);
        let weights: usize = architecture.tensors().iter().map(crate::families::TensorShape::numel).sum();
        let flops = per_row(&architecture, Head::LanguageModel, &Method::Full, 16.0);
        let expected = 2.0 * 16.0 * count(weights - positions);
        assert!((flops.forward / expected - 1.0).abs() < 0.01, "{} {expected}", flops.forward);
        assert!((flops.training / flops.forward - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_higher_rank_costs_more_and_adapters_less_than_everything() {
        let costs = [example::lora(4), example::lora(64), Method::Full].map(|m| products(&m, 2).training);
        assert!(costs.is_sorted(), "{costs:?}");
    }
}
