#!/usr/bin/env python3
"""Compares one LoRA trial of lorasweep with the same trial in transformers + PEFT: `make bench-trial`.

MiniLM cut to two layers on AG News, the same files, rows, epochs, batch size and cores. For each
seed both run once, each in a fresh process, one after the other, so that a pair sees the same
machine. Our trial validates after each epoch, which the peer's does not. Environment:

    LORASWEEP_PEER_PYTHON   a Python with torch, transformers 5 and peft
    LORASWEEP_BENCH_DATA    folder with ag_news/{train,test}.csv (default: ../shared/data)

Where one of them is absent it says so, and compares nothing.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import compare
from compare import MINILM, Peer, Run

LAYERS, RANK, ALPHA, SEEDS = 2, 8, 16, (1, 2, 3)
SETTINGS = dict(learning_rate=5e-3, epochs=2, batch_size=32, max_length=128)

SWEEP = """\
name: bench
task:
  train: {folder}/train.csv
  validation: {folder}/validation.csv
  test: {folder}/test.csv
  columns: [label, title, description]
  text: [title, description]
  label: label
  max_length: {max_length}
models:
  minilm: {{from: {model}, layers: {layers}}}
grid:
  - {{method: lora, model: minilm, rank: {rank}, alpha: {alpha}, learning_rate: {learning_rate}}}
training: {{epochs: {epochs}, batch_size: {batch_size}, schedule: linear, clip_norm: 1.0, seed: {seed}}}
"""


def pair(args, folder, seed):
    sweep = SWEEP.format(folder=folder, model=MINILM, layers=LAYERS, rank=RANK, alpha=ALPHA, seed=seed, **SETTINGS)
    a = Run(args.lorasweep.resolve(), sweep, folder / f"seed-{seed}", "--devices", args.devices)
    cuda = args.devices.startswith("cuda")
    b = Peer("--model", MINILM, "--layers", LAYERS, "--train", folder / "train.csv", "--test", folder / "test.csv",
             "--ranks", RANK, "--alphas", ALPHA, "--seed", seed, *compare.options(SETTINGS),
             *(["--cuda"] if cuda else ["--threads", compare.CORES]))
    compare.check_alike(a, b)
    return seed, a, b


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--devices", default="cpu:1", help="cpu:1 (default) or cuda:0")
    parser.add_argument("--train-rows", type=int, default=4000)
    parser.add_argument("--test-rows", type=int, default=1000)
    args = parser.parse_args()
    if reason := compare.missing():
        print(f"skipped: {reason}")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare.draw_ag_news(folder, args.train_rows, args.test_rows, validation=args.test_rows)
        pairs = [pair(args, folder, seed) for seed in SEEDS]
    print(f"MiniLM-L6 cut to {LAYERS} layers, LoRA rank {RANK}, AG News, {args.train_rows} rows x "
          f"{SETTINGS['epochs']} epochs, batch {SETTINGS['batch_size']}\n"
          f"{compare.machine()}, --devices {args.devices}\npeer: {pairs[0][2].versions}\n")
    table(pairs)


def table(pairs):
    lines = []
    for seed, a, b in pairs:
        lines += [
            compare.ratio(f"seed {seed}: training, rows/s", a.train, b.train),
            compare.ratio("evaluation, rows/s", a.evaluate, b.evaluate),
            compare.ratio("whole process, s", a.seconds, b.seconds, more_is_better=False),
            ("test accuracy, %", 100 * a.mean("accuracy", "test"), 100 * b.mean("accuracy"), "", ""),
        ]
    compare.table(compare.SIDES, lines)
    train = statistics.median(a.train / b.train for _, a, b in pairs)
    evaluate = statistics.median(a.evaluate / b.evaluate for _, a, b in pairs)
    mean = [100 * statistics.mean(scores) for scores in
            ([a.mean("accuracy", "test") for _, a, _ in pairs], [b.mean("accuracy") for *_, b in pairs])]
    print(f"\nmedian ratio: training {train:.2f}, evaluation {evaluate:.2f}; "
          f"mean test accuracy: ours {mean[0]:.2f} %, peer {mean[1]:.2f} % ({mean[0] - mean[1]:+.2f} points)")


if __name__ == "__main__":
    main()
