#!/usr/bin/env python3
"""Measures what `lorasweep` costs beside the training: `make bench-overhead`.

- `lorasweep plan` on a grid of 100,000 trials, from the command to its end: time and peak memory.
- From a trial's result to the first step of the next job on the same device, that step included: one
  trial a job, MiniLM cut to two layers, one CPU slot, by the times of the run's events. Beside it the same for
  the first job, whose worker is a new process, and what the others' memory is of the first one's.

Needs no peer and no data.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare
from compare import MINILM, Run

PLAN = """\
name: large
task: {train: rows.csv, text: text, label: label, max_length: 16}
models:
  small: {from: small}
grid:
  - method: lora
    model: small
    rank: [RANKS]
    alpha: [ALPHAS]
    learning_rate: [RATES]
    seed: [SEEDS]
split: {fraction: 0.1}
training: {epochs: 1}
"""
TRIALS = 20 * 20 * 25 * 10

GAP = """\
name: gap
task: {{train: {folder}/rows.csv, validation: {folder}/rows.csv, text: text, label: label, max_length: 16}}
models:
  minilm: {{from: {model}, layers: 2}}
grid:
  - {{method: lora, model: minilm, rank: 8, alpha: 16, learning_rate: 1e-3, seed: [1, 2, 3, 4, 5, 6]}}
training: {{epochs: 1, batch_size: 8}}
"""


def write_inputs(folder):
    rows = "".join(f"the {'cat sleeps' if n % 2 else 'dog runs'} again,{n % 2}\n" for n in range(64))
    (folder / "rows.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sleeps runs again".split()
    config = dict(model_type="bert", vocab_size=len(words), hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                  intermediate_size=512, max_position_embeddings=512)
    (folder / "small").mkdir()
    (folder / "small/vocab.txt").write_text("\n".join(words), encoding="utf-8")
    (folder / "small/config.json").write_text(json.dumps(config), encoding="utf-8")


def plan(program, folder):
    numbers = dict(RANKS=range(1, 21), ALPHAS=range(1, 21), RATES=(f"{n}e-4" for n in range(1, 26)), SEEDS=range(10))
    sweep = PLAN
    for name, values in numbers.items():
        sweep = sweep.replace(name, ", ".join(map(str, values)))
    (folder / "large.yaml").write_text(sweep, encoding="utf-8")
    started = time.monotonic()
    with (folder / "plan.stderr").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen([program, "plan", folder / "large.yaml"], stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"error: `lorasweep plan` ended with exit code {process.returncode}\n{errors.read()[-3000:]}")
    return [(f"check, expand and plan {TRIALS:,} trials, s", seconds, "< 2"),
            ("its peak memory, MB", usage.ru_maxrss * 1024 / 1e6, "< 500")]


def gap(program, folder):
    sweep = GAP.format(folder=folder, model=MINILM)
    run = Run(program, sweep, folder / "gap", "--devices", "cpu:1", "--pack-slots", "1")
    gaps = [after.first_step - before.last_result for before, after in zip(run.packs, run.packs[1:])]
    first, *others = [result["cost"]["peak_memory_mib"] for result in run.results]
    return [("from the first job's launch to its first step, s", run.packs[0].first_step - run.packs[0].launched, ""),
            ("from a job's end to the next one's first step, median, s", statistics.median(gaps), "< 0.05"),
            (f"the longest of {len(gaps)}, s", max(gaps), ""),
            ("peak memory of the first pack, MiB", first, ""),
            ("of the others, least share of it", min(others) / first, "> 0.9"),
            ("of the others, largest share of it", max(others) / first, "< 1.1")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    args = parser.parse_args()
    program = args.lorasweep.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        rows = plan(program, folder)
        if (MINILM / "model.safetensors").is_file():
            rows += gap(program, folder)
        else:
            print(f"skipped: no model in {MINILM} for the time between jobs: run `make assets`")
    print(compare.machine())
    compare.table(("", "measured", "target"), rows)


if __name__ == "__main__":
    main()
