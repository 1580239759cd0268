//! Owns the possible names of a tensor in files: with wrappers around the model, with or without the base
//! model's prefix, under an old name, or under the name of another tensor with the same content. Knows only
//! names.

use crate::families::{self, About};

/// Prefixes from wrappers around a saved model, one dotted part each: `module` is DataParallel's, `_orig_mod` a
/// compiled model's, and `base_model.model` PEFT's.
const WRAPPERS: [&str; 11] = [
    "module",
    "_orig_mod",
    "_forward_module",
    "base_model",
    "model",
    "auto_model",
    "backbone",
    "encoder",
    "net",
    "text_model",
    "language_model",
];

/// Parts of names that PEFT adds around its adapters.
const ADAPTER_PARTS: [&str; 6] =
    [".lora_A.", ".lora_B.", ".lora_embedding_A", ".base_layer.", ".modules_to_save.", ".original_module."];

/// Names that quantisation leaves in place of a layer's `weight`, or next to it.
const QUANTISED_PARTS: [&str; 7] =
    ["qweight", "SCB", "weight.absmax", "weight.quant_state", "weight_packed", "W_q", "weight_scale"];

/// The prefix of all names of a file's model, without a family's own prefix such as `bert.`: empty in most
/// files, `module.` or the like in some.
pub(super) fn wrapping<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut found: Vec<&str> = names.filter_map(before_model).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [one] => one.to_owned(),
        _ => String::new(),
    }
}

/// The prefix of a tensor that every model of some family has.
fn before_model(name: &str) -> Option<&str> {
    let of = |about: &&About| about.has_folders() && name.ends_with(about.first_layer);
    let families = || families::ALL.into_iter().filter(of);
    let before = families().find_map(|about| name.strip_suffix(about.first_layer))?;
    let is_whole = |text: &&str| text.is_empty() || text.ends_with('.');
    // Of these families alone: what is a wrapper around one model is another family's own prefix.
    let without = families().find_map(|about| before.strip_suffix(about.prefix).filter(is_whole));
    let bare = without.unwrap_or(before);
    let wraps = |part: &str| WRAPPERS.contains(&part) || part.bytes().all(|byte| byte.is_ascii_digit());
    let known = bare.split_terminator('.').all(wraps);
    (is_whole(&bare) && known).then_some(bare)
}

/// The possible names of a family's tensor in a file, the most likely first.
pub(super) fn candidates<'n>(
    name: &'n str,
    about: &'n About,
    wrapping: &'n str,
) -> impl Iterator<Item = String> {
    let bare = name.strip_prefix(about.prefix);
    let other = bare.map_or_else(|| format!("{}{name}", about.prefix), str::to_owned);
    let is_this = |(own, _): &&(&str, &str)| *own == bare.unwrap_or(name);
    let same = about.same.iter().find(is_this).map(|(_, other)| (*other).to_owned());
    [Some(name.to_owned()), Some(other), same].into_iter().flatten().flat_map(move |name| {
        let name = format!("{wrapping}{name}");
        let old = old_norm_name(&name);
        [Some(name), old].into_iter().flatten()
    })
}

fn old_norm_name(name: &str) -> Option<String> {
    let old = |new: &str, old: &str| name.strip_suffix(new).map(|module| format!("{module}{old}"));
    old("LayerNorm.weight", "LayerNorm.gamma").or_else(|| old("LayerNorm.bias", "LayerNorm.beta"))
}

/// Whether PEFT made this name for its adapters.
pub(super) fn is_adapters(name: &str) -> bool {
    ADAPTER_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a tensor belongs to a quantised layer.
pub(super) fn is_quantised(name: &str) -> bool {
    QUANTISED_PARTS.iter().any(|part| {
        name.strip_suffix(part).is_some_and(|module| module.ends_with('.'))
            || name.contains(&format!(".{part}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wraps_a_model_is_found() {
        const BERT: &str = "encoder.layer.0.attention.self.query.weight";
        const GPT2: &str = "h.0.attn.c_attn.weight";
        const LLAMA: &str = "layers.0.self_attn.q_proj.weight";
        for (before, tensor, wraps) in [
            ("bert.", BERT, ""),
            ("", BERT, ""),
            ("module.bert.", BERT, "module."),
            ("_orig_mod.module.", BERT, "_orig_mod.module."),
            ("model.transformer.", GPT2, "model."),
            ("0.auto_model.", BERT, "0.auto_model."),
            ("model.", GPT2, "model."),
            // Here that is the family's own prefix.
            ("model.", LLAMA, ""),
            ("base_model.model.model.", LLAMA, "base_model.model."),
            // Another family's.
            ("layoutlm.", BERT, ""),
            ("my_", BERT, ""),
        ] {
            let name = format!("{before}{tensor}");
            assert_eq!(wrapping([name.as_str(), "other"].into_iter()), wraps, "{name}");
        }
        let two = ["module.bert.", "model.bert."].map(|before| format!("{before}{BERT}"));
        assert_eq!(wrapping(two.iter().map(String::as_str)), "", "neither is the model");
    }

    #[test]
    fn quantised_layers_and_adapters_are_known_by_their_names() {
        assert!(is_quantised("transformer.h.0.attn.c_attn.qweight"));
        assert!(is_quantised("bert.encoder.layer.0.output.dense.weight.quant_state.bitsandbytes__nf4"));
        assert!(!is_quantised("transformer.h.0.attn.c_attn.weight"));
        assert!(is_adapters(
            "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.default.weight"
        ));
        assert!(is_adapters("base_model.model.classifier.modules_to_save.default.weight"));
        assert!(!is_adapters("bert.encoder.layer.0.attention.self.query.weight"));
    }
}
