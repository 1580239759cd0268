#!/usr/bin/env python3
"""Checks lorasweep's folders against transformers and PEFT, in both directions.

For each family, as a classifier or as a language model or both, and BERT as a regression too, on small random models:

1. trains a sweep with lorasweep, exports an adapter of LoRA and of DoRA, each merged too, and a fully trained model, loads
   all of them in Python and compares their logits with `lorasweep predict --logits`;
2. saves an adapter with PEFT, imports it with lorasweep, and compares logits and labels;
3. does the same for each of PEFT's settings that leave plain tensors;
4. runs the Python of the model cards as it stands, and compares the class names that it prints.

    python3 tests/peft_check.py target/release/lorasweep    # torch 2.11, transformers 5.23, peft 0.21

It needs no network and no data, and writes to a temporary folder. Ends with exit code 1 where anything
differs by more than 1e-4.
"""

import argparse
import contextlib
import io
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import ByteLevelBPETokenizer, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, BertConfig,
                          BertTokenizerFast, DistilBertConfig, DistilBertTokenizerFast, ElectraConfig,
                          ElectraTokenizerFast, GPT2Config, GPT2LMHeadModel, LlamaConfig, MistralConfig,
                          ModernBertConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config, RobertaConfig, RobertaTokenizerFast,
                          XLMRobertaConfig)

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))
from make_adapters import SETTINGS, save

TOLERANCE = 1e-4
LABELS = ["animal", "bread, or food", "place"]
WORDS = {"animal": "cat dog horse bird fish", "bread, or food": "bread soup apple rice cheese",
         "place": "city river hill lake road"}
FILLING = "the a small old near with and behind".split()
TEXTS = ["the old cat near a river", "soup and bread", "a hill", "the small dog behind the old road with cheese and rice"]

failures = []


def check(what, condition, detail=""):
    print(f"{'ok  ' if condition else 'FAIL'}  {what}{detail and '  ' + detail}")
    if not condition:
        failures.append(what)


def compare(what, ours, theirs):
    theirs = theirs.tolist()
    worst = max(abs(a - b) for row, other in zip(ours, theirs, strict=True) for a, b in zip(row, other, strict=True))
    check(what, worst <= TOLERANCE, f"largest difference of {len(ours)} x {len(ours[0])} logits: {worst:.1e}")


class Lorasweep:
    def __init__(self, program, folder):
        self.program, self.folder = str(Path(program).resolve()), folder

    def __call__(self, *words, ok=True):
        done = subprocess.run([self.program, *map(str, words)], cwd=self.folder, capture_output=True, text=True)
        if ok and done.returncode != 0:
            sys.exit(f"lorasweep {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}")
        return done

    def predict(self, *words):
        """The answers to all texts, in their order."""
        rows = self("predict", *words, "--file", "texts.csv", "--text", "text", "--logits").stdout.splitlines()
        return [json.loads(row) for row in rows]


