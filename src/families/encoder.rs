//! Owns the parts that BERT has in common with the families made from it: embedding and layers
//! (Devlin et al. 2019), by the names that transformers gives them.

use super::blueprint::{
    Activation, Attention, Embedding, Layer, Linear, Mlp, Norm, Projections, Table, Wiring,
};
use super::tensors::Init;

/// The sizes and constants of an encoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    /// What stands before the names of all its tensors.
    pub(super) prefix: &'static str,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) inner: usize,
    pub(super) epsilon: f64,
    /// Standard deviation of fresh weights.
    pub(super) deviation: f64,
    pub(super) hidden_dropout: f64,
    pub(super) attention_dropout: f64,
}

impl Encoder {
    /// A linear layer of the encoder.
    pub(super) fn linear(&self, name: &str, size: [usize; 2]) -> Linear {
        Linear::new(format!("{}{name}", self.prefix), size, Init::Normal(self.deviation))
    }

    /// The embedding, with tables of so many words, positions and token types and so many numbers a
    /// row; the words' row `padding` gets no gradient.
    pub(super) fn embedding(&self, rows: [usize; 3], width: usize, padding: usize) -> Embedding {
        let table = |name: &str, rows: usize| {
            let tensor = format!("{}embeddings.{name}.weight", self.prefix);
            Table::new(tensor, [rows, width], Init::Normal(self.deviation))
        };
        let [words, positions, token_types] = rows;
        let words = table("word_embeddings", words).padded(padding);
        Embedding {
            token_types: Some(table("token_type_embeddings", token_types)),
            norm: Some(Norm::layer(format!("{}embeddings.LayerNorm", self.prefix), width, self.epsilon)),
            dropout: Some(self.hidden_dropout),
            ..Embedding::new(words, table("position_embeddings", positions))
        }
    }

    /// The layers.
    pub(super) fn layers(&self) -> Vec<Layer> {
        (0..self.layers).map(|index| self.layer(index)).collect()
    }

    fn layer(&self, index: usize) -> Layer {
        let linear = |name: &str, size| self.linear(&format!("encoder.layer.{index}.{name}"), size);
        let norm = |name: &str| {
            let name = format!("{}encoder.layer.{index}.{name}.LayerNorm", self.prefix);
            Some(Norm::layer(name, self.hidden, self.epsilon))
        };
        let (hidden, inner) = (self.hidden, self.inner);
        let projection = |part: &str| linear(&format!("attention.self.{part}"), [hidden, hidden]);
        Layer {
            wiring: Wiring::NormAfter,
            attention: Attention {
                heads: self.heads,
                projections: Projections::Separate(["query", "key", "value"].map(projection)),
                output: linear("attention.output.dense", [hidden, hidden]),
                dropout: Some(self.attention_dropout),
                output_dropout: Some(self.hidden_dropout),
            },
            attention_norm: norm("attention.output"),
            mlp: Some(Mlp {
                input: linear("intermediate.dense", [hidden, inner]),
                activation: Activation::Gelu,
                output: linear("output.dense", [inner, hidden]),
                dropout: Some(self.hidden_dropout),
            }),
            mlp_norm: norm("output"),
        }
    }
}
