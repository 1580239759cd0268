#!/usr/bin/env python3
"""Checks the wheel as people use it who have no Rust: `make wheel-check`, or

    python3 tests/wheel_check.py target/wheel/lorasweep-*.whl

Makes fresh virtual environments, installs the wheel with pip (torch and its CUDA libraries come from
PyPI: about 2.5 GB to download, 6 GB on disk while this runs), and starts the program with nothing but
the environment on the search path:

- the wheel has its tag, its dependency and no library of torch;
- with no torch, or with another release of it, the program says so and what to do, and ends with 5;
- `doctor` names the environment's own libtorch;
- a small sweep of LoRA and full fine-tuning from random weights trains, and tests right;
- the same where Python finds torch in another folder than the one of lorasweep.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SWEEP = """\
name: wheel
task: {train: train.csv, test: test.csv, text: text, label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 32, heads: 2, intermediate: 16, tokenizer: tokenizer}
grid:
  - {method: lora, model: small, rank: 4, alpha: 4, learning_rate: 3e-2}
  - {method: scratch, model: small, learning_rate: 1e-2}
kfold: {k: 2, seed: 1}
training: {epochs: 20, batch_size: 8}
"""
WORDS = "[PAD] [UNK] [CLS] [SEP] good bad text row"
EXIT_ENVIRONMENT = 5


def check(holds, what, said=""):
    if not holds:
        sys.exit(f"error: {what}\n{said}")
    print(f"ok: {what}", flush=True)


def environment(folder, *wheel):
    """A fresh virtual environment with what pip makes of the arguments."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if wheel:
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wheel], check=True)
    return folder


def packages(environment):
    return next((environment / "lib").glob("python3*/site-packages"))


def lorasweep(environment, *arguments, folder):
    """Runs the program with only the environment on the search path, and none of this shell's variables."""
    variables = {"PATH": str(environment / "bin"), "HOME": str(folder), "LANG": "C.UTF-8"}
    command = [environment / "bin/lorasweep", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def write_sweep(folder):
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer/vocab.txt").write_text("\n".join(WORDS.split()) + "\n", encoding="utf-8")
    (folder / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    for name, rows in [("train.csv", 40), ("test.csv", 8)]:
        lines = [("good text,yes", "bad row,no")[row % 2] for row in range(rows)]
        (folder / name).write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")


def check_file(wheel):
    check("-py3-none-manylinux_2_28_" in wheel.name, f"{wheel.name} has the tag of manylinux_2_28")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    check("\nRequires-Dist: torch==2.11.*\n" in metadata, "it depends on torch 2.11")
    libraries = [name for name in names if ".so" in Path(name).name]
    check(not libraries, "it has no library in it", libraries)


def check_without_torch(bare, folder):
    said = lorasweep(bare, "doctor", folder=folder)
    told = said.returncode == EXIT_ENVIRONMENT and "has no torch" in said.stderr and "pip install" in said.stderr
    check(told, "without torch the program says so, and what to do", said)
    torch = packages(bare) / "torch"
    (torch / "lib").mkdir(parents=True)
    (torch / "lib/libtorch_cpu.so").touch()
    (torch / "version.py").write_text("__version__ = '2.9.1+cpu'\n", encoding="utf-8")
    said = lorasweep(bare, "doctor", folder=folder)
    told = said.returncode == EXIT_ENVIRONMENT and "torch 2.9.1+cpu is in" in said.stderr
    check(told, "of another release of torch it names the version", said)
    shutil.rmtree(torch)


def check_sweep(environment, torch, folder):
    """Doctor and a sweep, in an environment that has torch in `torch`."""
    write_sweep(folder)
    said = lorasweep(environment, "doctor", "--results", folder, folder=folder)
    expected = f"{torch.resolve() / 'lib'}\n"
    check(said.returncode == 0 and expected in said.stdout, f"doctor finds libtorch in {torch}", said)
    said = lorasweep(environment, "run", "sweep.yaml", "--quiet", folder=folder)
    check(said.returncode == 0, "a sweep of four trials ends well", said)
    with (folder / "reports/wheel/configurations.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = [(row["method"], row["folds_done"], float(row["test_accuracy_mean"])) for row in rows]
    # Random weights under LoRA's head tell the two sentences apart as well as trained ones.
    check(sorted(right) == [("lora", "2", 1.0), ("scratch", "2", 1.0)], "every trial tests right", right)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    check_file(wheel)
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix="check.") as name:
        folder = Path(name)
        bare = environment(folder / "bare", "--no-deps", wheel)
        check_without_torch(bare, folder)
        full = environment(folder / "full", wheel)
        for tool in ("cargo", "rustc"):
            check(shutil.which(tool, path=full / "bin") is None, f"{tool} is not on the search path")
        check_sweep(full, packages(full) / "torch", folder / "beside")
        # Python looks there after its own packages.
        (packages(bare) / "full.pth").write_text(f"{packages(full)}\n", encoding="utf-8")
        check_sweep(bare, packages(full) / "torch", folder / "elsewhere")


if __name__ == "__main__":
    main()