def write_data(folder):
    rng = random.Random(1)
    rows = []
    for index in range(48):
        label = LABELS[index % len(LABELS)]
        words = rng.sample(FILLING, 4) + [rng.choice(WORDS[label].split())]
        rng.shuffle(words)
        rows.append((" ".join(words), label))
    columns = "".join(f'{text},"{label}",{len(text) / 8 - 4}\n' for text, label in rows)
    (folder / "train.csv").write_text(f"text,label,number\n{columns}")
    (folder / "texts.csv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    return [text for text, _ in rows]


def wordpiece_base(config, tokenizer, **sizes):
    """A classifier of a family whose tokenizer has a vocab.txt, and the tokenizer."""
    def make(folder, _texts):
        words = sorted(set(FILLING + " ".join(WORDS.values()).split()))
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
        tokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        classifier(folder, config(vocab_size=5 + len(words), max_position_embeddings=40, **sizes))
    return make


def byte_level_base(config, **sizes):
    """A classifier of a family whose tokenizer is RoBERTa's, and the tokenizer: vocab.json and merges.txt alone."""
    def make(folder, texts):
        trainer = ByteLevelBPETokenizer()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        trainer.train_from_iterator(texts, vocab_size=320, special_tokens=special, show_progress=False)
        trainer.save_model(str(folder))
        RobertaTokenizerFast.from_pretrained(folder).save_pretrained(folder)
        (folder / "tokenizer.json").unlink()
        classifier(folder, config(vocab_size=trainer.get_vocab_size(), max_position_embeddings=130, type_vocab_size=1, **sizes))
    return make


def unigram_base(config, **sizes):
    """A classifier of a family whose tokenizer is a tokenizer.json that was made of sentencepiece's, and the tokenizer."""
    def make(folder, texts):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(
            vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>",
                                sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
                                ).save_pretrained(folder)
        size = tokenizer.get_vocab_size()
        classifier(folder, config(vocab_size=size, max_position_embeddings=130, type_vocab_size=1, **sizes))
    return make


def modernbert_base(make_model, **settings):
    """A ModernBERT and a tokenizer as its own: byte-level, in a tokenizer.json."""
    def make(folder, texts):
        special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
        trainer = ByteLevelBPETokenizer()
        trainer.train_from_iterator(texts, vocab_size=320, special_tokens=special, show_progress=False)
        tokenizer = trainer._tokenizer
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                                unk_token="[UNK]", mask_token="[MASK]").save_pretrained(folder)
        make_model(folder, ModernBertConfig(
            vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=130, local_attention=6, bos_token_id=1,
            cls_token_id=1, eos_token_id=2, sep_token_id=2, pad_token_id=3, **SIZES, **settings))
    return make


def for_masked_words(folder, config):
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)


def classifier(folder, config):
    config.num_labels = len(LABELS)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)


SIZES = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)


def gpt2_tokenizer(folder, texts):
    """A tokenizer as GPT-2's, its number of words, and its end token."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=320, special_tokens=["<|endoftext|>"], show_progress=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)
    return tokenizer.get_vocab_size(), tokenizer.token_to_id("<|endoftext|>")


def gpt2_base(folder, texts):
    words, end = gpt2_tokenizer(folder, texts)
    config = GPT2Config(vocab_size=words, n_positions=128, n_embd=32, n_layer=3, n_head=2, bos_token_id=end, eos_token_id=end)
    GPT2LMHeadModel(config).save_pretrained(folder)


def decoder_base(config, **settings):
    """A language model of a family of decoders, and a tokenizer."""
    def make(folder, texts):
        words, end = gpt2_tokenizer(folder, texts)
        sizes = SIZES | dict(num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)
        own = config(vocab_size=words, bos_token_id=end, eos_token_id=end, **sizes, **settings)
        AutoModelForCausalLM.from_config(own).save_pretrained(folder)
    return make


def logits(model, folder):
    """Of a classifier its logits, of a language model those of the token that follows, for each text alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.eval()
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS]
    return torch.stack([row[0, -1] if row.dim() == 3 else row[0] for row in rows])


