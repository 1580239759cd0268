//! `check` on every shipped sweep as it is, not on its small profile.

use std::fs;

use crate::site::{Site, shipped};
use crate::{data, models};

#[test]
fn every_shipped_sweep_is_sound_in_full() {
    let site = Site::new();
    models::bert_tiny(&site.model("prajjwal1/bert-tiny"), 1);
    models::bert_tiny(&site.model("google/bert_uncased_L-2_H-128_A-2"), 2);
    models::bert_tokenizer(&site.model("google-bert/bert-base-uncased"));
    models::gpt2(&site.model("openai-community/gpt2"));
    models::modern_bert(&site.model("answerdotai/ModernBERT-base"));
    // The sweeps name targets that these have too.
    models::bert_tiny(&site.model("google-bert/bert-base-cased"), 3);
    models::bert_tiny(&site.model("FacebookAI/roberta-base"), 4);
    models::qwen(&site.model("Qwen/Qwen2.5-0.5B-Instruct"));
    data::conversations(&site);
    data::conll(&site);
    data::go_emotions(&site);
    data::similarity(&site);
    data::glue(&site);
    for folder in [".data/tokenizers/gpt2", ".assets/all-MiniLM-L6-v2"] {
        fs::create_dir_all(site.path().join(folder)).unwrap();
    }
    models::gpt2_tokenizer(&site.path().join(".data/tokenizers/gpt2"));
    models::mini_lm(&site.path().join(".assets/all-MiniLM-L6-v2"));
    data::ag_news(&site);
    data::multi_nli(&site);
    data::corpora(&site);
    data::squad(&site);
    data::wikitext_files(&site);
    data::complaints(&site, ".data/complaints.csv", 1_001);
    data::complaints(&site, ".assets/complaints/train.csv", 120);
    data::complaints(&site, ".assets/complaints/test.csv", 40);

    let expected = [
        ("agnews_rank_alpha", "66 configurations, 66 trials"),
        ("complaints_three_ways", "5 configurations, 5 trials"),
        ("demo", "6 configurations, 18 trials"),
        ("goemotions_labels", "18 configurations, 18 trials"),
        ("gpt2_corpora", "20 configurations, 20 trials"),
        ("gpt2_small_wikitext2", "1 configuration, 1 trial"),
        ("gpt2_squad", "2 configurations, 2 trials"),
        ("gptmini_mnli_kfold", "1 configuration, 3 trials"),
        ("modernbert_agnews", "20 configurations, 20 trials"),
        ("qwen_chat_lora", "18 configurations, 18 trials"),
        ("roberta_glue", "60 configurations, 60 trials"),
        ("search", "8 configurations, 24 trials"),
        ("sts_similarity", "18 configurations, 18 trials"),
        ("tagging_conll", "24 configurations, 24 trials"),
    ];
    let names = shipped().into_iter().map(|sweep| sweep.file_stem().unwrap().to_string_lossy().into_owned());
    assert_eq!(names.collect::<Vec<_>>(), expected.map(|(name, _)| name), "every sweep is checked");
    for (name, counts) in expected {
        let said = site.lorasweep(&["check", &format!("sweeps/{name}.yaml")]);
        assert_eq!(said.code, 0, "{name}: {}", said.stderr);
        assert!(said.stdout.contains(counts), "{name}: {}", said.stdout);
    }
}
