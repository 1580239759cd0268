"""What the comparisons share: the program and the peer as processes, the machine, data and tables.

Measures wall-clock and reads what both sides tell of themselves; knows no grid and no target.
Standard library only: torch, transformers and peft live in the peer's own interpreter, which
LORASWEEP_PEER_PYTHON names.
"""

import csv
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
MINILM = PROJECT / ".assets" / "all-MiniLM-L6-v2"
DATA = Path(os.environ.get("LORASWEEP_BENCH_DATA", PROJECT / "../shared/data")).resolve()
PYTHON = os.environ.get("LORASWEEP_PEER_PYTHON")
CORES = len(os.sched_getaffinity(0))
ENDS = ("job_finished", "job_failed", "job_interrupted")


def missing(ag_news=True):
    """Why there can be no comparison here; None where everything is at hand."""
    if not PYTHON:
        return "LORASWEEP_PEER_PYTHON is not set: name a Python with torch, transformers and peft"
    if ag_news and not (DATA / "ag_news/train.csv").is_file():
        return f"no ag_news/train.csv in {DATA}: set LORASWEEP_BENCH_DATA"
    if ag_news and not (MINILM / "model.safetensors").is_file():
        return f"no model in {MINILM}: run `make assets`"
    return None


def machine():
    """The day and the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{datetime.date.today()}, {CORES} cores of {name}"


def draw_ag_news(folder, train, test, validation=0, seed=42):
    """Writes the rows that both sides use; validation rows are drawn beside the training rows."""
    def rows(name):
        with (DATA / "ag_news" / name).open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    pick = random.Random(seed)
    learn = pick.sample(rows("train.csv"), train + validation)
    parts = dict(train=learn[:train], validation=learn[train:], test=pick.sample(rows("test.csv"), test))
    for name, chosen in parts.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(chosen)


class Side:
    """Trials of one side of a comparison."""

    @property
    def train(self):
        return self.rows_per_s("train_rows", "train_s")

    @property
    def evaluate(self):
        return self.rows_per_s("evaluated_rows", "evaluate_s")


class Run(Side):
    """One `lorasweep run`, from the command to the report, with the time of each of its events."""

    def __init__(self, program, sweep, folder, *options, environment=None):
        folder.mkdir()
        file = folder / "sweep.yaml"
        file.write_text(sweep, encoding="utf-8")
        command = [program, "run", file, "--json", *options]
        command += ["--results", folder / "results", "--reports", folder / "reports"]
        started = time.monotonic()
        with (folder / "stderr").open("w+", encoding="utf-8") as errors:
            with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True,
                                  env={**os.environ, **(environment or {})}) as process:
                events = [(time.monotonic() - started, json.loads(line)) for line in process.stdout]
            self.seconds = time.monotonic() - started
            if process.returncode:
                errors.seek(0)
                sys.exit(f"error: `{program} run` ended with exit code {process.returncode}\n{errors.read()[-3000:]}")
        self.results = [event["result"] for _, event in events if event["event"] == "trial_finished"]
        launched = [(at, event) for at, event in events if event["event"] == "job_launching" and event["trials"]]
        self.packs = [Pack(at, event, events) for at, event in launched]
        self.places = {json.dumps(pack.placement["device"]): pack.placement for pack in self.packs}

    def rows_per_s(self, rows, seconds):
        """Rows per second over all places, by the costs of the trials: each is charged its part of a pack's time."""
        total = {key: sum(result["cost"][key] for result in self.results) for key in (rows, seconds)}
        return len(self.places) * total[rows] / total[seconds]

    def mean(self, metric, part="validation"):
        return statistics.mean(result[part][metric] for result in self.results)


class Pack:
    """A training job of a run: its trials, and when it was launched, did its first step and ended."""

    def __init__(self, launched, event, events):
        trials = set(event["trials"])
        mine = [(at, other) for at, other in events if other.get("key") == event["key"]]
        self.size, self.placement, self.launched = len(trials), event["placement"], launched
        self.ended = next((at for at, other in mine if other["event"] in ENDS), None)
        self.first_step = next((at for at, other in mine if other["event"] == "trial_progressed"), None)
        self.last_result = max((at for at, other in events if other["event"] == "trial_finished"
                                and other["result"]["trial"] in trials), default=None)


def peer(script, *options, environment=None):
    """The JSON lines that a script of this folder prints in the peer's interpreter, and the wall-clock."""
    command = [PYTHON, HERE / script, *options]
    started = time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(f"error: `{script}` ended with exit code {done.returncode}\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')], time.monotonic() - started


class Peer(Side):
    """Trials one after the other in one process of the peer."""

    def __init__(self, *options, environment=None):
        lines, self.seconds = peer("peer.py", *options, environment=environment)
        self.trials, self.versions = lines[:-1], lines[-1]["versions"]

    def rows_per_s(self, rows, seconds):
        return sum(trial[rows] for trial in self.trials) / sum(trial[seconds] for trial in self.trials)

    def mean(self, metric):
        return statistics.mean(trial[metric] for trial in self.trials)


def check_alike(run, peer):
    """Ends the comparison where the two sides do not train equally many parameters."""
    a = sorted(result["trainable_params"] for result in run.results)
    b = sorted(trial["trainable"] for trial in peer.trials)
    if a != b:
        sys.exit(f"error: {a} parameters train here, {b} there")


def options(settings):
    """`{"max_length": 128}` as `--max-length 128`."""
    return [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]


def scaled(wall, trials, n):
    """Seconds for `n` trials one after the other, where `wall` were measured with these few: what was spent beside
    the trials, the first one, which warms up, and all others at the mean of the rest."""
    rest = trials[1:] or trials
    return wall - sum(trials) + trials[0] + (n - 1) * statistics.mean(rest)


def table(columns, rows):
    """Prints lines of texts and numbers, which get four digits, under the names of the columns."""
    def text(value):
        return value if isinstance(value, str) else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"

    lines = [[text(value) for value in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for what, *values in lines:
        cells = "".join(f"{value:>{width + 3}}" for value, width in zip(values, widths[1:]))
        print(f"{what:<{widths[0]}}{cells}".rstrip(), flush=True)


SIDES = ("", "ours", "peer", "ratio", "target")


def ratio(what, a, b, target="", more_is_better=True):
    """A line for `SIDES`: a ratio above 1 is in our favour."""
    return what, a, b, a / b if more_is_better else b / a, target