CLASSIFICATION = "{kind: classification, train: train.csv, text: [text], label: label, max_length: 24}"
REGRESSION = "{kind: regression, train: train.csv, text: [text], label: number, max_length: 24}"
LANGUAGE = "{kind: language_modelling, train: train.csv, text: [text], layout: documents, max_length: 24}"
CASES = {
    "bert": dict(
        base=wordpiece_base(BertConfig, BertTokenizerFast, **SIZES), targets=["query", "value"], saved=["head", "pooler"]),
    "roberta": dict(base=byte_level_base(RobertaConfig, **SIZES), targets=["query", "value"], saved=["head"]),
    "xlm-roberta": dict(
        base=unigram_base(XLMRobertaConfig, **SIZES), targets=["query", "output.dense"], saved=["head"],
        task=CLASSIFICATION.replace("max_length: 24", "max_length: 64")),
    "distilbert": dict(
        base=wordpiece_base(DistilBertConfig, DistilBertTokenizerFast, dim=32, n_layers=3, n_heads=2, hidden_dim=48),
        targets=["q_lin", "v_lin"], saved=["head"]),
    "electra": dict(
        base=wordpiece_base(ElectraConfig, ElectraTokenizerFast, embedding_size=16, **SIZES),
        targets=["query", "embeddings_project"], saved=["head"]),
    "modernbert": dict(base=modernbert_base(for_masked_words), targets=["Wqkv"], saved=["head"]),
    "modernbert-mean": dict(
        base=modernbert_base(classifier, classifier_pooling="mean", global_attn_every_n_layers=2, norm_bias=True,
                             mlp_bias=True, attention_bias=True, classifier_bias=True),
        targets=["Wi", "attn.Wo"], saved=["head", "head.dense"]),
    "bert-regression": dict(
        base=wordpiece_base(BertConfig, BertTokenizerFast, **SIZES), task=REGRESSION, outputs=1, targets=["query", "value"],
        saved=["head", "pooler"]),
    "gpt2-classifier": dict(base=gpt2_base, targets=["c_attn", "c_proj"], saved=["head"]),
    "gpt2": dict(
        base=gpt2_base, auto=AutoModelForCausalLM, layers=None, task=LANGUAGE, task_type="CAUSAL_LM",
        targets=["c_attn"], saved=[]),
    "llama": dict(
        base=decoder_base(LlamaConfig, tie_word_embeddings=False, rope_parameters=dict(
            rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16)),
        auto=AutoModelForCausalLM, layers=None, task=LANGUAGE, task_type="CAUSAL_LM", targets=["q_proj", "v_proj"],
        saved=["lm_head"]),
    "llama-classifier": dict(
        base=decoder_base(LlamaConfig, tie_word_embeddings=True), targets=["q_proj", "down_proj"], saved=["head"]),
    "mistral-classifier": dict(
        base=decoder_base(MistralConfig, sliding_window=6), targets=["k_proj", "o_proj"], saved=["head"]),
    "qwen2": dict(
        base=decoder_base(Qwen2Config, tie_word_embeddings=True, use_sliding_window=True, sliding_window=6,
                          max_window_layers=1),
        auto=AutoModelForCausalLM, layers=None, task=LANGUAGE, task_type="CAUSAL_LM", targets=["k_proj", "up_proj"], saved=[]),
    "qwen3-classifier": dict(
        base=decoder_base(Qwen3Config, head_dim=16), targets=["q_proj", "v_proj"], saved=["head"]),
}
# Classifiers, which are cut to their first two layers.
for case in CASES.values():
    for key, value in dict(auto=AutoModelForSequenceClassification, layers=2, task=CLASSIFICATION, task_type="SEQ_CLS",
                           outputs=len(LABELS)).items():
        case.setdefault(key, value)


def head(case):
    """What a base of random weights is loaded with to have the case's head."""
    if case["task_type"] != "SEQ_CLS":
        return {}
    return {"num_labels": case["outputs"], "ignore_mismatched_sizes": True} | (
        {"problem_type": "regression"} if case["outputs"] == 1 else {})


def sweep(name, case):
    layers = f", layers: {case['layers']}" if case["layers"] else ""
    saved = f"modules_to_save: [{', '.join(case['saved'])}]"
    return (f"name: {name}\ntask: {case['task']}\nmodels: {{base: {{from: base{layers}}}}}\ngrid:\n"
            f"  - {{method: lora, model: base, rank: 4, alpha: 16, rslora: true, targets: [{', '.join(case['targets'])}], "
            f"{saved}, learning_rate: 2e-2}}\n"
            f"  - {{method: dora, model: base, rank: 4, alpha: 16, dropout: 0.2, targets: [{', '.join(case['targets'])}], "
            f"{saved}, learning_rate: 2e-2}}\n"
            "  - {method: full, model: base, learning_rate: 1e-3}\n"
            "split: {fraction: 0.25}\ntraining: {epochs: 1, batch_size: 8, seed: 1}\ndevices: cpu\n")


