#!/usr/bin/env python3
"""Gives one decision to lorasweep and to transformers + PEFT under Optuna: `make bench-search-live`.

MiniLM cut to two layers on AG News, 12 LoRA configurations x 3 folds, from a learning rate that leaves no plateau to
one that diverges; for each seed other rows, folds and first weights, the same rows on both sides. Each side tries
every configuration in full, and with each of its rules for stopping, by turns and alone on the machine. Measured are
wall-clock from the command to its end, the steps that were trained, and the test accuracy of the configuration that
validation chooses. Each finished run is written to --out at once; the same command goes on where it was interrupted.

    LORASWEEP_PEER_PYTHON   a Python with torch, transformers 5, peft and optuna
    LORASWEEP_BENCH_DATA    folder with ag_news/{train,test}.csv (default: ../shared/data)
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import compare
from compare import MINILM, Run

SIDES = ["ours none", "peer none", "ours halving", "peer median", "ours median", "peer hyperband"]
LAYERS = 2

FULL = dict(rows=900, test_rows=400, folds=3, ranks=[4, 16], alphas=[64], epochs=2, batch_size=8, max_length=32,
            learning_rates=[3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2], warmup=0.06, evaluate_every=15)
TINY = {**FULL, "rows": 96, "test_rows": 40, "folds": 2, "ranks": [4], "epochs": 1, "evaluate_every": 2,
        "learning_rates": [1e-3, 5e-3, 3e-2]}

SWEEP = """\
name: live
task:
  train: {folder}/train.csv
  test: {folder}/test.csv
  columns: [label, title, description]
  text: [title, description]
  label: label
  max_length: {max_length}
models:
  minilm: {{from: {model}, layers: {layers}, hidden_dropout: 0, attention_dropout: 0}}
grid:
  - method: lora
    model: minilm
    rank: {ranks}
    alpha: {alphas}
    targets: [query, value]
    learning_rate: {learning_rates}
kfold: {{k: {folds}, stratified: true, seed: {seed}}}
training:
  {{epochs: {epochs}, batch_size: {batch_size}, schedule: linear, warmup: {warmup}, clip_norm: 1.0, seed: {seed},
   evaluate_every: {evaluate_every}}}
