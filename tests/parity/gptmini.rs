//! GPTMini against the same model written plainly in torch.

use lorasweep::families::{Architecture, GptMiniConfig, Head};
use lorasweep::model::pass::Pass;
use lorasweep::values::{Method, Precision};

use super::{Fixture, adapters, losses};

pub(crate) fn fixture() -> Fixture {
    let config = GptMiniConfig { vocab_size: 60, hidden_size: 8, length: 14, pad_token_id: 0 };
    Fixture {
        folder: Fixture::folder("gptmini"),
        architecture: Architecture::GptMini(config),
        head: Head::Classifier { labels: 3 },
        recorded: Fixture::recorded("gptmini"),
        precision: Precision::Fp32,
        forward: |fixture, model, step, slots| {
            let (inputs, pass) = (fixture.inputs(step, slots), &mut Pass::evaluation());
            let logits = model.classify(&model.trunk(&inputs, pass), pass);
            (losses(&logits, &fixture.recorded["labels"].get(step)), logits)
        },
    }
}

#[test]
fn training_everything_agrees_with_torch() {
    fixture().follow("full", &Method::Full, 1);
    fixture().follow("full", &Method::Full, 3);
}

#[test]
fn adapters_under_a_frozen_head_agree_with_peft() {
    let lora = adapters(&["query", "value"], &[]);
    fixture().follow("lora", &lora, 1);
    fixture().follow("lora", &lora, 3);
}
