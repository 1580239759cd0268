#!/usr/bin/env python3
"""Writes a model with random weights and a tokenizer of whole words, in transformers' layout, for `gpu.py`.

The words are `w0`, `w1` …: one token each. Prints what the interpreter has: its libtorch and its GPU.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SPECIAL = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "gpt2": ["<|endoftext|>"]}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("family", choices=list(SPECIAL))
parser.add_argument("folder", type=Path)
for name in ("layers", "hidden", "heads", "words", "positions"):
    parser.add_argument(f"--{name}", type=int, required=True)
args = parser.parse_args()

special = SPECIAL[args.family]
names = special + [f"w{n}" for n in range(args.words - len(special))]
tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token=special[-1]))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
torch.manual_seed(1)
if args.family == "bert":
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    named = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    config = transformers.BertConfig(
        vocab_size=args.words, hidden_size=args.hidden, num_hidden_layers=args.layers, num_attention_heads=args.heads,
        intermediate_size=4 * args.hidden, max_position_embeddings=args.positions)
    model = transformers.BertModel(config)
else:
    named = dict(eos_token="<|endoftext|>")
    config = transformers.GPT2Config(
        vocab_size=args.words, n_embd=args.hidden, n_layer=args.layers, n_head=args.heads, n_positions=args.positions,
        bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
model.save_pretrained(args.folder)
transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(args.folder)
print(json.dumps(dict(
    libtorch=str(Path(torch.__file__).parent / "lib"),
    gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None)))