"""


def ours(program, rule, problem, folder, seed):
    """One run of the program, and what it chose among the configurations of which every fold is done."""
    sweep = SWEEP.format(folder=folder, model=MINILM, layers=LAYERS, seed=seed, **problem)
    if rule != "none":
        sweep += f"search: {{stop: {rule}}}\n"
    run = Run(program.resolve(), sweep, folder / f"ours-{rule}", "--devices", "auto")
    done, steps = {}, 0
    for metrics in (folder / f"ours-{rule}/results/live/trials").glob("*/metrics.jsonl"):
        trial = metrics.parent
        lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
        steps += max((line["step"] for line in lines), default=0)
        if (trial / "result.json").exists():
            configuration = json.loads((trial / "trial.json").read_text(encoding="utf-8"))["configuration"]
            point = {"rank": configuration["method"]["rank"], "alpha": configuration["method"]["alpha"],
                     "learning_rate": configuration["training"]["learning_rate"]}
            result = json.loads((trial / "result.json").read_text(encoding="utf-8"))
            done.setdefault(configuration["id"], []).append((point, result))
    whole = [trials for trials in done.values() if len(trials) == problem["folds"]]
    if not whole:
        sys.exit("error: no configuration has every fold")

    def mean(trials, part):
        return statistics.mean(result[part]["accuracy"] for _, result in trials)

    best = max(whole, key=lambda trials: mean(trials, "validation"))
    return dict(seconds=run.seconds, steps=steps, whole=len(whole), choice=best[0][0],
                validation=mean(best, "validation"), test=mean(best, "test"))


def theirs(rule, problem, folder, seed):
    settings = {name: ",".join(map(str, value)) if isinstance(value, list) else value
                for name, value in problem.items() if name not in ("rows", "test_rows")}
    lines, seconds = compare.peer(
        "search/peer.py", "--rule", rule, "--model", MINILM, "--layers", LAYERS, "--train", folder / "train.csv",
        "--test", folder / "test.csv", "--threads", compare.CORES, "--seed", seed, *compare.options(settings))
    *trials, last = lines
    return dict(seconds=seconds, steps=sum(trial["steps"] for trial in trials),
                whole=sum(not trial["pruned"] for trial in trials),
                **{key: last[key] for key in ("choice", "validation", "test", "versions")})


def measure(program, side, problem, seed):
    who, rule = side.split()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare.draw_ag_news(folder, problem["rows"], problem["test_rows"], seed=seed)
        return ours(program, rule, problem, folder, seed) if who == "ours" else theirs(rule, problem, folder, seed)


def print_table(known, sides, seeds):
    print("\n| side, rule | wall-clock, s | of the peer's grid | steps, % of the grid | whole configurations "
          "| test accuracy of the choice, % |\n|---|---|---|---|---|---|")
    for side in sides:
        runs = {seed: known[f"{seed} {side}"] for seed in seeds if f"{seed} {side}" in known}
        if not runs:
            continue
        who = side.split()[0]

        def against(key, other):
            pairs = [(run[key], known[f"{seed} {other}"][key]) for seed, run in runs.items()
                     if f"{seed} {other}" in known]
            return f"{statistics.mean(a / b for a, b in pairs):.3f}" if pairs else "–"

        def each(key, scale=1, digits=0):
            values = [scale * run[key] for run in runs.values()]
            return f"{statistics.mean(values):.{digits}f} ({', '.join(f'{value:.{digits}f}' for value in values)})"

        steps = against("steps", f"{who} none")
        print(f"| {side} | {each('seconds')} | {against('seconds', 'peer none')} "
              f"| {steps if steps == '–' else f'{100 * float(steps):.0f}'} | {each('whole')} | {each('test', 100, 1)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sides", default=",".join(SIDES), help=f"default: {','.join(SIDES)}")
    parser.add_argument("--out", type=Path, default=Path("results/search-live.json"), help="what is known so far")
    parser.add_argument("--tiny", action="store_true", help="check at toy size that everything works")
    args = parser.parse_args()
    if reason := compare.missing():
        print(f"skipped: {reason}")
        return
    sides, problem = args.sides.split(","), TINY if args.tiny else FULL
    seeds = range(1, args.seeds + 1)
    state = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"problem": problem, "runs": {}}
    if state["problem"] != problem:
        sys.exit(f"error: {args.out} is of another problem\nhint: move it away, or name another file with --out")
    known = state["runs"]
    print(f"{compare.machine()}; {json.dumps(problem)}", flush=True)
    for seed in seeds:
        # Who begins changes from seed to seed, so that a machine that slows down favours neither.
        for side in sides[seed % len(sides):] + sides[:seed % len(sides)]:
            if f"{seed} {side}" in known:
                continue
            known[f"{seed} {side}"] = {**measure(args.lorasweep, side, problem, seed), "machine": compare.machine()}
            args.out.parent.mkdir(parents=True, exist_ok=True)
            partial = args.out.with_suffix(".partial")
            partial.write_text(json.dumps(state, indent=1), encoding="utf-8")
            os.replace(partial, args.out)
            run = known[f"{seed} {side}"]
            print(f"seed {seed}, {side}: {run['seconds']:.0f} s, {run['steps']} steps, {run['whole']} whole, "
                  f"chose {run['choice']}: test {100 * run['test']:.1f} %", flush=True)
    print_table(known, sides, seeds)
    for versions in {run["versions"] for run in known.values() if "versions" in run}:
        print(f"\npeer: {versions}")


if __name__ == "__main__":
    main()
