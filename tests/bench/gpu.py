#!/usr/bin/env python3
"""Compares grids and one full fine-tuning trial on a GPU with transformers + PEFT: `make bench-gpu`.

    python3 gpu.py --lorasweep ./lorasweep      # all it needs: the built program and this folder

1. 64 LoRA trials on a model of bert-tiny's shape: 128 tokens, batch 32, fp32.
2. 32 LoRA trials on a model of GPT-2 124M's shape: 512 tokens, batch 4, bf16; also against our own
   trials with one in each process.
3. One GPT-2 124M, every weight, 512 tokens, batch 16, bf16: training speed, and the share of the
   rate of 8192 x 8192 bf16 matrix products on the same GPU. A token is counted as 6 operations for
   each weight of the products and 12 x layers x hidden x length for attention.

The peer runs eagerly, without compiling, one trial after another in one process, with the attention
that transformers picks; its frozen bases are in bf16 where ours are, and the rest under autocast. Of
what runs one after another only the first few trials are measured; the rest is scaled: the start and
the first trial as they were, every other one at the mean of those measured after the first. Weights
are random and texts are made up here: speed depends on neither.

LORASWEEP_PEER_PYTHON names a Python with torch, transformers 5 and peft. The program takes that
torch's libraries where its own are absent. `--smoke` runs all of it on the CPU at toy size, to see
that it works; its figures mean nothing.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import compare
from compare import Peer, Run

MODELS = {"bert": dict(layers=2, hidden=128, heads=2, words=30_522, positions=512),
          "gpt2": dict(layers=12, hidden=768, heads=12, words=50_257, positions=1_024)}
TOY = dict(layers=2, hidden=32, heads=2, words=200, positions=64)


@dataclass
class Workload:
    """What both sides train."""

    title: str
    family: str
    length: int
    batch_size: int
    # Rows of text or blocks of tokens: to train, to evaluate.
    rows: tuple
    bf16: bool
    learning_rate: float
    ranks: tuple = ()
    alphas: tuple = ()
    # Of what runs one after another.
    measured: int = 1

    @property
    def trials(self):
        return len(self.ranks) * len(self.alphas) or 1

    def __str__(self):
        return (f"{self.title}: {self.length} tokens, batch {self.batch_size}, {'bf16' if self.bf16 else 'fp32'}, "
                f"{self.rows[0]} + {self.rows[1]} rows")

    @property
    def kind(self):
        return "classification" if self.family == "bert" else "language_modelling"


BERT_GRID = Workload("64 LoRA trials, bert-tiny's shape", "bert", 128, 32, (32_000, 2_000), False, 1e-3,
                     tuple(range(2, 17, 2)), tuple(range(4, 33, 4)), measured=2)
GPT2_GRID = Workload("32 LoRA trials, GPT-2 124M's shape", "gpt2", 512, 4, (800, 32), True, 1e-3,
                     (4, 8, 16, 32), tuple(range(4, 33, 4)), measured=3)
GPT2_FULL = Workload("one full trial, GPT-2 124M's shape", "gpt2", 512, 16, (3_200, 32), True, 1e-4)


def toy(workload):
    grid = dict(ranks=(2, 4), alphas=(4, 8), measured=2) if workload.ranks else {}
    return replace(workload, length=16, batch_size=4, rows=(64, 16), **grid)


def write_texts(folder, workload, words):
    """Rows `label,text` with words that lean to the label, or one text of whole blocks with its end."""
    pick = random.Random(42)
    for name, rows in zip(("train", "test"), workload.rows):
        if workload.family == "bert":
            def text(label):
                lean = range(label * words // 8, (label + 1) * words // 8)
                return " ".join(f"w{pick.choice(lean) if pick.random() < 0.3 else pick.randrange(words - 5)}"
                                for _ in range(workload.length - 2))
            lines = (f"{n % 4 + 1},{text(n % 4)}\n" for n in range(rows))
            (folder / f"{name}.csv").write_text("".join(lines), encoding="utf-8")
        else:
            tokens = rows * workload.length - 1
            (folder / f"{name}.txt").write_text(
                " ".join(f"w{pick.randrange(words // 50)}" for _ in range(tokens)), encoding="utf-8")


class Bench:
    """A folder with models and data, and how both sides run here."""

    def __init__(self, args, folder):
        self.program, self.folder, self.smoke = args.lorasweep.resolve(), folder, args.smoke
        self.environment = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
        self.models = {family: TOY if self.smoke else shape for family, shape in MODELS.items()}
        for family, shape in self.models.items():
            [facts], _ = compare.peer("random_model.py", family, folder / family, *compare.options(shape))
        self.gpu = facts["gpu"]
        starts = subprocess.run([self.program, "--version"], capture_output=True, check=False).returncode == 0
        self.libraries = {} if starts else {"LD_LIBRARY_PATH": facts["libtorch"]}

    def data(self, workload):
        folder = self.folder / workload.title.replace(" ", "-")
        folder.mkdir()
        write_texts(folder, workload, self.models[workload.family]["words"])
        ending = "csv" if workload.family == "bert" else "txt"
        return folder, [folder / f"{name}.{ending}" for name in ("train", "test")]

    def ours(self, workload, name, folder, files, ranks, alphas, *options):
        task = dict(kind=workload.kind, train=str(files[0]), validation=str(files[1]), max_length=workload.length)
        if workload.family == "bert":
            task |= dict(columns=["label", "text"], text="text", label="label")
        method = dict(method="lora", rank=ranks, alpha=alphas) if ranks else dict(method="full")
        training = dict(epochs=1, batch_size=workload.batch_size, schedule="linear", warmup=0, clip_norm=1.0, seed=1)
        if workload.bf16:
            training["precision"] = "bf16"
        # JSON is YAML.
        sweep = json.dumps(dict(
            name=name, task=task, models={"model": {"from": str(self.folder / workload.family)}},
            grid=[dict(model="model", learning_rate=workload.learning_rate, **method)], training=training))
        return Run(self.program, sweep, folder / name, "--devices", "cpu:1" if self.smoke else "cuda:0", *options,
                   environment={**self.environment, **self.libraries})

    def peer(self, workload, files):
        is_bert = workload.family == "bert"
        options = compare.options(dict(
            task=workload.kind, model=self.folder / workload.family, train=files[0], test=files[1],
            max_length=workload.length, batch_size=workload.batch_size, learning_rate=workload.learning_rate, epochs=1,
            seed=1, eval_batch_size=128 if is_bert else workload.batch_size, trials=workload.measured))
        if workload.ranks:
            ranks, alphas = (",".join(map(str, values)) for values in (workload.ranks, workload.alphas))
            options += ["--ranks", ranks, "--alphas", alphas, "--targets", "query,value" if is_bert else "c_attn"]
        else:
            options += ["--method", "full"]
        options += ["--bf16"] * workload.bf16 + ["--cuda"] * (not self.smoke)
        return Peer(*options, environment=self.environment)

    def grid(self, workload, target, target_own=""):
        folder, files = self.data(workload)
        packed = self.ours(workload, "packed", folder, files, workload.ranks, workload.alphas)
        few = workload.ranks[:1], workload.alphas[:workload.measured]
        alone = self.ours(workload, "alone", folder, files, *few, "--pack-slots", "1")
        peer = self.peer(workload, files)
        compare.check_alike(alone, peer)
        own = compare.scaled(alone.seconds, [pack.ended - pack.launched for pack in alone.packs], workload.trials)
        theirs = compare.scaled(peer.seconds, [trial["seconds"] for trial in peer.trials], workload.trials)
        print(f"\n{workload}, packs of {', '.join(str(pack.size) for pack in packed.packs)}\n"
              f"scaled from {workload.measured} trials: the peer, and our own one by one")
        compare.table(compare.SIDES, [
            compare.ratio("wall-clock, command to report, s", packed.seconds, theirs, target, more_is_better=False),
            compare.ratio("against our own one by one, s", packed.seconds, own, target_own, more_is_better=False),
            compare.ratio("training, rows/s", packed.train, peer.train),
            compare.ratio("evaluation, rows/s", packed.evaluate, peer.evaluate),
        ])
        return peer.versions

    def full(self, workload, target):
        folder, files = self.data(workload)
        ours, peer = self.ours(workload, "full", folder, files, (), ()), self.peer(workload, files)
        compare.check_alike(ours, peer)
        where = ["--size", "256"] if self.smoke else ["--size", "8192", "--cuda"]
        [rate], _ = compare.peer("rate.py", "--dtype", "bfloat16", *where, environment=self.environment)
        shape = self.models[workload.family]
        weights = 12 * shape["layers"] * shape["hidden"]**2 + shape["words"] * shape["hidden"]
        token = 6 * weights + 12 * shape["layers"] * shape["hidden"] * workload.length
        speed = [side.train * workload.length for side in (ours, peer)]
        print(f"\n{workload}\n"
              f"{rate['flops'] / 1e12:.3g} TFLOP/s in bf16 matrix products, {token / 1e6:.0f} MFLOP a token")
        compare.table(compare.SIDES, [
            compare.ratio("training, tokens/s", *speed, target),
            ("share of the bf16 rate, %", *(100 * tokens * token / rate["flops"] for tokens in speed), "", ""),
            compare.ratio("wall-clock, command to report, s", ours.seconds, peer.seconds, more_is_better=False),
        ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--smoke", action="store_true", help="at toy size on the CPU")
    args = parser.parse_args()
    if reason := compare.missing(ag_news=False):
        print(f"skipped: {reason}")
        return
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(args, Path(name))
        if not (bench.gpu or args.smoke):
            print("skipped: the peer's torch sees no GPU; `--smoke` checks this script on the CPU")
            return
        size = toy if args.smoke else lambda workload: workload
        print(f"{compare.machine()}, {'toy size on the CPU' if args.smoke else bench.gpu}", flush=True)
        versions = bench.grid(size(BERT_GRID), ">= 30")
        bench.grid(size(GPT2_GRID), ">= 12.8", ">= 4")
        bench.full(size(GPT2_FULL), ">= 1.3")
        print(f"\npeer: {versions}")


if __name__ == "__main__":
    main()
