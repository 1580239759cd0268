//! Owns what files call a tensor that a model knows by one name: with wrappers around the model, with
//! or without the base model's prefix, by old names, or by the name of a tensor that is the same one.
//! Knows names only.

/// What wraps a model when it is saved, one dotted part each: `module` is DataParallel's, `_orig_mod`
/// that of a compiled model, and `base_model.model` PEFT's.
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

/// Tensors that every BERT and every GPT-2 has, by the names of the base model's own file.
const ANCHORS: [&str; 3] = ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma", "h.0.ln_1.weight"];

/// What stands before them in the file of a whole model.
const PREFIXES: [&str; 2] = ["bert.", "transformer."];

/// Parts of names that PEFT makes of a model around its adapters.
const ADAPTER_PARTS: [&str; 6] =
    [".lora_A.", ".lora_B.", ".lora_embedding_A", ".base_layer.", ".modules_to_save.", ".original_module."];

/// What quantisation leaves where a layer's `weight` would be, or beside it.
const QUANTISED_PARTS: [&str; 7] =
    ["qweight", "SCB", "weight.absmax", "weight.quant_state", "weight_packed", "W_q", "weight_scale"];

/// What stands before all names of a file's model, `bert.` and `transformer.` not counted: empty in most
/// files, `module.` or the like in some.
pub(super) fn wrapping<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut found: Vec<&str> = names.filter_map(before_anchor).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [one] => one.to_owned(),
        _ => String::new(),
    }
}

fn before_anchor(name: &str) -> Option<&str> {
    let before = ANCHORS.iter().find_map(|anchor| name.strip_suffix(anchor))?;
    let is_whole = |text: &str| text.is_empty() || text.ends_with('.');
    let bare = PREFIXES.iter().find_map(|prefix| before.strip_suffix(prefix)).unwrap_or(before);
    let wraps = |part: &str| WRAPPERS.contains(&part) || part.bytes().all(|byte| byte.is_ascii_digit());
    let known = bare.split_terminator('.').all(wraps);
    (is_whole(bare) && known).then_some(bare)
}

/// The names that a file may have a tensor under, the likeliest first.
pub(super) fn candidates<'n>(
    name: &'n str,
    prefix: &'n str,
    wrapping: &'n str,
) -> impl Iterator<Item = String> {
    let other = match name.strip_prefix(prefix) {
        Some(bare) => bare.to_owned(),
        None => format!("{prefix}{name}"),
    };
    let tied = tied(name, prefix).map(str::to_owned);
    [Some(name.to_owned()), Some(other), tied].into_iter().flatten().flat_map(move |name| {
        let name = format!("{wrapping}{name}");
        let old = old_norm_name(&name);
        [Some(name), old].into_iter().flatten()
    })
}

/// The output layer that is the word embedding: files may have it under that name alone.
fn tied(name: &str, prefix: &str) -> Option<&'static str> {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "wte.weight" => Some("lm_head.weight"),
        "embeddings.word_embeddings.weight" => Some("cls.predictions.decoder.weight"),
        _ => None,
    }
}

fn old_norm_name(name: &str) -> Option<String> {
    let old = |new: &str, old: &str| name.strip_suffix(new).map(|module| format!("{module}{old}"));
    old("LayerNorm.weight", "LayerNorm.gamma").or_else(|| old("LayerNorm.bias", "LayerNorm.beta"))
}

/// Whether a name is one that PEFT makes around its adapters.
pub(super) fn is_adapters(name: &str) -> bool {
    ADAPTER_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a tensor is one of a quantised layer.
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
        for (name, wraps) in [
            ("bert.embeddings.LayerNorm.weight", ""),
            ("embeddings.LayerNorm.gamma", ""),
            ("module.bert.embeddings.LayerNorm.gamma", "module."),
            ("_orig_mod.module.embeddings.LayerNorm.weight", "_orig_mod.module."),
            ("model.transformer.h.0.ln_1.weight", "model."),
            ("0.auto_model.embeddings.LayerNorm.weight", "0.auto_model."),
            // Another family's.
            ("roberta.embeddings.LayerNorm.weight", ""),
            ("my_embeddings.LayerNorm.weight", ""),
        ] {
            assert_eq!(wrapping([name, "other"].into_iter()), wraps, "{name}");
        }
        let two = ["module.bert.embeddings.LayerNorm.weight", "model.bert.embeddings.LayerNorm.weight"];
        assert_eq!(wrapping(two.into_iter()), "", "neither is the model");
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
