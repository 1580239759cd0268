"""Whether trials learn the same in packs, alone, on the CPU, and beside rows of other lengths."""

import re

from .checks import Check, Failed, Skipped, once
from .weights import runs_apart, trials_apart

LIMIT = 1e-5


class Probe:
    """Whether the program and the card work at all."""

    def __init__(self, program, maker):
        self.program, self.maker = program, maker

    def checks(self):
        return [Check("doctor finds what it needs", "no fault", self.doctor, is_needed=True),
                Check("the smallest sweep trains", "done", self.smallest, is_needed=True)]

    def doctor(self):
        said = self.program.doctor()
        if not self.program.on_gpu:
            return "no GPU is asked for"
        found = re.search(rf" cuda:{self.program.index} ([^,]+), \d", said)
        if not found:
            raise Failed(f"it tells of no cuda:{self.program.index}")
        return found[1]

    def smallest(self):
        run = self.program.run(self.maker.smallest(), "smallest", "--attempts", 1).demand_all_done()
        return f"{run.seconds:.1f} s"


class Laws:
    """The same trials in packs, one in each pack, and on the CPU."""

    def __init__(self, program, sweep):
        self.program, self.sweep = program, sweep

    @once
    def packed(self):
        run = self.program.run(self.sweep, self.sweep["name"]).demand_all_done()
        if not any(len(pack["trials"]) > 2 for pack in run.packs):
            raise Failed("no pack had more than two trials")
        return run

    @once
    def alone(self):
        run = self.program.run(self.sweep, f"{self.sweep['name']}-alone", "--pack-slots", 1).demand_all_done()
        if any(len(pack["trials"]) > 1 for pack in run.packs):
            raise Failed("a pack had more than one trial")
        return run

    @once
    def on_cpu(self):
        if not self.program.on_gpu:
            raise Skipped("--devices is the CPU itself")
        return self.program.run(self.sweep, f"{self.sweep['name']}-cpu", devices="cpu").demand_all_done()

    def mixture(self):
        """What the pack of most trials had in it."""
        largest = max((pack["trials"] for pack in self.packed.packs), key=len)
        trials = [self.packed.trials[trial] for trial in largest]
        settings = [trial["configuration"] for trial in trials]
        counts = dict(ranks=len({of["method"].get("rank") for of in settings}),
                      seeds=len({of["training"]["seed"] for of in settings}), folds=len({of["fold"] for of in trials}))
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        if min(counts.values()) > 1:
            return told
        raise (Failed if self.program.on_gpu else Skipped)(f"the largest pack had {told}")

    def checks(self):
        yield Check(f"{self.sweep['name']}: what the largest pack had", "several of each", self.mixture)
        kinds = {(block["method"], block["model"]): None for block in self.sweep["grid"]}
        for method, model in kinds:
            what = f"{self.sweep['name']}, {method}, {'dropout 0.1' if model == 'noisy' else 'no dropout'}"

            def chosen(trial, method=method, model=model):
                of = trial["configuration"]
                return (of["method"]["kind"], of["model"]) == (method, model)

            for other, others in ("alone", lambda: self.alone), ("on the CPU", lambda: self.on_cpu):
                yield Check(f"{what}: weights in packs and {other}", LIMIT,
                            lambda others=others, chosen=chosen: runs_apart(self.packed, others(), chosen=chosen)[0])


class Padding:
    """Rows of very different lengths in one batch, each alone, and on the CPU."""

    def __init__(self, program, sweep):
        self.program, self.sweep = program, sweep

    @once
    def here(self):
        return self.program.run(self.sweep, "padding").demand_all_done()

    @once
    def on_cpu(self):
        if not self.program.on_gpu:
            raise Skipped("--devices is the CPU itself")
        return self.program.run(self.sweep, "padding-cpu", devices="cpu").demand_all_done()

    def checks(self):
        for model in self.sweep["models"]:
            yield Check(f"padding, {model}: weights in one batch and row by row", LIMIT,
                        lambda model=model: self.by_row(model))
            for at, what in enumerate(("weights", "losses")):
                yield Check(f"padding, {model}: {what} here and on the CPU", LIMIT,
                            lambda model=model, at=at: self.by_device(model)[at])

    def by_row(self, model):
        trials = {trial["configuration"]["training"]["batch_size"]: key for key, trial in self.here.trials.items()
                  if trial["configuration"]["model"] == model}
        if set(trials) != {1, 16}:
            raise Failed(f"batches of {sorted(trials)} rows trained")
        return trials_apart(self.here, trials[16], self.here, trials[1])[0]

    def by_device(self, model):
        return runs_apart(self.here, self.on_cpu, chosen=lambda trial: trial["configuration"]["model"] == model)
