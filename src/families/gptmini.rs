//! Owns the shapes of GPTMini: one block of attention between a one-hot dense layer and a dense head,
//! over rows of a fixed length.

use serde::{Deserialize, Serialize};

use super::{Head, Init, TensorRole, TensorShape, norm, table, tensor};

/// GPTMini's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GptMiniConfig {
    /// Words of the one-hot input.
    pub vocab_size: usize,
    /// Width of the block, d.
    pub hidden_size: usize,
    /// Length of every row, in tokens; shorter ones are padded.
    pub length: usize,
    /// Token id of padding, which the model reads like any other token.
    pub pad_token_id: usize,
}

impl Default for GptMiniConfig {
    fn default() -> Self {
        Self { vocab_size: 30_522, hidden_size: 64, length: 128, pad_token_id: 0 }
    }
}

/// Standard deviation of fresh positions.
const POSITIONS_STD: f64 = 0.02;

impl GptMiniConfig {
    pub(super) fn tensors(&self) -> Vec<TensorShape> {
        let width = self.hidden_size;
        let [weight, bias] = dense("embedding", [self.vocab_size, width]);
        let mut all = vec![
            TensorShape { role: TensorRole::Embedding, ..weight },
            bias,
            table("positions", [self.length, width], Init::Normal(POSITIONS_STD)),
        ];
        for part in ["query", "key", "value", "output"] {
            all.extend(dense(&format!("attention.{part}"), [width, width]));
        }
        all.extend(norm("norm", width));
        all
    }

    pub(super) fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        match head {
            Head::Classifier { labels } => {
                dense("classifier", [self.length * self.hidden_size, labels]).into()
            }
            Head::LanguageModel => Vec::new(),
        }
    }
}

/// A linear layer as torch's `nn.Linear` starts it: weight and bias from U(-1/sqrt(in), 1/sqrt(in)).
fn dense(name: &str, [d_in, d_out]: [usize; 2]) -> [TensorShape; 2] {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
    let fresh = Init::Uniform((d_in as f64).sqrt().recip());
    [
        tensor(&format!("{name}.weight"), &[d_out, d_in], TensorRole::Linear, fresh),
        tensor(&format!("{name}.bias"), &[d_out], TensorRole::Bias, fresh),
    ]
}
