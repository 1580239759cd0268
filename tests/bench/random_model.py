#!/usr/bin/env python3
"""Writes a model with random weights and a tokenizer, in transformers' layout, for `gpu.py` and `shapes.py`.

The tokenizer is a given one, or one of whole words, `w0`, `w1` …: one token each. Prints what the
interpreter has: its libtorch and its GPU.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

END = "<|endoftext|>"
ENDS = dict(bos_token_id=0, eos_token_id=0)
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# The classes, what a configuration says beside its sizes, and special tokens of whole words.
FAMILIES = {
    "bert": (transformers.BertConfig, transformers.BertModel, {}, BERT),
    "roberta": (transformers.RobertaConfig, transformers.RobertaModel,
                dict(type_vocab_size=1, layer_norm_eps=1e-5), BERT),
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel, ENDS, [END]),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM,
              dict(tie_word_embeddings=True, rms_norm_eps=1e-5, **ENDS), [END]),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("family", choices=list(FAMILIES))
parser.add_argument("folder", type=Path)
for name in ("layers", "hidden", "heads", "words", "positions"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--inner", type=int, help="four times `hidden` unless given")
parser.add_argument("--key-value-heads", type=int, help="of llama; `heads` unless given")
parser.add_argument("--rotary-base", type=float, default=1e4, help="of llama")
parser.add_argument("--tokenizer", type=Path, help="a folder to take it from; it may have fewer words than the model")
args = parser.parse_args()


def whole_words(special):
    names = special + [f"w{n}" for n in range(args.words - len(special))]
    tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token=special[-1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special is BERT:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        named = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    else:
        named = dict(eos_token=END)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


config_class, model_class, settings, special = FAMILIES[args.family]
tokenizer = transformers.AutoTokenizer.from_pretrained(args.tokenizer) if args.tokenizer else whole_words(special)
if special is BERT:
    settings = settings | dict(pad_token_id=tokenizer.pad_token_id)
if args.family == "llama":
    settings = settings | dict(
        num_key_value_heads=args.key_value_heads or args.heads,
        rope_parameters=dict(rope_type="default", rope_theta=args.rotary_base))
inner = args.inner or 4 * args.hidden
# `intermediate_size` has another name in GPT-2.
settings = settings | ({"n_inner": inner} if args.family == "gpt2" else {"intermediate_size": inner})
torch.manual_seed(1)
model_class(config_class(
    vocab_size=args.words, hidden_size=args.hidden, num_hidden_layers=args.layers, num_attention_heads=args.heads,
    max_position_embeddings=args.positions, **settings)).save_pretrained(args.folder)
tokenizer.save_pretrained(args.folder)
print(json.dumps(dict(
    libtorch=str(Path(torch.__file__).parent / "lib"),
    gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None)))
