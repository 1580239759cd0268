//! Owns how much memory a training pass needs that computes its layers again on the way back (Chen et al. 2016): the
//! inputs of all of them, and what one of them needs at a time. Measures none.

use super::{Kept, WEIGHT, drops, kept_for_lengths, logits};
use crate::cost::count;
use crate::families::blueprint::{Gate, Layer};
use crate::families::{Architecture, Head, Place};
use crate::values::{Method, Precision};

/// What [`super::kept_per_row`] is where layers are computed again. Attention without dropout keeps no scores, since
/// its kernels compute them again themselves (Dao et al. 2022), and what the base computes has its precision.
pub(in crate::cost) fn kept_recomputing(
    (architecture, head): (&Architecture, Head),
    method: &Method,
    tokens: f64,
    precision: Precision,
) -> Kept {
    let blueprint = architecture.base(head);
    let (tokens, width) = (blueprint.computed_tokens(tokens), count(blueprint.width()));
    let layers = blueprint.layers.iter().enumerate().map(|(index, layer)| {
        let at = |place: Place| place.layer() == Some(index);
        of_layer(layer, width, tokens, precision)
            + kept_for_lengths((architecture, head), method, tokens, &at)
    });
    Kept {
        // The embedding's two are not computed again.
        activations: (count(blueprint.layers.len()) + 2.0) * WEIGHT * tokens * width,
        again: layers.fold(0.0, f64::max),
        logits: logits(architecture, head, tokens),
    }
}

/// Bytes that a layer of this width needs at most on the way back: at its beginning, with two gradients of the
/// feed-forward part's inner width, or later, when that part is done, with two of the scores.
fn of_layer(layer: &Layer, width: f64, tokens: f64, precision: Precision) -> f64 {
    let product = count(precision.bytes());
    let (attended, inner) = (count(layer.attention.output.d_in), count(layer.inner()));
    let mlp = layer.mlp.as_ref();
    // As in `super::kept_per_row`.
    let kept_inner = if mlp.is_some_and(|mlp| mlp.gate != Gate::Nothing) { 4.0 } else { 2.0 };
    let inner_mask = if mlp.is_some_and(|mlp| drops(&mlp.inner_dropout)) { WEIGHT } else { 0.0 };
    let dropouts = [layer.attention.output_dropout, mlp.and_then(|mlp| mlp.dropout)];
    let masks = count(dropouts.into_iter().filter(drops).count());
    let one_score = WEIGHT * count(layer.attention.heads) * tokens * tokens;
    let (scores, flowing_scores) =
        if drops(&layer.attention.dropout) { (3.0 * one_score, 2.0 * one_score) } else { (0.0, 0.0) };
    let of_mlp = tokens * inner * ((kept_inner + 2.0) * product + inner_mask);
    let rest = tokens * (WEIGHT * (4.0 + masks) * width + product * 4.0 * attended);
    rest + scores + of_mlp.max(flowing_scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::BertConfig;
    use crate::plan::example;

    const HEAD: Head = Head::Classifier { labels: 2 };

    fn kept(layers: usize, attention_dropout: f64, tokens: f64, precision: Precision) -> Kept {
        let config = BertConfig {
            num_hidden_layers: layers,
            attention_probs_dropout_prob: attention_dropout,
            ..BertConfig::default()
        };
        kept_recomputing((&Architecture::Bert(config), HEAD), &example::lora(8), tokens, precision)
    }

    #[test]
    fn a_further_layer_keeps_its_input_alone() {
        let [few, many] = [2, 12].map(|layers| kept(layers, 0.1, 512.0, Precision::Fp32));
        let input = 4.0 * 512.0 * count(BertConfig::default().hidden_size);
        assert_eq!((many.activations - few.activations, many.again), (10.0 * input, few.again));
    }

    #[test]
    fn only_attention_with_dropout_keeps_what_grows_with_the_square_of_a_row() {
        let again = |dropout, tokens| kept(2, dropout, tokens, Precision::Fp32).again;
        assert_eq!(again(0.0, 2048.0), 2.0 * again(0.0, 1024.0));
        assert!(again(0.1, 2048.0) > 3.0 * again(0.1, 1024.0));
        assert!(kept(2, 0.0, 512.0, Precision::Bf16).again < again(0.0, 512.0));
    }
}
