#!/usr/bin/env python3
"""Compares single LoRA trials of larger shapes with transformers + PEFT on the CPU: `make bench-shapes`.

1. RoBERTa's shape with 6 layers, adapters on query and value, four classes of AG News, up to 128
   tokens, batch 32. Both sides cut texts with MiniLM's tokenizer, which has fewer words than the
   model, and pad rows of like length to the longest of their batch.
2. GPT-2 124M's shape, adapters on `c_attn`, and SmolLM2-135M's, on `q_proj` and `v_proj`: blocks of
   128 tokens of made-up words, batch 4.

All in fp32, rank 8, alpha 16, one epoch. Weights are random: speed does not depend on them. The same
files, rows and cores, one side after the other, each in a fresh process with a thread for each core;
who begins alternates. Speeds are those of training and evaluation alone, without the start.

The floating-point limit is counted as in `grid.py`: the rate of 2048 x 2048 matrix products on the
same cores over the products with weights that a step must do. Forward, these are all of them, back
all but those of the first layer whose input needs no gradient. A classifier needs only keys and
values of its last layer at every token, a language model also the product with all words, both ways.
Products of attention and of adapters are left out.

    LORASWEEP_PEER_PYTHON   a Python with torch, transformers 5 and peft
    LORASWEEP_BENCH_DATA    folder with ag_news/{train,test}.csv (default: ../shared/data)
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import compare
from compare import MINILM, Peer, Run
from gpu import write_texts
from grid import matmul_rate

RANK, ALPHA, LENGTH, LEARNING_RATE = 8, 16, 128, 1e-4


@dataclass
class Shape:
    """A model, and what both sides train it on."""

    title: str
    family: str
    # Options of `random_model.py`.
    sizes: dict
    targets: tuple
    batch_size: int
    # Rows of text or blocks of tokens: to train, to evaluate.
    rows: tuple
    # Per measure, as the tables show them.
    wanted: dict
    length: int = LENGTH

    @property
    def kind(self):
        return "classification" if self.family == "roberta" else "language_modelling"

    @property
    def ending(self):
        return "csv" if self.kind == "classification" else "txt"

    def products(self):
        """Multiplications with weights per token: of a training step, of an evaluation."""
        layers, hidden, words = (self.sizes[name] for name in ("layers", "hidden", "words"))
        inner = self.sizes.get("inner", 4 * hidden)
        keys = hidden * self.sizes.get("key_value_heads", self.sizes["heads"]) // self.sizes["heads"]
        # Llama has a gate beside the inner products.
        reading, rest = hidden * (hidden + 2 * keys), hidden**2 + (3 if self.family == "llama" else 2) * hidden * inner
        if self.kind == "classification":
            last = 2 * hidden * keys
            forward = (layers - 1) * (reading + rest) + last
        else:
            last = reading + rest
            forward = layers * last + hidden * words
        # The first layer's input needs no gradient.
        return 2 * forward - reading, forward


SHAPES = {
    "roberta": Shape(
        "RoBERTa's shape, 6 layers", "roberta",
        dict(layers=6, hidden=768, heads=12, words=50_265, positions=514), ("query", "value"), 32, (640, 384),
        {"training": ">= 1.4", "evaluation": ">= 2"}),
    "gpt2": Shape(
        "GPT-2 124M's shape", "gpt2", dict(layers=12, hidden=768, heads=12, words=50_257, positions=1_024),
        ("c_attn",), 4, (64, 16), {"training": ">= 1", "limit": ">= 85"}),
    "smollm2": Shape(
        "SmolLM2-135M's shape", "llama",
        dict(layers=30, hidden=576, heads=9, key_value_heads=3, inner=1_536, rotary_base=1e5, words=49_152,
             positions=2_048), ("q_proj", "v_proj"), 4, (64, 16), {"training": ">= 1", "limit": ">= 85"}),
}


def toy(shape):
    narrow = dict(layers=2, hidden=96, heads=3, positions=256)
    narrow |= dict(inner=192, key_value_heads=1) if shape.family == "llama" else {}
    words = shape.sizes["words"] if shape.family == "roberta" else 500
    return replace(shape, sizes=shape.sizes | narrow | dict(words=words), rows=(64, 32))


def prepare(shape, folder):
    """Writes the model and the rows; the files of these, to train and to evaluate."""
    folder.mkdir()
    sizes = shape.sizes | (dict(tokenizer=MINILM) if shape.family == "roberta" else {})
    compare.peer("random_model.py", shape.family, folder / "model", *compare.options(sizes))
    if shape.kind == "classification":
        compare.draw_ag_news(folder, *shape.rows)
    else:
        write_texts(folder, shape, shape.sizes["words"])
    return [folder / f"{name}.{shape.ending}" for name in ("train", "test")]


def ours(program, shape, folder, files, seed):
    task = dict(kind=shape.kind, train=str(files[0]), validation=str(files[1]), max_length=shape.length)
    if shape.kind == "classification":
        task |= dict(columns=["label", "title", "description"], text=["title", "description"], label="label")
    # JSON is YAML.
    sweep = json.dumps(dict(
        name=shape.family, task=task, models={"model": {"from": str(folder / "model")}},
        grid=[dict(method="lora", model="model", rank=RANK, alpha=ALPHA, targets=list(shape.targets),
                   learning_rate=LEARNING_RATE)],
        training=dict(epochs=1, batch_size=shape.batch_size, schedule="linear", clip_norm=1.0, seed=seed)))
    return Run(program, sweep, folder / f"ours-{seed}", "--devices", "cpu:1")


def theirs(shape, folder, files, seed):
    return Peer(*compare.options(dict(
        task=shape.kind, model=folder / "model", train=files[0], test=files[1], max_length=shape.length,
        batch_size=shape.batch_size, learning_rate=LEARNING_RATE, epochs=1, seed=seed, ranks=RANK, alphas=ALPHA,
        targets=",".join(shape.targets), threads=compare.CORES,
        eval_batch_size=128 if shape.kind == "classification" else shape.batch_size)))


def pair(program, shape, folder, files, seed):
    """Runs both sides once and prints them; the ratios of training and evaluation, and our share of the limit."""
    if seed % 2:
        a, b = ours(program, shape, folder, files, seed), theirs(shape, folder, files, seed)
    else:
        b, a = theirs(shape, folder, files, seed), ours(program, shape, folder, files, seed)
    compare.check_alike(a, b)
    rate = matmul_rate(a.places.values(), "float32")
    [cost] = [result["cost"] for result in a.results]
    tokens = cost["train_tokens"] / cost["train_rows"]
    train, evaluate = (rate / (2 * products * tokens) for products in shape.products())
    # Language models are compared by tokens, which are as many in each block.
    unit, each = ("rows/s", 1) if shape.kind == "classification" else ("tokens/s", tokens)
    share = 100 * a.train / train
    lines = [
        compare.ratio(f"training, {unit}", each * a.train, each * b.train, shape.wanted["training"]),
        compare.ratio(f"evaluation, {unit}", each * a.evaluate, each * b.evaluate, shape.wanted.get("evaluation", "")),
        ("training, % of the limit", share, 100 * b.train / train, "", shape.wanted.get("limit", "")),
        ("evaluation, % of the limit", 100 * a.evaluate / evaluate, 100 * b.evaluate / evaluate, "", ""),
        compare.ratio("whole process, s", a.seconds, b.seconds, more_is_better=False),
        ("loss at the end", a.mean("loss"), b.mean("loss"), "", ""),
    ]
    print(f"\n{shape.title}, pair {seed}: {shape.rows[0]} + {shape.rows[1]} rows of {tokens:.1f} tokens, batch "
          f"{shape.batch_size}, {rate / 1e9:.0f} GFLOP/s, which allow {each * train:.0f} and {each * evaluate:.0f} {unit}")
    compare.table(compare.SIDES, lines)
    return lines[0][3], lines[1][3], share, b.versions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--pairs", type=int, default=1, help="how often to run both sides, each time with another seed")
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=list(SHAPES),
                        help="only these, with commas between them")
    parser.add_argument("--smoke", action="store_true", help="at toy size, to see that it works; figures mean nothing")
    args = parser.parse_args()
    if reason := compare.missing():
        print(f"skipped: {reason}")
        return
    print(f"LoRA rank {RANK}, up to {LENGTH} tokens, fp32; {compare.machine()}, a thread for each core on both sides",
          flush=True)
    for name in args.shapes:
        shape = toy(SHAPES[name]) if args.smoke else SHAPES[name]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / name
            files = prepare(shape, folder)
            pairs = [pair(args.lorasweep.resolve(), shape, folder, files, seed) for seed in range(1, args.pairs + 1)]
        train, evaluate, share = (statistics.median(values) for values in list(zip(*pairs))[:3])
        print(f"\nmedian of {len(pairs)}: training {train:.2f}, evaluation {evaluate:.2f}, "
              f"{share:.0f} % of the limit in training", flush=True)
    print(f"\npeer: {pairs[0][3]}")


if __name__ == "__main__":
    main()
