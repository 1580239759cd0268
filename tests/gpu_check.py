#!/usr/bin/env python3
"""Checks the program on a GPU: `make gpu-check`, or where there is no Rust

    python3 gpu_check.py --lorasweep ./lorasweep      # needs the built program, this file, gpu_check/ and bench/

It makes up its own data, tokenizers and models, fetches nothing, and takes at most ten minutes on one card:

1. the probe: `doctor`, and one smallest sweep on the card;
2. trials of several ranks, seeds and folds in packs, one in each pack, and on the CPU, with dropout and without: the
   weights after 20 steps are at most 1e-5 apart;
3. rows of one word and of many in one batch, row by row, and on the CPU;
4. a pack and a batch that are too large for the memory: they end in smaller ones. A worker and a whole run killed in
   the middle: memory and processes are gone, and the run that goes on ends with the weights of an undisturbed one;
5. time and memory as foreseen and as measured, in a first run and in one with its experience;
6. the grids of `bench/gpu.py`, where LORASWEEP_PEER_PYTHON names the peer's Python.

It prints a table, and why anything failed or was skipped, and ends with 1 where something failed. `--smoke` makes all
of it toy-sized, for a made-up GPU; with `--devices cpu` it runs without any, and skips what compares with the CPU.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from gpu_check.checks import carry_out_all, tell
from gpu_check.forecasts import Bench, Forecasts
from gpu_check.kills import Kills
from gpu_check.laws import Laws, Padding, Probe
from gpu_check.program import Program
from gpu_check.scarcity import Scarcity
from gpu_check.sweeps import Maker

import compare


PARTS = ["probe", "laws", "padding", "memory", "kills", "forecasts", "speed"]


def checks(program, maker, smoke, parts):
    """Those of some parts, in their order. Runs that several look at are made once, by the first."""
    forecasts = Forecasts(program, maker)
    of_parts = {
        "probe": lambda: [Probe(program, maker)],
        "laws": lambda: [Laws(program, maker.encoder_laws()), Laws(program, maker.decoder_laws())],
        "padding": lambda: [Padding(program, maker.padding())],
        "memory": lambda: [Scarcity(program, maker)],
        "kills": lambda: [Kills(program, maker.steady(), undisturbed=lambda: forecasts.first[0])],
        "forecasts": lambda: [forecasts],
        "speed": lambda: [Bench(program, smoke)],
    }
    chosen = [of_parts[part] for part in PARTS if part in parts]
    return [check for make in chosen for one in make() for check in one.checks()]


def some_parts(text):
    parts = text.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part `{unknown[0]}`; there are {', '.join(PARTS)}")
    return parts


def devices(text):
    if not re.fullmatch(r"cuda:\d+|cpu(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"`{text}` is neither one GPU, as `cuda:0`, nor `cpu`")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to check")
    parser.add_argument("--devices", type=devices, default="cuda:0",
                        help="one GPU (default: cuda:0), or cpu to try this script")
    parser.add_argument("--minutes", type=float, default=10, help="how long it may take (default: 10)")
    parser.add_argument("--smoke", action="store_true", help="at toy size")
    parser.add_argument("--only", type=some_parts, default=PARTS, metavar="PARTS",
                        help=f"some of {','.join(PARTS)}, with commas in between (default: all)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for all that is written; it is kept")
    args = parser.parse_args()
    if not args.lorasweep.is_file():
        parser.error(f"there is no program `{args.lorasweep}`")
    with tempfile.TemporaryDirectory() as name:
        if args.keep:
            args.keep.mkdir(parents=True)
        folder = (args.keep or Path(name)).resolve()
        program = Program(args.lorasweep, folder, args.devices, args.minutes)
        print(f"{compare.machine()}, --devices {args.devices}{', toy size' if args.smoke else ''}", flush=True)
        outcomes = carry_out_all(checks(program, Maker(folder, args.smoke), args.smoke, args.only))
    print()
    sys.exit(tell(outcomes))


if __name__ == "__main__":
    main()
