#!/usr/bin/env python3
"""Compares a LoRA grid of nine trials with the same nine in transformers + PEFT: `make bench-grid`.

MiniLM cut to two layers on AG News, rank 4/8/16 x alpha 8/16/32, the same files, rows and cores. We
run as `lorasweep run` does by default, from the command to the report; the peer trains the nine
one after the other in one process with a thread for each core, which is its fastest way. The test
rows stand as validation rows in our sweep, so that each side evaluates each trial once on them. All
nine share a seed, and at this learning rate without warm-up a seed can decide by ten points and more:
accuracies are compared over many seeds, with `--seeds`.

The floating-point limit is the rate of 2048 x 2048 matrix products on the same cores, measured in
the peer's torch with our threads, over the products of a row that a LoRA step on query and value
must do. In units of hidden x hidden per token these are 25: 4 + 8 forward in the first layer; 2 in
the last, of which only keys and values are needed at every token; back, 2 in the last layer and
1 + 8 in the first. Three of them, the first layer's frozen projections, are done once for all
trials of a pack. Evaluation needs the 14 of forward. Attention's and the adapters' own products
are left out: they are small here.

    LORASWEEP_PEER_PYTHON   a Python with torch, transformers 5 and peft
    LORASWEEP_BENCH_DATA    folder with ag_news/{train,test}.csv (default: ../shared/data)
"""

import argparse
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compare
from compare import MINILM, Peer, Run

RANKS, ALPHAS, LAYERS, HIDDEN = [4, 8, 16], [8, 16, 32], 2, 384
SETTINGS = dict(learning_rate=5e-3, epochs=1, batch_size=32, max_length=128)

TARGETS = {"fp32": ">= 2.6", "bf16": ">= 4"}

SWEEP = """\
name: grid
task:
  train: {folder}/train.csv
  validation: {folder}/test.csv
  columns: [label, title, description]
  text: [title, description]
  label: label
  max_length: {max_length}
models:
  minilm: {{from: {model}, layers: {layers}}}
grid:
  - {{method: lora, model: minilm, rank: {ranks}, alpha: {alphas}, learning_rate: {learning_rate}}}
training:
  {{epochs: {epochs}, batch_size: {batch_size}, schedule: linear, clip_norm: 1.0, seed: {seed}, precision: {precision}}}
"""


def ours(args, folder, seed, ranks=RANKS, alphas=ALPHAS):
    sweep = SWEEP.format(folder=folder, model=MINILM, layers=LAYERS, ranks=ranks, alphas=alphas, seed=seed,
                         precision=args.precision, **SETTINGS)
    return Run(args.lorasweep.resolve(), sweep, folder / f"ours-{seed}", "--devices", args.devices)


def theirs(folder, seed, ranks=RANKS, alphas=ALPHAS):
    return Peer("--model", MINILM, "--layers", LAYERS, "--train", folder / "train.csv", "--test", folder / "test.csv",
                "--ranks", ",".join(map(str, ranks)), "--alphas", ",".join(map(str, alphas)),
                "--threads", compare.CORES, "--seed", seed, *compare.options(SETTINGS))


def matmul_rate(places, dtype):
    """Floating-point operations per second of all places at once, each with its threads."""
    def rate(place):
        [line], _ = compare.peer("rate.py", "--threads", len(place["cores"]), "--dtype", dtype)
        return line["flops"]

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(rate, places))


def limits(run, rate):
    """Rows per second that the rate allows: training and evaluation."""
    tokens = sum(r["cost"]["train_tokens"] for r in run.results) / sum(r["cost"]["train_rows"] for r in run.results)
    # A trial's part of the shared products is one in as many as its pack has trials.
    shared = 3 * len(run.packs) / sum(pack.size for pack in run.packs)
    product = 2 * HIDDEN**2 * tokens
    return tokens, shared, [rate / (product * (own + shared)) for own in (22, 11)]


