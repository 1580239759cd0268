"""How long training takes and how much memory it needs, as foreseen and as measured, before and after the program has
experience of the machine; and the speed that the bench measures against a peer."""

import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import compare

from .card import Peak
from .checks import Check, Failed, Skipped, once

# Foreseen and measured may be apart by this factor: of time once packs like these were seen, of memory always.
TIME_LIMIT, MEMORY_LIMIT = 2.0, 1.5
BENCH = Path(compare.HERE) / "gpu.py"


class Forecasts:
    """A sweep that runs twice with the same results folder, under two names."""

    def __init__(self, program, maker):
        self.program, self.maker = program, maker

    def followed(self, name):
        """A run, its predicted memory, and what it took of the GPU."""
        sweep = self.maker.steady(name)
        if not self.program.on_gpu:
            return self.program.run(sweep, "steady").demand_all_done(), None, None
        jobs = self.program.plan(sweep, results="steady")["jobs"]
        foreseen = max(job["mem_mib"] for job in jobs if job["kind"] == "train")
        with Peak(self.program) as peak:
            run = self.program.run(sweep, "steady").demand_all_done()
        return run, foreseen, peak.mib

    @once
    def first(self):
        return self.followed("steady")

    @once
    def second(self):
        return self.followed("steady-again")

    def checks(self):
        # A toy ends before much can be said of it.
        limit = "toy" if self.maker.smoke else TIME_LIMIT
        memory = "toy" if self.maker.smoke else MEMORY_LIMIT
        for what, run, limit in (("first", lambda: self.first, "any"), ("second", lambda: self.second, limit)):
            yield Check(f"{what} run: time foreseen and taken, factor between", limit,
                        lambda run=run: self.time(run()[0]))
            yield Check(f"{what} run: memory foreseen and needed, factor between", memory,
                        lambda run=run: self.memory(*run()))

    def time(self, run):
        page = run.report.read_text(encoding="utf-8")
        if "training predicted to take" not in page:
            raise Failed(f"`{run.report.name}` does not say what was predicted")
        foreseen = run.of("training_foreseen")[0]
        ends = [moment(event) for event in run.of("trial_finished")]
        return factor(foreseen["training_s"], (max(ends) - moment(foreseen)).total_seconds(), "s")

    def memory(self, run, foreseen, needed):
        """The program's own figures where it measures memory; on a GPU what the driver tells."""
        if (of_run := run.of("training_foreseen")[0].get("mem_mib")) is not None:
            foreseen, needed = of_run, max(run.result(trial)["cost"]["peak_memory_mib"] for trial in run.trials)
        if not needed:
            raise Skipped("the memory of the GPU in use did not change while it trained")
        return factor(foreseen, needed, "MiB")


def moment(event):
    """When it happened; the nanoseconds are cut to what Python knows."""
    text = re.sub(r"(\.\d{6})\d*", r"\1", event["at"]).replace("Z", "+00:00")
    return datetime.fromisoformat(text)


def factor(foreseen, measured, unit):
    if min(foreseen, measured) <= 0:
        raise Failed(f"{foreseen:.4g} {unit} were foreseen, {measured:.4g} measured")
    return max(foreseen / measured, measured / foreseen)


class Bench:
    """The grids of `bench/gpu.py` against transformers and PEFT, where the peer is at hand."""

    def __init__(self, program, smoke):
        self.program, self.smoke = program, smoke

    def checks(self):
        return [Check("speed against transformers + PEFT", "targets of bench-gpu", self.measure)]

    def measure(self):
        if reason := compare.missing(ag_news=False):
            raise Skipped(reason)
        command = [sys.executable, BENCH, "--lorasweep", self.program.path, *(["--smoke"] if self.smoke else [])]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                              env=self.program.environment, timeout=self.program.remaining_s())
        print(done.stdout, flush=True)
        if done.returncode:
            raise Failed(f"`gpu.py` ended with exit code {done.returncode}: {done.stderr[-300:].strip()}")
        if "skipped:" in done.stdout:
            raise Skipped(done.stdout.strip().rpartition("skipped: ")[2])
        # Lines that end with a ratio and its target.
        lines = re.findall(r"^(\S.*?)   .*?([\d.]+) +>= ([\d.]+)$", done.stdout, re.MULTILINE)
        if not lines:
            raise Failed("`gpu.py` printed no ratio")
        if self.smoke:
            return "ran as a toy"
        missed = [f"{what} {ratio}, not {target}" for what, ratio, target in lines if float(ratio) < float(target)]
        if missed:
            raise Failed("; ".join(missed))
        return ", ".join(ratio for _, ratio, _ in lines)
