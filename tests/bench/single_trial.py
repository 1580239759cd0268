#!/usr/bin/env python3
"""Compares one LoRA trial of lorasweep with the same trial in transformers + PEFT: `make bench`.

MiniLM cut to two layers on AG News, the same files, rows, epochs, batch size and cores. For each
seed both run once, each in a fresh process, one after the other, so that a pair sees the same
machine. Environment:

    LORASWEEP_PEER_PYTHON   a Python with torch, transformers 5 and peft
    LORASWEEP_BENCH_DATA    folder with ag_news/{train,test}.csv (default: ../shared/data)

Where one of them is absent it says so, and compares nothing.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MODEL = PROJECT / ".assets" / "all-MiniLM-L6-v2"
SETTINGS = dict(layers=2, rank=8, alpha=16, learning_rate=5e-3, epochs=2, batch_size=32, max_length=128)
SEEDS = (1, 2, 3)
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 4000, 1000, 1000

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
training: {{epochs: {epochs}, batch_size: {batch_size}, schedule: linear, warmup: 0.0, clip_norm: 1.0, keep: last, seed: {seed}}}
"""


def draw(data, folder):
    """Writes the rows that both sides use; validation rows are drawn beside the training rows."""
    def rows(name):
        with (data / "ag_news" / name).open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    pick = random.Random(42)
    learn = pick.sample(rows("train.csv"), TRAIN_ROWS + VALIDATION_ROWS)
    files = {"train": learn[:TRAIN_ROWS], "validation": learn[TRAIN_ROWS:],
             "test": pick.sample(rows("test.csv"), TEST_ROWS)}
    for name, chosen in files.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(chosen)


def call(command):
    started = time.monotonic()
    done = subprocess.run([str(part) for part in command], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: `{command[0]}` ended with exit code {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout, time.monotonic() - started


def ours(program, folder, seed, devices):
    folder = folder / f"seed-{seed}"
    folder.mkdir()
    sweep = folder / "sweep.yaml"
    sweep.write_text(SWEEP.format(folder=folder.parent, model=MODEL, seed=seed, **SETTINGS))
    _, seconds = call([program, "run", sweep, "--devices", devices, "--quiet",
                       "--results", folder / "results", "--reports", folder / "reports"])
    [result] = (json.loads(file.read_text()) for file in folder.glob("results/bench/trials/*/result.json"))
    cost = result["cost"]
    return dict(train=cost["train_rows"] / cost["train_s"], evaluate=cost["evaluated_rows"] / cost["evaluate_s"],
                accuracy=result["test"]["accuracy"], trainable=result["trainable_params"], seconds=seconds)


def peer(python, folder, seed, cuda, threads):
    settings = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", value)]
    output, seconds = call([python, PROJECT / "tests/bench/peer_single.py", "--model", MODEL, "--seed", seed,
                            "--train", folder / "train.csv", "--test", folder / "test.csv",
                            "--threads", threads, *settings, *(["--cuda"] if cuda else [])])
    result = json.loads(output.splitlines()[-1])
    return dict(train=result["train_rows_per_s"], evaluate=result["evaluate_rows_per_s"], accuracy=result["accuracy"],
                trainable=result["trainable"], seconds=seconds, versions=result["versions"])


def table(pairs):
    print(f"\n{'':>6}{'train, rows/s':>30}{'evaluate, rows/s':>30}{'test accuracy':>22}{'whole process, s':>22}")
    print(f"{'seed':>6}" + 2 * f"{'ours':>10}{'peer':>10}{'ratio':>10}" + f"{'ours':>11}{'peer':>11}" * 2)
    for seed, a, b in pairs:
        print(f"{seed:>6}" + "".join(f"{a[k]:>10.1f}{b[k]:>10.1f}{a[k] / b[k]:>10.2f}" for k in ("train", "evaluate"))
              + f"{a['accuracy']:>11.4f}{b['accuracy']:>11.4f}{a['seconds']:>11.1f}{b['seconds']:>11.1f}")
    median = {k: statistics.median(a[k] / b[k] for _, a, b in pairs) for k in ("train", "evaluate")}
    mean = [statistics.mean(pair[side]["accuracy"] for pair in pairs) for side in (1, 2)]
    print(f"\nmedian ratio: training {median['train']:.2f}, evaluation {median['evaluate']:.2f}; "
          f"mean test accuracy: ours {mean[0]:.4f}, peer {mean[1]:.4f} ({100 * (mean[0] - mean[1]):+.2f} points)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--devices", default="cpu:1", help="cpu:1 (default) or cuda:1")
    args = parser.parse_args()
    data = Path(os.environ.get("LORASWEEP_BENCH_DATA", PROJECT / "../shared/data")).resolve()
    python = os.environ.get("LORASWEEP_PEER_PYTHON")
    for missing, reason in [
            (not (data / "ag_news/train.csv").is_file(), f"no ag_news/train.csv in {data}: set LORASWEEP_BENCH_DATA"),
            (not python, "LORASWEEP_PEER_PYTHON is not set: name a Python with torch, transformers and peft"),
            (not (MODEL / "model.safetensors").is_file(), f"no model in {MODEL}: run `make assets`")]:
        if missing:
            print(f"skipped: {reason}")
            return
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(data, folder)
        pairs = []
        for seed in SEEDS:
            print(f"seed {seed}: lorasweep", file=sys.stderr)
            a = ours(args.lorasweep.resolve(), folder, seed, args.devices)
            print(f"seed {seed}: transformers + PEFT", file=sys.stderr)
            b = peer(python, folder, seed, args.devices.startswith("cuda"), threads)
            if a["trainable"] != b["trainable"]:
                sys.exit(f"error: {a['trainable']} parameters train here, {b['trainable']} there")
            pairs.append((seed, a, b))
    print(f"MiniLM-L6 cut to {SETTINGS['layers']} layers, LoRA rank {SETTINGS['rank']}, AG News, {TRAIN_ROWS} rows x "
          f"{SETTINGS['epochs']} epochs, batch {SETTINGS['batch_size']}, {args.devices}, {threads} cores\n"
          f"peer: {pairs[0][2]['versions']}")
    table(pairs)


if __name__ == "__main__":
    main()
