#!/usr/bin/env python3
"""Makes a recorded grid for `make bench-search` from a run's folder: `make bench-search-record` runs the sweeps first.

    record.py results/search-agnews > tests/bench/search/agnews.jsonl

One line per trial: what sets it apart from the others, its fold, every validation as [step, loss, accuracy] and, where
the run tells it, the loss's standard error; the accuracy of the last weights on the validation and the test rows, or the
step at which it diverged. Beside them the loss of the best constant answer, how many validation rows there are, and the
accuracy of the majority class on the test rows. Numbers have six digits.
"""

import json
import math
import sys
from pathlib import Path


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rounded(value):
    return float(f"{value:.6g}")


def untrained(rows):
    """The loss of the best constant answer: the classes' shares among the training rows, for the validation rows."""
    train, validation = rows["train"], rows["validation"]
    return -sum(n * math.log(train[k] / sum(train)) for k, n in enumerate(validation) if n) / sum(validation)


def validation(entry):
    scores = [rounded(entry["scores"]["loss"]), rounded(entry["scores"]["accuracy"])]
    error = entry.get("loss_error")
    return [entry["step"], *scores, *([] if error is None else [rounded(error)])]


def line(trial):
    spec = read(trial / "trial.json")
    configuration = spec["configuration"]
    method, training = configuration["method"], configuration["training"]
    metrics = [json.loads(text) for text in (trial / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    out = {"method": method["kind"], "rank": method.get("rank"), "alpha": method.get("alpha"),
           "learning_rate": training["learning_rate"], "fold": spec["fold"],
           "validations": [validation(entry) for entry in metrics if entry["kind"] == "validation"]}
    if not (trial / "result.json").exists():
        failure = read(trial / "failure.json")
        if failure["kind"] != "diverged":
            sys.exit(f"error: {trial} failed, and did not diverge: {failure}")
        return {**out, "diverged": failure["step"]}
    result = read(trial / "result.json")
    rows = result["class_rows"]
    commonest = rows["train"].index(max(rows["train"]))
    return {**out, "steps": result["steps"], "untrained": rounded(untrained(rows)),
            "rows": sum(rows["validation"]), "majority": rounded(rows["test"][commonest] / sum(rows["test"])),
            "validation": rounded(result["validation"]["accuracy"]), "test": rounded(result["test"]["accuracy"])}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    lines = [line(trial) for trial in folder.glob("trials/*")]
    # What a trial that diverged does not tell is that of the others.
    for key in ("steps", "untrained", "rows", "majority"):
        known = next(entry[key] for entry in lines if key in entry)
        for entry in lines:
            entry.setdefault(key, known)
    lines.sort(key=lambda entry: [str(entry["method"]), entry["rank"] or 0, entry["alpha"] or 0,
                                  entry["learning_rate"], entry["fold"]])
    for entry in lines:
        print(json.dumps({key: value for key, value in entry.items() if value is not None}, separators=(",", ":")))


if __name__ == "__main__":
    main()