def exported(name, case, lorasweep, folder):
    """Trains with lorasweep, and reads in Python what it exports."""
    (folder / "sweep.yaml").write_text(sweep(name, case))
    lorasweep("run", "sweep.yaml", "--quiet")
    status = json.loads(lorasweep("status", name, "--json").stdout)
    trials = {trial["method"]: trial["id"] for trial in status["trials"]}
    layers = {"num_hidden_layers": case["layers"]} if case["layers"] else {}
    layers |= head(case)
    for method, merged in [("lora", []), ("lora", ["--merged"]), ("dora", []), ("dora", ["--merged"]), ("full", [])]:
        what = f"{name}: {method}{', merged' if merged else ''}"
        out = folder / f"{method}{len(merged)}"
        lorasweep("export", name, trials[method], "--out", out, *merged)
        ours = [row["logits"] for row in lorasweep.predict(name, trials[method])]
        if method != "full" and not merged:
            model = PeftModel.from_pretrained(case["auto"].from_pretrained(folder / "base", **layers), out)
            again = lorasweep.predict("--adapter", out)
        else:
            model, loading = case["auto"].from_pretrained(out, output_loading_info=True)
            odd = {kind: names for kind, names in loading.items() if names}
            check(f"{what}, no weights are missing or left over", not odd, str(odd or ""))
            again = lorasweep.predict("--model", out)
        compare(f"{what}, exported and loaded in Python", ours, logits(model, out))
        compare(f"{what}, exported and loaded by lorasweep", ours, torch.tensor([row["logits"] for row in again]))
    other = folder / "other"
    other.mkdir()
    case["base"](other, TEXTS * 10)
    refused = lorasweep("predict", "--adapter", folder / "lora0", "--base", other, "a cat", ok=False)
    check(f"{name}: another base is refused", refused.returncode == 2, refused.stderr.splitlines()[0])


