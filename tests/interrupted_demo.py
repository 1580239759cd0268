#!/usr/bin/env python3
"""Interrupts the demo ten times along its way and compares its end with an undisturbed one's.

    make demo-interrupted

Both runs have folders of their own, so that those of `make demo` stay as they are. The tenth parts of
the undisturbed run's time are the moments; SIGINT, SIGTERM and SIGKILL take turns. At the end
`configurations.csv` must be the same byte for byte but for its columns of time, speed and memory,
and `lorasweep verify` must find nothing damaged.
"""

import argparse
import csv
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = Path(__file__).resolve().parents[1] / "sweeps/demo.yaml"
NAME = "complaints-three-ways"
INTERRUPTIONS = 10
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]

# How the names of columns begin that time or the machine decide.
OF_TIME = ("wall_s", "train_rows_per_s", "train_tokens_per_s", "peak_memory_mib")


def start(program, folder):
    command = [program, "run", SWEEP, "--results", folder / "results", "--reports", folder / "reports", "--quiet"]
    with (folder / "said").open("a", encoding="utf-8") as said:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)


def give_up(folder, what):
    sys.exit(f"error: {what}; it said\n{(folder / 'said').read_text(encoding='utf-8')[-3000:]}")


def to_the_end(program, folder):
    code = start(program, folder).wait()
    if code:
        give_up(folder, f"the demo ended with exit code {code}")


def done(folder):
    return len(list((folder / "results" / NAME / "trials").glob("*/result.json")))


def table(folder):
    with (folder / "reports" / NAME / "configurations.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = [at for at, name in enumerate(rows[0]) if not name.startswith(OF_TIME)]
    return [[row[at] for at in kept] for row in rows]


def interrupt(program, folder, seconds, number):
    """Lets the demo run for so long, then ends it. Returns what became of it."""
    process = start(program, folder)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(SIGNALS[number % len(SIGNALS)])
        code = process.wait(timeout=60)
    expected = {4, -signal.SIGKILL, 0}
    if code not in expected:
        give_up(folder, f"interrupted, the demo ended with exit code {code}")
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorasweep", type=Path, required=True, help="the program to interrupt")
    program = parser.parse_args().lorasweep.resolve()
    with tempfile.TemporaryDirectory() as undisturbed, tempfile.TemporaryDirectory() as disturbed:
        undisturbed, disturbed = Path(undisturbed), Path(disturbed)
        begun = time.monotonic()
        to_the_end(program, undisturbed)
        took = time.monotonic() - begun
        print(f"undisturbed: {took:.0f} s, {done(undisturbed)} trials done", flush=True)
        # What is repeated after each interruption takes time too, so the last of them may come after the end.
        landed = 0
        for number in range(INTERRUPTIONS):
            code = interrupt(program, disturbed, took / INTERRUPTIONS, number)
            landed += code != 0
            print(f"interruption {number + 1}: exit code {code}, {done(disturbed)} trials done", flush=True)
        to_the_end(program, disturbed)
        verified = subprocess.run([program, "verify", disturbed / "results" / NAME], capture_output=True, text=True)
        if verified.returncode:
            sys.exit(f"error: `lorasweep verify` found\n{verified.stdout}{verified.stderr}")
        if landed < INTERRUPTIONS:
            sys.exit(f"error: the demo ended before interruption {landed + 1} of {INTERRUPTIONS}")
        expected, found = table(undisturbed), table(disturbed)
        if found != expected:
            differing = [pair for pair in zip(expected, found) if pair[0] != pair[1]]
            sys.exit(f"error: configurations.csv differs: {differing or [len(expected), len(found)]}")
        print(f"the same configurations.csv after {landed} interruptions: "
              f"{len(found) - 1} configurations, {len(found[0])} columns compared")


if __name__ == "__main__":
    main()
