"""What is left of a run whose worker, or which itself, was killed: no process, no memory, and a way to go on."""

import os
import signal
import time
from pathlib import Path

from .card import used_mib
from .checks import Check, Failed, Skipped, once
from .weights import runs_apart

LIMIT = 1e-5
# How long processes and the driver may take to give back what they had.
PATIENCE_S = 20
# What the driver may keep for itself, in MiB.
MEMORY_MARGIN = 64.0
OFTEN = ("--checkpoint-every", "200ms")


class Kills:
    """A run killed in the middle twice, each time compared with an undisturbed one."""

    def __init__(self, program, sweep, undisturbed):
        self.program, self.sweep, self.undisturbed = program, sweep, undisturbed

    def kill_in_the_middle(self, place, whom, *options):
        """Starts the sweep, and kills its worker or all of it between a third and three quarters of its way."""
        killed = []

        def on_event(run, event):
            if event["event"] != "trial_progressed" or killed:
                return
            done = event["progress"]["step"] / event["progress"]["steps"]
            has_checkpoint = any(run.results.glob("trials/*/checkpoint/last.safetensors"))
            if 1 / 3 <= done <= 3 / 4 and has_checkpoint:
                killed.append(done)
                os.kill(run.pid(event["key"]) if whom == "worker" else run.process.pid, signal.SIGKILL)

        before = used_mib(self.program) if self.program.on_gpu else None
        run = self.program.run(self.sweep, place, *OFTEN, *options, on_event=on_event, ends=(0, 3, -signal.SIGKILL))
        if not killed:
            raise Failed("the run was over before it could be killed")
        return run, before

    @once
    def worker(self):
        # Nobody starts it again, so that what it leaves can be seen.
        run, before = self.kill_in_the_middle("killed-worker", "worker", "--attempts", 1)
        if "killed" not in run.failures:
            raise Failed(f"the run told of {run.failures or 'no failure'}")
        return run, before

    @once
    def whole(self):
        return self.kill_in_the_middle("killed-run", "run")

    def checks(self):
        kills = ("worker", lambda: self.worker, ["--retry-failed"]), ("run", lambda: self.whole, [])
        for name, kill, options in kills:
            yield Check(f"{name} killed: its processes after {PATIENCE_S} s", 0.0,
                        lambda kill=kill: self.processes(kill()[0]))
            yield Check(f"{name} killed: memory of the GPU that is kept, MiB", MEMORY_MARGIN,
                        lambda kill=kill: self.memory(*kill()))
            yield Check(f"{name} killed and continued: weights and an undisturbed run's", LIMIT,
                        lambda name=name, kill=kill, options=options: self.weights(kill(), f"killed-{name}", options))

    def processes(self, run):
        if not run.pids:
            raise Failed("the run told of no process")
        left = until(lambda: sum(map(lives, run.pids)), lambda count: count == 0)
        return float(left)

    def memory(self, _run, before):
        if before is None:
            raise Skipped("no GPU is in use")
        return float(until(lambda: used_mib(self.program), lambda used: used <= before + MEMORY_MARGIN) - before)

    def weights(self, killed, place, options):
        left = [trial for trial in killed[0].trials if not killed[0].result(trial)]
        if not left:
            raise Failed("no trial was in the middle")
        again = self.program.run(self.sweep, place, *OFTEN, *options).demand_all_done()
        planned = again.of("run_planned")
        if not planned or not planned[0]["continued"]:
            raise Failed("no trial was continued from a checkpoint")
        return runs_apart(again, self.undisturbed())[0]


def until(look, is_good):
    """What is seen when it is good, or else at the end of all patience."""
    end = time.monotonic() + PATIENCE_S
    while not is_good(seen := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return seen


def lives(pid):
    """Whether a process is there that has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
