"""The trained weights of trials, and how far two runs are apart in them. Reads safetensors; trains nothing."""

import json
import math
import sys
from array import array

from .checks import Failed

# AdamW scales the gradient of a key's bias, which is 0 but for rounding, up to whole steps.
NO_GRADIENT = ("self.key.bias", "c_attn.bias")
# Fewer say too little.
STEPS = 20


def read(file):
    """The tensors of a safetensors file: the shape and the numbers of each. A header of JSON comes first, and its
    length before it."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, of in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if of["dtype"] != "F32":
            raise Failed(f"`{name}` of a trial is of type {of['dtype']}")
        first, last = of["data_offsets"]
        numbers = array("f")
        numbers.frombytes(data[start + first:start + last])
        if sys.byteorder == "big":
            numbers.byteswap()
        tensors[name] = of["shape"], numbers
    return tensors


def of_trial(run, trial):
    """The last weights of a trial that is done."""
    if not run.result(trial):
        raise Failed(f"trial {trial} is not done")
    tensors = read(run.results / "trials" / trial / "checkpoint/last.safetensors")
    if not tensors:
        raise Failed(f"trial {trial} left no weights")
    return tensors


def largest(differences):
    """The largest of some numbers; NaN counts as infinite."""
    return max((math.inf if math.isnan(number) else number for number in differences), default=0.0)


def apart(ours, theirs):
    """The largest difference of any weight of two trials."""
    if {name: shape for name, (shape, _) in ours.items()} != {name: shape for name, (shape, _) in theirs.items()}:
        raise Failed("the two trials have other tensors")
    names = [name for name in ours if not name.endswith(NO_GRADIENT)]
    return largest(largest(map(lambda a, b: abs(a - b), ours[name][1], theirs[name][1])) for name in names)


def losses_apart(ours, theirs):
    """The largest difference of the losses of two results on validation and test rows."""
    pairs = [(ours[part], theirs[part]) for part in ("validation", "test") if ours.get(part)]
    return largest(abs(a["loss"] - b["loss"]) for a, b in pairs)


def trials_apart(ours, mine, theirs, other):
    """The largest difference of weights, and that of losses, of a trial of one run and a trial of another. That both
    have learned is looked at, too: zeros would be alike."""
    steps = {run.result(trial)["steps"] for run, trial in ((ours, mine), (theirs, other)) if run.result(trial)}
    if len(steps) != 1 or min(steps) < STEPS:
        raise Failed(f"{sorted(steps)} steps were done, and {STEPS} or more are wanted of both trials")
    a, b = of_trial(ours, mine), of_trial(theirs, other)
    demand_learned(a)
    return apart(a, b), losses_apart(ours.result(mine), theirs.result(other))


def runs_apart(ours, theirs, chosen=lambda trial: True):
    """The same over the chosen trials of a sweep that ran twice."""
    trials = [key for key, trial in ours.trials.items() if chosen(trial)]
    if not trials:
        raise Failed("there are no trials to compare")
    weights, losses = zip(*(trials_apart(ours, trial, theirs, trial) for trial in trials))
    return largest(weights), largest(losses)


def demand_learned(tensors):
    """Adapters begin with a factor of zeros: it must have left them by far more than runs may differ."""
    factors = [numbers for name, (_, numbers) in tensors.items() if "lora_B" in name]
    if factors and largest(abs(number) for numbers in factors for number in numbers) < 1e-3:
        raise Failed("the adapters of a trial have not learned")
