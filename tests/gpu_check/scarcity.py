"""What becomes of a pack and of a batch that are too large for the memory there is."""

import os
import subprocess
import sys
from pathlib import Path

from .checks import Check, Failed, Skipped, once
from .weights import of_trial, apart, largest

LIMIT = 1e-5
BALLAST = Path(__file__).with_name("ballast.py")


class Ballast:
    """A process that takes the memory of the GPU, but for so much, as soon as a run has planned its packs."""

    def __init__(self, program, leave_mib):
        self.leave_mib, self.left_mib = leave_mib, None
        command = [sys.executable, str(BALLAST), str(program.index)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=program.environment)
        said = self.process.stdout.readline().strip()
        if said != "ready":
            self.close()
            raise Skipped(f"no memory of the GPU can be taken from here: {said}")

    def __call__(self, run, event):
        if self.left_mib is None and event["event"] == "job_launching" and event["trials"]:
            print(self.leave_mib, file=self.process.stdin, flush=True)
            self.left_mib = int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Scarcity:
    """Runs with too little memory: on a GPU another process takes it, on the CPU the kernel limits it. A made-up GPU
    has its own limit, which the program does not know of."""

    def __init__(self, program, maker):
        self.program, self.maker = program, maker
        self.made_up_mib = int(os.environ.get("FAKE_CUDA_MEMORY_MIB", 0)) if maker.smoke and program.on_gpu else 0

    @property
    def room_mib(self):
        """Memory of a process: more than one trial of the pack needs, and less than all of them do."""
        return self.made_up_mib or (1_500 if self.program.on_gpu else 1_024)

    def run(self, sweep, place, *options):
        if self.made_up_mib:
            return self.program.run(sweep, place, *options)
        if not self.program.on_gpu:
            return self.program.run(sweep, place, *options, host_mib=self.room_mib)
        ballast = Ballast(self.program, self.room_mib)
        try:
            return self.program.run(sweep, place, *options, on_event=ballast)
        finally:
            ballast.close()

    @once
    def pack(self):
        return self.run(self.maker.wide(), "wide")

    @once
    def rows(self):
        """Of a batch whose activations are three times as much as there is."""
        at_hand = self.program.plan(self.maker.long(64))
        per_row = at_hand["predicted"]["mem_mib"] - self.program.plan(self.maker.long(32))["predicted"]["mem_mib"]
        return round(3 * self.room_mib / (per_row / 32))

    @once
    def batch(self):
        return self.run(self.maker.long(self.rows), "long")

    def checks(self):
        return [
            Check("a pack too large for the memory", "ends in smaller ones", self.smaller_packs),
            Check("a batch too large for the memory", "ends in fewer rows", self.fewer_rows),
            Check("that batch: weights here and where it fits", LIMIT, self.same_weights),
        ]

    def smaller_packs(self):
        sizes = [len(pack["trials"]) for pack in self.pack.packs]
        if max(sizes) < 2:
            raise Failed("no pack had more than one trial")
        return f"{how_it_ended(self.pack)}, packs of {', '.join(map(str, sizes))}"

    def fewer_rows(self):
        return how_it_ended(self.batch)

    def same_weights(self):
        how_it_ended(self.batch)
        reference = self.program.run(self.maker.long(self.rows), "long-reference", devices="cpu").demand_all_done()
        trials = list(self.batch.demand_all_done().trials)
        return largest(apart(of_trial(self.batch, trial), of_trial(reference, trial)) for trial in trials)


def how_it_ended(run):
    """What became of the trials of a run whose memory ran out: each is done, or failed and says why."""
    short = run.failures.count("out_of_memory")
    others = set(run.failures) - {"out_of_memory"}
    if others:
        raise Failed(f"jobs ended otherwise: {', '.join(sorted(others))}")
    done = [trial for trial in run.trials if run.result(trial)]
    failed = {event["trial"]: event["failure"]["kind"] for event in run.of("trial_failed")}
    if len(done) + len(failed) != len(run.trials) or not run.trials:
        raise Failed(f"of {len(run.trials)} trials {len(done)} are done and {len(failed)} have failed")
    if set(failed.values()) - {"out_of_memory"}:
        raise Failed(f"trials failed otherwise: {', '.join(sorted(set(failed.values())))}")
    if not short:
        raise Failed("memory did not run out, so nothing was seen")
    if not done:
        raise Failed("not one trial was done")
    return f"{len(done)} done, {len(failed)} failed, {short} times short"