def pair(args, folder, seed):
    # Who begins alternates, so that a machine that slows down favours neither.
    if seed % 2:
        a, b = ours(args, folder, seed), theirs(folder, seed)
    else:
        b, a = theirs(folder, seed), ours(args, folder, seed)
    rate = matmul_rate(a.places.values(), "bfloat16" if args.precision == "bf16" else "float32")
    tokens, shared, [train, evaluate] = limits(a, rate)
    compare.check_alike(a, b)
    accuracy = [100 * side.mean("accuracy") for side in (a, b)]
    print(f"\npair {seed}: packs of {', '.join(str(pack.size) for pack in a.packs)}; {tokens:.1f} tokens a row; "
          f"{rate / 1e9:.0f} GFLOP/s in {args.precision}\n"
          f"allow {train:.0f} training and {evaluate:.0f} evaluation rows/s "
          f"({22 + shared:.1f} and {11 + shared:.1f} products)")
    target = TARGETS[args.precision]
    wall = compare.ratio("wall-clock, command to report, s", a.seconds, b.seconds, target, more_is_better=False)
    compare.table(compare.SIDES, [
        wall,
        compare.ratio("training, rows/s", a.train, b.train),
        compare.ratio("evaluation, rows/s", a.evaluate, b.evaluate, ">= 4"),
        ("training, % of the limit", 100 * a.train / train, 100 * b.train / train, "", ">= 65"),
        ("mean test accuracy, %", *accuracy, f"{accuracy[0] - accuracy[1]:+.2f} points", ">= -1.5"),
    ])
    return wall[3], b.versions


def over_seeds(args, folder, seeds):
    """The accuracy of the grid's middle point with each of these seeds: how much of a difference is chance."""
    middle = dict(ranks=RANKS[1:2], alphas=ALPHAS[1:2])
    sides = [], []
    for seed in seeds:
        for scores, side in zip(sides, (ours(args, folder, seed, **middle), theirs(folder, seed, **middle))):
            scores.append(100 * side.mean("accuracy"))
        print(f"seed {seed}: {sides[0][-1]:.1f} % and {sides[1][-1]:.1f} %", flush=True)
    means, spreads = [[of(scores) for scores in sides] for of in (statistics.mean, statistics.stdev)]
    error = (sum(spread**2 for spread in spreads) / len(seeds)) ** 0.5
    print(f"\nrank {RANKS[1]}, alpha {ALPHAS[1]}, {len(seeds)} seeds, mean and standard deviation: "
          f"ours {means[0]:.1f} ± {spreads[0]:.1f} %, the peer's {means[1]:.1f} ± {spreads[1]:.1f} %\n"
          f"difference {means[0] - means[1]:+.1f} points, its standard error {error:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to measure")
    parser.add_argument("--pairs", type=int, default=1, help="how often to run both sides, each time with another seed")
    parser.add_argument("--seeds", type=int, help="compare only the accuracy of one trial with so many seeds")
    parser.add_argument("--devices", default="auto", help="as in `lorasweep run` (default: auto)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of our side; the peer's is fp32")
    parser.add_argument("--train-rows", type=int, default=4000)
    parser.add_argument("--test-rows", type=int, default=1000)
    args = parser.parse_args()
    if reason := compare.missing():
        print(f"skipped: {reason}")
        return
    print(f"MiniLM-L6 cut to {LAYERS} layers, LoRA rank {RANKS} x alpha {ALPHAS}, AG News, {args.train_rows} rows x "
          f"{SETTINGS['epochs']} epoch + {args.test_rows} test rows,\n"
          f"batch {SETTINGS['batch_size']}, up to {SETTINGS['max_length']} tokens, ours in {args.precision}\n"
          f"{compare.machine()}, --devices {args.devices}; the peer: fp32, {compare.CORES} threads", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare.draw_ag_news(folder, args.train_rows, args.test_rows)
        if args.seeds:
            over_seeds(args, folder, range(1, args.seeds + 1))
            return
        pairs = [pair(args, folder, seed) for seed in range(1, args.pairs + 1)]
    ratios = [ratio for ratio, _ in pairs]
    print(f"\nmedian wall-clock ratio of {len(pairs)}: {statistics.median(ratios):.2f}\npeer: {pairs[0][1]}")


if __name__ == "__main__":
    main()