def imported(name, case, lorasweep, folder):
    """Saves with PEFT, and imports that with lorasweep."""
    labels = head(case)
    base = case["auto"].from_pretrained(folder / "base", **labels)
    settings = LoraConfig(r=3, lora_alpha=7, lora_dropout=0.2, target_modules=case["targets"], task_type=case["task_type"],
                          fan_in_fan_out="gpt2" in name)
    model = get_peft_model(base, settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder / "peft")
    pickled = folder / "peft-bin"
    pickled.mkdir()
    (pickled / "adapter_config.json").write_text((folder / "peft/adapter_config.json").read_text())
    torch.save(safetensors.torch.load_file(folder / "peft/adapter_model.safetensors"),
               pickled / "adapter_model.bin")
    theirs = logits(model, folder / "base")
    classes = case["task_type"] == "SEQ_CLS" and case["outputs"] > 1
    names = ["--labels", ",".join(f'"{label}"' for label in LABELS)] if classes else []
    for source in ["peft", "peft-bin"]:
        out = folder / f"{source}-imported"
        lorasweep("import", folder / source, "--base", folder / "base", "--out", out, *names)
        rows = lorasweep.predict("--adapter", out)
        compare(f"{name}: {source}, imported by lorasweep", [row["logits"] for row in rows], theirs)
        if classes:
            wanted = [LABELS[index] for index in theirs.argmax(-1).tolist()]
            check(f"{name}: {source}, the same labels", [row["label"] for row in rows] == wanted)
        elif labels:
            check(f"{name}: {source}, the numbers themselves", all([row["score"]] == row["logits"] for row in rows))
        else:
            tokenizer = AutoTokenizer.from_pretrained(folder / "base")
            prompt = tokenizer(TEXTS[0], return_tensors="pt")
            tokens = model.generate(**prompt, max_new_tokens=12, do_sample=False, pad_token_id=tokenizer.eos_token_id)
            wanted = tokenizer.decode(tokens[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True)
            said = json.loads(lorasweep("predict", "--adapter", out, "--json", "--max-new-tokens", 12, TEXTS[0]).stdout)
            check(f"{name}: {source}, the same text", said["text"] == wanted, repr(wanted))
    reloaded = PeftModel.from_pretrained(case["auto"].from_pretrained(folder / "base", **labels), folder / "peft-imported")
    compare(f"{name}: what lorasweep imported, loaded by PEFT again", theirs.tolist(), logits(reloaded, folder / "base"))


def settings(name, case, lorasweep, folder):
    """Saves adapters of each setting with PEFT, and imports them with lorasweep."""
    labels = head(case)
    usual = dict(r=3, lora_alpha=7, target_modules=case["targets"], task_type=case["task_type"],
                 fan_in_fan_out="gpt2" in name)
    base = folder / "base"
    for kind, own in SETTINGS.items():
        if kind.split("-")[0] != name:
            continue
        torch.manual_seed(2)
        saved, out = folder / f"settings-{kind}", folder / f"settings-{kind}-imported"
        model = save(case["auto"].from_pretrained(base, **labels), usual | own, saved)
        apart = kind in ["gpt2-words-apart", "gpt2-words-resized"]
        done = lorasweep("import", saved, "--base", base, "--out", out, ok=not apart)
        if apart:
            check(f"{kind}: is refused", done.returncode == 2, done.stderr.splitlines()[0])
            continue
        ours = [row["logits"] for row in lorasweep.predict("--adapter", out)]
        loaded = PeftModel.from_pretrained(case["auto"].from_pretrained(base, **labels), saved)
        compare(f"{kind}: imported by lorasweep", ours, logits(loaded, base))
        again = PeftModel.from_pretrained(case["auto"].from_pretrained(base, **labels), out)
        compare(f"{kind}: what lorasweep imported, loaded by PEFT again", ours, logits(again, base))


def cards(name, case, lorasweep, folder):
    """Runs the programs of the cards in their folders."""
    for what in ["lora0", "lora1", "dora0", "full0", "peft-imported"]:
        python = re.search(r"```python\n(.*?)```", (folder / what / "README.md").read_text(), re.DOTALL)[1]
        said = io.StringIO()
        with contextlib.chdir(folder / what), contextlib.redirect_stdout(said):
            exec(compile(python, f"{what}/README.md", "exec"), {})
        said = said.getvalue()
        option = "--adapter" if what in ["lora0", "dora0", "peft-imported"] else "--model"
        ours = [json.loads(lorasweep("predict", option, folder / what, "--json", text).stdout)
                for text in ["a text", "another text"]]
        if case["outputs"] == 1:
            numbers = [row[0] for row in json.loads(said)]
            near = all(abs(number - row["score"]) < TOLERANCE for number, row in zip(numbers, ours, strict=True))
            check(f"{name}: the card of {what} prints the numbers", near, said.strip())
        elif case["task_type"] == "SEQ_CLS":
            check(f"{name}: the card of {what} prints class names", said == f"{[row['label'] for row in ours]}\n", said.strip())
        else:
            check(f"{name}: the card of {what} prints the same text", said == ours[0]["text"] + "\n", repr(said[:40]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lorasweep", help="path of the program")
    parser.add_argument("--only", choices=CASES, help="one model alone")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name, case in CASES.items():
        if args.only not in (None, name):
            continue
        torch.manual_seed(1)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "base").mkdir()
            case["base"](folder / "base", write_data(folder))
            lorasweep = Lorasweep(args.lorasweep, folder)
            imported(name, case, lorasweep, folder)
            settings(name, case, lorasweep, folder)
            exported(name, case, lorasweep, folder)
            cards(name, case, lorasweep, folder)
    sys.exit(f"{len(failures)} checks failed" if failures else 0)


if __name__ == "__main__":
    main()
